"""Paired differences: by eye, against a loop over resamples, and what pairing has to do with the intervals."""

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signals_factory import random_signals, replace_column

from lad import contracts, parquet
from lad.evaluation.bootstrap import FEWEST_QUESTIONS, resample_counts
from lad.evaluation.differences import comparisons, differences
from lad.evaluation.metrics import EvaluationError, evaluate
from lad.methods import score


def answers(correct: list[list[int]], method: str, *, n: int = 2, variant: str = "") -> pa.Table:
    """From questions x rounds, 1 where the answer is right: the target is always candidate 1 at position 1."""
    rows = [
        {
            "presentation_id": f"{question}-{round_}",
            "question_id": f"{question}",
            "round": round_,
            "method": method,
            "variant": variant,
            "n_candidates": n,
            "position": 1 if right else 2,
            "target_position": 1,
            "candidate": 1 if right else 2,
            "correct": bool(right),
        }
        for question, of_question in enumerate(correct)
        for round_, right in enumerate(of_question)
    ]
    return parquet.from_rows(rows, contracts.PREDICTIONS)


def random_answers(seed: int, methods: int, questions: int, rounds: int, *, hardness: float = 1.5) -> pa.Table:
    """Methods of unlike skill on questions that are more or less hard for all of them."""
    rng = np.random.default_rng(seed)
    ease = hardness * rng.normal(size=(questions, 1))
    return pa.concat_tables(
        answers((ease + rng.normal() + rng.normal(size=(questions, rounds)) > 0).tolist(), f"method {m}")
        for m in range(methods)
    )


def only(table: pa.Table, method: str, against: str) -> dict:
    (row,) = (row for row in table.to_pylist() if (row["method"], row["against"]) == (method, against))
    return row


def compared(table: pa.Table) -> set[tuple[str, ...]]:
    """The pairs of a table, as method, variant, against, against_variant."""
    names = ("method", "variant", "against", "against_variant")
    return {tuple(row[name] for name in names) for row in table.to_pylist()}


# --- by eye ----------------------------------------------------------------------------------------------------


def test_two_methods_by_eye():
    """Right in 3 of 4 against 1 of 4: by one of two on either question, so by 50 points in every resample."""
    table = differences(pa.concat_tables([answers([[1, 1], [1, 0]] * 5, "a"), answers([[1, 0], [0, 0]] * 5, "b")]))
    assert only(table, "a", "b") == {
        **{"method": "a", "variant": "", "against": "b", "against_variant": "", "n_candidates": 2},
        **{"metric": "accuracy", "value": 50, "low": 50, "high": 50, "questions": 10, "presentations": 20},
    }
    assert only(table, "b", "a")["value"] == -50


def test_of_fewer_than_ten_questions_a_difference_has_no_interval():
    """One question would give one without width: every method would beat or be beaten."""
    few = [answers([[1]] * 9, "a"), answers([[0]] * 9, "b")]
    row = only(differences(pa.concat_tables(few)), "a", "b")
    assert (row["value"], row["low"], row["high"]) == (100, None, None)


def test_variants_of_a_method_are_compared_with_each_other():
    table = differences(
        pa.concat_tables(
            [answers([[1], [0]], "agd"), answers([[1], [1]], "agd", variant="k=1"), answers([[0], [0]], "b")]
        )
    )
    cells = {("agd", ""), ("agd", "k=1"), ("b", "")}
    assert compared(table) == {(*ours, *theirs) for ours in cells for theirs in cells - {ours}}


# --- against plain numpy ---------------------------------------------------------------------------------------


def accuracy_by_loops(rows: list[dict]) -> float:
    """Percent, orders weighing alike."""
    by_round: dict[int, list[bool]] = {}
    for row in rows:
        by_round.setdefault(row["round"], []).append(row["correct"])
    return 100 * np.mean([np.mean(correct) for correct in by_round.values()])


@pytest.mark.parametrize("shown", [1.0, 0.7])
def test_intervals_are_percentiles_of_differences_over_resampled_questions(shown):
    """Held against resampling whole questions for both methods; also where some questions miss some orders."""
    predictions = random_answers(0, 3, 12, 3)
    kept = np.random.default_rng(1).random(12 * 3) < shown
    predictions = predictions.filter(pa.array(np.tile(kept, 3)))
    table = differences(predictions, resamples=100, seed=5)
    questions = sorted(set(predictions["question_id"].to_pylist()))
    rows = {
        method: {
            q: [r for r in predictions.to_pylist() if (r["method"], r["question_id"]) == (method, q)] for q in questions
        }
        for method in ("method 0", "method 1", "method 2")
    }
    samples: dict[tuple[str, str], list[float]] = {}
    for counts in np.concatenate(list(resample_counts(len(questions), 100, seed=5))):
        drawn = [q for q, times in zip(questions, counts, strict=True) for _ in range(int(times))]
        accuracy = {m: accuracy_by_loops([row for q in drawn for row in of[q]]) for m, of in rows.items()}
        for a in rows:
            for b in rows:
                samples.setdefault((a, b), []).append(accuracy[a] - accuracy[b])
    everything = {m: accuracy_by_loops([row for q in questions for row in of[q]]) for m, of in rows.items()}
    assert len(table) == 6
    for row in table.to_pylist():
        a, b = row["method"], row["against"]
        found = [row["value"], row["low"], row["high"]]
        expected = [everything[a] - everything[b], *np.percentile(samples[a, b], [2.5, 97.5])]
        np.testing.assert_allclose(found, expected, atol=1e-9)
        assert row["questions"] == len(questions)
        assert row["presentations"] == kept.sum()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), questions=st.integers(2, 30), rounds=st.integers(1, 5))
