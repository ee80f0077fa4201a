"""Embeddings of texts by their words (TF-IDF), by which hard negatives among texts are chosen: no model is needed.

A word of a text weighs (how often it occurs there) x (1 + ln((1 + D) / (1 + d))), where d of the D documents have it
(scikit-learn's smoothed idf). The documents are all candidate texts and all queries, so that both have one vocabulary.
Words are runs of letters and digits, without regard to case; one letter is a word as well ("a", "2").

What the cosine of two such vectors means: how far two texts share words, rare ones above all, without regard to their
order. It is 1 for two texts of the same words in the same numbers, 0 where they share none. It knows no synonyms: a
hard negative is a text that looks like the target, word for word, and not one that means the same. Languages that are
written without spaces have long "words" and small cosines.

Vectors are dense: 8 bytes for each candidate and word of the vocabulary (text and query, in single precision). 2,000
captions have about 3,000 words, 50 MB; 40,000 have 3 GB.
"""

from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lad import contracts, parquet
from lad.benchmark import BenchmarkError


def embed_texts(images: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    """The l2-normalised TF-IDF vectors of all candidate texts and of their queries, and facts for the file's metadata.

    Args:
        images: an `images` table whose candidates are texts (column `text`) with a caption each, their query.

    Returns:
        An `embeddings` table in the order of `images`: `image_embedding` (words,) of the candidate text,
        `caption_embedding` (words,) of the query, in single precision.

    Raises:
        BenchmarkError: the candidates are images, or a text or query has no word; names the first such row.
    """
    if "text" not in images.column_names:
        raise BenchmarkError("backend tfidf compares texts, but the candidates of this images table are images")
    ids = images["image_id"].to_pylist()
    texts, queries = images["text"].to_pylist(), images["caption"].to_pylist()
    unit = _weights([*texts, *queries])
    if len(empty := np.flatnonzero(~unit.any(axis=1))):
        name, row = ("text", empty[0]) if empty[0] < len(ids) else ("caption", empty[0] - len(ids))
        raise BenchmarkError(
            f"candidate {ids[row]}: its {name} {images[name][row].as_py()!r} has no word to compare by"
        )
    vectors = [
        pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), unit.shape[1]) for part in np.split(unit, [len(ids)])
    ]
    table = pa.table([images["image_id"], *vectors], names=["image_id", "image_embedding", "caption_embedding"])
    facts = {"backend": "tfidf", "words": unit.shape[1], "versions": {"scikit-learn": version("scikit-learn")}}
    return parquet.conform(table, contracts.EMBEDDINGS, "embeddings"), facts


def _weights(documents: list[str]) -> NDArray[np.float32]:
    """(documents, words) the weight of each word in each document, rows of length one; words in alphabetical order."""
    # Here and not above: only who compares texts needs scikit-learn.
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        weights = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b").fit_transform(documents)
    except ValueError:  # its only one: an empty vocabulary
        raise BenchmarkError(f"none of {len(documents)} texts and queries has a word to compare by") from None
    unit: NDArray[np.float32] = weights.astype(np.float32).toarray()
    return unit
