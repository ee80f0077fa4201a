"""The scores and paired differences that an artifact needs, looked up by condition."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from lad import query
from lad.grid import Scoring
from lad.report.artifact import ArtifactError
from lad.report.needs import Condition, Needs

if TYPE_CHECKING:
    import duckdb

MEASURES_SQL: Final = files("lad.report") / "measures.sql"
POSITIONS_SQL: Final = files("lad.report") / "positions.sql"
LEADS_SQL: Final = files("lad.report") / "leads.sql"


@dataclass(frozen=True)
class Measure:
    """A score, mostly in percent; `std` over the orders, `low` and `high` bound the 95 % interval over questions.

    Attributes:
        questions, presentations: how many it was measured on.
    """

    value: float | None
    std: float | None
    low: float | None
    high: float | None
    questions: int = 0
    presentations: int = 0


@dataclass(frozen=True)
class Difference:
    """Points by which one method is ahead of another on the same questions; `low` and `high` as in a measure."""

    value: float
    low: float | None
    high: float | None

    @property
    def side(self) -> int:
        """1 or -1 where the interval lies above or below 0 as it is printed, else, or without an interval, 0."""
        if self.low is None or self.high is None:
            return 0
        return (round(self.low, 1) > 0) - (round(self.high, 1) < 0)


class Measures:
    """What an artifact needs of `metrics`, `differences` and `comparisons`.

    Asked about what the artifact does not name in its needs, each look-up raises a LookupError: its drawing would not
    wait for that, nor be drawn again when it changes.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, needs: Needs) -> None:
        self._connection = connection
        self._scores = set(needs.scores)
        self._leads = set(needs.leads)
        table = query.on(connection, MEASURES_SQL)
        records = table.to_pylist()
        self._row = {(_condition(record), str(record["metric"])): row for row, record in enumerate(records)}
        self._measure = {
            key: Measure(
                *(records[row][name] for name in ("value", "std", "low", "high", "questions", "presentations"))
            )
            for key, row in self._row.items()
        }
        self.records = table.drop_columns("presentations")
        self._difference = {
            pair: Difference(record["value"], record["low"], record["high"])
            for record in query.on(connection, LEADS_SQL).to_pylist()
            if (pair := _pair(record)) in self._leads
        }

    def get(self, condition: Condition, metric: str = "accuracy") -> Measure:
        """The score under that condition.

        Raises:
            ArtifactError: the metrics are from a version that did not know this one.
        """
        self._require(condition, self._scores)
        if (condition, metric) not in self._measure:
            raise ArtifactError(f"metrics of {condition} have no {metric}; `lad evaluate` makes them anew")
        return self._measure[condition, metric]

    def difference(self, ours: Condition, theirs: Condition) -> Difference | None:
        """The paired difference in accuracy; None where the two did not answer the same questions."""
        self._require((ours, theirs), self._leads)
        return self._difference.get((ours, theirs))

    def by_position(self, condition: Condition) -> list[dict[str, Any]]:
        """The scores that positions have: recall, selection_rate and confusion, one row each."""
        self._require(condition, self._scores)
        keys = {**condition.scoring.keys, "method": condition.method, "variant": condition.variant}
        rows: list[dict[str, Any]] = query.on(self._connection, POSITIONS_SQL, keys).to_pylist()
        return rows

    def select(self, conditions: Iterable[tuple[Condition, str]]) -> pa.Table:
        """The records of those conditions and metrics, in that order."""
        chosen = list(conditions)
        for condition, _ in chosen:
            self._require(condition, self._scores)
        return self.records.take([self._row[key] for key in chosen])

    def _require(self, asked: Any, needed: set[Any]) -> None:
        if asked not in needed:
            raise LookupError(f"the artifact shows what its needs do not name: {asked}")


def _condition(record: dict[str, Any]) -> Condition:
    scoring = Scoring.of({**record, "n": record["n_candidates"]})
    return Condition.of(scoring, record["method"], record["variant"])


def _pair(record: dict[str, Any]) -> tuple[Condition, Condition]:
    ours = _condition(record)
    theirs = replace(ours, method=record["against"], variant=record["against_variant"])
    if record["is_reference"] is None:
        return ours, theirs
    reference = ours.scoring.plain(record["reference_calibration_questions"])
    if record["is_reference"]:
        return Condition.of(reference, ours.method, ours.variant), theirs
    return ours, Condition.of(reference, theirs.method, theirs.variant)
