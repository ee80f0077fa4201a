"""Chain of thought: the index behind the reasoning in each presentation's first text.

Wei et al., arXiv 2201.11903. The answer is the last index behind the last `</think>`; where no number stands there, or
there is no such tag, the last index in the whole text. A text that names none is no answer.
"""

from pathlib import Path
from typing import Final

import pyarrow as pa

from lad import query
from lad.methods.base import Inputs, Method, PublishedName, TableRow
from lad.methods.options import ReadsTexts
from lad.methods.texts import readable_texts

_QUERY: Final = Path(__file__).with_suffix(".sql")


def answers(inputs: Inputs, options: ReadsTexts) -> pa.Table:
    return query.run(_QUERY, {"readable_texts": readable_texts(inputs, options)}, {"parse": options.parse})


METHOD = Method(
    name="cot",
    rank=140,
    display="Chain of thought",
    colour="#7b4173",
    marker="X",
    description="the index behind the reasoning in the generated text (arXiv 2201.11903)",
    answers=answers,
    options_type=ReadsTexts,
    needs_generations=True,
    rows=(TableRow("main", 40, probe="cot"),),
    published=(PublishedName("cot", probe="cot"),),
)
