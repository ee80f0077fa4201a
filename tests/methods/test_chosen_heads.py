"""Chosen heads."""

import numpy as np
import oracle
from cases import calibration_signals, heads_of


def test_chosen_heads_are_those_that_found_most_targets_of_the_calibration(case):
    calibration, attention = calibration_signals(0, case.signals.n), heads_of(case.table)
    best, _ = oracle.ranked_heads(heads_of(calibration), case.calibration.target)
    for count in (1, 3, 10):
        expected = [oracle.chosen_heads(one, best[:count]) for one in attention]
        np.testing.assert_allclose(case.scores(f"chosen_heads;heads={count}"), expected, atol=1e-6)
