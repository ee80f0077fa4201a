"""What the readers of captioned images share: which caption asks, the images table, and what is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lad.benchmark import BenchmarkError, CaptionPolicy

if TYPE_CHECKING:
    import pyarrow as pa

CAPTION_POLICIES: Final[Mapping[CaptionPolicy, Callable[[Sequence[str]], str]]] = {
    "first": lambda captions: captions[0],
    "last": lambda captions: captions[-1],
    "longest": lambda captions: max(captions, key=len),
    "all": " ".join,
}
"""Which of an image's captions asks for it; among equally long ones the first. "all" makes one text of them, in the
order of the file: a question still has one caption and an image one row."""

_NAMED: Final = 3
"""How many offenders an error names before it only counts them."""


def images_table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """An `images` table, with the optional columns that its rows have."""
    from lad import contracts, parquet

    return parquet.from_rows(rows, contracts.IMAGES)


def refuse_unknown_policy(caption_policy: str) -> None:
    if caption_policy not in CAPTION_POLICIES:
        raise BenchmarkError(f"unknown caption policy '{caption_policy}'; known: {', '.join(CAPTION_POLICIES)}")


def refuse_missing_files(file_names: list[str], image_folder: Path, path: Path) -> None:
    missing = [name for name in file_names if not (image_folder / name).is_file()]
    if missing:
        raise BenchmarkError(f"{image_folder}: lacks images that {path} has captions for: {few(missing)}")


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a picture as it is shown, in pixels.

    Raises:
        BenchmarkError: it cannot be read.
    """
    from lad.pictures import PictureError, shown_size

    try:
        return shown_size(path)
    except PictureError as error:
        raise BenchmarkError(str(error)) from None


def repeated(values: list[Any]) -> list[Any]:
    """The values that occur more than once, in order."""
    return sorted(value for value, times in Counter(values).items() if times > 1)


def few(values: list[Any], between: str = ", ") -> str:
    """The first of the values, and how many there are in all: for an error's one line."""
    rest = f" and {len(values) - _NAMED} more, {len(values)} in all" if len(values) > _NAMED else ""
    return between.join(str(value) for value in values[:_NAMED]) + rest
