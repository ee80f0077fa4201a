"""Gold panning: which candidate is the target, and in which order to show the candidates next.

It needs answers alone, no probabilities and no attention. A few calibration questions tell of each position how often
it is answered when the target stands there (its hit rate) and when it does not (its false-alarm rate). Every further
answer about a question then changes the belief in each candidate, and the likeliest candidates move to the positions
whose answers tell most.

    odds(c) <- odds(c) * h_j / f_j               c stands at j, and j was answered
    odds(c) <- odds(c) * (1 - h_j) / (1 - f_j)   c stands at j, and j was not answered

Byerly and Khashabi, Gold Panning, arXiv 2510.09770, with hit rate h (their TPR) and false-alarm rate f (their FPR).
Where this differs from the paper:

- Exactly one candidate is the target, so the belief is a distribution over candidates. The paper's documents are
  relevant or not, each for itself. The update is the same, and normalised.
- An order that was shown before is not shown again. A model that answers greedily would repeat itself, and the update
  would count the same answer twice.
- How much a position tells is the mean of the target's gain in log-odds there, KL(h_j || f_j).
- The rates are smoothed: see `fit_rates`.

Positions and candidates count from 1. An order names the candidate at each position, as in the table PRESENTATIONS.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from lad.refusal import Refusal

Floats = npt.NDArray[np.float64]
Order = tuple[int, ...]

SMOOTHING: Final = 1.0
"""How many questions that say nothing are added to those of the calibration; one keeps all rates off 0 and 1."""


class PanningError(Refusal):
    """Answers, targets, rates or orders that do not fit each other."""


@dataclass(frozen=True, eq=False)
class Rates:
    """What an answer at each position is worth.

    Attributes:
        hits: h, the probability that position j is answered when the target stands at j; N values between 0 and 1.
        false_alarms: f, the probability that j is answered when the target stands elsewhere.
    """

    hits: Floats
    false_alarms: Floats

    def __post_init__(self) -> None:
        for name, rates in (("hit", self.hits), ("false-alarm", self.false_alarms)):
            if rates.ndim != 1 or len(rates) < 2 or not ((rates > 0) & (rates < 1)).all():
                raise PanningError(f"{name} rates are {rates.tolist()}; allowed are 2 or more numbers between 0 and 1")
        if len(self.hits) != len(self.false_alarms):
            raise PanningError(f"{len(self.hits)} hit and {len(self.false_alarms)} false-alarm rates; give N of each")

    @property
    def n(self) -> int:
        """The number of positions, N."""
        return len(self.hits)

    @property
    def if_answered(self) -> Floats:
        """By how much the log-odds of the candidate at each position rise if that position is answered."""
        return np.log(self.hits) - np.log(self.false_alarms)

    @property
    def if_not_answered(self) -> Floats:
        """By how much the log-odds of the candidate at each position rise if another one is answered."""
        return np.log1p(-self.hits) - np.log1p(-self.false_alarms)

    @property
    def diagnosticity(self) -> Floats:
        """How much each position tells: by how much the target's log-odds rise on average if it stands there.

        KL(h_j || f_j) in nats: 0 where the answer does not depend on the target, never negative.
        """
        return self.hits * self.if_answered + (1 - self.hits) * self.if_not_answered


def fit_rates(answers: Sequence[int | None], targets: Sequence[int], n: int, *, smoothing: float = SMOOTHING) -> Rates:
    """The rates that calibration answers show.

    Args:
        answers: the answered position of each presentation; None where no position could be read.
        targets: where the target stood.
        n: N, the number of positions.
        smoothing: as of `rates_of`.

    Raises:
        PanningError: as many targets as answers are not there, a position outside 1 to N, or as `rates_of`.
    """
    if len(answers) != len(targets):
        raise PanningError(f"{len(answers)} answers and {len(targets)} targets; each answer needs its target")
    counts, shown = np.zeros((n, n)), np.zeros(n)
    for answer, target in zip(answers, targets, strict=True):
        _refuse_outside(target, n, "target")
        shown[target - 1] += 1
        if answer is not None:
            _refuse_outside(answer, n, "answer")
            counts[target - 1, answer - 1] += 1
    return rates_of(counts, shown, smoothing=smoothing)


def rates_of(counts: Floats, shown: Floats, *, smoothing: float = SMOOTHING) -> Rates:
    """The rates that counted answers show.

    Without smoothing, h_j is the share of j among the answers with the target at j, and f_j that share among all
    others. Of a few questions such shares are often 0 or 1, which would settle a question by a single answer. So
    `smoothing` questions are added, each shown with the target at every position, whose answers spread evenly over
    the positions: they know nothing of the target. Where no question was seen, h_j = f_j, and an answer tells nothing.

    Args:
        counts: how often, or with what summed probability, j was answered with the target at i; N x N.
        shown: how many presentations had the target at i, at least as many as were answered; N.
        smoothing: how many such questions, above 0.

    Raises:
        PanningError: counts that are no such matrix, or a smoothing that is not above 0.
    """
    n = len(shown)
    if n < 2 or counts.shape != (n, n):
        raise PanningError(f"counts have shape {counts.shape} for {n} positions; give N x N, N at least 2")
    if not 0 < smoothing < np.inf:
        raise PanningError(f"smoothing = {smoothing}; allowed is a number above 0")
    if (counts < 0).any() or (counts.sum(axis=1) > shown * (1 + 1e-5)).any():
        raise PanningError("counts are negative, or more presentations were answered than shown")
    hit, shown_here = counts.diagonal(), shown
    answered_elsewhere, shown_elsewhere = counts.sum(axis=0) - hit, shown.sum() - shown
    return Rates(
        hits=(hit + smoothing / n) / (shown_here + smoothing),
        false_alarms=(answered_elsewhere + smoothing * (n - 1) / n) / (shown_elsewhere + smoothing * (n - 1)),
    )


@dataclass(frozen=True, eq=False)
class Belief:
    """How likely each candidate is to be the target.

    Attributes:
        log_odds: of the candidates 1 to N, up to a constant; the largest is 0.
    """

    log_odds: Floats

    @classmethod
    def even(cls, n: int) -> Self:
        """The belief before the first answer: all candidates alike."""
        if n < 2:
            raise PanningError(f"a belief about {n} candidates; there are 2 or more to choose from")
        return cls(np.zeros(n))

    @property
    def n(self) -> int:
        """The number of candidates, N."""
        return len(self.log_odds)

    @property
    def probabilities(self) -> Floats:
        """Of the candidates 1 to N; they sum to 1."""
        weights = np.exp(self.log_odds)
        return np.asarray(weights / weights.sum())

    @property
    def best(self) -> int:
        """The likeliest candidate, the lowest number of several."""
        return int(np.argmax(self.log_odds)) + 1

    def update(self, order: Sequence[int], answer: int | None, rates: Rates) -> Self:
        """The belief after an answer.

        Args:
            order: the candidate at each position.
            answer: the answered position; None where no position could be read, which changes nothing.

        Raises:
            PanningError: an order that does not show every candidate once, an answer outside 1 to N, rates for
                another N.
        """
        places = _places(order, self.n)
        if rates.n != self.n:
            raise PanningError(f"rates for N = {rates.n} and a belief about {self.n} candidates; give those of one N")
        if answer is None:
            return self
        _refuse_outside(answer, self.n, "answer")
        gains = rates.if_not_answered.copy()
        gains[answer - 1] = rates.if_answered[answer - 1]
        # Rounded, so that candidates with the same evidence in another sequence tie and the lowest number wins.
        log_odds = np.round(self.log_odds + gains[places], 9)
        return type(self)(log_odds - log_odds.max())


def worth(belief: Belief, rates: Rates, orders: npt.NDArray[np.int32]) -> Floats:
    """How much an answer about each order is expected to raise the target's log-odds, in nats.

    The mean diagnosticity of the target's position: the sum over positions of the belief in the candidate there, times
    KL(h_j || f_j). `next_order` has the largest of all orders.

    Args:
        orders: the candidate at each position, orders x N.
    """
    return np.asarray(belief.probabilities[orders - 1] @ rates.diagnosticity)


def next_order(belief: Belief, rates: Rates, shown: Collection[Order] = ()) -> Order | None:
    """The likeliest candidates at the positions that tell most; None where every order was shown.

    Of all orders that were not shown it is the one of the largest `worth`. Of equally likely candidates the lower
    number comes first, of positions that tell as much the lower one.

    Raises:
        PanningError: rates for another N.
    """
    if rates.n != belief.n:
        raise PanningError(f"rates for N = {rates.n} and a belief about {belief.n} candidates; give those of one N")
    shown = set(map(tuple, shown))
    return next((order for order in _by_worth(belief, rates) if order not in shown), None)


def _by_worth(belief: Belief, rates: Rates) -> Iterator[Order]:
    """All orders, those of the largest worth first.

    The best order pairs candidates and positions by rank. Every other one comes from a better or equal one by one swap
    of candidates that are neighbours in rank of position. So a search from the best finds them in their order.
    """
    candidates = np.argsort(-belief.probabilities, kind="stable")
    positions = np.argsort(-rates.diagnosticity, kind="stable")
    chances, gains = belief.probabilities[candidates].tolist(), rates.diagnosticity[positions].tolist()

    def loss(ranks: tuple[int, ...]) -> float:
        return -math.fsum(chances[rank] * gain for rank, gain in zip(ranks, gains, strict=True))

    first = tuple(range(belief.n))
    waiting, seen = [(loss(first), first)], {first}
    while waiting:
        _, ranks = heappop(waiting)
        order = np.empty(belief.n, dtype=int)
        order[positions] = candidates[list(ranks)] + 1
        yield tuple(order.tolist())
        for at in range(belief.n - 1):
            if ranks[at] < ranks[at + 1]:
                swapped = (*ranks[:at], ranks[at + 1], ranks[at], *ranks[at + 2 :])
                if swapped not in seen:
                    seen.add(swapped)
                    heappush(waiting, (loss(swapped), swapped))


def _places(order: Sequence[int], n: int) -> npt.NDArray[np.intp]:
    """The place of each candidate 1 to N in an order, from 0."""
    if sorted(order) != list(range(1, n + 1)):
        raise PanningError(f"the order is {list(order)}; an order shows each of the candidates 1 to {n} once")
    return np.argsort(np.asarray(order))


def _refuse_outside(position: int, n: int, what: str) -> None:
    if not 1 <= position <= n:
        raise PanningError(f"{what} at position {position}; positions are 1 to {n}")
