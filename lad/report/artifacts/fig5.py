"""Figure 5: accuracy by number of candidates, in both settings.

Differs from the paper: the band is the 95 % bootstrap interval over questions, which also says how far a small
benchmark can be trusted; the dotted line is what guessing would reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from lad.report.artifact import Artifact, Picture
from lad.report.measures import Measure
from lad.report.needs import Available, Condition, Needs
from lad.report.options import ArtifactOptions, Settings
from lad.report.results import Results
from lad.report.style import GREY, METHODS, new_figure
from lad.report.wording import known, listed, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COMPARED: Final = ("agd", "pride", "vanilla")
HEIGHT: Final = 3.0

Line = dict[int, Measure]
"""Accuracy by number of candidates, ascending."""


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    settings: Settings = ("random", "adversarial")


def needs(available: Available, options: Options) -> Needs:
    lines = {(setting, method): _line(available, options, setting, method) for setting, method in _lines(options)}
    for (setting, method), line in lines.items():
        if len(line) < 2:
            raise available.refusal(
                f"{method} at fewer than two n (model {options.model}, dataset {options.dataset}, setting {setting})",
                run="add further n to a run",
                command=f"`lad extract` at further n, `lad score --method {method}` and `lad evaluate` add some",
            )
    return Needs(scores=tuple(condition for line in lines.values() for condition in line))


def _lines(options: Options) -> list[tuple[str, str]]:
    return [(setting, method) for setting in options.settings for method in COMPARED]


def _line(available: Available, options: Options, setting: str, method: str) -> list[Condition]:
    """One method at every N that there is."""
    sizes = available.sizes(options.model, options.dataset, setting)
    conditions = [options.condition(setting=setting, n=n, method=method) for n in sizes]
    return [condition for condition in conditions if available.has(condition)]


def draw(results: Results, options: Options) -> Picture:
    """One panel per setting, over every N that was measured."""
    lines = {
        (setting, method): {
            condition.n: results.measures.get(condition)
            for condition in _line(results.available, options, setting, method)
        }
        for setting, method in _lines(options)
    }
    figure = new_figure(HEIGHT)
    panels = figure.subplots(1, len(options.settings), sharey=True, squeeze=False)[0]
    for axes, setting in zip(panels, options.settings, strict=True):
        for method in COMPARED:
            _draw_method(axes, lines[setting, method], method)
        _draw_chance(axes, list(lines[setting, "agd"]))
        axes.set_title(f"{setting.capitalize()} candidates")
        axes.set_xlabel("Number of candidates, N")
        axes.set_ylim(0, 103)
        axes.grid(axis="y")
    panels[0].set_ylabel("Accuracy (%)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return Picture(figure, _facts(lines, options))


def _draw_method(axes: Axes, line: Line, method: str) -> None:
    style = METHODS[method]
    ns = list(line)
    axes.plot(
        ns,
        [known(measure) for measure in line.values()],
        color=style.colour,
        marker=style.marker,
        markersize=style.marker_size,
        label=style.name,
    )
    # Few questions have no interval, and then no band.
    low, high = (np.array([getattr(one, end) for one in line.values()], dtype=float) for end in ("low", "high"))
    axes.fill_between(ns, low, high, color=style.colour, alpha=0.2, linewidth=0)
    axes.set_xticks(ns)


def _draw_chance(axes: Axes, sizes: list[int]) -> None:
    ns = np.linspace(sizes[0], sizes[-1], 100)
    axes.plot(ns, 100 / ns, color=GREY, linestyle=":", linewidth=1.2, label="Guessing")


def _facts(lines: dict[tuple[str, str], Line], options: Options) -> dict[str, str]:
    def change(method: str) -> str:
        texts = []
        for setting in options.settings:
            line = lines[setting, method]
            first, last = min(line), max(line)
            texts.append(
                f"{percent(line[first].value)} (N = {first}) to {percent(line[last].value)} (N = {last})"
                f" with {setting} candidates"
            )
        return listed(texts)

    return {method: change(method) for method in COMPARED}


ARTIFACT: Final = Artifact(
    name="fig5",
    kind="figure",
    order=40,
    title="Figure 5. Accuracy as candidates are added",
    caption="Accuracy against the number of candidates, random distractors on the left, adversarial ones on the"
    " right. Bands are 95 % bootstrap intervals over questions; the dotted line is guessing.",
    sentence="Vanilla goes from {vanilla}; PriDe from {pride}; AGD from {agd}.",
    alt="Line charts of accuracy against the number of candidates for AGD, PriDe and vanilla, in two settings.",
    in_runs="`vanilla`, `pride` and `agd` at two or more N",
    options=Options,
    needs=needs,
    draw=draw,
)
