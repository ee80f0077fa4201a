"""Table 5: tasks that are not retrieval by caption, those of MMIU or of another dataset in its format.

The last column is AGD's RStd minus vanilla's in points: below 0, recall became more even over positions. The published
values (-39.7 to -6.0) have that sign; that they are points, and not percent of vanilla's RStd, is our reading. Differs
from the paper: a task whose questions differ in their number of images has a row for each N, because neither the bias
nor recall by position means anything across N.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import pyarrow as pa

from lad.benchmark.formats.mmiu import PAPER_TASKS
from lad.extraction.prompts import MAX_CANDIDATES
from lad.report.artifact import PAIRED, Artifact, Cell, Line, Table
from lad.report.measures import Measures
from lad.report.needs import Available, Condition, Contest, Needs
from lad.report.options import ArtifactOptions, Sizes
from lad.report.results import Results
from lad.report.style import METHODS
from lad.report.tabulate import HEADINGS
from lad.report.wording import known, listed, outcome, points, signed

METHOD_COLUMNS: Final = ("vanilla", "purified_attention", "agd")

Answers = Mapping[str, Condition]
"""What a row shows, a task at one N: by method."""


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    settings: Annotated[tuple[str, ...], "tasks, one below the other"] = tuple(PAPER_TASKS)
    ns: Sizes = tuple(range(2, MAX_CANDIDATES + 1))
    probes: Annotated[tuple[str, ...], "how the tasks are asked: by the first of these"] = ("question",)


def needs(available: Available, options: Options) -> Needs:
    rows = _rows(available, options)
    shown = Needs(scores=tuple(condition for row in rows for condition in row.values()))
    return shown + Needs.of(_contests(rows, "vanilla") + _contests(rows, "purified_attention"))


def _rows(available: Available, options: Options) -> list[Answers]:
    """Each task at every N where vanilla is there; at the first, whose needs are then refused, where it is nowhere."""
    rows = []
    for task in options.settings:
        sized: list[Answers] = [
            {
                method: options.condition(setting=task, n=n, probe=options.probes[0], method=method)
                for method in METHOD_COLUMNS
            }
            for n in options.ns
        ]
        rows += [row for row in sized if available.has(row["vanilla"])] or sized[:1]
    return rows


def _contests(rows: list[Answers], against: str) -> list[Contest]:
    return [Contest(_where(row), row["agd"], row[against]) for row in rows]


def draw(results: Results, options: Options) -> Table:
    """Each task at each N that it was measured at."""
    measures = results.measures
    rows = _rows(results.available, options)
    headings = tuple(METHODS[method].name for method in METHOD_COLUMNS)
    facts = {
        "against_vanilla": outcome(measures, _contests(rows, "vanilla")),
        "against_purified": outcome(measures, _contests(rows, "purified_attention")),
        "changes": listed([f"{points(_change(measures, row))} {_where(row)}" for row in rows]),
    }
    return Table(
        ("Task", "N"),
        ((HEADINGS["accuracy"], headings), ("RStd (points)", ("Change by AGD",))),
        tuple(_line(measures, row) for row in rows),
        pa.concat_tables(_records(measures, row) for row in rows),
        facts,
    )


def _line(measures: Measures, row: Answers) -> Line:
    accuracies = [f"{known(measures.get(condition)):.1f}" for condition in row.values()]
    best = max(accuracies, key=float)
    cells = [Cell(accuracy, best=accuracy == best) for accuracy in accuracies]
    asked = row["vanilla"]
    return Line((asked.setting, str(asked.n)), (*cells, Cell(signed(_change(measures, row)))))


def _records(measures: Measures, row: Answers) -> pa.Table:
    """The row's values in the layout of the published results; the change stands as AGD's metric `rstd_change`."""
    accuracies = measures.select([(condition, "accuracy") for condition in row.values()])
    (rstd,) = measures.select([(row["agd"], "rstd")]).to_pylist()
    change = {"metric": "rstd_change", "value": _change(measures, row), "std": None, "low": None, "high": None}
    return pa.concat_tables([accuracies, pa.Table.from_pylist([rstd | change], schema=accuracies.schema)])


def _change(measures: Measures, row: Answers) -> float:
    """AGD's RStd minus vanilla's, in points."""
    return known(measures.get(row["agd"], "rstd")) - known(measures.get(row["vanilla"], "rstd"))


def _where(row: Answers) -> str:
    asked = row["vanilla"]
    return f"on {asked.setting} (N = {asked.n})"


ARTIFACT: Final = Artifact(
    name="table5",
    kind="table",
    order=140,
    title="Table 5. Other tasks of choosing among images",
    caption="Accuracy by task and number of candidates, and the change of RStd from vanilla to AGD: below 0,"
    " recall became more even over positions. Calibrated on other questions of the same task." + PAIRED,
    sentence="{against_vanilla}. {against_purified}. RStd changes by {changes}.",
    in_runs="`vanilla`, `purified_attention` and `agd` of each task at one N or more, asked by the first of the probes",
    options=Options,
    needs=needs,
    draw=draw,
)
