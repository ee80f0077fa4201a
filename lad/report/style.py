"""How methods look, the same in every figure: name, colour and marker.

Colours are Okabe and Ito's, which readers with the common forms of colour blindness can tell apart; markers differ
as well, so that nothing rests on colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

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


METHODS: Final = {
    "vanilla": MethodStyle("Vanilla", "#d55e00", "o"),
    "vanilla_parsed": MethodStyle("Vanilla, text parsed", "#a04000", "h"),
    "instruction": MethodStyle("Instruction", "#8c6d31", "P"),
    "cot": MethodStyle("Chain of thought", "#7b4173", "X"),
    "self_consistency": MethodStyle("Self-consistency", "#843c39", "p"),
    "pride": MethodStyle("PriDe", "#009e73", "s"),
    "pride_released": MethodStyle("PriDe (released code)", "#00614a", "D"),
    "sofa": MethodStyle("SoFA", "#999933", "<"),
    "attention_readout": MethodStyle("Raw attention", "#e69f00", "^"),
    "purified_attention": MethodStyle("Purified attention", "#56b4e9", "v"),
    "permutation_average": MethodStyle("Permutation averaging", "#cc79a7", ">"),
    "batch_calibration": MethodStyle("Batch calibration", "#637939", "1"),
    "majority_vote": MethodStyle("Majority vote over orders", "#5254a3", "2"),
    "contextual_calibration": MethodStyle("Contextual calibration", "#8ca252", "3"),
    "attention_less_content_free": MethodStyle("Attention less content-free", "#bd9e39", "4"),
    "chosen_heads": MethodStyle("Chosen heads", "#6b6ecf", "d"),
    "agd": MethodStyle("AGD", "#0072b2", "*", 8.0),
}


def new_figure(height: float) -> Figure:
    """An empty figure as wide as the page, its height in inches."""
    # What an artifact needs is asked often, matplotlib only where one is drawn.
    from matplotlib.figure import Figure

    return Figure(figsize=(PAGE_WIDTH, height))
