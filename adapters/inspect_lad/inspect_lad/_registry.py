"""What inspect_ai registers when it loads the entry point."""

from inspect_lad import (
    chi_squared,
    choose,
    corrected,
    cramers_v,
    flip_rate,
    in_orders,
    position_bias,
    recall,
    selection_rate,
)

__all__ = [
    "chi_squared",
    "choose",
    "corrected",
    "cramers_v",
    "flip_rate",
    "in_orders",
    "position_bias",
    "recall",
    "selection_rate",
]
