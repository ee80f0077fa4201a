"""Questions are seeded one by one: more of them, other settings or another N disturb none of those there are."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.questions import build_questions

DEFAULTS = {"dataset": "demo", "setting": "random", "n": 4, "evaluation": 6, "calibration": 3, "seed": 42}


def build(images: pa.Table, **changes) -> list[dict]:
    return parquet.conform(
        build_questions(images, **{**DEFAULTS, **changes}), contracts.QUESTIONS, "questions"
    ).to_pylist()


def target_of(question: dict) -> int:
    return question["candidates"][question["target"] - 1]


def distractors_of(question: dict) -> list[int]:
    return [image for image in question["candidates"] if image != target_of(question)]


def of_role(questions: list[dict], role: str) -> list[dict]:
    return [question for question in questions if question["role"] == role]


@given(n=st.integers(2, 12), evaluation=st.integers(0, 20), calibration=st.integers(0, 10), seed=st.integers(0))
@settings(max_examples=50, deadline=None)
def test_no_target_serves_twice(make_images, n, evaluation, calibration, seed):
    questions = build(make_images(30), n=n, evaluation=evaluation, calibration=calibration, seed=seed)
    assert len(of_role(questions, "evaluation")) == evaluation
    assert len(of_role(questions, "calibration")) == calibration
    assert len({target_of(question) for question in questions}) == evaluation + calibration


@given(n=st.integers(2, 12), seed=st.integers(0))
@settings(max_examples=50, deadline=None)
def test_a_question_asks_for_its_target_by_caption_among_n_distinct_candidates(make_images, n, seed):
    for question in build(make_images(12), n=n, seed=seed):
        assert question["caption"] == f"caption {target_of(question)}"
        assert len(set(question["candidates"])) == question["n_candidates"] == n


@given(
    few=st.tuples(st.integers(0, 8), st.integers(0, 8)),
    more=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    setting=st.sampled_from(["random", "adversarial"]),
)
@settings(max_examples=40, deadline=None)
def test_a_longer_benchmark_keeps_every_earlier_question(make_images, make_embeddings, few, more, setting):
    rng = np.random.default_rng(0)
    embeddings = make_embeddings(rng.normal(size=(30, 4)), rng.normal(size=(30, 4)))
    short, long = (
        build(make_images(30), setting=setting, evaluation=e, calibration=c, embeddings=embeddings)
        for e, c in (few, np.add(few, more).tolist())
    )
    for role, number in zip(("evaluation", "calibration"), few, strict=True):
        assert of_role(long, role)[:number] == of_role(short, role)


def test_the_distractors_of_a_smaller_n_are_the_first_of_a_larger_one(make_images):
    by_n = {n: build(make_images(40), n=n) for n in range(2, 13)}
    for n in range(2, 12):
        for smaller, larger in zip(by_n[n], by_n[n + 1], strict=True):
            assert target_of(smaller) == target_of(larger)
            assert distractors_of(smaller) == distractors_of(larger)[: n - 1]


def test_adversarial_distractors_are_nested_and_hardest_first(scene_images, scene_embeddings):
    by_n = {n: build(scene_images, setting="adversarial", n=n, embeddings=scene_embeddings) for n in (2, 4, 8, 12)}
    vectors = dict(
        zip(
            scene_embeddings["image_id"].to_pylist(),
            np.array(scene_embeddings["image_embedding"].to_pylist()),
            strict=True,
        )
    )
    for n in (2, 4, 8):
        for smaller, larger in zip(by_n[n], by_n[12], strict=True):
            assert distractors_of(smaller) == distractors_of(larger)[: n - 1]
    for question in by_n[12]:
        cosines = [vectors[target_of(question)] @ vectors[image] for image in distractors_of(question)]
        assert cosines == sorted(cosines, reverse=True)


def test_both_settings_ask_for_the_same_targets_under_their_own_names(scene_images, scene_embeddings):
    random = build(scene_images)
    adversarial = build(scene_images, setting="adversarial", embeddings=scene_embeddings)
    assert [target_of(question) for question in random] == [target_of(question) for question in adversarial]
    assert [random[0]["question_id"], random[6]["question_id"]] == [
        "demo-random-n04-e00000",
        "demo-random-n04-c00000",
    ]
    assert adversarial[8]["question_id"] == "demo-adversarial-n04-c00002"


def test_the_order_of_the_images_does_not_matter(make_images):
    images = make_images(30)
    turned = images.take(np.random.default_rng(0).permutation(30))
    assert build(turned) == build(images)


def test_another_seed_asks_for_other_targets(make_images):
    assert [target_of(q) for q in build(make_images(300))] != [target_of(q) for q in build(make_images(300), seed=43)]


def test_a_benchmark_is_the_same_on_every_machine(make_images):
    questions = build(make_images(10), evaluation=2, calibration=1)
    assert [(q["question_id"], q["candidates"], q["target"]) for q in questions] == [
        ("demo-random-n04-e00000", [9, 3, 4, 7], 1),
        ("demo-random-n04-e00001", [1, 8, 4, 5], 4),
        ("demo-random-n04-c00000", [9, 4, 2, 1], 2),
    ]


def test_targets_stand_at_every_place_equally_often(make_images):
    questions = build(make_images(4100), n=8, evaluation=4000, calibration=0)
    counts = np.bincount([question["target"] - 1 for question in questions], minlength=8)
    # Chi-square with 7 degrees of freedom: 24.3 is its 99.9 % quantile.
    assert ((counts - 500) ** 2 / 500).sum() < 24.3


def test_random_distractors_are_uniform_over_the_pool(make_images):
    drawn = Counter(
        image
        for seed in range(200)
        for question in build(make_images(20), n=4, evaluation=20, calibration=0, seed=seed)
        for image in distractors_of(question)
    )
    counts = np.array([drawn[image] for image in range(1, 21)])
    expected = 200 * 20 * 3 / 20
    # Chi-square with 19 degrees of freedom: 43.8 is its 99.9 % quantile.
    assert ((counts - expected) ** 2 / expected).sum() < 43.8


def test_targets_and_distractors_come_from_the_pool_and_a_smaller_pool_lies_within_a_larger_one(make_images):
    pools = {}
    for size in (12, 20, 60):
        questions = build(make_images(100), pool=size, n=12, evaluation=size, calibration=0)
        pools[size] = [target_of(question) for question in questions]
        assert {image for question in questions for image in question["candidates"]} == set(pools[size])
    assert pools[12] == pools[20][:12]
    assert pools[20] == pools[60][:20]


def test_a_pool_of_all_images_is_the_default(make_images):
    assert build(make_images(30), pool=30) == build(make_images(30))


def test_adversarial_distractors_come_from_the_pool(scene_images, scene_embeddings):
    def used(**changes):
        questions = build(scene_images, pool=20, evaluation=10, calibration=10, **changes)
        return {target_of(q) for q in questions}, {image for q in questions for image in distractors_of(q)}

    targets, distractors = used(setting="adversarial", embeddings=scene_embeddings)
    assert len(targets) == 20
    assert distractors <= targets


@pytest.mark.parametrize("setting", ["random", "adversarial"])
def test_where_categories_are_known_images_without_any_are_in_no_question(make_images, make_embeddings, setting):
    images = make_images(30, categories=[[k % 5] if k % 3 else [] for k in range(30)])
    embeddings = make_embeddings(np.eye(30) + 0.1, np.eye(30))
    with_categories = images.filter([bool(own) for own in images["category_ids"].to_pylist()])
    options = {"setting": setting, "embeddings": embeddings, "evaluation": 15, "calibration": 5}
    assert build(images, **options) == build(with_categories, **options)


def test_where_no_categories_are_known_all_images_are_asked_about(make_images):
    questions = build(make_images(12, categories=[[]] * 12), evaluation=12, calibration=0)
    assert {target_of(question) for question in questions} == set(range(1, 13))


def test_only_images_with_categories_count_where_categories_are_known(make_images):
    images = make_images(10, categories=[[1]] * 8 + [[]] * 2)
    with pytest.raises(BenchmarkError, match=r"^pool = 10: the dataset has 8 images with categories, choose from 1 to"):
        build(images, pool=10)
    with pytest.raises(BenchmarkError, match=r"the dataset has only 8 images with categories$"):
        build(images, evaluation=8, calibration=1)


def test_as_many_candidates_as_images_use_them_all(make_images):
    for question in build(make_images(12), n=12):
        assert sorted(question["candidates"]) == list(range(1, 13))


def test_no_random_distractor_has_the_caption_of_its_target(make_images):
    captions = [f"caption {k % 5}" for k in range(20)]
    images = make_images(20, captions=captions)
    for question in build(images, n=12, evaluation=15, calibration=5):
        assert all(captions[image - 1] != question["caption"] for image in distractors_of(question))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 1}, "n = 1: a question has 2 to 12 candidates"),
        ({"n": 13}, "n = 13: a question has 2 to 12 candidates"),
        ({"n": 11}, "n = 11: the dataset has only 10 images"),
        ({"n": 6, "pool": 5}, "n = 6: the pool has only 5 images"),
        ({"pool": 11}, "pool = 11: the dataset has 10 images, choose from 1 to 10"),
        ({"pool": 0}, "pool = 0: the dataset has 10 images, choose from 1 to 10"),
        (
            {"evaluation": 8},
            "evaluation + calibration = 8 + 3 questions, each with a target of its own: the dataset has only 10 images",
        ),
        ({"calibration": -1}, "calibration = -1: the number of questions cannot be negative"),
        ({"setting": "hard"}, "unknown setting 'hard'; known: random, adversarial"),
        (
            {"setting": "adversarial"},
            "the adversarial setting chooses distractors by embeddings; none were given",
        ),
    ],
)
def test_numbers_that_do_not_fit_are_refused_in_one_line(make_images, changes, message):
    with pytest.raises(BenchmarkError) as error:
        build(make_images(10), **changes)
    assert str(error.value) == message


def test_a_target_whose_caption_too_many_share_is_refused_by_name(make_images):
    images = make_images(10, captions=["the same"] * 8 + ["another", "a third"])
    with pytest.raises(BenchmarkError, match=r"target image \d+: 3 distractors wanted, 2 images of the pool have"):
        build(images)
