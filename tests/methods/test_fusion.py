"""Fusion: its terms and weights against plain numpy, what it is for, and what it cannot be made worse by."""

import numpy as np
import oracle
import pyarrow as pa
import pytest
from cases import answers_of, array_of, calibration_signals, evaluation_signals, scores_of
from hypothesis import given, settings
from hypothesis import strategies as st
from signals_factory import random_signals, replace_column

from lad.calibration.calibrate import calibrate
from lad.calibration.fusion import TERMS, fit_weights
from lad.methods import ScoringError, score
from lad.parquet import nested_lists

SIZES = (2, 4, 9, 12)


def centred(scores: np.ndarray) -> np.ndarray:
    """What is the same at all positions of a presentation does not count."""
    return scores - scores.mean(axis=1, keepdims=True)


def right(table: pa.Table, fitted, method: str) -> float:
    return float(np.mean(score(table, fitted, method)["correct"].to_numpy(zero_copy_only=False)))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("evidence", TERMS)
def test_the_scores_are_the_weighted_sum_of_the_terms(n, evidence):
    """The weights as the calibration has them; every term anew from its equation."""
    fitted_on, table = calibration_signals(0, n), evaluation_signals(0, n)
    fitted = calibrate(fitted_on)
    rows = [row for row in fitted.fusion.to_pylist() if row["evidence"] == evidence]
    expected = sum(row["weight"] * oracle.fusion_term(row, fitted_on, table) for row in rows)
    scores = scores_of(score(table, fitted, f"fusion;evidence={evidence}"))
    np.testing.assert_allclose(centred(scores), centred(expected), atol=1e-4, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), terms=st.integers(1, 4), n=st.integers(2, 6))
def test_no_other_weights_near_by_are_more_likely(seed, terms, n):
    rng = np.random.default_rng(seed)
    said, target = 3 * rng.normal(size=(12, terms, n)), rng.integers(n, size=12)
    expected, spread = rng.uniform(0, 2, terms), rng.uniform(0.5, 3, terms)
    weights = fit_weights(said, target, expected, spread)
    assert (weights >= 0).all()
    best = oracle.fusion_objective(weights, said, target, expected, spread)
    for step in 0.01 * rng.normal(size=(20, terms)):
        other = np.maximum(weights + step, 0)
        assert oracle.fusion_objective(other, said, target, expected, spread) <= best + 1e-9


def test_the_weights_are_fitted_on_questions_that_the_terms_have_not_seen():
    """The likelihood at stake is that of each question under terms fitted on the others."""
    fitted_on = calibration_signals(3)
    rows = [row for row in calibrate(fitted_on).fusion.to_pylist() if row["evidence"] == "layers"]
    questions = fitted_on["question_id"].to_pylist()
    said = np.zeros((len(fitted_on), len(rows), 4))
    for question in set(questions):
        inside = np.array([name == question for name in questions])
        held_out, rest = fitted_on.filter(pa.array(inside)), fitted_on.filter(pa.array(~inside))
        anew = [row for row in calibrate(rest).fusion.to_pylist() if row["evidence"] == "layers"]
        said[inside] = np.stack([oracle.fusion_term(row, rest, held_out) for row in anew], axis=1)
    expected, spread = np.array(list(TERMS["layers"].values())).T
    weights = fit_weights(said, oracle.Signals.of(fitted_on).target, expected, spread)
    np.testing.assert_allclose([row["weight"] for row in rows], weights, atol=1e-3)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("questions", [1, 2, 5])
def test_few_questions_give_finite_scores(n, questions):
    fitted, table = calibrate(calibration_signals(1, n), questions=questions), evaluation_signals(1, n)
    for evidence in TERMS:
        assert np.isfinite(scores_of(score(table, fitted, f"fusion;evidence={evidence}"))).all()


def test_a_constant_added_to_the_log_probabilities_of_a_presentation_changes_nothing():
    table, fitted = evaluation_signals(4), calibrate(calibration_signals(4))
    moved = array_of(table, "candidate_logprobs") + np.random.default_rng(0).normal(size=(len(table), 1))
    moved = replace_column(table, "candidate_logprobs", nested_lists(moved.astype(np.float32)))
    np.testing.assert_allclose(
        scores_of(score(moved, fitted, "fusion")), scores_of(score(table, fitted, "fusion")), atol=1e-4
    )


