"""How much hangs on which few questions a method was calibrated on.

An addition to the paper, which calibrates on 5 questions once. Intervals over evaluation questions take the calibration
as it is. Here each method is calibrated on several sets of as many questions, none of them in two sets, and answers the
same evaluation questions after each.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count, takewhile
from typing import Final

import duckdb
import numpy as np

from lad.evaluation.bootstrap import Floats
from lad.figures.content import ArtifactError, Cell, Line, Options, Table
from lad.figures.measures import Condition, Measures
from lad.figures.style import METHODS
from lad.figures.wording import NO_BREAK, between, known, listed
from lad.grid import CalibrationSource

CALIBRATED: Final = ("pride", "purified_attention", "agd")


def draw(connection: duckdb.DuckDBPyConnection, options: Options) -> Table:
    """A row per N of `options.ns` and calibrated method, at `options.setting`."""
    measures = Measures(connection, options)
    drawn = {(n, method): _draws(measures, n, method) for n in options.ns for method in CALIBRATED}
    accuracies = {key: np.array([known(measures.get(one)) for one in draws]) for key, draws in drawn.items()}
    lines = [
        Line((str(n), METHODS[method].name), _cells(measures, drawn[n, method], accuracies[n, method]), block=n)
        for n, method in drawn
    ]
    records = measures.select([(one, "accuracy") for draws in drawn.values() for one in draws])
    headings = ("Sets", "Mean", "SD", "Lowest", "Highest", "Interval over questions")
    return Table(("N", "Method"), (("", headings),), tuple(lines), records, _facts(accuracies, options))


def _draws(measures: Measures, n: int, method: str) -> list[Condition]:
    """The conditions of one method on one set of calibration questions after the other.

    Raises:
        ArtifactError: there are fewer than two.
    """
    options = measures.options
    first = measures.condition(setting=options.setting, n=n, method=method)
    own = CalibrationSource(options.dataset, options.setting)
    further = (replace(first, calibrated_on=replace(own, set=number)) for number in count(2))
    found = [first, *takewhile(measures.__contains__, further)]
    if first not in measures or len(found) < 2:
        raise ArtifactError(
            f"metrics of model {options.model} on dataset {options.dataset} have {method} (setting {options.setting},"
            f" n = {n}) after fewer than two sets of {options.calibration_questions} calibration questions;"
            " `lad calibrate --set 2`, `lad score` and `lad evaluate` add one"
        )
    return found


def _cells(measures: Measures, draws: Sequence[Condition], accuracies: Floats) -> tuple[Cell, ...]:
    first = measures.get(draws[0])
    interval = "–" if first.low is None or first.high is None else f"{first.low:.1f} to {first.high:.1f}"
    values = (accuracies.mean(), accuracies.std(ddof=1), accuracies.min(), accuracies.max())
    return (Cell(str(len(draws))), *(Cell(f"{value:.1f}") for value in values), Cell(interval))


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
