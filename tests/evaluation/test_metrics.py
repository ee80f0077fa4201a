"""Metrics: tables small enough to check by eye, plain numpy for the rest, and intervals that behave like intervals."""

from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from signals_factory import random_signals, replace_column

from lad import contracts, parquet
from lad.evaluation.bootstrap import FEWEST_QUESTIONS, QuestionSums, intervals, question_sums, resample_counts
from lad.evaluation.differences import differences
from lad.evaluation.metrics import QUERIES, EvaluationError, describe, evaluate
from lad.methods import score


def predictions_table(answers: list[tuple], n: int = 2, method: str = "vanilla", variant: str = "") -> pa.Table:
    """From (question, round, target position, answered position or None, answered candidate or None)."""
    rows = [
        {
            "presentation_id": f"{question}-{round_}",
            "question_id": question,
            "round": round_,
            "method": method,
            "variant": variant,
            "n_candidates": n,
            "position": position,
            "target_position": target,
            "candidate": candidate,
            "correct": position == target,
        }
        for question, round_, target, position, candidate in answers
    ]
    return parquet.from_rows(rows, contracts.PREDICTIONS)


def values(metrics: pa.Table, metric: str, column: str = "value") -> list:
    return [row[column] for row in metrics.to_pylist() if row["metric"] == metric]


def value(metrics: pa.Table, metric: str, column: str = "value") -> float | None:
    (only,) = values(metrics, metric, column)
    return only


# Candidate 1 is the target of every question. Round 0 is right twice of two, round 1 once of two.
TWO_QUESTIONS = [
    ("a", 0, 1, 1, 1),
    ("a", 1, 2, 2, 1),
    ("b", 0, 1, 1, 1),
    ("b", 1, 2, 1, 2),
]


def random_predictions(seed: int, n: int, questions: int, rounds: int | None, unparsed: float = 0.1) -> pa.Table:
    """Vanilla predictions on random signals, some of them taken away as if the text could not be parsed."""
    signals = random_signals(seed, n, questions=questions, rounds=rounds, split="evaluation", layers=1)
    predictions = score(signals, None, "vanilla")
    lost = np.random.default_rng(seed).random(len(predictions)) < unparsed
    for column, nothing in (("position", None), ("candidate", None), ("correct", False)):
        kept = [nothing if gone else v for v, gone in zip(predictions[column].to_pylist(), lost, strict=True)]
        predictions = replace_column(predictions, column, kept)
    return predictions


# --- by eye ----------------------------------------------------------------------------------------------------


def test_two_questions_by_eye():
    metrics = evaluate(predictions_table(TWO_QUESTIONS))
    assert value(metrics, "accuracy") == 75
    assert value(metrics, "accuracy", "std") == pytest.approx(np.std([100, 50], ddof=1))
    assert values(metrics, "recall") == [100, 50]
    assert value(metrics, "rstd") == pytest.approx(np.std([100, 50], ddof=1))
    assert value(metrics, "consistency") == 50
    assert value(metrics, "success_rate") == 100
    assert values(metrics, "selection_rate") == [75, 25]
    assert values(metrics, "confusion") == [100, 0, 50, 50]
    assert values(metrics, "confusion", "target_position") == [1, 1, 2, 2]
    assert values(metrics, "confusion", "position") == [1, 2, 1, 2]
    assert set(metrics["questions"].to_pylist()) == {2}
    assert set(metrics["presentations"].to_pylist()) == {4}


def test_ties_are_the_answers_whose_score_another_position_has_as_well():
    """Logits in bfloat16 tie in a few percent of presentations, and every tie goes to the lower position."""
    tied = replace_column(
        random_predictions(0, 3, 5, 2, unparsed=0), "scores", [[1.0, 1.0, 0.0]] * 4 + [[3.0, 2.0, 1.0]] * 6
    )
    tied = replace_column(tied, "position", [1, 1, 2, 3, *[1] * 6])
    assert value(evaluate(tied, resamples=0), "ties") == 30
    assert value(evaluate(predictions_table(TWO_QUESTIONS), resamples=0), "ties") is None


def test_rstd_is_the_sample_standard_deviation_over_positions_of_recall_pooled_over_orders():
    """Recalls 100, 50 and 0: 50 with ddof 1 as in the paper's tables, 40.8 with ddof 0."""
    answers = [
        ("a", 0, 1, 1, 1),
        ("a", 1, 2, 2, 1),
        ("a", 2, 3, 1, 2),
        ("b", 0, 2, 1, 2),
        ("b", 1, 3, 1, 2),
        ("b", 2, 1, 1, 1),
    ]
    metrics = evaluate(predictions_table(answers, n=3))
    assert values(metrics, "recall") == [100, 50, 0]
    assert value(metrics, "rstd") == pytest.approx(50)


