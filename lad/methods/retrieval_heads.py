"""Retrieval heads: the position that a few attention heads attend to most, those that know best where targets are.

    answer = argmax_k mean over h in H* of log a_k^(h) - log a_prior,k^(h)     against=prior
    answer = argmax_k mean over h in H* of a_k^(h) / sum_k a_k^(h)             against=none
    answer = argmax_k mean over h in H* of a_k^(h) - n_k^(h)                   against=null

a^(h) is the attention of a row in head h, a_prior its mean over calibration presentations, n^(h) the same where the
query is N/A. H* are the heads that are best on the calibration questions (`attention_skill`), judged by x = a,
a / a_prior or a - n: those in which the target most often has the largest x (found), those with most x on the target
(mass; QRHead, arXiv 2506.09944), or those whose softmax of x / t has most of it there (contrast; CoRe, arXiv
2510.02219). Of equal heads those come first that have more of x on the target, then the lower layer and head.

That a few heads suffice: Kang et al., arXiv 2503.06287, who take three as they are (heads=3, against=none). QRHead and
CoRe read the query's tokens (row=query) against the null query, of 16 and of 8 heads. Not in the paper.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import pyarrow as pa

from lad import query
from lad.calibration.rows import Against, keeps, row_attention
from lad.contracts import Keep
from lad.methods.attention import best_first, refuse_missing_attention, skill
from lad.methods.base import Inputs, Method, TableRow
from lad.methods.options import Count, Means, ReadsRow, ScoringError
from lad.methods.scores import best_positions

_QUERY: Final = Path(__file__).with_suffix(".sql")


@dataclass(frozen=True)
class ChoosesHeads(ReadsRow):
    heads: Annotated[Count, Means("how many attention heads are listened to")] = 8
    choose: Annotated[
        Literal["found", "mass", "contrast"],
        Means(
            "which heads. found: those in which the target most often draws most; mass: those that attend to it most;"
            " contrast: those with most of their softmax on it; all on the calibration questions"
        ),
    ] = "found"
    against: Annotated[
        Against,
        Means(
            "what a head's attention is held against. none: nothing; prior: its mean over the calibration, divided out;"
            " null: its attention where the query is N/A, subtracted"
        ),
    ] = "prior"

    def __post_init__(self) -> None:
        if self.against == "null" and self.row == "last":
            raise ScoringError(
                "against=null cannot be had of row=last: of the null query the rows query and suffix are kept; name one"
                " of them, or take against=prior"
            )

    @property
    def keeps(self) -> frozenset[Keep]:
        return keeps(self.row, heads=True, null=self.against == "null")


def answers(inputs: Inputs, options: ChoosesHeads) -> pa.Table:
    refuse_missing_attention(inputs.signals, options.row, heads=True, null=options.against == "null")
    known = skill(inputs.fitted, options.row, options.against, heads=True)
    if options.heads > len(known):
        raise ScoringError(f"heads = {options.heads} cannot be chosen from the model's {len(known)}")
    chosen = best_first(known, options.choose).slice(0, options.heads).select(["layer", "head", "prior"])
    attention = row_attention(inputs.signals, [options.row])
    return best_positions(
        query.run(_QUERY, {"row_attention": attention, "chosen_heads": chosen}, {"against": options.against})
    )


METHOD = Method(
    name="retrieval_heads",
    rank=120,
    display="Retrieval heads",
    colour="#6b6ecf",
    marker="d",
    description="argmax mean log a - log a_prior over the heads that know the calibration's targets best"
    " (arXiv 2503.06287, 2506.09944, 2510.02219)",
    answers=answers,
    options_type=ChoosesHeads,
    needs_calibration=True,
    rows=(
        TableRow("baselines", 90, "Retrieval heads, three, raw", variant="against=none;heads=3", block=1),
        TableRow("baselines", 92, block=1),
        TableRow("baselines", 94, "Retrieval heads, query", variant="row=query", block=1),
        TableRow("baselines", 96, "Retrieval heads, query less N/A", variant="against=null;row=query", block=1),
        TableRow(
            "baselines", 97, "QRHead (16 by mass)", variant="against=null;choose=mass;heads=16;row=query", block=1
        ),
        TableRow("baselines", 98, "CoRe (8 by contrast)", variant="against=null;choose=contrast;row=query", block=1),
    ),
)
