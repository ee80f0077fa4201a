"""What holds for every method: invariances, contracts, and what is refused for want of something."""

import numpy as np
import pyarrow as pa
import pytest
from cases import (
    BY_SCORE,
    CALIBRATED,
    answers_of,
    calibrated,
    calibrated_for,
    calibration_signals,
    evaluation_signals,
    scores_of,
    signals_for,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from signals_factory import content_free_signals, random_signals, replace_column

from lad import contracts, parquet
from lad.calibration.calibrate import calibrate
from lad.calibration.observations import SignalsError
from lad.methods import ScoringError, Session, score
from lad.parquet import nested_lists


def test_predictions_keep_their_contract_and_tell_candidate_and_truth():
    table = evaluation_signals(0)
    predictions = score(table, calibrate(random_signals(0)), " agd ; k=1;prior=no")
    assert parquet.conform(predictions, contracts.PREDICTIONS, "test").equals(predictions)
    assert predictions["variant"].unique().to_pylist() == ["k=1;prior=no"]
    orders = answers_of(table, "order")
    for row in predictions.to_pylist():
        assert row["candidate"] == orders[row["presentation_id"]][row["position"] - 1]
        assert row["correct"] == (row["position"] == row["target_position"])
    assert 0 < sum(predictions["correct"].to_pylist()) < len(predictions)


@pytest.mark.parametrize("method", BY_SCORE)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 12))
def test_relabelling_the_candidates_relabels_the_answer(method, seed, n):
    """Question by question, candidates get other numbers; nothing the model sees changes."""
    rng = np.random.default_rng(seed)
    table, fitted = signals_for(method, seed, n), calibrated_for(method, seed, n)
    numbers = {question: rng.permutation(n) + 1 for question in sorted(set(table["question_id"].to_pylist()))}
    orders = [
        [int(numbers[question][candidate - 1]) for candidate in order]
        for question, order in zip(table["question_id"].to_pylist(), table["order"].to_pylist(), strict=True)
    ]
    blank = content_free_signals(n)
    before = score(table, fitted, method, content_free=blank).to_pylist()
    after = score(replace_column(table, "order", orders), fitted, method, content_free=blank).to_pylist()
    for old, new in zip(before, after, strict=True):
        if old["scores"] and method == "gold_panning" and old["scores"].count(max(old["scores"])) > 1:
            continue  # equal beliefs are common, and of these the lower number wins
        assert new["candidate"] == numbers[old["question_id"]][old["candidate"] - 1]
        assert new["position"] == old["position"]


@pytest.mark.parametrize("formulation", ["printed+scores=identifier_logits", "released"])
@pytest.mark.parametrize("method", [*CALIBRATED, "permutation_average"])
def test_a_constant_added_to_all_logits_changes_nothing(method, formulation):
    """Another constant in each presentation, in calibration as in evaluation."""

    def shifted(table: pa.Table) -> pa.Table:
        constants = np.random.default_rng(0).choice([-16.0, 4.0, 32.0], size=(len(table), 1))
        for column in ("identifier_logits", "processed_logits"):
            logits = np.array(table[column].to_pylist()) + constants
            table = replace_column(table, column, nested_lists(logits.astype(np.float32)))
        return table

    fitted_on, table = calibration_signals(5), signals_for(method, 5)
    defaults = {"formulation": formulation}
    plain, moved = (
        score(change(table), calibrate(change(fitted_on), formulations=[formulation]), method, defaults)
        for change in (lambda unchanged: unchanged, shifted)
    )
    assert answers_of(moved) == answers_of(plain)
    level = scores_of(moved) - scores_of(plain)
    np.testing.assert_allclose(level, np.broadcast_to(level[:, :1], level.shape), atol=2e-5)


@pytest.mark.parametrize(
    "method",
    [
        *("agd;layers=all", "agd;formulation=released;k=3", "permutation_average", "permutation_average;orders=random"),
        *("batch_calibration", "majority_vote", "majority_vote;passes=2", "gold_panning"),
    ],
)
def test_the_same_signals_give_the_same_bits(method):
    """Sums are taken in the order of rows, not of threads: a run again writes the same table."""
    table = signals_for(method, 6, 8)
    first, second = (score(table, calibrate(random_signals(6, 8)), method) for _ in range(2))
    assert first.equals(second)


def test_a_method_answers_the_same_whatever_was_asked_of_the_signals_before():
    """Steps that methods share are taken once; none may pass for another."""
    formulations = [f"printed+{change}" for change in ("span=delimited", "aggregation=log_of_mean")]
    changes = ["", "k=1", "layers=1-3", *(f"formulation={name}" for name in ("released", *formulations))]
    specifications = [f"{name};{change}".rstrip(";") for name in ("attention_readout", "agd") for change in changes]
    specifications += ["agd;tau=3", "agd;prior=no", "purified_attention", "purified_attention;formulation=released"]
    calibration_signals = random_signals(0)
    first, second = (
        calibrate(s, formulations=["printed", "released", *formulations])
        for s in (calibration_signals, random_signals(1))
    )
    for fitted in (first, second):
        session = Session(evaluation_signals(0), fitted)
        for specification in specifications:
            alone = score(evaluation_signals(0), fitted, specification)
            assert session.score(specification).equals(alone), specification


