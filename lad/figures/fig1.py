"""Figure 1: which position is answered, given where the target is - vanilla beside AGD."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from lad import query
from lad.figures.confusion import confusion_matrix, draw_confusion
from lad.figures.content import ArtifactError, Options, Picture
from lad.figures.style import METHODS, PAGE_WIDTH
from lad.figures.wording import between, percent

CONFUSION_SQL: Final = files("lad.figures") / "fig1.sql"
COMPARED: Final = ("vanilla", "agd")
HEIGHT: Final = 3.5


@dataclass(frozen=True)
class Confusion:
    """How one method answers one probe, in percent.

    Attributes:
        matrix: N x N, target position by answer; each row sums to 100.
        recall: N, its diagonal.
        selection_rate: N, share of all answers that name each position.
    """

    matrix: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    selection_rate: npt.NDArray[np.float64]
    accuracy: float


def draw(connection: duckdb.DuckDBPyConnection, options: Options) -> Picture:
    """Two confusion matrices at `options.n` and `options.setting`."""
    confusions = read_confusions(connection, options, ("vanilla",))
    positions = [str(position) for position in range(1, options.n + 1)]
    figure = Figure(figsize=(PAGE_WIDTH, HEIGHT))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, method in zip(panels, COMPARED, strict=True):
        confusion = confusions["vanilla", method]
        image = draw_confusion(axes, confusion.matrix, positions, digits_size=7.5)
        axes.set_title(f"{METHODS[method].name}: {confusion.accuracy:.1f} % right")
        axes.set_xlabel("Answered position")
    panels[0].set_ylabel("Target position")
    figure.colorbar(image, ax=panels, label="Answers per target position (%)", shrink=0.85, pad=0.015)
    return Picture(figure, _facts(confusions["vanilla", "vanilla"], confusions["vanilla", "agd"]))


def read_confusions(
    connection: duckdb.DuckDBPyConnection, options: Options, probes: Sequence[str]
) -> dict[tuple[str, str], Confusion]:
    """Vanilla's and AGD's confusion by (probe, method).

    Raises:
        ArtifactError: a probe or method was not evaluated.
    """
    parameters = {
        "model": options.model,
        "dataset": options.dataset,
        "setting": options.setting,
        "n": options.n,
        "probes": list(probes),
        "calibration_questions": options.calibration_questions,
    }
    rows: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in query.on(connection, CONFUSION_SQL, parameters).to_pylist():
        rows[row["probe"], row["method"]].append(row)
    for probe in probes:
        for method in COMPARED:
            if not rows[probe, method]:
                raise ArtifactError(
                    f"metrics of model {options.model} on dataset {options.dataset} have no confusion matrix of"
                    f" {method} (setting {options.setting}, n = {options.n}, probe {probe}, calibrated on"
                    f" {options.calibration_questions} questions of {options.calibrated_on}); `lad extract` with"
                    f" that probe, `lad score --method {method}`, then `lad evaluate`, produce it"
                )
    return {key: _confusion(rows[key], options.n) for key in rows}


def _confusion(rows: Sequence[dict[str, Any]], n: int) -> Confusion:
    def by_position(metric: str, place: str) -> npt.NDArray[np.float64]:
        values = np.zeros(n)
        for row in rows:
            if row["metric"] == metric and row["value"] is not None:
                values[row[place] - 1] = row["value"]
        return values

    return Confusion(
        matrix=confusion_matrix([row for row in rows if row["metric"] == "confusion"], n),
        recall=by_position("recall", "target_position"),
        selection_rate=by_position("selection_rate", "position"),
        accuracy=next(row["value"] for row in rows if row["metric"] == "accuracy"),
    )


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
