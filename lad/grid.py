"""The grid of a configuration: what is extracted, and which methods answer it after which calibration.

A configuration lists runs; each run is a small cross product, and runs that meet in the same cell add up. Everything
the workflow does follows from here, so the whole plan is known before the first job.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

from lad.benchmark.formats import Dataset
from lad.config import Configuration, Run
from lad.contracts import Keep
from lad.extraction.prompts import get_probe
from lad.methods import Method, Options, parse_method
from lad.methods.options import ReadsEquations
from lad.spelling import did_you_mean


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

    def calibrated_on(self, source: "CalibrationSource") -> "Cell":
        """The cell whose calibration questions serve this one."""
        return Cell(self.model, source.dataset, source.setting, self.n, self.probe)


@dataclass(frozen=True, order=True)
class CalibrationSource:
    """Where calibration questions come from.

    Attributes:
        dataset, setting: of the questions.
        split: `calibration`; or `symmetrized`: the first evaluation questions again, as in the released code.
        set: which set of so many questions, from 1. No two sets share a question.
    """

    dataset: str
    setting: str
    split: str = "calibration"
    set: int = 1

    @property
    def keys(self) -> dict[str, str | int]:
        """The source as the partition keys of predictions and metrics name it."""
        return {f"calibration_{name}": value for name, value in vars(self).items()}

    @property
    def is_first_of_its_kind(self) -> bool:
        """Whether these are the first calibration questions of a dataset and setting."""
        return self.split == "calibration" and self.set == 1

    def __str__(self) -> str:
        """For people: `scenes-random`, and what is special about it."""
        reused = "" if self.split == "calibration" else " (evaluation questions)"
        return f"{self.dataset}-{self.setting}{reused}{'' if self.set == 1 else f' (set {self.set})'}"


@dataclass(frozen=True, order=True)
class Scoring:
    """A cell, answered after calibration on so many questions of a source."""

    cell: Cell
    source: CalibrationSource
    calibration_questions: int

    @classmethod
    def of(cls, keys: Mapping[str, Any]) -> "Scoring":
        """The scoring that these partition keys name; whole numbers may be text."""
        cell = Cell(keys["model"], keys["dataset"], keys["setting"], int(keys["n"]), keys["probe"])
        dataset, setting, split, number = (keys[f"calibration_{key}"] for key in ("dataset", "setting", "split", "set"))
        return cls(cell, CalibrationSource(dataset, setting, split, int(number)), int(keys["calibration_questions"]))

    @property
    def calibration_cell(self) -> Cell:
        return self.cell.calibrated_on(self.source)

    def plain(self, calibration_questions: int) -> "Scoring":
        """The same questions asked by probe vanilla, after calibration on so many questions of their own kind."""
        cell = replace(self.cell, probe="vanilla")
        return Scoring(cell, CalibrationSource(cell.dataset, cell.setting), calibration_questions)

    @property
    def is_plain(self) -> bool:
        """Whether the questions are asked by probe vanilla, after calibration on questions of their own kind."""
        return self == self.plain(self.calibration_questions)

    @property
    def keys(self) -> dict[str, str | int]:
        """The partition keys of its predictions and metrics."""
        return {**vars(self.cell), **self.source.keys, "calibration_questions": self.calibration_questions}

    @property
    def calibration_keys(self) -> dict[str, str | int]:
        """The partition keys of the calibration that it uses."""
        return {
            **vars(self.calibration_cell),
            "split": self.source.split,
            "calibration_set": self.source.set,
            "calibration_questions": self.calibration_questions,
        }


@dataclass(frozen=True)
class Grid:
    """All scorings of a configuration with their method specifications, in the order of the configuration.

    Attributes:
        reference_questions: the configured number of calibration questions, those of a reference scoring.
    """

    methods: Mapping[Scoring, tuple[str, ...]]
    defaults: Mapping[str, object]
    reference_questions: int

    @cached_property
    def cells(self) -> list[Cell]:
        return sorted({scoring.cell for scoring in self.methods})

    @cached_property
    def _parsed(self) -> dict[tuple[str, ...], list[tuple[Method[Any], Options]]]:
        """The methods that specifications name: thousands of scorings have the same few."""
        return {
            specifications: [parse_method(specification, self.defaults)[:2] for specification in specifications]
            for specifications in set(self.methods.values())
        }

    def parsed(self, scoring: Scoring) -> list[tuple[Method[Any], Options]]:
        """The scoring's methods with their options."""
        return self._parsed[self.methods[scoring]]

    def reference(self, scoring: Scoring) -> Scoring | None:
        """The scoring that this one is compared with: its questions asked and calibrated plainly, as configured.

        None if the grid has no such scoring, or this is it.
        """
        reference = scoring.plain(self.reference_questions)
        return reference if reference in self.methods and reference != scoring else None

    def needs_calibration(self, scoring: Scoring) -> bool:
        """Whether any method of the scoring uses what was fitted on calibration questions."""
        return any(method.reads_calibration(options) for method, options in self.parsed(scoring))

    def needs_generations(self, scoring: Scoring) -> bool:
        """Whether any method of the scoring reads texts that the probe had the model write."""
        return any(method.needs_generations for method, _ in self.parsed(scoring))

    @cached_property
    def generating_probes(self) -> list[str]:
        """The probes whose extraction yields texts beside the signals."""
        return sorted(probe for probe in {cell.probe for cell in self.cells} if get_probe(probe).generation)

    @cached_property
    def calibrations(self) -> dict[tuple[Cell, str], int]:
        """What is calibrated on, by (cell, split), with the number of questions needed of it."""
        needed: dict[tuple[Cell, str], int] = {}
        for scoring in self.methods:
            if self.needs_calibration(scoring):
                place = scoring.calibration_cell, scoring.source.split
                questions = scoring.source.set * scoring.calibration_questions
                needed[place] = max(needed.get(place, 0), questions)
        return needed

    @cached_property
    def formulations(self) -> dict[Cell, list[str]]:
        """The formulations that methods calibrated on each cell ask for, in the order of the configuration."""
        asked: dict[Cell, dict[str, None]] = {}
        for scoring in self.methods:
            for method, options in self.parsed(scoring):
                if method.reads_calibration(options) and isinstance(options, ReadsEquations):
                    asked.setdefault(scoring.calibration_cell, {})[options.formulation] = None
        return {cell: list(names) for cell, names in asked.items()}

    @cached_property
    def splits(self) -> dict[Cell, set[str]]:
        """Splits that the methods of each cell look at when they answer."""
        splits: dict[Cell, set[str]] = {}
        for scoring in self.methods:
            for method, options in self.parsed(scoring):
                used = {method.split_for(options)} | ({"content_free"} if method.needs_content_free else set())
                splits.setdefault(scoring.cell, set()).update(used)
        return splits

    @cached_property
    def signals(self) -> list[tuple[Cell, str]]:
        """Every (cell, split) to extract."""
        evaluated = {(cell, split) for cell, splits in self.splits.items() for split in splits}
        return sorted(evaluated | set(self.calibrations))

    def first_questions(self, cell: Cell, split: str) -> int | None:
        """How many questions of the split are asked at all, where calibration alone needs it; None for all."""
        return None if split in self.splits.get(cell, ()) else self.calibrations.get((cell, split))

    @cached_property
    def kept(self) -> dict[tuple[Cell, str], frozenset[Keep]]:
        """What is kept of each (cell, split) beyond the usual, where anything is."""
        kept: dict[tuple[Cell, str], frozenset[Keep]] = {}
        for scoring in self.methods:
            for method, options in self.parsed(scoring):
                used: list[tuple[Cell, str]] = [(scoring.cell, method.split_for(options))]
                if method.needs_content_free:
                    used.append((scoring.cell, "content_free"))
                if method.reads_calibration(options):
                    used.append((scoring.calibration_cell, scoring.source.split))
                for key in used if method.keeps_for(options) else ():
                    kept[key] = kept.get(key, frozenset()) | method.keeps_for(options)
        return kept

    def settings(self, dataset: str) -> list[str]:
        """The settings of a dataset of which anything is extracted."""
        return sorted({cell.setting for cell, _ in self.signals if cell.dataset == dataset})

    @cached_property
    def calibration_questions(self) -> dict[Benchmark, int]:
        """How many calibration questions each benchmark has to provide."""
        needed = {cell.benchmark: 0 for cell, _ in self.signals}
        for (cell, split), questions in self.calibrations.items():
            if split == "calibration":
                needed[cell.benchmark] = max(needed[cell.benchmark], questions)
        return needed


