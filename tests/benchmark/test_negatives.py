"""Hard negatives equal a plain loop over all pairs, ties and both filters included."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lad import contracts
from lad.benchmark import BenchmarkError, negatives
from lad.benchmark.negatives import CATEGORY_FILTERS, nearest_allowed


def cosine(a, b):
    return math.fsum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def may_stand_beside(target, image, category_filter, caption_threshold):
    if target["image_id"] == image["image_id"]:
        return False
    if cosine(target["caption_embedding"], image["caption_embedding"]) >= caption_threshold:
        return False
    target_set, image_set = set(target["category_ids"]), set(image["category_ids"])
    if not target_set:
        return True
    return image_set != target_set if category_filter == "printed" else not image_set >= target_set


def nearest_by_loop(images, embeddings, target_ids, k, category_filter, caption_threshold):
    rows = [a | b for a, b in zip(images.to_pylist(), embeddings.to_pylist(), strict=True)]
    nearest = []
    for target in (rows[target_id - 1] for target_id in target_ids):
        allowed = [row for row in rows if may_stand_beside(target, row, category_filter, caption_threshold)]
        allowed.sort(key=lambda row: (-cosine(target["image_embedding"], row["image_embedding"]), row["image_id"]))
        nearest.append([row["image_id"] for row in allowed[:k]])
    return nearest


@pytest.fixture(scope="session")
def make_pool(make_images, make_embeddings):
    """Images and embeddings where many pictures and captions are equal, so that ties abound."""

    def make(size, seed, dimension=5, kinds=8):
        rng = np.random.default_rng(seed)
        pictures = rng.normal(size=(kinds, dimension))[rng.integers(kinds, size=size)]
        captions = rng.normal(size=(kinds, 3))[rng.integers(kinds, size=size)]
        categories = [np.flatnonzero(rng.random(4) < 0.4).tolist() for _ in range(size)]
        return make_images(size, categories=categories), make_embeddings(pictures, captions)

    return make


@given(
    size=st.integers(2, 30),
    seed=st.integers(0, 2**32),
    k=st.integers(1, 5),
    category_filter=st.sampled_from(CATEGORY_FILTERS),
    caption_threshold=st.sampled_from([-0.2, 0.3, 0.9, 2.0]),
)
@settings(max_examples=150, deadline=None)
def test_negatives_equal_a_loop_over_all_pairs(make_pool, size, seed, k, category_filter, caption_threshold):
    images, embeddings = make_pool(size, seed)
    options = {"category_filter": category_filter, "caption_threshold": caption_threshold}
    for target, expected in enumerate(nearest_by_loop(images, embeddings, range(1, size + 1), k, **options), start=1):
        if len(expected) == k:
            assert nearest_allowed(embeddings, images, np.array([target]), k, **options).tolist() == [expected]
        else:
            with pytest.raises(BenchmarkError, match=rf"^target image {target}: {k} .* {len(expected)} allowed"):
                nearest_allowed(embeddings, images, np.array([target]), k, **options)


@pytest.mark.parametrize("category_filter", CATEGORY_FILTERS)
def test_many_targets_at_once_equal_the_same_loop(make_pool, category_filter):
    images, embeddings = make_pool(300, seed=1, dimension=40, kinds=120)
    targets = np.random.default_rng(0).permutation(300) + 1
    nearest = nearest_allowed(embeddings, images, targets, 11, category_filter=category_filter)
    assert nearest.dtype == np.int64
    assert nearest.tolist() == nearest_by_loop(images, embeddings, targets, 11, category_filter, 0.9)


def test_equal_pictures_tie_by_id_though_matrix_products_round_them_differently(make_images, make_embeddings):
    rng = np.random.default_rng(0)
    pictures = np.repeat(rng.normal(size=(7, 700)), 61, axis=0)
    embeddings = make_embeddings(pictures, rng.normal(size=(7 * 61, 50)))
    nearest = nearest_allowed(embeddings, make_images(7 * 61), np.array([200]), 60, category_filter="printed")
    assert nearest.tolist() == [[image for image in range(184, 245) if image != 200]]


def nearly_equal(rng, size, dimension, kinds):
    """Vectors that differ in their last bits only, several of each: single precision cannot tell which is nearer."""
    base = rng.normal(size=dimension)
    return (base + 1e-6 * rng.normal(size=(kinds, dimension)))[rng.integers(kinds, size=size)]


@pytest.mark.parametrize("category_filter", CATEGORY_FILTERS)
def test_pictures_too_alike_for_single_precision_are_ranked_as_by_the_loop_whatever_the_block(
    make_images, make_embeddings, monkeypatch, category_filter
):
    rng = np.random.default_rng(4)
    size, targets = 150, rng.permutation(150)[:40] + 1
    images = make_images(size, categories=[rng.integers(6, size=2).tolist() for _ in range(size)])
    captions = rng.normal(size=(size // 3, 8))[rng.integers(size // 3, size=size)]
    embeddings = make_embeddings(nearly_equal(rng, size, 300, size // 2), captions)
    expected = nearest_by_loop(images, embeddings, targets, 11, category_filter, 0.9)
    vectors = np.array(embeddings["image_embedding"].to_pylist(), dtype=np.float32)
    in_single = np.argsort(-(vectors[targets - 1] @ vectors.T), axis=1, kind="stable")[:, :11] + 1
    assert in_single.tolist() != expected
    for block in (1, 7, 40):
        monkeypatch.setattr(negatives, "_BLOCK", block)
        assert nearest_allowed(embeddings, images, targets, 11, category_filter=category_filter).tolist() == expected


@given(
    size=st.integers(40, 120),
    seed=st.integers(0, 2**32),
    kinds=st.integers(1, 120),
    alike=st.booleans(),
    block=st.integers(1, 50),
    category_filter=st.sampled_from(CATEGORY_FILTERS),
)
# The same examples each time: two cosines may differ by less than even double precision tells.
@settings(max_examples=40, deadline=None, derandomize=True)
def test_the_block_changes_no_answer(make_images, make_embeddings, size, seed, kinds, alike, block, category_filter):
    rng = np.random.default_rng(seed)
    different = rng.normal(size=(kinds, 64))[rng.integers(kinds, size=size)]
    pictures = nearly_equal(rng, size, 64, kinds) if alike else different
    embeddings = make_embeddings(pictures, rng.normal(size=(size, 6)))
    images = make_images(size, categories=[rng.integers(9, size=3).tolist() for _ in range(size)])
    targets = rng.permutation(size)[:20] + 1
    options = {"category_filter": category_filter, "caption_threshold": 2.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(negatives, "_BLOCK", block)
        in_blocks = nearest_allowed(embeddings, images, targets, 3, **options)
    assert in_blocks.tolist() == nearest_by_loop(images, embeddings, targets, 3, **options)


@pytest.mark.parametrize("near", [15, 60, 399])
def test_the_ranking_is_walked_down_past_however_many_captions_that_are_too_similar(make_images, make_embeddings, near):
    """The nearest `near` pictures have the target's own caption."""
    size = 420
    captions = np.eye(size)
    captions[1 : near + 1] = captions[0]
    embeddings = make_embeddings(turning_away(size), captions)
    nearest = nearest_allowed(embeddings, make_images(size), np.array([1]), 3, category_filter="printed")
    assert nearest.tolist() == [[near + 2, near + 3, near + 4]]


