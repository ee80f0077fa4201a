"""Datasets whose images lie inside Parquet files, as the Hub has them: where they come from, and what they ask."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import Field

from lad.benchmark import BenchmarkError
from lad.benchmark.chosen_images import (
    Annotated,
    NotAChoiceError,
    Question,
    refuse_unknown_tasks,
    sort_out,
)
from lad.benchmark.formats.base import ChoosesImages, FromImageFiles
from lad.benchmark.stored_pictures import Row, folder_of, parquet_files, picture_name, rows_of, write_pictures
from lad.section import FilePath

Stored = tuple[str, Any]
"""A picture of a row: its file's name, and the struct that holds it."""

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class ImagesInParquet(FromImageFiles):
    """A dataset whose images lie inside Parquet files. Reading writes them to the folder `images`, once.

    Nothing waits for that folder: whoever opens an image has the images table, and that was read before.
    """

    paths: ClassVar[tuple[str, ...]] = ("data",)
    code: ClassVar[tuple[str, ...]] = ("benchmark/formats/stored.py", "benchmark/stored_pictures.py")

    data: FilePath = Field(description="The Parquet file, or a folder: all files named *.parquet in it.")
    images: FilePath = Field(
        description="Folder of the images. Reading the Parquet files writes them there, where they are not there yet."
    )


class ChoosesStoredImages(ImagesInParquet, ChoosesImages):
    """Questions that choose one of their images, both in the same rows of Parquet files.

    Attributes:
        columns: of a row, what is needed.
        id_column: the one that names a row; the names of its pictures begin with it.
    """

    code: ClassVar[tuple[str, ...]] = (*ImagesInParquet.code, *ChoosesImages.code)
    columns: ClassVar[tuple[str, ...]]
    id_column: ClassVar[str]

    @property
    def source(self) -> str:
        return self.data

    @property
    def _folder(self) -> Path:
        return Path(self.images)

    def asks(self, row: Row) -> Iterable[tuple[str, Row]]:
        """What a row asks, task by task."""
        raise NotImplementedError

    def stored(self, row: Row) -> Sequence[Any]:
        """The pictures that a row has, in their order."""
        raise NotImplementedError

    def question_of(self, task: str, number: int, row: Row, paths: Sequence[str]) -> Question:
        """The question that a row asks; `paths` are its pictures'.

        Raises:
            NotAChoiceError: it does not choose one of its images.
        """
        raise NotImplementedError

    def asked(self, tasks: Collection[str]) -> Annotated:
        data, images = Path(self.data), Path(self.images)
        numbers: Counter[str] = Counter()
        entries = []
        for file in parquet_files(data):
            folder = folder_of(file, data, images)
            self._refuse_ids(file)
            write_pictures(file, folder, self.columns, self._contents)
            for row in rows_of(file, self.columns):
                paths = [str(folder.relative_to(images) / name) for name, _ in self._named(row)]
                for task, asked in self.asks(row):
                    entries.append((task, numbers[task], (asked, paths)))
                    numbers[task] += 1
        refuse_unknown_tasks(tasks, numbers, data)
        return sort_out(data, tasks, (entry for entry in entries if entry[0] in tasks), self._question)

    def _question(self, task: str, number: int, entry: tuple[Row, list[str]]) -> Question:
        row, paths = entry
        try:
            return self.question_of(task, number, row, paths)
        except NotAChoiceError as reason:
            raise NotAChoiceError(f"{row[self.id_column]}: {reason}") from None

    def _refuse_ids(self, file: Path) -> None:
        """`BenchmarkError` for rows whose pictures would have no names, or the same."""
        seen = set()
        for number, row in enumerate(rows_of(file, [self.id_column])):
            value = row[self.id_column]
            named = isinstance(value, str | int) and _ID.fullmatch(str(value))
            if not named or value in seen:
                why = "which an earlier row has as well" if named else "which is no name"
                raise BenchmarkError(
                    f"{file}, row {number}: {self.id_column} is {value!r}, {why}; needed are letters, digits, '.', '_'"
                    " and '-', in every row others"
                )
            seen.add(value)

    def _named(self, row: Row) -> list[Stored]:
        pictures = enumerate(self.stored(row), start=1)
        return [(picture_name(f"{row[self.id_column]}-{k}", stored), stored) for k, stored in pictures]

    def _contents(self, row: Row) -> Iterable[tuple[str, bytes | None]]:
        for name, stored in self._named(row):
            content = stored.get("bytes") if isinstance(stored, dict) else None
            yield name, content if isinstance(content, bytes) else None
