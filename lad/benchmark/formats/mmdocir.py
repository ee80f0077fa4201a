"""Read MMDocIR's evaluation set (Dong et al., arXiv 2501.08828): which pages of a document hold the answer.

`MMDocIR_annotations.jsonl` has a line per document: `doc_name`, `domain`, `page_indices` (first and last row of its
pages) and `questions`, each with `Q` and `page_id`, the pages that hold the answer, counted from 0.
`MMDocIR_pages.parquet` has a row per page: `doc_name`, `passage_id`, `image_binary` (JPEG), `ocr_text`, `vlm_text`. A
question is a list, whose candidates are the pages of its own document, as in the benchmark; its group is the domain, so
that Recall@1 is there over all questions (micro) and as a mean over domains (macro).

The first stage ranks a document's pages: a run of TREC's form, such as ColQwen's; else BM25 over the text that a model
(`vlm_text`) or OCR (`ocr_text`) made of each page, pages without a word of the question behind in their order; else
the order of the pages.

Read: the authors' README and annotations (MMDocRAG/MMDocIR), the dataset's card (MMDocIR/MMDocIR_Evaluation_Dataset:
20,395 pages of 313 documents, 1,658 questions; Apache-2.0), MTEB's loader (`MMDocIRT2IRetrieval`: rows from the first
to the last inclusive, gold page = first row + `page_id`) and a reader's measurements: the annotations' `doc_name` ends
in .pdf, that of the pages does not, in all 313 documents; up to 6 gold pages, 1.27 on average. ZipRerank and others
rerank the best 20 of a first stage. No page was seen. Not verified: what `passage_id` is; where it is a whole number it
has to be the page's place in its document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from lad.benchmark import BenchmarkError
from lad.benchmark.among_texts import shown
from lad.benchmark.captions import few
from lad.benchmark.entries import Entry, fault, read_entries
from lad.benchmark.formats.base import ImagesRead, Listed
from lad.benchmark.formats.stored import ImagesInParquet
from lad.benchmark.lists import RankedList
from lad.benchmark.stored_pictures import Row, rows_of, write_pictures
from lad.benchmark.trec import read_run
from lad.section import FilePath

PAGES: Final = "pages"
"""The one setting. Retrieval of layouts, parts of pages, is not read."""


class Mmdocir(Listed, ImagesInParquet):
    paths: ClassVar[tuple[str, ...]] = ("annotations", "data", "run")
    code: ClassVar[tuple[str, ...]] = (
        *Listed.code,
        *ImagesInParquet.code,
        *("benchmark/bm25.py", "benchmark/entries.py", "benchmark/trec.py"),
    )

    format: Literal["mmdocir"] = Field(
        description="MMDocIR's questions about pages of documents; its setting is `pages`."
    )
    annotations: FilePath = Field(description="MMDocIR_annotations.jsonl.")
    data: FilePath = Field(description="MMDocIR_pages.parquet.")
    images: FilePath = Field(
        description="Folder of the page images. Reading writes them there, out of the Parquet file, if it is not there."
    )
    run: FilePath | None = Field(
        None,
        description="A first stage's ranking in TREC's form, `question Q0 page rank score name`: both numbers from 0,"
        " the question's among all of the annotations, the page's in its document.",
    )
    first_stage: Literal["bm25", "page_order"] = Field(
        "bm25", description="What ranks the pages where there is no run: BM25 over their texts, or their order."
    )
    text: Literal["vlm_text", "ocr_text"] = Field("vlm_text", description="The texts of pages that BM25 reads.")

    @property
    def most_questions(self) -> int:
        return 1658

    @property
    def most_images(self) -> int:
        return 20395

    def read_lists(self, setting: str) -> list[RankedList]:
        return self._read(setting)[0]

    def read_images(self, settings: Sequence[str]) -> ImagesRead:
        read = super().read_images(settings)
        left = self._read(PAGES)[1]
        told = few([f"question {one['question']} {one['reason']}" for one in left], "; ")
        return ImagesRead(read.table, f"{read.summary}; left out: {told}" if left else read.summary, left)

    def _read(self, setting: str) -> tuple[list[RankedList], list[dict[str, Any]]]:
        """The questions as lists; and those that were left out, each with the reason."""
        path = Path(self.annotations)
        if setting != PAGES:
            raise BenchmarkError(f"{path}: has no task '{setting}'; it has: {PAGES}")
        documents = _numbered(read_entries(path, _document).made)
        rankings = self._rankings(documents, self._rows(documents))
        lists, left = [], []
        for document in documents:
            for question in document.questions:
                ranking = rankings[question.number][: self.depth]
                reason = "has no gold page" if not question.pages else "is not in the run" if not ranking else None
                if reason:
                    left.append({"question": question.number, "document": document.name, "reason": reason})
                else:
                    lists.append(_list(document, question, ranking))
        return lists, left

    def _rows(self, documents: Sequence[Document]) -> list[Row]:
        """The pages without their pictures, which are written to the image folder unless that is there."""
        file = Path(self.data)
        texts = (self.text,) if self._reads_texts else ()
        rows = rows_of(file, ("doc_name", "passage_id", *texts))
        for document in documents:
            document.refuse_other_pages(rows, file)
        for number, row in enumerate(rows):
            for column in texts:
                if not isinstance(row[column], str | None):
                    raise BenchmarkError(f"{file}, row {number}: {column} is {shown(row[column])}, expected is a text")
        owner = {row: document for document in documents for row in range(document.first, document.last + 1)}
        numbers = iter(range(len(rows)))

        def pictures(row: Row) -> Iterator[tuple[str, bytes | None]]:
            number = next(numbers)
            if document := owner.get(number):
                content = row["image_binary"]
                if not isinstance(content, bytes | None):
                    raise BenchmarkError(f"{file}, row {number}: image_binary holds no bytes, but {shown(content)}")
                yield document.file(number - document.first), content

        write_pictures(file, Path(self.images), ("image_binary",), pictures)
        return rows

    @property
    def _reads_texts(self) -> bool:
        return self.run is None and self.first_stage == "bm25"

    def _rankings(self, documents: Sequence[Document], rows: Sequence[Row]) -> Mapping[int, Sequence[int]]:
        """The pages of each question's document, best first; by the question's number."""
        pages = {question.number: document.pages for document in documents for question in document.questions}
        if self.run is not None:
            known = {str(number): set(map(str, own)) for number, own in pages.items()}
            ranked = read_run(Path(self.run), known, "its question's document")
            return {int(number): [int(page) for page in ranking] for number, ranking in ranked.items()}
        return by_text(documents, rows, self.text) if self._reads_texts else pages


FORMAT = Mmdocir


@dataclass(frozen=True)
class Question:
    """A question about a document; `number` among all, `pages` those that hold the answer, both from 0."""

    number: int
    text: str
    pages: frozenset[int]


@dataclass(frozen=True)
class Document:
    """A line of the annotations; `first` and `last` are rows of the pages' file."""

    name: str
    domain: str
    first: int
    last: int
    questions: tuple[Question, ...]

    @property
    def pages(self) -> range:
        return range(self.last - self.first + 1)

    def file(self, page: int) -> str:
        """The picture of a page, below the image folder."""
        return f"{self.name}/{page:03d}.jpg"

    def refuse_other_pages(self, rows: Sequence[Row], file: Path) -> None:
        """`BenchmarkError` where the rows that should be this document's pages are not."""
        if self.last >= len(rows):
            raise BenchmarkError(f"{file}: has {len(rows)} rows, but {self.name} ends in row {self.last}")
        for page in self.pages:
            row = rows[self.first + page]
            place = f"{file}, row {self.first + page}"
            if _stem(str(row["doc_name"])) != self.name:
                raise BenchmarkError(f"{place}: is a page of {row['doc_name']}, expected is page {page} of {self.name}")
            if (named := str(row["passage_id"])).isdecimal() and int(named) != page:
                raise BenchmarkError(f"{place}: passage_id is {named}, expected is {page}, its place in {self.name}")


