"""AGD: eq. 8 to 14, its options, and what it is for."""

from dataclasses import replace

import numpy as np
import oracle
import pyarrow as pa
import pytest
from cases import answers_of, evaluation_signals, scores_of
from signals_factory import random_signals, replace_column

from lad.calibration.calibrate import calibrate
from lad.methods import ScoringError, score
from lad.parquet import nested_lists


def test_printed_agd_is_that_of_equations_8_to_14(case):
    _, bias = oracle.printed_bias(case.calibration)
    rows = zip(case.signals.logprobs, case.printed_pi(), strict=True)
    expected = [oracle.printed_agd(logprobs, pi, bias) for logprobs, pi in rows]
    np.testing.assert_allclose(case.scores("agd"), expected, atol=1e-6)


def test_released_agd_mixes_log_domain_scores(case):
    _, bias = oracle.released_bias(case.calibration)
    rows = zip(case.signals.released_scores, case.released_pi(), strict=True)
    expected = [oracle.released_agd(scores, pi, bias) for scores, pi in rows]
    np.testing.assert_allclose(case.scores("agd;formulation=released"), expected, atol=1e-6)


def test_a_single_divergence_can_be_taken_over_from_the_released_code(case):
    formulation = "printed+mixture=logs"
    case.fitted = calibrate(random_signals(0, case.signals.n), formulations=[formulation])
    _, bias = oracle.printed_bias(case.calibration)
    rows = zip(case.signals.logprobs, case.printed_pi(), strict=True)
    expected = [oracle.released_agd(logprobs, pi, bias) for logprobs, pi in rows]
    np.testing.assert_allclose(case.scores(f"agd;formulation={formulation}"), expected, atol=1e-6)


def test_options_change_k_tau_prior_and_layers(case):
    _, bias = oracle.printed_bias(case.calibration)

    def agd(pi):
        return [oracle.printed_agd(p, q, bias) for p, q in zip(case.signals.logprobs, pi, strict=True)]

    for specification, pi in (
        ("agd;k=4;tau=3", case.printed_pi(k=4, tau=3)),
        ("agd;prior=no", case.printed_pi(flat=True)),
        ("agd;layers=all", case.printed_pi(k=5)),
        ("agd;layers=1-3;k=1", case.printed_pi(k=1, allowed=[1, 2, 3])),
    ):
        np.testing.assert_allclose(case.scores(specification), agd(pi), atol=1e-6, err_msg=specification)


def test_agd_is_vanilla_where_positions_have_no_bias():
    """A bias that is the same everywhere cancels in eq. 14, whatever attention says."""
    table, fitted = evaluation_signals(3), calibrate(random_signals(3))
    none = pa.array(np.full(len(fitted.position_bias), -1.5))
    fitted = replace(fitted, position_bias=replace_column(fitted.position_bias, "bias", none))
    assert answers_of(score(table, fitted, "agd")) == answers_of(score(table, None, "vanilla"))


def test_agd_undoes_a_planted_conditional_bias_that_a_static_prior_cannot():
    """The model names the position after the target's; attention still knows where the target is."""
    n = 4

    def planted(seed: int, split: str) -> pa.Table:
        table = random_signals(seed, n, questions=40, split=split)
        target = table["target_position"].to_numpy() - 1
        named = np.eye(n)[(target + 1) % n]
        own = np.eye(n)[target]
        noise = np.random.default_rng(seed).normal(size=(len(table), n))
        logprobs = np.log(0.02 + named + 0.3 * own) + 0.1 * noise
        logprobs -= np.log(np.exp(logprobs).sum(axis=1, keepdims=True))
        attention = (1 + own)[:, None] * np.ones((1, 5, 1)) * np.linspace(1, 2, n) * 0.1
        table = replace_column(table, "candidate_logprobs", nested_lists(logprobs.astype(np.float32)))
        return replace_column(table, "candidate_attention", nested_lists(attention.astype(np.float32)))

    table, fitted = planted(1, "evaluation"), calibrate(planted(0, "calibration"))
    right = {
        m: np.mean(score(table, fitted, m)["correct"].to_numpy())
        for m in ("vanilla", "pride", "batch_calibration", "agd")
    }
    assert right["vanilla"] == 0
    assert right["pride"] < 0.2
    assert right["batch_calibration"] < 0.2
    assert right["agd"] == 1


@pytest.mark.parametrize("formulation", ["printed", "released"])
def test_no_attention_at_all_still_gives_finite_scores(formulation):
    table, fitted = evaluation_signals(0), calibrate(random_signals(0))
    for column in ("candidate_attention", "delimiter_attention"):
        nothing = np.array(table[column].to_pylist(), dtype=np.float32)
        nothing[:, :, 0] = 0
        nothing[::2] = 0
        table = replace_column(table, column, nested_lists(nothing))
    for method in ("purified_attention", "agd"):
        assert np.isfinite(scores_of(score(table, fitted, method, {"formulation": formulation}))).all()


def test_scoring_is_confined_to_the_layers_of_the_calibration():
    table, signals = evaluation_signals(2), random_signals(2)
    confined, free = calibrate(signals, layers=(0, 1)), calibrate(signals)
    for method in ("agd", "purified_attention"):
        within = scores_of(score(table, confined, method))
        np.testing.assert_array_equal(within, scores_of(score(table, free, f"{method};layers=0-1")))
        assert not np.allclose(within, scores_of(score(table, free, method)))
    with pytest.raises(ScoringError, match="k = 2 layers cannot be chosen from 1"):
        score(table, confined, "agd;layers=1-4")


def test_a_formulation_that_was_not_calibrated_is_refused():
    with pytest.raises(ScoringError, match="the calibration holds the formulations printed, not 'released'"):
        score(evaluation_signals(0), calibrate(random_signals(0), formulations=["printed"]), "agd;formulation=released")
