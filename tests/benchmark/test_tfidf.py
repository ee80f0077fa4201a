"""Texts are compared by their words: the weights against a loop, and the hard negatives that follow."""

import math
import re
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lad import cli, contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.captions import images_table
from lad.benchmark.questions import build_questions
from lad.benchmark.tfidf import embed_texts

WORDS = ["a", "cat", "dog", "The", "on", "mat", "7", "naïve", "DOG"]
SENTENCES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)


def texts(pairs: list[tuple[str, str]]) -> pa.Table:
    """An `images` table of texts, ids from 1; a query and a text each."""
    common = {"file_name": "", "width": 0, "height": 0, "category_ids": [], "license": None}
    return images_table(
        {"image_id": k, **common, "caption": query, "text": text} for k, (query, text) in enumerate(pairs, start=1)
    )


def vectors(table: pa.Table, column: str) -> np.ndarray:
    return np.array(table[column].to_pylist(), dtype=np.float64)


def by_a_loop(pairs: list[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of the texts and of the queries, one weight after the other."""
    documents = [re.findall(r"\w+", d.lower()) for d in [t for _, t in pairs] + [q for q, _ in pairs]]
    vocabulary = sorted({word for document in documents for word in document})
    weights = np.zeros((len(documents), len(vocabulary)))
    for i, document in enumerate(documents):
        for j, word in enumerate(vocabulary):
            having = sum(word in other for other in documents)
            weights[i, j] = document.count(word) * (1 + math.log((1 + len(documents)) / (1 + having)))
        weights[i] /= math.sqrt((weights[i] ** 2).sum())
    return weights[: len(pairs)], weights[len(pairs) :]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1, max_size=6))
def test_the_vectors_are_those_of_a_plain_loop(pairs):
    table, facts = embed_texts(texts(pairs))
    of_texts, of_queries = by_a_loop(pairs)
    np.testing.assert_allclose(vectors(table, "image_embedding"), of_texts, atol=1e-6)
    np.testing.assert_allclose(vectors(table, "caption_embedding"), of_queries, atol=1e-6)
    assert facts["words"] == of_texts.shape[1]


def test_the_cosine_knows_words_and_neither_their_order_nor_their_meaning():
    table, _ = embed_texts(texts([("x", "dog bites man"), ("y", "Man bites dog!"), ("z", "canine nibbles human")]))
    same, order, meaning = vectors(table, "image_embedding") @ vectors(table, "image_embedding")[0]
    assert same == pytest.approx(1, abs=1e-6)
    assert order == pytest.approx(1, abs=1e-6)
    assert meaning == 0


def test_the_hard_negatives_are_the_texts_that_share_most_with_the_target():
    pairs = [(f"query {word}", text) for word, text in zip("abcdef", [
        "a red car on a wet road",
        "a red car on a dry road",
        "a red bus on a wet road",
        "a boy reads his book",
        "two horses graze",
        "soup with noodles",
    ], strict=True)]  # fmt: skip
    table = texts(pairs)
    asked = {"dataset": "d", "setting": "adversarial", "n": 3, "evaluation": 6, "calibration": 0, "seed": 0}
    questions = build_questions(table, **asked, embeddings=embed_texts(table)[0]).to_pylist()
    of_target = {row["candidates"][row["target"] - 1]: set(row["candidates"]) for row in questions}
    assert of_target[1] == {1, 2, 3}
    assert of_target[2] == {1, 2, 3}


@pytest.mark.parametrize("setting", ["random", "adversarial"])
def test_two_candidates_of_one_text_are_refused_in_either_setting(setting):
    table = texts([("a", "one text"), ("b", "another"), ("c", "one text"), ("d", "a third")])
    asked = {"dataset": "d", "setting": setting, "n": 2, "evaluation": 2, "calibration": 0, "seed": 0}
    with pytest.raises(BenchmarkError, match="candidates 1 and 3 have the same text, 'one text'"):
        build_questions(table, **asked, embeddings=embed_texts(table)[0])


def test_a_text_or_query_without_a_word_is_named():
    with pytest.raises(BenchmarkError, match=r"candidate 2: its text '\?!' has no word"):
        embed_texts(texts([("a", "b"), ("c", "?!")]))
    with pytest.raises(BenchmarkError, match=r"candidate 1: its caption '--' has no word"):
        embed_texts(texts([("--", "b"), ("c", "d")]))
    with pytest.raises(BenchmarkError, match="none of 2 texts and queries has a word"):
        embed_texts(texts([("--", "??")]))


@pytest.fixture
def lad(monkeypatch, capsys):
    """A command with its arguments; returns its exit code and what it printed."""

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["lad", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        shown = capsys.readouterr()
        return stop.value.code or 0, shown.out + shown.err

    return run


def test_the_command_embeds_texts_by_tfidf_and_images_by_models_and_not_the_other_way_round(lad, make_images, tmp_path):
    of_texts, of_images, out = (tmp_path / f"{name}.parquet" for name in ("texts", "images", "out"))
    parquet.write(texts([("a", "b c"), ("c", "d")]), of_texts, contracts.IMAGES)
    parquet.write(make_images(2), of_images, contracts.IMAGES)
    assert lad("embed", "--images", of_texts, "--backend", "tfidf", "--out", out) == (0, "")
    assert parquet.read(out, contracts.EMBEDDINGS).num_rows == 2
    assert parquet.read_metadata(out)["backend"] == "tfidf"
    for options, told in (
        (("--images", of_images, "--backend", "tfidf"), "the candidates of this images table are images"),
        (("--images", of_images, "--backend", "clip"), "backend clip looks at images: say where they lie"),
        (("--images", of_texts, "--backend", "clip", "--image-folder", tmp_path), "are texts"),
    ):
        code, said = lad("embed", *options, "--out", out)
        assert code == 1
        assert told in said
        assert len(said.strip().splitlines()) == 1
