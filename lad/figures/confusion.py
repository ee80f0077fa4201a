"""One confusion matrix as a panel: rows are target positions, columns are answers, each row sums to 100 %."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

COLOUR_MAP: Final = "Blues"
_SMALLEST_WRITTEN: Final = 0.5
_DARK_FROM: Final = 55.0
"""Percent above which a cell is so dark that its number is written in white."""


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


def confusion_matrix(cells: Sequence[dict[str, float]], n: int) -> npt.NDArray[np.float64]:
    """N x N matrix in percent from rows with target_position, position (both 1-based) and value."""
    matrix = np.full((n, n), np.nan)
    for cell in cells:
        value = cell["value"]
        matrix[int(cell["target_position"]) - 1, int(cell["position"]) - 1] = np.nan if value is None else value
    return matrix
