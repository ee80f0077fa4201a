"""Every method: held against plain numpy, its invariances, and what it refuses."""

from dataclasses import replace

import numpy as np
import oracle
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signals_factory import content_free_signals, log_softmax, random_signals, replace_column

from lad import contracts, parquet
from lad.calibration.calibrate import calibrate
from lad.calibration.observations import SignalsError
from lad.parquet import nested_lists
from lad.scoring.methods import METHODS, Options, ScoringError, parse_layers, parse_method, score

SIZES = (2, 4, 9, 10, 12)
CALIBRATED = [name for name, method in METHODS.items() if method.needs_calibration]
FROM_TEXT = ("vanilla_parsed", "cot", "self_consistency")
BY_SCORE = [*(name for name in METHODS if name not in FROM_TEXT), "permutation_average;orders=random"]


def evaluation_signals(seed: int, n: int = 4, **options) -> pa.Table:
    return random_signals(seed + 1000, n, rounds=3, split="evaluation", heads=2, **options)


def calibration_signals(seed: int, n: int = 4) -> pa.Table:
    return random_signals(seed, n, heads=2)


def signals_for(method: str, seed: int, n: int = 4) -> pa.Table:
    if METHODS[method.split(";")[0]].split == "symmetrized":
        return random_signals(seed + 2000, n, split="symmetrized")
    return evaluation_signals(seed, n)


def scores_of(predictions: pa.Table) -> np.ndarray:
    return np.array(predictions["scores"].to_pylist())


def heads_of(table: pa.Table) -> np.ndarray:
    """Attention by presentation, layer, head and position."""
    return np.array(table["head_attention"].to_pylist(), dtype=np.float64)


def answers_of(predictions: pa.Table, column: str = "position") -> dict:
    return dict(zip(predictions["presentation_id"].to_pylist(), predictions[column].to_pylist(), strict=True))


class Case:
    """Signals to be scored, a calibration, and both as the oracle sees them."""

    def __init__(self, n: int, seed: int = 0):
        fitted_on = calibration_signals(seed, n)
        self.table, self.fitted = evaluation_signals(seed, n), calibrate(fitted_on)
        self.signals, self.calibration = oracle.Signals.of(self.table), oracle.Signals.of(fitted_on)
        self.layers = range(self.signals.image.shape[1])

    def scores(self, method: str, defaults: Options | None = None) -> np.ndarray:
        """Scores of the method; rows in the order of the table, which is that of predictions."""
        predictions = score(
            self.table, self.fitted, method, defaults, content_free=content_free_signals(self.signals.n)
        )
        assert predictions["presentation_id"].equals(self.table["presentation_id"])
        scores = scores_of(predictions)
        np.testing.assert_array_equal(predictions["position"], scores.argmax(axis=1) + 1)
        return scores

    def printed_pi(self, k=2, tau=5.0, allowed=None, flat=False):
        prior = oracle.attention_prior(self.calibration.image)
        prior = np.ones_like(prior) if flat else prior
        allowed = self.layers if allowed is None else allowed
        return np.array([oracle.printed_pi(a, prior, k, tau, allowed) for a in self.signals.image])

    def released_pi(self, k=2, tau=5.0):
        prior = oracle.attention_prior(self.calibration.delimited)
        return np.array([oracle.released_pi(a, prior, k, tau, self.layers) for a in self.signals.delimited])


@pytest.fixture(params=SIZES, ids=lambda n: f"N={n}")
def case(request) -> Case:
    return Case(request.param)


# --- against plain numpy ---------------------------------------------------------------------------------------


def test_vanilla_is_the_most_probable_identifier(case):
    np.testing.assert_allclose(case.scores("vanilla"), case.signals.logprobs, atol=1e-9)


def test_the_readout_is_the_mean_attention_of_the_chosen_layers(case):
    expected = [oracle.readout(attention, 2, case.layers) for attention in case.signals.image]
    np.testing.assert_allclose(case.scores("attention_readout"), expected, rtol=1e-9)


def test_purified_attention_is_that_of_equations_8_to_12(case):
    np.testing.assert_allclose(case.scores("purified_attention"), case.printed_pi(), atol=1e-9)


