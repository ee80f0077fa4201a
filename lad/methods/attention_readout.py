"""Raw attention: the position that the chosen layers attend to most.

    answer = argmax_k mean over l in L* of a_k^(l)

a_k^(l) is the attention of layer l to the image at position k (paper, eq. 6); L* are the K layers that attend to images
most (eq. 8, 9).
"""

from pathlib import Path
from typing import Final

import pyarrow as pa

from lad import query
from lad.methods.attention import chosen_layers
from lad.methods.base import Inputs, Method, PublishedName, TableRow
from lad.methods.options import ChoosesLayers
from lad.methods.scores import best_positions

_QUERY: Final = Path(__file__).with_suffix(".sql")


def answers(inputs: Inputs, options: ChoosesLayers) -> pa.Table:
    return best_positions(query.run(_QUERY, {"chosen_layers": chosen_layers(inputs, options)}))


METHOD = Method(
    name="attention_readout",
    rank=30,
    display="Raw attention",
    colour="#e69f00",
    marker="^",
    description="argmax mean over L* of a, eq. 6, 8, 9",
    answers=answers,
    options_type=ChoosesLayers,
    rows=(
        TableRow("baselines", 70, block=1),
        TableRow("baselines", 72, "Raw attention, query, layers by hits", variant="layers_by=found;row=query", block=1),
    ),
    published=(PublishedName("attention_readout"), PublishedName("raw_attention")),
)
