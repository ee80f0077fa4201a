"""Vanilla: the most probable identifier.

    answer = argmax_j P(c_j|x)

P(c_j|x) is the probability of the identifier of position j after the prompt (paper, appendix B). The probe decides how
the question is put; prompting by instruction and SoFA are vanilla, asked by another probe. Where the log of another
tool tells the answer alone, that is vanilla's answer.
"""

import pyarrow as pa

from lad.methods.base import Inputs, Method, PublishedName, TableRow
from lad.methods.options import Options
from lad.methods.scores import said_positions


def answers(inputs: Inputs, options: Options) -> pa.Table:
    return said_positions(inputs)


METHOD = Method(
    name="vanilla",
    rank=10,
    display="Vanilla",
    colour="#d55e00",
    marker="o",
    description="argmax P(c_j|x), appendix B",
    answers=answers,
    options_type=Options,
    reads_for=lambda _: "answers",
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
