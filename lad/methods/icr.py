"""ICR, in-context re-ranking: the position that gains most attention by the query, over all layers and heads.

    answer = argmax_k sum over layers l and heads h of a_k^(l,h) - n_k^(l,h)

a is the attention of the tokens behind the candidates, n the same where the query is N/A and the candidates stand as
they do: what a position draws whatever is asked cancels. No calibration. Chen et al., arXiv 2410.02642, who also leave
out those tokens of a candidate for which a - n is at most its mean less two standard deviations (filter=yes; the sums
are taken at extraction). Head means are summed here, which only scales the scores.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import pyarrow as pa

from lad import query
from lad.calibration.rows import keeps, row_attention
from lad.contracts import Keep
from lad.methods.attention import refuse_missing_attention
from lad.methods.base import Inputs, Method, TableRow
from lad.methods.options import Means, Options, ScoringError, Signal, YesOrNo
from lad.methods.scores import best_positions

_QUERY: Final = Path(__file__).with_suffix(".sql")
_FILTERED: Final = Path(__file__).with_name("icr_filtered.sql")


@dataclass(frozen=True)
class SumsGains(Options):
    tokens: Annotated[
        Literal["suffix", "query"],
        Means("whose attention is summed. suffix: all tokens behind the candidates; query: those of the query alone"),
    ] = "suffix"
    filter: Annotated[
        YesOrNo, Means("whether tokens of a candidate that lose much attention by the query are left out")
    ] = False

    def __post_init__(self) -> None:
        if self.filter and self.tokens != "suffix":
            raise ScoringError("filter=yes goes with tokens=suffix: of those alone the filtered sums are kept")

    @property
    def reads(self) -> Signal:
        return "attention"

    @property
    def keeps(self) -> frozenset[Keep]:
        return keeps(self.tokens, null=True)


def answers(inputs: Inputs, options: SumsGains) -> pa.Table:
    signals = inputs.signals
    refuse_missing_attention(signals, options.tokens, null=True)
    if not options.filter:
        return best_positions(query.run(_QUERY, {"row_attention": row_attention(signals, [options.tokens])}))
    if "filtered_attention" not in signals.column_names:
        raise ScoringError("the signals have no filtered_attention; extract with --keep rows --keep null_query")
    return best_positions(query.run(_FILTERED, {"signals": signals}))


METHOD = Method(
    name="icr",
    rank=122,
    display="ICR",
    colour="#9c9ede",
    marker="<",
    description="argmax of the attention that the query adds, over all layers and heads (arXiv 2410.02642)",
    answers=answers,
    options_type=SumsGains,
    rows=(
        TableRow("baselines", 84, block=1),
        TableRow("baselines", 86, "ICR, tokens filtered", variant="filter=yes", block=1),
    ),
)
