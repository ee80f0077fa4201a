"""What it is worth to choose calibration questions, measured: choosers that see no target against random draws.

Each choice of so many questions from the pool is calibrated on, and every method answers the same evaluation questions
after it. Nothing is chosen by these answers.

A cell has some hundred choices: the ranker's arithmetic answers after each, in a fifth of the time that the queries
take. A test holds it against them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lad import contracts, parquet
from lad.calibration.calibrate import CalibrationError
from lad.calibration.choice import Chooser, choosers_for, passes, ranked, stops_at
from lad.calibration.observations import number_of_candidates
from lad.evaluation.bootstrap import FEWEST_QUESTIONS, INTERVAL, Floats, resample_counts
from lad.methods import parse_method
from lad.rank.arithmetic import Arithmetic, get_arithmetic
from lad.seeded import shuffled

METHODS: Final = ("pride", "purified_attention", "agd", "fusion")
POOL: Final = 40
QUESTIONS: Final = (1, 2, 3, 5, 10)
DRAWS: Final = 20


@dataclass(frozen=True)
class Choice:
    """Questions that were chosen: by whom, and whether the rule said how many."""

    chooser: str
    questions: tuple[str, ...]
    passes: int
    stopped: bool = False


def measure_choices(
    calibration: pa.Table,
    evaluation: pa.Table,
    *,
    methods: Sequence[str] = METHODS,
    pool: int = POOL,
    questions: Sequence[int] = QUESTIONS,
    draws: int = DRAWS,
    resamples: int = 2000,
    seed: int = 0,
) -> pa.Table:
    """A table CHOICES: the accuracy of each method after each choice.

    Args:
        calibration: signals of the pool, each question in its N shifts.
        evaluation: signals to be answered, of the same N and model.
        pool: the first so many question ids; all where there are fewer.
        questions: how many to choose; numbers above the pool are left out.
        draws: random choices of each number.

    Raises:
        CalibrationError: fewer than 2 questions in the pool, or no number that fits it.
        ScoringError, SignalsError, TableError: as `score` and `calibrate`.
    """
    ids = sorted(pc.unique(calibration["question_id"]).to_pylist())[:pool]
    fitting = [count for count in questions if count <= len(ids)]
    if len(ids) < 2 or not fitting or draws < 2:
        raise CalibrationError(
            f"the pool holds {len(ids)} questions, chosen are {', '.join(map(str, questions))}, {draws} times at"
            " random; a pool holds 2 questions or more, at least as many as are chosen, and there are 2 draws or more"
        )
    calibration = calibration.filter(pc.is_in(calibration["question_id"], pa.array(ids)))
    n, rows = number_of_candidates(calibration), []
    counts = _counts(evaluation, resamples, seed)
    choices = list(_choices(calibration, len(ids), fitting, n))
    arithmetic = [get_arithmetic(method) for method in methods]

    def answered(choice: Choice) -> Floats:
        return _accuracies(calibration, evaluation, choice.questions, arithmetic)

    random = {count: np.stack([answered(one) for one in _draws(ids, count, draws, n, seed)]) for count in fitting}
    for count, found in random.items():  # draws x methods x questions
        each = found.mean(axis=2)
        low, high = np.percentile(each, INTERVAL, axis=0)
        rows += [
            _row(method, "random", len(ids), count, passes("first", len(ids), count, n), n, *values)
            for method, *values in zip(methods, each.mean(axis=0), low, high, strict=True)
        ]
    for choice in choices:
        ours, count = answered(choice), len(choice.questions)
        # Where the rule stops between two numbers, against the smaller one's draws: more of them would say more.
        against = max((other for other in fitting if other <= count), default=fitting[0])
        ahead = ours - random[against].mean(axis=0)
        for method, own, lead in zip(methods, ours, ahead, strict=True):
            values = (own.mean(), *_interval(own, counts), lead.mean(), *_interval(lead, counts))
            rows.append(
                _row(method, choice.chooser, len(ids), count, choice.passes, n, *values, stopped=choice.stopped)
            )
    return parquet.from_rows(rows, contracts.CHOICES)


def _draws(ids: Sequence[str], count: int, draws: int, n: int, seed: int) -> Iterator[Choice]:
    for draw in range(draws):
        drawn = shuffled(ids, seed, "calibration", count, draw)[:count]
        yield Choice("random", tuple(drawn), passes("first", len(ids), count, n))


def _choices(calibration: pa.Table, pool: int, counts: Sequence[int], n: int) -> Iterator[Choice]:
    chooser: Chooser
    for chooser in choosers_for(calibration):
        order = ranked(calibration, chooser)
        for count in counts:
            yield Choice(chooser, tuple(order[:count]), passes(chooser, pool, count, n))
        count = stops_at(calibration, order)
        yield Choice(chooser, tuple(order[:count]), passes(chooser, pool, count, n), stopped=True)


def _accuracies(
    calibration: pa.Table, evaluation: pa.Table, chosen: Sequence[str], methods: Sequence[Arithmetic]
) -> Floats:
    """Methods x evaluation questions: the share of right answers over orders, in percent."""
    fitted = calibration.filter(pc.is_in(calibration["question_id"], pa.array(chosen)))
    _, question = np.unique(evaluation["question_id"].to_pylist(), return_inverse=True)
    target = evaluation["target_position"].to_numpy()
    rights = [1 + method.score(evaluation, method.learn(fitted)).argmax(axis=1) == target for method in methods]
    return np.stack([100 * np.bincount(question, weights=right) / np.bincount(question) for right in rights])


def _counts(evaluation: pa.Table, resamples: int, seed: int) -> Floats | None:
    questions = len(pc.unique(evaluation["question_id"]))
    if questions < FEWEST_QUESTIONS:
        return None
    return np.concatenate(list(resample_counts(questions, resamples, seed)))


def _interval(values: Floats, counts: Floats | None) -> tuple[float | None, float | None]:
    """The 95 % bootstrap interval of a mean over questions."""
    if counts is None:
        return None, None
    low, high = np.percentile(counts @ values / len(values), INTERVAL)
    return float(low), float(high)


def _row(
    method: str,
    chooser: str,
    pool: int,
    questions: int,
    passes: int,
    n: int,
    accuracy: float,
    low: float | None,
    high: float | None,
    lead: float | None = None,
    lead_low: float | None = None,
    lead_high: float | None = None,
    *,
    stopped: bool = False,
) -> dict[str, Any]:
    parsed = parse_method(method)
    return {
        "method": parsed.method.name,
        "variant": parsed.variant,
        "n_candidates": n,
        "chooser": chooser,
        "stopped": stopped,
        "pool": pool,
        "questions": questions,
        "passes": passes,
        "accuracy": float(accuracy),
        "low": low,
        "high": high,
        "lead": lead,
        "lead_low": lead_low,
        "lead_high": lead_high,
    }
