"""Vanilla: the most probable identifier.

    answer = argmax_j P(c_j|x)

P(c_j|x) is the probability of the identifier of position j after the prompt (paper, appendix B). The probe decides how
the question is put; prompting by instruction and SoFA are vanilla, asked by another probe.
"""

import pyarrow as pa

from lad.calibration.formulation import PRINTED
from lad.methods.base import Inputs, Method, PublishedName, TableRow
from lad.methods.options import Options
from lad.methods.scores import best_positions, observed_scores


def answers(inputs: Inputs, options: Options) -> pa.Table:
    return best_positions(observed_scores(inputs, PRINTED))


METHOD = Method(
    name="vanilla",
    rank=10,
    display="Vanilla",
    colour="#d55e00",
    marker="o",
    description="argmax P(c_j|x), appendix B",
    answers=answers,
    options_type=Options,
    rows=(
        TableRow("main", 10, optional=False),
        TableRow("main", 30, "Instruction", probe="instruction"),
        TableRow("permutations", 10, optional=False),
        TableRow("permutations", 20, "SoFA", probe="sofa"),
        TableRow("baselines", 10),
    ),
    published=(
        PublishedName("vanilla"),
        PublishedName("instruction", probe="instruction"),
        PublishedName("sofa", probe="sofa"),
    ),
)