def test_accuracy_weighs_orders_alike_and_rstd_positions_alike():
    """Targets stand at position 1 three times of four: accuracy is not the mean recall."""
    answers = [("a", 0, 1, 1, 1), ("b", 0, 1, 1, 1), ("c", 0, 1, 1, 1), ("d", 0, 2, 1, 2)]
    metrics = evaluate(predictions_table(answers))
    assert value(metrics, "accuracy") == 75
    assert np.mean(values(metrics, "recall")) == 50


def test_an_unparsed_answer_is_wrong_and_never_consistent():
    answers = [("a", 0, 1, None, None), ("a", 1, 2, None, None), ("b", 0, 1, 1, 1), ("b", 1, 2, None, None)]
    metrics = evaluate(predictions_table(answers))
    assert value(metrics, "success_rate") == 25
    assert value(metrics, "accuracy") == 25
    assert value(metrics, "consistency") == 0
    assert values(metrics, "selection_rate") == [25, 0]
    assert values(metrics, "confusion") == [50, 0, 0, 0]


def test_one_order_has_neither_spread_nor_consistency():
    metrics = evaluate(predictions_table([("a", 0, 1, 1, 1), ("b", 0, 2, 1, 2)]))
    assert value(metrics, "accuracy") == 50
    assert value(metrics, "accuracy", "std") is None
    assert value(metrics, "consistency") is None
    assert value(metrics, "consistency", "low") is None


def test_a_position_that_never_shows_the_target_has_no_recall():
    answers = [("a", 0, 1, 1, 1), ("a", 1, 1, 1, 1), ("b", 0, 3, 1, 2), ("b", 1, 3, 3, 1)]
    metrics = evaluate(predictions_table(answers, n=3))
    assert values(metrics, "recall") == [100, None, 50]
    assert values(metrics, "recall", "low")[1] is None
    assert value(metrics, "rstd") == pytest.approx(np.std([100, 50], ddof=1))


def test_methods_variants_and_n_are_kept_apart():
    parts = [
        predictions_table(TWO_QUESTIONS),
        predictions_table(TWO_QUESTIONS[:2], method="agd"),
        predictions_table(TWO_QUESTIONS[2:], method="agd", variant="k=4"),
        predictions_table(TWO_QUESTIONS, n=3),
    ]
    metrics = evaluate(pa.concat_tables(parts))
    accuracy = {
        (row["method"], row["variant"], row["n_candidates"]): row["value"]
        for row in metrics.to_pylist()
        if row["metric"] == "accuracy"
    }
    assert accuracy == {("agd", "", 2): 100, ("agd", "k=4", 2): 50, ("vanilla", "", 2): 75, ("vanilla", "", 3): 75}
    alone = evaluate(parts[0]).to_pylist()
    assert [row for row in metrics.to_pylist() if row["method"] == "vanilla" and row["n_candidates"] == 2] == alone


# --- positions against chance ----------------------------------------------------------------------------------


def answers_at(*positions: int, targets: tuple[int, ...] = (1, 2)) -> pa.Table:
    """One question for each answer, its target at the next of the targets' positions."""
    n = max(2, *positions, *targets)
    places = [targets[question % len(targets)] for question in range(len(positions))]
    rows = [(f"q{q}", 0, place, answer, 1) for q, (place, answer) in enumerate(zip(places, positions, strict=True))]
    return predictions_table(rows, n)


def test_v_is_1_where_one_position_is_always_answered_and_0_where_all_are_equally_often():
    assert value(evaluate(answers_at(1, 1, 1, 1), resamples=0), "cramers_v") == 1
    assert value(evaluate(answers_at(1, 1, 1, 1), resamples=0), "chi_squared") == 4
    assert value(evaluate(answers_at(1, 2, 1, 2), resamples=0), "cramers_v") == 0
    assert value(evaluate(answers_at(2, 1, 2, 1), resamples=0), "cramers_v") == 0


