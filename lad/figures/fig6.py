"""Figure 6: how much AGD depends on its two choices, the calibration budget |D_cal| and tau.

The band is, as in the paper, the standard deviation over the orders. PriDe has no tau: its accuracy is drawn level.
"""

from importlib.resources import files
from typing import Any, Final

import duckdb
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lad import query
from lad.figures.content import ArtifactError, Options, Picture
from lad.figures.style import METHODS, PAGE_WIDTH
from lad.figures.wording import between, listed, percent

SENSITIVITY_SQL: Final = files("lad.figures") / "fig6.sql"
COMPARED: Final = ("agd", "pride", "vanilla")
ROW_HEIGHT: Final = 2.1
LABELS: Final = {
    "calibration_questions": "Calibration questions, $|D_{cal}|$",
    "tau": r"Temperature, $\tau$",
}

Rows = list[dict[str, Any]]


def draw(connection: duckdb.DuckDBPyConnection, options: Options) -> Picture:
    """One row of panels per N of `options.ns`, at `options.setting`."""
    rows = _read_sensitivity(connection, options)
    figure = Figure(figsize=(PAGE_WIDTH, 0.5 + ROW_HEIGHT * len(options.ns)))
    grid = figure.subplots(len(options.ns), len(LABELS), sharex="col", sharey=True, squeeze=False)
    for line, n in zip(grid, options.ns, strict=True):
        for axes, parameter in zip(line, LABELS, strict=True):
            _draw_panel(axes, _of(rows, n, parameter), parameter)
            axes.set_title(f"N = {n}", loc="left")
        line[0].set_ylabel("Accuracy (%)")
    for axes, label in zip(grid[-1], LABELS.values(), strict=True):
        axes.set_xlabel(label)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return Picture(figure, _facts(rows, options))


def _read_sensitivity(connection: duckdb.DuckDBPyConnection, options: Options) -> Rows:
    parameters = {
        "model": options.model,
        "dataset": options.dataset,
        "setting": options.setting,
        "ns": list(options.ns),
        "calibration_questions": options.calibration_questions,
        "temperature": options.temperature,
    }
    rows: Rows = query.on(connection, SENSITIVITY_SQL, parameters).to_pylist()
    makers = {
        "calibration_questions": "`lad calibrate --questions K` for several K, then `lad score` and `lad evaluate`",
        "tau": "`lad score --method 'agd;tau=...'` for several tau, then `lad evaluate`",
    }
    for n in options.ns:
        for parameter, maker in makers.items():
            if len(_of(rows, n, parameter, "agd")) < 2:
                raise ArtifactError(
                    f"metrics of model {options.model} on dataset {options.dataset} have agd (setting"
                    f" {options.setting}, n = {n}) for fewer than two values of {parameter}; {maker}, produce them"
                )
    return rows


def _of(rows: Rows, n: int, parameter: str, method: str | None = None) -> Rows:
    return [row for row in rows if row["n"] == n and row["parameter"] == parameter and method in (None, row["method"])]


def _draw_panel(axes: Axes, rows: Rows, parameter: str) -> None:
    span = [row["parameter_value"] for row in rows if row["method"] == "agd"]
    for method in COMPARED:
        line = [row for row in rows if row["method"] == method]
        if not line:
            continue
        style = METHODS[method]
        x = np.array([row["parameter_value"] for row in line])
        accuracy = np.array([row["value"] for row in line])
        std = np.array([row["std"] or 0.0 for row in line])
        marker = style.marker
        if len(line) == 1:
            # What does not depend on the parameter was measured once and holds everywhere.
            x, accuracy, std = np.array([min(span), max(span)]), accuracy.repeat(2), std.repeat(2)
            marker = ""
        axes.plot(x, accuracy, color=style.colour, marker=marker, markersize=style.marker_size, label=style.name)
        axes.fill_between(x, accuracy - std, accuracy + std, color=style.colour, alpha=0.2, linewidth=0)
    if parameter == "calibration_questions":
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(sorted(set(span)), [f"{value:g}" for value in sorted(set(span))])
    axes.set_ylim(0, 103)
    axes.grid(axis="y")


def _facts(rows: Rows, options: Options) -> dict[str, str]:
    budgets, temperatures = [], []
    for n in options.ns:
        line = _of(rows, n, "calibration_questions", "agd")
        first, last = line[0], line[-1]
        configured = [row for row in line if row["parameter_value"] == options.calibration_questions]
        middle = (
            f", {percent(configured[0]['value'])} with {options.calibration_questions}"
            if configured and configured[0] not in (first, last)
            else ""
        )
        budgets.append(
            f"{percent(first['value'])} with {first['parameter_value']:g}"
            f" calibration question{'' if first['parameter_value'] == 1 else 's'}{middle} and"
            f" {percent(last['value'])} with {last['parameter_value']:g} (N = {n})"
        )
        values = [row["value"] for row in _of(rows, n, "tau", "agd")]
        temperatures.append(f"{between(min(values), max(values))} (N = {n})")
    taus = [row["parameter_value"] for row in _of(rows, options.ns[0], "tau", "agd")]
    return {
        "budgets": "; ".join(budgets),
        "temperatures": listed(temperatures),
        "lowest_tau": f"{min(taus):g}",
        "highest_tau": f"{max(taus):g}",
    }
