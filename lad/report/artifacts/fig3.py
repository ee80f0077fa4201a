"""Figure 3: the divergence itself - where the model looks beside what it says, for one target position.

Differs from the paper: the attention divided by its prior stands beside the raw attention, and the target position
shown is the one at which the mean logits are furthest from right, rather than one picked by hand.
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
from lad.report.options import ArtifactOptions, Setting, Size, Temperature
from lad.report.results import Results
from lad.report.style import METHODS, TARGET_COLOUR, new_figure
from lad.report.wording import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DIVERGENCE_SQL: Final = files("lad.report.artifacts") / "fig3.sql"
READ_OUTS: Final = ("attention_readout", "purified_attention")
HEIGHT: Final = 2.9
BAR_WIDTH: Final = 0.38

Means = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    setting: Setting = "random"
    n: Size = 8
    temperature: Temperature = 5.0


def needs(available: Available, options: Options) -> Needs:
    cell = Cell(options.model, options.dataset, options.setting, options.n, options.probe)
    return Needs(
        signals=((cell, "evaluation"),),
        answers=tuple(options.condition(setting=options.setting, n=options.n, method=method) for method in READ_OUTS),
    )


def draw(results: Results, options: Options) -> Picture:
    """Mean attention beside mean logits."""
    attention, purified, logits = _read_means(results, options)
    target = _most_misleading(logits)
    figure = new_figure(HEIGHT)
    looks, says = figure.subplots(1, 2)
    for axes in (looks, says):
        _mark_target(axes, target, options.n)
    _draw_attention(looks, attention[target], purified[target])
    _draw_logits(says, logits[target])
    handles = {
        name: handle for axes in (looks, says) for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=len(handles))
    return Picture(figure, _facts(attention[target], purified[target], logits[target], target))


def _read_means(results: Results, options: Options) -> tuple[Means, Means, Means]:
    """Attention and purified attention (percent) and logits, each N x N: target position by position."""
    table = results.ask(DIVERGENCE_SQL, temperature=options.temperature)
    if len(table) != options.n**2:
        raise ArtifactError(
            f"signals and predictions of model {options.model} on dataset {options.dataset} (setting"
            f" {options.setting}, n = {options.n}, probe {options.probe}) do not cover every target position; `lad"
            " extract` of that cell with more questions, then `lad score`, produces them"
        )
    attention, purified, logits = (
        table[column].to_numpy().reshape(options.n, options.n) for column in ("attention", "purified", "logit")
    )
    return attention, purified, logits


def _most_misleading(logits: Means) -> int:
    """The target position (0-based) that another position's mean logit exceeds by most."""
    others = np.where(np.eye(len(logits), dtype=bool), -np.inf, logits)
    return int(np.argmax(others.max(axis=1) - np.diag(logits)))


def _mark_target(axes: Axes, target: int, n: int) -> None:
    axes.axvspan(target + 0.5, target + 1.5, color=TARGET_COLOUR, alpha=0.18, linewidth=0, label="Target's position")
    axes.set_xticks(range(1, n + 1))
    axes.set_xlabel("Position")


def _draw_attention(axes: Axes, attention: Means, purified: Means) -> None:
    positions = np.arange(1, len(attention) + 1)
    for shift, method, shares in ((-0.5, "attention_readout", attention), (0.5, "purified_attention", purified)):
        style = METHODS[method]
        axes.bar(positions + shift * BAR_WIDTH, shares, BAR_WIDTH, color=style.colour, label=style.name)
    axes.axhline(100 / len(attention), color="black", linewidth=0.8, linestyle=":", label="Even share")
    axes.set_title("Where the model looks")
    axes.set_ylabel("Share of attention (%)")


def _draw_logits(axes: Axes, logits: Means) -> None:
    positions = np.arange(1, len(logits) + 1)
    axes.bar(positions, logits, 2 * BAR_WIDTH, color=METHODS["vanilla"].colour, label="Logit")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_title("What the model says")
    axes.set_ylabel("Mean logit, centred")


def _facts(attention: Means, purified: Means, logits: Means, target: int) -> dict[str, str]:
    looked_at, said = int(purified.argmax()), int(logits.argmax())
    raw = int(attention.argmax())
    looks = (
        f"gives the target {percent(attention[target], 0)} of the attention to candidates, and"
        f" {percent(purified[target], 0)} once divided by the prior"
    )
    looks += ", more than any other position" if looked_at == target else f", less than position {looked_at + 1}"
    if raw != target and looked_at == target:
        looks += f" (undivided, position {raw + 1} has the most)"
    if said == target:
        says = "and its mean logit names the target as well"
    else:
        gap = logits[said] - logits[target]
        verb = "yet" if looked_at == target else "and"
        says = f"{verb} its mean logit is highest at position {said + 1}, {gap:.1f} above the target's"
    return {"target": str(target + 1), "looks": looks, "says": says}


ARTIFACT: Final = Artifact(
    name="fig3",
    kind="figure",
    order=30,
    title="Figure 3. Where the model looks, and what it says",
    caption="Left, how the last prompt token's attention is shared among the candidates in the layers that look at"
    " them most, raw and divided by the attention prior; right, the mean logits of the same questions. Shown"
    " is the target position at which the logits mislead most.",
    sentence="With the target at position {target}, the model {looks}, {says}.",
    alt="Two bar charts by position: share of attention, raw and purified, and mean logit.",
    in_runs="`attention_readout` and `purified_attention`",
    options=Options,
    needs=needs,
    draw=draw,
)