def test_who_is_always_right_has_no_bias_however_the_targets_stand():
    """Against chance alone, the targets' own positions would pass for a bias."""
    metrics = evaluate(answers_at(1, 1, 1, 2, targets=(1, 1, 1, 2)), resamples=0)
    assert value(metrics, "cramers_v") == value(metrics, "chi_squared") == 0
    assert values(metrics, "selection_rate") == [75, 25]


def test_where_the_target_never_stood_v_is_unknown():
    assert value(evaluate(answers_at(1, 2, targets=(1, 1)), resamples=0), "cramers_v") is None
    assert value(evaluate(answers_at(1, 2, targets=(1, 1)), resamples=0), "chi_squared") is None


def test_without_an_answer_there_is_nothing_to_be_even_or_to_flip():
    metrics = evaluate(predictions_table([("a", 0, 1, None, None), ("a", 1, 2, None, None)]), resamples=0)
    for metric in ("cramers_v", "chi_squared", "flip_rate", "preference_fairness"):
        assert value(metrics, metric) is None


def test_two_orders_of_two_candidates_flip_for_the_first_for_the_second_or_not():
    """Candidate 1 is the target: it stands first in order 0 and second in order 1."""
    first = [(f"first {q}", order, order + 1, 1, order + 1) for q in range(3) for order in (0, 1)]
    second = [("second", order, order + 1, 2, 2 - order) for order in (0, 1)]
    steady = [(f"steady {q}", order, order + 1, order + 1, 1) for q in range(4) for order in (0, 1)]
    metrics = evaluate(predictions_table([*first, *second, *steady]), resamples=0)
    assert value(metrics, "flip_rate") == 50
    assert value(metrics, "preference_fairness") == -25
    assert value(metrics, "consistency") == 50


def test_flips_are_counted_by_pairs_of_orders():
    """Answers 1, 1, 2: two of three pairs differ. A lost answer makes no pair."""
    answers = [("a", 0, 1, 1, 1), ("a", 1, 2, 2, 1), ("a", 2, 3, 3, 2), ("b", 0, 1, 1, 1), ("b", 1, 2, None, None)]
    metrics = evaluate(predictions_table(answers, n=3), resamples=0)
    assert value(metrics, "flip_rate") == pytest.approx(200 / 3)
    assert not values(metrics, "preference_fairness")


def by_target(predictions: pa.Table, n: int) -> np.ndarray:
    """Target position x answered position, counts of answers."""
    counts = np.zeros((n, n))
    for row in predictions.to_pylist():
        if row["position"]:
            counts[row["target_position"] - 1, row["position"] - 1] += 1
    return counts


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 8))
def test_with_targets_everywhere_equally_often_chi_squared_and_v_are_those_of_scipy(seed, n):
    """V of a table of expected and found answers is not the same: that table's total is twice as large."""
    rng = np.random.default_rng(seed)
    targets = [place % n + 1 for place in range(6 * n)]
    answers = [int(rng.choice([target, 1, rng.integers(n) + 1])) for target in targets]
    rows = [(f"q{q}", 0, target, answer, 1) for q, (target, answer) in enumerate(zip(targets, answers, strict=True))]
    metrics = evaluate(predictions_table(rows, n), resamples=0)
    statistic, _ = chisquare(np.bincount(answers, minlength=n + 1)[1:])
    assert value(metrics, "chi_squared") == pytest.approx(statistic)
    assert value(metrics, "cramers_v") == pytest.approx(np.sqrt(statistic / (6 * n * (n - 1))))


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 8), rounds=st.integers(1, 5))
def test_v_does_not_know_the_names_of_positions_and_lies_between_0_and_1(seed, n, rounds):
    predictions = random_predictions(seed, n, 12, rounds)
    names = np.random.default_rng(seed).permutation(n) + 1
    renamed = predictions
    for column in ("position", "target_position"):
        places = [None if place is None else int(names[place - 1]) for place in predictions[column].to_pylist()]
        renamed = replace_column(renamed, column, places)
    found, again = (value(evaluate(table, resamples=0), "cramers_v") for table in (predictions, renamed))
    if (by_target(predictions, n).sum(axis=1) == 0).any():
        assert found is again is None
    else:
        assert found == pytest.approx(again)
        assert 0 <= found <= 1
        shares = (by_target(predictions, n) / by_target(predictions, n).sum(axis=1, keepdims=True)).mean(axis=0)
        assert found == pytest.approx(np.sqrt(n) * np.std(shares, ddof=1))


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000), questions=st.integers(2, 30))
def test_at_two_candidates_fairness_is_the_difference_of_selection_rates_and_flips_bound_it(seed, questions):
    metrics = evaluate(random_predictions(seed, 2, questions, None, unparsed=0), resamples=0)
    first, second = values(metrics, "selection_rate")
    fairness, flips = value(metrics, "preference_fairness"), value(metrics, "flip_rate")
    assert fairness == pytest.approx(second - first)
    assert abs(fairness) <= flips + 1e-9
    assert flips == pytest.approx(100 - value(metrics, "consistency"))


