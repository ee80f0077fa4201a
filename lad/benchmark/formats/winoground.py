"""Read Winoground (Thrush et al., arXiv 2204.03162): two images and two captions of the same words in another order.

Each caption asks for its image among the two, so that an example gives two questions with N = 2. Both calibrate or
both are evaluated: they show the same pictures. The benchmark's image score counts an example where both are right,
`lad`'s accuracy counts questions. Settings are `all` and the values of `collapsed_tag`: Object, Relation, Both.

Read: the dataset's loader (`id`, `image_0`, `image_1`, `caption_0`, `caption_1`, `tag`, `secondary_tag`,
`num_main_preds`, `collapsed_tag`; `data/examples.jsonl` names the pictures without their ending, .png, and
`data/images.zip` holds them in the folder `images`) and its card, whose later form has the same fields in
`data/test-*` as Parquet, with pictures inside (400 examples). Both forms are read. The files are given out for research
alone, to those who accept the terms on the dataset's page; so nothing is fetched by `lad`, put them there by hand. No
row and no picture was seen. Not verified: the values of `collapsed_tag`, which are the paper's.
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from lad.benchmark.chosen_images import (
    Annotated,
    Question,
    asked_text,
    pictures,
    refuse_unknown_tasks,
    sort_out,
)
from lad.benchmark.entries import Entry, fault, read_entries
from lad.benchmark.formats.stored import ChoosesStoredImages
from lad.benchmark.stored_pictures import Row
from lad.section import FilePath

ALL: Final = "all"
_IMAGES: Final = ("image_0", "image_1")
_ASKED: Final = "asked"
"""Which of an example's two captions asks, 0 or 1, in what is made of its row."""


class Winoground(ChoosesStoredImages):
    code: ClassVar[tuple[str, ...]] = (*ChoosesStoredImages.code, "benchmark/entries.py")
    columns: ClassVar[tuple[str, ...]] = ("id", "caption_0", "caption_1", "collapsed_tag", *_IMAGES)
    id_column: ClassVar[str] = "id"

    format: Literal["winoground"] = Field(
        description="Winoground: each of two captions asks for its image. Its settings: `all`, Object, Relation, Both."
    )
    data: FilePath = Field(
        description="Winoground's Parquet file or the folder of it, or examples.jsonl, whose pictures lie in `images`."
    )

    @property
    def most_questions(self) -> int | None:
        return self.at_most or 800

    def asks(self, row: Row) -> Iterable[tuple[str, Row]]:
        for task in (ALL, str(row["collapsed_tag"])):
            for asked in (0, 1):
                yield task, {**row, _ASKED: asked}

    def stored(self, row: Row) -> Sequence[Any]:
        return [row[name] for name in _IMAGES]

    def question_of(self, task: str, number: int, row: Row, paths: Sequence[str]) -> Question:
        asked = row[_ASKED]
        return Question(
            task, number, asked_text(row, f"caption_{asked}"), pictures(paths, self._folder), asked + 1, str(row["id"])
        )

    def asked(self, tasks: Collection[str]) -> Annotated:
        if not self.data.endswith(".jsonl"):
            return super().asked(tasks)
        path = Path(self.data)
        asks = [asked for row in read_entries(path, _example).made for asked in self.asks(row)]
        refuse_unknown_tasks(tasks, {task for task, _ in asks}, path)
        entries = (
            (task, number, (row, [f"{row[name]}.png" for name in _IMAGES]))
            for task in tasks
            for number, row in enumerate(row for named, row in asks if named == task)
        )
        return sort_out(path, tasks, entries, self._question)


FORMAT = Winoground


def _example(entry: Entry) -> Row:
    """A line of examples.jsonl."""
    if missing := [name for name in Winoground.columns if name not in entry.values]:
        fault(f"has no {missing[0]}; needed are {', '.join(Winoground.columns)}")
    return dict(entry.values)
