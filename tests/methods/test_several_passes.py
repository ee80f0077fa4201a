"""Answers that rest on several passes: so many of the orders that there are, taken as they come or chosen."""

import numpy as np
import pytest
from cases import answers_of, calibrated, calibration_signals, evaluation_signals, scores_of, signals_for
from signals_factory import random_signals, replace_column

from lad.calibration.calibrate import calibrate
from lad.methods import ScoringError, score
from lad.methods.gold_panning import calibrated_rates
from lad.panning import Belief, rates_of, worth

SEVERAL = ("majority_vote", "permutation_average;orders=evaluated", "gold_panning")


def by_question(table) -> dict[str, list[dict]]:
    """The presentations of each question, by round."""
    found: dict[str, list[dict]] = {}
    for row in sorted(table.select(["question_id", "round", "presentation_id", "order"]).to_pylist(), key=str):
        found.setdefault(row["question_id"], []).append(row)
    return {question: sorted(rows, key=lambda row: row["round"]) for question, rows in found.items()}


@pytest.mark.parametrize("passes", [1, 2, 3, 5, "all"])
def test_gold_panning_is_belief_after_belief_and_the_order_of_most_worth_each_time(passes):
    table, calibration = random_signals(3, 4, questions=12, rounds=5, split="evaluation"), calibrated(7, 4)
    said = answers_of(score(table, None, "vanilla"))
    predictions = {
        row["presentation_id"]: row for row in score(table, calibration, f"gold_panning;passes={passes}").to_pylist()
    }
    rates = calibrated_rates(calibration)
    for shown in by_question(table).values():
        for first in shown:
            belief, following, left = Belief.even(4), first, list(shown)
            for _ in range(len(shown) if passes == "all" else passes):
                belief = belief.update(following["order"], said[following["presentation_id"]], rates)
                left.remove(following)
                if left:
                    gains = worth(belief, rates, np.array([row["order"] for row in left], dtype=np.int32))
                    following = left[int(np.argmax(np.round(gains, 9)))]
            row = predictions[first["presentation_id"]]
            assert row["candidate"] == belief.best
            by_position = belief.probabilities[np.array(first["order"]) - 1]
            np.testing.assert_allclose(row["scores"], by_position, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", SEVERAL)
def test_of_as_many_passes_as_orders_every_order_leads_to_the_same_candidate(method):
    table = evaluation_signals(2, 4, questions=15)
    predictions = score(table, calibrated(2), f"{method};passes=3")
    chosen = {(row["question_id"], row["candidate"]) for row in predictions.to_pylist()}
    assert len(predictions) == 45
    assert len(chosen) == 15
    everything = score(table, calibrated(2), method)
    assert {(row["question_id"], row["candidate"]) for row in everything.to_pylist()} == chosen


@pytest.mark.parametrize("method", SEVERAL[:2])
def test_one_pass_of_votes_or_averages_is_vanilla(method):
    table = evaluation_signals(4, 5)
    assert answers_of(score(table, None, f"{method};passes=1")) == answers_of(score(table, None, "vanilla"))


@pytest.mark.parametrize("method", SEVERAL[:2])
def test_two_passes_are_an_order_and_the_next_one_and_behind_the_last_comes_the_first(method):
    table = evaluation_signals(6, 4, questions=10)
    predictions = answers_of(score(table, None, f"{method};passes=2"), "candidate")
    for shown in by_question(table).values():
        for at, first in enumerate(shown):
            pair = [first["presentation_id"], shown[(at + 1) % 3]["presentation_id"]]
            rows = [table["presentation_id"].to_pylist().index(one) for one in pair]
            together = score(table.take(rows), None, method)
            assert predictions[pair[0]] == together["candidate"][0].as_py()


@pytest.mark.parametrize("method", SEVERAL)
def test_answers_of_two_passes_do_not_depend_on_the_order_of_rows(method):
    table = evaluation_signals(4, 5, questions=20)
    shuffled = table.take(np.random.default_rng(0).permutation(len(table)))
    one, other = (score(t, calibrated(4, 5), f"{method};passes=2") for t in (table, shuffled))
    assert answers_of(one) == answers_of(other)


def test_gold_panning_reads_no_probabilities_of_the_questions_it_answers():
    """It is for models of which only answers are known."""
    table = evaluation_signals(8, 4)
    logprobs = np.array(table["candidate_logprobs"].to_pylist())
    sharpened = replace_column(table, "candidate_logprobs", (3 * logprobs).tolist())
    one, other = (score(t, calibrated(8), "gold_panning;passes=2") for t in (table, sharpened))
    np.testing.assert_array_equal(scores_of(one), scores_of(other))


def test_the_rates_are_mean_probabilities_and_one_question_that_says_nothing():
    signals = calibration_signals(5)
    probabilities, target = (
        np.exp(np.array(signals["candidate_logprobs"].to_pylist())),
        signals["target_position"].to_numpy(),
    )
    counts = np.array([probabilities[target == position].sum(axis=0) for position in range(1, 5)])
    expected, found = rates_of(counts, counts.sum(axis=1)), calibrated_rates(calibrate(signals))
    np.testing.assert_allclose(found.hits, expected.hits, rtol=1e-6)
    np.testing.assert_allclose(found.false_alarms, expected.false_alarms, rtol=1e-6)


@pytest.mark.parametrize("method", SEVERAL)
def test_more_passes_than_orders_are_refused(method):
    with pytest.raises(
        ScoringError, match=r"passes=4 needs each question in 4 orders; question .* is shown in 3: ask for"
    ):
        score(evaluation_signals(0), calibrated(0), f"{method};passes=4")


def test_a_calibration_without_printed_bias_is_refused():
    fitted = calibrate(calibration_signals(0), formulations=["released"])
    with pytest.raises(ScoringError, match="the calibration has released; calibrate with --formulation printed"):
        score(signals_for("gold_panning", 0), fitted, "gold_panning")
