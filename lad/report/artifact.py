"""What an artifact is: a figure or a table, with its words, its options, what it needs and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

import pyarrow as pa

from lad.refusal import Refusal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lad.report.needs import Available, Needs
    from lad.report.options import ArtifactOptions
    from lad.report.results import Results

PAIRED: Final = (
    " In brackets, paired differences on the same questions with their 95 % bootstrap interval over questions: a"
    " method beats another where that lies above 0."
)
"""What captions say of the comparisons in sentences."""


class ArtifactError(Refusal):
    """An artifact that cannot be drawn. The message names what is missing and what would produce it."""


@dataclass(frozen=True)
class Picture:
    """A figure and what its sentence says.

    Attributes:
        facts: values for the names in the artifact's sentence and caption.
    """

    figure: Figure
    facts: dict[str, str]


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table; the best of its column is bold."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Line:
    """One row of a table. `block` numbers the stretch of rows within which the best value is marked."""

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    block: int = 0


@dataclass(frozen=True)
class Table:
    """A table as it is read, and the records behind it.

    Attributes:
        stub: headings of the label columns.
        groups: headings of the value columns, as (heading over them, headings).
        records: one row per value, unrounded, with its 95 % interval: what the CSV file holds.
        facts: values for the names in the artifact's sentence and caption.
    """

    stub: tuple[str, ...]
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    lines: tuple[Line, ...]
    records: pa.Table
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def headings(self) -> tuple[str, ...]:
        """The value columns' headings, flat: "random: accuracy"."""
        return tuple(
            f"{group}: {heading}" if group else heading for group, headings in self.groups for heading in headings
        )


Chosen = TypeVar("Chosen", bound="ArtifactOptions")


@dataclass(frozen=True, kw_only=True)
class Artifact(Generic[Chosen]):
    """A figure or table of the report.

    Attributes:
        order: artifacts stand on the page in this order.
        title: one line, as a heading.
        caption: what is drawn and how to read it.
        sentence: what to see. In both texts the drawing fills the names in braces from the data.
        alt: what kind of picture it is, for readers who do not see the figure.
        in_runs: what a run has to measure for it, in words; `needs` says the same exactly.
        options: the class of its options.
        needs: what it shows of what there is. Optional rows are named only where they are there.
        draw: puts it together from the results that it needs.
    """

    name: str
    kind: Literal["figure", "table"]
    order: int
    title: str
    caption: str
    sentence: str
    alt: str = ""
    in_runs: str
    options: type[Chosen]
    needs: Callable[[Available, Chosen], Needs]
    draw: Callable[[Results, Chosen], Picture | Table]


AnyArtifact = Artifact[Any]
