"""Figure 5: accuracy by number of candidates, in both settings.

Differs from the paper: the band is the 95 % bootstrap interval over questions, which also says how far a small
benchmark can be trusted; the dotted line is what guessing would reach.
"""

from importlib.resources import files
from typing import Any, Final

import duckdb
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lad import query
from lad.figures.content import ArtifactError, Options, Picture
from lad.figures.style import GREY, METHODS, PAGE_WIDTH
from lad.figures.wording import listed, percent

ACCURACY_SQL: Final = files("lad.figures") / "fig5.sql"
COMPARED: Final = ("agd", "pride", "vanilla")
HEIGHT: Final = 3.0

Rows = list[dict[str, Any]]


def draw(connection: duckdb.DuckDBPyConnection, options: Options) -> Picture:
    """One panel per setting, over every N that was measured."""
    rows = _read_accuracies(connection, options)
    figure = Figure(figsize=(PAGE_WIDTH, HEIGHT))
    panels = figure.subplots(1, len(options.settings), sharey=True, squeeze=False)[0]
    for axes, setting in zip(panels, options.settings, strict=True):
        for method in COMPARED:
            _draw_method(axes, _of(rows, setting, method), method)
        _draw_chance(axes, _of(rows, setting, "agd"))
        axes.set_title(f"{setting.capitalize()} candidates")
        axes.set_xlabel("Number of candidates, N")
        axes.set_ylim(0, 103)
        axes.grid(axis="y")
    panels[0].set_ylabel("Accuracy (%)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return Picture(figure, _facts(rows, options))


def _read_accuracies(connection: duckdb.DuckDBPyConnection, options: Options) -> Rows:
    parameters = {
        "model": options.model,
        "dataset": options.dataset,
        "settings": list(options.settings),
        "calibration_questions": options.calibration_questions,
    }
    rows: Rows = query.on(connection, ACCURACY_SQL, parameters).to_pylist()
    for setting in options.settings:
        for method in COMPARED:
            if len(_of(rows, setting, method)) < 2:
                raise ArtifactError(
                    f"metrics of model {options.model} on dataset {options.dataset} have the accuracy of {method}"
                    f" (setting {setting}, {options.calibration_questions} calibration questions) for fewer than two N;"
                    f" `lad extract` at further N, `lad score --method {method}` and `lad evaluate` produce it"
                )
    return rows


def _of(rows: Rows, setting: str, method: str) -> Rows:
    return [row for row in rows if row["setting"] == setting and row["method"] == method]


def _draw_method(axes: Axes, rows: Rows, method: str) -> None:
    style = METHODS[method]
    ns = [row["n"] for row in rows]
    axes.plot(
        ns,
        [row["value"] for row in rows],
        color=style.colour,
        marker=style.marker,
        markersize=style.marker_size,
        label=style.name,
    )
    # Few questions have no interval, and then no band.
    low, high = (np.array([row[bound] for row in rows], dtype=float) for bound in ("low", "high"))
    axes.fill_between(ns, low, high, color=style.colour, alpha=0.2, linewidth=0)
    axes.set_xticks(ns)


def _draw_chance(axes: Axes, rows: Rows) -> None:
    ns = np.linspace(rows[0]["n"], rows[-1]["n"], 100)
    axes.plot(ns, 100 / ns, color=GREY, linestyle=":", linewidth=1.2, label="Guessing")


def _facts(rows: Rows, options: Options) -> dict[str, str]:
    def change(method: str) -> str:
        texts = []
        for setting in options.settings:
            line = _of(rows, setting, method)
            first, last = line[0], line[-1]
            texts.append(
                f"{percent(first['value'])} (N = {first['n']}) to {percent(last['value'])} (N = {last['n']})"
                f" with {setting} candidates"
            )
        return listed(texts)

    return {method: change(method) for method in COMPARED}
