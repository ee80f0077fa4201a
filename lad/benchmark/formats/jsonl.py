"""Read questions among texts of one's own: one JSON object per line, with a query, its candidates and the target.

    {"query": "Who wrote Faust?", "candidates": ["Schiller", "Goethe", "Heine"], "target": 2}

`target` counts from 1. `id` names the question in results (a text or a whole number; by default the line's number), and
`task` the setting that it belongs to (`questions` by default). Other keys are not looked at. Empty lines are skipped.

Every line is checked before anything is made of the file, and all faults are told together: a question that is left
out silently would change what is measured. Texts lose white space at either end and line breaks, so that a candidate
stays on its line of the prompt. Not in the paper, whose candidates are images.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NoReturn

from pydantic import Field

from lad.benchmark import BenchmarkError
from lad.benchmark.captions import few, images_table
from lad.benchmark.formats.base import FromFiles, ImagesRead
from lad.benchmark.roles import deal_roles, refuse_too_few
from lad.extraction.prompts import MAX_CANDIDATES
from lad.section import FilePath

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT_TASK: Final = "questions"
"""The setting of lines that name no task."""

_TASK: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class Jsonl(FromFiles):
    paths: ClassVar[tuple[str, ...]] = ("questions",)
    code: ClassVar[tuple[str, ...]] = ("benchmark/captions.py", "benchmark/roles.py", "seeded.py")

    format: Literal["jsonl"] = Field(
        description="Questions of your own among texts, one JSON object per line; its settings are its tasks."
    )
    questions: FilePath = Field(
        description='Lines such as `{"query": "...", "candidates": ["...", "..."], "target": 2}`.'
    )

    def read_images(self, settings: Sequence[str]) -> ImagesRead:
        asked = of_tasks(read_lines(Path(self.questions)), settings, Path(self.questions))
        return ImagesRead(texts_of(asked), _summary(asked))

    def build_questions(self, images: pa.Table, *, setting: str, **asked: Any) -> pa.Table:
        path = Path(self.questions)
        return build_questions(of_tasks(read_lines(path), [setting], path), images, task=setting, **asked)


FORMAT = Jsonl


class _FaultError(Exception):
    """What is wrong with a line."""


@dataclass(frozen=True)
class Question:
    """A line of the file.

    Attributes:
        line: its number, from 1.
        target: which candidate is right, from 1.
    """

    line: int
    id: str
    task: str
    query: str
    candidates: tuple[str, ...]
    target: int


def read_lines(path: Path) -> list[Question]:
    """All questions of a file, in its order.

    Raises:
        BenchmarkError: a file that cannot be read or has no question, or lines that are none; one line that names each
            of them (the first three) with its number and what is wrong.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise BenchmarkError(f"{path}: not a text file in UTF-8 ({error})") from None
    questions: list[Question] = []
    faults: list[str] = []
    line_of: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            question = _question(number, line)
            if question.id in line_of:
                _refuse(f"has id {question.id!r}, as line {line_of[question.id]} has")
        except _FaultError as fault:
            faults.append(f"line {number} {fault}")
            continue
        line_of[question.id] = number
        questions.append(question)
    if faults:
        raise BenchmarkError(f"{path}: {few(faults, '; ')}")
    if not questions:
        raise BenchmarkError(f"{path}: has no question; a line is {_EXAMPLE}")
    return questions


def of_tasks(questions: Sequence[Question], tasks: Collection[str], path: Path) -> list[Question]:
    """The questions of these tasks, of all where none is named.

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


_EXAMPLE: Final = '{"query": "...", "candidates": ["...", "..."], "target": 2}'


def _question(number: int, line: str) -> Question:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        _refuse(f"is not JSON ({error.msg}, character {error.pos + 1})")
    if not isinstance(entry, dict):
        _refuse(f"is not an object; a line is {_EXAMPLE}")
    candidates = _candidates(entry)
    return Question(
        line=number,
        id=_id(entry, number),
        task=_task(entry),
        query=_text(entry.get("query"), "query"),
        candidates=candidates,
        target=_target(entry, len(candidates)),
    )


def _candidates(entry: dict[str, Any]) -> tuple[str, ...]:
    given = entry.get("candidates")
    if not isinstance(given, list):
        _refuse(
            "has no candidates" if given is None else f"has candidates {_shown(given)}, expected is a list of texts"
        )
    if not 2 <= len(given) <= MAX_CANDIDATES:
        _refuse(f"has {len(given)} candidates; allowed are 2 to {MAX_CANDIDATES}")
    candidates = tuple(_text(text, f"candidate {at}") for at, text in enumerate(given, start=1))
    for at, text in enumerate(candidates):
        if (first := candidates.index(text)) < at:
            _refuse(f"has the same text as candidates {first + 1} and {at + 1}: {_shown(text)}")
    return candidates


def _text(value: object, name: str) -> str:
    """The text on one line."""
    if not isinstance(value, str):
        _refuse(f"has no {name}" if value is None else f"has {name} {_shown(value)}, expected is a text")
    text = " ".join(value.split())
    if not text:
        _refuse(f"has an empty {name}")
    return text


def _target(entry: dict[str, Any], n: int) -> int:
    target = entry.get("target")
    if target is None:
        _refuse(f"has no target: which candidate is right, 1 to {n}?")
    if not isinstance(target, int) or isinstance(target, bool) or not 1 <= target <= n:
        _refuse(f"has target {_shown(target)}; allowed are 1 to {n}")
    return target


def _id(entry: dict[str, Any], number: int) -> str:
    given = entry.get("id", f"line{number}")
    if isinstance(given, bool) or not isinstance(given, str | int) or not str(given).strip():
        _refuse(f"has id {_shown(given)}, expected is a text or a whole number")
    return str(given).strip()


def _task(entry: dict[str, Any]) -> str:
    task = entry.get("task", DEFAULT_TASK)
    if not isinstance(task, str) or not _TASK.fullmatch(task):
        _refuse(f"has task {_shown(task)}, expected are letters, digits, '.', '_', '+' and '-'")
    return task


def _shown(value: object) -> str:
    """A value in an error, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


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
        raise BenchmarkError(f"text {_shown(text)} is not in the images table; read the questions of this task into it")
    return ids[text]


def _refuse(fault: str) -> NoReturn:
    raise _FaultError(fault)
