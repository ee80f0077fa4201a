"""Vanilla: the most probable identifier."""

import numpy as np
from cases import evaluation_signals
from signals_factory import replace_column

from lad.methods import score


def test_vanilla_is_the_most_probable_identifier(case):
    np.testing.assert_allclose(case.scores("vanilla"), case.signals.logprobs, atol=1e-9)


def test_of_equal_scores_the_lowest_position_answers():
    table = evaluation_signals(0)
    even = [[-1.5, -0.5, -0.5, -0.5]] * len(table)
    predictions = score(replace_column(table, "candidate_logprobs", even), None, "vanilla")
    assert set(predictions["position"].to_pylist()) == {2}
