"""Orders: cyclic shifts visit every position once, random orders are distinct, uniform and seeded per question."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.presentations import build_presentations
from lad.benchmark.questions import build_questions

SPLITS = ("calibration", "evaluation", "symmetrized", "permuted")


@pytest.fixture(scope="session")
def make_questions(make_images):
    def make(n, evaluation=6, calibration=3):
        return build_questions(
            make_images(evaluation + calibration + n),
            dataset="demo",
            setting="random",
            n=n,
            evaluation=evaluation,
            calibration=calibration,
            seed=42,
        )

    return make


def present(questions, split, seed=42, **options):
    presentations = build_presentations(questions, split, seed=seed, **options)
    return parquet.conform(presentations, contracts.PRESENTATIONS, "presentations").to_pylist()


def by_question(presentations):
    grouped = {}
    for presentation in presentations:
        grouped.setdefault(presentation["question_id"], []).append(presentation)
    return grouped


@given(n=st.integers(2, 12), split=st.sampled_from(SPLITS), seed=st.integers(0))
@settings(max_examples=50, deadline=None)
def test_an_order_shows_every_candidate_once_and_the_target_where_the_table_says(make_questions, n, split, seed):
    questions = make_questions(n)
    targets = dict(zip(questions["question_id"].to_pylist(), questions["target"].to_pylist(), strict=True))
    for presentation in present(questions, split, seed=seed):
        assert sorted(presentation["order"]) == list(range(1, n + 1))
        assert presentation["order"][presentation["target_position"] - 1] == targets[presentation["question_id"]]


@given(n=st.integers(2, 12), split=st.sampled_from(["calibration", "symmetrized"]))
@settings(deadline=None)
def test_in_cyclic_shifts_every_candidate_visits_every_position_once(make_questions, n, split):
    for shifts in by_question(present(make_questions(n), split)).values():
        orders = np.array([presentation["order"] for presentation in shifts])
        assert orders.shape == (n, n)
        assert (np.sort(orders, axis=0) == np.arange(1, n + 1)[:, None]).all()
        for order, following in zip(orders, np.roll(orders, -1, axis=0), strict=True):
            assert np.roll(order, -1).tolist() == following.tolist()
        assert sorted(presentation["target_position"] for presentation in shifts) == list(range(1, n + 1))


@given(n=st.integers(2, 12), rounds=st.integers(1, 30))
@settings(deadline=None)
def test_there_are_t_distinct_random_orders_or_all_of_them(make_questions, n, rounds):
    for shown in by_question(present(make_questions(n), "evaluation", rounds=rounds)).values():
        orders = {tuple(presentation["order"]) for presentation in shown}
        assert len(orders) == len(shown) == min(rounds, math.factorial(n))
        assert [presentation["round"] for presentation in shown] == list(range(len(shown)))


@pytest.mark.parametrize("n", [2, 3, 4])
def test_more_rounds_than_orders_show_every_order(make_questions, n):
    for shown in by_question(present(make_questions(n), "evaluation", rounds=1000)).values():
        assert {tuple(presentation["order"]) for presentation in shown} == set(permutations(range(1, n + 1)))


@given(n=st.integers(2, 6), rounds=st.integers(1, 20), more=st.integers(0, 20))
@settings(deadline=None)
def test_more_rounds_keep_the_earlier_orders(make_questions, n, rounds, more):
    questions = make_questions(n)
    few = by_question(present(questions, "evaluation", rounds=rounds))
    for question_id, shown in by_question(present(questions, "evaluation", rounds=rounds + more)).items():
        assert shown[: len(few[question_id])] == few[question_id]


@pytest.mark.parametrize("split", SPLITS)
def test_one_question_more_changes_no_order_of_the_others(make_questions, split):
    questions = make_questions(5)
    alone = present(questions.slice(0, 1) if split != "calibration" else questions.slice(6, 1), split)
    assert present(questions, split)[: len(alone)] == alone


def test_questions_have_orders_of_their_own(make_questions):
    first_orders = {tuple(p["order"]) for p in present(make_questions(8, evaluation=50), "evaluation", rounds=1)}
    assert len(first_orders) > 40


@pytest.mark.parametrize("split", SPLITS)
def test_another_seed_gives_other_orders(make_questions, split):
    questions = make_questions(8)
    orders = [[p["order"] for p in present(questions, split, seed=seed)] for seed in (1, 2)]
    assert orders[0] != orders[1]


@pytest.mark.parametrize(("n", "rounds"), [(4, 5), (8, 5), (12, 2)])
def test_targets_stand_at_every_position_equally_often_in_random_orders(make_questions, n, rounds):
    presentations = present(make_questions(n, evaluation=1000, calibration=0), "evaluation", rounds=rounds)
    counts = np.bincount([p["target_position"] - 1 for p in presentations], minlength=n)
    expected = len(presentations) / n
    # 99.9 % quantiles of chi-square with n - 1 degrees of freedom. Distinct orders of one question repel each
    # other a little, which only makes the counts more even.
    assert ((counts - expected) ** 2 / expected).sum() < {4: 16.3, 8: 24.3, 12: 31.3}[n]


def test_first_orders_are_uniform_over_all_orders(make_questions):
    presentations = present(make_questions(3, evaluation=3000, calibration=0), "evaluation", rounds=1)
    counts = np.array([sum(tuple(p["order"]) == o for p in presentations) for o in permutations((1, 2, 3))])
    # Chi-square with 5 degrees of freedom: 20.5 is its 99.9 % quantile.
    assert ((counts - 500) ** 2 / 500).sum() < 20.5


def test_shifts_begin_anywhere_in_any_order(make_questions):
    starts = {
        tuple(p["order"])
        for p in present(make_questions(3, evaluation=200, calibration=0), "symmetrized")
        if p["round"] == 0
    }
    assert starts == set(permutations((1, 2, 3)))


def test_each_split_shows_the_questions_of_its_role_under_names_of_its_own(make_questions):
    questions = make_questions(4)
    assert [p["presentation_id"] for p in present(questions, "calibration")][:5] == [
        *(f"demo-random-n04-c00000-c{shift:03d}" for shift in range(4)),
        "demo-random-n04-c00001-c000",
    ]
    assert present(questions, "evaluation")[5]["presentation_id"] == "demo-random-n04-e00001-e000"
    assert present(questions, "symmetrized")[-1]["presentation_id"] == "demo-random-n04-e00005-s003"
    assert [len(present(questions, split)) for split in SPLITS] == [3 * 4, 6 * 5, 6 * 4, 6 * 5]


@pytest.mark.parametrize(
    ("split", "options", "message"),
    [
        ("test", {}, "unknown split 'test'; known: calibration, evaluation, symmetrized, permuted"),
        ("evaluation", {"rounds": 0}, "rounds = 0: a question is shown in at least 1 order"),
        ("calibration", {}, "split calibration: the table of questions has no calibration question"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(make_questions, split, options, message):
    with pytest.raises(BenchmarkError) as error:
        present(make_questions(4, calibration=0), split, **options)
    assert str(error.value) == message


def test_the_permuted_split_shows_the_orders_of_evaluation_first(make_questions):
    """So that what was asked for evaluation need not be asked again: the prompts and images are the same."""
    questions = make_questions(5)
    few, many = (
        by_question(present(questions, split, rounds=rounds)) for split, rounds in (("evaluation", 5), ("permuted", 16))
    )
    assert few.keys() == many.keys()
    for question, shown in few.items():
        assert [p["order"] for p in many[question][:5]] == [p["order"] for p in shown]
        assert len({tuple(p["order"]) for p in many[question]}) == 16


def test_with_three_candidates_all_six_orders_are_permuted(make_questions):
    assert {len(shown) for shown in by_question(present(make_questions(3), "permuted", rounds=16)).values()} == {6}