def test_released_purified_attention_takes_the_log_of_the_mean_and_counts_delimiters(case):
    scores = case.scores("purified_attention;formulation=released")
    np.testing.assert_allclose(scores, case.released_pi(), atol=1e-9)


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


def test_pride_subtracts_its_static_prior(case):
    expected = case.signals.logprobs - oracle.pride_log_prior(case.calibration)
    np.testing.assert_allclose(case.scores("pride"), expected, atol=1e-6)


def test_released_pride_subtracts_the_mean_row_of_the_released_bias(case):
    _, bias = oracle.released_bias(case.calibration)
    expected = case.signals.released_scores - bias.mean(axis=0)
    np.testing.assert_allclose(case.scores("pride_released"), expected, atol=1e-6)


@pytest.mark.parametrize("n", SIZES)
def test_permutation_average_is_the_mean_over_shifts_mapped_back_to_candidates(n):
    table = random_signals(7, n, split="symmetrized")
    signals = oracle.Signals.of(table)
    for specification, scores in (
        ("permutation_average", np.exp(signals.logprobs)),
        ("permutation_average;formulation=released", signals.released_scores),
    ):
        predictions = score(table, None, specification)
        expected = oracle.permutation_average(signals, scores)
        assert predictions["question_id"].to_pylist() == sorted(expected)
        assert set(predictions["round"].to_pylist()) == {0}
        for prediction in predictions.to_pylist():
            wanted = expected[prediction["question_id"]]
            np.testing.assert_allclose(prediction["scores"], wanted, atol=1e-6)
            assert prediction["position"] == np.argmax(wanted) + 1


@pytest.mark.parametrize("n", SIZES)
def test_permutation_average_over_all_orders_is_the_mean_over_those_that_the_table_holds(n):
    """16 random orders, as the released code has them, and a table from which some rows are gone, round 0 with them."""
    table = random_signals(8, n, rounds=16, split="evaluation")
    later = table.filter(pc.field("round") > 2)
    for held in (table, later.slice(0, len(later) - 3)):
        signals = oracle.Signals.of(held)
        for specification, scores in (
            ("permutation_average;orders=random", np.exp(signals.logprobs)),
            ("permutation_average;orders=random;formulation=released", signals.released_scores),
        ):
            predictions = score(held, None, specification)
            expected = oracle.permutation_average(signals, scores)
            assert predictions["question_id"].to_pylist() == list(expected)
            np.testing.assert_allclose(scores_of(predictions), list(expected.values()), atol=1e-6)


def test_batch_calibration_takes_out_the_mean_probability_of_the_batch(case):
    for specification, of in (
        ("batch_calibration", oracle.batch_calibration),
        ("batch_calibration;correction=ratio", oracle.batch_calibration_by_ratio),
    ):
        np.testing.assert_allclose(case.scores(specification), of(case.signals.logprobs), atol=1e-6)


def test_contextual_calibration_divides_by_the_probabilities_without_content(case):
    blank = oracle.Signals.of(content_free_signals(case.signals.n))
    expected = case.signals.logprobs - blank.logprobs
    np.testing.assert_allclose(case.scores("contextual_calibration"), expected, atol=1e-6)


def test_attention_less_content_free_is_that_of_the_chosen_layers(case):
    blank = oracle.Signals.of(content_free_signals(case.signals.n))
    expected = [oracle.attention_less_content_free(a, blank.image[0], 2, case.layers) for a in case.signals.image]
    np.testing.assert_allclose(case.scores("attention_less_content_free"), expected, atol=1e-9)


def test_chosen_heads_are_those_that_found_most_targets_of_the_calibration(case):
    calibration, attention = calibration_signals(0, case.signals.n), heads_of(case.table)
    best, _ = oracle.ranked_heads(heads_of(calibration), case.calibration.target)
    for count in (1, 3, 10):
        expected = [oracle.chosen_heads(one, best[:count]) for one in attention]
        np.testing.assert_allclose(case.scores(f"chosen_heads;heads={count}"), expected, atol=1e-6)


