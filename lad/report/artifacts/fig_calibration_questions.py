"""How many calibration questions are needed, by those methods that use them, those that read the query's rows included.

Figure 6 of the paper shows AGD and PriDe alone, and tau beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np

from lad.methods import parse_method
from lad.report.artifact import Artifact, Picture
from lad.report.measures import Measure
from lad.report.needs import Available, Condition, Needs
from lad.report.options import ArtifactOptions, Setting, Size
from lad.report.results import Results
from lad.report.style import METHODS, new_figure
from lad.report.wording import known, listed, percent

HEIGHT: Final = 3.2


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    setting: Setting = "random"
    n: Size = 8
    methods: Annotated[tuple[str, ...], "methods with their variants, as `lad score --method` has them"] = (
        "vanilla",
        "pride",
        "agd",
    )


def needs(available: Available, options: Options) -> Needs:
    required, lines = [], []
    for method in options.methods:
        configured = _configured(options, method)
        required.append(configured)
        line = available.along(configured, "calibration_questions")
        if available.has(configured) and method != "vanilla" and len(line) < 2:
            raise available.refusal(
                f"{method} with fewer than two numbers of calibration questions (setting {options.setting}, n ="
                f" {options.n})",
                run="name several calibration_questions in a run",
                command="`lad calibrate --questions K` for several K, `lad score` and `lad evaluate` add some",
            )
        lines += line
    return Needs(scores=(*required, *lines))


def _configured(options: Options, method: str) -> Condition:
    parsed = parse_method(method)
    return options.condition(setting=options.setting, n=options.n, method=parsed.method.name, variant=parsed.variant)


def draw(results: Results, options: Options) -> Picture:
    """One line per method; vanilla, which needs none, is drawn level."""
    figure = new_figure(HEIGHT)
    axes = figure.subplots()
    lines = {method: _line(results, options, method) for method in options.methods}
    counts = sorted({count for line in lines.values() for count, _ in line})
    for method, line in lines.items():
        style = METHODS[parse_method(method).method.name]
        x = np.array([count for count, _ in line])
        y, low, high = (np.array(values) for values in zip(*(_interval(measure) for _, measure in line), strict=True))
        axes.plot(x, y, color=style.colour, marker=style.marker, markersize=style.marker_size, label=_label(method))
        axes.fill_between(x, low, high, color=style.colour, alpha=0.15, linewidth=0)
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_xlabel("Calibration questions")
    axes.set_ylabel("Accuracy (%)")
    axes.set_ylim(0, 103)
    axes.grid(axis="y")
    axes.set_title(f"{options.setting.capitalize()} candidates, N = {options.n}", loc="left")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper")
    return Picture(figure, {"lines": listed([_told(method, line) for method, line in lines.items()])})


def _line(results: Results, options: Options, method: str) -> list[tuple[int, Measure]]:
    found = results.available.along(_configured(options, method), "calibration_questions")
    return sorted(
        ((condition.calibration_questions, results.measures.get(condition)) for condition in found),
        key=lambda point: point[0],
    )


def _interval(measure: Measure) -> tuple[float, float, float]:
    """Accuracy and its 95 % interval; where there is none, accuracy alone."""
    value = known(measure)
    return value, value if measure.low is None else measure.low, value if measure.high is None else measure.high


def _label(method: str) -> str:
    parsed = parse_method(method)
    name = METHODS[parsed.method.name].name
    return f"{name}\n({parsed.variant.replace(';', ', ')})" if parsed.variant else name


def _told(method: str, line: list[tuple[int, Measure]]) -> str:
    (fewest, first), (most, last) = line[0], line[-1]
    name = _label(method).replace("\n", " ")
    if fewest == most or first.value == last.value:
        return f"{name} {percent(first.value)}"
    return f"{name} {percent(first.value)} with {fewest} and {percent(last.value)} with {most}"


ARTIFACT: Final = Artifact(
    name="fig_calibration_questions",
    kind="figure",
    order=55,
    title="How many calibration questions are needed",
    caption="Accuracy against the number of calibration questions, on a logarithmic scale. Bands are 95 % bootstrap"
    " intervals over the evaluation questions, the calibration questions taken as they are.",
    sentence="{lines}.",
    alt="A line chart of accuracy against the number of calibration questions, one line per method.",
    in_runs="each of its methods with two or more `calibration_questions`",
    options=Options,
    needs=needs,
    draw=draw,
)
