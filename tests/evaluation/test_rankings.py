"""Rankings: planted strengths are found, metrics are those of a plain count, intervals those of a loop."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_lists import answers, asked, made_lists
from signals_factory import replace_column

from lad.benchmark.lists import RankedList
from lad.benchmark.windows import cut_windows
from lad.evaluation.bootstrap import resample_counts
from lad.evaluation.metrics import EvaluationError
from lad.evaluation.rankings import METRICS, list_strengths, rank_lists, strengths_of


def plain_metrics(order: list[int], relevance: list[int], ideal: list[int]) -> dict[str, float]:
    """Of a list whose places stand in this order."""
    grades = [relevance[place] for place in order]

    def gain(sorted_grades):
        return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(sorted_grades[:10], start=1))

    def recall(k):
        return sum(grade > 0 for grade in grades[:k]) / len(ideal)

    ranks = [rank for rank, grade in enumerate(grades[:10], start=1) if grade]
    return {
        **{f"recall_at_{k}": 100 * recall(k) for k in (1, 5, 10)},
        "hit_at_1": 100.0 * (grades[0] > 0),
        "mrr_at_10": 100 / ranks[0] if ranks else 0.0,
        "ndcg_at_10": 100 * gain(grades) / gain(ideal),
    }


def random_strengths(lists: list[RankedList], seed: int, ties: bool = False) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    draw = (lambda size: rng.integers(3, size=size).astype(float)) if ties else (lambda size: rng.normal(size=size))
    return {one.id: draw(len(one.candidates)).tolist() for one in lists}


def by_metric(table: pa.Table, method: str = "m", group: str = "") -> dict[str, dict]:
    return {row["metric"]: row for row in table.to_pylist() if (row["method"], row["group"]) == (method, group)}


# --- strengths -------------------------------------------------------------------------------------------------


@given(
    size=st.integers(2, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(n, 30))),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_planted_strengths_are_found_whatever_the_levels_of_the_windows(size, seed):
    n, listed = size
    rng = np.random.default_rng(seed)
    windows = np.array(cut_windows(listed, n, 2, (seed,)))
    planted, levels = rng.normal(size=listed), 10 * rng.normal(size=(3, len(windows), 1))
    found = strengths_of(windows, planted[windows] + levels, listed)
    assert found == pytest.approx(np.tile(planted - planted.mean(), (3, 1)), abs=1e-6)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_renamed_candidates_have_the_same_strengths_under_their_new_names(seed):
    rng = np.random.default_rng(seed)
    windows = np.array(cut_windows(11, 4, 2, (seed,)))
    scores = rng.normal(size=(2, *windows.shape))
    renamed = rng.permutation(11)
    there = strengths_of(renamed[windows], scores, 11)
    assert there[:, renamed] == pytest.approx(strengths_of(windows, scores, 11), abs=1e-7)


def test_least_squares_are_those_of_numpy():
    rng = np.random.default_rng(3)
    windows = np.array(cut_windows(10, 3, 3, ("q",)))
    scores = rng.normal(size=windows.shape)
    # Unknowns: a strength for each candidate, a level for each window.
    design = np.zeros((windows.size, 10 + len(windows)))
    for row, (window, at) in enumerate((w, i) for w in range(len(windows)) for i in range(3)):
        design[row, windows[window, at]] = design[row, 10 + window] = 1
    plain = np.linalg.lstsq(design, scores.ravel(), rcond=None)[0][:10]
    assert strengths_of(windows, scores[None], 10)[0] == pytest.approx(plain - plain.mean(), abs=1e-7)


def test_one_window_is_ordered_by_its_scores_and_equal_scores_stay_equal():
    (found,) = strengths_of(np.array([[0, 1, 2]]), np.array([[[0.1, 0.3, 0.1]]]), 3)
    assert found[0] == found[2] < found[1]


def test_candidates_of_equal_strength_are_equal_in_many_windows_too():
    windows = np.array(cut_windows(20, 4, 3, ("q",)))
    planted = np.arange(20) % 3 * 0.1
    (found,) = strengths_of(windows, (planted[windows] + np.arange(len(windows))[:, None] / 7)[None], 20)
    assert [len(set(found[planted == value])) for value in np.unique(planted)] == [1, 1, 1]


def test_windows_that_do_not_hang_together_are_refused():
    with pytest.raises(ValueError, match="do not hang together"):
        strengths_of(np.array([[0, 1], [2, 3]]), np.zeros((1, 2, 2)), 4)


# --- metrics ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "listed", "ties"), [(4, 12, False), (2, 7, False), (5, 5, False), (4, 13, True)])
def test_metrics_are_those_of_a_plain_count_and_the_first_stage_decides_between_equals(n, listed, ties):
    lists = made_lists(15, listed, seed=n)
    tables = asked(lists, n)
    planted = random_strengths(lists, 7, ties)
    table = rank_lists(answers(tables, planted), **tables, resamples=0)
    for method, order in (
        ("m", lambda one: sorted(range(listed), key=lambda place: (-planted[one.id][place], place))),
        ("first_stage", lambda one: list(range(listed))),
    ):
        plain = [plain_metrics(order(one), one.relevance, one.ideal) for one in lists]
        rows = by_metric(table, method)
        assert rows.keys() == set(METRICS)
        for metric, row in rows.items():
            assert row["value"] == pytest.approx(np.mean([one[metric] for one in plain])), metric
            assert (row["lists"], row["n_candidates"]) == (15, n)


def test_a_perfect_order_has_ndcg_100_where_all_that_is_relevant_is_listed():
    lists = [RankedList(f"q{k}", "q", tuple(f"{k}{c}" for c in "abcdef"), (0, 2, 0, 1, 0, 0), (2, 1)) for k in range(3)]
    tables = asked(lists, 3)
    rows = by_metric(rank_lists(answers(tables, {one.id: list(one.relevance) for one in lists}), **tables))
    assert {metric: row["value"] for metric, row in rows.items()} == pytest.approx(
        {
            "recall_at_1": 50,
            "recall_at_5": 100,
            "recall_at_10": 100,
            "hit_at_1": 100,
            "mrr_at_10": 100,
            "ndcg_at_10": 100,
        }
    )


def test_the_gain_is_the_grade_itself_as_in_trec_eval():
    """With 2^grade - 1 the value would be (1 + 3 / log2 3) / (3 + 1 / log2 3)."""
    lists = [RankedList("q", "q", ("a", "b"), (1, 2), (2, 1))]
    tables = asked(lists, 2)
    first = by_metric(rank_lists(answers(tables, {"q": [0.0, 1.0]}), **tables), "first_stage")
    assert first["ndcg_at_10"]["value"] == pytest.approx(100 * (1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3)))


def test_where_an_answer_alone_is_known_it_counts_one():
    lists = made_lists(4, 8)
    tables = asked(lists, 4)
    said = answers(tables, random_strengths(lists, 1))
    alone = replace_column(said, "scores", pa.nulls(len(said), pa.list_(pa.float64())))
    counted = [[float(place == row["position"]) for place in range(1, 5)] for row in said.to_pylist()]
    as_scores = replace_column(said, "scores", pa.array(counted))
    assert rank_lists(alone, **tables) == rank_lists(as_scores, **tables)


def test_rounds_are_ranked_each_by_itself_and_then_averaged():
    lists = made_lists(5, 9)
    tables = asked(lists, 3, rounds=2)
    good, bad = ({one.id: [sign * grade for grade in one.relevance] for one in lists} for sign in (1, -1))
    first, second = (answers(tables, planted) for planted in (good, bad))
    mixed = pa.concat_tables(
        [first.filter(pa.compute.field("round") == 0), second.filter(pa.compute.field("round") == 1)]
    )
    values = [by_metric(rank_lists(said, **tables))["ndcg_at_10"]["value"] for said in (first, second, mixed)]
    assert values[2] == pytest.approx((values[0] + values[1]) / 2)


def test_groups_have_rows_of_their_own_and_macro_is_their_mean():
    lists = made_lists(25, 8, groups=2)
    tables = asked(lists, 4)
    table = rank_lists(answers(tables, random_strengths(lists, 2)), **tables)
    groups = {row["group"] for row in table.to_pylist()}
    assert groups == {"", "macro", "group 0", "group 1"}
    values = {group: by_metric(table, group=group)["ndcg_at_10"]["value"] for group in groups}
    assert values["macro"] == pytest.approx((values["group 0"] + values["group 1"]) / 2)
    assert values[""] == pytest.approx((13 * values["group 0"] + 12 * values["group 1"]) / 25)


def test_lists_without_anything_relevant_are_left_out():
    lists = made_lists(4, 8)
    nothing = RankedList("nothing", "q", tuple("abcdefgh"), (0,) * 8, ())
    planted = random_strengths([*lists, nothing], 3)
    with_it, without = (asked(these, 4) for these in ([*lists, nothing], lists))
    table, plain = (rank_lists(answers(tables, planted), **tables) for tables in (with_it, without))
    assert by_metric(table)["ndcg_at_10"]["lists"] == 4
    assert by_metric(table)["ndcg_at_10"]["value"] == pytest.approx(by_metric(plain)["ndcg_at_10"]["value"])
    tables = asked([nothing], 4)
    with pytest.raises(EvaluationError, match="no window that is answered is of a list with anything relevant"):
        rank_lists(answers(tables, planted), **tables)


# --- intervals -------------------------------------------------------------------------------------------------


def test_intervals_are_those_of_a_loop_over_drawn_lists_and_leads_are_paired():
    lists = made_lists(14, 8, groups=3)
    tables = asked(lists, 4)
    planted = random_strengths(lists, 4)
    table = rank_lists(answers(tables, planted), **tables, resamples=60, seed=9)
    row, stage = by_metric(table)["mrr_at_10"], by_metric(table, "first_stage")["mrr_at_10"]
    (counts,) = resample_counts(14, 60, 9)
    order = sorted(lists, key=lambda one: one.id)

    def values(ranked):
        return np.array([plain_metrics(ranked(one), one.relevance, one.ideal)["mrr_at_10"] for one in order])

    ours = values(lambda one: sorted(range(8), key=lambda place: -planted[one.id][place]))
    theirs = values(lambda one: list(range(8)))
    for name, of in (("", ours), ("lead_", ours - theirs)):
        means = [np.repeat(of, drawn.astype(int)).mean() for drawn in counts]
        low, high = np.percentile(means, [2.5, 97.5])
        assert (row[f"{name}low"], row[f"{name}high"]) == pytest.approx((low, high))
    assert row["lead"] == pytest.approx(row["value"] - stage["value"])
    assert stage["lead"] is stage["lead_low"] is None
    macro = [
        np.mean([np.average(ours[own], weights=drawn[own]) for own in groups if drawn[own].any()])
        for groups in [[np.array([one.group == f"group {g}" for one in order]) for g in range(3)]]
        for drawn in counts
    ]
    of_macro = by_metric(table, group="macro")["mrr_at_10"]
    assert (of_macro["low"], of_macro["high"]) == pytest.approx(tuple(np.percentile(macro, [2.5, 97.5])))


def test_fewer_than_ten_lists_have_no_interval_nor_has_a_group_of_fewer():
    lists = made_lists(12, 8, groups=2)
    tables = asked(lists, 4)
    planted = random_strengths(lists, 5)
    table = rank_lists(answers(tables, planted), **tables, resamples=20)
    bounded = {row["group"]: row["low"] is not None for row in table.to_pylist()}
    assert bounded == {"": True, "macro": True, "group 0": False, "group 1": False}
    few = asked(lists[:9], 4)
    assert all(row["low"] is None for row in rank_lists(answers(few, planted), **few, resamples=20).to_pylist())


# --- what is refused -------------------------------------------------------------------------------------------


def test_windows_lists_and_presentations_that_are_missing_are_refused():
    lists = made_lists(3, 8)
    tables = asked(lists, 4)
    said = answers(tables, random_strengths(lists, 6))
    with pytest.raises(
        EvaluationError, match=r"m \(variant ''\) answers 3 of 4 windows of list q\d in round 0, not made"
    ):
        rank_lists(said.slice(1), **tables)
    with pytest.raises(
        EvaluationError, match=r"presentation made-up-.* is not in the table of presentations; give those"
    ):
        rank_lists(said, **{**tables, "presentations": tables["presentations"].slice(1)})
    with pytest.raises(EvaluationError, match="list q0 is not in the table of lists"):
        rank_lists(said, **{**tables, "lists": tables["lists"].slice(1)})
    with pytest.raises(EvaluationError, match="the questions are no windows of lists"):
        rank_lists(said, **{**tables, "questions": tables["questions"].drop_columns(["list_id", "relevance"])})


def test_strengths_can_be_had_alone():
    lists = made_lists(3, 8)
    tables = asked(lists, 4)
    planted = random_strengths(lists, 6)
    found = list_strengths(answers(tables, planted), **tables).to_pylist()
    assert len(found) == 3 * 8 * 2
    for row in found:
        of = planted[row["list_id"]]
        assert row["strength"] == pytest.approx(of[row["place"] - 1] - np.mean(of), abs=1e-6)
