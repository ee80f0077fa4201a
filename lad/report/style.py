"""How methods look, the same in every figure: name, colour and marker.

Colours are Okabe and Ito's, which readers with the common forms of colour blindness can tell apart; markers differ
as well, so that nothing rests on colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from lad import methods

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE_SHEET: Final = str(files("lad.report") / "lad.mplstyle")
PAGE_WIDTH: Final = 6.9
"""Width of a figure that spans two columns, in inches."""

GREY: Final = "#767676"
LIGHT_GREY: Final = "#a0a0a0"
TARGET_COLOUR: Final = "#009e73"


@dataclass(frozen=True)
class MethodStyle:
    name: str
    colour: str
    marker: str
    marker_size: float = 5.0


_PROBES: Final = {"instruction": ("#8c6d31", "P"), "sofa": ("#999933", "<")}
"""Colour and marker of probes by which vanilla is asked in a row of its own."""

METHODS: Final = {
    **{name: MethodStyle(m.display, m.colour, m.marker, m.marker_size) for name, m in methods.METHODS.items()},
    **{row.probe: MethodStyle(row.label, *_PROBES[row.probe]) for row in methods.METHODS["vanilla"].rows if row.label},
}
"""How each method looks, as its module says, and each of these probes."""


def new_figure(height: float) -> Figure:
    """An empty figure as wide as the page, its height in inches."""
    # What an artifact needs is asked often, matplotlib only where one is drawn.
    from matplotlib.figure import Figure

    return Figure(figsize=(PAGE_WIDTH, height))
