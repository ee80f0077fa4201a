"""Self-consistency: the position that most sampled texts name.

    answer = argmax_k #{ texts that name k }

Wang et al., arXiv 2203.11171. A text names k where it says "The answer is k", else its last index. Of equal votes the
position that an earlier sample names wins, as in the released code. Scores are shares of the votes. Unlike in the
released code, there is no answer where no text names a position, rather than position 1 (option `failed`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import pyarrow as pa

from lad import query
from lad.methods.base import Inputs, Method, PublishedName, TableRow
from lad.methods.options import Means, ReadsTexts
from lad.methods.texts import readable_texts

_QUERY: Final = Path(__file__).with_suffix(".sql")


@dataclass(frozen=True)
class Votes(ReadsTexts):
    failed: Annotated[
        Literal["none", "first"],
        Means(
            "the answer where no text names a position. none: no answer, which counts as wrong; first: position 1, as"
            " in the released code"
        ),
    ] = "none"


def answers(inputs: Inputs, options: Votes) -> pa.Table:
    relations = {"readable_texts": readable_texts(inputs, options), "signals": inputs.signals}
    return query.run(_QUERY, relations, {"parse": options.parse, "failed": options.failed})


METHOD = Method(
    name="self_consistency",
    rank=150,
    display="Self-consistency",
    colour="#843c39",
    marker="p",
    description="the position that most of the sampled texts name (arXiv 2203.11171)",
    answers=answers,
    options_type=Votes,
    needs_generations=True,
    rows=(TableRow("main", 50, probe="self_consistency"),),
    published=(PublishedName("self_consistency", probe="self_consistency"),),
)
