"""Gold panning: rates from a few answers, beliefs from answers under orders, and the order that tells most."""

import subprocess
import sys
from itertools import permutations
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lad.panning import Belief, PanningError, Rates, fit_rates, next_order, rates_of, worth

SIZES = st.integers(2, 5)
RATE = st.floats(0.01, 0.99)


@st.composite
def rates_and_answers(draw):
    """Rates of some N, and answers under orders."""
    n = draw(SIZES)
    hits, false_alarms = (np.array(draw(st.lists(RATE, min_size=n, max_size=n))) for _ in range(2))
    answer = st.tuples(st.permutations(range(1, n + 1)), st.integers(1, n))
    return Rates(hits, false_alarms), draw(st.lists(answer, max_size=6))


def believed(rates, answers):
    belief = Belief.even(rates.n)
    for order, answer in answers:
        belief = belief.update(order, answer, rates)
    return belief


def test_rates_are_shares_of_answers_with_one_question_that_says_nothing():
    # Two questions of two candidates in both shifts: position 1 is answered in 3 of 4.
    rates = fit_rates([1, 1, 1, 2], [1, 2, 1, 2], 2)
    np.testing.assert_allclose(rates.hits, [(2 + 0.5) / 3, (1 + 0.5) / 3])
    np.testing.assert_allclose(rates.false_alarms, [(1 + 0.5) / 3, 0.5 / 3])


def test_a_model_that_always_answers_one_position_tells_nothing():
    n = 4
    rates = fit_rates([1] * (5 * n), [*range(1, n + 1)] * 5, n)
    np.testing.assert_allclose(rates.diagnosticity, 0, atol=1e-12)
    assert believed(rates, [((3, 1, 2, 4), 1)]).probabilities == pytest.approx([0.25] * 4)


def test_texts_without_an_answer_count_as_neither_hit_nor_false_alarm():
    rates = fit_rates([None, None], [1, 2], 2)
    np.testing.assert_allclose(rates.hits, [0.25, 0.25])
    np.testing.assert_allclose(rates.false_alarms, [0.25, 0.25])


@given(st.data(), SIZES)
def test_counted_answers_and_listed_answers_give_the_same_rates(data, n):
    position = st.integers(1, n)
    pairs = data.draw(st.lists(st.tuples(position, position)))
    counts = np.zeros((n, n))
    for answer, target in pairs:
        counts[target - 1, answer - 1] += 1
    listed = fit_rates([a for a, _ in pairs], [t for _, t in pairs], n)
    counted = rates_of(counts, counts.sum(axis=1))
    np.testing.assert_allclose(listed.hits, counted.hits)
    np.testing.assert_allclose(listed.false_alarms, counted.false_alarms)


@given(rates_and_answers())
def test_the_belief_is_bayes_rule_with_one_target(given_):
    rates, answers = given_
    likelihoods = np.ones(rates.n)
    for order, answer in answers:
        for target in range(1, rates.n + 1):
            for position, candidate in enumerate(order, start=1):
                rate = (rates.hits if candidate == target else rates.false_alarms)[position - 1]
                likelihoods[target - 1] *= rate if position == answer else 1 - rate
    np.testing.assert_allclose(
        believed(rates, answers).probabilities, likelihoods / likelihoods.sum(), rtol=1e-6, atol=1e-9
    )


@given(rates_and_answers(), st.randoms())
def test_the_belief_does_not_depend_on_the_sequence_of_the_answers(given_, random):
    rates, answers = given_
    again = random.sample(answers, len(answers))
    np.testing.assert_allclose(
        believed(rates, answers).probabilities, believed(rates, again).probabilities, rtol=1e-6, atol=1e-9
    )


@given(rates_and_answers(), st.data())
def test_renamed_candidates_are_believed_as_before(given_, data):
    rates, answers = given_
    name = dict(zip(range(1, rates.n + 1), data.draw(st.permutations(range(1, rates.n + 1))), strict=True))
    renamed = believed(rates, [([name[c] for c in order], answer) for order, answer in answers])
    for before, after in name.items():
        assert renamed.probabilities[after - 1] == pytest.approx(
            believed(rates, answers).probabilities[before - 1], rel=1e-6
        )


@given(rates_and_answers())
def test_the_next_order_is_worth_most_of_those_not_shown(given_):
    rates, answers = given_
    belief = believed(rates, answers)
    everything = np.array(list(permutations(range(1, rates.n + 1))), dtype=np.int32)
    by_worth = dict(zip(map(tuple, everything.tolist()), worth(belief, rates, everything), strict=True))
    shown = []
    while (order := next_order(belief, rates, shown)) is not None:
        assert by_worth[order] == pytest.approx(max(by_worth[o] for o in by_worth if o not in shown), abs=1e-9)
        shown.append(order)
        if len(shown) == 12:
            return
    assert len(shown) == len(by_worth), "every order is shown before there is none left"


def test_the_likeliest_candidate_moves_to_the_position_that_tells_most():
    rates = Rates(np.array([0.9, 0.6, 0.5]), np.array([0.8, 0.05, 0.2]))
    belief = Belief(np.log([0.2, 0.3, 0.5]))
    assert next_order(belief, rates) == (1, 3, 2)


def test_ties_go_to_lower_candidates_and_lower_positions():
    rates = Rates(np.full(4, 0.5), np.full(4, 0.2))
    assert next_order(Belief.even(4), rates) == (1, 2, 3, 4)
    assert Belief.even(4).best == 1


def test_the_next_order_of_many_candidates_is_found_at_once():
    rates = Rates(np.linspace(0.9, 0.1, 20), np.linspace(0.5, 0.01, 20))
    shown = []
    for _ in range(30):
        shown.append(next_order(Belief(-np.arange(20.0)), rates, shown))
    assert len(set(shown)) == 30


def test_diagnosticity_is_the_targets_mean_gain_in_log_odds():
    rates = Rates(np.array([0.5, 0.5]), np.array([0.5, 0.25]))
    assert rates.diagnosticity == pytest.approx([0, 0.5 * log(2) + 0.5 * log(0.5 / 0.75)])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: fit_rates([1], [1, 2], 2), "1 answers and 2 targets"),
        (lambda: fit_rates([3], [1], 2), "answer at position 3; positions are 1 to 2"),
        (lambda: fit_rates([1], [0], 2), "target at position 0"),
        (lambda: fit_rates([1], [1], 2, smoothing=0), "smoothing = 0; allowed is a number above 0"),
        (lambda: rates_of(np.ones((2, 2)), np.ones(2)), "more presentations were answered than shown"),
        (lambda: Rates(np.array([0.5, 1.0]), np.array([0.5, 0.5])), "hit rates are [0.5, 1.0]"),
        (lambda: Belief.even(1), "about 1 candidates"),
        (lambda: Belief.even(3).update((1, 1, 2), 1, fit_rates([], [], 3)), "the order is [1, 1, 2]"),
        (lambda: Belief.even(3).update((1, 2, 3), 4, fit_rates([], [], 3)), "answer at position 4"),
        (lambda: next_order(Belief.even(3), fit_rates([], [], 2)), "rates for N = 2 and a belief about 3 candidates"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, message):
    with pytest.raises(PanningError) as caught:
        wrong()
    assert message in str(caught.value)


def test_it_needs_neither_duckdb_nor_torch_nor_arrow():
    code = "import lad.panning, sys; print(sorted({'duckdb', 'torch', 'pyarrow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
