"""Figure 8: the bias does not belong to digits - confusion matrices for other identifier styles.

Vanilla stands above AGD, one column per style; the axes carry the identifiers that the model was asked with.
"""

from typing import Final

import duckdb
from matplotlib.figure import Figure

from lad.extraction.prompts import get_probe
from lad.figures.confusion import draw_confusion
from lad.figures.content import Options, Picture
from lad.figures.fig1 import COMPARED, Confusion, read_confusions
from lad.figures.style import METHODS, PAGE_WIDTH
from lad.figures.wording import listed, percent

HEIGHT: Final = 4.1
STYLE_NAMES: Final = {
    "vanilla": "Digits",
    "uppercase": "Upper case",
    "lowercase": "Lower case",
    "roman": "Roman",
    "ordinal": "Ordinal",
}


def draw(connection: duckdb.DuckDBPyConnection, options: Options) -> Picture:
    """Confusion matrices for `options.probes` at `options.n` and `options.setting`."""
    confusions = read_confusions(connection, options, options.probes)
    figure = Figure(figsize=(PAGE_WIDTH, HEIGHT))
    grid = figure.subplots(len(COMPARED), len(options.probes), squeeze=False)
    for line, method in zip(grid, COMPARED, strict=True):
        for axes, probe in zip(line, options.probes, strict=True):
            confusion = confusions[probe, method]
            identifiers = get_probe(probe).identifiers(options.n)
            image = draw_confusion(axes, confusion.matrix, identifiers, digits_size=7)
            heading = f"{_name(probe)}\n" if method == COMPARED[0] else ""
            axes.set_title(f"{heading}{confusion.accuracy:.1f} % right", fontsize="medium")
            if probe == "ordinal":
                axes.tick_params(axis="x", rotation=90)
        line[0].set_ylabel(f"{METHODS[method].name}\nTarget", fontsize="medium")
    for axes in grid[0]:
        axes.tick_params(labelbottom=False)
    for axes in grid[-1]:
        axes.set_xlabel("Answer")
    figure.colorbar(image, ax=grid, label="Answers per target position (%)", shrink=0.8, pad=0.015)
    return Picture(figure, _facts(confusions, options))


def _name(probe: str) -> str:
    return STYLE_NAMES.get(probe, probe)


def _facts(confusions: dict[tuple[str, str], Confusion], options: Options) -> dict[str, str]:
    def accuracies(method: str) -> str:
        return listed([f"{percent(confusions[p, method].accuracy)} ({_name(p).lower()})" for p in options.probes])

    worse = [
        _name(probe).lower()
        for probe in options.probes
        if confusions[probe, "agd"].accuracy <= confusions[probe, "vanilla"].accuracy
    ]
    return {
        "vanilla": accuracies("vanilla"),
        "agd": accuracies("agd"),
        "exception": f"; AGD does not help with {listed(worse)} identifiers" if worse else "",
    }
