"""Which candidates are shown in which order, look by look, until all of them are ranked.

Up to a window's size, all candidates are shown at once. Longer lists are ranked from their end on: the window stands
over the last candidates, sorts them, and moves up by half its size, so that the better half meets the next candidates
(the sliding window of Sun et al., arXiv 2304.09542). What stands first then has been compared with what came near the
top of every window; the order further down is less sure.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lad.calibration.evidence import Floats

Order = tuple[int, ...]
"""Which candidate, from 0, stands at each position."""


class Told(NamedTuple):
    """What one presentation told, by position: the method's scores, and the model's own probabilities if asked for."""

    scores: Floats
    probabilities: Floats | None


@dataclass(frozen=True)
class Ranking:
    """All candidates, best first.

    Attributes:
        candidates: from 0.
        scores, probabilities: by candidate, of those that stood in the last look: scores are means over its orders,
            probabilities those of its first order.
        plain: the candidate that the model itself names there; None where it was not asked.
        passes: how many presentations that took.
    """

    candidates: tuple[int, ...]
    scores: dict[int, float]
    probabilities: dict[int, float]
    plain: int | None
    passes: int


def rank(count: int, window: int, orders: int) -> Generator[list[Order], Sequence[Told], Ranking]:
    """Yields the presentations that it wants, is sent what they told, and returns the ranking.

    Args:
        count: number of candidates.
        window: how many are shown at once, at most.
        orders: in how many orders each window is shown: as it stands, and shifted by equal steps.
    """
    ranking = list(range(count))
    passes = 0
    start = max(0, count - window)
    while True:
        shown = ranking[start : start + window]
        turns = min(orders, len(shown))
        shifts = (len(shown) * turn // turns for turn in range(turns))
        asked = [tuple(shown[shift:] + shown[:shift]) for shift in shifts]
        told = yield asked
        passes += len(asked)
        sums = dict.fromkeys(shown, 0.0)
        for order, one in zip(asked, told, strict=True):
            for candidate, score in zip(order, one.scores.tolist(), strict=True):
                sums[candidate] += score / len(asked)
        ranking[start : start + window] = sorted(shown, key=lambda candidate: -sums[candidate])
        if start == 0:
            own = told[0].probabilities
            probabilities = {} if own is None else dict(zip(shown, own.tolist(), strict=True))
            plain = None if own is None else max(shown, key=lambda candidate: probabilities[candidate])
            return Ranking(tuple(ranking), sums, probabilities, plain, passes)
        start = max(0, start - max(1, window // 2))


def passes_of(count: int, window: int, orders: int) -> int:
    """How many presentations it takes to rank so many candidates."""
    windows = 1 if count <= window else 1 + -(-(count - window) // max(1, window // 2))
    return windows * min(orders, count, window)
