"""Contextual calibration: the model's probabilities, divided by those that it gives a question without content.

    answer = argmax_j log P(c_j|x) - log P(c_j|content-free)

Zhao et al., Calibrate Before Use, arXiv 2102.09690, who multiply by W = diag(P(.|content-free))^-1; not in the paper.
The question without content shows N blank images and the caption "N/A", and costs one forward pass.
"""

import pyarrow as pa

from lad.calibration.formulation import PRINTED
from lad.methods.base import Inputs, Method, TableRow
from lad.methods.options import Options
from lad.methods.scores import (
    best_positions,
    less_static_prior,
    mean_prior,
    observed_scores,
    probability_sums,
    scores_of,
)


def answers(inputs: Inputs, options: Options) -> pa.Table:
    prior = mean_prior(probability_sums(scores_of(inputs.blank, PRINTED)), "contextual_calibration")
    return best_positions(less_static_prior(observed_scores(inputs, PRINTED), prior, "contextual_calibration"))


METHOD = Method(
    name="contextual_calibration",
    rank=100,
    display="Contextual calibration",
    colour="#8ca252",
    marker="3",
    description="argmax log P(c_j|x) - log P(c_j|blank images, caption N/A) (arXiv 2102.09690)",
    answers=answers,
    options_type=Options,
    needs_content_free=True,
    rows=(TableRow("baselines", 40),),
)
