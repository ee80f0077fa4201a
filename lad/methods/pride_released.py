"""PriDe as in the code released with the paper: scores less the mean row of the position bias.

    answer = argmax_j s_j - mean over i of bias_ij

s are the scores of the released formulation, logits up to N = 9, and bias is O - ideal, fitted on the same scores. But
for a constant, PriDe (`pride`) with a geometric mean over questions.
"""

import pyarrow as pa

from lad.calibration.formulation import RELEASED
from lad.methods.base import Inputs, Method, PublishedName, TableRow
from lad.methods.options import Options
from lad.methods.scores import best_positions, less_static_prior, observed_scores


def answers(inputs: Inputs, options: Options) -> pa.Table:
    scores = observed_scores(inputs, RELEASED)
    return best_positions(less_static_prior(scores, inputs.fitted.position_prior, "pride_released"))


METHOD = Method(
    name="pride_released",
    rank=60,
    display="PriDe (released code)",
    colour="#00614a",
    marker="D",
    description="argmax score - mean over i of bias_ij (PriDe, as in the paper's released code)",
    answers=answers,
    options_type=Options,
    needs_calibration=True,
    rows=(TableRow("main", 70),),
    published=(PublishedName("pride", "released"),),
)
