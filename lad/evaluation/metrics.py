"""Metrics: how often a method is right, and how much that hangs on the order in which candidates are shown.

Each metric is one query in metric_queries/, whose first lines say what it is and whose name is its own: a new file
there is a new metric. For an interval besides, `bootstrap.QuestionSums.metrics` has its arithmetic once more, on sums.

The paper's RStd is the sample standard deviation (ddof 1) of recall over target positions, which its text leaves
open; PriDe's original divides by N. The intervals are an addition to the paper, which gives the standard deviation
over orders only. Chi-squared, Cramer's V, flips and preference fairness are those of its peers.
"""

from collections import defaultdict
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from lad import contracts, parquet, query
from lad.evaluation.bootstrap import Floats, QuestionSums, intervals, question_sums
from lad.refusal import Refusal

_SQL: Final = files("lad.evaluation")
QUERIES: Final = {
    query.name.removesuffix(".sql"): query
    for query in sorted((_SQL / "metric_queries").iterdir(), key=lambda query: query.name)
    if query.name.endswith(".sql")
}
"""By metric the query of its values, percent unless it says otherwise.

Relation in: predictions. Columns out: method, variant, n_candidates, value; target_position and position where the
metric has them; std.
"""

_CELL: Final = ("method", "variant", "n_candidates")
_INTERVALS: Final = pa.schema(
    [
        ("method", pa.string()),
        ("variant", pa.string()),
        ("n_candidates", pa.int32()),
        ("metric", pa.string()),
        ("target_position", pa.int32()),
        ("position", pa.int32()),
        ("low", pa.float64()),
        ("high", pa.float64()),
    ]
)

_MEASURED: Final = pa.schema([*[*_INTERVALS][:6], ("value", pa.float64()), ("std", pa.float64())])

Cell = tuple[Any, ...]


class EvaluationError(Refusal):
    """Predictions that cannot be evaluated together; the message says why."""


def evaluate(predictions: pa.Table, *, resamples: int = 2000, seed: int = 0) -> pa.Table:
    """Metrics of each method, variant and N in the predictions, with 95 % intervals.

    Windows of lists without a right candidate are left out: nobody can be right there, and no position is the target's.

    Args:
        predictions: of the contract of that name; any number of methods and variants.
        resamples: bootstrap resamples of the questions; 0 for no intervals.
        seed: of the resamples; the same questions and seed draw the same resamples for every method.

    Returns:
        A metrics table. What `QuestionSums.metrics` knows has intervals.

    Raises:
        EvaluationError: as `refuse_unfit`, or no question with a right candidate.
    """
    predictions = with_right_candidate(predictions)
    metrics = query.run(
        _SQL / "metrics.sql",
        {
            "predictions": predictions,
            "measured": pa.concat_tables(_measured(name, predictions) for name in QUERIES),
            "intervals": _interval_table(predictions, resamples, seed),
        },
    )
    return parquet.conform(metrics, contracts.METRICS, "metrics")


def _measured(metric: str, predictions: pa.Table) -> pa.Table:
    """The values of one metric; columns that its query does not have are null."""
    found = query.run(QUERIES[metric], {"predictions": predictions})
    columns = {
        field.name: found[field.name].cast(field.type)
        if field.name in found.column_names
        else pa.nulls(len(found), field.type)
        for field in _MEASURED
    }
    columns["metric"] = pa.array([metric] * len(found), pa.string())
    return pa.table(columns, schema=_MEASURED)


def describe() -> str:
    """The metrics with their meanings as a Markdown table, for docs/metrics.md."""
    lines = ["| metric | what it is |", "|---|---|"]
    for name, file in QUERIES.items():
        meaning = []
        for line in file.read_text(encoding="utf-8").splitlines():
            if not line.startswith("--"):
                break
            meaning.append(line.removeprefix("--").strip())
        lines.append(f"| [`{name}`](../lad/evaluation/metric_queries/{name}.sql) | {' '.join(meaning)} |")
    return "\n".join(lines)


