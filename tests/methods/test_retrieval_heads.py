"""Retrieval heads: how they are chosen, and what they are held against."""

import numpy as np
import oracle
import pytest
from cases import array_of, calibration_signals, evaluation_signals
from signals_factory import random_signals, replace_column

from lad.calibration.calibrate import calibrate
from lad.methods import ScoringError, parse_method, score
from lad.parquet import nested_lists

MEASURES = {"found": 0, "mass": 2, "contrast": 3}
COMBINATIONS = [
    (row, against)
    for row in ("last", "query", "suffix")
    for against in ("none", "prior", "null")
    if (row, against) != ("last", "null")
]


def attention_of(table, row: str, null: bool = False) -> np.ndarray:
    column = "head_attention" if row == "last" else f"head_{'null_' if null else ''}{row}_attention"
    return array_of(table, column)


@pytest.mark.parametrize("choose", MEASURES)
@pytest.mark.parametrize(("row", "against"), COMBINATIONS)
def test_the_heads_that_know_the_calibrations_targets_best_answer(case, row, against, choose):
    fitted_on, against_null = calibration_signals(0, case.signals.n), against == "null"
    before, now = attention_of(fitted_on, row), attention_of(case.table, row)
    null = attention_of(fitted_on, row, null=True) if against_null else before
    skill = {
        (layer, head): oracle.attention_skill(
            oracle.held_against(before[:, layer, head], against, null[:, layer, head]), case.calibration.target
        )
        for layer, head in np.ndindex(before.shape[1:3])
    }
    best = oracle.best_heads(skill, MEASURES[choose])
    null = attention_of(case.table, row, null=True) if against_null else now
    for count in (1, 3, 10):
        specification = f"retrieval_heads;row={row};against={against};choose={choose};heads={count}"
        expected = [
            oracle.retrieval_heads(one, best[:count], against, before.mean(axis=0), its_null)
            for one, its_null in zip(now, null, strict=True)
        ]
        np.testing.assert_allclose(case.scores(specification), expected, atol=1e-6)


def test_against_the_prior_it_is_no_matter_how_much_positions_attract():
    """What a head pays to a position whatever it shows is divided out; without a prior it is not."""
    strength = np.random.default_rng(0).choice([0.25, 1, 2, 4], size=(5, 2, 4))

    def attracted(table):
        stronger = array_of(table, "head_attention") * strength
        return replace_column(table, "head_attention", nested_lists(stronger.astype(np.float32)))

    table, fitted_on = evaluation_signals(3), calibration_signals(3)
    for against, is_equal in (("prior", True), ("none", False)):
        plain, moved = (
            np.array(
                score(change(table), calibrate(change(fitted_on)), f"retrieval_heads;against={against};heads=4")[
                    "scores"
                ].to_pylist()
            )
            for change in (lambda same: same, attracted)
        )
        assert np.allclose(plain, moved, atol=1e-6) == is_equal


def test_against_the_null_query_the_last_token_cannot_be_held():
    with pytest.raises(ScoringError, match="against=null cannot be had of row=last"):
        parse_method("retrieval_heads;against=null")


def test_what_is_not_kept_is_named_with_what_keeps_it():
    table, fitted = evaluation_signals(0), calibrate(calibration_signals(0))
    plain = random_signals(1000, rounds=3, split="evaluation")
    bare = calibrate(random_signals(0, heads=2))
    for scored, calibration, options, message in (
        (plain, fitted, "", "the signals have no attention by head; extract with --keep heads"),
        (
            table,
            calibrate(random_signals(0)),
            "",
            "the calibration has no attention by head; extract with --keep heads",
        ),
        (
            plain,
            fitted,
            "row=query",
            "the signals have no attention of the query's tokens by head; extract with --keep heads --keep rows",
        ),
        (
            table,
            bare,
            "row=suffix",
            "the calibration has no attention of the tokens behind the candidates by head; extract with --keep",
        ),
        (
            table,
            bare,
            "row=query;against=null",
            "by head where the query is N/A; extract with --keep heads --keep rows --keep null_query",
        ),
        (table, fitted, "heads=11", "heads = 11 cannot be chosen from the model's 10"),
    ):
        with pytest.raises(ScoringError, match=message):
            score(scored, calibration, f"retrieval_heads;{options}".rstrip(";"))
