"""Table 5: tasks that are not retrieval by caption, those of MMIU or of another dataset in its format.

The last column is AGD's RStd minus vanilla's in points: below 0, recall became more even over positions. The published
values (-39.7 to -6.0) have that sign; that they are points, and not percent of vanilla's RStd, is our reading. Differs
from the paper: a task whose questions differ in their number of images has a row for each N, because neither the bias
nor recall by position means anything across N.
"""

from collections.abc import Mapping
from typing import Final

import duckdb
import pyarrow as pa

from lad.figures.content import Cell, Line, Options, Table
from lad.figures.measures import Measures
from lad.figures.style import METHODS
from lad.figures.tabulate import HEADINGS
from lad.figures.wording import Pair, comparison, known, listed, points, signed

METHOD_COLUMNS: Final = ("vanilla", "purified_attention", "agd")

Keys = Mapping[str, str | int]
"""The part of a condition that a row fixes: task (as its setting), N and probe."""


def draw(connection: duckdb.DuckDBPyConnection, options: Options) -> Table:
    """Each task in `options.settings` at each N in `options.ns` that it was measured at, asked by the first probe."""
    measures = Measures(connection, options)
    rows = [row for task in options.settings for row in _rows(measures, task)]
    headings = tuple(METHODS[method].name for method in METHOD_COLUMNS)
    groups = ((HEADINGS["accuracy"], headings), ("RStd (points)", ("Change by AGD",)))
    return Table(
        ("Task", "N"),
        groups,
        tuple(_line(measures, row) for row in rows),
        pa.concat_tables(_records(measures, row) for row in rows),
        _facts(measures, rows),
    )


def _rows(measures: Measures, task: str) -> list[Keys]:
    """The task at every N where vanilla was scored; an error, as for any missing score, where there is none."""
    options = measures.options
    rows: list[Keys] = [{"setting": task, "n": n, "probe": options.probes[0]} for n in options.ns]
    measured = [row for row in rows if measures.condition(**row, method="vanilla") in measures]
    if not measured:
        measures(**rows[0], method="vanilla")
    return measured


def _line(measures: Measures, row: Keys) -> Line:
    accuracies = [f"{known(measures(**row, method=method)):.1f}" for method in METHOD_COLUMNS]
    best = max(accuracies, key=float)
    cells = [Cell(accuracy, best=accuracy == best) for accuracy in accuracies]
    return Line((str(row["setting"]), str(row["n"])), (*cells, Cell(signed(_change(measures, row)))))


def _records(measures: Measures, row: Keys) -> pa.Table:
    """The row's values in the layout of the published results; the change stands as AGD's metric `rstd_change`."""
    accuracies = measures.select([(measures.condition(**row, method=method), "accuracy") for method in METHOD_COLUMNS])
    (rstd,) = measures.select([(measures.condition(**row, method="agd"), "rstd")]).to_pylist()
    change = {"metric": "rstd_change", "value": _change(measures, row), "std": None, "low": None, "high": None}
    return pa.concat_tables([accuracies, pa.Table.from_pylist([rstd | change], schema=accuracies.schema)])


def _change(measures: Measures, row: Keys) -> float:
    """AGD's RStd minus vanilla's, in points."""
    after, before = (known(measures("rstd", **row, method=method)) for method in ("agd", "vanilla"))
    return after - before


def _facts(measures: Measures, rows: list[Keys]) -> dict[str, str]:
    compared = {
        against: comparison(
            [Pair.measured(measures, _where(row), "agd", against, **row) for row in rows], "agd", against
        )
        for against in ("vanilla", "purified_attention")
    }
    changes = listed([f"{points(_change(measures, row))} {_where(row)}" for row in rows])
    return {
        "against_vanilla": compared["vanilla"],
        "against_purified": compared["purified_attention"],
        "changes": changes,
    }


def _where(row: Keys) -> str:
    return f"on {row['setting']} (N = {row['n']})"
