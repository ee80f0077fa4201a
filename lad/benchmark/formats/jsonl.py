"""Read questions among texts of one's own: one JSON object per line (`lad.benchmark.lines`).

Not in the paper, whose candidates are images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from pydantic import Field

from lad.benchmark import BenchmarkError
from lad.benchmark.captions import images_table
from lad.benchmark.formats.base import ImagesRead, Listed
from lad.benchmark.lines import DEFAULT_TASK, ListLine, Question, read_lines, read_list_lines, shown
from lad.benchmark.lists import RankedList
from lad.benchmark.roles import deal_roles, refuse_too_few
from lad.section import FilePath

if TYPE_CHECKING:
    import pyarrow as pa


class Jsonl(Listed):
    paths: ClassVar[tuple[str, ...]] = ("questions",)
    code: ClassVar[tuple[str, ...]] = (*Listed.code, "benchmark/lines.py", "benchmark/roles.py")

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
        return [line.list.cut(self.depth) for line in of_tasks(read_list_lines(path), [setting], path)]

    def read_images(self, settings: Sequence[str]) -> ImagesRead:
        if self.has_lists:
            path = Path(self.questions)
            return super().read_images(settings or sorted({line.task for line in read_list_lines(path)}))
        asked = of_tasks(read_lines(Path(self.questions)), settings, Path(self.questions))
        return ImagesRead(texts_of(asked), _summary(asked))

    def build_questions(self, images: pa.Table, *, setting: str, **asked: Any) -> pa.Table:
        if self.has_lists:
            return super().build_questions(images, setting=setting, **asked)
        path = Path(self.questions)
        return build_questions(of_tasks(read_lines(path), [setting], path), images, task=setting, **asked)


FORMAT = Jsonl


Line = TypeVar("Line", Question, ListLine)


def of_tasks(questions: Sequence[Line], tasks: Collection[str], path: Path) -> list[Line]:
    """The questions, or lists, of these tasks, of all where none is named.

    Raises:
        BenchmarkError: a task that no line has.
    """
    known = dict.fromkeys(question.task for question in questions)
    if unknown := [task for task in tasks if task not in known]:
        raise BenchmarkError(
            f"{path}: has no task '{unknown[0]}'; it has: {', '.join(known)} (a line without a task is of"
            f" {DEFAULT_TASK})"
        )
    return [question for question in questions if question.task in (tasks or known)]


def texts_of(questions: Sequence[Question]) -> pa.Table:
    """The candidates of all questions as an `images` table, each text once, numbered from 1 in the file's order."""
    texts = dict.fromkeys(text for question in questions for text in question.candidates)
    common = {"file_name": "", "width": 0, "height": 0, "caption": "", "category_ids": [], "license": None}
    return images_table({"image_id": number, **common, "text": text} for number, text in enumerate(texts, start=1))


def build_questions(
    questions: Sequence[Question],
    images: pa.Table,
    *,
    dataset: str,
    task: str,
    n: int,
    evaluation: int,
    calibration: int,
    seed: int,
) -> pa.Table:
    """A benchmark of a task's questions with `n` candidates: at most `evaluation` of them, and `calibration` others.

    Which are which, `deal_roles` says; the target is the text, so that no answer that calibrated is asked for again.
    The candidates stand as in the file: presentations shuffle them. Questions of another N are left out.

    Args:
        questions: those of the task.
        images: an `images` table with at least their candidates.
        dataset: name that the question ids begin with.
        n: candidates per question.
        evaluation: evaluation questions at most; the benchmark has all there are where there are fewer.
        calibration: number of calibration questions.
        seed: all random choices follow from it.

    Returns:
        A `questions` table, evaluation questions first, each role by rank.

    Raises:
        BenchmarkError: too few questions with `n` candidates, or a text that the table lacks.
    """
    from lad import contracts, parquet

    asked, fitted = deal_roles(
        [question for question in questions if len(question.candidates) == n],
        number=lambda q: q.line,
        target=lambda q: q.candidates[q.target - 1],
        evaluation=evaluation,
        calibration=calibration,
        seed=seed,
    )
    sizes = (len(question.candidates) for question in questions)
    refuse_too_few(task, sizes, n=n, asked=len(asked), fitted=len(fitted), calibration=calibration)
    ids = dict(zip(images["text"].to_pylist(), images["image_id"].to_pylist(), strict=True))
    rows = [
        {
            "question_id": f"{dataset}-{task}-n{n:02d}-{role[0]}{rank:05d}-{question.id}",
            "role": role,
            "rank": rank,
            "caption": question.query,
            "candidates": [_text_id(text, ids) for text in question.candidates],
            "target": question.target,
            "n_candidates": n,
        }
        for role, members in (("evaluation", asked), ("calibration", fitted))
        for rank, question in enumerate(members)
    ]
    return parquet.from_rows(rows, contracts.QUESTIONS)


def _summary(questions: Sequence[Question]) -> str:
    """How many questions there are of each task and N: a benchmark has those of its own N only."""
    counts = Counter((question.task, len(question.candidates)) for question in questions)
    tasks = dict.fromkeys(task for task, _ in counts)
    told = (
        f"{task}: {', '.join(f'{count} with {n}' for (own, n), count in sorted(counts.items()) if own == task)}"
        for task in tasks
    )
    return f"questions by number of candidates, of which a benchmark asks those of its N; {'; '.join(told)}"


def _text_id(text: str, ids: dict[str, int]) -> int:
    if text not in ids:
        raise BenchmarkError(f"text {shown(text)} is not in the images table; read the questions of this task into it")
    return ids[text]
