"""Permutation averaging, over cyclic shifts and over random orders."""

import numpy as np
import oracle
import pyarrow.compute as pc
import pytest
from cases import SIZES, answers_of, evaluation_signals, scores_of
from signals_factory import random_signals, replace_column

from lad.methods import ScoringError, score


@pytest.mark.parametrize("n", SIZES)
def test_permutation_average_is_the_mean_over_shifts_mapped_back_to_candidates(n):
    table = random_signals(7, n, split="symmetrized")
    signals = oracle.Signals.of(table)
    for specification, scores in (
        ("permutation_average", np.exp(signals.logprobs)),
        ("permutation_average;formulation=released", signals.released_scores),
    ):
        predictions = score(table, None, specification)
        expected = oracle.permutation_average(signals, scores)
        assert predictions["question_id"].to_pylist() == sorted(expected)
        assert set(predictions["round"].to_pylist()) == {0}
        for prediction in predictions.to_pylist():
            wanted = expected[prediction["question_id"]]
            np.testing.assert_allclose(prediction["scores"], wanted, atol=1e-6)
            assert prediction["position"] == np.argmax(wanted) + 1


@pytest.mark.parametrize("n", SIZES)
def test_permutation_average_over_all_orders_is_the_mean_over_those_that_the_table_holds(n):
    """16 random orders, as the released code has them, and a table from which some rows are gone, round 0 with them."""
    table = random_signals(8, n, rounds=16, split="evaluation")
    later = table.filter(pc.field("round") > 2)
    for held in (table, later.slice(0, len(later) - 3)):
        signals = oracle.Signals.of(held)
        for specification, scores in (
            ("permutation_average;orders=random", np.exp(signals.logprobs)),
            ("permutation_average;orders=random;formulation=released", signals.released_scores),
        ):
            predictions = score(held, None, specification)
            expected = oracle.permutation_average(signals, scores)
            assert predictions["question_id"].to_pylist() == list(expected)
            np.testing.assert_allclose(scores_of(predictions), list(expected.values()), atol=1e-6)


def test_permutation_average_over_all_orders_of_the_shifts_is_the_printed_one():
    table = random_signals(4, 5, split="symmetrized")
    scores = [scores_of(score(table, None, f"permutation_average{option}")) for option in ("", ";orders=random")]
    np.testing.assert_array_equal(*scores)


def test_permutation_average_over_a_single_order_is_vanilla():
    table = evaluation_signals(4).filter(pc.field("round") == 1)
    assert answers_of(score(table, None, "permutation_average;orders=random")) == answers_of(
        score(table, None, "vanilla")
    )


def test_permutation_average_does_not_depend_on_the_order_of_shifts():
    """Rows in another order, or rounds numbered from another shift, so that another order is shown first."""
    table = random_signals(4, 5, split="symmetrized", questions=8)
    shuffled = table.take(np.random.default_rng(0).permutation(len(table)))
    renumbered = replace_column(table, "round", (table["round"].to_numpy() + 2) % 5)
    plain, *others = (
        score(signals, None, "permutation_average").select(["question_id", "candidate"]).to_pylist()
        for signals in (table, shuffled, renumbered)
    )
    assert others == [plain, plain]


def test_permutation_average_wants_every_shift_once():
    table = random_signals(0, split="symmetrized")
    for unfit in (
        evaluation_signals(0),
        table.slice(1),
        table.filter(pc.field("round") != 3),
    ):
        with pytest.raises(ScoringError, match="needs the 4 cyclic shifts of each question"):
            score(unfit, None, "permutation_average")


def test_permutation_average_wants_the_first_round_of_every_question():
    """Else the answers to some questions would make up a round of their own, and weigh as much as all the others."""
    table = random_signals(0, rounds=16, split="permuted")
    with pytest.raises(ScoringError, match="in its first round, 0; question permuted-000000 lacks it"):
        score(table.slice(1), None, "permutation_average;orders=random")