@pytest.mark.parametrize("n", SIZES)
def test_majority_vote_answers_the_elected_candidate_wherever_it_stands(n):
    table = random_signals(9, n, questions=30, rounds=5, split="evaluation")
    elected = oracle.majority_vote(oracle.Signals.of(table))
    predictions = score(table, None, "majority_vote")
    assert predictions["presentation_id"].equals(table["presentation_id"])
    orders = answers_of(table, "order")
    for row in predictions.to_pylist():
        assert row["candidate"] == elected[row["question_id"]] + 1
        assert row["position"] == orders[row["presentation_id"]].index(row["candidate"]) + 1
        assert row["position"] == np.argmax(row["scores"]) + 1
    differing = np.array(predictions["position"]) != np.array(score(table, None, "vanilla")["position"])
    assert 0 < differing.sum() < len(table)


@pytest.mark.parametrize("layer", range(5))
def test_one_allowed_layer_gives_the_accuracy_of_that_layer_alone(layer):
    """The answer of a layer by itself is the position that it attends to most."""
    table = evaluation_signals(11, questions=40)
    signals = oracle.Signals.of(table)
    right = signals.image[:, layer].argmax(axis=1) == signals.target
    predictions = score(table, None, f"attention_readout;k=1;layers={layer}-{layer}")
    np.testing.assert_array_equal(predictions["correct"], right)
    assert 0 < right.mean() < 1


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


# --- invariances -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", BY_SCORE)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 12))
def test_relabelling_the_candidates_relabels_the_answer(method, seed, n):
    """Question by question, candidates get other numbers; nothing the model sees changes."""
    rng = np.random.default_rng(seed)
    table, fitted = signals_for(method, seed, n), calibrate(calibration_signals(seed, n))
    numbers = {question: rng.permutation(n) + 1 for question in sorted(set(table["question_id"].to_pylist()))}
    orders = [
        [int(numbers[question][candidate - 1]) for candidate in order]
        for question, order in zip(table["question_id"].to_pylist(), table["order"].to_pylist(), strict=True)
    ]
    blank = content_free_signals(n)
    before = score(table, fitted, method, content_free=blank).to_pylist()
    after = score(replace_column(table, "order", orders), fitted, method, content_free=blank).to_pylist()
    for old, new in zip(before, after, strict=True):
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
    defaults = Options(formulation=formulation)
    plain, moved = (
        score(change(table), calibrate(change(fitted_on), formulations=[formulation]), method, defaults)
        for change in (lambda unchanged: unchanged, shifted)
    )
    assert answers_of(moved) == answers_of(plain)
    level = scores_of(moved) - scores_of(plain)
    np.testing.assert_allclose(level, np.broadcast_to(level[:, :1], level.shape), atol=2e-5)


@pytest.mark.parametrize("n", SIZES)
def test_purified_attention_with_a_flat_prior_equals_the_readout(n):
    """For one layer in both formulations; for several where the mean precedes the logarithm."""
    table, fitted = evaluation_signals(3, n), calibrate(random_signals(3, n))
    flat = pa.array(np.where(np.arange(len(fitted.attention_prior)) % (2 * n) < n, 0.1, 0.7))  # by layer
    fitted = replace(fitted, attention_prior=replace_column(fitted.attention_prior, "prior", flat))
    for options in ("k=1", "k=1;formulation=released", "k=3;formulation=released", "layers=all;formulation=released"):
        readout = score(table, None, f"attention_readout;{options}")
        assert answers_of(score(table, fitted, f"purified_attention;{options}")) == answers_of(readout)


def test_without_prior_purified_attention_is_that_of_a_flat_prior():
    table, fitted = evaluation_signals(3), calibrate(random_signals(3))
    flat = pa.array(np.full(len(fitted.attention_prior), 0.3))
    flattened = replace(fitted, attention_prior=replace_column(fitted.attention_prior, "prior", flat))
    np.testing.assert_allclose(
        scores_of(score(table, fitted, "purified_attention;prior=no")),
        scores_of(score(table, flattened, "purified_attention")),
        atol=1e-12,
    )


