"""How much hangs on which few questions a method was calibrated on.

An addition to the paper, which calibrates on 5 questions once. Intervals over evaluation questions take the calibration
as it is. Here each method is calibrated on several sets of as many questions, none of them in two sets, and answers the
same evaluation questions after each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count, takewhile
from typing import Final

import numpy as np

from lad.evaluation.bootstrap import Floats
from lad.report.artifact import Artifact, Cell, Line, Table
from lad.report.measures import Measures
from lad.report.needs import Available, Condition, Needs
from lad.report.options import ArtifactOptions, Setting, Sizes
from lad.report.results import Results
from lad.report.style import METHODS
from lad.report.wording import NO_BREAK, between, known, listed

CALIBRATED: Final = ("pride", "purified_attention", "agd")


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    setting: Setting = "adversarial"
    ns: Sizes = (4, 8)


def needs(available: Available, options: Options) -> Needs:
    return Needs(scores=tuple(one for sets in _sets(available, options).values() for one in sets))


def _sets(available: Available, options: Options) -> dict[tuple[int, str], list[Condition]]:
    """By N and method the conditions after one set of calibration questions after the other: two sets at least."""
    sets = {}
    for n in options.ns:
        for method in CALIBRATED:
            first = options.condition(setting=options.setting, n=n, method=method)
            further = takewhile(available.has, (_with_set(first, number) for number in count(3)))
            sets[n, method] = [first, _with_set(first, 2), *further]
    return sets


def _with_set(condition: Condition, number: int) -> Condition:
    return replace(condition, source=replace(condition.source, set=number))


def draw(results: Results, options: Options) -> Table:
    """A row per N and calibrated method."""
    sets = _sets(results.available, options)
    accuracies = {key: np.array([known(results.measures.get(one)) for one in ones]) for key, ones in sets.items()}
    lines = [
        Line((str(n), METHODS[method].name), _cells(results.measures, ones, accuracies[n, method]), block=n)
        for (n, method), ones in sets.items()
    ]
    records = results.measures.select([(one, "accuracy") for ones in sets.values() for one in ones])
    headings = ("Sets", "Mean", "SD", "Lowest", "Highest", "Interval over questions")
    return Table(("N", "Method"), (("", headings),), tuple(lines), records, _facts(accuracies, options))


def _cells(measures: Measures, sets: Sequence[Condition], accuracies: Floats) -> tuple[Cell, ...]:
    first = measures.get(sets[0])
    interval = "–" if first.low is None or first.high is None else f"{first.low:.1f} to {first.high:.1f}"
    values = (accuracies.mean(), accuracies.std(ddof=1), accuracies.min(), accuracies.max())
    return (Cell(str(len(sets))), *(Cell(f"{value:.1f}") for value in values), Cell(interval))


def _facts(accuracies: dict[tuple[int, str], Floats], options: Options) -> dict[str, str]:
    def spread(method: str) -> str:
        return listed(
            [
                f"{found.std(ddof=1):.1f}{NO_BREAK}points at N = {n} ({between(found.min(), found.max())})"
                for (n, one), found in accuracies.items()
                if one == method
            ]
        )

    return {
        "questions": str(options.calibration_questions),
        "agd": spread("agd"),
        "pride": spread("pride"),
    }


ARTIFACT: Final = Artifact(
    name="table_calibration_sets",
    kind="table",
    order=190,
    title="Other calibration questions",
    caption="Accuracy after calibration on several sets of {questions} questions, none of them in two sets:"
    " mean, sample standard deviation and extremes over the sets. The interval is that of the first set, 95 %"
    " over evaluation questions; as everywhere, it takes the calibration as it is.",
    sentence="From one set of {questions} calibration questions to another, AGD's accuracy varies by {agd}, PriDe's"
    " by {pride}.",
    in_runs="`pride`, `purified_attention` and `agd` with two or more `calibration_sets`",
    options=Options,
    needs=needs,
    draw=draw,
)
