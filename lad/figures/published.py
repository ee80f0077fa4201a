"""The published numbers beside the measured ones.

Every value of the paper's tables for which a counterpart was measured, under both formulations where a method has two.
Two measurements of 1,000 questions each differ by chance: the tolerance is what 95 % of such differences stay within,
taking the paper's values to vary as ours do. Where another model or dataset stands in for the paper's (the demo), the
values mean nothing to each other and only the order of the methods is compared.
"""

import csv
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from lad.figures.content import ArtifactError, Cell, Line, Options, Table
from lad.figures.measures import Condition, Key, Measure, Measures
from lad.figures.wording import signed
from lad.grid import CalibrationSource

PUBLISHED: Final = Path(__file__).parents[2] / "resources" / "published" / "results.csv"
PUBLISHED_QUESTIONS: Final = 1000
METRICS: Final = ("accuracy", "rstd", "consistency")
TWO_FORMULATIONS: Final = {
    "agd": ("agd", "agd;formulation=released"),
    "pride": ("pride", "pride_released"),
    "purified_attention": ("purified_attention", "purified_attention;formulation=released"),
}
"""Methods of the paper that were printed in one way and released in another, by our names for both."""
BY_PROBE: Final = {
    "instruction": ("vanilla", "instruction"),
    "cot": ("cot", "cot"),
    "self_consistency": ("self_consistency", "self_consistency"),
    "sofa": ("vanilla", "sofa"),
}
"""Methods of the paper that are another probe, by our method and probe."""


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


@dataclass(frozen=True)
class Compared:
    """A published value and its counterpart."""

    published: Value
    formulation: str
    model: str
    dataset: str
    condition: Condition
    measured: Measure
    questions: int

    @property
    def difference(self) -> float:
        assert self.measured.value is not None
        return self.measured.value - self.published.value

    @property
    def tolerance(self) -> float | None:
        """Half the width of the measured interval, widened by the chance in the published value."""
        if self.measured.low is None or self.measured.high is None:
            return None
        half = (self.measured.high - self.measured.low) / 2
        return half * math.sqrt(1 + self.questions / PUBLISHED_QUESTIONS)

    @property
    def inside(self) -> bool | None:
        return None if self.tolerance is None else abs(self.difference) <= self.tolerance


def draw(connection: duckdb.DuckDBPyConnection, options: Options) -> Table:
    """Every published value that has a measured counterpart."""
    stands_in = options.published_model is not None
    compared = list(_compare(connection, options))
    if not compared:
        raise ArtifactError(
            "no published value has a measured counterpart: name models and datasets as the paper's table does"
            " (qwen2.5-vl-3b on coco ...), or say whose place they take by published_model and published_dataset;"
            " `lad score` and `lad evaluate` produce the metrics"
        )
    lines = tuple(_line(pair, stands_in) for pair in compared)
    headings = ("Published", "Measured", "Difference", *(() if stands_in else ("Tolerance", "Inside")))
    stub = ("Table", "Model", "Setting", "N", "Method", "Formulation", "Metric")
    return Table(stub, (("", headings),), lines, _records(compared), _facts(compared, options))


def _compare(connection: duckdb.DuckDBPyConnection, options: Options) -> Iterator[Compared]:
    known: dict[tuple[str, str], Measures] = {}
    for published, formulation, place, keys in counterparts(options):
        if place not in known:
            known[place] = Measures(connection, replace(options, model=place[0], dataset=place[1]))
        measures = known[place]
        condition = measures.condition(**keys)
        if condition not in measures or (measured := measures.get(condition, published.metric)).value is None:
            continue
        (record,) = measures.select([(condition, published.metric)]).to_pylist()
        yield Compared(published, formulation, *place, condition, measured, record["questions"])


def counterparts(options: Options) -> Iterator[tuple[Value, str, tuple[str, str], dict[str, Key]]]:
    """Each published score with what is measured in its place: formulation, model and dataset, keys of `Condition`."""
    for published in read_published():
        if published.metric not in METRICS or published.artifact == "table5":
            continue
        place = _counterpart(published, options)
        if place is not None:
            for formulation, keys in conditions(published, options):
                yield published, formulation, place, keys


def read_published() -> list[Value]:
    """The published values, in the paper's order."""
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        return [
            Value(
                **{key: row[key] for key in row if key not in ("value", "std")},
                value=float(row["value"]),
                std=float(row["std"]) if row["std"] else None,
            )
            for row in csv.DictReader(file)
        ]


def _counterpart(published: Value, options: Options) -> tuple[str, str] | None:
    """The measured model and dataset that a published value is compared with."""
    if options.published_model is None:
        return published.model, published.dataset
    if (published.model, published.dataset) == (options.published_model, options.published_dataset):
        return options.model, options.dataset
    return None


