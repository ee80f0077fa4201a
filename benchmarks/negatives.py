"""Hard negatives at the paper's scale: how long, and in how much memory, and whether a plain loop finds the same.

Two cases by default: 1,000 targets against a pool of 20,000 images, and each of the 40,137 images that val2014 has with
categories against all others; 11 distractors each, which serve N = 12 and every smaller N. Embeddings are random unit
vectors of CLIP ViT-L/14's 768 dimensions; every tenth picture is an exact copy of another, half of the copies have its
caption as well: ties and captions that are too similar stand at the very top of the rankings. Category sets are those
of a table if one is given, else drawn in about COCO's numbers.
"""

import os
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from lad import contracts, parquet
from lad.benchmark import CategoryFilter
from lad.benchmark.negatives import CATEGORY_FILTERS, nearest_allowed

DIMENSION: Final = 768
DISTRACTORS: Final = 11
CATEGORIES: Final = 80
CAPTION_THRESHOLD: Final = 0.9

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """What one process measures.

    Attributes:
        categories: Parquet file with the columns image_id and category_ids; None to draw the sets.
        checked: how many of the targets are compared with a plain loop.
    """

    targets: int
    pool: int
    category_filter: CategoryFilter
    categories: Path | None
    checked: int
    seed: int


@dataclass(frozen=True)
class Measured:
    """What it took.

    Attributes:
        seconds, cpu_seconds: of `nearest_allowed`, tables in memory.
        gigabytes: peak resident memory of the process in 1e9 bytes, embeddings and libraries included.
        sets: distinct category sets in the pool.
        ties: targets with two distractors of exactly the same picture.
        differing: checked targets for which a plain loop finds other distractors.
    """

    seconds: float
    cpu_seconds: float
    gigabytes: float
    sets: int
    ties: int
    differing: int