def test_a_file_of_sql_is_a_metric(monkeypatch, tmp_path):
    """Docs: that is all; without arithmetic of its own it has no interval."""
    query = tmp_path / "lowest.sql"
    query.write_text(
        "-- The lowest position that was answered.\n"
        "select method, variant, n_candidates, min(position) as value from predictions group by all"
    )
    monkeypatch.setitem(QUERIES, "lowest", query)
    metrics = evaluate(answers_at(*[2, 3] * 10), resamples=20)
    assert value(metrics, "accuracy", "low") is not None
    assert value(metrics, "lowest") == 2
    assert value(metrics, "lowest", "low") is None
    assert "| [`lowest`](../lad/evaluation/metric_queries/lowest.sql) | The lowest position that was" in describe()


# --- against plain numpy ---------------------------------------------------------------------------------------


def metrics_by_loops(rows: list[dict], n: int) -> dict[str, float | list[float]]:
    """Every metric in percent, from a list of predictions."""

    def share(chosen, of):
        of = [row for row in rows if of(row)]
        return 100 * sum(map(chosen, of)) / len(of) if of else np.nan

    positions = range(1, n + 1)
    by_question: dict[str, list] = {}
    for row in rows:
        by_question.setdefault(row["question_id"], []).append(row["candidate"])
    answers = [[candidate for candidate in c if candidate is not None] for c in by_question.values()]
    rounds = sorted({row["round"] for row in rows})
    accuracies = [share(lambda row: row["correct"], lambda row, r=r: row["round"] == r) for r in rounds]
    recall = [share(lambda row: row["correct"], lambda row, i=i: row["target_position"] == i) for i in positions]
    return {
        "accuracy": np.mean(accuracies),
        "accuracy_std": np.std(accuracies, ddof=1),
        "recall": recall,
        "rstd": np.std([value for value in recall if value == value], ddof=1),
        "consistency": 100 * np.mean([len(set(c)) == 1 and None not in c for c in by_question.values()]),
        "success_rate": share(lambda row: row["position"] is not None, lambda row: True),
        "ties": share(
            lambda row: row["position"] is not None and row["scores"].count(row["scores"][row["position"] - 1]) > 1,
            lambda row: True,
        ),
        "flip_rate": 100 * np.mean([a != b for c in answers for a, b in combinations(c, 2)] or np.nan),
        "selection_rate": [share(lambda row, j=j: row["position"] == j, lambda row: True) for j in positions],
        "confusion": [
            share(lambda row, j=j: row["position"] == j, lambda row, i=i: row["target_position"] == i)
            for i in positions
            for j in positions
        ],
    }


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 12), questions=st.integers(4, 30), rounds=st.integers(2, 5))
def test_every_metric_is_that_of_a_loop_over_predictions(seed, n, questions, rounds):
    predictions = random_predictions(seed, n, questions, rounds)
    metrics = evaluate(predictions, resamples=20)
    expected = metrics_by_loops(predictions.to_pylist(), n)
    assert value(metrics, "accuracy", "std") == pytest.approx(expected.pop("accuracy_std"))
    for metric, wanted in expected.items():
        found = np.array(values(metrics, metric), dtype=float)  # null is NaN
        np.testing.assert_allclose(found, np.ravel(wanted), atol=1e-9, err_msg=metric)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 12), rounds=st.integers(1, 5))
def test_drawing_each_question_once_gives_the_metrics_themselves(seed, n, rounds):
    """The bootstrap's arithmetic is that of the SQL."""
    predictions = random_predictions(seed, n, 12, rounds)
    _, sums = question_sums(predictions)
    once = type(sums)(**{name: part.sum(axis=0, keepdims=True) for name, part in vars(sums).items()}).metrics()
    metrics = evaluate(predictions, resamples=0)
    for metric, found in once.items():
        np.testing.assert_allclose(found[0], np.array(values(metrics, metric), dtype=float), atol=1e-9)


