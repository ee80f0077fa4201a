"""Majority vote over orders: the candidate that vanilla names in most orders of the question, answered in each of them.

    answer = the position, in this order, of argmax over candidates c of #{ orders o: argmax_j P(c_j|x_o) shows c }

The orders o are all that the signals hold, or so many (`passes`): the answered one and the next ones. Of equal votes
the larger mean of P over the orders wins, then the lower candidate number. Self-consistency's vote (Wang et al., arXiv
2203.11171), taken over orders rather than samples; not in the paper. Of all orders, consistency is 100 % by
construction.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from lad import query
from lad.calibration.formulation import PRINTED
from lad.methods.base import Inputs, Method, TableRow
from lad.methods.options import Options, Orders, Passes, ScoringError
from lad.methods.orders import SPLIT_OF, heard, orders_of
from lad.methods.scores import best_positions, probabilities, said_positions

_QUERY: Final = Path(__file__).with_suffix(".sql")


@dataclass(frozen=True)
class Votes(Options):
    orders: Orders = None
    passes: Passes = "all"


def answers(inputs: Inputs, options: Votes) -> pa.Table:
    orders_of(inputs.signals)  # refuses orders that do not show every candidate
    if options.passes == "all":
        _refuse_single_orders(inputs.signals)
    relations = {
        "vanilla_answers": said_positions(inputs),
        "observed_scores": probabilities(inputs, PRINTED),
        "signals": inputs.signals,
        "heard": heard(inputs.signals, options.passes, "majority_vote"),
    }
    return best_positions(query.run(_QUERY, relations))


def _refuse_single_orders(signals: pa.Table) -> None:
    """A vote over one order is vanilla's answer under another name."""
    shown = signals.group_by("question_id", use_threads=False).aggregate([([], "count_all")])
    single = shown.filter(pc.field("count_all") == 1)["question_id"]
    if len(single):
        raise ScoringError(
            f"majority_vote needs each question in at least 2 orders; question {single[0].as_py()} is shown in 1: give"
            " signals of all rounds of a split"
        )


METHOD = Method(
    name="majority_vote",
    rank=130,
    display="Majority vote over orders",
    colour="#5254a3",
    marker="2",
    description="the candidate that vanilla names in most orders of the question",
    answers=answers,
    options_type=Votes,
    split_for=lambda options: SPLIT_OF[options.orders or "evaluated"],
    reads_for=lambda _: "answers",
    rows=(TableRow("baselines", 60),),
)
