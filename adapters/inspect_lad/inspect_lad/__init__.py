"""Position bias in evaluations of inspect_ai: a solver that shows choices in several orders, and a scorer.

What is measured and corrected is that of the package `lad`: the samples' scores become its signals, and its methods and
metrics do the rest. `lad import --format inspect` reads the logs.
"""

from inspect_lad.metrics import chi_squared, corrected, cramers_v, flip_rate, recall, selection_rate
from inspect_lad.scorer import position_bias
from inspect_lad.solvers import choose, in_orders

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
