"""Figure 1: which position is answered, given where the target is - vanilla beside AGD."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lad.report.artifact import Artifact, Picture
from lad.report.confusion import Confusion, draw_confusion
from lad.report.needs import Available, Condition, Needs
from lad.report.options import ArtifactOptions, Setting, Size
from lad.report.results import Results
from lad.report.style import METHODS, new_figure
from lad.report.wording import between, percent

COMPARED: Final = ("vanilla", "agd")
HEIGHT: Final = 3.5


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    setting: Setting = "random"
    n: Size = 8


def needs(available: Available, options: Options) -> Needs:
    return Needs(scores=tuple(_condition(options, method) for method in COMPARED))


def _condition(options: Options, method: str) -> Condition:
    return options.condition(setting=options.setting, n=options.n, method=method)


def draw(results: Results, options: Options) -> Picture:
    """Two confusion matrices."""
    confusions = {method: Confusion.read(results.measures, _condition(options, method)) for method in COMPARED}
    positions = [str(position) for position in range(1, options.n + 1)]
    figure = new_figure(HEIGHT)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (method, confusion) in zip(panels, confusions.items(), strict=True):
        image = draw_confusion(axes, confusion.matrix, positions, digits_size=7.5)
        axes.set_title(f"{METHODS[method].name}: {confusion.accuracy:.1f} % right")
        axes.set_xlabel("Answered position")
    panels[0].set_ylabel("Target position")
    figure.colorbar(image, ax=panels, label="Answers per target position (%)", shrink=0.85, pad=0.015)
    return Picture(figure, _facts(confusions["vanilla"], confusions["agd"]))


def _facts(vanilla: Confusion, agd: Confusion) -> dict[str, str]:
    favourite = int(np.argmax(vanilla.selection_rate))
    return {
        "favourite": str(favourite + 1),
        "share": percent(vanilla.selection_rate[favourite]),
        "fair_share": percent(100.0 / len(vanilla.selection_rate)),
        "vanilla_recall": between(vanilla.recall.min(), vanilla.recall.max()),
        "agd_recall": between(agd.recall.min(), agd.recall.max()),
        "agd_mean": percent(float(agd.recall.mean())),
    }


ARTIFACT: Final = Artifact(
    name="fig1",
    kind="figure",
    order=10,
    title="Figure 1. Which position is answered, before and after correction",
    caption="Confusion matrices over positions, vanilla on the left, AGD on the right. A row is where the"
    " target was, a column what was answered; each row sums to 100 %;"
    " cells below 0.5 % are left empty. Without bias the diagonal is even.",
    sentence="Vanilla gives {share} of its answers to position {favourite} (an even share is {fair_share}) and"
    " finds {vanilla_recall} of the targets, depending on where they stand; AGD finds {agd_recall},"
    " {agd_mean} on average.",
    alt="Two heat maps of target position by answered position, vanilla and AGD, with percentages.",
    in_runs="`vanilla` and `agd`",
    options=Options,
    needs=needs,
    draw=draw,
)
