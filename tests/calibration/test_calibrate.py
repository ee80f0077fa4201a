"""Calibration: held against plain numpy, and refusing what it cannot be fitted on."""

import numpy as np
import oracle
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from signals_factory import random_signals, replace_column

from lad import contracts, parquet
from lad.calibration.calibrate import CalibrationError, calibrate, read_calibration
from lad.calibration.formulation import FORMULATIONS, FormulationError, get_formulation
from lad.calibration.observations import SignalsError

SIZES = (2, 4, 9, 10, 12)


def matrix(table: pa.Table, value: str, **where) -> np.ndarray:
    """A column of a calibration table as a vector or matrix, in the table's row order."""
    for name, wanted in where.items():
        table = table.filter(pc.field(name) == wanted)
    n = table["n_candidates"][0].as_py()
    return table[value].to_numpy().reshape(-1, n).squeeze()


@pytest.mark.parametrize("n", SIZES)
def test_the_printed_bias_is_that_of_equations_1_4_and_5(n):
    signals = random_signals(n, n)
    fitted = calibrate(signals)
    observed, bias = oracle.printed_bias(oracle.Signals.of(signals))
    np.testing.assert_allclose(matrix(fitted.position_bias, "observed", formulation="printed"), observed, rtol=1e-6)
    np.testing.assert_allclose(matrix(fitted.position_bias, "bias", formulation="printed"), bias, atol=1e-6)


@pytest.mark.parametrize("n", SIZES)
def test_the_released_bias_is_the_mean_score_less_the_ideal(n):
    signals = random_signals(n, n)
    fitted = calibrate(signals)
    observed, bias = oracle.released_bias(oracle.Signals.of(signals))
    np.testing.assert_allclose(matrix(fitted.position_bias, "observed", formulation="released"), observed, atol=1e-9)
    np.testing.assert_allclose(matrix(fitted.position_bias, "bias", formulation="released"), bias, atol=1e-9)


@pytest.mark.parametrize("n", SIZES)
def test_the_attention_prior_is_the_mean_over_presentations(n):
    signals = random_signals(n, n)
    fitted, arrays = calibrate(signals), oracle.Signals.of(signals)
    for formulation, attention in (("printed", arrays.image), ("released", arrays.delimited)):
        np.testing.assert_allclose(
            matrix(fitted.attention_prior, "prior", formulation=formulation),
            oracle.attention_prior(attention),
            rtol=1e-9,
        )


@pytest.mark.parametrize("n", SIZES)
def test_every_row_has_a_prior_of_its_own(n):
    signals = random_signals(n, n, rows=True)
    fitted = calibrate(signals)
    for row in ("query", "suffix"):
        attention = np.array(signals[f"{row}_attention"].to_pylist(), dtype=np.float64)
        for formulation in ("printed", "released"):  # of these rows delimiters are not kept
            prior = matrix(fitted.attention_prior, "prior", formulation=formulation, row=row)
            np.testing.assert_allclose(prior, oracle.attention_prior(attention), rtol=1e-9)


def skill_of(fitted, **where) -> list[dict]:
    table = fitted.attention_skill
    for name, wanted in where.items():
        table = table.filter(pc.field(name) == wanted)
    return table.to_pylist()


@pytest.mark.parametrize("n", SIZES)
def test_the_skill_of_every_head_and_layer_is_that_of_the_oracle(n):
    signals = random_signals(n, n, heads=3, rows=True, null=True)
    target, fitted = oracle.Signals.of(signals).target, calibrate(signals)
    seen = 0
    for row in ("last", "query", "suffix"):
        for heads in ("", "head_"):
            name = (
                {"": "candidate_attention", "head_": "head_attention"}[heads]
                if row == "last"
                else f"{heads}{row}_attention"
            )
            attention = np.array(signals[name].to_pylist(), dtype=np.float64).reshape(len(signals), 5, -1, n)
            null = attention
            if row != "last":
                null = np.array(signals[f"{heads}null_{row}_attention"].to_pylist(), dtype=np.float64).reshape(
                    attention.shape
                )
            for against in ("none", "prior", "null") if row != "last" else ("none", "prior"):
                for known in skill_of(fitted, row=row, against=against):
                    if (known["head"] is None) == bool(heads):
                        continue
                    place = known["layer"], known["head"] or 0
                    looks = attention[:, *place]
                    expected = oracle.attention_skill(oracle.held_against(looks, against, null[:, *place]), target)
                    found = [known[each] for each in ("found", "target_share", "mass", "contrast")]
                    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
                    if against == "prior":
                        np.testing.assert_allclose(known["prior"], looks.mean(axis=0), rtol=1e-6)
                    else:
                        assert known["prior"] is None
                    seen += 1
    assert seen == len(fitted.attention_skill) == 5 * (1 + 3) * (2 + 3 + 3)


