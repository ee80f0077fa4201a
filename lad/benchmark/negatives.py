"""Hard negatives of the adversarial setting: the most similar images that may stand beside a target.

The paper takes CLIP ViT-L/14 embeddings and allows an image when its category set passes a filter and its
caption's cosine with the target's caption is below 0.9. The printed filter drops images whose category set
equals the target's; the released code drops those whose set contains the target's. An empty set means that
nothing is known: a target without categories is not filtered by category (taken literally, the released
filter would leave it no image at all, and a dataset without categories no question). An image without
categories passes the filter of every other target.

Blocks of targets are multiplied with the whole pool in single precision, and each target's ranking is walked down
from the top until enough images are allowed: of the captions only a few dozen are ever compared. What a matrix
product rounds, and how, depends on the size of the block; it therefore only draws up the shortlist. What is on it is
compared in double precision, pair by pair, so that neither the block nor the machine shows in the answer.
"""

from dataclasses import dataclass
from typing import Final, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lad.benchmark import BenchmarkError, CategoryFilter

CATEGORY_FILTERS: Final = get_args(CategoryFilter)

_BLOCK: Final = 256
"""Targets per matrix product: memory stays at a few (256, pool) arrays however many targets there are."""

_DROPPED: Final = np.float32(-np.inf)
"""Stands for the cosine of an image that may not stand beside the target because of its categories."""


@dataclass(frozen=True)
class _Pool:
    """The images that may be chosen, by ascending id.

    Attributes:
        ids: (pool,) image ids.
        pictures: (pool, d) l2-normalised image embeddings.
        captions: (pool, e) l2-normalised caption embeddings.
        sets: (sets, c) the category sets that occur, 1 where a set has the category, else 0.
        set_of: (pool,) which of them the image has.
    """

    ids: NDArray[np.int64]
    pictures: NDArray[np.float32]
    captions: NDArray[np.float32]
    sets: NDArray[np.float32]
    set_of: NDArray[np.intp]


def nearest_allowed(
    embeddings: pa.Table,
    images: pa.Table,
    targets: NDArray[np.int64],
    k: int,
    *,
    category_filter: CategoryFilter,
    caption_threshold: float = 0.9,
) -> NDArray[np.int64]:
    """(targets, k) ids of the allowed images of largest image cosine, hardest first, ties by smaller id.

    Cosines are compared in double precision, so that the answer is that of a plain loop over all pairs, and
    two equal pictures tie exactly.

    Args:
        embeddings: an `embeddings` table with a row for each of `images`.
        images: an `images` table, the pool.
        targets: (targets,) image ids from the pool.
        k: distractors per target, 1 or more.
        category_filter: printed or released.
        caption_threshold: only captions of a smaller cosine with the target's are allowed.

    Raises:
        BenchmarkError: unknown filter, a target outside the pool, an image without embedding or with one that
            is not normalised, or a target with fewer than `k` allowed images.
    """
    if category_filter not in CATEGORY_FILTERS:
        raise BenchmarkError(f"unknown category filter '{category_filter}'; known: {', '.join(CATEGORY_FILTERS)}")
    pool = _gather_pool(embeddings, images)
    rows = _rows_of(targets, pool.ids, "target image {} is not among the images given")
    nearest = np.empty((len(targets), k), dtype=np.int64)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        cosines = pool.pictures[block] @ pool.pictures.T
        np.copyto(cosines, _DROPPED, where=_dropped_by_category(pool, block, category_filter))
        cosines[np.arange(len(block)), block] = _DROPPED
        for i, row in enumerate(block):
            chosen = _hardest(pool, row, k, cosines[i], caption_threshold)
            if len(chosen) < k:
                raise BenchmarkError(
                    f"target image {pool.ids[row]}: {k} distractors wanted, {len(chosen)} allowed. Of"
                    f" {len(pool.ids) - 1} other images {(cosines[i] != _DROPPED).sum()} pass the {category_filter}"
                    f" category filter, {len(chosen)} of these have a caption of cosine below {caption_threshold}."
                    " Lower n, raise the caption threshold or enlarge the pool"
                )
            nearest[start + i] = pool.ids[chosen]
    return nearest


