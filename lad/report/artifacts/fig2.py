"""Figure 2: the logits of the N identifiers, one panel per target position.

Differs from the paper: each question's logits are centred on their mean, so that profiles rather than levels are
compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from lad.grid import Cell
from lad.report.artifact import Artifact, ArtifactError, Picture
from lad.report.needs import Available, Needs
from lad.report.options import ArtifactOptions, Setting, Size
from lad.report.results import Results
from lad.report.style import LIGHT_GREY, METHODS, TARGET_COLOUR, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOGITS_SQL: Final = files("lad.report.artifacts") / "fig2.sql"
DRAWN_PER_PANEL: Final = 40
PANELS_PER_ROW: Final = 4
PANEL_HEIGHT: Final = 1.65


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    setting: Setting = "random"
    n: Size = 8

    @property
    def cell(self) -> Cell:
        return Cell(self.model, self.dataset, self.setting, self.n, self.probe)


def needs(available: Available, options: Options) -> Needs:
    return Needs(signals=((options.cell, "evaluation"),))


def draw(results: Results, options: Options) -> Picture:
    """Single questions in grey, their mean in colour."""
    profiles = _read_profiles(results, options)
    rows = -(-options.n // PANELS_PER_ROW)
    columns = min(options.n, PANELS_PER_ROW)
    figure = new_figure(0.75 + PANEL_HEIGHT * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[options.n :]:
        axes.set_axis_off()
    for target, axes in enumerate(grid.flat[: options.n]):
        _draw_profiles(axes, profiles[target], target)
        if target >= options.n - columns:
            axes.set_xlabel("Position")
            axes.tick_params(labelbottom=True)
    figure.supylabel("Logit, minus the question's mean", fontsize="medium")
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3)
    return Picture(figure, _facts(profiles))


def _read_profiles(results: Results, options: Options) -> list[npt.NDArray[np.float64]]:
    """For each target position an array presentations x N of centred logits."""
    table = results.ask(LOGITS_SQL)
    target, logit = table["target_position"].to_numpy(), table["logit"].to_numpy()
    profiles = [logit[target == i].reshape(-1, options.n) for i in range(1, options.n + 1)]
    empty = [str(i) for i, profile in enumerate(profiles, start=1) if len(profile) == 0]
    if empty:
        raise ArtifactError(
            f"signals of model {options.model} on dataset {options.dataset} (setting {options.setting}, n ="
            f" {options.n}, probe {options.probe}, split evaluation) have no target at position {', '.join(empty)};"
            " `lad extract` of that cell with more questions produces them"
        )
    return profiles


def _draw_profiles(axes: Axes, profile: npt.NDArray[np.float64], target: int) -> None:
    positions = np.arange(1, profile.shape[1] + 1)
    single = axes.plot(positions, profile[:DRAWN_PER_PANEL].T, color=LIGHT_GREY, linewidth=0.5, alpha=0.6)
    single[0].set_label("Single questions")
    vanilla = METHODS["vanilla"]
    axes.plot(
        positions, profile.mean(axis=0), color=vanilla.colour, marker=vanilla.marker, label="Mean of all questions"
    )
    axes.axvspan(target + 0.6, target + 1.4, color=TARGET_COLOUR, alpha=0.22, linewidth=0, label="Target's position")
    axes.set_title(f"Target at {target + 1}")
    axes.set_xticks(positions)


def _facts(profiles: list[npt.NDArray[np.float64]]) -> dict[str, str]:
    """At which target positions the mean profile peaks where it should, and where it peaks otherwise."""
    means = np.stack([profile.mean(axis=0) for profile in profiles])
    peaks = means.argmax(axis=1)
    targets = np.arange(len(profiles))
    wrong = targets[peaks != targets]
    if len(wrong) == 0:
        margin = (means[targets, targets] - np.sort(means, axis=1)[:, -2]).min()
        detail = f"the smallest lead over another position is {margin:.1f} logits"
    else:
        gaps = means[wrong, peaks[wrong]] - means[wrong, wrong]
        worst = int(np.argmax(gaps))
        detail = (
            f"with the target at {wrong[worst] + 1} it peaks at {peaks[wrong[worst]] + 1},"
            f" {gaps[worst]:.1f} logits above the target"
        )
    return {
        "right": str(len(profiles) - len(wrong)),
        "n": str(len(profiles)),
        "detail": detail,
    }


ARTIFACT: Final = Artifact(
    name="fig2",
    kind="figure",
    order=20,
    title="Figure 2. What the logits say, by target position",
    caption="Logits of the position identifiers, one panel per target position: single questions in grey, the"
    " mean of all in colour, the target's position shaded. Without bias every mean would peak in its shade.",
    sentence="The mean logits peak at the target for {right} of {n} target positions; {detail}.",
    alt="Line charts of the logit of each position, one panel per target position, many grey lines and a mean.",
    in_runs="any method that answers the split `evaluation`",
    options=Options,
    needs=needs,
    draw=draw,
)