def test_a_head_that_looks_at_all_images_alike_finds_nothing():
    signals = random_signals(0, 4, heads=1)
    even = np.ones((len(signals), 5, 1, 4), dtype=np.float32)
    fitted = calibrate(replace_column(signals, "head_attention", parquet.nested_lists(even)))
    skill = skill_of(fitted, head=0)
    assert len(skill) == 10
    for known in skill:
        assert (known["found"], known["target_share"]) == (0, 0.25)


def test_skill_is_told_of_what_the_signals_have():
    for options, rows, heads in (
        ({}, {("last", "none"), ("last", "prior")}, False),
        ({"heads": 2}, {("last", "none"), ("last", "prior")}, True),
        (
            {"rows": True},
            {(row, against) for row in ("last", "query", "suffix") for against in ("none", "prior")},
            False,
        ),
    ):
        skill = calibrate(random_signals(0, 4, **options)).attention_skill.to_pylist()
        assert {(known["row"], known["against"]) for known in skill} == rows
        assert any(known["head"] is not None for known in skill) == heads


def test_a_calibration_is_read_as_it_was_written(tmp_path):
    fitted = calibrate(random_signals(0, 4, heads=2, rows=True, null=True))
    fitted.write(tmp_path)
    assert read_calibration(tmp_path) == fitted


@pytest.mark.parametrize("n", SIZES)
def test_the_pride_prior_is_that_of_its_authors(n):
    signals = random_signals(n, n)
    prior = matrix(calibrate(signals).position_prior, "log_prior", method="pride")
    np.testing.assert_allclose(prior, oracle.pride_log_prior(oracle.Signals.of(signals)), atol=1e-6)
    assert np.exp(prior).sum() == pytest.approx(1)


@pytest.mark.parametrize("n", SIZES)
def test_the_released_pride_prior_is_the_mean_row_of_the_released_bias(n):
    signals = random_signals(n, n)
    _, bias = oracle.released_bias(oracle.Signals.of(signals))
    prior = matrix(calibrate(signals, formulations=["printed"]).position_prior, "log_prior", method="pride_released")
    np.testing.assert_allclose(prior, bias.mean(axis=0), atol=1e-9)


def test_the_released_pride_prior_is_the_geometric_mean_of_the_questions_priors():
    """PriDe's authors take the arithmetic mean: the two differ by more than a constant."""
    signals = random_signals(3, n_candidates=10)  # N >= 10: both read the log-probabilities
    arrays = oracle.Signals.of(signals)
    question_priors = [
        arrays.logprobs[[m for m, name in enumerate(arrays.question) if name == question]].mean(axis=0)
        for question in sorted(set(arrays.question))
    ]
    geometric = np.log(oracle.softmax(np.mean(question_priors, axis=0)))
    position_prior = calibrate(signals).position_prior
    released = np.log(oracle.softmax(matrix(position_prior, "log_prior", method="pride_released")))
    np.testing.assert_allclose(released, geometric, atol=1e-6)
    assert np.abs(matrix(position_prior, "log_prior", method="pride") - geometric).max() > 1e-3


def test_after_calibration_the_target_never_wins_by_its_position_alone():
    """Eq. 4 and 5: with gamma taken off, no diagonal entry exceeds its row, and one equals it."""
    bias = matrix(calibrate(random_signals(0)).position_bias, "bias", formulation="printed")
    excess = np.diag(bias)[:, None] - bias
    excess[np.eye(len(bias), dtype=bool)] = -np.inf
    assert excess.max() == pytest.approx(0, abs=1e-12)


