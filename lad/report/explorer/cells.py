"""One cell as the explorer shows it: read from the results folder, and put into blocks of the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lad.catalog import RELATIONS
from lad.extraction.prompts import get_probe
from lad.grid import Scoring
from lad.methods import METHODS
from lad.report.explorer.choice import SPLIT, needs_of
from lad.report.explorer.packed import block, packed_attention, packed_probabilities
from lad.report.results import Results, opened

_SQL: Final = files("lad.report.explorer")
ROWS: Final = ("last", "query", "suffix")
"""Rows of the attention, as presentations.sql names them."""
_COLUMNS: Final = {
    "last": "candidate_attention",
    "query": "query_attention",
    "suffix": "suffix_attention",
    "last_heads": "head_attention",
    "query_heads": "head_query_attention",
    "suffix_heads": "head_suffix_attention",
}
QUESTIONS_PER_BLOCK: Final = 50
"""Of so many questions the attention is unpacked together."""
NOT_ASKED: Final = 255
"""Stands for the answer to an order that a method was not asked."""


@dataclass(frozen=True)
class Shape:
    """How large a cell is.

    Attributes:
        layers: layers with attention, from 0.
        rows: rows of the attention that were kept.
        heads: by row, heads in each layer, where they were kept.
    """

    scoring: Scoring
    questions: int
    orders: int
    layers: tuple[int, ...]
    rows: tuple[str, ...]
    heads: Mapping[str, int]

    @property
    def layer_bytes(self) -> int:
        """Bytes of one question's attention by layer, before it is deflated."""
        return self.orders * len(self.layers) * self.scoring.cell.n * len(self.rows)

    @property
    def head_bytes(self) -> int:
        """The same by head."""
        return self.orders * len(self.layers) * self.scoring.cell.n * sum(self.heads.values())


def read_shape(results: Path, scoring: Scoring) -> Shape:
    """How large a cell is, from one row of its signals: a database for that would cost more than all the rest."""
    relation = RELATIONS["signals"]
    file = pq.ParquetFile(relation.path(results, **vars(scoring.cell), split=SPLIT))
    present = {relation.contract.renamed.get(name, name): name for name in file.schema_arrow.names}
    wanted = {key: present[name] for key, name in _COLUMNS.items() if name in present}
    first = next(file.iter_batches(batch_size=1, columns=list(wanted.values()))).to_pylist()[0]
    attention = {key: first[name] for key, name in wanted.items() if first[name] is not None}
    shown = file.read(columns=["question_id", "round"])
    layers = tuple(layer for layer, values in enumerate(attention["last"]) if values)
    return Shape(
        scoring,
        questions=pc.count_distinct(shown["question_id"]).as_py(),
        orders=pc.max(shown["round"]).as_py() + 1,
        layers=layers,
        rows=tuple(row for row in ROWS if row in attention),
        heads={
            row: len(attention[f"{row}_heads"][layers[0]]) for row in ROWS if layers and f"{row}_heads" in attention
        },
    )


def _opened(results: Path, scoring: Scoring) -> AbstractContextManager[Results]:
    with_prior = _has_printed_prior(RELATIONS["attention_prior"].path(results, **scoring.calibration_keys))
    return opened(results, lambda available: needs_of(available, {scoring: with_prior}))


def _has_printed_prior(path: Path) -> bool:
    if not path.exists():
        return False
    return "printed" in pq.read_table(path, columns=["formulation"], partitioning=None)["formulation"].to_pylist()