def test_agd_is_vanilla_where_positions_have_no_bias():
    """A bias that is the same everywhere cancels in eq. 14, whatever attention says."""
    table, fitted = evaluation_signals(3), calibrate(random_signals(3))
    none = pa.array(np.full(len(fitted.position_bias), -1.5))
    fitted = replace(fitted, position_bias=replace_column(fitted.position_bias, "bias", none))
    assert answers_of(score(table, fitted, "agd")) == answers_of(score(table, None, "vanilla"))


def test_permutation_average_over_all_orders_of_the_shifts_is_the_printed_one():
    table = random_signals(4, 5, split="symmetrized")
    scores = [scores_of(score(table, None, f"permutation_average{option}")) for option in ("", ";orders=random")]
    np.testing.assert_array_equal(*scores)


def test_permutation_average_over_a_single_order_is_vanilla():
    table = evaluation_signals(4).filter(pc.field("round") == 1)
    assert answers_of(score(table, None, "permutation_average;orders=random")) == answers_of(
        score(table, None, "vanilla")
    )


def test_batch_calibration_undoes_any_static_preference_for_positions():
    """However strong the preference and however weak the sight, where targets are evenly spread."""
    n, preference = 6, np.array([4.0, -3.0, 0.0, 1.0, 6.0, -1.0])
    table = random_signals(2, n, questions=20, split="symmetrized")
    sight = 0.4 * np.eye(n)[table["target_position"].to_numpy() - 1]
    table = replace_column(table, "candidate_logprobs", nested_lists(log_softmax(preference + sight)))
    assert np.mean(score(table, None, "vanilla")["correct"]) == 1 / n
    assert np.mean(score(table, None, "batch_calibration;correction=ratio")["correct"]) == 1


def test_batch_calibration_reads_no_label_and_depends_on_the_batch():
    table = evaluation_signals(0)
    scores = scores_of(score(table, None, "batch_calibration"))
    mislabelled = replace_column(table, "target_position", table["target_position"].to_numpy() % 4 + 1)
    np.testing.assert_array_equal(scores_of(score(mislabelled, None, "batch_calibration")), scores)
    assert not np.allclose(scores_of(score(table.slice(0, 9), None, "batch_calibration")), scores[:9])


def test_more_votes_win_whatever_their_probabilities():
    """Two orders are sure of candidate 4; three name candidate 2, by a hair."""
    assert elected_from([[0.01, 0.01, 0.01, 0.97]] * 2 + [[0.24, 0.26, 0.25, 0.25]] * 3) == 2


def test_equal_votes_go_to_the_larger_mean_probability():
    assert elected_from([[0.5, 0.3, 0.2, 0.0], [0.1, 0.1, 0.6, 0.2]]) == 3
    assert elected_from([[0.6, 0.0, 0.4, 0.0], [0.1, 0.3, 0.5, 0.1]]) == 3


def test_equal_votes_of_equal_probability_go_to_the_lower_candidate():
    """Where it stands does not matter, nor in which order the presentations are summed."""
    beliefs = [[0.13, 0.47, 0.17, 0.23], [0.13, 0.23, 0.17, 0.47], [0.61, 0.07, 0.25, 0.07]]
    beliefs += [[0.2, 0.43, 0.06, 0.31], [0.2, 0.31, 0.06, 0.43]]
    exchanged = [[one, four, three, two] for one, two, three, four in beliefs]
    assert [elected_from(tied, seed) for tied in (beliefs, exchanged) for seed in range(5)] == [2] * 10


def elected_from(beliefs, seed=0) -> int:
    """The candidate elected when each order, drawn at random, leads to one of the beliefs, each by candidate."""
    rng = np.random.default_rng(seed)
    table = random_signals(0, 4, questions=1, rounds=len(beliefs), split="evaluation")
    orders = [rng.permutation(4) for _ in beliefs]
    shown = np.log(np.array([np.array(belief)[order] for belief, order in zip(beliefs, orders, strict=True)]) + 1e-30)
    table = replace_column(table, "order", [(order + 1).tolist() for order in orders])
    table = replace_column(table, "candidate_logprobs", nested_lists(shown))
    predictions = score(table, None, "majority_vote")
    assert len(predictions) == len(beliefs)
    (candidate,) = set(predictions["candidate"].to_pylist())
    return candidate