def test_positions_may_change_places():
    """Positions with other numbers, in calibration as in evaluation, give the same answers with other numbers."""
    moved_to = np.array([2, 0, 3, 1])

    def moved(table: pa.Table) -> pa.Table:
        target = moved_to.argsort()[array_of(table, "target_position").astype(int) - 1] + 1
        table = replace_column(table, "target_position", target.astype(np.int32))
        for column in ("order", "candidate_logprobs", "candidate_attention", "head_attention"):
            values = array_of(table, column)[..., moved_to]
            kind = np.int32 if column == "order" else np.float32
            table = replace_column(table, column, nested_lists(values.astype(kind)))
        return table

    table, fitted_on = evaluation_signals(5), calibration_signals(5)
    for evidence in ("layers", "heads"):
        plain, other = (
            scores_of(score(change(table), calibrate(change(fitted_on)), f"fusion;evidence={evidence}"))
            for change in (lambda same: same, moved)
        )
        np.testing.assert_allclose(other, plain[:, moved_to], atol=1e-4)


def without(table: pa.Table, column: str, seed: int) -> pa.Table:
    """The table with noise in a column: it knows nothing of targets."""
    noise = np.random.default_rng(seed).normal(size=array_of(table, column).shape)
    noise = -np.abs(noise) if column == "candidate_logprobs" else 0.1 * np.exp(noise)
    return replace_column(table, column, nested_lists(noise.astype(np.float32)))


@pytest.mark.parametrize(
    ("lost", "rival"), [("candidate_logprobs", "purified_attention"), ("candidate_attention", "pride")]
)
def test_what_knows_nothing_gets_no_weight(lost, rival):
    """Where log-probabilities are noise fusion is as good as attention alone, and the other way round."""
    fitted_on, table = (
        without(random_signals(seed, questions=questions, split=split), lost, seed)
        for seed, questions, split in ((0, 20, "calibration"), (1, 100, "evaluation"))
    )
    fitted = calibrate(fitted_on)
    assert right(table, fitted, "fusion") > right(table, fitted, rival) - 0.02


def test_together_they_are_better_than_each_alone():
    fitted = calibrate(random_signals(0, questions=20))
    table = random_signals(0, questions=20, split="evaluation")  # the same preferences: the draws of one seed
    fused = right(table, fitted, "fusion")
    assert fused > max(right(table, fitted, method) for method in ("vanilla", "pride", "purified_attention"))


def test_a_profile_that_depends_on_where_the_target_is_is_used():
    """The model names the position after the target's, which no static prior undoes; attention says nothing."""

    def planted(seed: int, split: str) -> pa.Table:
        table = random_signals(seed, questions=40, split=split)
        named = np.eye(4)[table["target_position"].to_numpy() % 4]
        noise = np.random.default_rng(seed).normal(size=named.shape)
        logprobs = np.log(0.1 + named) + 0.5 * noise
        table = replace_column(table, "candidate_logprobs", nested_lists(logprobs.astype(np.float32)))
        return without(table, "candidate_attention", seed)

    table, fitted = planted(1, "evaluation"), calibrate(planted(0, "calibration"))
    assert right(table, fitted, "pride") < 0.3
    assert right(table, fitted, "fusion") > 0.9


def test_layers_beyond_those_of_the_calibration_are_not_read():
    fitted = calibrate(calibration_signals(2), layers=(1, 3))
    layers = {layer for row in fitted.fusion.to_pylist() for layer in row["layers"]}
    assert layers <= {1, 2, 3}
    table = evaluation_signals(2)
    attention = array_of(table, "candidate_attention")
    attention[:, [0, 4]] = 1
    other = replace_column(table, "candidate_attention", nested_lists(attention.astype(np.float32)))
    assert answers_of(score(other, fitted, "fusion")) == answers_of(score(table, fitted, "fusion"))


def test_what_is_not_kept_is_named_with_what_keeps_it():
    table, plain = evaluation_signals(0), random_signals(1000, rounds=3, split="evaluation")
    full, bare = calibrate(calibration_signals(0)), calibrate(random_signals(0))
    for scored, fitted, evidence, message in (
        (plain, full, "heads", "the signals have no attention by head; extract with --keep heads"),
        (table, bare, "heads", "the calibration has no fusion of evidence=heads; extract with --keep heads"),
        (table, bare, "null", "evidence=null; extract with --keep heads --keep rows --keep null_query"),
    ):
        with pytest.raises(ScoringError, match=message):
            score(scored, fitted, f"fusion;evidence={evidence}")
