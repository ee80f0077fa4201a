"""The grid of a configuration: what is extracted, and which methods answer it after which calibration.

A configuration lists runs; each run is a small cross product, and runs that meet in the same cell add up. Everything
the workflow does follows from here, so the whole plan is known before the first job.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from lad.extraction.prompts import get_probe
from lad.scoring.methods import Method, parse_method


@dataclass(frozen=True, order=True)
class Benchmark:
    """Questions of one dataset, setting and N."""

    dataset: str
    setting: str
    n: int


@dataclass(frozen=True, order=True)
class Cell:
    """A benchmark put to one model by one probe."""

    model: str
    dataset: str
    setting: str
    n: int
    probe: str

    @property
    def benchmark(self) -> Benchmark:
        return Benchmark(self.dataset, self.setting, self.n)

    def calibrated_on(self, source: str) -> "Cell":
        """The cell whose calibration questions serve this one; `source` is `<dataset>-<setting>`."""
        dataset, _, setting = source.rpartition("-")
        return Cell(self.model, dataset, setting, self.n, self.probe)


@dataclass(frozen=True, order=True)
class Scoring:
    """A cell, answered after calibration on some questions of a source."""

    cell: Cell
    calibrated_on: str
    calibration_questions: int

    @property
    def calibration_cell(self) -> Cell:
        return self.cell.calibrated_on(self.calibrated_on)


@dataclass(frozen=True)
class Grid:
    """All scorings of a configuration with their method specifications, in the order of the configuration."""

    methods: Mapping[Scoring, tuple[str, ...]]

    @cached_property
    def cells(self) -> list[Cell]:
        return sorted({scoring.cell for scoring in self.methods})

    def needs_calibration(self, scoring: Scoring) -> bool:
        """Whether any method of the scoring uses what was fitted on calibration questions."""
        return any(_method(specification).needs_calibration for specification in self.methods[scoring])

    @cached_property
    def calibrations(self) -> dict[Cell, int]:
        """Cells whose calibration split is extracted, with the number of calibration questions needed."""
        needed: dict[Cell, int] = {}
        for scoring in self.methods:
            if self.needs_calibration(scoring):
                cell = scoring.calibration_cell
                needed[cell] = max(needed.get(cell, 0), scoring.calibration_questions)
        return needed

    @cached_property
    def splits(self) -> dict[Cell, set[str]]:
        """Splits of evaluation questions that the methods of each cell look at."""
        splits: dict[Cell, set[str]] = {}
        for scoring, specifications in self.methods.items():
            used = {_method(specification).split for specification in specifications}
            splits.setdefault(scoring.cell, set()).update(used)
        return splits

    @cached_property
    def signals(self) -> list[tuple[Cell, str]]:
        """Every (cell, split) to extract."""
        evaluated = {(cell, split) for cell, splits in self.splits.items() for split in splits}
        return sorted(evaluated | {(cell, "calibration") for cell in self.calibrations})

    @cached_property
    def calibration_questions(self) -> dict[Benchmark, int]:
        """How many calibration questions each benchmark has to provide."""
        needed = {cell.benchmark: 0 for cell, _ in self.signals}
        for cell, questions in self.calibrations.items():
            needed[cell.benchmark] = max(needed[cell.benchmark], questions)
        return needed


def check_configuration(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Refuse a configuration that breaks the schema.

    Raises:
        ValueError: one line with the key and what is allowed (Snakemake's own check prints the whole configuration).
    """
    error = best_match(Draft202012Validator(schema).iter_errors(config))
    if error is not None:
        key = ".".join(map(str, error.absolute_path)) or "top level"
        allowed = error.schema.get("properties") if isinstance(error.schema, Mapping) else None
        known = f"; known keys: {', '.join(allowed)}" if error.validator == "additionalProperties" and allowed else ""
        raise ValueError(f"configuration, {key}: {error.message}{known}")


def build_grid(config: Mapping[str, Any]) -> Grid:
    """The grid of a validated configuration.

    Raises:
        ValueError: a run names a model, dataset, probe, method or calibration source that does not exist; the message
            names the run (counted from 1) and what is allowed.
    """
    methods: dict[Scoring, dict[str, None]] = {}
    for number, run in enumerate(config["runs"], start=1):
        try:
            for scoring in _scorings(run, config):
                methods.setdefault(scoring, {}).update(dict.fromkeys(_specifications(run, config)))
        except ValueError as error:
            raise ValueError(f"configuration, run {number}: {error}") from None
    return Grid({scoring: tuple(specifications) for scoring, specifications in methods.items()})


def _scorings(run: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[Scoring]:
    for key in ("models", "datasets"):
        for name in run[key]:
            _require(name, config[key], key.removesuffix("s"))
    for probe in run["probes"]:
        get_probe(probe)
    default_questions = [config["calibration"]["questions"]]
    axes = (run["models"], run["datasets"], run["settings"], run["n"], run["probes"])
    for model, dataset, setting, n, probe in product(*axes):
        for source in run.get("calibrated_on", [f"{dataset}-{setting}"]):
            _require(source.rpartition("-")[0], config["datasets"], "dataset of calibrated_on")
            _require(source.rpartition("-")[2], ("random", "adversarial"), "setting of calibrated_on")
            for questions in run.get("calibration_questions", default_questions):
                yield Scoring(Cell(model, dataset, setting, n, probe), source, questions)


def _specifications(run: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    specifications: list[str] = run.get("methods", config["scoring"]["methods"])
    for specification in specifications:
        _method(specification)
    return specifications


def _method(specification: str) -> Method:
    method, _, _ = parse_method(specification)
    return method


def _require(name: str, known: Any, kind: str) -> None:
    if name not in known:
        raise ValueError(f"unknown {kind} '{name}'; known: {', '.join(known)}")
