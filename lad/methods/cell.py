"""One cell by several methods: what `lad score` does between its files.

The cell is read part after part, each with all presentations of some questions, and every method answers a part before
the next one is read. So the memory does not grow with the number of presentations. Answers wait in a file per method,
so that the table has them method after method.
"""

import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from lad import contracts, parquet, whole
from lad.calibration.calibrate import Calibration
from lad.calibration.observations import number_of_candidates, read_layers
from lad.methods.base import Inputs, OfCell
from lad.methods.options import ScoringError
from lad.methods.scoring import Session, answered
from lad.methods.specification import Specification, Specified, parse_method
from lad.streams import Stream

_OF_PREDICTIONS: Final = ("question_id", "round", "presentation_id")
"""Predictions of a method are in the order of these."""

_LAYERS: Final = ("candidate_attention", "delimiter_attention")


@dataclass
class _Scoring:
    """A method that answers part after part of a cell.

    Attributes:
        specification, specified: the method, as it was specified and as that was read.
        file: where its answers wait.
        gathered: what it has gathered so far, where it gathers anything.
        last: the last question that it has answered.
        in_order: whether its answers wait in the order in which they are written.
    """

    specification: Specification
    specified: Specified
    file: Path
    seconds: float = 0
    gathered: pa.Table | None = None
    last: str = ""
    in_order: bool = True

    def __post_init__(self) -> None:
        self._to = pa.ipc.new_stream(str(self.file), contracts.PREDICTIONS.schema)

    def keep(self, answers: pa.Table, seconds: float) -> None:
        self.seconds += seconds
        self._to.write_table(answers)
        if len(answers):
            self.in_order &= self.last <= answers["question_id"][0].as_py()
            self.last = answers["question_id"][-1].as_py()

    def parts(self) -> Iterator[pa.Table]:
        """The answers in their order; those that do not wait in order have to be read at once."""
        self._to.close()
        with pa.OSFile(str(self.file)) as file, pa.ipc.open_stream(file) as waiting:
            if self.in_order:
                yield from (pa.Table.from_batches([batch]) for batch in waiting)
            else:
                yield waiting.read_all().sort_by([(column, "ascending") for column in _OF_PREDICTIONS])


def score_cell(
    signals: Sequence[Path],
    calibration: Calibration | None,
    specifications: Sequence[Specification],
    defaults: Mapping[str, object] | None = None,
    *,
    out: Path,
    generations: Sequence[Path] = (),
    metadata: Mapping[str, Any] | None = None,
    rows: int | None = None,
) -> None:
    """Write what each method answers on the presentations that it is meant for.

    Signals of one split are answered as they are; of several splits, each method gets the one it is meant for. Those of
    the split content_free go to the methods that need them. What extraction keeps only where it is asked to, the
    attention of every head above all, is read only where a method needs it.

    Args:
        signals: SIGNALS files of one cell, of one or several splits.
        calibration, defaults: as of `score`.
        specifications: methods with their options, as `parse_method` reads them.
        out: the file for the PREDICTIONS, method after method. Beside them it gets the seconds by method as specified.
        generations: GENERATIONS files, for methods that read texts.
        metadata: facts to be stored with the predictions.
        rows: how many presentations are answered at a time; by default as many as are quick to work on.

    Raises:
        ScoringError: as of `score`; no signals of the split that a method needs.
        TableError: as of `parquet.read`.
        NotWrittenError: as of `parquet.write`.
    """
    parsed = [parse_method(specification, defaults) for specification in specifications]
    by_split = _files_by_split(signals)
    blank = by_split.pop("content_free", None)
    identifiers = parquet.read_metadata(signals[0]).get("identifiers")
    with _folder_beside(out) as folder:
        scorings = [
            _Scoring(specification, specified, folder / str(place))
            for place, (specification, specified) in enumerate(zip(specifications, parsed, strict=True))
        ]
        for split, answering in _by_split(scorings, list(by_split), signals).items():
            without = _unread(each.specified for each in answering)
            content_free = _all_of(blank, "content_free", without) if blank else None
            of_split = _Split(
                split, by_split[split], generations, calibration, identifiers, content_free, defaults, rows
            )
            of_split.answer(answering, without)
        seconds = {str(each.specification): round(each.seconds, 6) for each in scorings}
        parts = (part for each in scorings for part in each.parts())
        parquet.write_parts(parts, out, contracts.PREDICTIONS, {**(metadata or {}), "seconds": seconds})


