"""The first stage that ships: BM25 over a collection of texts, by the library bm25s (Lu, arXiv 2407.03618).

Lucene's variant with k1 = 0.9 and b = 0.4, the parameters of BEIR's reference runs (Thakur et al., arXiv 2104.08663).
Those stem words as well; here words count as they are written, in lower case and without English stop words. So these
rankings are near to the reference and not equal to it: for published numbers give the published run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from lad.benchmark import BenchmarkError

K1: Final = 0.9
B: Final = 0.4


def rank_all(documents: Sequence[str], queries: Sequence[str]) -> Iterator[list[int]]:
    """The documents that share a word with each query, best first; of equal scores the earlier document first.

    Yields:
        For each query the places of documents, from 0; none where no document shares a word.

    Raises:
        BenchmarkError: no document has a word.
    """
    import bm25s

    words = _words(documents)
    if not any(words):
        raise BenchmarkError("BM25: no document has a word that is searched for (two letters or digits at least)")
    index = bm25s.BM25(k1=K1, b=B, method="lucene")
    index.index(words, show_progress=False)
    for query in _words(queries):
        # The library fails on a query without words.
        scores = index.get_scores(query) if query else np.zeros(len(documents))
        found = np.flatnonzero(scores > 0)
        yield found[np.argsort(-scores[found], kind="stable")].tolist()


def _words(texts: Sequence[str]) -> list[list[str]]:
    import bm25s

    tokenized: list[list[str]] = bm25s.tokenize(list(texts), stopwords="en", return_ids=False, show_progress=False)
    return tokenized