def make_pool(case: Case) -> tuple[pa.Table, pa.Table]:
    """Images (their ids and categories, which is all that is asked for) and embeddings of the pool."""
    rng = np.random.default_rng(case.seed)
    pictures, captions = _unit_vectors(rng, case.pool), _unit_vectors(rng, case.pool)
    copies, originals = np.split(rng.permutation(case.pool)[: 2 * (case.pool // 10)], 2)
    pictures[copies] = pictures[originals]
    captions[copies[::2]] = captions[originals[::2]]
    sets = _drawn_sets(rng, case.pool) if case.categories is None else _known_sets(rng, case.categories, case.pool)
    ids = sets["image_id"]
    embeddings = [ids, parquet.nested_lists(pictures), parquet.nested_lists(captions)]
    return sets, pa.table(embeddings, schema=contracts.EMBEDDINGS.schema)


def _unit_vectors(rng: np.random.Generator, images: int) -> Vectors:
    vectors = rng.standard_normal((images, DIMENSION), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _drawn_sets(rng: np.random.Generator, images: int) -> pa.Table:
    """About three categories per image, some far more frequent than others."""
    frequency = 1 / np.arange(1, CATEGORIES + 1)
    sizes = 1 + rng.poisson(1.9, images)
    drawn = rng.choice(CATEGORIES, size=sizes.sum(), p=frequency / frequency.sum())
    sets = [np.unique(own) for own in np.split(drawn, sizes.cumsum()[:-1])]
    return pa.table({"image_id": np.arange(images), "category_ids": pa.array(sets, pa.list_(pa.int32()))})


def _known_sets(rng: np.random.Generator, categories: Path, images: int) -> pa.Table:
    table = pq.read_table(categories, columns=["image_id", "category_ids"])
    if images > len(table):
        raise typer.BadParameter(f"{categories} has {len(table)} images, a pool of {images} is asked for")
    return table.take(pa.array(rng.permutation(len(table))[:images]))


def measure(case: Case) -> Measured:
    images, embeddings = make_pool(case)
    targets = images["image_id"].to_numpy()[: case.targets]
    start, cpu_start = time.perf_counter(), time.process_time()
    nearest = nearest_allowed(
        embeddings,
        images,
        targets,
        DISTRACTORS,
        category_filter=case.category_filter,
        caption_threshold=CAPTION_THRESHOLD,
    )
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    # Kibibytes on Linux; read before the plain loop, which takes more.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    pictures = _array(embeddings, "image_embedding")
    rows = dict(zip(images["image_id"].to_pylist(), range(len(images)), strict=True))
    plain = by_plain_loop(images, embeddings, case)
    return Measured(
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        gigabytes=peak / 1e9,
        sets=len({tuple(own) for own in images["category_ids"].to_pylist()}),
        ties=sum(len(np.unique(pictures[[rows[i] for i in own], 0])) < DISTRACTORS for own in nearest.tolist()),
        differing=sum(ours != theirs for ours, theirs in zip(nearest.tolist(), plain, strict=False)),
    )


def by_plain_loop(images: pa.Table, embeddings: pa.Table, case: Case) -> Iterator[list[int]]:
    """The distractors of the first `checked` targets, from one pair of images at a time."""
    ids, sets = images["image_id"].to_pylist(), [set(own) for own in images["category_ids"].to_pylist()]
    pictures = _array(embeddings, "image_embedding").astype(np.float64)
    captions = _array(embeddings, "caption_embedding").astype(np.float64)
    for target in range(min(case.checked, case.targets)):
        allowed = []
        for image in range(len(ids)):
            dropped = sets[image] == sets[target] if case.category_filter == "printed" else sets[image] >= sets[target]
            if image != target and not dropped and captions[image] @ captions[target] < CAPTION_THRESHOLD:
                allowed.append((-float(pictures[image] @ pictures[target]), ids[image]))
        yield [image_id for _, image_id in sorted(allowed)[:DISTRACTORS]]


def _array(embeddings: pa.Table, column: str) -> Vectors:
    array: Vectors = embeddings[column].combine_chunks().flatten().to_numpy().reshape(len(embeddings), -1)
    return array


def main(
    targets: Annotated[list[int], typer.Option(min=1, help="Numbers of targets, one per pool.")] = [1_000, 40_137],  # noqa: B006
    pool: Annotated[list[int], typer.Option(min=100, help="Sizes of the pool.")] = [20_000, 40_137],  # noqa: B006
    categories: Annotated[
        Path | None, typer.Option(exists=True, help="Parquet file with image_id and category_ids; drawn by default.")
    ] = None,
    checked: Annotated[int, typer.Option(min=0, help="Targets compared with a plain loop.")] = 20,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the matrix products.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the embeddings.")] = 0,
) -> None:
    """Time the choice of hard negatives, each case in a process of its own."""
    if len(targets) != len(pool):
        raise typer.BadParameter(f"{len(targets)} numbers of targets for {len(pool)} pools")
    # Read when numpy is imported, hence set for the processes started below.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    print(f"{DISTRACTORS} distractors each; {threads} threads on {os.cpu_count()} cores")
    columns = ("targets", "pool", "filter", "sets", "s", "CPU s", "peak GB", "with ties", "checked", "differing")
    print("  ".join(f"{column:>9}" for column in columns))
    for case_targets, case_pool in zip(targets, pool, strict=True):
        for category_filter in CATEGORY_FILTERS:
            case = Case(case_targets, case_pool, category_filter, categories, checked, seed)
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                found = process.submit(measure, case).result()
            numbers = (found.sets, f"{found.seconds:.3g}", f"{found.cpu_seconds:.3g}", f"{found.gigabytes:.2f}")
            compared = (found.ties, min(checked, case_targets), found.differing)
            line = (case_targets, case_pool, category_filter, *numbers, *compared)
            print("  ".join(f"{value:>9}" for value in line), flush=True)


if __name__ == "__main__":
    typer.run(main)
