"""Windows: every candidate stands in several, they hang together, and none hangs on what other lists there are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_lists import asked, made_lists

from lad.benchmark import BenchmarkError
from lad.benchmark.lists import RankedList, candidates_of
from lad.benchmark.windows import build_questions, cut_windows, number_of_windows

sizes = st.integers(2, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(n, 60)))


@given(size=sizes, appearances=st.integers(2, 4), key=st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_every_candidate_stands_in_so_many_windows_of_exactly_n_and_all_windows_hang_together(size, appearances, key):
    n, listed = size
    windows = cut_windows(listed, n, appearances, (key,))
    assert len(windows) == number_of_windows(listed, n, appearances)
    assert all(len(set(window)) == n for window in windows)
    shown = np.bincount(np.concatenate(windows), minlength=listed)
    assert shown.min() >= (appearances if listed > n else 1)
    assert shown.max() <= shown.min() + 1
    reached, before = {0}, set()
    while reached != before:
        before = set(reached)
        reached.update(*(window for window in windows if reached & set(window)))
    assert reached == set(range(listed))


def test_a_list_as_long_as_a_window_is_one_window_and_a_shorter_one_has_none():
    assert cut_windows(4, 4, 3, ("q",)) == [(0, 1, 2, 3)]
    assert number_of_windows(3, 4, 3) == 0


def test_two_candidates_make_a_tournament_of_pairs():
    windows = cut_windows(9, 2, 3, ("q",))
    assert len(windows) == 14
    assert {len(window) for window in windows} == {2}


def test_more_lists_and_more_candidates_of_other_lists_change_no_window():
    few, many = (asked(made_lists(count, 9), 4, evaluation=count)["questions"].to_pylist() for count in (6, 12))

    def windows(rows):
        return {
            name: [row["candidates"] for row in rows if row["list_id"] == name]
            for name in (f"q{number}" for number in range(6))
        }

    # Image ids count through the lists in their order, so that those of the first lists are the same.
    assert windows(few) == windows(many)


def test_a_window_says_the_grade_of_each_candidate_and_its_target_is_the_first_of_the_best():
    lists = {one.id: one for one in made_lists(20, 10)}
    tables = asked(list(lists.values()), 4)
    texts = candidates_of(list(lists.values()), None)
    images = dict(zip(texts["image_id"].to_pylist(), texts["text"].to_pylist(), strict=True))
    some_without = False
    for row in tables["questions"].to_pylist():
        one = lists[row["list_id"]]
        grades = dict(zip(one.candidates, one.relevance, strict=True))
        assert row["relevance"] == [grades[images[candidate]] for candidate in row["candidates"]]
        best = max(row["relevance"])
        assert row["target"] == (row["relevance"].index(best) + 1 if best else None)
        some_without |= row["target"] is None
        assert row["candidates"] == sorted(row["candidates"])
    assert some_without
    grades_of = {row["question_id"]: row["relevance"] for row in tables["questions"].to_pylist()}
    for row in tables["presentations"].to_pylist():
        assert row["relevance"] == [grades_of[row["question_id"]][candidate - 1] for candidate in row["order"]]


def test_a_calibration_window_has_one_right_candidate_and_its_list_is_not_evaluated():
    rows = asked(made_lists(20, 10), 4, evaluation=5, calibration=6)["questions"].to_pylist()
    fitted, evaluated = ([row for row in rows if row["role"] == role] for role in ("calibration", "evaluation"))
    assert len({row["list_id"] for row in fitted}) == len(fitted) == 6
    assert all(sum(grade > 0 for grade in row["relevance"]) == 1 for row in fitted)
    assert len({row["list_id"] for row in evaluated}) == 5
    assert not {row["list_id"] for row in fitted} & {row["list_id"] for row in evaluated}


def test_lists_without_a_right_candidate_or_enough_wrong_ones_are_evaluated_but_do_not_calibrate():
    texts = tuple("abcdef")
    lists = [
        RankedList("none", "q", texts, (0,) * 6, (1,)),
        RankedList("all", "q", texts, (1,) * 6, (1,) * 6),
        RankedList("usual", "q", texts, (0, 1, 0, 0, 0, 0), (1,)),
    ]
    rows = asked(lists, 4, calibration=1)["questions"].to_pylist()
    assert {row["list_id"] for row in rows if row["role"] == "calibration"} == {"usual"}
    assert {row["list_id"] for row in rows if row["role"] == "evaluation"} == {"none", "all"}
    with pytest.raises(BenchmarkError, match="of its 3 lists 3 are so long, and 1 of these have a right candidate and"):
        asked(lists, 4, calibration=2)


def test_shorter_lists_are_left_out():
    lists = [*made_lists(3, 8), RankedList("short", "q", ("a", "b"), (1, 0), (1,))]
    assert {row["list_id"] for row in asked(lists, 4)["questions"].to_pylist()} == {"q0", "q1", "q2"}
    with pytest.raises(BenchmarkError, match="of its 1 lists 0 are so long"):
        asked(lists[3:], 4)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"n": 13}, "n = 13: a window has 2 to 12 candidates"),
        ({"lists": [*made_lists(2, 8), *made_lists(1, 8)]}, "two lists have the id q0"),
        (
            {"images": candidates_of(made_lists(1, 8), None)},
            r"list q\d: candidate 'text 0 of list \d' is not in the images",
        ),
    ],
)
def test_what_makes_no_windows_is_refused(changed, said):
    lists = made_lists(6, 8)
    given = {"n": 4, "lists": lists, "images": candidates_of(lists, None)} | changed
    lists, images = given.pop("lists"), given.pop("images")
    numbers = {"evaluation": 10, "calibration": 1, "seed": 0, "appearances": 2}
    with pytest.raises(BenchmarkError, match=said):
        build_questions(lists, images, dataset="d", setting="s", **given, **numbers)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"candidates": (), "relevance": ()}, "has no candidates"),
        ({"relevance": (1,)}, "has 2 candidates and 1 grades"),
        ({"candidates": ("a", "a")}, "has the candidate 'a' twice"),
        ({"relevance": (1, -1)}, "has the grade -1"),
        ({"ideal": (1, 2)}, "expected are grades above 0, the largest first"),
        ({"ideal": (1, 0)}, "expected are grades above 0, the largest first"),
        ({"ideal": ()}, "has a candidate of grade 1 that is not counted among its ideal grades"),
    ],
)
def test_a_list_that_contradicts_itself_is_refused(changed, said):
    given = {"candidates": ("a", "b"), "relevance": (1, 0), "ideal": (1,)} | changed
    with pytest.raises(BenchmarkError, match=f"list x: .*{said}"):
        RankedList("x", "q", **given)
