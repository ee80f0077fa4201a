"""What is planted is what is declared."""

import numpy as np
import pytest

from demo.model import RETRIEVAL_LAYERS
from demo.planting import GAIN, IMAGE_MASS, attention_prior, bias_matrix, planted_attention

ALL_N = range(2, 13)


@pytest.mark.parametrize("n", ALL_N)
def test_rows_of_the_bias_sum_to_one_and_leave_no_answer_out(n):
    bias = bias_matrix(n)
    np.testing.assert_allclose(bias.sum(axis=1), 1)
    assert bias.min() > 0


@pytest.mark.parametrize("n", range(4, 13))
def test_the_bias_depends_on_the_target_position(n):
    most_likely = bias_matrix(n).argmax(axis=1)
    assert most_likely[0] == 0
    assert (most_likely[n // 4 :] > 0).all()
    assert len(set(most_likely)) >= 2
    # A static bias would scale all columns alike whatever the target: the off-diagonal odds then agree.
    odds = np.log(bias_matrix(n)[:, 1] / bias_matrix(n)[:, n - 2])
    assert np.ptp(odds[[0, n - 1]]) > 0.4


@pytest.mark.parametrize("n", [4, 8, 12])
def test_no_static_prior_undoes_the_bias(n):
    log_bias = np.log(bias_matrix(n))
    corrected = (log_bias - log_bias.mean(axis=0)).argmax(axis=1)
    assert (corrected == np.arange(n)).mean() <= 0.75


@pytest.mark.parametrize("n", ALL_N)
@pytest.mark.parametrize("layer", RETRIEVAL_LAYERS)
def test_the_target_gets_its_gain_over_the_prior(n, layer):
    attention = planted_attention(n, layer)
    np.testing.assert_allclose(attention.sum(axis=1), IMAGE_MASS[layer])
    lift = attention / attention_prior(n)
    np.testing.assert_allclose(np.diag(lift) / lift.min(axis=1), GAIN[layer])
    assert (lift.argmax(axis=1) == np.arange(n)).all()


def test_the_planted_attention_misleads_until_the_prior_is_divided_out():
    attention = sum(planted_attention(8, layer) for layer in RETRIEVAL_LAYERS)
    assert (attention.argmax(axis=1) == np.arange(8)).mean() <= 0.5
