"""Figure 6: how much AGD depends on its two choices, the calibration budget |D_cal| and tau.

The band is, as in the paper, the standard deviation over the orders. PriDe has no tau: its accuracy is drawn level.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from lad.report.artifact import Artifact, Picture
from lad.report.measures import Measure
from lad.report.needs import Available, Condition, Needs
from lad.report.options import ArtifactOptions, Setting, Sizes, Temperature
from lad.report.results import Results
from lad.report.style import METHODS, new_figure
from lad.report.wording import between, known, listed, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COMPARED: Final = ("agd", "pride", "vanilla")
ROW_HEIGHT: Final = 2.1
LABELS: Final = {
    "calibration_questions": "Calibration questions, $|D_{cal}|$",
    "tau": r"Temperature, $\tau$",
}

Parameter = Literal["calibration_questions", "tau"]
PARAMETERS: Final[tuple[Parameter, ...]] = ("calibration_questions", "tau")
Line = list[tuple[float, Measure]]
"""Accuracy by the value of a parameter, ascending."""


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    setting: Setting = "random"
    ns: Sizes = (4, 8)
    temperature: Temperature = 5.0


def needs(available: Available, options: Options) -> Needs:
    lines = {key: _line(available, options, *key) for key in _lines(options)}
    commands = {
        "calibration_questions": "`lad calibrate --questions K` for several K, `lad score`",
        "tau": "`lad score --method 'agd;tau=...'` for several tau",
    }
    runs = {"calibration_questions": "several calibration_questions", "tau": "several agd;tau=..."}
    required = [options.condition(setting=options.setting, n=n, method="agd") for n in options.ns]
    for agd in required:
        for parameter in PARAMETERS:
            if available.has(agd) and len(lines[agd.n, parameter, "agd"]) < 2:
                raise available.refusal(
                    f"agd with fewer than two values of {parameter} (model {options.model}, dataset {options.dataset},"
                    f" setting {options.setting}, n = {agd.n})",
                    run=f"name {runs[parameter]} in a run",
                    command=f"{commands[parameter]} and `lad evaluate` add some",
                )
    return Needs(scores=(*required, *(condition for line in lines.values() for _, condition in line)))


def _lines(options: Options) -> list[tuple[int, Parameter, str]]:
    return [(n, parameter, method) for n in options.ns for parameter in PARAMETERS for method in COMPARED]


def _line(
    available: Available, options: Options, n: int, parameter: Parameter, method: str
) -> list[tuple[float, Condition]]:
    """One method at each value of the parameter that there is, with that value."""
    configured = options.condition(setting=options.setting, n=n, method=method)
    if parameter == "calibration_questions":
        found = available.along(configured, "calibration_questions")
        return [(float(condition.calibration_questions), condition) for condition in found]
    # The configured tau carries no variant; vanilla and PriDe have no tau at all.
    taus = [(_tau(condition, options.temperature), condition) for condition in available.along(configured, "variant")]
    return [(tau, condition) for tau, condition in taus if tau is not None]


def _tau(condition: Condition, configured: float) -> float | None:
    match = re.fullmatch(r"tau=([0-9.]+)", condition.variant)
    return float(match[1]) if match else None if condition.variant else configured


def draw(results: Results, options: Options) -> Picture:
    """One row of panels per N."""
    lines = {key: _measured(results, options, *key) for key in _lines(options)}
    figure = new_figure(0.5 + ROW_HEIGHT * len(options.ns))
    grid = figure.subplots(len(options.ns), len(LABELS), sharex="col", sharey=True, squeeze=False)
    for row, n in zip(grid, options.ns, strict=True):
        for axes, parameter in zip(row, PARAMETERS, strict=True):
            _draw_panel(axes, {method: lines[n, parameter, method] for method in COMPARED}, parameter)
            axes.set_title(f"N = {n}", loc="left")
        row[0].set_ylabel("Accuracy (%)")
    for axes, label in zip(grid[-1], LABELS.values(), strict=True):
        axes.set_xlabel(label)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    agd = {parameter: {n: lines[n, parameter, "agd"] for n in options.ns} for parameter in PARAMETERS}
    return Picture(figure, _facts(agd["calibration_questions"], agd["tau"], options))


def _measured(results: Results, options: Options, n: int, parameter: Parameter, method: str) -> Line:
    found = _line(results.available, options, n, parameter, method)
    line = [(value, results.measures.get(condition)) for value, condition in found]
    return sorted(line, key=lambda point: (point[0], known(point[1])))


def _draw_panel(axes: Axes, lines: dict[str, Line], parameter: Parameter) -> None:
    span = [value for value, _ in lines["agd"]]
    for method, line in lines.items():
        if not line:
            continue
        style = METHODS[method]
        x = np.array([value for value, _ in line])
        accuracy = np.array([known(measure) for _, measure in line])
        std = np.array([measure.std or 0.0 for _, measure in line])
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


def _facts(by_budget: dict[int, Line], by_tau: dict[int, Line], options: Options) -> dict[str, str]:
    """What AGD's lines say, by N."""
    budgets, temperatures = [], []
    for n, line in by_budget.items():
        (fewest, first), (most, last) = line[0], line[-1]
        configured = dict(line[1:-1]).get(options.calibration_questions)
        middle = f", {percent(configured.value)} with {options.calibration_questions}" if configured else ""
        budgets.append(
            f"{percent(first.value)} with {fewest:g} calibration question{'' if fewest == 1 else 's'}{middle} and"
            f" {percent(last.value)} with {most:g} (N = {n})"
        )
    for n, line in by_tau.items():
        values = [known(measure) for _, measure in line]
        temperatures.append(f"{between(min(values), max(values))} (N = {n})")
    taus = [tau for tau, _ in by_tau[options.ns[0]]]
    return {
        "budgets": "; ".join(budgets),
        "temperatures": listed(temperatures),
        "lowest_tau": f"{min(taus):g}",
        "highest_tau": f"{max(taus):g}",
    }


ARTIFACT: Final = Artifact(
    name="fig6",
    kind="figure",
    order=50,
    title="Figure 6. How much calibration, and which τ",
    caption="Accuracy against the number of calibration questions (left, logarithmic) and against the"
    " temperature τ of the attention posterior (right). Bands are ± one sample standard deviation over the"
    " orders. What does not depend on a parameter is drawn level.",
    sentence="AGD reaches {budgets}; for τ from {lowest_tau} to {highest_tau} it is {temperatures}.",
    alt="Line charts of accuracy against calibration budget and temperature for AGD, PriDe and vanilla.",
    in_runs="`agd` with two or more `calibration_questions`, and two or more of `agd;tau=...`",
    options=Options,
    needs=needs,
    draw=draw,
)