def conditions(published: Value, options: Options) -> Iterator[tuple[str, dict[str, Key]]]:
    """What is measured in place of a published value: by formulation, the keys of `Condition` but those of defaults."""
    method, probe = BY_PROBE.get(published.method, (published.method, "vanilla"))
    method = "attention_readout" if method == "raw_attention" else method
    keys: dict[str, Key] = {"setting": published.setting, "n": int(published.n_candidates), "probe": probe}
    settings = dict(part.split("=") for part in published.variant.split(";") if "=" in part)
    if dataset := settings.pop("calibration_dataset", None):
        stand_in = options.dataset if dataset == options.published_dataset and options.published_model else dataset
        keys["calibrated_on"] = CalibrationSource(stand_in, settings.pop("calibration_setting"))
    if method == "attention_readout" and settings.pop("prior", "no") == "yes":
        method = "purified_attention"
    variant = _our_variant(settings, options)
    for formulation, name in zip(("printed", "released"), TWO_FORMULATIONS.get(method, (method,)), strict=False):
        ours, _, released = name.partition(";")
        yield formulation, {**keys, "method": ours, "variant": ";".join(sorted(filter(None, (*variant, released))))}


def _our_variant(settings: Mapping[str, str], options: Options) -> list[str]:
    """Our name for the options of a published row: those that are the configured ones are not named."""
    ours = dict(settings)
    if ours.get("prior") == "yes":
        del ours["prior"]
    if ours.get("k") == str(options.top_k) or ours.get("layers") == "all":
        ours.pop("k", None)
    return [f"{name}={value}" for name, value in ours.items()]


def _line(pair: Compared, stands_in: bool) -> Line:
    published = pair.published
    name = f"{published.method} ({published.variant})" if published.variant else published.method
    labels = (
        published.artifact.removeprefix("table"),
        pair.model,
        published.setting,
        published.n_candidates,
        name,
        pair.formulation,
        published.metric,
    )
    assert pair.measured.value is not None
    cells = [f"{published.value:.1f}", f"{pair.measured.value:.1f}", signed(pair.difference)]
    if not stands_in:
        cells += ["–", "–"] if pair.tolerance is None else [f"{pair.tolerance:.1f}", "yes" if pair.inside else "no"]
    return Line(labels, tuple(map(Cell, cells)))


def _records(compared: list[Compared]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                **vars(pair.published),
                "formulation": pair.formulation,
                "measured_model": pair.model,
                "measured_dataset": pair.dataset,
                "measured_method": pair.condition.method,
                "measured_variant": pair.condition.variant,
                "measured_probe": pair.condition.probe,
                **(pair.condition.calibrated_on.keys if pair.condition.calibrated_on else {}),
                "calibration_questions": pair.condition.calibration_questions,
                "questions": pair.questions,
                "measured": pair.measured.value,
                "low": pair.measured.low,
                "high": pair.measured.high,
                "difference": pair.difference,
                "tolerance": pair.tolerance,
                "inside": pair.inside,
            }
            for pair in compared
        ]
    )


def _facts(compared: list[Compared], options: Options) -> dict[str, str]:
    published = {pair.published for pair in compared}
    alike, pairs = _order(compared)
    shape = (
        f"of {pairs} pairs of methods that the paper compares in a column, {alike} stand in the same order here"
        if pairs
        else "no two methods of one column were measured"
    )
    if options.published_model is not None:
        return {
            "tolerance": "No value is expected to agree.",
            "verdict": f"the comparison is of shape, not of value, since {options.model} on {options.dataset} stands in"
            f" for {options.published_model} on {options.published_dataset}: {shape}",
        }
    judged = [pair for pair in compared if pair.inside is not None]
    inside = sum(bool(pair.inside) for pair in judged)
    return {
        "tolerance": "Inside means within what 95 % of differences between two such measurements stay within.",
        "verdict": f"{len(published)} of the {len(read_published())} published values were measured; {inside} of"
        f" {len(judged)} comparisons lie inside the tolerance; {shape}",
    }


def _order(compared: list[Compared]) -> tuple[int, int]:
    """Of how many pairs of methods in a column of the paper the better one is the better one here, and of how many."""
    columns: dict[tuple[str, ...], list[Compared]] = defaultdict(list)
    for pair in compared:
        if pair.formulation == "printed":
            columns[pair.published.column].append(pair)
    alike = pairs = 0
    for column in columns.values():
        for one, other in combinations(column, 2):
            there = one.published.value - other.published.value
            here = (one.measured.value or 0) - (other.measured.value or 0)
            if there:
                pairs += 1
                alike += there * here > 0
    return alike, pairs
