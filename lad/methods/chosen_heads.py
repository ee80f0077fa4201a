"""Chosen heads: the position that a few attention heads attend to most, those that find targets best.

    answer = argmax_k mean over chosen (l, h) of a_k^(l,h) / sum_k a_k^(l,h)

Chosen are the heads that look at the target most often on the calibration questions (`head_choice`), instead of layers
by how much they look at images. That a few heads suffice: Kang et al., arXiv 2503.06287, who use three. Not in the
paper.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import pyarrow as pa

from lad import query
from lad.methods.base import Inputs, Method, TableRow
from lad.methods.options import Count, Means, Options, ScoringError
from lad.methods.scores import best_positions

_QUERY: Final = Path(__file__).with_suffix(".sql")


@dataclass(frozen=True)
class ChoosesHeads(Options):
    heads: Annotated[Count, Means("how many attention heads are listened to")] = 3


def answers(inputs: Inputs, options: ChoosesHeads) -> pa.Table:
    signals, choice = inputs.signals, inputs.fitted.head_choice
    for there, what in (
        (len(choice), "the calibration has"),
        ("head_attention" in signals.column_names, "the signals have"),
    ):
        if not there:
            raise ScoringError(f"chosen_heads: {what} no attention by head; extract with --keep heads")
    if options.heads > len(choice):
        raise ScoringError(f"heads = {options.heads} cannot be chosen from the model's {len(choice)}")
    return best_positions(query.run(_QUERY, {"signals": signals, "head_choice": choice}, {"heads": options.heads}))


METHOD = Method(
    name="chosen_heads",
    rank=120,
    display="Chosen heads",
    colour="#6b6ecf",
    marker="d",
    description="argmax mean share of attention over the heads that found most calibration targets (arXiv 2503.06287)",
    answers=answers,
    options_type=ChoosesHeads,
    needs_calibration=True,
    keeps_for=lambda _: frozenset({"heads"}),
    rows=(TableRow("baselines", 90, block=1),),
)