def _hardest(
    pool: _Pool, target: int, k: int, cosines: NDArray[np.float32], caption_threshold: float
) -> NDArray[np.intp]:
    """Rows of the `k` hardest allowed images, or of all allowed ones where there are fewer.

    The single-precision cosines err by at most dimension x eps. So whatever is not on a shortlist is exactly below
    the shortlist's end + that error: `k` allowed images above cannot be surpassed, else the shortlist is too short.
    """
    error = pool.pictures.shape[1] * float(np.finfo(np.float32).eps)
    length = 2 * k + 10
    while True:
        complete = length >= len(cosines)
        end = -np.inf if complete else float(np.partition(cosines, -length)[-length])
        shortlist = np.flatnonzero((cosines >= end) & (cosines != _DROPPED))
        allowed = shortlist[_cosines(pool.captions, shortlist, target) < caption_threshold]
        exact = _cosines(pool.pictures, allowed, target)
        # The pool is sorted by id and the sort is stable: ties come out by id.
        hardest = np.argsort(-exact, kind="stable")[:k]
        if complete or (len(hardest) == k and exact[hardest[-1]] >= end + error):
            return allowed[hardest]
        length *= 8


def _cosines(vectors: NDArray[np.float32], rows: NDArray[np.intp], target: int) -> NDArray[np.float64]:
    """(rows,) cosines of some rows with the target's row, each product and sum in double precision."""
    cosines: NDArray[np.float64] = (vectors[rows] * vectors[target].astype(np.float64)).sum(axis=1)
    return cosines


def _dropped_by_category(pool: _Pool, targets: NDArray[np.intp], category_filter: str) -> NDArray[np.bool_]:
    """(targets, pool) whether the image's category set keeps it from standing beside the target."""
    wanted = pool.sets[pool.set_of[targets]]
    sizes = wanted.sum(axis=1)[:, None]
    dropped: NDArray[np.bool_] = wanted @ pool.sets.T == sizes  # the set contains the target's
    if category_filter == "printed":
        dropped &= pool.sets.sum(axis=1) == sizes  # and has nothing else, hence equals it
    dropped &= sizes > 0
    return np.take(dropped, pool.set_of, axis=1)


def _gather_pool(embeddings: pa.Table, images: pa.Table) -> _Pool:
    images = images.sort_by("image_id")
    ids = images["image_id"].to_numpy()
    rows = _rows_of(ids, embeddings["image_id"].to_numpy(), "image {} has no embedding")
    sets, set_of = np.unique(_incidence(images["category_ids"]), axis=0, return_inverse=True)
    return _Pool(
        ids=ids,
        pictures=_unit_vectors(embeddings["image_embedding"], rows, "image_embedding", ids),
        captions=_unit_vectors(embeddings["caption_embedding"], rows, "caption_embedding", ids),
        sets=sets,
        set_of=set_of,
    )


def _rows_of(wanted: NDArray[np.int64], ids: NDArray[np.int64], complaint: str) -> NDArray[np.intp]:
    """The row of each wanted id in `ids`, which may stand in any order."""
    found = np.isin(wanted, ids)
    if not found.all():
        raise BenchmarkError(complaint.format(wanted[~found][0]) + f" ({(~found).sum()} such in all)")
    ascending = np.argsort(ids)
    return ascending[np.searchsorted(ids, wanted, sorter=ascending)]


def _unit_vectors(
    column: pa.ChunkedArray, rows: NDArray[np.intp], name: str, ids: NDArray[np.int64]
) -> NDArray[np.float32]:
    """(rows, d) the vectors in some rows of a list column, which belong to the images `ids`."""
    lists = column.combine_chunks()
    lengths = pc.unique(pc.list_value_length(lists)).to_pylist()
    if len(lengths) != 1:
        raise BenchmarkError(f"embeddings: column {name} holds vectors of different lengths: {sorted(lengths)}")
    stored = lists.flatten().to_numpy().reshape(len(lists), lengths[0])
    vectors: NDArray[np.float32] = stored[rows].astype(np.float32, copy=False)
    norms = np.linalg.norm(vectors, axis=1)
    wrong = np.flatnonzero(~(np.abs(norms - 1) < 1e-3))
    if len(wrong):
        raise BenchmarkError(
            f"embeddings: the {name} of image {ids[wrong[0]]} has length {norms[wrong[0]]:.4g};"
            " vectors of length 1 are expected"
        )
    return vectors


def _incidence(category_ids: pa.ChunkedArray) -> NDArray[np.float32]:
    """(images, categories that occur) 1 where an image has a category: row products count shared ones."""
    lists = category_ids.combine_chunks()
    owners = pc.list_parent_indices(lists).to_numpy()
    categories, columns = np.unique(lists.flatten().to_numpy(), return_inverse=True)
    incidence = np.zeros((len(lists), len(categories)), dtype=np.float32)
    incidence[owners, columns] = 1
    return incidence
