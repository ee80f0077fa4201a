"""Purified attention: eq. 8 to 12."""

from dataclasses import replace

import numpy as np
import oracle
import pyarrow as pa
import pytest
from cases import SIZES, answers_of, array_of, calibration_signals, evaluation_signals, scores_of
from signals_factory import random_signals, replace_column

from lad.calibration.calibrate import calibrate
from lad.methods import ScoringError, score


def test_purified_attention_is_that_of_equations_8_to_12(case):
    np.testing.assert_allclose(case.scores("purified_attention"), case.printed_pi(), atol=1e-9)


def test_released_purified_attention_takes_the_log_of_the_mean_and_counts_delimiters(case):
    scores = case.scores("purified_attention;formulation=released")
    np.testing.assert_allclose(scores, case.released_pi(), atol=1e-9)


@pytest.mark.parametrize("n", SIZES)
def test_purified_attention_with_a_flat_prior_equals_the_readout(n):
    """For one layer in both formulations; for several where the mean precedes the logarithm."""
    table, fitted = evaluation_signals(3, n), calibrate(random_signals(3, n))
    flat = pa.array(np.where(np.arange(len(fitted.attention_prior)) % (2 * n) < n, 0.1, 0.7))  # by layer
    fitted = replace(fitted, attention_prior=replace_column(fitted.attention_prior, "prior", flat))
    for options in ("k=1", "k=1;formulation=released", "k=3;formulation=released", "layers=all;formulation=released"):
        readout = score(table, None, f"attention_readout;{options}")
        assert answers_of(score(table, fitted, f"purified_attention;{options}")) == answers_of(readout)


def test_without_prior_purified_attention_is_that_of_a_flat_prior():
    table, fitted = evaluation_signals(3), calibrate(random_signals(3))
    flat = pa.array(np.full(len(fitted.attention_prior), 0.3))
    flattened = replace(fitted, attention_prior=replace_column(fitted.attention_prior, "prior", flat))
    np.testing.assert_allclose(
        scores_of(score(table, fitted, "purified_attention;prior=no")),
        scores_of(score(table, flattened, "purified_attention")),
        atol=1e-12,
    )


@pytest.mark.parametrize(("row", "column"), [("last", "candidate_attention"), ("query", "query_attention")])
def test_row_and_layers_can_be_chosen(case, row, column):
    before, now = array_of(calibration_signals(0, case.signals.n), column), array_of(case.table, column)
    prior = oracle.attention_prior(before)
    best = oracle.layers_that_found(before, case.calibration.target, 2, case.layers)
    for layers_by, expected in (
        ("mass", [oracle.printed_pi(one, prior, 2, 5, case.layers) for one in now]),
        ("found", [oracle.printed_pi(one, prior, 2, 5, best) for one in now]),
    ):
        scores = case.scores(f"purified_attention;row={row};layers_by={layers_by}")
        np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_a_calibration_without_the_row_is_refused_with_what_keeps_it():
    with pytest.raises(
        ScoringError, match="the calibration has no attention of the query's tokens; extract with --keep rows"
    ):
        score(evaluation_signals(0), calibrate(random_signals(0)), "purified_attention;row=query")
