"""Purified attention: raw attention, divided by what each position attracts whatever is shown there.

    pi_k = softmax_k( tau * mean over l in L* of ( log a_k^(l) - log a_prior,k^(l) ) )
    answer = argmax_k pi_k

a_prior is the mean attention over calibration questions (paper, eq. 7); L*, evidence and pi are eq. 8 to 12. The
released code takes the log of the mean over layers, and counts the images' delimiters.
"""

import pyarrow as pa

from lad.methods.attention import purify
from lad.methods.base import Inputs, Method, PublishedName, TableRow
from lad.methods.options import Purifies
from lad.methods.scores import best_positions


def answers(inputs: Inputs, options: Purifies) -> pa.Table:
    return best_positions(purify(inputs, options))


METHOD = Method(
    name="purified_attention",
    rank=40,
    display="Purified attention",
    colour="#56b4e9",
    marker="v",
    description="argmax pi, eq. 8-12",
    answers=answers,
    options_type=Purifies,
    needs_calibration=True,
    rows=(
        TableRow("baselines", 100, block=1),
        TableRow("baselines", 102, "Purified attention, query", variant="row=query", block=1),
        TableRow(
            "baselines", 104, "Purified attention, query, layers by hits", variant="layers_by=found;row=query", block=1
        ),
    ),
    published=(
        PublishedName("purified_attention"),
        PublishedName("purified_attention", "released", variant="formulation=released"),
    ),
)
