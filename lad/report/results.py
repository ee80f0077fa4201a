"""What a results folder holds, and the part of it that one artifact is drawn from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources.abc import Traversable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lad import catalog, query
from lad.grid import Scoring
from lad.report.artifact import ArtifactError
from lad.report.measures import Measures
from lad.report.needs import Available, Condition, Needs, wanted_keys

if TYPE_CHECKING:
    import duckdb

MAKERS: Final = {
    "images": "`lad images`",
    "questions": "`lad questions`",
    "presentations": "`lad presentations`",
    "signals": "`lad extract`",
    "position_bias": "`lad calibrate`",
    "attention_prior": "`lad calibrate`",
    "predictions": "`lad score`",
    "metrics": "`lad evaluate`",
    "differences": "`lad evaluate --differences`",
    "comparisons": "`lad compare`",
    "choices": "`lad choices`",
    "lists": "`lad lists`",
    "rankings": "`lad rankings`",
}
"""What produces the files of a relation."""


class Measured(Available):
    """All that a results folder holds.

    Other jobs may write to the folder meanwhile: a file that comes or goes between two looks is none. What an artifact
    needs is there for good before it is drawn.
    """

    place = "the results"

    def __init__(self, results: Path) -> None:
        self._results = results
        # What is there is looked at once: else a drawing might find more than its needs named.
        self._found = cache(lambda relation: [*map(Scoring.of, catalog.RELATIONS[relation].partitions(results))])
        self._named = cache(self._read_named)

    def scorings(self, relation: str = "metrics") -> Collection[Scoring]:
        return sorted(self._found(relation))

    def methods(self, scoring: Scoring, relation: str = "metrics") -> Collection[tuple[str, str]]:
        return self._named(scoring, relation)

    def _read_named(self, scoring: Scoring, relation: str) -> dict[tuple[str, str], None]:
        path = catalog.RELATIONS[relation].path(self._results, **scoring.keys)
        try:
            table = pq.read_table(path, columns=["method", "variant"], partitioning=None)
        except FileNotFoundError:
            return {}
        named = table.group_by(["method", "variant"], use_threads=False).aggregate([])
        return dict.fromkeys(zip(named["method"].to_pylist(), named["variant"].to_pylist(), strict=True))

    def refusal(self, what: str, *, run: str, command: str) -> ArtifactError:
        return ArtifactError(f"metrics hold {what}; {command}")

    def check(self, needs: Needs) -> None:
        for relation, conditions in (("metrics", needs.scores), ("predictions", (*needs.answers, *needs.timings))):
            for condition in conditions:
                if not self.has(condition, relation):
                    raise self._unmeasured(condition, relation)
        for relation, files in needs.files(self._results).items():
            for file in files:
                if not file.exists():
                    raise ArtifactError(f"{relation} of {_place(file)} are missing; {MAKERS[relation]} produces them")
        for scoring, formulation in needs.priors:
            path = catalog.RELATIONS["attention_prior"].path(self._results, **scoring.calibration_keys)
            fitted = pq.read_table(path, columns=["formulation"], partitioning=None)
            if not pc.any(pc.equal(fitted["formulation"], formulation)).as_py():
                raise ArtifactError(
                    f"attention_prior of {_place(path)} has no {formulation} formulation; `lad calibrate --formulation"
                    f" {formulation}` produces it"
                )

    def _unmeasured(self, condition: Condition, relation: str) -> ArtifactError:
        missing = self.first_missing(wanted_keys(condition), relation)
        assert missing is not None, f"{condition} is measured"
        there = ", ".join(missing.known) or "nothing"
        steps = {"method": "", "source": "`lad calibrate` and ", "calibration_questions": "`lad calibrate` and "}
        before = steps.get(missing.key, "`lad extract`, `lad calibrate` and ")
        commands = f"{before}`lad score --method {quote(condition.specification)}`"
        after = ", then `lad evaluate`, produce it" if relation == "metrics" else " produce it"
        return ArtifactError(
            f"{relation} of model {condition.model} on dataset {condition.dataset} have no {condition}: there is no"
            f" {missing}, but {there}; {commands}{after}"
        )


@dataclass(frozen=True)
class Results:
    """The part of a results folder that an artifact needs.

    Attributes:
        connection: has the relations with the needed files alone. A query of one cell need not say which.
    """

    connection: duckdb.DuckDBPyConnection
    available: Available
    measures: Measures

    def ask(self, sql: Traversable, **parameters: Any) -> pa.Table:
        """The result of a query on what the artifact needs."""
        return query.on(self.connection, sql, parameters)


@contextmanager
def opened(folder: Path, choose: Callable[[Available], Needs]) -> Iterator[Results]:
    """The part of a results folder that is chosen from what it holds.

    Raises:
        ArtifactError: it is not there. The message names what is missing and what produces it.
        FileNotFoundError, CatalogError: there is no such folder, or it holds no results.
    """
    catalog.refuse_unfit(folder)
    available = Measured(folder)
    needs = choose(available)
    available.check(needs)
    with catalog.connect(folder, needs.files(folder)) as connection:
        # One thread takes sums in the order of rows, so that the same results give the same bytes.
        connection.execute("set threads = 1")
        yield Results(connection, available, Measures(connection, needs))


def _place(file: Path) -> str:
    """The partition of a file in words: model demo, dataset scenes, n = 4 ..."""
    pairs = [part.split("=", 1) for part in file.parts if "=" in part]
    return ", ".join(f"{key} = {value}" if key == "n" else f"{key} {value}" for key, value in pairs)
