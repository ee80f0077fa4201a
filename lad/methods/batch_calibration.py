"""Batch calibration: the model's probabilities, less their mean over all presentations that are scored.

    answer = argmax_j P(c_j|x) - mean over x' of P(c_j|x')

Zhou et al., arXiv 2309.17249; not in the paper. The contextual prior is the mean over a batch of inputs, whatever their
labels, taken out by difference; `correction=ratio` divides by it instead, as others do and contextual calibration does.
Here the class is a position and the batch is all that is scored. What is taken out is bias only as far as the batch has
its targets evenly at all positions.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from lad import query
from lad.calibration.formulation import PRINTED
from lad.methods.base import Inputs, Method, TableRow
from lad.methods.options import Means, Options, ScoringError
from lad.methods.scores import best_positions, less_static_prior, mean_prior, observed_scores, probability_sums

_QUERY: Final = Path(__file__).with_suffix(".sql")


@dataclass(frozen=True)
class Corrects(Options):
    correction: Annotated[
        Literal["difference", "ratio"],
        Means("how the mean probability is taken out. difference: subtracted; ratio: divided by"),
    ] = "difference"


def probabilities_of_cell(inputs: Inputs, options: Corrects) -> pa.Table:
    """The sums of the probabilities of all presentations that are scored."""
    return probability_sums(observed_scores(inputs, PRINTED), inputs.gathered)


def answers(inputs: Inputs, options: Corrects) -> pa.Table:
    sums = inputs.of_all
    if (scored := pc.max(sums["presentations"]).as_py()) < 2:
        raise ScoringError(
            "batch_calibration compares each probability with its mean over the presentations being scored and needs at"
            f" least 2 of them, better hundreds; the signals hold {scored}"
        )
    scores, prior = observed_scores(inputs, PRINTED), mean_prior(sums, "batch_calibration")
    if options.correction == "ratio":
        return best_positions(less_static_prior(scores, prior, "batch_calibration"))
    return best_positions(query.run(_QUERY, {"observed_scores": scores, "position_prior": prior}))


METHOD = Method(
    name="batch_calibration",
    rank=90,
    display="Batch calibration",
    colour="#637939",
    marker="1",
    description="argmax P(c_j|x) - its mean over the presentations being scored (arXiv 2309.17249)",
    answers=answers,
    options_type=Corrects,
    gathers=probabilities_of_cell,
    rows=(
        TableRow("baselines", 20),
        TableRow("baselines", 30, "Batch calibration, by ratio", variant="correction=ratio"),
    ),
)