def test_a_vote_does_not_depend_on_the_order_of_rows():
    table = evaluation_signals(4, 5, questions=20)
    shuffled = table.take(np.random.default_rng(0).permutation(len(table)))
    assert score(shuffled, None, "majority_vote").equals(score(table, None, "majority_vote"))


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


def test_permutation_average_does_not_depend_on_the_order_of_shifts():
    """Rows in another order, or rounds numbered from another shift, so that another order is shown first."""
    table = random_signals(4, 5, split="symmetrized", questions=8)
    shuffled = table.take(np.random.default_rng(0).permutation(len(table)))
    renumbered = replace_column(table, "round", (table["round"].to_numpy() + 2) % 5)
    plain, *others = (
        score(signals, None, "permutation_average").select(["question_id", "candidate"]).to_pylist()
        for signals in (table, shuffled, renumbered)
    )
    assert others == [plain, plain]


@pytest.mark.parametrize(
    "method",
    [
        *("agd;layers=all", "agd;formulation=released;k=3", "permutation_average", "permutation_average;orders=random"),
        *("batch_calibration", "majority_vote"),
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
    table = evaluation_signals(0)
    for fitted in (first, second):
        for specification in specifications:
            alone = score(evaluation_signals(0), fitted, specification)
            assert score(table, fitted, specification).equals(alone), specification


# --- edges -----------------------------------------------------------------------------------------------------


def test_of_equal_scores_the_lowest_position_answers():
    table = evaluation_signals(0)
    even = [[-1.5, -0.5, -0.5, -0.5]] * len(table)
    predictions = score(replace_column(table, "candidate_logprobs", even), None, "vanilla")
    assert set(predictions["position"].to_pylist()) == {2}


def test_of_layers_with_equal_attention_the_lowest_are_chosen():
    table = evaluation_signals(0, layers=4)
    layers = np.array([[1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]], dtype=np.float32)
    table = replace_column(
        table, "candidate_attention", nested_lists(np.broadcast_to(layers, (len(table), 4, 4)).copy())
    )
    for k, expected in ((1, [0, 2, 0, 0]), (2, [0, 1, 1, 0])):
        scores = scores_of(score(table, None, f"attention_readout;k={k}"))
        np.testing.assert_array_equal(scores, np.broadcast_to(expected, scores.shape))


@pytest.mark.parametrize("formulation", ["printed", "released"])
def test_no_attention_at_all_still_gives_finite_scores(formulation):
    table, fitted = evaluation_signals(0), calibrate(random_signals(0))
    for column in ("candidate_attention", "delimiter_attention"):
        nothing = np.array(table[column].to_pylist(), dtype=np.float32)
        nothing[:, :, 0] = 0
        nothing[::2] = 0
        table = replace_column(table, column, nested_lists(nothing))
    for method in ("purified_attention", "agd"):
        assert np.isfinite(scores_of(score(table, fitted, method, Options(formulation=formulation)))).all()


def test_scoring_is_confined_to_the_layers_of_the_calibration():
    table, signals = evaluation_signals(2), random_signals(2)
    confined, free = calibrate(signals, layers=(0, 1)), calibrate(signals)
    for method in ("agd", "purified_attention"):
        within = scores_of(score(table, confined, method))
        np.testing.assert_array_equal(within, scores_of(score(table, free, f"{method};layers=0-1")))
        assert not np.allclose(within, scores_of(score(table, free, method)))
    with pytest.raises(ScoringError, match="k = 2 layers cannot be chosen from 1"):
        score(table, confined, "agd;layers=1-4")


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("3", 3),
        (" 2.", 2),
        ("The answer is 4", 4),
        ("Not 1 but 3, of 12 images", 3),
        ("image2", 2),
        ("04", 4),
        ("none of them", None),
        ("7", None),
        ("", None),
        (None, None),
    ],
)
def test_the_last_index_in_range_is_parsed(text, position):
    table = evaluation_signals(0)
    texts = [text] + ["1"] * (len(table) - 1)
    (first, *_) = score(
        replace_column(table, "generated_text", texts), None, "vanilla_parsed", identifiers=["1", "2", "3", "4"]
    ).to_pylist()
    assert first["position"] == position
    assert first["scores"] is None
    assert first["correct"] == (position == first["target_position"])
    assert (first["candidate"] is None) == (position is None)


