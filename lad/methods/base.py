"""What a method is: how it answers, what it reads, what it may be told, how it looks and where it stands in tables."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from inspect import cleandoc
from typing import Generic, Literal, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from lad import query
from lad.calibration.calibrate import Calibration
from lad.contracts import Keep
from lad.methods.options import Option, Options, Signal, options_of

Split = Literal["evaluation", "symmetrized", "permuted"]
AnyOptions = TypeVar("AnyOptions", bound=Options)


@dataclass(frozen=True)
class OfCell:
    """What is known of all presentations of a cell, one by one too many for the memory.

    Attributes:
        first_round: the lowest round of all.
    """

    first_round: int


@dataclass(frozen=True)
class Inputs:
    """What a method answers from. What it needs besides the signals is there for every method that needs it.

    Attributes:
        signals: presentations of one N and one model, the table SIGNALS.
        identifiers: identifier of each position, 1..N.
        content_free: signals of the split content_free, for the same N and model.
        generations: the table GENERATIONS with the texts of all presentations.
        of_cell: what is known of all presentations of the cell, where `signals` are but a part of it.
        gathered: what the method has gathered of all presentations of the cell, where it gathers anything.
        steps: steps that several methods take on these very tables.
    """

    signals: pa.Table
    calibration: Calibration | None = None
    identifiers: Sequence[str] | None = None
    content_free: pa.Table | None = None
    generations: pa.Table | None = None
    of_cell: OfCell | None = None
    gathered: pa.Table | None = None
    steps: query.Steps = field(default_factory=query.Steps)

    @property
    def first_round(self) -> int:
        """The first round of the cell's presentations."""
        return self.of_cell.first_round if self.of_cell else pc.min(self.signals["round"]).as_py()

    @property
    def fitted(self) -> Calibration:
        assert self.calibration is not None, "Session has refused methods that lack their calibration"
        return self.calibration

    @property
    def blank(self) -> pa.Table:
        assert self.content_free is not None, "Session has refused methods that lack their content-free signals"
        return self.content_free

    @property
    def of_all(self) -> pa.Table:
        assert self.gathered is not None, "Session lets methods gather before it asks them for answers"
        return self.gathered

    @property
    def texts(self) -> pa.Table:
        assert self.generations is not None, "Session has refused methods that lack their generations"
        return self.generations


@dataclass(frozen=True)
class TableRow:
    """A row that the method has in a table of the report that lists many methods.

    Attributes:
        rank: rows stand in this order.
        label: the method's display name where empty.
        optional: whether the row is left out, rather than missed, where it was not measured.
        block: rows of the same block compete for the best value.
    """

    table: Literal["main", "permutations", "baselines"]
    rank: int
    label: str = ""
    variant: str = ""
    probe: str = "vanilla"
    optional: bool = True
    block: int = 0


@dataclass(frozen=True)
class PublishedName:
    """Under which name of shipped/published.csv the method stands, with this variant and asked by this probe.

    Attributes:
        formulation: whose numbers are to be compared with the published ones: those of the method as printed, or as its
            authors' code runs it.
    """

    name: str
    formulation: Literal["printed", "released"] = "printed"
    variant: str = ""
    probe: str = "vanilla"


@dataclass(frozen=True, kw_only=True)
class Method(Generic[AnyOptions]):
    """One method; the module that exports it as METHOD says by which equation it answers, and from where that is.

    Attributes:
        name: that of its module.
        rank: methods are listed in this order, those of equal rank by name.
        display, colour, marker, marker_size: how it looks in figures and tables.
        description: one line with the equation and its source.
        answers: from inputs and options to presentation_id, position (nullable), scores (nullable) and parsed
            (nullable), one row per answer. The inputs may be a part of a cell, with all presentations of the questions
            in it: an answer may rest on these and on nothing else, unless it is gathered before.
        gathers: of a method that compares presentations with all others of the cell: what it needs to know of these.
            It is asked about part after part, with what it gathered of the parts before (None at the first). When it is
            asked for answers, that is in `Inputs.gathered`, and the signals then have no attention.
        options_type: the dataclass of its options.
        split_for: the split of the signals that the method with these options is meant for.
        keeps_for: what the method with these options reads that extraction keeps only where it is asked to, in the
            signals to be answered and in those calibrated on; by default what the options say.
        reads_for: what of the signals it answers from with these options; by default what the options say. Signals that
            come from the log of another tool may lack it.
        needs_calibration, needs_content_free, needs_generations: what it reads besides those signals: a calibration,
            whatever its options (see `reads_calibration`), the signals of the split content_free, generated texts.
        rows: its rows in tables that list many methods.
        published: its names in the published results.
    """

    name: str
    rank: int = 1000
    display: str
    colour: str
    marker: str
    marker_size: float = 5.0
    description: str
    answers: Callable[[Inputs, AnyOptions], pa.Table]
    options_type: type[AnyOptions]
    gathers: Callable[[Inputs, AnyOptions], pa.Table] | None = None
    split_for: Callable[[AnyOptions], Split] = lambda _: "evaluation"
    keeps_for: Callable[[AnyOptions], frozenset[Keep]] = lambda options: options.keeps
    reads_for: Callable[[AnyOptions], Signal] = lambda options: options.reads
    needs_calibration: bool = False
    needs_content_free: bool = False
    needs_generations: bool = False
    rows: tuple[TableRow, ...] = ()
    published: tuple[PublishedName, ...] = ()

    @cached_property
    def options(self) -> dict[str, Option]:
        """The options that it understands, by their full names."""
        return options_of(self.options_type)

    @property
    def split(self) -> Split:
        """The split that it is meant for unless its options say otherwise."""
        return self.split_for(self.options_type())

    def reads_calibration(self, options: AnyOptions) -> bool:
        """Whether the method with these options reads a calibration."""
        return self.needs_calibration or options.are_calibrated

    @property
    def explanation(self) -> str:
        """The docstring of its module."""
        return cleandoc(sys.modules[self.answers.__module__].__doc__ or "")
