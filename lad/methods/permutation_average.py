"""Permutation averaging: the candidate that is most probable on average over orders of the question.

    answer = argmax over candidates c of the mean over orders o of P(c|x_o)

Paper, table 8; also called the cyclic probability ensemble. Printed, the orders are the N cyclic shifts, where each
candidate stands once at each position and a static bias favours none. The released code averages over 16 random orders
(`orders=random`) and log-domain scores (`formulation=released`). There is one answer per question. Of fewer passes
(`passes`) there is one for each order: it rests on that order and the next ones. Where an answer alone is known it has
probability 1, so that the mean is its share of the votes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lad import query
from lad.calibration.observations import number_of_candidates
from lad.methods.base import Inputs, Method, PublishedName, TableRow
from lad.methods.options import Orders, Passes, ReadsEquations, ScoringError, Signal
from lad.methods.orders import SPLIT_OF, heard, orders_of
from lad.methods.scores import best_positions, probabilities

_QUERY: Final = Path(__file__).with_suffix(".sql")


@dataclass(frozen=True)
class AveragesOrders(ReadsEquations):
    orders: Orders = None
    passes: Passes = "all"

    @property
    def reads(self) -> Signal:
        return "answers" if self.equations.average == "probabilities" else "logprobs"


def answers(inputs: Inputs, options: AveragesOrders) -> pa.Table:
    orders = orders_of(inputs.signals)
    if options.orders in (None, "cyclic"):
        _refuse_incomplete_shifts(inputs.signals, orders)
    basis = heard(inputs.signals, options.passes, "permutation_average")
    if options.passes == "all":  # every order would give the same answer
        _refuse_missing_first_rounds(inputs.signals, inputs.first_round)
        first = inputs.signals.filter(pc.equal(inputs.signals["round"], inputs.first_round))
        basis = basis.filter(pc.is_in(basis["presentation_id"], value_set=first["presentation_id"].combine_chunks()))
    scores = query.run(
        _QUERY,
        {"observed_scores": probabilities(inputs, options.equations), "signals": inputs.signals, "heard": basis},
        {"average": options.equations.average},
    )
    return best_positions(scores)


def _refuse_incomplete_shifts(signals: pa.Table, orders: npt.NDArray[np.int32]) -> None:
    """Averaging cancels a bias of position only where each candidate stands once at each position."""
    n_candidates = number_of_candidates(signals)
    question = signals["question_id"].combine_chunks().dictionary_encode()
    codes, ids = question.indices.to_numpy(), question.dictionary
    places = (codes[:, None] * n_candidates + orders - 1) * n_candidates + np.arange(n_candidates)
    times = np.bincount(places.ravel(), minlength=len(ids) * n_candidates**2).reshape(len(ids), -1)
    incomplete = (times != 1).any(axis=1)
    if incomplete.any():
        raise ScoringError(
            f"permutation_average needs the {n_candidates} cyclic shifts of each question;"
            f" question {ids[int(np.argmax(incomplete))].as_py()} is shown otherwise: give signals of the split"
            f" symmetrized, or average over whatever orders there are with permutation_average;orders=random"
        )


def _refuse_missing_first_rounds(signals: pa.Table, first_round: int) -> None:
    """A question's answer stands in its first round; in a round of its own it would weigh as much as all the others."""
    first = signals["question_id"].filter(pc.equal(signals["round"], first_round))
    without = signals["question_id"].filter(
        pc.invert(pc.is_in(signals["question_id"], value_set=first.combine_chunks()))
    )
    if len(without):
        raise ScoringError(
            f"permutation_average answers each question in its first round, {first_round}; question"
            f" {without[0].as_py()} lacks it: give signals of all rounds of a split"
        )


METHOD = Method(
    name="permutation_average",
    rank=80,
    display="Permutation averaging",
    colour="#cc79a7",
    marker=">",
    description="argmax over candidates of the mean of P over the question's N cyclic shifts, or over random orders",
    answers=answers,
    options_type=AveragesOrders,
    split_for=lambda options: SPLIT_OF[options.orders or "cyclic"],
    rows=(TableRow("permutations", 30, optional=False),),
    published=(PublishedName("permutation_average"),),
)