def test_only_the_first_questions_are_used():
    signals = random_signals(0, questions=6)
    first = signals.filter(pc.field("question_id") <= "calibration-000001")
    fitted = calibrate(signals, questions=2)
    assert fitted.questions == ("calibration-000000", "calibration-000001")
    assert fitted.position_bias.equals(calibrate(first).position_bias)
    assert not fitted.position_bias.equals(calibrate(signals).position_bias)


def test_the_order_of_rows_does_not_matter():
    signals = random_signals(0)
    shuffled = signals.take(np.random.default_rng(0).permutation(len(signals)))
    np.testing.assert_allclose(
        calibrate(shuffled).position_bias["bias"], calibrate(signals).position_bias["bias"], atol=1e-12
    )


def test_layers_restrict_the_attention_prior_and_end_with_the_model():
    fitted = calibrate(random_signals(0, layers=5), layers=(3, 35))
    assert fitted.layers == (3, 4)
    assert fitted.model_layers == 5


def test_a_calibration_survives_its_files(tmp_path):
    fitted = calibrate(random_signals(0), questions=3, layers=(1, 3))
    fitted.write(tmp_path / "fitted", {"model": "demo"})
    again = read_calibration(tmp_path / "fitted")
    for contract in (contracts.POSITION_BIAS, contracts.ATTENTION_PRIOR, contracts.POSITION_PRIOR):
        path = tmp_path / "fitted" / f"{contract.name}.parquet"
        assert parquet.read(path, contract).to_pylist() == getattr(fitted, contract.name).to_pylist()
        facts = parquet.read_metadata(path)
        assert facts["model"] == "demo"
        assert facts["calibration_questions"] == list(fitted.questions)
        assert facts["layers"] == [1, 2, 3]
    assert (again.n_candidates, again.model_layers, again.questions) == (4, 5, fitted.questions)


def test_files_of_different_n_are_refused(tmp_path):
    calibrate(random_signals(0)).write(tmp_path)
    parquet.write(
        calibrate(random_signals(0, 3)).position_prior, tmp_path / "position_prior.parquet", contracts.POSITION_PRIOR
    )
    with pytest.raises(CalibrationError, match=r"one N, these files hold \[3, 4\]"):
        read_calibration(tmp_path)


def test_more_questions_than_there_are_is_refused():
    with pytest.raises(CalibrationError, match="questions = 7: the signals hold 6 calibration questions"):
        calibrate(random_signals(0, questions=6), questions=7)


def test_a_position_that_never_shows_the_target_is_refused():
    signals = random_signals(0)
    message = r"question calibration-000000 shows its target \[1, 0, 0, 1\] times at the positions 1 to 4; show each"
    with pytest.raises(CalibrationError, match=message):
        calibrate(signals.filter(pc.is_in(signals["target_position"], pa.array([1, 4], pa.int32()))))


def test_a_question_that_shows_its_target_more_often_at_some_positions_is_refused():
    with pytest.raises(CalibrationError, match=r"in its 4 cyclic shifts"):
        calibrate(random_signals(0).slice(1))


def test_the_second_set_of_questions_are_the_next_ones():
    signals = random_signals(0)
    second = calibrate(signals, questions=2, question_set=2)
    assert second.questions == ("calibration-000002", "calibration-000003")
    alone = signals.filter(pc.is_in(signals["question_id"], pa.array(second.questions)))
    assert second.position_bias.equals(calibrate(alone).position_bias)
    with pytest.raises(CalibrationError, match=r"questions = 2, set 4: the signals hold 6 .* allowed are 1 to 1$"):
        calibrate(signals, questions=2, question_set=4)


def test_questions_of_several_splits_are_refused():
    """A glob over all splits would calibrate on the answers of the evaluation."""
    with pytest.raises(CalibrationError, match="of the splits calibration, symmetrized; calibrate on those of one"):
        calibrate(pa.concat_tables([random_signals(0), random_signals(1, split="symmetrized")]))


