"""Raw attention: the read-out of the chosen layers."""

import numpy as np
import oracle
import pytest
from cases import evaluation_signals, scores_of
from signals_factory import replace_column

from lad.methods import ScoringError, score
from lad.parquet import nested_lists


def test_the_readout_is_the_mean_attention_of_the_chosen_layers(case):
    expected = [oracle.readout(attention, 2, case.layers) for attention in case.signals.image]
    np.testing.assert_allclose(case.scores("attention_readout"), expected, rtol=1e-9)


@pytest.mark.parametrize("layer", range(5))
def test_one_allowed_layer_gives_the_accuracy_of_that_layer_alone(layer):
    """The answer of a layer by itself is the position that it attends to most."""
    table = evaluation_signals(11, questions=40)
    signals = oracle.Signals.of(table)
    right = signals.image[:, layer].argmax(axis=1) == signals.target
    predictions = score(table, None, f"attention_readout;k=1;layers={layer}-{layer}")
    np.testing.assert_array_equal(predictions["correct"], right)
    assert 0 < right.mean() < 1


def test_of_layers_with_equal_attention_the_lowest_are_chosen():
    table = evaluation_signals(0, layers=4)
    layers = np.array([[1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]], dtype=np.float32)
    table = replace_column(
        table, "candidate_attention", nested_lists(np.broadcast_to(layers, (len(table), 4, 4)).copy())
    )
    for k, expected in ((1, [0, 2, 0, 0]), (2, [0, 1, 1, 0])):
        scores = scores_of(score(table, None, f"attention_readout;k={k}"))
        np.testing.assert_array_equal(scores, np.broadcast_to(expected, scores.shape))


def test_more_layers_than_there_are_is_refused():
    with pytest.raises(ScoringError, match="k = 6 layers cannot be chosen from 5"):
        score(evaluation_signals(0), None, "attention_readout;k=6")
