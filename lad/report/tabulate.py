"""Put a table together: rows and columns say which condition they stand for, cells look up its score.

The best value of each column is marked, as it is printed: two values that round to the same are both best. A column
may show, instead of a score, by how much a reference is ahead of the row: the paired difference with its interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import pyarrow as pa

from lad.methods import METHODS
from lad.report.artifact import Cell, Line, Table
from lad.report.measures import Difference, Measure
from lad.report.needs import Available, Condition, Key, Needs
from lad.report.options import ArtifactOptions
from lad.report.results import Results
from lad.report.wording import interval, signed

ABSENT: Final = "–"
_SMALLER_IS_BETTER: Final = {"rstd"}

SCORES: Final = ("accuracy", "rstd", "consistency")
"""The metrics of a table that has several."""

HEADINGS: Final = {
    "accuracy": "Accuracy (%)",
    "rstd": "RStd (%)",
    "consistency": "Consistency (%)",
    "success_rate": "Answers parsed (%)",
}


@dataclass(frozen=True)
class Row:
    """One row: its labels and the part of the condition that it fixes.

    Attributes:
        optional: whether the row is left out, rather than missed, where nothing was measured.
        block: rows of the same block compete for the best value.
    """

    labels: tuple[str, ...]
    keys: Mapping[str, Key]
    optional: bool = False
    block: int = 0


@dataclass(frozen=True)
class Column:
    """One column: the group it stands in, its metric and the part of the condition that it fixes.

    Attributes:
        reference: shown is not the score but the lead in accuracy over the row of the condition with these keys.
    """

    group: str
    metric: str
    keys: Mapping[str, Key] = field(default_factory=dict)
    heading: str = ""
    with_std: bool = True
    reference: Mapping[str, Key] | None = None


def rows_of_methods(table: Literal["main", "permutations", "baselines"]) -> tuple[Row, ...]:
    """The rows that methods have in a table that lists many of them, as their modules say."""
    listed = [(row, method) for method in METHODS.values() for row in method.rows if row.table == table]
    return tuple(
        Row(
            (row.label or method.display,),
            # A row of a probe of its own keeps it; the others are of the options' probe.
            {"method": method.name, "variant": row.variant, **({} if row.probe == "vanilla" else {"probe": row.probe})},
            optional=row.optional,
            block=row.block,
        )
        for row, method in sorted(listed, key=lambda pair: pair[0].rank)
    )


def lead_of(method: str, group: str, keys: Mapping[str, Key], heading: str) -> Column:
    """The column that says by how many points a method, asked plainly, is ahead of each row."""
    return Column(group, "accuracy", keys, heading, reference={"method": method})


@dataclass(frozen=True)
class Layout:
    """What stands where in a table.

    Attributes:
        options: complete the conditions that rows and columns say in part.
    """

    options: ArtifactOptions
    stub: tuple[str, ...]
    rows: Sequence[Row]
    columns: Sequence[Column]

    def needs(self, available: Available) -> Needs:
        """The scores of all rows but optional ones of which nothing is there, and the leads over them."""
        places = [(row, column) for row in self._shown(available) for column in self.columns]
        scores = [self._condition(row, column) for row, column in places]
        leads = [lead for row, column in places if (lead := self._lead(available, row, column))]
        references = [reference for reference, _ in leads]
        return Needs(scores=(*scores, *references), leads=tuple(leads))

    def table(self, results: Results, facts: dict[str, str]) -> Table:
        """The table, drawn from what it needs."""
        rows = self._shown(results.available)
        grid = [[self._drawn(results, row, column) for column in self.columns] for row in rows]
        blocks = [row.block for row in rows]
        best = [
            _best([line[c].measure for line in grid], blocks, column) if column.reference is None else set()
            for c, column in enumerate(self.columns)
        ]
        lines = [
            Line(row.labels, tuple(Cell(cell.text, r in best[c]) for c, cell in enumerate(grid[r])), row.block)
            for r, row in enumerate(rows)
        ]
        records = [cell.record for line in grid for cell in line]
        recorded = pa.Table.from_pylist(records, schema=results.measures.records.schema)
        return Table(self.stub, _groups(self.columns), tuple(lines), recorded, facts)

    def _drawn(self, results: Results, row: Row, column: Column) -> "_Drawn":
        condition = self._condition(row, column)
        measure = results.measures.get(condition, column.metric)
        (record,) = results.measures.select([(condition, column.metric)]).to_pylist()
        if column.reference is None:
            return _Drawn(_text(measure, column), measure, record)
        pair = self._lead(results.available, row, column)
        lead = results.measures.difference(*pair) if pair else None
        record |= {"metric": f"lead_of_{column.reference['method']}", "std": None}
        record |= {name: getattr(lead, name, None) for name in ("value", "low", "high")}
        return _Drawn(_lead_text(lead), measure, record)

    def _shown(self, available: Available) -> list[Row]:
        return [
            row
            for row in self.rows
            if not row.optional or any(available.has(self._condition(row, column)) for column in self.columns)
        ]

    def _condition(self, row: Row, column: Column) -> Condition:
        return self.options.condition(**row.keys, **column.keys)

    def _lead(self, available: Available, row: Row, column: Column) -> tuple[Condition, Condition] | None:
        """The reference and the row, where they are two and there is a reference."""
        if column.reference is None:
            return None
        # What the row says of its questions holds for the reference; how they were asked and answered does not.
        shared = {key: value for key, value in row.keys.items() if key in ("model", "dataset", "setting", "n")}
        reference = self.options.condition(**{**shared, **column.keys, **column.reference})
        condition = self._condition(row, column)
        return (reference, condition) if reference != condition and available.has(reference) else None


class _Drawn(NamedTuple):
    """A cell before it is known to be the best: its text, and its record for the CSV file."""

    text: str
    measure: Measure
    record: dict[str, object]


def _lead_text(lead: Difference | None) -> str:
    if lead is None:
        return ABSENT
    value = f"{'+' * (round(lead.value, 1) > 0)}{signed(lead.value)}"
    return value if lead.low is None else f"{value} ({interval(lead)})"


def _text(measure: Measure, column: Column) -> str:
    if measure.value is None:
        return ABSENT
    if column.metric == "accuracy" and column.with_std and measure.std is not None:
        return f"{measure.value:.1f} ± {measure.std:.1f}"
    return f"{measure.value:.1f}"


def _best(measures: Sequence[Measure], blocks: Sequence[int], column: Column) -> set[int]:
    """Indices of the rows that hold the best value of their block; none where a block has a single row."""
    best = set()
    for block in set(blocks):
        values = {
            r: round(measure.value, 1)
            for r, measure in enumerate(measures)
            if blocks[r] == block and measure.value is not None
        }
        if len(values) > 1:
            choose = min if column.metric in _SMALLER_IS_BETTER else max
            winner = choose(values.values())
            best |= {r for r, value in values.items() if value == winner}
    return best


def _groups(columns: Sequence[Column]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    groups: list[tuple[str, list[str]]] = []
    for column in columns:
        if not groups or groups[-1][0] != column.group:
            groups.append((column.group, []))
        groups[-1][1].append(column.heading or HEADINGS[column.metric])
    return tuple((group, tuple(headings)) for group, headings in groups)
