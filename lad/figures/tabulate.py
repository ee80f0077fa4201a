"""Put a table together: rows and columns say which condition they stand for, cells look up its score.

The best value of each column is marked, as it is printed: two values that round to the same are both best. A column
may show, instead of a score, by how much a reference is ahead of the row: the paired difference with its interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from lad.figures.content import ArtifactError, Cell, Line, Table
from lad.figures.measures import Condition, Difference, Key, Measure, Measures
from lad.figures.wording import interval, signed

ABSENT: Final = "–"
_SMALLER_IS_BETTER: Final = {"rstd"}

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


def tabulate(
    measures: Measures, stub: tuple[str, ...], rows: Sequence[Row], columns: Sequence[Column], facts: dict[str, str]
) -> Table:
    """The table of those rows and columns.

    Raises:
        ArtifactError: a score is missing in a row that is not optional, or in part of an optional row.
    """
    rows = [row for row in rows if not row.optional or _measured(measures, row, columns)]
    grid = [[measures.get(_condition(measures, row, column), column.metric) for column in columns] for row in rows]
    best = [_best([line[c] for line in grid], [row.block for row in rows], columns[c]) for c in range(len(columns))]
    lines = []
    for r, row in enumerate(rows):
        cells = []
        for c, column in enumerate(columns):
            if column.reference is None:
                cells.append(Cell(_text(grid[r][c], column), best=r in best[c]))
            else:
                cells.append(Cell(_lead_text(_lead(measures, row, column))))
        lines.append(Line(row.labels, tuple(cells), row.block))
    return Table(stub, _groups(columns), tuple(lines), _records(measures, rows, columns), facts)


def stack(heading: str, parts: Mapping[str, Table]) -> Table:
    """Tables of the same columns one below the other, each with its name in a first label column of that heading."""
    first = next(iter(parts.values()))
    lines: list[Line] = []
    for name, part in parts.items():
        offset = lines[-1].block + 1 if lines else 0
        lines += [Line((name, *line.labels), line.cells, line.block + offset) for line in part.lines]
    records = pa.concat_tables([part.records for part in parts.values()])
    return Table((heading, *first.stub), first.groups, tuple(lines), records, first.facts)


def lead_of(method: str, group: str, keys: Mapping[str, Key], heading: str) -> Column:
    """The column that says by how many points a method, asked plainly, is ahead of each row."""
    return Column(group, "accuracy", keys, heading, reference={"method": method})


def _lead(measures: Measures, row: Row, column: Column) -> Difference | None:
    assert column.reference is not None
    # What the row says of its questions holds for the reference; how they were asked and answered does not.
    shared = {key: value for key, value in row.keys.items() if key in ("setting", "n")}
    reference = measures.condition(**{**shared, **column.keys, **column.reference})
    return measures.difference(reference, _condition(measures, row, column))


def _lead_text(lead: Difference | None) -> str:
    if lead is None:
        return ABSENT
    value = f"{'+' * (round(lead.value, 1) > 0)}{signed(lead.value)}"
    return value if lead.low is None else f"{value} ({interval(lead)})"


def _records(measures: Measures, rows: Sequence[Row], columns: Sequence[Column]) -> pa.Table:
    """What the CSV file holds: one row per cell, a lead as the metric lead_of_<reference>."""
    records = []
    for row in rows:
        for column in columns:
            (record,) = measures.select([(_condition(measures, row, column), column.metric)]).to_pylist()
            if column.reference is not None:
                lead = _lead(measures, row, column)
                metric = f"lead_of_{column.reference['method']}"
                record |= {"metric": metric, "std": None, "value": None, "low": None, "high": None}
                record |= {"value": lead.value, "low": lead.low, "high": lead.high} if lead else {}
            records.append(record)
    return pa.Table.from_pylist(records, schema=measures.records.schema)


def _condition(measures: Measures, row: Row, column: Column) -> Condition:
    return measures.condition(**row.keys, **column.keys)


def _measured(measures: Measures, row: Row, columns: Sequence[Column]) -> bool:
    """Whether the row was measured at all; where only half of it was, something went wrong and is not hidden."""
    present = [_condition(measures, row, column) in measures for column in columns]
    if any(present) and not all(present):
        absent = _condition(measures, row, columns[present.index(False)])
        raise ArtifactError(f"{' '.join(row.labels)} was measured in part only: there is no {absent} in metrics")
    return all(present)


def _text(measure: Measure, column: Column) -> str:
    if measure.value is None:
        return ABSENT
    if column.metric == "accuracy" and column.with_std and measure.std is not None:
        return f"{measure.value:.1f} ± {measure.std:.1f}"
    return f"{measure.value:.1f}"


def _best(measures: Sequence[Measure], blocks: Sequence[int], column: Column) -> set[int]:
    """Indices of the rows that hold the best value of their block; none where a block has a single row."""
    if column.reference is not None:
        return set()
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