@dataclass(frozen=True)
class _Split:
    """The presentations of one split, and what methods are given besides them."""

    name: str
    signals: Sequence[Path]
    generations: Sequence[Path]
    calibration: Calibration | None
    identifiers: Sequence[str] | None
    content_free: pa.Table | None
    defaults: Mapping[str, object] | None
    rows: int | None

    def answer(self, answering: Sequence[_Scoring], without: Collection[str]) -> None:
        """Let these methods answer every presentation; columns `without` are read by none."""
        stream = self._stream(without)
        number_of_candidates(stream.table)
        of_cell = OfCell(first_round=pc.min(stream.table["round"]).as_py())
        texts = Stream(self.generations, contracts.GENERATIONS, "presentation_id") if self.generations else None
        first = None
        for questions in stream.parts(self.rows):
            part = stream.take(questions)
            first = part.slice(0, 1) if first is None else first
            read_layers(pa.concat_tables([first, part]).select(_LAYERS))  # refuses parts of several models
            session = Session(
                part,
                self.calibration,
                identifiers=self.identifiers,
                content_free=self.content_free,
                generations=texts.take(part["presentation_id"].combine_chunks()) if texts else None,
                of_cell=of_cell,
            )
            for each in answering:
                if each.specified.method.gathers:
                    each.gathered, seconds = session.gather(each.specification, self.defaults, each.gathered)
                    each.seconds += seconds
                else:
                    each.keep(*session.timed(each.specification, self.defaults))
        self._answer_gathered([each for each in answering if each.specified.method.gathers])

    def _answer_gathered(self, answering: Sequence[_Scoring]) -> None:
        """Let those answer that first had to gather from all presentations."""
        stream = self._stream((*contracts.BY_HEAD, *contracts.BY_LAYER))
        for questions in stream.parts(self.rows) if answering else ():
            inputs = Inputs(stream.take(questions), self.calibration, self.identifiers, self.content_free)
            for each in answering:
                of_method = replace(inputs, gathered=each.gathered)
                each.keep(*of_method.steps.timed(partial(answered, each.specified, of_method)))

    def _stream(self, without: Collection[str]) -> Stream:
        held, only = ("round", "n_candidates"), {"split": self.name}
        return Stream(self.signals, contracts.SIGNALS, "question_id", held, only=only, without=without)


def _files_by_split(signals: Sequence[Path]) -> dict[str, list[Path]]:
    """The files that have presentations of each split."""
    by_split: dict[str, list[Path]] = {}
    for path in signals:
        for split in parquet.values_of("split", path, contracts.SIGNALS):
            by_split.setdefault(split, []).append(path)
    return by_split


def _by_split(scorings: Sequence[_Scoring], splits: Sequence[str], files: Sequence[Path]) -> dict[str, list[_Scoring]]:
    """Which methods answer the presentations of which split."""
    answering: dict[str, list[_Scoring]] = {}
    for each in scorings:
        needed = each.specified.method.split_for(each.specified.options)
        if len(splits) != 1 and needed not in splits:
            told = ", ".join(map(str, files))
            raise ScoringError(f"{told}: no presentations of split {needed}, which {each.specification} needs")
        answering.setdefault(splits[0] if len(splits) == 1 else needed, []).append(each)
    return answering


def _unread(methods: Iterable[Specified]) -> set[str]:
    """The columns of signals that none of these methods reads, of those that extraction keeps where it is asked to."""
    kept = [specified.method.keeps_for(specified.options) for specified in methods]
    return {c.name for c in contracts.SIGNALS.columns if c.kept and not any(c.kept <= each for each in kept)}


def _all_of(signals: Sequence[Path], split: str, without: Collection[str]) -> pa.Table:
    stream = Stream(signals, contracts.SIGNALS, "question_id", only={"split": split}, without=without)
    return stream.take(stream.keys)


@contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """A folder on the disk of a file, as long as this lasts."""
    with whole.named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.", suffix=".partial") as folder:
            yield Path(folder)
