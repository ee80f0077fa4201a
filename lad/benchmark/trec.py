"""Runs in TREC's form, in which first stages write their rankings: `query Q0 document rank score name`."""

import math
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Final

from lad.benchmark import BenchmarkError
from lad.benchmark.among_texts import shown
from lad.benchmark.entries import read_text

_LINE: Final = "query Q0 document rank score name, with spaces between"


def read_run(path: Path, known: Mapping[str, Container[str]], lacks: str) -> dict[str, list[str]]:
    """The documents of each query, best first: by score, as trec_eval sorts, and equal scores by rank.

    Args:
        known: by query, the documents that it may rank; other queries are not looked at.
        lacks: who lacks a document that is not among them, for the error.

    Raises:
        BenchmarkError: a file that cannot be read, a line of another form, a document that is unknown or ranked twice
            for a query, or none of the queries.
    """
    places: dict[str, dict[str, tuple[float, int]]] = {query: {} for query in known}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            query, _, document, rank, score, _ = line.split()
            place = (-float(score), int(rank))
            if math.isnan(place[0]):
                raise ValueError
        except ValueError:
            raise BenchmarkError(f"{path}: line {number} is {shown(line)}, expected are {_LINE}") from None
        if query not in places:
            continue
        if document not in known[query]:
            raise BenchmarkError(f"{path}: line {number} names document {document}, which {lacks} lacks")
        if document in places[query]:
            raise BenchmarkError(f"{path}: line {number} names document {document} for query {query} a second time")
        places[query][document] = place
    if not any(places.values()):
        raise BenchmarkError(f"{path}: has none of the {len(known)} queries, such as {next(iter(known), 'none')}")
    return {query: sorted(ranked, key=lambda document: ranked[document]) for query, ranked in places.items()}
