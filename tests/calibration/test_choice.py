"""Which questions to calibrate on: rankings that read no target, what they cost, and when to stop."""

import numpy as np
import pyarrow as pa
import pytest
from signals_factory import random_signals, replace_column

from lad.calibration.calibrate import CalibrationError, calibrate
from lad.calibration.choice import choosers_for, passes, ranked, stops_at
from lad.choosing import METHODS, measure_choices
from lad.methods import score
from lad.parquet import nested_lists

CHOOSERS = ("first", "disagreement", "uncertainty", "null")


def pool(seed=0, n=4, questions=6) -> pa.Table:
    return random_signals(seed, n, questions=questions, rows=True, null=True)


def with_answers(table: pa.Table, probabilities) -> pa.Table:
    return replace_column(table, "candidate_logprobs", nested_lists(np.log(np.asarray(probabilities))))


@pytest.mark.parametrize("chooser", CHOOSERS)
def test_no_chooser_reads_a_target(chooser):
    table = pool()
    blind = replace_column(table, "target_position", [None] * len(table))
    assert ranked(blind, chooser) == ranked(table, chooser)
    assert sorted(ranked(table, chooser)) == sorted(set(table["question_id"].to_pylist()))


@pytest.mark.parametrize("chooser", CHOOSERS)
def test_a_ranking_does_not_depend_on_the_order_of_rows(chooser):
    table = pool(3)
    assert ranked(table.take(np.random.default_rng(0).permutation(len(table))), chooser) == ranked(table, chooser)


def test_the_question_whose_shifts_name_most_candidates_comes_first():
    table = pool(questions=2)
    steady, torn = sorted(set(table["question_id"].to_pylist()))
    answers = []
    for question, order in zip(table["question_id"].to_pylist(), table["order"].to_pylist(), strict=True):
        # One question is answered by candidate 2 wherever it stands, the other by position 1 whatever stands there.
        at = order.index(2) if question == steady else 0
        answers.append([0.7 if position == at else 0.1 for position in range(4)])
    assert ranked(with_answers(table, answers), "disagreement") == [torn, steady]


def test_uncertainty_is_of_the_first_shift_alone():
    table = pool(questions=2)
    sure, unsure = sorted(set(table["question_id"].to_pylist()))
    answers = [
        [0.97, 0.01, 0.01, 0.01] if (question == sure) == (shift == 0) else [0.25] * 4
        for question, shift in zip(table["question_id"].to_pylist(), table["round"].to_pylist(), strict=True)
    ]
    assert ranked(with_answers(table, answers), "uncertainty") == [unsure, sure]


def test_equal_questions_stay_in_their_order():
    table = with_answers(pool(), [[0.25] * 4] * 24)
    for chooser in ("disagreement", "uncertainty"):
        assert ranked(table, chooser) == ranked(table, "first")


def test_signals_without_a_null_query_have_no_chooser_by_it():
    assert choosers_for(pool()) == CHOOSERS
    assert choosers_for(random_signals(0)) == CHOOSERS[:3]


def test_passes_are_those_of_looking_and_of_the_shifts_not_shown_yet():
    assert passes("first", 40, 5, 8) == 40
    assert passes("disagreement", 40, 5, 8) == 320
    assert passes("uncertainty", 40, 5, 8) == passes("null", 40, 5, 8) == 75


def test_the_rule_stops_at_once_where_questions_are_alike_and_never_where_none_suffices():
    table = pool()
    order = ranked(table, "first")
    alike = with_answers(table, [[0.4, 0.3, 0.2, 0.1]] * len(table))
    assert stops_at(alike, order) == 2
    assert stops_at(table, order, change=0.0) == len(order)
    assert 2 <= stops_at(table, order, change=0.2) <= stops_at(table, order, change=0.02) <= len(order)


def test_choices_are_measured_against_draws_and_repeat():
    evaluated = random_signals(9, questions=12, rounds=2, split="evaluation", rows=True, null=True)
    few = {"methods": ("pride", "agd"), "questions": (1, 2, 50), "draws": 3, "resamples": 20}
    measured = measure_choices(pool(questions=6), evaluated, pool=5, **few)
    assert measured.equals(measure_choices(pool(questions=6), evaluated, pool=5, **few))
    rows = measured.to_pylist()
    assert len(rows) == 2 * (2 + 4 * 3), "two methods; two numbers at random; four choosers at two numbers and stopped"
    assert {row["pool"] for row in rows} == {5}
    assert all((row["lead"] is None) == (row["chooser"] == "random") for row in rows)
    assert all(row["low"] <= row["accuracy"] <= row["high"] for row in rows)


def test_all_of_a_pool_is_one_choice_whoever_chooses():
    evaluated = random_signals(9, questions=12, rounds=2, split="evaluation")
    rows = measure_choices(
        pool(questions=3), evaluated, methods=["agd"], questions=[3], draws=2, resamples=20
    ).to_pylist()
    assert len({row["accuracy"] for row in rows if not row["stopped"]}) == 1
    assert {row["lead"] for row in rows if row["lead"] is not None and not row["stopped"]} == {0.0}


@pytest.mark.parametrize("method", [*METHODS, "retrieval_heads;row=query", "fusion;evidence=null"])
def test_accuracy_after_a_choice_is_that_of_calibrating_and_scoring(method):
    heads = {"heads": 2, "rows": True, "null": True}
    known = random_signals(4, questions=5, **heads)
    evaluated = random_signals(9, questions=12, rounds=3, split="evaluation", **heads)
    rows = measure_choices(known, evaluated, methods=[method], questions=[5], draws=2, resamples=20).to_pylist()
    right = score(evaluated, calibrate(known), method)["correct"].to_numpy(zero_copy_only=False)
    found = [row["accuracy"] for row in rows if not row["stopped"]]
    assert found == pytest.approx([100 * right.mean()] * len(found))


def test_a_pool_of_one_question_leaves_nothing_to_choose():
    with pytest.raises(CalibrationError, match="the pool holds 1 questions, chosen are 1, 2, 3, 5, 10"):
        measure_choices(pool(questions=1), random_signals(9, split="evaluation"))
