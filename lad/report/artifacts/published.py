"""The published numbers beside the measured ones.

Every value of the paper's tables for which a counterpart was measured, under both formulations where a method has two.
Two measurements of 1,000 questions each differ by chance: the tolerance is what 95 % of such differences stay within,
taking the paper's values to vary as ours do. Where another model or dataset stands in for the paper's (the demo), the
values mean nothing to each other and only the order of the methods is compared.
"""

import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import pyarrow as pa

from lad.report.artifact import Artifact, ArtifactError, Cell, Line, Table
from lad.report.measures import Measure
from lad.report.needs import Available, Condition, Needs
from lad.report.paper import PublishedOptions, Value, counterparts, read_published
from lad.report.results import Results
from lad.report.wording import signed

PUBLISHED_QUESTIONS: Final = 1000


@dataclass(frozen=True)
class Compared:
    """A published value and its counterpart."""

    published: Value
    formulation: str
    condition: Condition
    measured: Measure

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
        return half * math.sqrt(1 + self.measured.questions / PUBLISHED_QUESTIONS)

    @property
    def inside(self) -> bool | None:
        return None if self.tolerance is None else abs(self.difference) <= self.tolerance


def needs(available: Available, options: PublishedOptions) -> Needs:
    found = [condition for _, _, condition in counterparts(options) if available.has(condition)]
    if not found:
        models = dict.fromkeys(value.model for value in read_published())
        raise ArtifactError(
            f"no published value has a counterpart in {available.place}: name models and datasets as the paper's tables"
            f" do ({', '.join(models)} on coco ...), or say whose place they take by published_model and"
            " published_dataset"
        )
    return Needs(scores=tuple(found))


def draw(results: Results, options: PublishedOptions) -> Table:
    """Every published value that has a measured counterpart."""
    compared = [
        Compared(published, formulation, condition, measured)
        for published, formulation, condition in counterparts(options)
        if results.available.has(condition)
        and (measured := results.measures.get(condition, published.metric)).value is not None
    ]
    stands_in = options.published_model is not None
    lines = tuple(_line(pair, stands_in) for pair in compared)
    headings = ("Published", "Measured", "Difference", *(() if stands_in else ("Tolerance", "Inside")))
    stub = ("Table", "Model", "Setting", "N", "Method", "Formulation", "Metric")
    return Table(stub, (("", headings),), lines, _records(compared), _facts(compared, options))


def _line(pair: Compared, stands_in: bool) -> Line:
    published = pair.published
    name = f"{published.method} ({published.variant})" if published.variant else published.method
    labels = (
        published.artifact.removeprefix("table"),
        pair.condition.model,
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
                "measured_model": pair.condition.model,
                "measured_dataset": pair.condition.dataset,
                "measured_method": pair.condition.method,
                "measured_variant": pair.condition.variant,
                "measured_probe": pair.condition.probe,
                **pair.condition.source.keys,
                "calibration_questions": pair.condition.calibration_questions,
                "questions": pair.measured.questions,
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


def _facts(compared: list[Compared], options: PublishedOptions) -> dict[str, str]:
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


ARTIFACT: Final = Artifact(
    name="published",
    kind="table",
    order=210,
    title="Beside the published numbers",
    caption="Every value of the paper's tables with a measured counterpart; differences are measured less"
    " published. {tolerance} RStd counts chance as bias: of fewer questions than the paper's it is larger.",
    sentence="Here {verdict}.",
    in_runs="one or more of the paper's scores; names of models and datasets are the paper's, unless the options say"
    " whose place they take",
    options=PublishedOptions,
    needs=needs,
    draw=draw,
)
