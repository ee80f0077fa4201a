"""Windows of lists as questions: several candidates may be right, or none, which is left out of accuracy."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from made_lists import answers, asked, made_lists
from signals_factory import log_softmax

from lad import contracts, parquet
from lad.evaluation.bootstrap import question_sums
from lad.evaluation.differences import differences
from lad.evaluation.metrics import EvaluationError, evaluate, with_right_candidate, without_right_candidate
from lad.methods import score


@pytest.fixture(scope="module")
def tables():
    return asked(made_lists(30, 9, seed=8), 3, rounds=4)


@pytest.fixture(scope="module")
def predictions(tables):
    """What vanilla answers, by noise in which grades count a little."""
    shown = tables["presentations"]
    relevance = np.array(shown["relevance"].to_pylist())
    logits = 0.5 * relevance + np.random.default_rng(9).normal(size=relevance.shape)
    signals = shown
    for name, values in {
        **dict.fromkeys(("identifier_logits", "processed_logits"), logits.tolist()),
        "candidate_logprobs": log_softmax(logits).tolist(),
        **dict.fromkeys(("candidate_attention", "delimiter_attention"), [[[0.1] * 3]] * len(shown)),
        "candidate_tokens": [[4] * 3] * len(shown),
        "prompt_tokens": [80] * len(shown),
        "generated_text": pa.nulls(len(shown), pa.string()),
    }.items():
        signals = signals.append_column(name, pa.array(values))
    return score(parquet.conform(signals, contracts.SIGNALS, "made up"), None, "vanilla")


def test_an_answer_is_right_if_its_grade_is_above_0(tables, predictions):
    grades = dict(zip(*(tables["presentations"][c].to_pylist() for c in ("presentation_id", "relevance")), strict=True))
    several = 0
    for row in predictions.to_pylist():
        relevance = grades[row["presentation_id"]]
        assert row["correct"] == (relevance[row["position"] - 1] > 0)
        assert row["target_position"] is None or relevance[row["target_position"] - 1] == max(relevance) > 0
        several += row["correct"] and row["position"] != row["target_position"]
    assert several > 0


def test_windows_without_a_right_candidate_are_left_out_of_the_metrics_and_counted(tables, predictions):
    nothing = [row for row in tables["questions"].to_pylist() if not any(row["relevance"])]
    assert 0 < len(nothing) == without_right_candidate(predictions)
    (accuracy,) = (row for row in evaluate(predictions, resamples=20).to_pylist() if row["metric"] == "accuracy")
    assert accuracy["questions"] == len(tables["questions"]) - len(nothing)
    right = predictions.filter(pc.field("target_position").is_valid())["correct"].to_pylist()
    assert accuracy["value"] == pytest.approx(100 * np.mean(right))
    with pytest.raises(EvaluationError, match="no window has a right candidate"):
        evaluate(predictions.filter(pc.field("target_position").is_null()))


def test_recall_by_position_counts_all_right_answers_in_sql_and_in_the_sums_of_the_bootstrap(predictions):
    measured = evaluate(predictions, resamples=0).filter(pc.field("metric") == "recall")["value"].to_pylist()
    _, sums = question_sums(with_right_candidate(predictions))
    totals = type(sums)(*(part.sum(axis=0, keepdims=True) for part in vars(sums).values()))
    assert totals.metrics()["recall"][0] == pytest.approx(measured)


def test_two_methods_are_compared_on_windows_with_a_right_candidate(tables, predictions):
    lists = tables["lists"].to_pylist()
    perfect = answers(tables, {row["list_id"]: row["relevance"] for row in lists}, method="perfect")
    table = differences(pa.concat_tables([predictions, perfect]), resamples=20).to_pylist()
    assert {row["questions"] for row in table} == {len(tables["questions"]) - without_right_candidate(predictions)}
    accuracy = evaluate(predictions, resamples=0).filter(pc.field("metric") == "accuracy")["value"][0].as_py()
    (lead,) = (row["value"] for row in table if row["method"] == "perfect")
    assert lead == pytest.approx(100 - accuracy)
