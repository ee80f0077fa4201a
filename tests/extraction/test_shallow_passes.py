"""A pass that ends behind the last layer that is wanted leaves what a whole pass leaves of the layers up to there."""

from typing import get_args

import pyarrow.compute as pc
import pytest

from lad import contracts
from lad.calibration.observations import read_layers
from lad.contracts import Keep
from lad.extraction.backbone import BackboneError
from lad.methods import ScoringError, score
from lad.parquet import TableError, conform

EVERYTHING = get_args(Keep)
DEEPEST = 3


@pytest.fixture(scope="module")
def whole(extracted):
    return extracted(4, keep=EVERYTHING)[0]


@pytest.fixture(scope="module")
def short(extracted):
    return extracted(4, keep=EVERYTHING, deepest=DEEPEST)


def test_layers_up_to_the_last_that_is_wanted_are_equal_to_the_last_bit(whole, short):
    signals, _ = short
    assert read_layers(signals) == tuple(range(DEEPEST + 1))
    for name in contracts.BY_LAYER:
        expected = [layers[: DEEPEST + 1] for layers in whole[name].to_pylist()]
        found = signals[name].to_pylist()
        assert [layers[: DEEPEST + 1] for layers in found] == expected, name
        assert all(layer == [] for layers in found for layer in layers[DEEPEST + 1 :])


def test_there_are_no_logits(short):
    signals, _ = short
    for name in ("identifier_logits", "processed_logits", "candidate_logprobs", "generated_text"):
        assert signals[name].null_count == len(signals)
    assert "null_logprobs" not in signals.column_names


def test_it_is_work_of_its_own(short, extracted, tmp_path):
    assert short[1]["deepest"] == DEEPEST
    everything, _ = extracted(4, finished=tmp_path)
    extracted(4, finished=tmp_path, deepest=DEEPEST)
    assert extracted(4, finished=tmp_path)[0].equals(everything)


def test_a_depth_beyond_the_model_s_changes_nothing(extracted):
    assert extracted(4, deepest=99)[0].equals(extracted(4)[0])


def test_methods_that_read_the_model_s_answer_refuse(short):
    with pytest.raises(ScoringError, match="has no candidate_logprobs"):
        score(short[0], None, "vanilla")


def test_logits_are_missed_where_the_last_layer_was_reached(whole):
    at = whole.column_names.index("candidate_logprobs")
    gone = whole.set_column(at, "candidate_logprobs", pc.if_else(False, whole["candidate_logprobs"], None))
    with pytest.raises(TableError, match="candidate_logprobs is empty"):
        conform(gone, contracts.SIGNALS, "signals")


@pytest.mark.parametrize(("deepest", "texts", "told"), [(-1, False, "no layer up to -1"), (3, True, "writes no texts")])
def test_what_cannot_end_early_is_refused(extracted, deepest, texts, told):
    with pytest.raises(BackboneError, match=told):
        extracted(4, deepest=deepest, answer_text=texts)
