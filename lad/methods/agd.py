"""AGD, attention-guided debiasing: the model's probabilities, divided by the bias that attention leads to expect.

    answer = argmax_j log P(c_j|x) - log sum_k pi_k P_bias(j|k)

pi is purified attention, which says where the target may be (paper, eq. 8 to 12); P_bias(j|k), fitted on calibration
questions, says what the model answers where the target stands at k (eq. 1, 4, 5). The sum is eq. 13, the difference eq.
14. The released code sums in the domain of logs.
"""

from pathlib import Path
from typing import Final

import pyarrow as pa

from lad import query
from lad.methods.attention import purify
from lad.methods.base import Inputs, Method, PublishedName, TableRow
from lad.methods.options import Purifies
from lad.methods.scores import best_positions, observed_scores

_QUERY: Final = Path(__file__).with_suffix(".sql")


def answers(inputs: Inputs, options: Purifies) -> pa.Table:
    scores = query.run(
        _QUERY,
        {
            "observed_scores": observed_scores(inputs, options.equations),
            "purified_attention": purify(inputs, options),
            "position_bias": inputs.fitted.position_bias,
        },
        {"formulation": options.formulation, "mixture": options.equations.mixture},
    )
    return best_positions(scores)


METHOD = Method(
    name="agd",
    rank=70,
    display="AGD",
    colour="#0072b2",
    marker="*",
    marker_size=8.0,
    description="argmax log P(c_j|x) - log sum_k pi_k P_bias(j|k), eq. 8-14",
    answers=answers,
    options_type=Purifies,
    needs_calibration=True,
    rows=(
        TableRow("main", 80, optional=False),
        TableRow("main", 90, "AGD (released code)", variant="formulation=released"),
        TableRow("permutations", 40, optional=False),
        TableRow("baselines", 110, block=2),
        TableRow("baselines", 111, "AGD, query, layers by hits", variant="layers_by=found;row=query", block=2),
    ),
    published=(PublishedName("agd"), PublishedName("agd", "released", variant="formulation=released")),
)
