"""PriDe, as its authors have it and as the released code has it."""

import numpy as np
import oracle


def test_pride_subtracts_its_static_prior(case):
    expected = case.signals.logprobs - oracle.pride_log_prior(case.calibration)
    np.testing.assert_allclose(case.scores("pride"), expected, atol=1e-6)


def test_released_pride_subtracts_the_mean_row_of_the_released_bias(case):
    _, bias = oracle.released_bias(case.calibration)
    expected = case.signals.released_scores - bias.mean(axis=0)
    np.testing.assert_allclose(case.scores("pride_released"), expected, atol=1e-6)
