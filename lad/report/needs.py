"""What an artifact needs to have been measured, and what there is, planned or measured.

An artifact names its needs once. A plan answers them before anything runs, the workflow turns them into files, and a
results folder answers them again when the artifact is drawn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from lad.catalog import RELATIONS
from lad.grid import Benchmark, CalibrationSource, Cell, Scoring
from lad.report.artifact import ArtifactError

Key = str | int | CalibrationSource
"""What a condition says of one thing."""

_WORDS: Final = {"n": "n =", "source": "calibration on", "calibration_questions": "calibration questions ="}


@dataclass(frozen=True)
class Condition:
    """What a score was measured under: which model was asked which questions how, and which method answered.

    Attributes:
        source: where the calibration questions come from.
        variant: options that follow the method's name, "" for none.
    """

    model: str
    dataset: str
    setting: str
    n: int
    probe: str
    source: CalibrationSource
    calibration_questions: int
    method: str
    variant: str = ""

    @classmethod
    def of(cls, scoring: Scoring, method: str, variant: str = "") -> Condition:
        """A method's answers in a scoring."""
        return cls(
            **vars(scoring.cell),
            source=scoring.source,
            calibration_questions=scoring.calibration_questions,
            method=method,
            variant=variant,
        )

    @property
    def cell(self) -> Cell:
        """The questions and how they were asked."""
        return Cell(self.model, self.dataset, self.setting, self.n, self.probe)

    @property
    def scoring(self) -> Scoring:
        """The scoring that the method is one of."""
        return Scoring(self.cell, self.source, self.calibration_questions)

    @property
    def specification(self) -> str:
        """The method with its variant, 'agd;k=4'."""
        return f"{self.method};{self.variant}" if self.variant else self.method

    def __str__(self) -> str:
        return (
            f"{self.specification} (setting {self.setting}, n = {self.n}, probe {self.probe}, calibrated on"
            f" {self.calibration_questions} questions of {self.source})"
        )


@dataclass(frozen=True)
class Contest:
    """Two conditions that a sentence compares. `where` names what they share, with its preposition."""

    where: str
    ours: Condition
    theirs: Condition