@dataclass(frozen=True)
class Cell:
    """What is read of a cell.

    Attributes:
        questions, answers, images: the results of the queries of these names.
        presentations: of presentations.sql, the attention of the first `with_layers` and `with_heads` questions.
        priors: by row of attention, layer x position, flat.
    """

    shape: Shape
    with_layers: int
    with_heads: int
    questions: pa.Table
    presentations: pa.Table
    answers: pa.Table
    images: pa.Table
    priors: Mapping[str, list[float]]

    @property
    def dataset(self) -> str:
        """The dataset of its questions."""
        return self.shape.scoring.cell.dataset

    def blocks(self, name: str, captions: Mapping[str, int], images: Mapping[int, int]) -> Iterator[tuple[str, str]]:
        """The blocks of the page that hold the cell, each with its name: the questions first, then their attention.

        Args:
            name: what all of them are called.
            captions: the number of each caption in the dataset's block.
            images: the number of each candidate there, by image id.
        """
        n = self.shape.scoring.cell.n
        numbers = [images[image] for image in self.questions["candidates"].combine_chunks().flatten().to_pylist()]
        candidates = np.array(numbers, dtype="<u4").view("<u2")  # two halves each, the lower first
        arrays = {
            "probabilities": packed_probabilities(self._by_order("probabilities", n)),
            "candidates": candidates,
            "order": np.nan_to_num(self._by_order("order", n)).astype(np.uint8),
            "target": self.questions["target"].to_numpy().astype(np.uint8),
            "answers": self._answers(),
            **self._relevance(),
            **{f"prior_{row}": packed_attention(np.array(prior)) for row, prior in self.priors.items()},
        }
        yield (
            name,
            block(
                {
                    "ids": self.questions["question_id"].to_pylist(),
                    "captions": [captions[caption] for caption in self.questions["caption"].to_pylist()],
                    "methods": [self._method_in_words(method, variant) for method, variant in self._methods],
                    "withLayers": self.with_layers,
                    "withHeads": self.with_heads,
                },
                arrays,
            ),
        )
        for start in range(0, self.with_layers, QUESTIONS_PER_BLOCK):
            yield f"{name}-{start // QUESTIONS_PER_BLOCK}", block({}, dict(self._attention(start)))

    def in_words(self) -> dict[str, Any]:
        """What the page says of the cell, before its questions are unpacked."""
        scoring, shape = self.shape.scoring, self.shape
        return {
            **vars(scoring.cell),
            "identifiers": list(get_probe(scoring.cell.probe).identifiers(scoring.cell.n)),
            "calibration": f"{scoring.calibration_questions} questions of {scoring.source}",
            "questions": shape.questions,
            "orders": shape.orders,
            "layers": list(shape.layers),
            "rows": list(shape.rows),
            "heads": dict(shape.heads),
        }

    @cached_property
    def _methods(self) -> list[tuple[str, str]]:
        """The methods with their variants, in the order of the registry, those without options first."""
        named = self.answers.group_by(["method", "variant"], use_threads=False).aggregate([])
        pairs = zip(named["method"].to_pylist(), named["variant"].to_pylist(), strict=True)
        ranks = {name: rank for rank, name in enumerate(METHODS)}
        return sorted(pairs, key=lambda pair: (pair[1] != "", ranks.get(pair[0], len(ranks)), pair))

    @staticmethod
    def _method_in_words(method: str, variant: str) -> dict[str, str]:
        name = METHODS[method].display if method in METHODS else method
        return {"id": f"{method};{variant}" if variant else method, "name": f"{name} ({variant})" if variant else name}

    @cached_property
    def _place(self) -> np.ndarray:
        """Where each presentation stands among all orders of all questions."""
        question, order = (self.presentations[name].to_numpy() for name in ("question", "round"))
        place: np.ndarray = question * self.shape.orders + order
        return place

    def _by_order(self, column: str, width: int) -> np.ndarray:
        """A column of lists as questions x orders x width; NaN where a question has fewer orders."""
        filled = np.full((self.shape.questions * self.shape.orders, width), np.nan, dtype=np.float32)
        filled[self._place] = self.presentations[column].combine_chunks().flatten().to_numpy().reshape(-1, width)
        return filled

    def _answers(self) -> np.ndarray:
        """Methods x questions x orders: the candidate, 0 for none."""
        filled = np.full((len(self._methods), self.shape.questions, self.shape.orders), NOT_ASKED, dtype=np.uint8)
        numbers = {named: number for number, named in enumerate(self._methods)}
        pairs = zip(self.answers["method"].to_pylist(), self.answers["variant"].to_pylist(), strict=True)
        method = np.array([numbers[pair] for pair in pairs], dtype=np.intp)
        question, order = self.answers["question"].to_numpy(), self.answers["round"].to_numpy()
        filled[method, question, order] = self.answers["candidate"].to_numpy()
        return filled

    def _relevance(self) -> dict[str, np.ndarray]:
        """Questions x candidates: the grades, where the questions are windows of lists."""
        grades = self.questions["relevance"].combine_chunks()
        return {} if grades.null_count else {"relevance": np.minimum(grades.flatten().to_numpy(), 255).astype(np.uint8)}

    def _attention(self, start: int) -> Iterator[tuple[str, np.ndarray]]:
        """By row, the attention of a block of questions: questions x orders x layers x heads x positions."""
        shape = self.shape
        for row in shape.rows:
            width = len(shape.layers) * shape.scoring.cell.n
            yield row, self._packed(row, start, min(start + QUESTIONS_PER_BLOCK, self.with_layers), width)
        for row, heads in shape.heads.items():
            width = len(shape.layers) * heads * shape.scoring.cell.n
            end = max(start, min(start + QUESTIONS_PER_BLOCK, self.with_heads))
            yield f"{row}_heads", self._packed(f"{row}_heads", start, end, width)

    def _packed(self, column: str, start: int, end: int, width: int) -> np.ndarray:
        orders = self.shape.orders
        packed = np.zeros(((end - start) * orders, width), dtype=np.uint8)
        here = (self._place >= start * orders) & (self._place < end * orders)
        if here.any():
            lists = self.presentations[column].filter(pa.array(here)).combine_chunks()
            packed[self._place[here] - start * orders] = packed_attention(lists.flatten().to_numpy().reshape(-1, width))
        return packed


def read_cell(results: Path, shape: Shape, with_layers: int, with_heads: int) -> Cell:
    """Read a cell with the attention of so many of its first questions, by layer and by head."""
    with _opened(results, shape.scoring) as needed:
        return Cell(
            shape,
            with_layers,
            with_heads,
            needed.ask(_SQL / "questions.sql"),
            needed.ask(_SQL / "presentations.sql", with_layers=with_layers, with_heads=with_heads),
            needed.ask(_SQL / "answers.sql"),
            needed.ask(_SQL / "images.sql"),
            {row["row"]: row["prior"] for row in needed.ask(_SQL / "attention_prior.sql").to_pylist()},
        )


def shapes_of(results: Path, scorings: Iterable[Scoring]) -> list[Shape]:
    """The shapes of the cells of these scorings whose signals are there."""
    signals = RELATIONS["signals"]
    there = [s for s in scorings if signals.path(results, **vars(s.cell), split=SPLIT).exists()]
    return [read_shape(results, scoring) for scoring in there]