def test_an_unknown_target_is_no_obstacle_to_an_answer():
    table, calibration = evaluation_signals(0), calibrate(random_signals(0))
    unknown = replace_column(table, "target_position", [None] * len(table))
    for method in ("vanilla", "agd", "pride", "majority_vote", "gold_panning"):
        known, blind = (score(signals, calibration, method) for signals in (table, unknown))
        assert blind.drop_columns(["target_position", "correct"]).equals(
            known.drop_columns(["target_position", "correct"])
        )
        assert blind["target_position"].null_count == blind["correct"].null_count == len(table)


def test_a_table_that_breaks_the_contract_is_refused_by_name():
    table = evaluation_signals(0)
    with pytest.raises(parquet.TableError, match="signals: column question_id missing; a signals table has"):
        score(table.drop_columns("question_id"), None, "vanilla")
    with pytest.raises(parquet.TableError, match="signals: column round has type list<"):
        score(table.set_column(3, "round", table["order"]), None, "vanilla")
    blank = content_free_signals(4).drop_columns("candidate_attention")
    with pytest.raises(parquet.TableError, match="content-free signals: column candidate_attention missing"):
        score(table, None, "attention_less_content_free", content_free=blank)
    with pytest.raises(parquet.TableError, match="generations: column text missing"):
        score(table, None, "cot", generations=contracts.GENERATIONS.schema.empty_table().drop_columns("text"))


def test_what_a_method_needs_besides_the_signals_is_named_with_what_would_produce_it():
    table = evaluation_signals(0)
    for method, scored, options, message in (
        ("contextual_calibration", table, {}, r"needs signals of the split content_free.*`lad content-free`"),
        (
            "attention_less_content_free",
            table,
            {"content_free": content_free_signals(8)},
            "content-free signals are of N = 8 and 5 layers, the signals to be scored of N = 4 and 5",
        ),
    ):
        with pytest.raises(ScoringError, match=message):
            score(scored, calibrated(0), method, **options)


@pytest.mark.parametrize("method", CALIBRATED)
def test_a_missing_or_unfit_calibration_is_refused(method):
    table = evaluation_signals(0)
    with pytest.raises(ScoringError, match=f"{method} needs a calibration"):
        score(table, None, method)
    with pytest.raises(ScoringError, match="calibration is for N = 3, the signals are of N = 4"):
        score(table, calibrated(0, 3), method)
    with pytest.raises(ScoringError, match="a model of 6 layers, the signals are of one of 5"):
        score(table, calibrate(random_signals(0, layers=6)), method)


def test_an_order_that_does_not_show_every_candidate_is_refused():
    table = random_signals(0, split="symmetrized")
    orders = table["order"].to_pylist()
    for wrong in ([1, 2, 3, 3], [0, 1, 2, 3], [1, 2, 3, 7]):
        partial = replace_column(table, "order", [*orders[:5], wrong, *orders[6:]])
        for method in ("permutation_average", "permutation_average;orders=random", "majority_vote", "gold_panning"):
            with pytest.raises(ScoringError, match=r"symmetrized-000001-01 is \[.*shows each of the candidates 1 to 4"):
                score(partial, calibrated_for(method, 0), method)


@pytest.mark.parametrize(
    "method", ["vanilla", "pride", "agd", "permutation_average", "batch_calibration", "majority_vote", "gold_panning"]
)
def test_missing_probabilities_are_refused(method):
    """A presentation without them would else be left out of the answers."""
    table, fitted = signals_for(method, 0), calibrated(0)
    with pytest.raises(parquet.TableError, match="signals: column candidate_logprobs missing"):
        score(table.drop_columns("candidate_logprobs"), fitted, method)
    logprobs = table["candidate_logprobs"].to_pylist()
    third = table["presentation_id"][2].as_py()
    with pytest.raises(ScoringError, match=f"presentation {third} has no candidate_logprobs"):
        score(replace_column(table, "candidate_logprobs", [*logprobs[:2], None, *logprobs[3:]]), fitted, method)


@pytest.mark.parametrize("method", ["vanilla", "agd", "permutation_average", "batch_calibration", "majority_vote"])
def test_mixed_n_is_refused(method):
    table = pa.concat_tables([evaluation_signals(0, 4), evaluation_signals(0, 3)])
    with pytest.raises(SignalsError, match="mix N = 3 and 4"):
        score(table, calibrated(0), method)