@dataclass(frozen=True)
class Needs:
    """What an artifact reads.

    Attributes:
        scores: conditions whose metrics are read.
        leads: pairs of conditions whose paired difference is read. Two methods of one scoring are compared in
            `differences`, those of two scorings in `comparisons`.
        answers: conditions whose predictions are read.
        timings: conditions whose recorded seconds are read, those of their calibration as well.
        signals: cells and splits whose signals are read.
        priors: scorings whose calibrated attention prior is read, in a formulation.
        benchmarks: benchmarks whose questions, evaluation presentations and images are read.
        rankings: scorings whose ranked lists are read.
        choices: cells in which chosen calibration questions are compared.
        photographs: datasets whose picture files are shown, where there are any.
    """

    scores: tuple[Condition, ...] = ()
    leads: tuple[tuple[Condition, Condition], ...] = ()
    answers: tuple[Condition, ...] = ()
    timings: tuple[Condition, ...] = ()
    signals: tuple[tuple[Cell, str], ...] = ()
    priors: tuple[tuple[Scoring, str], ...] = ()
    benchmarks: tuple[Benchmark, ...] = ()
    rankings: tuple[Scoring, ...] = ()
    choices: tuple[Cell, ...] = ()
    photographs: tuple[str, ...] = ()

    def __add__(self, other: Needs) -> Needs:
        return Needs(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    @classmethod
    def of(cls, contests: Iterable[Contest]) -> Needs:
        """The scores and the lead of each contest."""
        pairs = [(contest.ours, contest.theirs) for contest in contests]
        return cls(scores=tuple(one for pair in pairs for one in pair), leads=tuple(pairs))

    def files(self, results: Path) -> dict[str, list[Path]]:
        """The files of a results folder that hold it, by relation."""
        found: dict[str, set[Path]] = {}
        for relation, keys in self._partitions():
            found.setdefault(relation, set()).add(RELATIONS[relation].path(results, **keys))
        return {relation: sorted(paths) for relation, paths in found.items()}

    def _partitions(self) -> Iterator[tuple[str, Mapping[str, str | int]]]:
        for condition in self.scores:
            yield "metrics", condition.scoring.keys
        for ours, theirs in self.leads:
            if ours.scoring == theirs.scoring:
                yield "differences", ours.scoring.keys
            else:
                yield "comparisons", (ours if theirs.scoring.is_plain else theirs).scoring.keys
        for condition in (*self.answers, *self.timings):
            yield "predictions", condition.scoring.keys
        for condition in self.timings:
            yield "position_bias", condition.scoring.calibration_keys
        for cell, split in self.signals:
            yield "signals", {**vars(cell), "split": split}
        for scoring, _ in self.priors:
            yield "attention_prior", scoring.calibration_keys
        for scoring in self.rankings:
            yield "rankings", scoring.keys
        for cell in self.choices:
            yield "choices", vars(cell)
        for benchmark in self.benchmarks:
            for relation in ("questions", "presentations", "images"):
                yield relation, {**vars(benchmark), "split": "evaluation"}


class Available(ABC):
    """What there is to show: all that a configuration plans, or all that a results folder holds."""

    place: str
    """Where it is, in words: "a run"."""

    @abstractmethod
    def scorings(self, relation: str = "metrics") -> Collection[Scoring]:
        """The scorings of which there is a table of this relation."""

    @abstractmethod
    def methods(self, scoring: Scoring, relation: str = "metrics") -> Collection[tuple[str, str]]:
        """The methods of a scoring with their variants; none where there is no such scoring."""

    @abstractmethod
    def refusal(self, what: str, *, run: str, command: str) -> ArtifactError:
        """The error that no more than `what` is there. What to say in a run, or the command, would add to it."""

    @abstractmethod
    def check(self, needs: Needs) -> None:
        """Refuse needs that are not there.

        Raises:
            ArtifactError: the message names the first thing that is missing, and what there is instead.
        """

    def has(self, condition: Condition, relation: str = "metrics") -> bool:
        """Whether a table of the relation holds the condition."""
        return (condition.method, condition.variant) in self.methods(condition.scoring, relation)

    def along(self, condition: Condition, key: str) -> list[Condition]:
        """The conditions that are there and that differ from this one in the key at most."""
        if key == "variant":
            named = self.methods(condition.scoring)
            return [replace(condition, variant=variant) for method, variant in named if method == condition.method]
        return [
            other
            for scoring in self.scorings()
            if (other := replace(condition, **{key: _keys(scoring)[key]})).scoring == scoring and self.has(other)
        ]

    def sizes(self, model: str, dataset: str, setting: str) -> list[int]:
        """The numbers of candidates that are there, ascending."""
        asked = (model, dataset, setting)
        cells = [scoring.cell for scoring in self.scorings()]
        return sorted({cell.n for cell in cells if (cell.model, cell.dataset, cell.setting) == asked})

    def first_missing(self, wanted: Mapping[str, Key], relation: str = "metrics") -> Missing | None:
        """The first key in whose value all that is there differs from what is wanted; None if nothing does."""
        left = [
            {**_keys(scoring), "method": Condition.of(scoring, *named).specification}
            for scoring in self.scorings(relation)
            for named in self.methods(scoring, relation)
        ]
        found: list[str] = []
        for key, value in wanted.items():
            here = [one for one in left if one[key] == value]
            if not here:
                return Missing(key, value, found, list(dict.fromkeys(str(one[key]) for one in left)))
            found.append(_worded(key, value))
            left = here
        return None


def wanted_keys(condition: Condition) -> dict[str, Key]:
    """The keys in the order in which one looks for what is missing: the method comes last, with its variant."""
    return {**_keys(condition.scoring), "method": condition.specification}


@dataclass(frozen=True)
class Missing:
    """The first key that nothing has as it is wanted.

    Attributes:
        found: the keys before it, in words, which something has.
        known: the values of the key that there are together with these.
    """

    key: str
    value: Key
    found: list[str]
    known: list[str]

    def __str__(self) -> str:
        return _worded(self.key, self.value)


def _keys(scoring: Scoring) -> dict[str, Any]:
    return {**vars(scoring.cell), "source": scoring.source, "calibration_questions": scoring.calibration_questions}


def _worded(key: str, value: Key) -> str:
    return f"{_WORDS.get(key, key)} {value}"
