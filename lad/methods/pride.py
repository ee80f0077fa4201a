"""PriDe: the model's probabilities, divided by a static prior over positions.

    answer = argmax_j log P(c_j|x) - log P_prior(j)

Zheng et al., arXiv 2309.03882. P_prior is its authors' estimate: the mean over calibration questions of the softmax of
the mean of log P over the question's cyclic shifts (`position_prior`).
"""

import pyarrow as pa

from lad.calibration.formulation import PRINTED
from lad.methods.base import Inputs, Method, PublishedName, TableRow
from lad.methods.options import Options
from lad.methods.scores import best_positions, less_static_prior, observed_scores


def answers(inputs: Inputs, options: Options) -> pa.Table:
    scores = observed_scores(inputs, PRINTED)
    return best_positions(less_static_prior(scores, inputs.fitted.position_prior, "pride"))


METHOD = Method(
    name="pride",
    rank=50,
    display="PriDe",
    colour="#009e73",
    marker="s",
    description="argmax log P(c_j|x) - log of a static prior over positions (its authors' estimate, arXiv 2309.03882)",
    answers=answers,
    options_type=Options,
    needs_calibration=True,
    rows=(TableRow("main", 60, optional=False), TableRow("baselines", 50)),
    published=(PublishedName("pride"),),
)