def with_right_candidate(predictions: pa.Table) -> pa.Table:
    """The predictions of questions that can be answered right: all, but for windows of lists with nothing relevant.

    Raises:
        EvaluationError: as `refuse_unfit`, or none is left.
    """
    refuse_unfit(predictions)
    kept = predictions.filter(pc.field("target_position").is_valid())
    if not len(kept):
        raise EvaluationError("no window has a right candidate: there is no accuracy to measure; `lad rankings` ranks")
    return kept


def without_right_candidate(predictions: pa.Table) -> int:
    """How many questions are windows of lists with nothing relevant, so that no answer is right."""
    nothing = pc.field("target_position").is_null() & pc.field("correct").is_valid()
    return int(pc.count_distinct(predictions.filter(nothing)["question_id"]).as_py())


def refuse_unfit(predictions: pa.Table) -> None:
    """Refuse what cannot be evaluated.

    Raises:
        EvaluationError: no predictions, an unknown target, or a presentation answered twice by one method and variant.
    """
    if not len(predictions):
        raise EvaluationError("there are no predictions to evaluate")
    unknown = predictions.filter(pc.field("correct").is_null())
    if len(unknown):
        raise EvaluationError(
            f"the target of presentation {unknown['presentation_id'][0].as_py()} is unknown: nobody can say whether the"
            " answer is right; evaluate predictions of questions whose target is known"
        )
    answers = predictions.group_by([*_CELL, "presentation_id"]).aggregate([([], "count_all")])
    if len(answers) < len(predictions):
        method, variant, _, presentation, times = (
            answers.filter(pc.field("count_all") > 1).slice(0, 1).to_pylist()[0].values()
        )
        raise EvaluationError(
            f"{method} (variant '{variant}') answers presentation {presentation} {times} times; evaluate each"
            " model, dataset and probe on its own"
        )


def by_cell(predictions: pa.Table) -> Iterator[tuple[Cell, pa.Table]]:
    """The predictions of each method, variant and N."""
    for row in predictions.group_by(list(_CELL)).aggregate([]).to_pylist():
        of_cell = [pc.field(name) == value for name, value in row.items()]
        yield tuple(row.values()), predictions.filter(of_cell[0] & of_cell[1] & of_cell[2])


def _interval_table(predictions: pa.Table, resamples: int, seed: int) -> pa.Table:
    """Low and high of every metric that has an interval, one row per value."""
    rows: list[dict[str, Any]] = []
    if resamples:
        for cells in _cells_by_questions(predictions).values():
            for cell, bounds in zip(cells, intervals(list(cells.values()), resamples, seed), strict=True):
                rows.extend(_interval_rows(cell, bounds))
    return pa.Table.from_pylist(rows, schema=_INTERVALS)


def _cells_by_questions(predictions: pa.Table) -> dict[tuple[str, ...], dict[Cell, QuestionSums]]:
    """Per set of questions the methods that answered it: they are resampled together."""
    cells: dict[tuple[str, ...], dict[Cell, QuestionSums]] = defaultdict(dict)
    for cell, answers in by_cell(predictions):
        questions, sums = question_sums(answers)
        cells[questions][cell] = sums
    return cells


def _interval_rows(cell: Cell, bounds: dict[str, Floats]) -> list[dict[str, Any]]:
    position_column = {"recall": "target_position", "selection_rate": "position"}
    rows = []
    for metric, (lows, highs) in bounds.items():
        for place, (low, high) in enumerate(zip(lows.tolist(), highs.tolist(), strict=True), start=1):
            row = dict(zip(_CELL, cell, strict=True)) | {"metric": metric}
            if metric in position_column:
                row[position_column[metric]] = place
            # NaN, where no resample defines the metric, is null in tables.
            rows.append(row | {"low": None if low != low else low, "high": None if high != high else high})
    return rows
