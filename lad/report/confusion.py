"""Confusion matrices: rows are target positions, columns are answers, each row sums to 100 %."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from lad.report.measures import Measures
from lad.report.needs import Condition
from lad.report.wording import known

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

COLOUR_MAP: Final = "Blues"
_SMALLEST_WRITTEN: Final = 0.5
_DARK_FROM: Final = 55.0
"""Percent above which a cell is so dark that its number is written in white."""


@dataclass(frozen=True)
class Confusion:
    """How one method answers, in percent.

    Attributes:
        matrix: N x N, target position by answer; each row sums to 100.
        recall: N, its diagonal.
        selection_rate: N, share of all answers that name each position.
    """

    matrix: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    selection_rate: npt.NDArray[np.float64]
    accuracy: float

    @classmethod
    def read(cls, measures: Measures, condition: Condition) -> Confusion:
        """The confusion of a method."""
        rows = measures.by_position(condition)

        def by_position(metric: str, place: str) -> npt.NDArray[np.float64]:
            values = np.zeros(condition.n)
            for row in rows:
                if row["metric"] == metric and row["value"] is not None:
                    values[row[place] - 1] = row["value"]
            return values

        return cls(
            matrix=_matrix([row for row in rows if row["metric"] == "confusion"], condition.n),
            recall=by_position("recall", "target_position"),
            selection_rate=by_position("selection_rate", "position"),
            accuracy=known(measures.get(condition)),
        )


def _matrix(cells: Sequence[dict[str, Any]], n: int) -> npt.NDArray[np.float64]:
    """N x N in percent, from rows with target_position, position (both from 1) and value."""
    matrix = np.full((n, n), np.nan)
    for cell in cells:
        value = cell["value"]
        matrix[cell["target_position"] - 1, cell["position"] - 1] = np.nan if value is None else value
    return matrix


def draw_confusion(
    axes: Axes, matrix: npt.NDArray[np.float64], labels: Sequence[str], *, digits_size: float
) -> AxesImage:
    """Draw `matrix`, N x N in percent; NaN rows (positions that never held the target) stay blank, cells that
    round to 0 carry no number.
    """
    image = axes.imshow(matrix, cmap=COLOUR_MAP, vmin=0.0, vmax=100.0)
    for i, j in np.ndindex(matrix.shape):
        if matrix[i, j] >= _SMALLEST_WRITTEN:
            colour = "white" if matrix[i, j] > _DARK_FROM else "black"
            axes.text(j, i, f"{matrix[i, j]:.0f}", ha="center", va="center", color=colour, fontsize=digits_size)
    positions = np.arange(len(labels))
    axes.set_xticks(positions, labels)
    axes.set_yticks(positions, labels)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image
