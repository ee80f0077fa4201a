"""SoFA's sigma: accuracy when images see later images more or less.

Not in the paper, which fixes sigma = 0.5 where SoFA's authors choose it on held-out questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from lad.extraction.prompts import get_probe
from lad.report.artifact import Artifact, Picture
from lad.report.measures import Measure
from lad.report.needs import Available, Condition, Needs
from lad.report.options import ArtifactOptions, Setting, Sizes
from lad.report.results import Results
from lad.report.style import METHODS, new_figure
from lad.report.wording import known, listed, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCOPES: Final = {"between": ("between images (printed)", "-"), "all": ("all image tokens (released code)", ":")}
HEIGHT: Final = 3.0

Line = list[tuple[float, Measure]]


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    setting: Setting = "random"
    ns: Sizes = (4, 8)

    def answer(self, n: int, method: str, probe: str = "vanilla") -> Condition:
        return self.condition(setting=self.setting, n=n, method=method, probe=probe)


def needs(available: Available, options: Options) -> Needs:
    scores = []
    for n in options.ns:
        between, everywhere = (_sweep(available, options, n, scope) for scope in SCOPES)
        # Without any sigma, the paper's is asked for, and refused.
        softened = list(between.values())[1:] or [options.answer(n, "vanilla", "sofa")]
        scores += [options.answer(n, "vanilla"), options.answer(n, "agd"), *softened, *everywhere.values()]
    return Needs(scores=tuple(scores))


def _sweep(available: Available, options: Options, n: int, scope: str) -> dict[float, Condition]:
    """By sigma the probes that soften every second layer in this scope, so far as they are there; vanilla first."""
    vanilla = options.answer(n, "vanilla")
    sweep = {0.0: vanilla}
    for condition in sorted(available.along(vanilla, "probe"), key=lambda condition: condition.probe):
        softening = get_probe(condition.probe).softening
        if softening and softening.scope == scope and softening.every == 2:
            sweep[softening.sigma] = condition
    return dict(sorted(sweep.items()))


def draw(results: Results, options: Options) -> Picture:
    """One panel per N; sigma 0 is vanilla."""
    figure = new_figure(HEIGHT)
    panels = figure.subplots(1, len(options.ns), sharey=True, squeeze=False)[0]
    lines = {n: {scope: _line(results, options, n, scope) for scope in SCOPES} for n in options.ns}
    for axes, n in zip(panels, options.ns, strict=True):
        for scope, line in lines[n].items():
            _draw_line(axes, line, scope)
        agd = known(results.measures.get(options.answer(n, "agd")))
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


def _line(results: Results, options: Options, n: int, scope: str) -> Line:
    sweep = _sweep(results.available, options, n, scope)
    return [(sigma, results.measures.get(condition)) for sigma, condition in sweep.items()]


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


ARTIFACT: Final = Artifact(
    name="fig_sofa",
    kind="figure",
    order=90,
    title="SoFA, more or less softened",
    caption="Accuracy against σ, by how much images see later images in every second layer. Bands are ± one"
    " sample standard deviation over the orders. The paper fixes σ = 0.5; SoFA's authors choose it on held-out"
    " questions.",
    sentence="SoFA is best with {best}.",
    alt="Line charts of SoFA's accuracy against sigma, beside AGD's.",
    in_runs="`vanilla` and `agd`; `vanilla` by a probe such as `sofa` or `sofa-sigma0.3`",
    options=Options,
    needs=needs,
    draw=draw,
)
