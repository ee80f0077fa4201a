"""Signals from a log: methods answer as from the signals that the log was written from, or say what they lack."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from signals_factory import random_signals, replace_column
from written import calibration, evaluation, rows_of, write_lines

from lad import contracts, parquet
from lad.calibration.calibrate import CalibrationError, calibrate, read_calibration
from lad.evaluation.metrics import evaluate
from lad.logs import LogError, deal_calibration, parse_log, signals_of
from lad.methods import METHODS, ScoringError, score

WITH_LOGPROBS = (
    *("vanilla", "pride", "pride_released", "permutation_average", "permutation_average;formulation=released"),
    *("batch_calibration", "majority_vote"),
)
FROM_ANSWERS = ("vanilla", "permutation_average", "majority_vote")
OF_ATTENTION = [name for name, m in METHODS.items() if m.reads_for(m.options_type()) == "attention"]


def imported(path, signals: pa.Table, *, logprobs: bool = True, split: str = "evaluation") -> pa.Table:
    write_lines(path / "log.jsonl", rows_of(signals, logprobs=logprobs))
    table = signals_of(parse_log("answers", {}).read(path / "log.jsonl")).signals
    return replace_column(table, "split", [split] * len(table))


def positions(predictions: pa.Table) -> list:
    return [(row["question_id"], row["round"], row["position"]) for row in predictions.to_pylist()]


@pytest.fixture(scope="module")
def fitted():
    return calibrate(calibration())


@pytest.mark.parametrize("method", WITH_LOGPROBS)
def test_methods_answer_from_a_log_as_from_the_signals_it_was_written_from(tmp_path, fitted, method):
    """The log has no logits. PriDe as released reads them: logits and their log-softmax give it the same answers."""
    ours = evaluation()
    logits = ours["candidate_logprobs"].to_pylist()
    ours = replace_column(ours, "identifier_logits", [[v + 3 for v in row] for row in logits])
    own_fit = calibrate(replace_column(calibration(), "identifier_logits", calibration()["candidate_logprobs"]))
    log_fit = calibrate(imported(tmp_path, calibration(), split="calibration"))
    expected = score(ours, own_fit, method)
    assert positions(score(imported(tmp_path, ours), log_fit, method)) == positions(expected)


def test_a_calibration_of_a_log_is_that_of_its_signals_without_the_tables_of_attention(tmp_path, fitted):
    of_log = calibrate(imported(tmp_path, calibration(), split="calibration"))
    of_log.write(tmp_path / "fit")
    again = read_calibration(tmp_path / "fit")
    assert (len(again.attention_prior), len(again.attention_skill), len(again.fusion)) == (0, 0, 0)
    assert (again.layers, again.model_layers, again.formulations) == ((), 0, ("printed", "released"))

    def printed(one):
        return [row["bias"] for row in one.position_bias.to_pylist() if row["formulation"] == "printed"]

    np.testing.assert_allclose(printed(again), printed(fitted), atol=1e-6)


@pytest.mark.parametrize("method", FROM_ANSWERS)
def test_answers_alone_suffice_for_votes(tmp_path, method):
    ours = evaluation()
    answered = np.array(score(ours, None, "vanilla")["candidate"].to_pylist()).reshape(30, 4)
    found = score(imported(tmp_path, ours, logprobs=False), None, method)
    votes = np.array([[(row == c).sum() for c in (1, 2, 3, 4)] for row in answered])
    chosen = np.array([row["candidate"] for row in found.to_pylist()]).reshape(30, -1)
    if method == "vanilla":
        np.testing.assert_array_equal(chosen, answered)
        assert found["scores"].null_count == len(found)
    else:
        assert (votes[np.arange(30)[:, None], chosen - 1] == votes.max(axis=1, keepdims=True)).all()
    metrics = evaluate(found, resamples=20)
    assert {"accuracy", "rstd", "consistency", "recall", "confusion"} <= set(metrics["metric"].to_pylist())


def test_a_vote_over_answers_is_scored_by_shares(tmp_path):
    found = score(imported(tmp_path, evaluation(), logprobs=False), None, "permutation_average")
    shares = np.array(found["scores"].to_pylist())
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert set((4 * shares).ravel().tolist()) <= {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    "method", ["pride", "pride_released", "batch_calibration", "permutation_average;formulation=released"]
)
def test_what_reads_probabilities_refuses_answers_and_names_what_serves(tmp_path, fitted, method):
    answers = imported(tmp_path, evaluation(), logprobs=False)
    with pytest.raises(
        ScoringError, match=r"has no candidate_logprobs, an answer at most; methods that serve: vanilla,"
    ):
        score(answers, fitted, method)


@pytest.mark.parametrize("method", OF_ATTENTION)
def test_what_reads_attention_refuses_a_log_and_names_what_serves(tmp_path, fitted, method):
    with pytest.raises(
        ScoringError, match=f"{method} cannot answer: the signals have no attention.*serve: vanilla, .*pride, "
    ):
        score(imported(tmp_path, evaluation()), fitted, method)


def test_methods_of_attention_are_those_whose_module_reads_it():
    assert set(OF_ATTENTION) == {
        *("attention_readout", "purified_attention", "agd", "attention_less_content_free", "retrieval_heads"),
        *("icr", "fusion"),
    }


def test_of_answers_only_their_frequencies_are_fitted(tmp_path):
    answers = imported(tmp_path, calibration(), logprobs=False, split="calibration")
    fit = calibrate(answers)
    vanilla = score(calibration(), None, "vanilla").to_pylist()
    counts = np.zeros((4, 4))
    for row in vanilla:
        counts[row["target_position"] - 1, row["position"] - 1] += 1
    observed = np.array(fit.position_bias["observed"].to_pylist()).reshape(4, 4)
    np.testing.assert_allclose(observed, counts / counts.sum(axis=1, keepdims=True), atol=1e-9)
    assert (fit.formulations, len(fit.position_prior)) == (("printed",), 0)
    with pytest.raises(CalibrationError, match="released averages logs; fit a formulation that averages probabilities"):
        calibrate(answers, formulations=["released"])
    with pytest.raises(ScoringError, match="the calibration has no prior for pride"):
        score(imported(tmp_path, evaluation()), fit, "pride")


def test_a_presentation_without_any_answer_is_not_answered(tmp_path):
    rows = rows_of(evaluation(), logprobs=False)
    rows[0] |= {"answer": "I cannot tell."}
    write_lines(tmp_path / "log.jsonl", rows)
    signals = signals_of(parse_log("answers", {}).read(tmp_path / "log.jsonl")).signals
    first = score(signals, None, "vanilla").to_pylist()[0]
    assert (first["position"], first["correct"]) == (None, False)


def test_layers_that_a_log_does_not_have_are_refused(tmp_path):
    with pytest.raises(CalibrationError, match="layers = 0-1: the model has"):
        calibrate(imported(tmp_path, calibration(), split="calibration"), layers=(0, 1))


def test_a_calibration_on_attention_is_not_for_a_log(tmp_path, fitted):
    with pytest.raises(ScoringError, match="for a model of 5 layers, the signals are of one of 0"):
        score(imported(tmp_path, evaluation()), fitted, "pride")


@pytest.mark.parametrize("column", [c.name for c in contracts.SIGNALS.columns if c.of_a_pass])
def test_signals_with_attention_lack_nothing_that_a_pass_leaves(column):
    table = random_signals(0)
    values = table[column].to_pylist()
    lacking = pa.table(
        [
            table[name] if name != column else pa.array([None, *values[1:]], table[name].type)
            for name in table.column_names
        ],
        names=table.column_names,
    )
    with pytest.raises(parquet.TableError, match=f"column {column} is empty in row 0 .*which has attention"):
        parquet.conform(lacking, contracts.SIGNALS, "here")


def test_a_file_of_before_is_read_as_it_was(tmp_path):
    """Formerly no column of a pass could be null, and there was no answered_position."""
    table = random_signals(0)
    strict = pa.schema([f.with_nullable(f.name in ("target_position", "generated_text")) for f in table.schema])
    pq.write_table(table.cast(strict), tmp_path / "before.parquet")
    assert parquet.read(tmp_path / "before.parquet", contracts.SIGNALS).equals(table)


def test_a_log_probability_that_is_not_told_needs_a_floor(tmp_path):
    rows = [
        {"question_id": "q", "order": [1, 2, 3], "logprobs": told} for told in ([-0.1, None, -3.0], [None, -8.0, None])
    ]
    shown = parse_log("answers", {}).read(write_lines(tmp_path / "log.jsonl", rows))
    assert signals_of(shown).signals["candidate_logprobs"].null_count == 2
    filled = signals_of(shown, floor=-6.0)
    assert filled.metadata["values_at_floor"] == 3
    assert "3 log-probabilities that the log does not tell count as -6 or less" in filled.summary
    first, second = filled.signals["candidate_logprobs"].to_pylist()
    weights = np.exp([-0.1, -6.0, -3.0])
    np.testing.assert_allclose(np.exp(first), weights / weights.sum(), rtol=1e-5)
    np.testing.assert_allclose(np.exp(second), 1 / 3, rtol=1e-5)  # what is not told is never above what is


def test_questions_are_put_aside_to_calibrate_on(tmp_path):
    table = imported(tmp_path, evaluation())
    aside, rest = deal_calibration(table, 8, seed=3)
    assert set(aside["split"].to_pylist()) == {"calibration"}
    dealt = [set(part["question_id"].to_pylist()) for part in (aside, rest)]
    assert (len(dealt[0]), len(dealt[1]), dealt[0] & dealt[1]) == (8, 22, set())
    calibrate(aside)
    with pytest.raises(LogError, match="30 calibration questions wanted, and at least one other: of 30 questions, 30"):
        deal_calibration(table, 30)
    random_orders = imported(tmp_path, random_signals(1, rounds=3, split="evaluation", questions=20))
    with pytest.raises(
        LogError, match="of 20 questions, 0 show a known target equally often at each of the 4 positions"
    ):
        deal_calibration(random_orders, 2)


def test_questions_of_several_sizes_are_refused_until_one_is_chosen(tmp_path):
    rows = [
        {"question_id": "a", "order": [1, 2], "position": 1},
        {"question_id": "b", "order": [1, 3, 2], "position": 1},
    ]
    shown = parse_log("answers", {}).read(write_lines(tmp_path / "log.jsonl", rows))
    with pytest.raises(LogError, match=r"differ in their number of candidates \(1 with 2, 1 with 3\): choose by --n"):
        signals_of(shown)
    assert signals_of(shown, n=3).signals["question_id"].to_pylist() == ["b"]
    with pytest.raises(LogError, match="no presentation has 5 candidates; there are 1 with 2, 1 with 3"):
        signals_of(shown, n=5)
