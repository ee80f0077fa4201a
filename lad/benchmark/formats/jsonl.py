"""Read questions among texts of one's own: one JSON object per line (`lad.benchmark.lines`).

Not in the paper, whose candidates are images.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field

from lad.benchmark import among_texts
from lad.benchmark.among_texts import Question, of_tasks, summary_of, texts_of
from lad.benchmark.formats.base import FromFiles, ImagesRead
from lad.benchmark.lines import DEFAULT_TASK, read_lines
from lad.section import FilePath

if TYPE_CHECKING:
    import pyarrow as pa

_HINT: Final = f" (a line without a task is of {DEFAULT_TASK})"


class Jsonl(FromFiles):
    paths: ClassVar[tuple[str, ...]] = ("questions",)
    code: ClassVar[tuple[str, ...]] = (
        *("benchmark/among_texts.py", "benchmark/captions.py", "benchmark/lines.py", "benchmark/roles.py"),
        "seeded.py",
    )

    format: Literal["jsonl"] = Field(
        description="Questions of your own among texts, one JSON object per line; its settings are its tasks."
    )
    questions: FilePath = Field(
        description='Lines such as `{"query": "...", "candidates": ["...", "..."], "target": 2}`.'
    )

    def read_images(self, settings: Sequence[str]) -> ImagesRead:
        asked = self._asked(settings)
        return ImagesRead(texts_of(asked), summary_of(asked))

    def build_questions(self, images: pa.Table, *, setting: str, **asked: Any) -> pa.Table:
        return among_texts.build_questions(self._asked([setting]), images, task=setting, **asked)

    def _asked(self, tasks: Collection[str]) -> list[Question]:
        path = Path(self.questions)
        return of_tasks(read_lines(path), tasks, path, _HINT)


FORMAT = Jsonl
