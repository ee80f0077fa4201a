"""Raw attention: the read-out of the chosen layers."""

import numpy as np
import oracle
import pytest
from cases import array_of, calibration_signals, evaluation_signals, scores_of
from signals_factory import random_signals, replace_column

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


@pytest.mark.parametrize("row", ["query", "suffix"])
def test_other_rows_are_read_as_the_last_tokens_is(case, row):
    attention = array_of(case.table, f"{row}_attention")
    expected = [oracle.readout(one, 2, case.layers) for one in attention]
    np.testing.assert_allclose(case.scores(f"attention_readout;row={row}"), expected, rtol=1e-9)


@pytest.mark.parametrize(("row", "column"), [("last", "candidate_attention"), ("query", "query_attention")])
def test_layers_that_found_the_calibrations_targets_can_be_read(case, row, column):
    before, now = array_of(calibration_signals(0, case.signals.n), column), array_of(case.table, column)
    for layers, allowed in (("", case.layers), (";layers=1-3", [1, 2, 3])):
        best = oracle.layers_that_found(before, case.calibration.target, 2, allowed)
        scores = case.scores(f"attention_readout;row={row};layers_by=found{layers}")
        np.testing.assert_allclose(scores, now[:, best].mean(axis=1), rtol=1e-9)


def test_layers_that_found_targets_need_a_calibration():
    with pytest.raises(ScoringError, match="attention_readout needs a calibration"):
        score(evaluation_signals(0), None, "attention_readout;layers_by=found")


def test_signals_without_the_row_are_refused_with_what_keeps_it():
    plain = random_signals(1000, rounds=3, split="evaluation")
    with pytest.raises(
        ScoringError, match="the signals have no attention of the query's tokens; extract with --keep rows"
    ):
        score(plain, None, "attention_readout;row=query")
