"""Metrics over all orders of all questions: inspect_ai hands them every epoch's score, not their mean.

Shares are between 0 and 1, as inspect_ai has them. A metric that cannot be had is NaN.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
from inspect_ai.scorer import Metric, SampleScore, metric

from lad.calibration.calibrate import calibrate
from lad.logs import LogError, Shown, deal_calibration, signals_of
from lad.methods import score as answers_by
from lad.refusal import Refusal

SHOWN: Final = "shown"
"""The entry of a score's metadata with the choice at each position."""

_CORRECTED: Final = ("vanilla", "pride", "permutation_average", "majority_vote")


@metric(scores="unreduced")
def flip_rate() -> Metric:
    """Share of the questions shown more than once that are not answered with the same choice each time."""

    def compute(scores: list[SampleScore]) -> float:
        answered = defaultdict(list)
        for one in scores:
            facts = _facts(one)
            answered[one.sample_id].append(facts["position"] and facts[SHOWN][facts["position"] - 1])
        flipped = [len(set(choices)) > 1 or choices[0] is None for choices in answered.values() if len(choices) > 1]
        return float(np.mean(flipped)) if flipped else float("nan")

    return compute


@metric(scores="unreduced")
def recall() -> Metric:
    """Share of the answers that are right, by where the target stood: accuracy at each position."""

    def compute(scores: list[SampleScore]) -> dict[str, float]:
        places = [at for at in _positions(scores, "target_position") if at]
        right = [_facts(one)["position"] == _facts(one)["target_position"] for one in scores]
        return {
            f"recall_{at}": float(np.mean([hit for hit, place in zip(right, places, strict=True) if place == at]))
            for at in sorted(set(places))
        }

    return compute


@metric(scores="unreduced")
def selection_rate() -> Metric:
    """Share of all presentations that are answered with each position."""

    def compute(scores: list[SampleScore]) -> dict[str, float]:
        times = Counter(_positions(scores, "position"))
        return {f"selection_rate_{at}": times[at] / len(scores) for at in range(1, _most(scores) + 1)}

    return compute


@metric(scores="unreduced")
def chi_squared() -> Metric:
    """Pearson's chi-squared of the answered positions against equal shares, with N - 1 degrees of freedom.

    Equal shares are what no bias gives where the targets stand evenly, as in N cyclic orders. Orders of a question are
    no independent draws, so that the usual limits are approximate.
    """
    return _of_counts(lambda chi, answers, n: chi)


@metric(scores="unreduced")
def cramers_v() -> Metric:
    """Cramer's V of the same, sqrt(chi-squared / (answers (N - 1))): 0 without bias, 1 if one position is answered."""
    return _of_counts(lambda chi, answers, n: float(np.sqrt(chi / (answers * (n - 1)))))


@metric(scores="unreduced")
def corrected(calibration: int = 20) -> Metric:
    """Accuracy of lad's methods on the questions that are not calibrated on: vanilla, and corrected.

    pride is calibrated on so many questions, dealt by a hash of their ids. Answers of permutation_average and
    majority_vote are one for each question. What needs log-probabilities, or more questions than there are, is NaN.

    Args:
        calibration: how many questions; they have to be shown in N cyclic orders.
    """

    def compute(scores: list[SampleScore]) -> dict[str, float]:
        by_size = defaultdict(list)
        for one in scores:
            by_size[len(_facts(one)[SHOWN])].append(one)
        correct: dict[str, list[pa.Table]] = defaultdict(list)
        for group in by_size.values():
            for method, right in _corrected(group, calibration).items():
                correct[method].append(right)
        return {
            f"corrected_{method}": float(np.mean(np.concatenate(correct[method])))
            if len(correct[method]) == len(by_size)
            else float("nan")
            for method in _CORRECTED
        }

    return compute


def _corrected(scores: list[SampleScore], calibration: int) -> dict[str, Any]:
    """By method, whether each answer is right; of methods that can answer."""
    signals = signals_of([_shown(one) for one in scores]).signals
    try:
        aside, rest = deal_calibration(signals, calibration)
    except LogError:
        return {}
    found = {}
    for method in _CORRECTED:
        try:
            fitted = calibrate(aside) if method == "pride" else None
            found[method] = answers_by(rest, fitted, method)["correct"].to_numpy(zero_copy_only=False).astype(float)
        except Refusal:
            continue
    return found


def _shown(one: SampleScore) -> Shown:
    facts = _facts(one)
    return Shown(
        where=f"sample {one.sample_id}",
        question_id=str(one.sample_id),
        candidates=tuple(facts[SHOWN]),
        target_position=facts["target_position"],
        position=facts["position"],
        logprobs=None if facts["logprobs"] is None else tuple(facts["logprobs"]),
    )


def _of_counts(value: Callable[[float, int, int], float]) -> Metric:
    def compute(scores: list[SampleScore]) -> float:
        n = _most(scores)
        times = Counter(at for at in _positions(scores, "position") if at)
        answers = sum(times.values())
        if not answers:
            return float("nan")
        expected = answers / n
        return value(sum((times[at] - expected) ** 2 / expected for at in range(1, n + 1)), answers, n)

    return compute


def _facts(one: SampleScore) -> dict[str, Any]:
    facts: dict[str, Any] = one.score.metadata or {}
    return facts


def _positions(scores: list[SampleScore], name: str) -> list[int | None]:
    return [_facts(one)[name] for one in scores]


def _most(scores: list[SampleScore]) -> int:
    return max(len(_facts(one)[SHOWN]) for one in scores)
