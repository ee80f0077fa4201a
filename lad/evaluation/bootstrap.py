"""95 % intervals of the metrics, by resampling questions.

The orders of one question are one cluster: they share its caption and images, so questions are drawn, not
presentations. Every metric here is a function of sums over questions. A resample is therefore a vector of counts
(how often each question was drawn), and the resamples of a metric are one matrix product of counts and sums per
question. Methods that answered the same questions get the same counts for the same seed, in this call or another:
the difference of two methods is resampled in pairs.

The intervals are the percentiles of the resamples, but for two cases in which those are wrong. RStd and Cramer's V,
standard deviations over positions, grow with the noise in what they are taken over, and every resample adds as much
noise again: their percentiles are shifted back, which errs on the side of seeing no bias. And of fewer than ten
questions there is no interval: two methods that are equally good would stand apart in 11 to 17 % of comparisons on 2
to 5 questions, and in 64 % on one, where an interval has no width.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

INTERVAL: Final = (2.5, 97.5)
"""The percentiles that bound a 95 % interval."""

FEWEST_QUESTIONS: Final = 10
"""Fewer have no intervals."""

_NOISY: Final = ("rstd", "cramers_v")
"""Standard deviations over positions: chance alone makes them larger."""

_DRAWS_AT_ONCE: Final = 1_000_000
"""Bounds the memory of one block of resamples to some 30 MB."""


@dataclass(frozen=True)
class QuestionSums:
    """What the metrics of one method need to know of each question.

    Attributes:
        correct, shown: questions x rounds; right answers, presentations.
        targets: questions x positions; presentations with the target there.
        right: questions x positions; right answers with the target there. In a window of a list another candidate
            than the target may be right as well.
        answered: questions x (target position, answered position), the latter changing faster; answers.
        consistent, repeated: questions x 1; 1 where all orders led to one candidate, 1 where there were several.
        flips, pairs: questions x 1; pairs of orders that led to two candidates, pairs with an answer in both.
        preferred, both: questions x 1; at N = 2, 1 or -1 where the second or first position was answered in both
            orders, and 1 where both have an answer; nothing at other N.
    """

    correct: Floats
    shown: Floats
    targets: Floats
    right: Floats
    answered: Floats
    consistent: Floats
    repeated: Floats
    flips: Floats
    pairs: Floats
    preferred: Floats
    both: Floats

    def metrics(self) -> dict[str, Floats]:
        """The metrics in percent, each row taken as the totals of one sample of questions.

        Returns:
            By metric, rows x values: one value, or one per position for recall and selection_rate. NaN where the
            sample does not define it, because no target was there, say. Each is the arithmetic of the metric's query.
        """
        n = self.targets.shape[1]
        answered = self.answered.reshape(-1, n, n)
        with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # nanmean and nanstd of nothing are NaN, as wanted
            recall = 100 * self.right / self.targets
            share = (answered / answered.sum(axis=2, keepdims=True)).mean(axis=1)
            metrics = {
                "accuracy": _accuracy(self.correct, self.shown)[:, None],
                "rstd": np.nanstd(recall, axis=1, ddof=1, keepdims=True),
                "consistency": 100 * self.consistent / self.repeated,
                "recall": recall,
                "selection_rate": 100 * answered.sum(axis=1) / self.shown.sum(axis=1, keepdims=True),
                "cramers_v": np.sqrt(n * ((share - 1 / n) ** 2).sum(axis=1, keepdims=True) / (n - 1)),
                "flip_rate": 100 * self.flips / self.pairs,
            }
            if self.both.shape[1]:
                metrics["preference_fairness"] = 100 * self.preferred / self.both
            return metrics


def question_sums(predictions: pa.Table) -> tuple[tuple[str, ...], QuestionSums]:
    """The ids of the questions, ascending, and their sums, of the predictions of one method and variant."""
    ids, question = np.unique(_array(predictions, "question_id"), return_inverse=True)
    rounds, round_index = np.unique(_array(predictions, "round"), return_inverse=True)
    n_candidates = predictions["n_candidates"][0].as_py()
    target = _array(predictions, "target_position") - 1
    # An answer that could not be parsed is position 0 of candidate 0: it is dropped from every sum but `shown`.
    position = np.nan_to_num(_array(predictions, "position")).astype(np.int64)
    candidate = np.nan_to_num(_array(predictions, "candidate")).astype(np.int64)
    correct = _array(predictions, "correct").astype(bool)

    def count(column: Ints, width: int, where: npt.NDArray[np.bool_] | slice = slice(None)) -> Floats:
        cells = question[where] * width + column[where]
        return np.bincount(cells, minlength=len(ids) * width).reshape(len(ids), width).astype(np.float64)

    repeated = np.bincount(question) > 1
    answers = count(candidate, n_candidates + 1)
    consistent = repeated & (answers[:, 0] == 0) & ((answers > 0).sum(axis=1) == 1)
    times, total = answers[:, 1:], answers[:, 1:].sum(axis=1)
    pairs = total * (total - 1) / 2
    selected = count(position, n_candidates + 1)
    targets = count(target, n_candidates)
    in_both = (selected[:, 1:].sum(axis=1) == 2) & (targets == 1).all(axis=1)
    nothing = np.empty((len(ids), 0))
    sums = QuestionSums(
        correct=count(round_index, len(rounds), correct),
        shown=count(round_index, len(rounds)),
        targets=targets,
        right=count(target, n_candidates, correct),
        answered=count(target * n_candidates + position - 1, n_candidates**2, position > 0),
        consistent=consistent[:, None].astype(np.float64),
        repeated=repeated[:, None].astype(np.float64),
        flips=(pairs - (times * (times - 1) / 2).sum(axis=1))[:, None],
        pairs=pairs[:, None],
        preferred=np.where(in_both, (selected[:, 2] - selected[:, 1]) / 2, 0)[:, None]
        if n_candidates == 2
        else nothing,
        both=in_both[:, None].astype(np.float64) if n_candidates == 2 else nothing,
    )
    return tuple(ids), sums


def resample_counts(questions: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each question is drawn in each resample: blocks of resamples x questions, rows adding up to it.

    The same arguments give the same counts.
    """
    generator = np.random.default_rng(seed)
    at_once = max(1, _DRAWS_AT_ONCE // questions)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = generator.integers(questions, size=(rows, questions)) + questions * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * questions).reshape(rows, questions).astype(np.float64)


def resample(sums: list[QuestionSums], counts: Floats) -> list[QuestionSums]:
    """The sums over drawn questions, of each method: in place of questions, the resamples of `counts`."""
    totals = _totals([part for method in sums for part in vars(method).values()], counts)
    n_parts = len(fields(QuestionSums))
    return [QuestionSums(*totals[start : start + n_parts]) for start in range(0, len(totals), n_parts)]


def intervals(sums: list[QuestionSums], resamples: int, seed: int) -> list[dict[str, Floats]]:
    """The intervals of several methods that answered the same questions.

    Returns:
        For each method, by metric: (low, high) x values; NaN where no resample defines the metric, and everywhere with
        fewer than FEWEST_QUESTIONS.
    """
    questions = len(sums[0].shown)
    measured = [method.metrics() for method in resample(sums, np.ones((1, questions)))]
    if questions < FEWEST_QUESTIONS:
        return [{metric: np.full((2, values.shape[1]), np.nan) for metric, values in ours.items()} for ours in measured]
    blocks: list[list[dict[str, Floats]]] = [[] for _ in sums]
    for counts in resample_counts(questions, resamples, seed):
        for block, resampled in zip(blocks, resample(sums, counts), strict=True):
            block.append(resampled.metrics())
    return [_bounds(block, ours) for block, ours in zip(blocks, measured, strict=True)]


def _bounds(blocks: list[dict[str, Floats]], measured: dict[str, Floats]) -> dict[str, Floats]:
    """(low, high) x values of one method's metrics, from its blocks of resamples and what was measured."""
    resampled = {metric: np.concatenate([block[metric] for block in blocks]) for metric in measured}
    bounds = {
        metric: _less_noise(values, measured[metric]) if metric in _NOISY else percentiles(values)
        for metric, values in resampled.items()
    }
    if resampled["selection_rate"].shape[1] == 2:
        first, second = resampled["selection_rate"].T
        bounds["cramers_v"] = _folded(resampled["cramers_v"] * np.sign(second - first)[:, None])
    return bounds


def _folded(signed: Floats) -> Floats:
    """Bounds of the size of a number whose sign is known, of resamples x 1: V's, which at N = 2 is a difference."""
    low, high = percentiles(signed)
    smallest = np.where(low * high <= 0, 0, np.minimum(abs(low), abs(high)))
    return np.stack([smallest, np.maximum(abs(low), abs(high))])


def _less_noise(resampled: Floats, measured: Floats) -> Floats:
    """Bounds of a standard deviation over positions, of which resamples x 1 and the measured one are given.

    V is one too: sqrt(N) times that of the shares of the answers, ddof 1.

    Sampling questions adds its variance to the square of what is measured, and once more to those of the resamples.
    Their mean less the measured square is that variance, so that they are shifted back by twice as much. The measured
    value itself, the paper's RStd say, has the noise in it. It may lie near the upper bound, or, with many positions
    and hardly any bias, above it.
    """
    squares = resampled**2
    noise = np.nanmean(squares) - measured**2 if np.isfinite(squares).any() else np.nan
    return np.asarray(np.sqrt(np.maximum(percentiles(squares) - 2 * noise, 0)))


def paired_differences(
    ours: list[QuestionSums], resamples: int, seed: int, theirs: list[QuestionSums] | None = None
) -> Floats:
    """The differences in accuracy of methods that answered the same questions, with their intervals.

    Each of `ours` is compared with each of `theirs`, or with each of `ours` where there are none.

    Both methods of a pair are measured on the very questions of each resample, so that what makes a question hard for
    both cancels out.

    Returns:
        (value, low, high) x ours x theirs, in points: the method of the row minus that of the column. The bounds are
        NaN with fewer than FEWEST_QUESTIONS.
    """
    sums = ours if theirs is None else [*ours, *theirs]
    questions = len(sums[0].shown)
    rows, columns = slice(len(ours)), slice(0 if theirs is None else len(ours), None)
    value = _accuracies(sums, np.ones((1, questions)))[0]
    values = value[rows, None] - value[columns]
    if questions < FEWEST_QUESTIONS:
        return np.stack([values, np.full_like(values, np.nan), np.full_like(values, np.nan)])
    resampled = np.concatenate([_accuracies(sums, counts) for counts in resample_counts(questions, resamples, seed)])
    # One method against all at a time, which bounds the memory.
    bounds = [percentiles(one[:, None] - resampled[:, columns]) for one in resampled[:, rows].T]
    return np.concatenate([[values], np.stack(bounds, axis=1)])


def _accuracies(sums: list[QuestionSums], counts: Floats) -> Floats:
    """Resamples x methods, for methods that answered the same questions."""
    # Most methods are shown the same presentations, whose totals are taken once.
    shown = {method.shown.tobytes(): method.shown for method in sums}
    totals = _totals([*shown.values(), *(method.correct for method in sums)], counts)
    shown_totals = dict(zip(shown, totals, strict=False))
    with np.errstate(invalid="ignore"):
        accuracies = [
            _accuracy(correct, shown_totals[method.shown.tobytes()])
            for method, correct in zip(sums, totals[len(shown) :], strict=True)
        ]
    return np.stack(accuracies, axis=1)


def _accuracy(correct: Floats, shown: Floats) -> Floats:
    """Percent, the mean over rounds, of samples x rounds; a round without presentations does not count."""
    return np.asarray(np.nanmean(100 * correct / shown, axis=1))


def _totals(parts: list[Floats], counts: Floats) -> list[Floats]:
    """The sums of each part over drawn questions: in place of questions, the resamples of `counts`."""
    # One product for all: numbers this small are exact in single precision, which takes half the time.
    totals = counts.astype(np.float32) @ np.hstack(parts).astype(np.float32)
    return np.split(totals.astype(np.float64), np.cumsum([part.shape[1] for part in parts])[:-1], axis=1)


def percentiles(values: Floats) -> Floats:
    """Lower and upper bound of each column of resamples x values."""
    if np.isnan(values).any():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a column without any number has NaN bounds
            return np.asarray(np.nanpercentile(values, INTERVAL, axis=0))
    return np.asarray(np.percentile(values, INTERVAL, axis=0))


def _array(table: pa.Table, column: str) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = table[column].to_numpy()
    return array