def test_a_difference_is_that_of_the_accuracies_among_the_metrics(seed, questions, rounds):
    predictions = random_answers(seed, 3, questions, rounds)
    metrics = evaluate(predictions, resamples=0).to_pylist()
    accuracy = {row["method"]: row["value"] for row in metrics if row["metric"] == "accuracy"}
    for row in differences(predictions, resamples=20).to_pylist():
        assert row["value"] == pytest.approx(accuracy[row["method"]] - accuracy[row["against"]], abs=1e-9)


# --- pairs -----------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), questions=st.integers(FEWEST_QUESTIONS, 30), rounds=st.integers(1, 5))
def test_a_against_b_is_minus_b_against_a(seed, questions, rounds):
    table = differences(random_answers(seed, 3, questions, rounds), resamples=101, seed=seed)
    assert len(table) == 6
    for row in table.to_pylist():
        back = only(table, row["against"], row["method"])
        assert [row["value"], row["low"], row["high"]] == pytest.approx(
            [-back["value"], -back["high"], -back["low"]], abs=1e-9
        )


def test_methods_that_answer_alike_differ_by_exactly_nothing():
    predictions = random_answers(1, 1, 40, 3)
    twin = replace_column(predictions, "method", ["twin"] * len(predictions))
    row = only(differences(pa.concat_tables([predictions, twin])), "method 0", "twin")
    assert (row["value"], row["low"], row["high"]) == (0, 0, 0)


def test_the_same_presentations_in_another_order_are_the_same():
    predictions = random_answers(2, 2, 30, 3)
    shuffled = predictions.take(np.random.default_rng(0).permutation(len(predictions)))
    assert differences(shuffled, resamples=200).equals(differences(predictions, resamples=200))


def widths(predictions: pa.Table) -> tuple[float, float]:
    """Of the interval of the paired difference, and of that of two independent accuracies."""
    row = only(differences(predictions), "method 0", "method 1")
    own = [r["high"] - r["low"] for r in evaluate(predictions).to_pylist() if r["metric"] == "accuracy"]
    return row["high"] - row["low"], float(np.hypot(*own))


def test_pairs_have_narrower_intervals_where_questions_are_hard_for_both():
    paired, unpaired = widths(random_answers(3, 2, 300, 4, hardness=3))
    assert paired < 0.6 * unpaired


def test_pairs_have_the_interval_of_independent_methods_where_their_answers_are_unrelated():
    paired, unpaired = widths(random_answers(4, 2, 400, 1, hardness=0))
    assert paired == pytest.approx(unpaired, rel=0.1)


def test_the_interval_has_about_the_width_of_the_normal_one():
    """The paired normal interval: the standard error of the mean of one difference per question."""
    predictions = random_answers(5, 2, 400, 3)
    row = only(differences(predictions), "method 0", "method 1")
    correct = predictions["correct"].to_numpy().astype(float).reshape(2, 400, 3)
    per_question = 100 * (correct[0] - correct[1]).mean(axis=1)
    assert row["value"] == pytest.approx(per_question.mean())
    assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * per_question.std(ddof=1) / 20, rel=0.1)


# --- who is compared with whom -----------------------------------------------------------------------------------


def test_methods_that_answer_other_presentations_of_the_same_questions_are_compared_by_question():
    """Permutation averaging answers one presentation per question, of another split."""
    evaluation = random_signals(0, 4, questions=10, rounds=3, split="evaluation", layers=2)
    shifts = random_signals(0, 4, questions=10, split="symmetrized", layers=2)
    names = [name.replace("symmetrized", "evaluation") for name in shifts["question_id"].to_pylist()]
    shifts = replace_column(shifts, "question_id", names)
    predictions = [score(evaluation, None, method) for method in ("vanilla", "attention_readout")]
    predictions.append(score(shifts, None, "permutation_average"))
    table = differences(pa.concat_tables(predictions), resamples=50)
    assert len(compared(table)) == 6
    row = only(table, "vanilla", "permutation_average")
    assert row["presentations"] == 30
    assert only(table, "permutation_average", "vanilla")["presentations"] == 10
    accuracy = {
        method: 100 * np.mean(p["correct"].to_numpy()) for method, p in zip("vp", predictions[::2], strict=True)
    }
    assert row["value"] == pytest.approx(accuracy["v"] - accuracy["p"])


