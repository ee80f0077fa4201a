"""What further passes of a question are worth: accuracy by the number of orders that an answer rests on.

Not in the paper, whose table 8 has all cyclic shifts or none. Methods that need one pass stand at one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np

from lad.methods import parse_method
from lad.report.artifact import PAIRED, Artifact, Picture
from lad.report.measures import Measure
from lad.report.needs import Available, Condition, Contest, Needs
from lad.report.options import ArtifactOptions, Settings, Sizes
from lad.report.results import Results
from lad.report.style import GREY, METHODS, new_figure
from lad.report.wording import Pair, known, listed, name, numbers, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEVERAL_PASSES: Final = ("majority_vote", "permutation_average", "gold_panning")
FEW: Final = 2
"""The number of passes that the sentence speaks of, besides all."""
ROW_HEIGHT: Final = 2.3

Line = dict[int, Condition]
"""The conditions of one method by the number of passes, ascending."""


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    settings: Settings = ("random", "adversarial")
    ns: Sizes = (4, 8)
    orders: Annotated[str, "from which orders the passes are taken: evaluated, cyclic or random"] = "evaluated"
    methods: Annotated[tuple[str, ...], "methods of one pass, with variants as `lad score --method` has them"] = (
        "purified_attention",
        "agd",
    )

    @property
    def panels(self) -> list[tuple[str, int]]:
        return [(setting, n) for setting in self.settings for n in self.ns]


def needs(available: Available, options: Options) -> Needs:
    found = Needs()
    for setting, n in options.panels:
        lines = _lines(available, options, setting, n)
        found += Needs(scores=tuple(one for line in lines.values() for one in line.values()))
        found += Needs(scores=tuple(_once(options, setting, n).values()))
        found += Needs.of(_contests(lines, setting, n))
    return found


def _lines(available: Available, options: Options, setting: str, n: int) -> dict[str, Line]:
    """By method its conditions, at the numbers of passes that all three have."""
    lines = {}
    for method in SEVERAL_PASSES:
        of_all = available.along(options.condition(setting=setting, n=n, method=method), "variant")
        passes = {_passes(condition, options.orders): condition for condition in of_all}
        lines[method] = {count: passes[count] for count in sorted(filter(None, passes))}
    shared = set.intersection(*(set(line) for line in lines.values()))
    if not {1, FEW} <= shared:
        raise available.refusal(
            f"{listed([*SEVERAL_PASSES])} of orders={options.orders} together at passes {_told(shared)} (setting"
            f" {setting}, n = {n}); the figure starts at passes 1 and {FEW}",
            run=f"name each of them with orders: {options.orders} and passes: 1, 2 and more in a run",
            command=f"`lad score --method 'gold_panning;orders={options.orders};passes=1'` and so on add some",
        )
    return {method: {passes: line[passes] for passes in line if passes in shared} for method, line in lines.items()}


def _passes(condition: Condition, orders: str) -> int | None:
    """The number of passes of a condition that says it, over these orders and with no other option; else None."""
    method, chosen, _ = parse_method(condition.specification)
    plain = {**vars(method.options_type()), "passes": vars(chosen)["passes"]}
    same = {**vars(chosen), "orders": None} == plain
    over = vars(chosen)["orders"] or ("cyclic" if method.name == "permutation_average" else "evaluated")
    passes = vars(chosen)["passes"]
    return passes if same and over == orders and passes != "all" else None


def _told(passes: set[int]) -> str:
    return numbers(sorted(passes)) if passes else "none"


def _once(options: Options, setting: str, n: int) -> dict[str, Condition]:
    """The methods of one pass, vanilla first."""
    conditions = {}
    for specification in ("vanilla", *options.methods):
        parsed = parse_method(specification)
        conditions[specification] = options.condition(
            setting=setting, n=n, method=parsed.method.name, variant=parsed.variant
        )
    return conditions


def _contests(lines: dict[str, Line], setting: str, n: int) -> list[Contest]:
    """Gold panning against averaging, which is the better of the two that choose no order, after few and all passes."""
    ours, theirs = lines["gold_panning"], lines["permutation_average"]
    return [
        Contest(f"after {passes} passes", ours[passes], theirs[passes]) for passes in dict.fromkeys((FEW, max(ours)))
    ]


def draw(results: Results, options: Options) -> Picture:
    """One panel per setting and N."""
    rows, columns = len(options.settings), len(options.ns)
    figure = new_figure(0.6 + ROW_HEIGHT * rows)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    clauses = []
    for axes, (setting, n) in zip(panels.flat, options.panels, strict=True):
        lines = _lines(results.available, options, setting, n)
        once = _once(options, setting, n)
        axes.axhline(100 / n, color=GREY, linestyle=":", linewidth=1.2, label="Guessing")
        axes.axhline(
            known(results.measures.get(once["vanilla"])),
            color=METHODS["vanilla"].colour,
            linestyle="--",
            linewidth=1.2,
            label=METHODS["vanilla"].name,
        )
        for method, line in lines.items():
            _draw_line(axes, {passes: results.measures.get(one) for passes, one in line.items()}, method)
        for specification in options.methods:
            place = 1 + 0.02 * max(lines["gold_panning"]) * (
                options.methods.index(specification) - len(options.methods) / 2 + 0.5
            )
            _draw_point(axes, place, results.measures.get(once[specification]), specification)
        axes.set_title(f"{setting.capitalize()}, N = {n}", loc="left")
        axes.set_xticks([*lines["gold_panning"]])
        axes.set_ylim(0, 103)
        axes.grid(axis="y")
        clauses.append(_clause(results, lines, once, setting, n))
    for axes in panels[-1]:
        axes.set_xlabel("Passes per answer")
    for axes in panels[:, 0]:
        axes.set_ylabel("Accuracy (%)")
    handles = {
        label: handle for axes in panels.flat for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=3 if len(handles) > 8 else 4)
    passes = [options.calibration_questions * n for n in options.ns]
    return Picture(
        figure,
        {
            "cells": "; ".join(clauses),
            "cost": f"{options.calibration_questions} questions in N orders, {listed([str(cost) for cost in passes])}"
            f" passes at N = {listed([str(n) for n in options.ns])}",
        },
    )


def _draw_line(axes: Axes, line: dict[int, Measure], method: str) -> None:
    style = METHODS[method]
    passes, values = list(line), [known(measure) for measure in line.values()]
    axes.plot(passes, values, color=style.colour, marker=style.marker, markersize=style.marker_size, label=style.name)
    # Few questions have no interval, and then no band.
    low, high = (np.array([getattr(one, end) for one in line.values()], dtype=float) for end in ("low", "high"))
    axes.fill_between(passes, low, high, color=style.colour, alpha=0.15, linewidth=0)


def _draw_point(axes: Axes, place: float, measure: Measure, specification: str) -> None:
    """A method of one pass: a marker near one pass, with its interval."""
    parsed = parse_method(specification)
    style = METHODS[parsed.method.name]
    value = known(measure)
    reach = [[value - (measure.low if measure.low is not None else value)], [(measure.high or value) - value]]
    variant = f" ({parsed.variant.replace(';', ', ')})" if parsed.variant else ""
    axes.errorbar(
        [place],
        [value],
        yerr=reach,
        color=style.colour,
        marker=style.marker,
        markersize=style.marker_size,
        linestyle="none",
        elinewidth=1,
        label=f"{style.name}{variant}",
        zorder=3,
    )


def _clause(results: Results, lines: dict[str, Line], once: dict[str, Condition], setting: str, n: int) -> str:
    def told(method: str, passes: int) -> str:
        return percent(known(results.measures.get(lines[method][passes])))

    steps = []
    for contest in _contests(lines, setting, n):
        passes = int(contest.where.split()[1])
        pair = Pair.measured(results.measures, contest)
        steps.append(
            f"{told('gold_panning', passes)} {contest.where}, averaging {told('permutation_average', passes)} [{pair}]"
        )
    best = max((one for key, one in once.items() if key != "vanilla"), key=lambda o: known(results.measures.get(o)))
    return (
        f"{setting} candidates, N = {n}: vanilla {percent(known(results.measures.get(once['vanilla'])))}, gold panning"
        f" {' and '.join(steps)}, {name(best.method)} {percent(known(results.measures.get(best)))} after one"
    )


ARTIFACT: Final = Artifact(
    name="fig_passes",
    kind="figure",
    order=95,
    title="Accuracy by passes",
    caption="Accuracy against the number of passes, that is of orders of the question that an answer rests on. The"
    " majority vote and averaging take the next orders as they come; gold panning chooses each by the answers before"
    " it, from those that were run. Every order is once the first. Bands and bars are 95 % bootstrap intervals over"
    " questions. Markers at one pass are methods that need no more; they, and gold panning, are calibrated once on"
    " {cost}." + PAIRED,
    sentence="{cells}.",
    alt="Line charts of accuracy against the number of passes for majority vote, permutation averaging and gold"
    " panning, with methods of one pass as markers.",
    in_runs="`majority_vote`, `permutation_average` and `gold_panning` with the same `orders` and two or more `passes`"
    " from 1; its methods of one pass; `vanilla`",
    options=Options,
    needs=needs,
    draw=draw,
)