def by_text(documents: Sequence[Document], rows: Sequence[Row], column: str) -> dict[int, list[int]]:
    """BM25 over the pages of each document: their order for each of its questions, by number.

    Pages that share no word with a question stand behind the others, in the document's order.
    """
    from lad.benchmark.bm25 import rank_all

    rankings = {}
    for document in documents:
        texts = [rows[document.first + page][column] or "" for page in document.pages]
        try:
            found = list(rank_all(texts, [question.text for question in document.questions]))
        except BenchmarkError:
            # Not a word on any page: photographs, or a language of other letters.
            found = [[] for _ in document.questions]
        for question, best in zip(document.questions, found, strict=True):
            rankings[question.number] = [*best, *(page for page in document.pages if page not in set(best))]
    return rankings


def _list(document: Document, question: Question, ranking: Sequence[int]) -> RankedList:
    return RankedList(
        id=str(question.number),
        query=question.text,
        candidates=tuple(document.file(page) for page in ranking),
        relevance=tuple(int(page in question.pages) for page in ranking),
        ideal=(1,) * len(question.pages),
        group=document.domain,
    )


def _document(entry: Entry) -> Document:
    """The document of a line; its questions have no numbers yet."""
    name = _stem(entry.text("doc_name"))
    if "/" in name or "\\" in name or name.startswith("."):
        fault(f"has doc_name {name!r}, which cannot be the name of a folder")
    span = entry.list_of("page_indices", "two rows")
    if len(span) != 2 or not all(_is_row(row) for row in span) or span[0] > span[1]:
        fault(f"has page_indices {span}, expected are its first and last row in the pages' file")
    last = span[1] - span[0]
    questions = tuple(_question(asked, k, last) for k, asked in enumerate(entry.list_of("questions", "questions")))
    return Document(name, entry.text("domain"), span[0], span[1], questions)


def _question(asked: object, number: int, last: int) -> Question:
    if not isinstance(asked, dict) or not isinstance(asked.get("Q"), str) or not asked["Q"].strip():
        fault(f"has question {number} without a text Q")
    pages = asked.get("page_id")
    if not isinstance(pages, list) or not all(_is_row(page) for page in pages):
        fault(f"has question {number} with page_id {pages!r}, expected is a list of pages, from 0")
    if beyond := [page for page in pages if page > last]:
        fault(f"has question {number} with page_id {beyond[0]}, but its pages are 0 to {last}")
    return Question(number, " ".join(asked["Q"].split()), frozenset(pages))


def _is_row(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _stem(name: str) -> str:
    """A document's name without .pdf, which the annotations have and the pages have not."""
    return name[:-4] if name.lower().endswith(".pdf") else name


def _numbered(documents: Sequence[Document]) -> list[Document]:
    """The documents with their questions numbered among all."""
    numbers = count()
    return [
        replace(one, questions=tuple(replace(question, number=next(numbers)) for question in one.questions))
        for one in documents
    ]