def test_a_method_that_is_right_wherever_another_is_differs_by_a_sure_amount():
    """Every question: two of three orders right, against its single order right. No resample changes that."""
    parts = [answers([[1, 1, 0]] * 20, "a"), answers([[1]] * 20, "b")]
    row = only(differences(pa.concat_tables(parts), resamples=50), "a", "b")
    assert (row["value"], row["low"], row["high"]) == (pytest.approx(-100 / 3),) * 3


def test_a_method_that_answers_only_some_of_the_questions_is_left_out():
    parts = [answers([[1], [0], [1]], "a"), answers([[1], [1], [1]], "b"), answers([[1], [0]], "some")]
    table = differences(pa.concat_tables(parts), resamples=20)
    assert compared(table) == {("a", "", "b", ""), ("b", "", "a", "")}


def test_n_are_kept_apart():
    parts = [answers([[1], [0]], method, n=n) for method in ("a", "b") for n in (2, 3)]
    table = differences(pa.concat_tables(parts), resamples=20)
    assert sorted(table["n_candidates"].to_pylist()) == [2, 2, 3, 3]
    assert all(row["method"] != row["against"] for row in table.to_pylist())


def test_a_single_method_leaves_an_empty_table_of_the_contract():
    table = differences(answers([[1], [0]], "a"))
    assert table.schema.equals(contracts.DIFFERENCES.schema)
    assert len(table) == 0


# --- methods of two scorings ------------------------------------------------------------------------------------


def compare(predictions: pa.Table, reference: pa.Table, **options) -> pa.Table:
    return comparisons(predictions, reference, reference_calibration_questions=5, **options)


def renamed(predictions: pa.Table, method: str, name: str) -> pa.Table:
    """The answers of one method, under another name."""
    kept = predictions.filter(pa.compute.field("method") == method)
    return replace_column(kept, "method", [name] * len(kept))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), questions=st.integers(2, 30), rounds=st.integers(1, 4))
def test_a_comparison_is_to_the_bit_the_difference_of_the_two_alone(seed, questions, rounds):
    """Whatever else either scoring answered, and in both directions."""
    ours, theirs = random_answers(seed, 2, questions, rounds), random_answers(seed + 1, 3, questions, rounds)
    table = compare(ours, theirs, resamples=50, seed=seed).to_pylist()
    assert len(table) == 2 * 2 * 3
    for row in table:
        of, against = (theirs, ours) if row["is_reference"] else (ours, theirs)
        two = pa.concat_tables([renamed(of, row["method"], "a"), renamed(against, row["against"], "b")])
        alone = only(differences(two, resamples=50, seed=seed), "a", "b")
        for name in ("value", "low", "high", "questions", "presentations", "n_candidates", "metric"):
            assert row[name] == alone[name]


def test_each_method_of_one_scoring_is_compared_with_each_of_the_other_and_with_none_of_its_own():
    ours = [answers([[1], [0]], "vanilla"), answers([[1], [0]], "agd", variant="k=1")]
    table = compare(pa.concat_tables(ours), answers([[1], [1]], "vanilla"), resamples=5)
    assert {(*pair, row["is_reference"]) for row in table.to_pylist() for pair in [tuple(row.values())[:4]]} == {
        ("vanilla", "", "vanilla", "", False),
        ("agd", "k=1", "vanilla", "", False),
        ("vanilla", "", "vanilla", "", True),
        ("vanilla", "", "agd", "k=1", True),
    }
    assert set(table["reference_calibration_questions"].to_pylist()) == {5}
    values = {(row["method"], row["against"], row["is_reference"]): row["value"] for row in table.to_pylist()}
    assert values["vanilla", "vanilla", False] == -50
    assert values["vanilla", "vanilla", True] == 50


def test_methods_that_answered_other_questions_are_not_compared():
    table = compare(answers([[1], [0], [1]], "a"), answers([[1], [1]], "b"), resamples=5)
    assert table.schema.equals(contracts.COMPARISONS.schema)
    assert len(table) == 0


# --- what is refused -------------------------------------------------------------------------------------------


def test_an_answer_given_twice_is_refused():
    once = answers([[1], [0]], "a")
    with pytest.raises(EvaluationError, match=r"a \(variant ''\) answers presentation 0-0 2 times"):
        differences(pa.concat_tables([once, once.slice(0, 1)]))


def test_no_predictions_are_refused():
    with pytest.raises(EvaluationError, match="no predictions"):
        differences(answers([], "a"))


def test_no_resamples_are_refused():
    with pytest.raises(EvaluationError, match="0 resamples: an interval needs at least one"):
        compare(answers([[1]], "a"), answers([[1]], "a"), resamples=0)
    with pytest.raises(EvaluationError, match="0 resamples: an interval needs at least one"):
        differences(answers([[1]], "a"), resamples=0)
