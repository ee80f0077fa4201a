"""Long lists are ranked window by window; short ones at once."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lad.rank.looks import Ranking, Told, passes_of, rank


def ranked(fits: Sequence[float], window: int, orders: int = 1) -> tuple[Ranking, list[tuple[int, ...]]]:
    """The ranking by somebody who tells how well each candidate fits, and all that was shown."""
    looking, shown = rank(len(fits), window, orders), []
    wanted = next(looking)
    while True:
        shown += wanted
        told = [Told(np.array([fits[c] for c in order]), np.full(len(order), 1 / len(order))) for order in wanted]
        try:
            wanted = looking.send(told)
        except StopIteration as end:
            return end.value, shown


LISTS = st.lists(st.integers(0, 50), min_size=2, max_size=40)


@given(LISTS, st.integers(2, 12), st.integers(1, 3))
def test_every_candidate_is_ranked_and_the_passes_are_those_foretold(fits, window, orders):
    ranking, shown = ranked(fits, window, orders)
    assert sorted(ranking.candidates) == list(range(len(fits)))
    assert ranking.passes == len(shown) == passes_of(len(fits), window, orders)
    assert {len(order) for order in shown} == {min(window, len(fits))}
    assert {candidate for order in shown for candidate in order} == set(range(len(fits)))


@given(LISTS, st.integers(2, 12))
def test_who_fits_best_comes_first_whatever_the_window(fits, window):
    ranking, _ = ranked(fits, window)
    assert fits[ranking.candidates[0]] == max(fits)


@given(LISTS, st.integers(2, 12))
def test_the_better_half_of_a_window_is_in_the_right_order(fits, window):
    ranking, _ = ranked(fits, window)
    sure = len(fits) if len(fits) <= window else max(1, window // 2)
    assert [fits[candidate] for candidate in ranking.candidates[:sure]] == sorted(fits, reverse=True)[:sure]


def test_of_equal_candidates_the_first_given_comes_first():
    assert ranked([1, 2, 2, 1], 4)[0].candidates == (1, 2, 0, 3)


def test_orders_are_shifts_by_equal_steps():
    _, shown = ranked([1, 2, 3, 4], 4, orders=2)
    assert shown == [(0, 1, 2, 3), (2, 3, 0, 1)]
    assert len(ranked([1, 2, 3], 4, orders=9)[1]) == 3
