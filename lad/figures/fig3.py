"""Figure 3: the divergence itself - where the model looks beside what it says, for one target position.

Differs from the paper: the attention divided by its prior stands beside the raw attention, and the target position
shown is the one at which the mean logits are furthest from right, rather than one picked by hand.
"""

from importlib.resources import files
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lad import query
from lad.figures.content import ArtifactError, Options, Picture
from lad.figures.style import METHODS, PAGE_WIDTH, TARGET_COLOUR
from lad.figures.wording import percent

DIVERGENCE_SQL: Final = files("lad.figures") / "fig3.sql"
HEIGHT: Final = 2.9
BAR_WIDTH: Final = 0.38

Means = npt.NDArray[np.float64]


def draw(connection: duckdb.DuckDBPyConnection, options: Options) -> Picture:
    """Mean attention beside mean logits at `options.n` and `options.setting`."""
    attention, purified, logits = _read_means(connection, options)
    target = _most_misleading(logits)
    figure = Figure(figsize=(PAGE_WIDTH, HEIGHT))
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


def _read_means(connection: duckdb.DuckDBPyConnection, options: Options) -> tuple[Means, Means, Means]:
    """Attention and purified attention (percent) and logits, each N x N: target position by position."""
    parameters = {
        "model": options.model,
        "dataset": options.dataset,
        "setting": options.setting,
        "n": options.n,
        "temperature": options.temperature,
        "calibration_questions": options.calibration_questions,
    }
    table = query.on(connection, DIVERGENCE_SQL, parameters)
    if len(table) != options.n**2:
        raise ArtifactError(
            f"signals or predictions of model {options.model} on dataset {options.dataset} (setting"
            f" {options.setting}, n = {options.n}, probe vanilla, {options.calibration_questions} calibration"
            " questions) do not cover every target position; `lad extract` of the evaluation split and `lad score` of"
            " attention_readout and purified_attention on that cell produce them"
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
    axes.set_ylabel("Share of image attention (%)")


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
        f"gives the target {percent(attention[target], 0)} of the image attention, and"
        f" {percent(purified[target], 0)} once divided by the prior"
    )
    looks += ", more than any other image" if looked_at == target else f", less than position {looked_at + 1}"
    if raw != target and looked_at == target:
        looks += f" (undivided, position {raw + 1} has the most)"
    if said == target:
        says = "and its mean logit names the target as well"
    else:
        gap = logits[said] - logits[target]
        verb = "yet" if looked_at == target else "and"
        says = f"{verb} its mean logit is highest at position {said + 1}, {gap:.1f} above the target's"
    return {"target": str(target + 1), "looks": looks, "says": says}
