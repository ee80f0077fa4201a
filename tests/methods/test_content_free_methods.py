"""Contextual calibration and attention less content-free: what a question without content tells."""

import numpy as np
import oracle
from signals_factory import content_free_signals


def test_contextual_calibration_divides_by_the_probabilities_without_content(case):
    blank = oracle.Signals.of(content_free_signals(case.signals.n))
    expected = case.signals.logprobs - blank.logprobs
    np.testing.assert_allclose(case.scores("contextual_calibration"), expected, atol=1e-6)


def test_attention_less_content_free_is_that_of_the_chosen_layers(case):
    blank = oracle.Signals.of(content_free_signals(case.signals.n))
    expected = [oracle.attention_less_content_free(a, blank.image[0], 2, case.layers) for a in case.signals.image]
    np.testing.assert_allclose(case.scores("attention_less_content_free"), expected, atol=1e-9)
