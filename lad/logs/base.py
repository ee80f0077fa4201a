"""What a format of logs is: a reader that says of each presentation what was shown and what came back.

Every record of a file is checked before anything is made of it, and faults are told together with their places: a
record that is left out silently would change what is measured.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, NoReturn

from lad.benchmark.captions import few
from lad.extraction.prompts import IDENTIFIERS
from lad.refusal import Refusal
from lad.section import Section

MOST_CANDIDATES: Final = 26
"""As many as there are letters."""

Style = Literal["uppercase", "lowercase", "digits"]


class LogError(Refusal):
    """A log that cannot be read, or does not suffice; the message names the file and the place in it."""


class FaultError(Exception):
    """What is wrong with a record; who reads the file says where."""


def refuse(fault: str) -> NoReturn:
    raise FaultError(fault)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One presentation, as a log tells of it. Positions count from 1; what is not known is None.

    Attributes:
        where: its place, for errors: "results.jsonl line 3".
        candidates: what stood at each position: texts, or the candidates' numbers, from 1.
        target_position: where the target was.
        position: which position was answered, where the log says so.
        text: what the model wrote.
        logprobs: the log-probability of each position's identifier; None where it is not among those that are told.
    """

    where: str
    question_id: str
    candidates: tuple[str, ...] | tuple[int, ...]
    target_position: int | None = None
    position: int | None = None
    text: str | None = None
    logprobs: tuple[float | None, ...] | None = None


class Log(Section):
    """A format of logs, with its keys.

    Attributes:
        style: how positions were called in the prompts.
    """

    style: ClassVar[Style] = "uppercase"

    format: str

    def read(self, path: Path) -> list[Shown]:
        """All presentations of a file, in its order.

        Raises:
            LogError: a file that is missing or not of the format, or records with faults.
        """
        raise NotImplementedError

    @property
    def named(self) -> Style:
        """How positions were called, as the keys have it."""
        return self.style


def identifiers(style: Style, n: int) -> tuple[str, ...]:
    """The identifiers of positions 1 to n, of any n up to MOST_CANDIDATES."""
    if style == "digits":
        return tuple(str(position) for position in range(1, n + 1))
    first = ord(IDENTIFIERS[style][0])
    return tuple(chr(first + at) for at in range(n))


def shown_by(path: Path, records: Iterable[tuple[str, Any]], read: Callable[[str, Any], list[Shown]]) -> list[Shown]:
    """What each record shows.

    Args:
        records: the place of each in the file, and the record.
        read: from place and record to presentations; raises `FaultError`.

    Raises:
        LogError: records with faults, of which the first three are told, or no record.
    """
    shown: list[Shown] = []
    faults: list[str] = []
    for place, record in records:
        try:
            shown += read(f"{path} {place}", record)
        except FaultError as fault:
            faults.append(f"{place} {fault}")
    if faults:
        raise LogError(f"{path}: {few(faults, '; ')}")
    if not shown:
        raise LogError(f"{path}: holds no presentation")
    return shown


def json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Place and content of each line that is not empty. A line that is not JSON comes as a `FaultError`."""
    for number, line in enumerate(_text_of(path).split("\n"), start=1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except json.JSONDecodeError as error:
                raise LogError(f"{path}: line {number} is not JSON ({error.msg}, character {error.pos + 1})") from None


def table_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Place and cells of each row of a CSV or TSV file; an empty cell is left out.

    Raises:
        LogError: no header, a column that is there twice, a row with more or fewer cells than the header.
    """
    csv.field_size_limit(2**31 - 1)  # tables of multimodal benchmarks hold images
    delimiter = "\t" if path.suffix == ".tsv" else ","
    rows = csv.reader(_text_of(path).splitlines(keepends=True), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        if not any(header):
            raise LogError(f"{path}: has no header; the first line names the columns")
        if twice := [name for at, name in enumerate(header) if name in header[:at]]:
            raise LogError(f"{path}: column {twice[0]!r} is there twice")
        for cells in rows:
            if not cells:
                continue
            place = f"line {rows.line_num}"
            if len(cells) != len(header):
                raise LogError(f"{path}: {place} has {len(cells)} cells, the header has {len(header)}")
            yield place, {name: cell for name, cell in zip(header, cells, strict=True) if cell.strip()}
    except csv.Error as error:
        raise LogError(f"{path}: line {rows.line_num} is not of a table ({error})") from None


def place_among(target: object, candidates: Sequence[str], names: Sequence[str]) -> int | None:
    """The position that a target names: by its identifier, in whatever brackets, or by the candidate's own text."""
    text = str(target).strip()
    if text in candidates:
        return candidates.index(text) + 1
    bare = text.strip("()[]. ").upper()
    return names.index(bare) + 1 if bare in names else None


def refuse_impossible(candidates: Sequence[object]) -> None:
    """Refuse candidates that no method can tell apart, or too few or many of them.

    Raises:
        FaultError: such candidates.
    """
    if not 2 <= len(candidates) <= MOST_CANDIDATES:
        refuse(f"has {len(candidates)} candidates; allowed are 2 to {MOST_CANDIDATES}")
    for at, candidate in enumerate(candidates):
        if (first := candidates.index(candidate)) < at:
            refuse(f"shows the same candidate, {brief(candidate)}, at positions {first + 1} and {at + 1}")


def brief(value: object) -> str:
    """A value in an error, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise LogError(f"{path}: not a text file in UTF-8 ({error})") from None