def test_an_unknown_target_is_refused():
    signals = random_signals(0)
    targets = [None, *signals["target_position"].to_pylist()[1:]]
    with pytest.raises(CalibrationError, match="calibration-000000-00 does not say where its target is"):
        calibrate(replace_column(signals, "target_position", targets))


def test_a_table_that_breaks_the_contract_is_refused_by_name():
    with pytest.raises(parquet.TableError, match="signals: column target_position missing; a signals table has"):
        calibrate(random_signals(0).drop_columns("target_position"))


def test_mixed_n_is_refused():
    signals = pa.concat_tables([random_signals(0, 4), random_signals(0, 3)])
    with pytest.raises(SignalsError, match="mix N = 3 and 4"):
        calibrate(signals)


def test_mixed_models_are_refused():
    signals = pa.concat_tables([random_signals(0, layers=5), random_signals(0, layers=6)])
    with pytest.raises(SignalsError, match="mix 5 and 6 layers"):
        calibrate(signals)


def test_an_empty_table_is_refused():
    with pytest.raises(SignalsError, match="no presentation"):
        calibrate(random_signals(0).slice(0, 0))


@pytest.mark.parametrize("layers", [(5, 9), (3, 2), (-1, 2)])
def test_layers_that_are_not_there_are_refused(layers):
    with pytest.raises(CalibrationError, match="the model has layers 0 to 4"):
        calibrate(random_signals(0, layers=5), layers=layers)


def test_probabilities_that_underflow_leave_finite_biases():
    """PriDe adds 1e-10 to every probability, eq. 5 takes its logarithm of no less than 1e-300."""
    signals = random_signals(0)
    sure = np.full((len(signals), 4), -1000.0)
    sure[:, 0] = 0
    signals = replace_column(signals, "candidate_logprobs", list(sure))
    fitted = calibrate(signals)
    assert np.isfinite(fitted.position_bias["bias"].to_numpy()).all()
    np.testing.assert_allclose(
        matrix(fitted.position_prior, "log_prior", method="pride"),
        oracle.pride_log_prior(oracle.Signals.of(signals)),
        atol=1e-6,
    )


# --- formulations ----------------------------------------------------------------------------------------------


def test_every_divergence_can_be_switched_on_its_own():
    both = "printed+scores=identifier_logits+average=logs+mixture=logs+aggregation=log_of_mean+span=delimited"
    signals = random_signals(0)
    switched, released = calibrate(signals, formulations=[both]), calibrate(signals, formulations=["released"])
    assert switched.formulations == (both,)
    for name, value in (("position_bias", "bias"), ("attention_prior", "prior")):
        assert getattr(switched, name)[value].equals(getattr(released, name)[value])
    spans = [calibrate(signals, formulations=[f]) for f in ("printed", "printed+span=delimited")]
    assert spans[0].position_bias["bias"].equals(spans[1].position_bias["bias"])
    assert not spans[0].attention_prior["prior"].equals(spans[1].attention_prior["prior"])


def test_processed_logits_can_take_the_place_of_raw_ones():
    signals = random_signals(0)
    swapped = replace_column(signals, "identifier_logits", signals["processed_logits"].combine_chunks())
    processed = calibrate(signals, formulations=["released+scores=processed_logits"])
    assert processed.position_bias["bias"].equals(calibrate(swapped, formulations=["released"]).position_bias["bias"])


def test_logits_are_read_up_to_nine_candidates_only():
    """From ten on, identifiers share first tokens."""
    assert FORMULATIONS["released"].scores_column(9) == "identifier_logits"
    assert FORMULATIONS["released"].scores_column(10) == "candidate_logprobs"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("publshed", "unknown formulation 'publshed'; known: printed, released"),
        ("printed+mix=logs", "no field 'mix'; fields: scores, average, mixture, aggregation, span"),
        ("printed+mixture=log", "mixture cannot be 'log'; allowed: probabilities, logs"),
    ],
)
def test_an_unknown_formulation_names_the_known_ones(name, message):
    with pytest.raises(FormulationError, match=message):
        get_formulation(name)