def test_intervals_are_percentiles_over_resampled_questions():
    """Held against resampling whole questions, with all their rows, one resample after the other."""
    predictions = random_predictions(0, 4, 15, 3)
    metrics = evaluate(predictions, resamples=200, seed=3)
    questions, _ = question_sums(predictions)
    by_question = {q: [row for row in predictions.to_pylist() if row["question_id"] == q] for q in questions}
    resampled: dict[str, list] = {metric: [] for metric in ("accuracy", "rstd", "recall", "selection_rate")}
    for counts in np.concatenate(list(resample_counts(15, 200, seed=3))):
        rows = [row for q, times in zip(questions, counts, strict=True) for row in by_question[q] * int(times)]
        found = metrics_by_loops(rows, 4)
        for metric, samples in resampled.items():
            samples.append(np.ravel(found[metric]))
    for metric, samples in resampled.items():
        expected = np.nanpercentile(samples, [2.5, 97.5], axis=0)
        if metric == "rstd":  # chance is in the measured square once, and in the resampled ones twice
            squares = np.square(samples)
            chance = squares.mean() - value(metrics, "rstd") ** 2
            expected = np.sqrt(np.maximum(np.percentile(squares, [2.5, 97.5], axis=0) - 2 * chance, 0))
        found = [values(metrics, metric, bound) for bound in ("low", "high")]
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=metric)


# --- intervals -------------------------------------------------------------------------------------------------


def test_every_resample_draws_as_many_questions_as_there_are():
    blocks = list(resample_counts(7, 300_000, seed=0))
    assert len(blocks) > 1
    counts = np.concatenate(blocks)
    assert counts.shape == (300_000, 7)
    assert (counts.sum(axis=1) == 7).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.01)
    np.testing.assert_allclose(counts.var(axis=0), 6 / 7, atol=0.01)  # multinomial


def test_the_same_seed_gives_the_same_intervals_and_another_gives_others():
    predictions = random_predictions(1, 4, 30, 3)
    first, again, other = (evaluate(predictions, resamples=200, seed=seed) for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)
    assert value(first, "accuracy") == value(other, "accuracy")


def test_methods_on_the_same_questions_are_resampled_in_pairs():
    """A method that answers alike has the same intervals, though it is another method in the same table."""
    predictions = random_predictions(1, 4, 30, 3)
    twin = replace_column(predictions, "method", ["twin"] * len(predictions))
    metrics = evaluate(pa.concat_tables([predictions, twin]), resamples=200).to_pylist()
    by_method = [
        [{**row, "method": ""} for row in metrics if row["method"] == method] for method in ("vanilla", "twin")
    ]
    assert by_method[0] == by_method[1]


def test_orders_of_a_question_count_as_one_cluster():
    """Repeating each order ten times adds no information: the interval stays as wide."""
    predictions = random_predictions(2, 4, 40, 2, unparsed=0)
    repeated = pa.concat_tables(
        replace_column(
            replace_column(predictions, "round", predictions["round"].to_numpy() + 2 * copy),
            "presentation_id",
            [f"{copy}-{name}" for name in predictions["presentation_id"].to_pylist()],
        )
        for copy in range(10)
    )
    widths = [
        value(metrics, "accuracy", "high") - value(metrics, "accuracy", "low")
        for metrics in (evaluate(predictions, resamples=500), evaluate(repeated, resamples=500))
    ]
    assert widths[0] > 5
    assert widths[1] == pytest.approx(widths[0])


def test_the_interval_of_accuracy_has_about_the_width_of_the_normal_one():
    """400 independent questions, one order each."""
    predictions = random_predictions(3, 4, 400, 1, unparsed=0)
    metrics = evaluate(predictions)
    share = value(metrics, "accuracy") / 100
    width = value(metrics, "accuracy", "high") - value(metrics, "accuracy", "low")
    assert width == pytest.approx(100 * 2 * 1.96 * np.sqrt(share * (1 - share) / 400), rel=0.1)


@pytest.mark.parametrize(("questions", "n", "spread"), [(160, 4, 0.0), (160, 8, 0.03), (160, 12, 0.1), (30, 4, 0.1)])
def test_the_interval_of_rstd_holds_that_of_endless_questions(questions, n, spread):
    """Percentiles alone would hold it in hardly any of the first two, where most of what is measured is chance."""
    rng = np.random.default_rng(5)
    recall = 0.8 + spread * np.linspace(-1, 1, n)
    held = 0
    for _ in range(100):
        targets = rng.integers(n, size=(questions, 5))
        right = rng.random((questions, 5)) < recall[targets]
        answers = np.where(right, targets, (targets + 1) % n)
        (bounds,) = intervals([sums_of(targets, answers, n)], 200, seed=0)
        low, high = bounds["rstd"][:, 0]
        held += low <= 100 * recall.std(ddof=1) <= high
    assert held >= 90


