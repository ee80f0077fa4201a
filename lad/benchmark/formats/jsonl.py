"""Read questions among texts of one's own: one JSON object per line (`lad.benchmark.lines`).

Not in the paper, whose candidates are images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field

from lad.benchmark import among_texts
from lad.benchmark.among_texts import of_tasks, summary_of, texts_of
from lad.benchmark.formats.base import ImagesRead, Listed
from lad.benchmark.lines import DEFAULT_TASK, read_lines, read_list_lines
from lad.benchmark.lists import RankedList
from lad.section import FilePath

if TYPE_CHECKING:
    import pyarrow as pa

_HINT: Final = f" (a line without a task is of {DEFAULT_TASK})"


class Jsonl(Listed):
    paths: ClassVar[tuple[str, ...]] = ("questions",)
    code: ClassVar[tuple[str, ...]] = (
        *Listed.code,
        *("benchmark/among_texts.py", "benchmark/entries.py", "benchmark/lines.py", "benchmark/roles.py"),
    )

    format: Literal["jsonl"] = Field(
        description="Questions of your own among texts, one JSON object per line; its settings are its tasks."
    )
    questions: FilePath = Field(
        description='Lines such as `{"query": "...", "candidates": ["...", "..."], "target": 2}`.'
    )
    depth: int | None = Field(
        None,
        ge=2,
        description="Makes lines lists to be ranked, `relevance` in place of `target`, of any length: how many"
        " candidates of each are taken, from its top.",
    )

    def read_lists(self, setting: str) -> list[RankedList]:
        path = Path(self.questions)
        assert self.depth is not None, "read as questions where there is no depth"
        return [line.list.cut(self.depth) for line in of_tasks(read_list_lines(path), [setting], path, _HINT)]

    def read_images(self, settings: Sequence[str]) -> ImagesRead:
        if self.has_lists:
            lines = read_list_lines(Path(self.questions))
            return super().read_images(settings or sorted({line.task for line in lines}))
        path = Path(self.questions)
        asked = of_tasks(read_lines(path), settings, path, _HINT)
        return ImagesRead(texts_of(asked), summary_of(asked))

    def build_questions(self, images: pa.Table, *, setting: str, **asked: Any) -> pa.Table:
        if self.has_lists:
            return super().build_questions(images, setting=setting, **asked)
        path = Path(self.questions)
        questions = of_tasks(read_lines(path), [setting], path, _HINT)
        return among_texts.build_questions(questions, images, task=setting, **asked)


FORMAT = Jsonl
