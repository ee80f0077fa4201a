"""SoFA's sigma: accuracy when images see later images more or less.

Not in the paper, which fixes sigma = 0.5 where SoFA's authors choose it on held-out questions.
"""

import re
from typing import Final

import duckdb
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lad.extraction.prompts import get_probe
from lad.figures.content import ArtifactError, Options, Picture
from lad.figures.measures import Measure, Measures
from lad.figures.style import METHODS, PAGE_WIDTH
from lad.figures.wording import known, listed, percent

SCOPES: Final = {"between": ("between images (printed)", "-"), "all": ("all image tokens (released code)", ":")}
HEIGHT: Final = 3.0

Line = list[tuple[float, Measure]]


def draw(connection: duckdb.DuckDBPyConnection, options: Options) -> Picture:
    """One panel per N of `options.ns`, at `options.setting`; sigma 0 is vanilla."""
    measures = Measures(connection, options)
    figure = Figure(figsize=(PAGE_WIDTH, HEIGHT))
    panels = figure.subplots(1, len(options.ns), sharey=True, squeeze=False)[0]
    lines = {n: {scope: _sweep(measures, options, n, scope) for scope in SCOPES} for n in options.ns}
    for axes, n in zip(panels, options.ns, strict=True):
        if len(lines[n]["between"]) < 2:
            raise ArtifactError(
                f"metrics of model {options.model} on dataset {options.dataset} have SoFA (setting {options.setting},"
                f" n = {n}) for no sigma; `lad extract --probe sofa-sigma0.3`, then `lad score --method vanilla` and"
                " `lad evaluate`, produce it"
            )
        for scope, line in lines[n].items():
            _draw_line(axes, line, scope)
        agd = known(measures(setting=options.setting, n=n, method="agd"))
        axes.axhline(agd, color=METHODS["agd"].colour, linestyle="--", linewidth=1.2, label="AGD")
        axes.set_title(f"N = {n}, {options.setting} candidates")
        axes.set_xlabel(r"$\sigma$ (0: causal, 1: bidirectional)")
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(0, 103)
        axes.grid(axis="y")
    panels[0].set_ylabel("Accuracy (%)")
    handles = {
        label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(handles.values()), list(handles), loc="outside upper center", ncols=3)
    return Picture(figure, _facts(lines, options))


def _sweep(measures: Measures, options: Options, n: int, scope: str) -> Line:
    """The accuracies by sigma of the probes that were measured, softened in every second layer; vanilla first."""
    sweep: dict[float, Measure] = {0.0: measures(setting=options.setting, n=n, method="vanilla")}
    for probe in sorted(set(measures.records["probe"].to_pylist())):
        softening = get_probe(probe).softening if re.match("sofa", probe) else None
        condition = measures.condition(setting=options.setting, n=n, method="vanilla", probe=probe)
        if softening and softening.scope == scope and softening.every == 2 and condition in measures:
            sweep[softening.sigma] = measures.get(condition)
    return sorted(sweep.items(), key=lambda point: point[0])


def _draw_line(axes: Axes, line: Line, scope: str) -> None:
    if len(line) < 2:
        return
    name, dashes = SCOPES[scope]
    style = METHODS["sofa"]
    sigma, accuracy, std = (
        np.array(values) for values in zip(*((s, known(m), m.std or 0.0) for s, m in line), strict=True)
    )
    axes.plot(
        sigma, accuracy, linestyle=dashes, color=style.colour, marker=style.marker, markersize=4, label=f"SoFA, {name}"
    )
    axes.fill_between(sigma, accuracy - std, accuracy + std, color=style.colour, alpha=0.2, linewidth=0)


def _facts(lines: dict[int, dict[str, Line]], options: Options) -> dict[str, str]:
    clauses = []
    for n in options.ns:
        line = lines[n]["between"]
        sigma, best = max(line, key=lambda point: known(point[1]))
        clauses.append(
            f"{percent(known(best))} at σ = {sigma:g}, against {percent(known(line[0][1]))} of vanilla (N = {n})"
        )
    return {"best": listed(clauses)}