def test_embeddings_stored_in_half_precision_are_compared_as_they_are_stored(make_pool):
    images, embeddings = make_pool(60, seed=5)
    half = pa.table(
        {
            "image_id": embeddings["image_id"],
            **{
                name: pa.FixedSizeListArray.from_arrays(
                    embeddings[name].combine_chunks().flatten().to_numpy().astype(np.float16), size
                )
                for name, size in (("image_embedding", 5), ("caption_embedding", 3))
            },
        }
    )
    single = half.cast(contracts.EMBEDDINGS.schema)
    targets = np.arange(1, 61)
    expected = nearest_by_loop(images, single, targets, 3, "printed", 0.9)
    assert nearest_allowed(half, images, targets, 3, category_filter="printed").tolist() == expected


def test_the_order_of_the_rows_of_either_table_does_not_matter(make_pool):
    images, embeddings = make_pool(60, seed=2)
    rng = np.random.default_rng(0)
    targets = np.arange(1, 61)
    assert (
        nearest_allowed(
            embeddings.take(rng.permutation(60)),
            images.take(rng.permutation(60)),
            targets,
            3,
            category_filter="printed",
        ).tolist()
        == nearest_allowed(embeddings, images, targets, 3, category_filter="printed").tolist()
    )


def test_embeddings_of_images_outside_the_pool_are_not_chosen(make_pool):
    images, embeddings = make_pool(60, seed=2)
    nearest = nearest_allowed(embeddings, images.slice(30), np.arange(31, 61), 3, category_filter="printed")
    assert nearest.min() > 30