def build_grid(config: Configuration) -> Grid:
    """The grid of a configuration.

    Raises:
        ValueError: a run names a model, dataset, probe, method or calibration source that does not exist; the message
            names the run (counted from 1) and what is allowed.
    """
    methods: dict[Scoring, dict[str, None]] = {}
    for number, run in enumerate(config.runs, start=1):
        specifications = dict.fromkeys(run.methods or config.scoring.methods)
        try:
            for scoring in _scorings(run, list(specifications), config):
                methods.setdefault(scoring, {}).update(specifications)
        except ValueError as error:
            raise ValueError(f"configuration, run {number}: {error}") from None
    defaults = {name: getattr(config.scoring, name) for name in ("formulation", "top_k", "temperature")}
    named = {scoring: tuple(specifications) for scoring, specifications in methods.items()}
    return Grid(named, defaults, reference_questions=config.calibration.questions)


def shard_count(grid: Grid, cell: Cell, split: str, config: Configuration) -> int:
    """Into how many shards of about `extraction.shard_size` presentations the split is cut, between questions.

    One where there is no such size. One as well of a dataset with questions of its own: how many a task has is known
    once its files are read, and there are a few hundred.
    """
    size = config.extraction.shard_size
    if size is None or config.datasets[cell.dataset].has_own_questions:
        return 1
    questions, orders = presentations(grid, cell, split, config)
    return min(questions, -(-questions * orders // size))


def presentations(grid: Grid, cell: Cell, split: str, config: Configuration) -> tuple[int, int]:
    """How many questions of a split are asked, and in how many orders each; at most, if they are the dataset's own.

    Of lists, each window is one: a configuration names lists.
    """
    benchmark, all_orders = config.benchmark, math.factorial(cell.n)
    fitting = grid.calibration_questions[cell.benchmark]
    answered = benchmark.questions
    if (most := config.datasets[cell.dataset].most_questions) is not None:
        answered = max(0, min(answered, most - fitting))
    answered *= config.datasets[cell.dataset].questions_each(cell.n)
    asked, orders = {
        "calibration": (fitting, cell.n),
        "evaluation": (answered, min(benchmark.orders, all_orders)),
        "symmetrized": (answered, cell.n),
        "permuted": (answered, min(benchmark.permutations, all_orders)),
        "content_free": (1, 1),
    }[split]
    first = grid.first_questions(cell, split)
    return asked if first is None else min(first, asked), orders


def _scorings(run: Run, specifications: Sequence[str], config: Configuration) -> Iterator[Scoring]:
    for name in run.models:
        _require(name, config.models, "model")
    for name in run.datasets:
        _require(name, config.datasets, "dataset")
    reading = [name for name in specifications if parse_method(name)[0].needs_generations]
    for probe in run.probes:
        if get_probe(probe).generation is None and reading:
            raise ValueError(
                f"{reading[0]} needs generated texts and probe {probe} has none; ask by the probes of its name"
            )
    for model, dataset, setting, n, probe in product(run.models, run.datasets, run.settings, run.n, run.probes):
        _require_setting(setting, config.datasets[dataset], f"setting of dataset {dataset}")
        _require_embeddings(setting, dataset, config)
        for number, named in product(range(1, run.calibration_sets + 1), run.calibrated_on):
            source = CalibrationSource(named.dataset or dataset, named.setting or setting, named.split, number)
            _require(source.dataset, config.datasets, "dataset of calibrated_on")
            _require_setting(source.setting, config.datasets[source.dataset], "setting of calibrated_on")
            _require_embeddings(source.setting, source.dataset, config)
            _require_windows(n, dataset, config)
            for questions in run.calibration_questions or [config.calibration.questions]:
                yield Scoring(Cell(model, dataset, setting, n, probe), source, questions)


def _require_setting(setting: str, dataset: Dataset, kind: str) -> None:
    # Which tasks a dataset has may be known only once its files are read.
    if dataset.settings is not None:
        _require(setting, dataset.settings, kind)


def _require_embeddings(setting: str, dataset: str, config: Configuration) -> None:
    # A bundle holds the questions: nothing is chosen any more.
    if config.bundle is None and config.datasets[dataset].lacks_embeddings(setting):
        raise ValueError(
            f"setting {setting} chooses hard negatives by embeddings, and dataset {dataset} has none; give it"
            " embeddings, such as {backend: clip}, or leave the setting out"
        )


def _require_windows(n: int, dataset: str, config: Configuration) -> None:
    entry = config.datasets[dataset]
    if entry.has_lists and not entry.questions_each(n):
        raise ValueError(
            f"dataset {dataset} takes {entry.candidates_each(n)} candidates of each list (depth), fewer than n = {n}:"
            " no window can be cut; raise its depth, or lower n"
        )


def _require(name: str, known: Iterable[str], kind: str) -> None:
    if name not in (names := list(known)):
        raise ValueError(f"unknown {kind} '{name}'{did_you_mean(name, names)}; known: {', '.join(names)}")
