"""The entries of a published file, as its format says them: lines of JSON, one JSON list, or rows of Parquet.

A format reads each entry by asking it for its fields. Two things may be wrong. An entry that is not of the format is a
fault: all faults are told together, in one line, and nothing is made of the file. An entry that is of the format but
asks no question with one right candidate is left out and counted, with the reason: a tie, two responses of the same
words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, NoReturn, TypeVar

from lad.benchmark import BenchmarkError
from lad.benchmark.among_texts import shown
from lad.benchmark.captions import few

T = TypeVar("T")


class FaultError(Exception):
    """What is wrong with an entry; the message goes on behind its place: `has no prompt`."""


class LeftOutError(Exception):
    """Why an entry of the format asks nothing here."""


@dataclass(frozen=True)
class Entry:
    """An entry of a file.

    Attributes:
        kind: what it is called in its file: `line`, `entry` or `row`.
        number: which one, from 1.
        values: by key.
    """

    kind: str
    number: int
    values: Mapping[str, Any]

    @property
    def place(self) -> str:
        return f"{self.kind} {self.number}"

    def text(self, key: str) -> str:
        """A text that is not empty."""
        return text_of(self._given(key), key)

    def number_of(self, key: str) -> int:
        """A whole number."""
        value = self._given(key)
        if not isinstance(value, int) or isinstance(value, bool):
            fault(f"has {key} {shown(value)}, expected is a whole number")
        return value

    def list_of(self, key: str, what: str) -> list[Any]:
        """A list; `what` says of what it is in the error."""
        value = self._given(key)
        if not isinstance(value, list):
            fault(f"has {key} {shown(value)}, expected is a list of {what}")
        return value

    def _given(self, key: str) -> Any:
        value = self.values.get(key)
        if value is None:
            fault(f"has no {key}; its keys are: {', '.join(self.values) or 'none'}")
        return value


def text_of(value: object, name: str, empty: type[Exception] = FaultError) -> str:
    """The value where it is a text, without blank lines before it and white space behind it; code stays indented.

    Args:
        empty: what is raised where nothing is left.
    """
    if not isinstance(value, str):
        fault(f"has no {name}" if value is None else f"has {name} {shown(value)}, expected is a text")
    if not value.strip():
        raise empty(f"has an empty {name}")
    return re.sub(r"^(?:[^\S\n]*\n)+", "", value).rstrip()


def fault(message: str) -> NoReturn:
    raise FaultError(message)


@dataclass(frozen=True)
class Read(Generic[T]):
    """What was made of a file's entries, in its order, and what was left out: `entry` and `reason` of each."""

    made: list[T]
    left: list[dict[str, Any]]

    @property
    def reasons(self) -> list[str]:
        """One text per entry that was left out."""
        return [f"{left['entry']} {left['reason']}" for left in self.left]


Raw = tuple[str, int, object]
"""An entry as its file has it: what it is called there, its number from 1, and a line of JSON or what one holds."""


def read_entries(path: Path, make: Callable[[Entry], T]) -> Read[T]:
    """What `make` makes of each entry of a file: JSONL, a JSON list (.json) or Parquet (.parquet).

    Args:
        make: raises `FaultError` for an entry that is not of the format, `LeftOutError` for one that is left out.

    Raises:
        BenchmarkError: a file that cannot be read or has no entry, or faults; one line names the first three, each by
            its place.
    """
    return make_all(path, _raw(path), make)


def make_all(path: Path, raw: Iterable[Raw], make: Callable[[Entry], T]) -> Read[T]:
    """As `read_entries`, of entries that are at hand; errors name `path`."""
    made: list[T] = []
    left: list[dict[str, Any]] = []
    faults: list[str] = []
    for kind, number, value in raw:
        try:
            made.append(make(Entry(kind, number, _object(value))))
        except FaultError as error:
            faults.append(f"{kind} {number} {error}")
        except LeftOutError as error:
            left.append({"entry": f"{kind} {number}", "reason": str(error)})
    if faults:
        raise BenchmarkError(f"{path}: {few(faults, '; ')}")
    if not made and not left:
        raise BenchmarkError(f"{path}: has no entry")
    return Read(made, left)


def read_text(path: Path) -> str:
    """A file's text.

    Raises:
        BenchmarkError: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise BenchmarkError(f"{path}: not a text file in UTF-8 ({error})") from None


def json_of(text: str) -> Any:
    """What a text of JSON holds.

    Raises:
        ValueError: it is none, or has half a character (a lone surrogate), which no table holds; the message goes on
            behind the name of the place: `is not JSON (...)`.
    """
    try:
        value = json.loads(text)
        if _HALF.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}" if "\n" in text.strip() else f"character {error.pos + 1}"
        raise ValueError(f"is not JSON ({error.msg}, {where})") from None
    except RecursionError:
        raise ValueError("is not JSON that can be read (too many brackets within brackets)") from None
    except UnicodeEncodeError:
        raise ValueError("holds half a character (a lone surrogate)") from None
    except ValueError:
        raise ValueError("is not JSON that can be read (a number of thousands of digits)") from None
    return value


_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")
"""How a surrogate is written; two of them make a character."""


def _raw(path: Path) -> Iterator[Raw]:
    if path.suffix == ".parquet":
        return _rows(path)
    text = read_text(path)
    if path.suffix == ".json":
        return (("entry", number, value) for number, value in enumerate(_listed(path, text), start=1))
    # Not splitlines: JSON may hold the other line breaks of Unicode.
    return (("line", number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())


def _rows(path: Path) -> Iterator[Raw]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.ParquetFile(path).read().to_pylist()
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path}: is no Parquet file ({error})") from None
    return (("row", number, row) for number, row in enumerate(rows, start=1))


def _listed(path: Path, text: str) -> list[Any]:
    try:
        entries = json_of(text)
    except ValueError as error:
        raise BenchmarkError(f"{path}: {error}") from None
    if not isinstance(entries, list):
        raise BenchmarkError(f"{path}: is no list of entries; one object per line belongs in a file named .jsonl")
    return entries


def _object(value: object) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json_of(value)
        except ValueError as error:
            fault(str(error))
    if not isinstance(value, dict):
        fault(f"is {shown(value)}, expected is an object with keys")
    return value
