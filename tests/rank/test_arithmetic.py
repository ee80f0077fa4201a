"""The arithmetic of ranking says what the pipeline's SQL says, for every method and option that it has."""

import numpy as np
import pytest
from signals_factory import random_signals

from lad.calibration.calibrate import calibrate
from lad.methods import METHODS, ScoringError, score
from lad.rank.arithmetic import get_arithmetic

KEPT = {"heads": 3, "rows": True, "null": True}
SPECIFICATIONS = (
    "vanilla",
    "pride",
    "attention_readout",
    "attention_readout;k=4;layers=1-4",
    "attention_readout;row=query;layers_by=found",
    "attention_readout;layers=all",
    "attention_readout;formulation=released",
    "purified_attention",
    "purified_attention;tau=1.5;prior=no;k=3",
    "purified_attention;row=suffix;layers=2-4",
    "purified_attention;row=query;layers_by=found;k=1",
    "purified_attention;formulation=released",
    "agd",
    "agd;formulation=released",
    "agd;formulation=printed+mixture=logs;k=1",
    "agd;formulation=printed+average=logs",
    "agd;row=query;layers_by=found",
    "agd;layers=all",
    "icr",
    "icr;tokens=query",
    "icr;filter=yes",
    "retrieval_heads",
    "retrieval_heads;against=none;heads=3",
    "retrieval_heads;row=query;choose=mass;heads=5",
    "retrieval_heads;row=query;against=null;choose=contrast",
    "retrieval_heads;row=suffix;against=null",
    "fusion",
    "fusion;evidence=heads",
    "fusion;evidence=rows",
    "fusion;evidence=null",
)


@pytest.mark.parametrize("n", [2, 4, 10])
@pytest.mark.parametrize("specification", SPECIFICATIONS)
def test_scores_and_answers_are_those_of_the_sql(specification, n):
    known = random_signals(n, n, questions=5, **KEPT)
    asked = random_signals(100 + n, n, questions=10, rounds=2, split="evaluation", **KEPT)
    formulations = {"printed", "released", *(part[12:] for part in specification.split(";") if "formulation" in part)}
    expected = score(asked, calibrate(known, formulations=sorted(formulations)), specification)
    assert expected["presentation_id"].equals(asked["presentation_id"])

    arithmetic = get_arithmetic(specification)
    scores = arithmetic.score(asked, arithmetic.learn(known) if arithmetic.needs_known else None)
    np.testing.assert_allclose(scores, np.array(expected["scores"].to_pylist()), rtol=1e-9, atol=1e-9)
    assert (scores.argmax(axis=1) + 1).tolist() == expected["position"].to_pylist()


def test_every_method_that_ranks_is_held_against_the_sql():
    tested = {specification.split(";")[0] for specification in SPECIFICATIONS}
    assert tested == {name for name in METHODS if ranks(name)}


def ranks(method: str) -> bool:
    try:
        get_arithmetic(method)
    except ScoringError:
        return False
    return True


def test_a_method_that_asks_several_orders_is_refused_by_name():
    with pytest.raises(ScoringError, match=r"majority_vote does not rank; methods that do: vanilla, pride"):
        get_arithmetic("majority_vote")


@pytest.mark.parametrize(
    ("specification", "wrong"),
    [
        ("purified_attention;k=9", "k = 9 layers cannot be chosen from 5"),
        ("retrieval_heads;heads=99", "the model's 15"),
    ],
)
def test_more_parts_than_the_model_has_are_refused(specification, wrong):
    signals = random_signals(3, 4, **KEPT)
    arithmetic = get_arithmetic(specification)
    with pytest.raises(ScoringError, match=wrong):
        arithmetic.score(signals, arithmetic.learn(signals))
