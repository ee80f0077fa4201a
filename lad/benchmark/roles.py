"""Which of a dataset's own questions are evaluated and which calibrate: one rule for every format that has some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from lad.benchmark import BenchmarkError
from lad.seeded import shuffled

if TYPE_CHECKING:
    import pyarrow as pa

Q = TypeVar("Q")


def deal_roles(
    questions: Sequence[Q],
    *,
    number: Callable[[Q], int],
    target: Callable[[Q], Hashable],
    evaluation: int,
    calibration: int,
    seed: int,
) -> tuple[list[Q], list[Q]]:
    """The evaluation questions, at most `evaluation` of them, and the calibration questions.

    The questions are ranked by a hash of the seed and their number. As in `lad.benchmark.questions`, evaluation takes
    the top of the ranking and calibration the bottom, so either may grow without changing an earlier question. A
    question whose target serves calibration is not evaluated.

    Args:
        number: a question's number, which no other has.
        target: what the answer is.
    """
    numbered = {number(question): question for question in questions}
    ranked = [numbered[key] for key in shuffled(numbered, seed, "question")]
    fitted = ranked[::-1][:calibration]
    taken, spent = {number(question) for question in fitted}, {target(question) for question in fitted}
    asked = [question for question in ranked if number(question) not in taken and target(question) not in spent]
    return asked[:evaluation], fitted


def refuse_too_few(task: str, sizes: Iterable[int], *, n: int, asked: int, fitted: int, calibration: int) -> None:
    """`BenchmarkError` where no question is left to evaluate, or not enough calibrate.

    Args:
        sizes: the number of candidates of each question that the task has.
        n: the number that is wanted.
        asked, fitted: how many evaluation and calibration questions there are.
        calibration: how many calibration questions are wanted.
    """
    if fitted == calibration and asked:
        return
    known = ", ".join(f"{count} with {size}" for size, count in sorted(Counter(sizes).items())) or "none"
    raise BenchmarkError(
        f"task {task}: {calibration} calibration questions and at least one other with {n} candidates wanted;"
        f" questions it has: {known}"
    )


def questions_table(
    questions: Sequence[Q],
    *,
    columns: Callable[[Q], dict[str, Any]],
    name: Callable[[Q], str],
    size: Callable[[Q], int],
    number: Callable[[Q], int],
    target: Callable[[Q], Hashable],
    dataset: str,
    task: str,
    n: int,
    evaluation: int,
    calibration: int,
    seed: int,
) -> pa.Table:
    """A benchmark of a task's questions with `n` candidates: at most `evaluation` of them, and `calibration` others.

    Which are which, `deal_roles` says (`number`, `target`). Questions of another N are left out.

    Args:
        questions: those of the task.
        columns: what a question's row holds besides id, role, rank and N: caption, candidates and target.
        name: the end of a question's id.
        size: a question's number of candidates.
        dataset: name that the question ids begin with.

    Returns:
        A `questions` table, evaluation questions first, each role by rank.

    Raises:
        BenchmarkError: too few questions with `n` candidates, or what `columns` raises.
    """
    from lad import contracts, parquet

    asked, fitted = deal_roles(
        [question for question in questions if size(question) == n],
        number=number,
        target=target,
        evaluation=evaluation,
        calibration=calibration,
        seed=seed,
    )
    refuse_too_few(task, map(size, questions), n=n, asked=len(asked), fitted=len(fitted), calibration=calibration)
    rows = [
        {
            "question_id": f"{dataset}-{task}-n{n:02d}-{role[0]}{rank:05d}-{name(question)}",
            "role": role,
            "rank": rank,
            **columns(question),
            "n_candidates": n,
        }
        for role, members in (("evaluation", asked), ("calibration", fitted))
        for rank, question in enumerate(members)
    ]
    return parquet.from_rows(rows, contracts.QUESTIONS)