def turning_away(size):
    """Pictures that turn away from the first one step by step."""
    angles = np.linspace(0, 1, size)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


@pytest.mark.parametrize(("category_filter", "expected"), [("printed", [3, 4, 5]), ("released", [4, 5, 6])])
def test_the_printed_filter_drops_equal_sets_and_the_released_one_all_that_contain_the_target_s(
    make_images, make_embeddings, category_filter, expected
):
    images = make_images(6, categories=[[1, 2], [1, 2], [1, 2, 3], [1], [2, 3], []])
    nearest = nearest_allowed(
        make_embeddings(turning_away(6), np.eye(6)), images, np.array([1]), 3, category_filter=category_filter
    )
    assert nearest.tolist() == [expected]


@pytest.mark.parametrize("category_filter", CATEGORY_FILTERS)
def test_a_target_without_categories_is_not_filtered_by_category(make_images, make_embeddings, category_filter):
    images = make_images(4, categories=[[], [], [1], [1, 2]])
    nearest = nearest_allowed(
        make_embeddings(turning_away(4), np.eye(4)), images, np.array([1]), 3, category_filter=category_filter
    )
    assert nearest.tolist() == [[2, 3, 4]]


def test_a_caption_of_exactly_the_threshold_is_not_allowed(make_images, make_embeddings):
    captions = np.array([[1, 0, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1.001]])
    embeddings = make_embeddings(np.eye(3) + 1, captions)
    assert nearest_allowed(
        embeddings, make_images(3), np.array([1]), 1, category_filter="printed", caption_threshold=0.5
    ).tolist() == [[3]]


def test_too_few_allowed_images_are_refused_with_the_counts(make_images, make_embeddings):
    images = make_images(6, categories=[[1], [1], [1, 2], [2], [2], [2]])
    captions = np.array([[1, 0], [0, 1], [0, 1], [1, 0], [0, 1], [1, 0]])
    with pytest.raises(BenchmarkError) as error:
        nearest_allowed(make_embeddings(np.eye(6), captions), images, np.array([1]), 3, category_filter="released")
    assert str(error.value) == (
        "target image 1: 3 distractors wanted, 1 allowed. Of 5 other images 3 pass the released category filter,"
        " 1 of these have a caption of cosine below 0.9. Lower n, raise the caption threshold or enlarge the pool"
    )


def test_tables_that_do_not_fit_are_refused_in_one_line(make_pool, make_images):
    images, embeddings = make_pool(10, seed=0)
    one = np.array([1])
    with pytest.raises(BenchmarkError, match="unknown category filter 'strict'; known: printed, released"):
        nearest_allowed(embeddings, images, one, 1, category_filter="strict")
    with pytest.raises(BenchmarkError, match=r"^image 11 has no embedding \(2 such in all\)$"):
        nearest_allowed(embeddings, make_images(12), one, 1, category_filter="printed")
    with pytest.raises(BenchmarkError, match="target image 99 is not among the images given"):
        nearest_allowed(embeddings, images, np.array([1, 99]), 1, category_filter="printed")
    doubled = embeddings.to_pylist()
    doubled[4]["image_embedding"] = [2 * value for value in doubled[4]["image_embedding"]]
    with pytest.raises(BenchmarkError, match="image_embedding of image 5 has length 2; vectors of length 1"):
        nearest_allowed(
            type(embeddings).from_pylist(doubled, embeddings.schema), images, one, 1, category_filter="printed"
        )
    doubled[4]["image_embedding"] = [1.0]
    with pytest.raises(BenchmarkError, match=r"column image_embedding holds vectors of different lengths: \[1, 5\]"):
        nearest_allowed(
            type(embeddings).from_pylist(doubled, embeddings.schema), images, one, 1, category_filter="printed"
        )
