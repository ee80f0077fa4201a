"""Which layers know: accuracy of each layer's attention, and how often eq. 9 chooses the layer.

Not in the paper, which looks at the two chosen layers only: here one sees whether looking at images most (eq. 8) picks
the layers that look at the right one.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lad.report.artifact import Artifact, Picture
from lad.report.needs import Available, Condition, Needs
from lad.report.options import ArtifactOptions, Settings, Size, TopK
from lad.report.results import Results
from lad.report.style import LIGHT_GREY, METHODS, new_figure
from lad.report.wording import known, listed, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LAYERS_SQL: Final = files("lad.report.artifacts") / "fig_layers.sql"
READ_OUTS: Final = {"raw": "attention_readout", "purified": "purified_attention"}
HEIGHT: Final = 3.0

Rows = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    settings: Settings = ("random", "adversarial")
    n: Size = 8
    top_k: TopK = 2


def needs(available: Available, options: Options) -> Needs:
    answers = [_answer(options, setting, method) for setting in options.settings for method in ("vanilla", "agd")]
    agd = [_answer(options, setting, "agd") for setting in options.settings]
    return Needs(
        scores=tuple(answers),
        signals=tuple((condition.cell, "evaluation") for condition in agd),
        priors=tuple((condition.scoring, "printed") for condition in agd),
    )


def _answer(options: Options, setting: str, method: str) -> Condition:
    return options.condition(setting=setting, n=options.n, method=method)


def draw(results: Results, options: Options) -> Picture:
    """One panel per setting."""
    rows: Rows = results.ask(LAYERS_SQL, top_k=options.top_k).to_pylist()
    figure = new_figure(HEIGHT)
    panels = figure.subplots(1, len(options.settings), sharey=True, squeeze=False)[0]
    for axes, setting in zip(panels, options.settings, strict=True):
        _draw_panel(axes, [row for row in rows if row["setting"] == setting])
        for method in ("vanilla", "agd"):
            accuracy = known(results.measures.get(_answer(options, setting, method)))
            style = METHODS[method]
            axes.axhline(accuracy, color=style.colour, linestyle="--", linewidth=1.2, label=f"{style.name}, answer")
        axes.set_title(f"{setting.capitalize()} candidates, N = {options.n}")
        axes.set_xlabel("Decoder layer, from 0")
        axes.set_ylim(0, 103)
        axes.grid(axis="y")
    panels[0].set_ylabel("Share of presentations (%)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return Picture(figure, _facts(rows, options))


def _draw_panel(axes: Axes, rows: Rows) -> None:
    layers, chosen, _ = _by_layer(rows, "chosen")
    axes.bar(layers, chosen, width=0.8, color=LIGHT_GREY, alpha=0.45, linewidth=0, label="Layer chosen")
    for read_out, method in READ_OUTS.items():
        style = METHODS[method]
        _, accuracy, std = _by_layer(rows, read_out)
        axes.plot(
            layers,
            accuracy,
            color=style.colour,
            marker=style.marker,
            markersize=style.marker_size,
            label=style.name,
        )
        axes.fill_between(layers, accuracy - std, accuracy + std, color=style.colour, alpha=0.2, linewidth=0)
    axes.set_xticks(layers if len(layers) <= 12 else [layer for layer in layers if layer % 5 == 0])


def _by_layer(rows: Rows, value: str) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Layers, and the value's mean and sample standard deviation over the orders."""
    layers = sorted({row["layer"] for row in rows})
    by_round = [[row[value] for row in rows if row["layer"] == layer] for layer in layers]
    stds = [np.std(values, ddof=1) if len(values) > 1 else 0.0 for values in by_round]
    return layers, np.array([np.mean(values) for values in by_round]), np.array(stds)


def _facts(rows: Rows, options: Options) -> dict[str, str]:
    clauses = []
    for setting in options.settings:
        of_setting = [row for row in rows if row["setting"] == setting]
        layers, accuracy, _ = _by_layer(of_setting, "purified")
        chosen = _by_layer(of_setting, "chosen")[1]
        # The K that are chosen most often; of several chosen equally often the lower ones, as eq. 9 does.
        favourites = sorted(np.argsort(-chosen, kind="stable")[: options.top_k])
        found = [f"layer {layers[place]} {percent(accuracy[place])}" for place in favourites]
        best = int(accuracy.argmax())
        clauses.append(
            f"with {setting} candidates layer {layers[best]} finds most targets once its prior is divided out"
            f" ({percent(accuracy[best])}); of those chosen most often, {listed(found)}"
        )
    return {"layers": "; ".join(clauses)}


ARTIFACT: Final = Artifact(
    name="fig_layers",
    kind="figure",
    order=80,
    title="Which layers know",
    caption="For each decoder layer, how often its attention is largest on the target, raw and divided by the"
    " attention prior (bands: ± one sample standard deviation over the orders), and how often the layer is one"
    " of the K that look at images most (bars). Dashed: the answers of vanilla and AGD.",
    sentence="{layers}.",
    alt="Line charts of accuracy by decoder layer for raw and purified attention, with bars for chosen layers.",
    in_runs="`vanilla` and `agd`, calibrated in a printed formulation",
    options=Options,
    needs=needs,
    draw=draw,
)
