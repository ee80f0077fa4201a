"""Majority vote over orders."""

import numpy as np
import oracle
import pytest
from cases import SIZES, answers_of, evaluation_signals
from signals_factory import random_signals, replace_column

from lad.methods import ScoringError, score
from lad.parquet import nested_lists


@pytest.mark.parametrize("n", SIZES)
def test_majority_vote_answers_the_elected_candidate_wherever_it_stands(n):
    table = random_signals(9, n, questions=30, rounds=5, split="evaluation")
    elected = oracle.majority_vote(oracle.Signals.of(table))
    predictions = score(table, None, "majority_vote")
    assert predictions["presentation_id"].equals(table["presentation_id"])
    orders = answers_of(table, "order")
    for row in predictions.to_pylist():
        assert row["candidate"] == elected[row["question_id"]] + 1
        assert row["position"] == orders[row["presentation_id"]].index(row["candidate"]) + 1
        assert row["position"] == np.argmax(row["scores"]) + 1
    differing = np.array(predictions["position"]) != np.array(score(table, None, "vanilla")["position"])
    assert 0 < differing.sum() < len(table)


def test_more_votes_win_whatever_their_probabilities():
    """Two orders are sure of candidate 4; three name candidate 2, by a hair."""
    assert elected_from([[0.01, 0.01, 0.01, 0.97]] * 2 + [[0.24, 0.26, 0.25, 0.25]] * 3) == 2


def test_equal_votes_go_to_the_larger_mean_probability():
    assert elected_from([[0.5, 0.3, 0.2, 0.0], [0.1, 0.1, 0.6, 0.2]]) == 3
    assert elected_from([[0.6, 0.0, 0.4, 0.0], [0.1, 0.3, 0.5, 0.1]]) == 3


def test_equal_votes_of_equal_probability_go_to_the_lower_candidate():
    """Where it stands does not matter, nor in which order the presentations are summed."""
    beliefs = [[0.13, 0.47, 0.17, 0.23], [0.13, 0.23, 0.17, 0.47], [0.61, 0.07, 0.25, 0.07]]
    beliefs += [[0.2, 0.43, 0.06, 0.31], [0.2, 0.31, 0.06, 0.43]]
    exchanged = [[one, four, three, two] for one, two, three, four in beliefs]
    assert [elected_from(tied, seed) for tied in (beliefs, exchanged) for seed in range(5)] == [2] * 10


def elected_from(beliefs, seed=0) -> int:
    """The candidate elected when each order, drawn at random, leads to one of the beliefs, each by candidate."""
    rng = np.random.default_rng(seed)
    table = random_signals(0, 4, questions=1, rounds=len(beliefs), split="evaluation")
    orders = [rng.permutation(4) for _ in beliefs]
    shown = np.log(np.array([np.array(belief)[order] for belief, order in zip(beliefs, orders, strict=True)]) + 1e-30)
    table = replace_column(table, "order", [(order + 1).tolist() for order in orders])
    table = replace_column(table, "candidate_logprobs", nested_lists(shown))
    predictions = score(table, None, "majority_vote")
    assert len(predictions) == len(beliefs)
    (candidate,) = set(predictions["candidate"].to_pylist())
    return candidate


def test_a_vote_does_not_depend_on_the_order_of_rows():
    table = evaluation_signals(4, 5, questions=20)
    shuffled = table.take(np.random.default_rng(0).permutation(len(table)))
    assert score(shuffled, None, "majority_vote").equals(score(table, None, "majority_vote"))


def test_a_vote_needs_several_orders_of_each_question():
    table = evaluation_signals(0)
    with pytest.raises(ScoringError, match="at least 2 orders; question evaluation-000000 is shown in 1"):
        score(table.slice(2), None, "majority_vote")
