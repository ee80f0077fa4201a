"""Which heads know: how often each attention head looks at the target most, from the last token and from the query's.

Not in the paper, which averages over heads. The figure is a look behind the answer, on evaluation questions: no method
chooses its heads here.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import numpy as np

from lad.report.artifact import Artifact, Picture
from lad.report.needs import Available, Condition, Needs
from lad.report.options import ArtifactOptions, Setting, Size
from lad.report.results import Results
from lad.report.style import new_figure
from lad.report.wording import known, percent

HEADS_SQL: Final = files("lad.report.artifacts") / "fig_heads.sql"
ROWS: Final = {"last": "From the last prompt token", "query": "From the query's tokens"}
HEIGHT: Final = 3.4
NOTICEABLE: Final = 10.0
"""Points above chance from which on a head counts as one that knows, in the sentence."""

Grid = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    setting: Setting = "random"
    n: Size = 8


def needs(available: Available, options: Options) -> Needs:
    listens = _condition(options, "retrieval_heads", "row=query")
    return Needs(
        scores=(_condition(options, "vanilla"), listens),
        signals=((listens.cell, "evaluation"),),
    )


def _condition(options: Options, method: str, variant: str = "") -> Condition:
    return options.condition(setting=options.setting, n=options.n, method=method, variant=variant)


def draw(results: Results, options: Options) -> Picture:
    """One heat map, layer by head, for each kind of row."""
    table = results.ask(HEADS_SQL).to_pylist()
    grids = {row: _grid([entry for entry in table if entry["row"] == row]) for row in ROWS}
    figure = new_figure(HEIGHT)
    panels = figure.subplots(1, len(ROWS), sharey=True)
    most = max(np.nanmax(grid) for grid in grids.values())
    for axes, (row, grid) in zip(panels, grids.items(), strict=True):
        image = axes.imshow(grid.T, origin="lower", aspect="auto", cmap="viridis", vmin=0, vmax=most)
        axes.set_title(f"{ROWS[row]}: at best {np.nanmax(grid):.0f} %")
        axes.set_xlabel("Decoder layer, from 0")
    panels[0].set_ylabel("Attention head, from 0")
    figure.colorbar(image, ax=panels, label="Target found (%)", shrink=0.9, pad=0.015)
    return Picture(figure, _facts(grids, results, options))


def _grid(entries: list[dict[str, Any]]) -> Grid:
    """(layers, heads) of the share found, NaN in layers without attention."""
    shape = (1 + max(entry["layer"] for entry in entries), 1 + max(entry["head"] for entry in entries))
    grid = np.full(shape, np.nan)
    for entry in entries:
        grid[entry["layer"], entry["head"]] = entry["found"]
    return grid


def _facts(grids: dict[str, Grid], results: Results, options: Options) -> dict[str, str]:
    chance = 100.0 / options.n
    facts = {
        "chance": percent(chance),
        "vanilla": percent(known(results.measures.get(_condition(options, "vanilla")))),
        "heads": percent(known(results.measures.get(_condition(options, "retrieval_heads", "row=query")))),
    }
    for row, grid in grids.items():
        layer, head = np.unravel_index(int(np.nanargmax(grid)), grid.shape)
        facts[f"{row}_best"] = f"head {head} of layer {layer} ({percent(float(np.nanmax(grid)))})"
        facts[f"{row}_many"] = f"{int((grid >= chance + NOTICEABLE).sum())} of {np.isfinite(grid).sum()}"
    return facts


ARTIFACT: Final = Artifact(
    name="fig_heads",
    kind="figure",
    order=85,
    title="Which heads know",
    caption="How often the target draws most of an attention head's attention, by decoder layer and head, on the"
    " evaluation questions. Left, where the last prompt token looks, which the paper reads; right, where the tokens of"
    " the query look, on average. No method chooses its heads by this figure.",
    sentence="The model's own answer finds {vanilla} of the targets (chance {chance}). From the last token the best is"
    f" {{last_best}}, and {{last_many}} heads find {NOTICEABLE:.0f} points more than chance; from the query's tokens it"
    " is {query_best}, and {query_many} do. Heads of the query's tokens that are chosen on the calibration questions"
    " find {heads}.",
    alt="Two heat maps of decoder layer by attention head, for the last token and the query's tokens.",
    in_runs="`vanilla` and `{method: retrieval_heads, row: query}`",
    options=Options,
    needs=needs,
    draw=draw,
)
