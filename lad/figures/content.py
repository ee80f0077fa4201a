"""What every artifact takes and gives: options in, a picture or a table out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from lad.grid import CalibrationSource

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ArtifactError(ValueError):
    """An artifact that cannot be drawn; the message names what is missing and what would produce it."""


@dataclass(frozen=True)
class Options:
    """Which results an artifact shows.

    Attributes:
        model: key of the model in the results folder.
        dataset: key of the dataset.
        models: the models one below the other in tables 1 and 6; `model` alone if none is named.
        datasets: the test questions' datasets in table 3; `dataset` alone if none is named.
        label: what the numbers were measured on, written on every artifact ("demo: synthetic scenes, ...").
        setting: random or adversarial (or a task), for artifacts of one setting.
        n: number of candidates, for artifacts of one N.
        settings: the settings side by side in figure 5 and the tables; the tasks of table 5.
        ns: the numbers of candidates side by side in figure 6 and the tables.
        probes: the identifier styles of figure 8; table 5 takes the first.
        calibration_questions: the configured calibration budget, |D_cal|.
        top_k: the configured number K of layers in L*, eq. 9.
        temperature: the configured tau, eq. 12.
        resamples, seed: of the bootstrap, as the metrics' were.
        images: the dataset's image folder; figure 7 draws grey boxes without it.
        published_model, published_dataset: whose place model and dataset take beside the published results; by default
            they are the paper's own.
    """

    model: str
    dataset: str
    label: str
    setting: str = "random"
    n: int = 4
    settings: tuple[str, ...] = ("random", "adversarial")
    ns: tuple[int, ...] = (4, 8)
    probes: tuple[str, ...] = ("uppercase", "lowercase", "roman", "ordinal")
    calibration_questions: int = 5
    top_k: int = 2
    temperature: float = 5.0
    resamples: int = 2000
    seed: int = 0
    images: Path | None = None
    published_model: str | None = None
    published_dataset: str = "coco"
    models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Options:
        """Options from names and values; values may be strings, lists separated by commas.

        Raises:
            ArtifactError: an unknown or missing name, or a value of the wrong kind.
        """
        unknown = sorted(set(given) - {option.name for option in fields(cls)})
        if unknown:
            known = ", ".join(option.name for option in fields(cls))
            raise ArtifactError(f"unknown option {', '.join(unknown)}; known: {known}")
        missing = [name for name in ("model", "dataset", "label") if name not in given]
        if missing:
            raise ArtifactError(f"option {', '.join(missing)} not given")
        return cls(**{name: _convert(name, value) for name, value in given.items()})

    @property
    def calibrated_on(self) -> CalibrationSource:
        """The calibration questions that belong to `setting`."""
        return CalibrationSource(self.dataset, self.setting)


@dataclass(frozen=True)
class Picture:
    """A figure and what its sentence says.

    Attributes:
        facts: values for the names in the artifact's sentence template.
    """

    figure: Figure
    facts: dict[str, str]


@dataclass(frozen=True)
class Cell:
    text: str
    best: bool = False


@dataclass(frozen=True)
class Line:
    """One row of a table; `block` numbers the stretch of rows within which the best value is marked."""

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    block: int = 0


@dataclass(frozen=True)
class Table:
    """A table as it is read, and the records behind it.

    Attributes:
        stub: headings of the label columns.
        groups: headings of the value columns, as (heading over them, headings).
        records: one row per value, unrounded, with its 95 % interval: what the CSV file holds.
        facts: values for the names in the artifact's sentence template.
    """

    stub: tuple[str, ...]
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    lines: tuple[Line, ...]
    records: pa.Table
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def headings(self) -> tuple[str, ...]:
        """The value columns' headings, flat: "random: accuracy"."""
        return tuple(
            f"{group}: {heading}" if group else heading for group, headings in self.groups for heading in headings
        )


_LISTS: Final = {"settings": str, "ns": int, "probes": str, "models": str, "datasets": str}
_NUMBERS: Final = {
    **dict.fromkeys(("n", "calibration_questions", "top_k", "resamples", "seed"), int),
    "temperature": float,
}


def _convert(name: str, value: Any) -> Any:
    try:
        if name in _LISTS:
            items = value.split(",") if isinstance(value, str) else value
            return tuple(_LISTS[name](item) for item in items)
        if name in _NUMBERS:
            return _NUMBERS[name](value)
        if name == "images":
            return None if value is None else Path(value)
    except (TypeError, ValueError):
        kind = "numbers separated by commas" if name in _LISTS else "a number"
        raise ArtifactError(f"option {name} = {value!r}: expected {kind}") from None
    return str(value)
