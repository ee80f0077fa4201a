"""The paper's published values, and what is measured in their place."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Final

from lad.grid import CalibrationSource
from lad.methods import METHODS
from lad.report.artifact import ArtifactError
from lad.report.needs import Condition, Key
from lad.report.options import ArtifactOptions, TopK
from lad.shipped import PUBLISHED

METRICS: Final = ("accuracy", "rstd", "consistency")


@dataclass(frozen=True, kw_only=True)
class PublishedOptions(ArtifactOptions):
    published_model: Annotated[str | None, "whose place the model takes; by default each model has its own"] = None
    published_dataset: Annotated[str, "whose place the dataset takes with it"] = "coco"
    top_k: TopK = 2


@dataclass(frozen=True)
class Value:
    """A published value."""

    artifact: str
    model: str
    dataset: str
    setting: str
    n_candidates: str
    method: str
    variant: str
    metric: str
    value: float
    std: float | None

    @property
    def column(self) -> tuple[str, ...]:
        """The values that the paper prints for comparison with each other."""
        source = self.variant if self.variant.startswith("calibration_dataset") else ""
        return (self.artifact, self.model, self.dataset, self.setting, self.n_candidates, source, self.metric)


@cache
def read_published() -> tuple[Value, ...]:
    """The published values, in the paper's order."""
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        return tuple(
            Value(
                **{key: row[key] for key in row if key not in ("value", "std")},
                value=float(row["value"]),
                std=float(row["std"]) if row["std"] else None,
            )
            for row in csv.DictReader(file)
        )


def counterparts(options: PublishedOptions) -> Iterator[tuple[Value, str, Condition]]:
    """Each published score with what is measured in its place, under each formulation that the method has.

    Raises:
        ArtifactError: nothing is published of `published_model`.
    """
    models = dict.fromkeys(value.model for value in read_published())
    if options.published_model is not None and options.published_model not in models:
        raise ArtifactError(f"unknown published_model {options.published_model}; published are {', '.join(models)}")
    for published in read_published():
        if published.metric not in METRICS or published.artifact == "table5":
            continue
        for formulation, condition in conditions(published, options):
            yield published, formulation, condition


def conditions(published: Value, options: PublishedOptions) -> Iterator[tuple[str, Condition]]:
    """What is measured in place of a published value, by formulation; nothing of other models than the one replaced."""
    model, dataset = published.model, published.dataset
    if options.published_model is not None:
        if (model, dataset) != (options.published_model, options.published_dataset):
            return
        model, dataset = options.model, options.dataset
    keys: dict[str, Key] = {"model": model, "dataset": dataset}
    settings = dict(part.split("=") for part in published.variant.split(";") if "=" in part)
    if source := settings.pop("calibration_dataset", None):
        stand_in = options.dataset if source == options.published_dataset and options.published_model else source
        keys["source"] = CalibrationSource(stand_in, settings.pop("calibration_setting"))
    name = published.method
    if name == "attention_readout" and settings.pop("prior", "no") == "yes":
        name = "purified_attention"
    variant = _our_variant(settings, options)
    named = [(ours, method.name) for method in METHODS.values() for ours in method.published if ours.name == name]
    for ours, method_name in sorted(named, key=lambda pair: pair[0].formulation):
        condition = options.condition(
            **keys,
            setting=published.setting,
            n=int(published.n_candidates),
            probe=ours.probe,
            method=method_name,
            variant=";".join(sorted(filter(None, (*variant, ours.variant)))),
        )
        yield ours.formulation, condition


def _our_variant(settings: Mapping[str, str], options: PublishedOptions) -> list[str]:
    """Our name for the options of a published row: those that are the configured ones are not named."""
    ours = dict(settings)
    if ours.get("prior") == "yes":
        del ours["prior"]
    if ours.get("k") == str(options.top_k) or ours.get("layers") == "all":
        ours.pop("k", None)
    return [f"{name}={value}" for name, value in ours.items()]
