"""Attention less content-free: raw attention, less what each position attracts as a blank image.

    answer = argmax_k mean over l in L* of ( a_k^(l)(x) - a_k^(l)(content-free) )

What contextual calibration does to probabilities, done to the read-out of eq. 6: the attention that content draws. L*
is chosen by eq. 8 and 9. Not in the paper; it costs one forward pass, of N blank images with the caption "N/A".
"""

from pathlib import Path
from typing import Final

import pyarrow as pa

from lad import query
from lad.calibration.observations import mean_attention
from lad.methods.attention import chosen_layers, refuse_missing_attention
from lad.methods.base import Inputs, Method, TableRow
from lad.methods.options import ChoosesLayers
from lad.methods.scores import best_positions

_QUERY: Final = Path(__file__).with_suffix(".sql")


def answers(inputs: Inputs, options: ChoosesLayers) -> pa.Table:
    refuse_missing_attention(inputs.blank, options.row, "the content-free signals have")
    blank = mean_attention(inputs.blank, options.equations, options.row)
    chosen = chosen_layers(inputs, options)
    return best_positions(query.run(_QUERY, {"chosen_layers": chosen, "content_free_attention": blank}))


METHOD = Method(
    name="attention_less_content_free",
    rank=110,
    display="Attention less content-free",
    colour="#bd9e39",
    marker="4",
    description="argmax mean over L* of a - a(blank images, caption N/A)",
    answers=answers,
    options_type=ChoosesLayers,
    needs_content_free=True,
    rows=(TableRow("baselines", 80, block=1),),
)
