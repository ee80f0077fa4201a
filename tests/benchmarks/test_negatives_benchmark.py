"""The benchmark of hard negatives measures what it says, and a small run agrees with the plain loop."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import negatives
from benchmarks.negatives import Case, make_pool, measure
from lad import contracts, parquet

REPOSITORY = Path(__file__).parents[2]
SMALL = Case(targets=60, pool=300, category_filter="printed", categories=None, checked=60, seed=0)


def vectors(embeddings: pa.Table, column: str) -> np.ndarray:
    return np.array(embeddings[column].to_pylist(), dtype=np.float32)


def test_the_embeddings_keep_the_contract_and_a_tenth_of_the_pictures_are_copies():
    images, embeddings = make_pool(SMALL)
    parquet.conform(embeddings, contracts.EMBEDDINGS, "embeddings")
    assert embeddings["image_id"].equals(images["image_id"])
    assert len(np.unique(vectors(embeddings, "image_embedding"), axis=0)) == 270
    assert len(np.unique(vectors(embeddings, "caption_embedding"), axis=0)) == 285
    assert np.linalg.norm(vectors(embeddings, "image_embedding"), axis=1) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("category_filter", negatives.CATEGORY_FILTERS)
def test_a_small_case_agrees_with_the_plain_loop_and_has_ties(category_filter):
    measured = measure(replace(SMALL, category_filter=category_filter))
    assert measured.differing == 0
    assert measured.ties > 0
    assert measured.seconds > 0
    assert measured.gigabytes > 0


def test_another_answer_is_counted_as_differing(monkeypatch):
    def second_best(embeddings, images, targets, k, **options):
        return negatives_of_the_project(embeddings, images, targets, k + 1, **options)[:, 1:]

    negatives_of_the_project = negatives.nearest_allowed
    monkeypatch.setattr(negatives, "nearest_allowed", second_best)
    assert measure(SMALL).differing == SMALL.targets


def test_known_category_sets_are_taken_from_the_table(tmp_path):
    known = pa.table({"image_id": [7, 9, 4], "category_ids": pa.array([[1], [2, 3], [5]], pa.list_(pa.int32()))})
    pq.write_table(known, tmp_path / "sets.parquet")
    images, _ = make_pool(replace(SMALL, pool=3, categories=tmp_path / "sets.parquet"))
    assert sorted(images.to_pylist(), key=lambda row: row["image_id"]) == known.sort_by("image_id").to_pylist()


def test_the_command_prints_a_line_per_case_and_filter():
    cases = ("--targets", "20", "--pool", "200", "--targets", "150", "--pool", "150")
    command = [sys.executable, "-m", "benchmarks.negatives", *cases, "--checked", "5", "--threads", "1"]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    rows = [line.split() for line in run.stdout.splitlines()[2:]]
    assert [row[:3] for row in rows] == [
        [targets, pool, name] for targets, pool in (("20", "200"), ("150", "150")) for name in ("printed", "released")
    ]
    assert all(row[-2:] == ["5", "0"] for row in rows)
