"""Questions of a dataset's own whose candidates are texts: what their formats share once a file is read.

A format makes `Question`s of what its files hold. From then on all are alike: the candidates are rows of the `images`
table, which questions calibrate is dealt by one rule, and a benchmark asks those of its task and N. Not in the paper,
whose candidates are images.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from lad.benchmark import BenchmarkError
from lad.benchmark.captions import few, images_table
from lad.benchmark.roles import questions_table

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Question:
    """A question of a file.

    Attributes:
        number: of its line or entry, from 1.
        id: what question ids end with; no other question of the file has it.
        task: the setting that it belongs to.
        target: which candidate is right, from 1.
    """

    number: int
    id: str
    task: str
    query: str
    candidates: tuple[str, ...]
    target: int

    @property
    def answer(self) -> str:
        """The text that is right."""
        return self.candidates[self.target - 1]


class _OfATask(Protocol):
    @property
    def task(self) -> str: ...


Tasked = TypeVar("Tasked", bound=_OfATask)
"""A question, or what else belongs to a task."""


def of_tasks(questions: Sequence[Tasked], tasks: Collection[str], path: Path, hint: str = "") -> list[Tasked]:
    """The questions of these tasks, of all where none is named.

    Raises:
        BenchmarkError: a task that no question has; `hint` ends the message.
    """
    known = dict.fromkeys(question.task for question in questions)
    if unknown := [task for task in tasks if task not in known]:
        raise BenchmarkError(f"{path}: has no task '{unknown[0]}'; it has: {', '.join(known)}{hint}")
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
    spent: Callable[[Question], Hashable] = lambda question: question.answer,
) -> pa.Table:
    """A benchmark of a task's questions with `n` candidates: at most `evaluation` of them, and `calibration` others.

    Which are which, `deal_roles` says. The candidates stand as in the file: presentations shuffle them. Questions of
    another N are left out.

    Args:
        questions: those of the task.
        images: an `images` table with at least their candidates.
        dataset: name that the question ids begin with.
        n: candidates per question.
        evaluation: evaluation questions at most; the benchmark has all there are where there are fewer.
        calibration: number of calibration questions.
        seed: all random choices follow from it.
        spent: what no evaluation question shares with one that calibrates; by default the text that is right.

    Returns:
        A `questions` table, evaluation questions first, each role by rank.

    Raises:
        BenchmarkError: too few questions with `n` candidates, or a text that the table lacks.
    """
    ids = dict(zip(images["text"].to_pylist(), images["image_id"].to_pylist(), strict=True))
    return questions_table(
        questions,
        columns=lambda q: {
            "caption": q.query,
            "candidates": [_text_id(text, ids) for text in q.candidates],
            "target": q.target,
        },
        name=lambda q: q.id,
        size=lambda q: len(q.candidates),
        number=lambda q: q.number,
        target=spent,
        dataset=dataset,
        task=task,
        n=n,
        evaluation=evaluation,
        calibration=calibration,
        seed=seed,
    )


def summary_of(questions: Sequence[Question], left: Sequence[str] = ()) -> str:
    """One line: the questions of each task and N, of which a benchmark has those of its own N; and what was left out.

    Args:
        left: what was left out and why, one entry each.
    """
    counts = Counter((question.task, len(question.candidates)) for question in questions)
    tasks = dict.fromkeys(task for task, _ in counts)
    told = (
        f"{task}: {', '.join(f'{count} with {n}' for (own, n), count in sorted(counts.items()) if own == task)}"
        for task in tasks
    )
    rest = f"; left out: {few(list(left), '; ')}" if left else ""
    return f"questions by number of candidates, of which a benchmark asks those of its N; {'; '.join(told)}{rest}"


def shown(value: object) -> str:
    """A value in an error, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _text_id(text: str, ids: dict[str, int]) -> int:
    if text not in ids:
        raise BenchmarkError(f"text {shown(text)} is not in the images table; read the questions of this task into it")
    return ids[text]