def sums_of(targets: np.ndarray, answers: np.ndarray, n: int) -> QuestionSums:
    """What metrics by position know of made-up answers; targets and answers are questions x orders, from 0."""
    questions, orders = targets.shape
    answered = np.zeros((questions, n * n))
    np.add.at(answered, (np.repeat(np.arange(questions), orders), (targets * n + answers).ravel()), 1)
    right, each, nothing = (targets == answers).astype(float), np.ones((questions, 1)), np.empty((questions, 0))
    shown = np.eye(n)[targets].sum(axis=1)
    found = np.diagonal(answered.reshape(questions, n, n), axis1=1, axis2=2)
    return QuestionSums(right, np.ones(right.shape), shown, found, answered, each, each, each, each, nothing, nothing)


@pytest.mark.parametrize(("questions", "n", "accuracy"), [(160, 4, 0.3), (160, 8, 0.7), (30, 4, 0.7)])
def test_the_interval_of_v_rarely_sees_a_bias_where_there_is_none_and_a_textbook_p_value_often_does(
    questions, n, accuracy
):
    """Wrong answers go to a position that each question has of its own, the same in its five orders."""
    rng = np.random.default_rng(6)
    seen = textbook = 0
    for _ in range(40):
        targets = rng.integers(n, size=(questions, 5))
        own = np.broadcast_to(rng.integers(n, size=(questions, 1)), targets.shape)
        answers = np.where(rng.random(targets.shape) < accuracy, targets, own)
        (bounds,) = intervals([sums_of(targets, answers, n)], 200, seed=0)
        seen += bounds["cramers_v"][0, 0] > 0
        textbook += chisquare(np.bincount(answers.ravel(), minlength=n)).pvalue < 0.05
    assert seen <= 2 < textbook


@pytest.mark.parametrize(("n", "preferred"), [(2, 0.2), (4, 0.15), (8, 0.3)])
def test_the_interval_of_v_holds_that_of_endless_questions(n, preferred):
    """Three in ten answers are by chance, and a share of them is the first position instead."""
    rng = np.random.default_rng(7)
    truth, held = 0.3 * preferred, 0
    for _ in range(40):
        targets = rng.integers(n, size=(160, 5))
        guessed = np.where(rng.random(targets.shape) < preferred, 0, rng.integers(n, size=targets.shape))
        answers = np.where(rng.random(targets.shape) < 0.7, targets, guessed)
        (bounds,) = intervals([sums_of(targets, answers, n)], 200, seed=0)
        low, high = bounds["cramers_v"][:, 0]
        held += low <= truth <= high
    assert held >= 34


def test_of_fewer_than_ten_questions_there_are_no_intervals():
    metrics = evaluate(random_predictions(0, 4, FEWEST_QUESTIONS - 1, 3), resamples=20)
    assert metrics["low"].null_count == metrics["high"].null_count == len(metrics)
    assert evaluate(random_predictions(0, 4, FEWEST_QUESTIONS, 3), resamples=20)["low"].null_count < len(metrics)


def test_no_resamples_leave_the_intervals_empty():
    metrics = evaluate(predictions_table(TWO_QUESTIONS), resamples=0)
    assert metrics["low"].null_count == len(metrics)
    assert value(metrics, "accuracy") == 75


# --- what is refused -------------------------------------------------------------------------------------------


def test_an_answer_given_twice_is_refused():
    with pytest.raises(EvaluationError, match=r"vanilla \(variant ''\) answers presentation a-1 2 times"):
        evaluate(predictions_table([*TWO_QUESTIONS, TWO_QUESTIONS[1]]))


def test_answers_to_questions_whose_target_is_unknown_are_refused():
    signals = random_signals(0, rounds=2, split="evaluation")
    blind = score(replace_column(signals, "target_position", [None] * len(signals)), None, "vanilla")
    for measure in (evaluate, differences):
        with pytest.raises(EvaluationError, match="target of presentation evaluation-000000-00 is unknown"):
            measure(blind)


def test_no_predictions_are_refused():
    with pytest.raises(EvaluationError, match="no predictions"):
        evaluate(predictions_table([]))