@pytest.mark.parametrize(
    ("identifiers", "text", "position"),
    [
        (["A", "B", "C", "D"], "C", 3),
        (["A", "B", "C", "D"], "B, a dog", 2),
        (["A", "B", "C", "D"], "(d)", 4),
        (["I", "II", "III", "IV"], "III", 3),
        (["first", "second", "third", "fourth"], "The third one.", 3),
        (["first", "second", "third", "fourth"], "Second", 2),
        (["first", "second", "third", "fourth"], "2", None),
    ],
)
def test_other_identifiers_are_parsed_as_whole_words(identifiers, text, position):
    table = evaluation_signals(0)
    texts = replace_column(table, "generated_text", [text] * len(table))
    predictions = score(texts, None, "vanilla_parsed", identifiers=identifiers)
    assert set(predictions["position"].to_pylist()) == {position}


# --- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("argmax", "unknown method 'argmax'; known: vanilla, vanilla_parsed, attention_readout, purified_attention"),
        ("agd;K=3", "agd has no option 'K'; it has k, tau, prior, layers, formulation"),
        ("vanilla;k=3", "vanilla has no option 'k'; it has none"),
        ("attention_readout;tau=3", "attention_readout has no option 'tau'; it has k, layers, formulation"),
        ("agd;k=0", "option k cannot be '0'; allowed: a whole number from 1"),
        ("agd;k", "option k cannot be ''"),
        ("agd;tau=-1", "option tau cannot be '-1'; allowed: a number above 0"),
        ("agd;tau=nan", "option tau cannot be 'nan'"),
        ("agd;prior=maybe", "option prior cannot be 'maybe'; allowed: yes, no"),
        ("agd;layers=5-2", "layers cannot be '5-2'; allowed: .*first-last"),
        ("agd;formulation=published", "unknown formulation 'published'; known: printed, released"),
        ("agd;k=2;k=3", "option k is given twice"),
        ("permutation_average;orders=16", "option orders cannot be '16'; allowed: cyclic, random"),
        ("majority_vote;orders=random", "majority_vote has no option 'orders'; it has none"),
    ],
)
def test_a_specification_that_cannot_be_is_refused(specification, message):
    with pytest.raises(ScoringError, match=message):
        parse_method(specification)


def test_a_specification_overrides_the_defaults_it_names():
    method, options, variant = parse_method("agd;k=4;layers=2-5", Options(temperature=3, top_k=1))
    assert (method.name, variant) == ("agd", "k=4;layers=2-5")
    assert options == Options(temperature=3, top_k=4, layers=(2, 5))
    assert parse_method("agd") == (METHODS["agd"], Options(), "")
    assert parse_method("agd;prior=no;k=4") == parse_method("agd;k=4;prior=no")
    assert parse_layers("21-35") == (21, 35)


def test_an_unknown_target_is_no_obstacle_to_an_answer():
    table, calibration = evaluation_signals(0), calibrate(random_signals(0))
    unknown = replace_column(table, "target_position", [None] * len(table))
    for method in ("vanilla", "agd", "pride", "majority_vote"):
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
    headless = table.drop_columns("head_attention")
    for method, scored, options, message in (
        ("contextual_calibration", table, {}, r"needs signals of the split content_free.*`lad content-free`"),
        (
            "attention_less_content_free",
            table,
            {"content_free": content_free_signals(8)},
            "content-free signals are of N = 8 and 5 layers, the signals to be scored of N = 4 and 5",
        ),
        ("chosen_heads", headless, {}, "the signals have no attention by head; extract with --head-attention"),
        ("chosen_heads;heads=11", table, {}, "heads = 11 cannot be chosen from the model's 10"),
    ):
        with pytest.raises(ScoringError, match=message):
            score(scored, calibrate(calibration_signals(0)), method, **options)
    with pytest.raises(ScoringError, match="the calibration has no attention by head"):
        score(table, calibrate(random_signals(0)), "chosen_heads")


