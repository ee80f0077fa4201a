"""Read collections of BEIR's form (Thakur et al., arXiv 2104.08663): lists of documents that a first stage found.

A folder holds `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`) and `qrels/<split>.tsv`: a
header, then `query-id`, `corpus-id` and `score`, a whole number, with tabs between. The first stage is BM25
(`lad.benchmark.bm25`), or a run of any other (`lad.benchmark.trec`).

Read from the authors' repository (beir-cellar/beir, `beir/datasets/data_loader.py`; README: addresses and md5 of the
archives) and from copies of the form (cards of clips/beir-nl-*). No archive was seen.

As there: a document is its title and its text; the queries are those of the split; a document with the query's own id
is no candidate (`ignore_identical_ids`, for ArguAna and Quora); a score of 0 or less is not relevant.

Differs: texts are on one line. Documents of the same words are one candidate, which has the highest grade of them and
counts once among what is relevant: a model that is shown a text twice cannot tell one from the other. A query without
a relevant document, or for which the first stage finds none, is left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from lad.benchmark import BenchmarkError
from lad.benchmark.among_texts import shown
from lad.benchmark.captions import few
from lad.benchmark.entries import Entry, fault, read_entries, read_text, text_of
from lad.benchmark.formats.base import ImagesRead, Listed
from lad.benchmark.lines import on_one_line
from lad.benchmark.lists import RankedList
from lad.benchmark.trec import read_run
from lad.section import Count, FilePath

_QREL: Final = "query-id, corpus-id and a whole number of at most 9 digits, with tabs between"


class Beir(Listed):
    paths: ClassVar[tuple[str, ...]] = ("corpus", "queries", "qrels", "run")
    code: ClassVar[tuple[str, ...]] = (
        *Listed.code,
        *("benchmark/among_texts.py", "benchmark/bm25.py", "benchmark/entries.py", "benchmark/lines.py"),
        "benchmark/trec.py",
    )

    format: Literal["beir"] = Field(
        description="Queries and the documents that a first stage finds, of BEIR's form; its settings are its splits."
    )
    collection: FilePath = Field(description="The folder of corpus.jsonl, queries.jsonl and qrels.")
    run: FilePath | None = Field(None, description="A first stage's ranking in TREC's form; BM25 where it is left out.")
    depth: int = Field(20, ge=2, description="How many documents of each ranking are taken, from its top.")
    words: Count | None = Field(None, description="Words of a document that are shown, from its start; all by default.")

    @property
    def corpus(self) -> str:
        return f"{self.collection}/corpus.jsonl"

    @property
    def queries(self) -> str:
        return f"{self.collection}/queries.jsonl"

    @property
    def qrels(self) -> str:
        return f"{self.collection}/qrels"

    def read_lists(self, setting: str) -> list[RankedList]:
        return self._read(setting)[0]

    def read_images(self, settings: Sequence[str]) -> ImagesRead:
        read = super().read_images(settings)
        left = [entry for setting in settings for entry in self._read(setting)[1]]
        told = few([f"query {entry['query']} {entry['reason']}" for entry in left], "; ")
        return ImagesRead(read.table, f"{read.summary}; left out: {told}" if left else read.summary, left)

    def _read(self, split: str) -> tuple[list[RankedList], list[dict[str, Any]]]:
        """The lists of a split; and the queries that were left out, each with the reason."""
        collection = read_collection(Path(self.collection), split, self.words)
        rankings = _run(Path(self.run), collection) if self.run else _bm25(collection)
        lists: list[RankedList] = []
        left: list[dict[str, Any]] = []
        for query, ranking in rankings:
            candidates = _different(ranking, collection, query, self.depth)
            grades = collection.grades[query]
            ideal = tuple(sorted((grade for grade in grades.values() if grade), reverse=True))
            reason = "has no relevant document" if not ideal else "finds no document" if not candidates else None
            if reason:
                left.append({"split": split, "query": query, "reason": reason})
                continue
            relevance = tuple(grades.get(text, 0) for text in candidates)
            lists.append(RankedList(query, collection.queries[query], candidates, relevance, ideal))
        return lists, left


FORMAT = Beir


@dataclass(frozen=True)
class Collection:
    """What a collection's files hold of one split.

    Attributes:
        documents: each document's text as it is shown, by id, in the corpus's order; "" where it has none.
        searched: the whole texts.
        queries: by id, in the order of the judgments.
        grades: of each query the grade of each judged text, 0: not relevant.
    """

    documents: Mapping[str, str]
    searched: Mapping[str, str]
    queries: Mapping[str, str]
    grades: Mapping[str, Mapping[str, int]]


def read_collection(folder: Path, split: str, words: int | None = None) -> Collection:
    """The files of a collection, of this split.

    Args:
        words: how many words of a document are shown; all where it is None.

    Raises:
        BenchmarkError: a file that is missing or not of the form, or judgments of what the others lack.
    """
    searched = _by_id(folder / "corpus.jsonl", _document)
    documents = {id: " ".join(text.split()[:words]) for id, text in searched.items()}
    asked = _by_id(folder / "queries.jsonl", lambda entry: on_one_line(entry.text("text")))
    grades: dict[str, dict[str, int]] = {}
    path = folder / "qrels" / f"{split}.tsv"
    if not path.is_file():
        present = ", ".join(sorted(file.stem for file in path.parent.glob("*.tsv"))) or "none"
        raise BenchmarkError(f"{path.parent}: has no split '{split}'; it has: {present}")
    for line, (query, document, grade) in _judgments(path):
        if query not in asked:
            raise BenchmarkError(f"{path}: line {line} names query {query}, which queries.jsonl lacks")
        if document not in documents:
            raise BenchmarkError(f"{path}: line {line} names document {document}, which corpus.jsonl lacks")
        of_query = grades.setdefault(query, {})
        # A document without text is relevant all the same, but no candidate: its id stands for it.
        text = documents[document] or f"document {document}"
        of_query[text] = max(of_query.get(text, 0), grade)
    if not grades:
        raise BenchmarkError(f"{path}: has no judgment; a line is {_QREL}")
    return Collection(documents, searched, {query: asked[query] for query in grades}, grades)


def _document(entry: Entry) -> str:
    """Title and text; either may be empty or missing, but not both keys."""
    parts = [entry.values.get(key) for key in ("title", "text")]
    if parts == [None, None]:
        fault(f"has neither title nor text; its keys are: {', '.join(entry.values) or 'none'}")
    for key, part in zip(("title", "text"), parts, strict=True):
        if not isinstance(part, str | None):
            fault(f"has {key} {shown(part)}, expected is a text")
    return " ".join(part for part in parts if part)


def _by_id(path: Path, make: Callable[[Entry], str]) -> dict[str, str]:
    """What `make` makes of each line of a file, by `_id`."""
    line_of: dict[str, int] = {}

    def made(entry: Entry) -> tuple[str, str]:
        given = entry.values.get("_id")
        id = str(given) if isinstance(given, int) and not isinstance(given, bool) else text_of(given, "_id")
        if id in line_of:
            fault(f"has _id {shown(id)}, as line {line_of[id]} has")
        line_of[id] = entry.number
        return id, make(entry)

    return dict(read_entries(path, made).made)


def _judgments(path: Path) -> Iterator[tuple[int, tuple[str, str, int]]]:
    """Line, query, document and grade of each judgment; grades below 0 (TREC-COVID has some) are 0."""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        cells = line.split("\t")
        if number == 1:
            if len(cells) == 3 and _is_whole(cells[2]):
                raise BenchmarkError(f"{path}: line 1 is a judgment, expected is the header query-id, corpus-id, score")
            continue
        if not line.strip():
            continue
        if len(cells) != 3 or not _is_whole(cells[2]):
            raise BenchmarkError(f"{path}: line {number} is {shown(line)}, expected are {_QREL}")
        yield number, (cells[0].strip(), cells[1].strip(), max(0, int(cells[2])))


def _is_whole(cell: str) -> bool:
    return re.fullmatch(r"-?\d{1,9}", cell.strip()) is not None


def _bm25(collection: Collection) -> Iterable[tuple[str, Sequence[str]]]:
    """Ids of documents, best first, of each query."""
    from lad.benchmark.bm25 import rank_all

    ids = list(collection.searched)
    rankings = rank_all(list(collection.searched.values()), list(collection.queries.values()))
    for query, places in zip(collection.queries, rankings, strict=True):
        yield query, [ids[place] for place in places]


def _run(path: Path, collection: Collection) -> Iterable[tuple[str, Sequence[str]]]:
    """As `_bm25`, of a run in TREC's form; queries of other splits are not looked at."""
    return read_run(path, dict.fromkeys(collection.queries, collection.documents), "corpus.jsonl").items()


def _different(ranking: Sequence[str], collection: Collection, query: str, depth: int) -> tuple[str, ...]:
    """The first `depth` different texts of a ranking."""
    texts: dict[str, None] = {}
    for document in ranking:
        if len(texts) == depth:
            break
        if document != query and (text := collection.documents[document]):
            texts[text] = None
    return tuple(texts)
