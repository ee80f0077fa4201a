"""Batch calibration."""

import numpy as np
import oracle
import pytest
from cases import evaluation_signals, scores_of
from signals_factory import log_softmax, random_signals, replace_column

from lad.methods import ScoringError, score
from lad.parquet import nested_lists


def test_batch_calibration_takes_out_the_mean_probability_of_the_batch(case):
    for specification, of in (
        ("batch_calibration", oracle.batch_calibration),
        ("batch_calibration;correction=ratio", oracle.batch_calibration_by_ratio),
    ):
        np.testing.assert_allclose(case.scores(specification), of(case.signals.logprobs), atol=1e-6)


def test_batch_calibration_undoes_any_static_preference_for_positions():
    """However strong the preference and however weak the sight, where targets are evenly spread."""
    n, preference = 6, np.array([4.0, -3.0, 0.0, 1.0, 6.0, -1.0])
    table = random_signals(2, n, questions=20, split="symmetrized")
    sight = 0.4 * np.eye(n)[table["target_position"].to_numpy() - 1]
    table = replace_column(table, "candidate_logprobs", nested_lists(log_softmax(preference + sight)))
    assert np.mean(score(table, None, "vanilla")["correct"]) == 1 / n
    assert np.mean(score(table, None, "batch_calibration;correction=ratio")["correct"]) == 1


def test_batch_calibration_reads_no_label_and_depends_on_the_batch():
    table = evaluation_signals(0)
    scores = scores_of(score(table, None, "batch_calibration"))
    mislabelled = replace_column(table, "target_position", table["target_position"].to_numpy() % 4 + 1)
    np.testing.assert_array_equal(scores_of(score(mislabelled, None, "batch_calibration")), scores)
    assert not np.allclose(scores_of(score(table.slice(0, 9), None, "batch_calibration")), scores[:9])


def test_a_batch_of_one_is_refused():
    with pytest.raises(ScoringError, match="needs at least 2 of them, better hundreds; the signals hold 1"):
        score(evaluation_signals(0).slice(0, 1), None, "batch_calibration")