@pytest.mark.parametrize("method", CALIBRATED)
def test_a_missing_or_unfit_calibration_is_refused(method):
    table = evaluation_signals(0)
    with pytest.raises(ScoringError, match=f"{method} needs a calibration"):
        score(table, None, method)
    with pytest.raises(ScoringError, match="calibration is for N = 3, the signals are of N = 4"):
        score(table, calibrate(random_signals(0, 3)), method)
    with pytest.raises(ScoringError, match="a model of 6 layers, the signals are of one of 5"):
        score(table, calibrate(random_signals(0, layers=6)), method)


def test_a_formulation_that_was_not_calibrated_is_refused():
    with pytest.raises(ScoringError, match="the calibration holds the formulations printed, not 'released'"):
        score(evaluation_signals(0), calibrate(random_signals(0), formulations=["printed"]), "agd;formulation=released")


def test_more_layers_than_there_are_is_refused():
    with pytest.raises(ScoringError, match="k = 6 layers cannot be chosen from 5"):
        score(evaluation_signals(0), None, "attention_readout;k=6")


def test_signals_without_text_or_identifiers_cannot_be_parsed():
    table = evaluation_signals(0)
    with pytest.raises(ScoringError, match="needs generated text and the signals hold none"):
        score(table, None, "vanilla_parsed", identifiers=["1", "2", "3", "4"])
    with pytest.raises(ScoringError, match="N = 4 and needs that many identifiers, not 0"):
        score(table, None, "vanilla_parsed")


def test_permutation_average_wants_every_shift_once():
    table = random_signals(0, split="symmetrized")
    for unfit in (
        evaluation_signals(0),
        table.slice(1),
        table.filter(pc.field("round") != 3),
    ):
        with pytest.raises(ScoringError, match="needs the 4 cyclic shifts of each question"):
            score(unfit, None, "permutation_average")


def test_permutation_average_wants_the_first_round_of_every_question():
    """Else the answers to some questions would make up a round of their own, and weigh as much as all the others."""
    table = random_signals(0, rounds=16, split="permuted")
    with pytest.raises(ScoringError, match="in its first round, 0; question permuted-000000 lacks it"):
        score(table.slice(1), None, "permutation_average;orders=random")


def test_an_order_that_does_not_show_every_candidate_is_refused():
    table = random_signals(0, split="symmetrized")
    orders = table["order"].to_pylist()
    for wrong in ([1, 2, 3, 3], [0, 1, 2, 3], [1, 2, 3, 7]):
        partial = replace_column(table, "order", [*orders[:5], wrong, *orders[6:]])
        for method in ("permutation_average", "permutation_average;orders=random", "majority_vote"):
            with pytest.raises(ScoringError, match=r"symmetrized-000001-01 is \[.*shows each of the candidates 1 to 4"):
                score(partial, None, method)


def test_a_vote_needs_several_orders_of_each_question():
    table = evaluation_signals(0)
    with pytest.raises(ScoringError, match="at least 2 orders; question evaluation-000000 is shown in 1"):
        score(table.slice(2), None, "majority_vote")


def test_a_batch_of_one_is_refused():
    with pytest.raises(ScoringError, match="needs at least 2 of them, better hundreds; the signals hold 1"):
        score(evaluation_signals(0).slice(0, 1), None, "batch_calibration")


@pytest.mark.parametrize(
    "method", ["vanilla", "pride", "agd", "permutation_average", "batch_calibration", "majority_vote"]
)
def test_missing_probabilities_are_refused(method):
    """A presentation without them would else be left out of the answers."""
    table, fitted = signals_for(method, 0), calibrate(random_signals(0))
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
        score(table, calibrate(random_signals(0)), method)


@pytest.mark.parametrize("temperature", [0.0, -5.0, float("nan"), float("inf")])
def test_a_temperature_that_is_no_number_above_0_is_refused(temperature):
    with pytest.raises(ScoringError, match=r"temperature \(tau\) = .*: allowed is a number above 0"):
        Options(temperature=temperature)
