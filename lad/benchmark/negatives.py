"""Hard negatives of the adversarial setting: the most similar images that may stand beside a target.

The paper takes CLIP ViT-L/14 embeddings and allows an image when its category set passes a filter and its
caption's cosine with the target's caption is below 0.9. The printed filter drops images whose category set
equals the target's; the released code drops those whose set contains the target's. An empty set means that
nothing is known: a target without categories is not filtered by category (taken literally, the released
filter would leave it no image at all, and a dataset without categories no question). An image without
categories passes the filter of every other target.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lad.benchmark import BenchmarkError

CATEGORY_FILTERS: Final = ("printed", "released")

_BLOCK: Final = 128
"""Targets per matrix product: memory stays at a few (128, pool) arrays however many targets there are."""


@dataclass(frozen=True)
class _Pool:
    """The images that may be chosen, by ascending id.

    Attributes:
        ids: (pool,) image ids.
        pictures: (pool, d) l2-normalised image embeddings.
        captions: (pool, e) l2-normalised caption embeddings.
        categories: (pool, c) 1 where the image has the category, else 0.
    """

    ids: NDArray[np.int64]
    pictures: NDArray[np.float32]
    captions: NDArray[np.float32]
    categories: NDArray[np.float32]


def nearest_allowed(
    embeddings: pa.Table,
    images: pa.Table,
    targets: NDArray[np.int64],
    k: int,
    *,
    category_filter: str,
    caption_threshold: float = 0.9,
) -> NDArray[np.int64]:
    """(targets, k) ids of the allowed images of largest image cosine, hardest first, ties by smaller id.

    Cosines are compared in double precision, so that the answer is that of a plain loop over all pairs, and
    two equal pictures tie exactly.

    Args:
        embeddings: an `embeddings` table with a row for each of `images`.
        images: an `images` table, the pool.
        targets: (targets,) image ids from the pool.
        k: distractors per target.
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
        passed = _pass_category_filter(pool.categories, block, category_filter)
        passed[np.arange(len(block)), block] = False
        picture_cosines = pool.pictures[block] @ pool.pictures.T
        caption_cosines = pool.captions[block] @ pool.captions.T
        for i, row in enumerate(block):
            chosen = _hardest(pool, row, k, passed[i], picture_cosines[i], caption_cosines[i], caption_threshold)
            if len(chosen) < k:
                raise BenchmarkError(
                    f"target image {pool.ids[row]}: {k} distractors wanted, {len(chosen)} allowed. Of"
                    f" {len(pool.ids) - 1} other images {passed[i].sum()} pass the {category_filter} category"
                    f" filter, {len(chosen)} of these have a caption of cosine below {caption_threshold}. Lower"
                    " n, raise the caption threshold or enlarge the pool"
                )
            nearest[start + i] = pool.ids[chosen]
    return nearest


def _hardest(
    pool: _Pool,
    target: int,
    k: int,
    passed: NDArray[np.bool_],
    picture_cosines: NDArray[np.float32],
    caption_cosines: NDArray[np.float32],
    caption_threshold: float,
) -> NDArray[np.intp]:
    """Rows of the `k` hardest allowed images, or of all allowed ones where there are fewer.

    The single-precision cosines only draw up a shortlist that is sure to hold the answer: they err by at most
    dimension x eps, and differently for equal pictures, since a matrix product sums in no fixed order.
    """
    picture_error, caption_error = (
        vectors.shape[1] * np.finfo(np.float32).eps for vectors in (pool.pictures, pool.captions)
    )
    surely = picture_cosines[passed & (caption_cosines < caption_threshold - caption_error)]
    kth = np.partition(surely, -k)[-k] if len(surely) >= k else -np.inf
    possibly = passed & (caption_cosines < caption_threshold + caption_error)
    shortlist = np.flatnonzero(possibly & (picture_cosines >= kth - 2 * picture_error))
    allowed = shortlist[_cosines(pool.captions, shortlist, target) < caption_threshold]
    # The pool is sorted by id and the sort is stable: ties come out by id.
    return allowed[np.argsort(-_cosines(pool.pictures, allowed, target), kind="stable")[:k]]


def _cosines(vectors: NDArray[np.float32], rows: NDArray[np.intp], target: int) -> NDArray[np.float64]:
    """(rows,) cosines of some rows with the target's row, each product and sum in double precision."""
    products = vectors[rows].astype(np.float64) * vectors[target].astype(np.float64)
    cosines: NDArray[np.float64] = products.sum(axis=1)
    return cosines


def _pass_category_filter(
    categories: NDArray[np.float32], targets: NDArray[np.intp], category_filter: str
) -> NDArray[np.bool_]:
    """(targets, pool) whether the image's category set lets it stand beside the target."""
    sizes = categories.sum(axis=1)
    shared = categories[targets] @ categories.T
    dropped: NDArray[np.bool_] = shared == sizes[targets, None]  # the image's set contains the target's
    if category_filter == "printed":
        dropped &= sizes == sizes[targets, None]  # and has nothing else, hence equals it
    dropped[sizes[targets] == 0] = False
    return ~dropped


def _gather_pool(embeddings: pa.Table, images: pa.Table) -> _Pool:
    images = images.sort_by("image_id")
    ids = images["image_id"].to_numpy()
    rows = _rows_of(ids, embeddings["image_id"].to_numpy(), "image {} has no embedding")
    return _Pool(
        ids=ids,
        pictures=_unit_vectors(embeddings["image_embedding"], rows, "image_embedding", ids),
        captions=_unit_vectors(embeddings["caption_embedding"], rows, "caption_embedding", ids),
        categories=_incidence(images["category_ids"]),
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
    vectors: NDArray[np.float32] = lists.flatten().to_numpy().reshape(len(lists), lengths[0])[rows]
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
