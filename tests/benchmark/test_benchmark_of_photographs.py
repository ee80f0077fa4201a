"""A benchmark is built from real photographs: images, questions in both settings, presentations."""

import json
from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from lad import contracts, parquet
from lad.benchmark.formats.coco import read_images
from lad.benchmark.presentations import build_presentations
from lad.benchmark.questions import SETTINGS, build_questions

POLICIES = {"first": lambda own: own[0], "last": lambda own: own[-1], "longest": lambda own: max(own, key=len)}


@pytest.fixture(scope="module")
def images(photographs) -> pa.Table:
    annotations = (photographs / f"{kind}_val2014_subset.json" for kind in ("captions", "instances"))
    captions, instances = annotations
    return read_images(captions, photographs / "images", instances)


@pytest.fixture(scope="module")
def embeddings(photographs, images) -> pa.Table:
    """Photographs as thumbnails of 4 x 4 pixels, captions as the words that they use."""
    rows = images.to_pylist()
    vocabulary = sorted({word for row in rows for word in row["caption"].lower().split()})
    pictures = [
        np.asarray(Image.open(photographs / "images" / row["file_name"]).convert("RGB").resize((4, 4))).ravel() - 128.0
        for row in rows
    ]
    words = [[word in row["caption"].lower().split() for word in vocabulary] for row in rows]
    columns = [images["image_id"], *(list(unit(np.array(vectors, dtype=float))) for vectors in (pictures, words))]
    return parquet.conform(
        pa.table(columns, names=contracts.EMBEDDINGS.schema.names), contracts.EMBEDDINGS, "embeddings of photographs"
    )


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def build(images, embeddings):
    def of(setting: str, n: int, **options) -> list[dict]:
        numbers = {"evaluation": 70, "calibration": 5, "seed": 42}
        table = build_questions(
            images, dataset="coco", setting=setting, n=n, embeddings=embeddings, **numbers, **options
        )
        return parquet.conform(table, contracts.QUESTIONS, "questions").to_pylist()

    return of


def target_and_distractors(question: dict) -> tuple[int, list[int]]:
    place = question["target"] - 1
    candidates = question["candidates"]
    return candidates[place], candidates[:place] + candidates[place + 1 :]


@pytest.mark.parametrize(("setting", "n"), list(product(SETTINGS, (2, 4, 8, 12))))
def test_questions_ask_for_photographs_by_their_own_captions(images, build, setting, n):
    captions = dict(zip(images["image_id"].to_pylist(), images["caption"].to_pylist(), strict=True))
    questions = build(setting, n)
    assert len({target_and_distractors(question)[0] for question in questions}) == len(questions) == 75
    for question in questions:
        target, distractors = target_and_distractors(question)
        assert question["caption"] == captions[target]
        assert len({target, *distractors}) == n
        assert question["caption"] not in {captions[image] for image in distractors}


@pytest.mark.parametrize("category_filter", ["printed", "released"])
def test_hard_negatives_are_the_nearest_photographs_that_the_filters_allow(images, embeddings, build, category_filter):
    categories = dict(zip(images["image_id"].to_pylist(), map(set, images["category_ids"].to_pylist()), strict=True))
    rows = {row["image_id"]: row for row in embeddings.to_pylist()}

    def cosine(a: int, b: int, of: str) -> float:
        return float(np.dot(np.float64(rows[a][of]), np.float64(rows[b][of])))

    for question in build("adversarial", 8, category_filter=category_filter):
        target, distractors = target_and_distractors(question)
        wanted = categories[target]
        allowed = [
            image
            for image, own in categories.items()
            if image != target
            and (own != wanted if category_filter == "printed" else not own >= wanted)
            and cosine(target, image, "caption_embedding") < 0.9
        ]
        nearest = sorted(allowed, key=lambda image: (-cosine(target, image, "image_embedding"), image))
        assert distractors == nearest[:7]


@pytest.mark.parametrize("split", ["calibration", "evaluation", "symmetrized"])
def test_every_presentation_shows_photographs_that_are_there(photographs, images, embeddings, split):
    files = dict(zip(images["image_id"].to_pylist(), images["file_name"].to_pylist(), strict=True))
    options = {"dataset": "coco", "setting": "adversarial", "n": 4, "evaluation": 20, "calibration": 5, "seed": 0}
    questions = build_questions(images, embeddings=embeddings, **options)
    candidates = dict(zip(questions["question_id"].to_pylist(), questions["candidates"].to_pylist(), strict=True))
    shown = build_presentations(questions, split, rounds=5, seed=0).to_pylist()
    assert len(shown) == {"calibration": 5 * 4, "evaluation": 20 * 5, "symmetrized": 20 * 4}[split]
    for presentation in shown:
        own = candidates[presentation["question_id"]]
        assert all((photographs / "images" / files[own[k - 1]]).is_file() for k in presentation["order"])


@pytest.fixture(scope="module")
def empty_val2017(photographs, tmp_path_factory):
    """A folder with a file for each of val2017's 5,000 images."""
    folder = tmp_path_factory.mktemp("val2017")
    for entry in json.loads((photographs / "captions_val2017.json").read_text())["images"]:
        (folder / entry["file_name"]).touch()
    return folder


@pytest.mark.parametrize("policy", POLICIES)
def test_each_caption_policy_chooses_among_the_captions_of_all_of_val2017(photographs, empty_val2017, policy):
    path = photographs / "captions_val2017.json"
    captions: dict[int, list[str]] = {}
    for annotation in json.loads(path.read_text())["annotations"]:
        captions.setdefault(annotation["image_id"], []).append(annotation["caption"].strip())
    images = read_images(path, empty_val2017, caption_policy=policy)
    assert len(images) == 5000
    assert sum(map(len, captions.values())) == 25014
    assert images["image_id"].to_pylist() == sorted(captions)
    assert images["caption"].to_pylist() == [POLICIES[policy](captions[image_id]) for image_id in sorted(captions)]


def test_questions_on_all_of_val2017_depend_on_the_pool_and_no_other_image(photographs, empty_val2017):
    images = read_images(photographs / "captions_val2017.json", empty_val2017)
    options = {"dataset": "coco", "setting": "random", "n": 12, "evaluation": 1995, "calibration": 5, "seed": 0}
    questions = build_questions(images, pool=2000, **options)
    # As many questions as the pool has images: each is the target of one.
    pool = {target_and_distractors(question)[0] for question in questions.to_pylist()}
    of_the_pool = images.filter([image_id in pool for image_id in images["image_id"].to_pylist()])
    assert len(of_the_pool) == 2000
    assert build_questions(of_the_pool, **options).equals(questions)
