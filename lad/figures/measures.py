"""The scores of one model on one dataset, looked up by condition: what every table is put together from."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Final

import duckdb
import pyarrow as pa

from lad import query
from lad.evaluation.differences import differences
from lad.figures.content import ArtifactError, Options
from lad.grid import CalibrationSource

MEASURES_SQL: Final = files("lad.figures") / "measures.sql"
DIFFERENCES_SQL: Final = files("lad.figures") / "differences.sql"
ANSWERS_SQL: Final = files("lad.figures") / "answers.sql"

Key = str | int | CalibrationSource
"""What a condition says of one thing."""


@dataclass(frozen=True)
class Condition:
    """What a score was measured under: which questions, how they were asked, which method answered."""

    setting: str
    n: int
    method: str
    variant: str = ""
    probe: str = "vanilla"
    calibrated_on: CalibrationSource | None = None
    calibration_questions: int = 0

    def __str__(self) -> str:
        method = f"{self.method};{self.variant}" if self.variant else self.method
        return (
            f"{method} (setting {self.setting}, n = {self.n}, probe {self.probe}, calibrated on"
            f" {self.calibration_questions} questions of {self.calibrated_on})"
        )


def own_condition(options: Options, **keys: Key) -> Condition:
    """The condition with these keys, by default calibrated on its own setting with the configured budget."""
    condition = Condition(**keys)  # type: ignore[arg-type]
    return replace(
        condition,
        calibrated_on=condition.calibrated_on or CalibrationSource(options.dataset, condition.setting),
        calibration_questions=condition.calibration_questions or options.calibration_questions,
    )


@dataclass(frozen=True)
class Measure:
    """A score in percent; `std` over the orders, `low` and `high` bound the 95 % interval over questions."""

    value: float | None
    std: float | None
    low: float | None
    high: float | None


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
    """All scores of one model on one dataset.

    `measures(setting="random", n=4, method="agd")` is an accuracy; what is not said is the configured default.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, options: Options) -> None:
        self.options = options
        self._connection = connection
        of = {"model": options.model, "dataset": options.dataset}
        self.records = query.on(connection, MEASURES_SQL, of)
        records = self.records.to_pylist()
        self._row = {_key(record): row for row, record in enumerate(records)}
        self._measure = {
            key: Measure(*(records[row][name] for name in ("value", "std", "low", "high")))
            for key, row in self._row.items()
        }
        self._difference: dict[tuple[Condition, Condition], Difference | None] = {
            _pair(record): Difference(record["value"], record["low"], record["high"])
            for record in query.on(connection, DIFFERENCES_SQL, of).to_pylist()
        }

    def condition(self, **keys: Key) -> Condition:
        """The condition with these keys, by default calibrated on its own setting with the configured budget."""
        return own_condition(self.options, **keys)

    @property
    def sources(self) -> list[CalibrationSource]:
        """The calibration questions that some score was measured after."""
        return list({condition.calibrated_on: None for condition, _ in self._measure if condition.calibrated_on})

    def __contains__(self, condition: Condition) -> bool:
        return (condition, "accuracy") in self._measure

    def get(self, condition: Condition, metric: str = "accuracy") -> Measure:
        """The score under that condition.

        Raises:
            ArtifactError: if it was not measured; the message says which command measures it.
        """
        if (condition, metric) not in self._measure:
            raise ArtifactError(
                f"metrics of model {self.options.model} on dataset {self.options.dataset} have no {metric} of"
                f" {condition}; `lad score` with that method, then `lad evaluate`, produce it"
            )
        return self._measure[condition, metric]

    def __call__(self, metric: str = "accuracy", /, **keys: Key) -> Measure:
        return self.get(self.condition(**keys), metric)

    def difference(self, ours: Condition, theirs: Condition) -> Difference | None:
        """The paired difference in accuracy; None where the two did not answer the same questions.

        Of methods that were measured together the relation `differences` has it. Those asked by different probes, or
        calibrated differently, are compared here.
        """
        if (ours, theirs) not in self._difference:
            together = replace(theirs, method=ours.method, variant=ours.variant) == ours
            self._difference[ours, theirs] = None if together else self._compare(ours, theirs)
        return self._difference[ours, theirs]

    def _compare(self, ours: Condition, theirs: Condition) -> Difference | None:
        if (ours.setting, ours.n) != (theirs.setting, theirs.n):
            return None
        names = {"ours": ours, "theirs": theirs}
        answers = [
            query.on(
                self._connection,
                ANSWERS_SQL,
                {
                    **{key: value for key, value in vars(condition).items() if key != "calibrated_on"},
                    **(condition.calibrated_on.keys if condition.calibrated_on else {}),
                    "model": self.options.model,
                    "dataset": self.options.dataset,
                    "name": name,
                },
            )
            for name, condition in names.items()
        ]
        if not all(len(of_one) for of_one in answers):
            return None
        resamples, seed = self.options.resamples, self.options.seed
        compared = differences(pa.concat_tables(answers), resamples=resamples, seed=seed).to_pylist()
        lead = next((row for row in compared if row["method"] == "ours"), None)
        return lead and Difference(lead["value"], lead["low"], lead["high"])

    def select(self, conditions: Iterable[tuple[Condition, str]]) -> pa.Table:
        """The records of those conditions and metrics, in that order."""
        return self.records.take([self._row[key] for key in conditions])


def _key(record: dict[str, str | int]) -> tuple[Condition, str]:
    return _condition(record), str(record["metric"])


def _pair(record: dict[str, str | int]) -> tuple[Condition, Condition]:
    ours = _condition(record)
    return ours, replace(ours, method=str(record["against"]), variant=str(record["against_variant"]))


def _condition(record: dict[str, str | int]) -> Condition:
    return Condition(
        setting=str(record["setting"]),
        n=int(record["n_candidates"]),
        method=str(record["method"]),
        variant=str(record["variant"]),
        probe=str(record["probe"]),
        calibrated_on=CalibrationSource(
            str(record["calibration_dataset"]),
            str(record["calibration_setting"]),
            str(record["calibration_split"]),
            int(record["calibration_set"]),
        ),
        calibration_questions=int(record["calibration_questions"]),
    )
