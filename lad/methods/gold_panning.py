"""Gold panning: the candidate that answers under several orders, each chosen by those before it, make likeliest.

    answer = the position, in this order, of argmax over candidates c of the sum over shown orders o of
        log h_j / f_j               where the model names the position j of c in o
        log (1 - h_j) / (1 - f_j)   where it names another

Byerly and Khashabi, arXiv 2510.09770; not in the paper. `lad.panning` has the equations, and says where they differ
from that work. Of answers it reads the position alone. The first order shown is the one answered; each further one is
that of the largest worth under the belief so far, the sum over positions of the belief in the candidate there times
what the position tells, KL(h_j || f_j).

The model is not asked anew: the next order is chosen among those that the signals hold of the question, each once, and
not among all N!. Of N cyclic shifts or of a few random orders the best may be worth less than the best of all. What the
signals hold bounds what is measured here; a live run may show any order.

h and f, the hit and false-alarm rates of each position, are taken from the calibration's position bias: mean
probabilities P_obs(j|i) in place of counted answers, so that they need no table of their own and a few questions say
more. They are smoothed as `lad.panning.rates_of` does. Where no probabilities are known, `fit_rates` counts answers.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lad.calibration.calibrate import Calibration
from lad.calibration.formulation import PRINTED, Formulation
from lad.methods.base import Inputs, Method, TableRow
from lad.methods.options import Orders, Passes, ReadsEquations, ScoringError
from lad.methods.orders import SPLIT_OF, orders_of, refuse_fewer_orders
from lad.methods.scores import said_positions
from lad.panning import Floats, Rates, rates_of
from lad.parquet import nested_lists

Integers = npt.NDArray[np.int64]

_UNKNOWN: Final = 1
"""How many questions stand behind a calibration that does not say it."""


@dataclass(frozen=True)
class Pans(ReadsEquations):
    orders: Orders = None
    passes: Passes = "all"


def answers(inputs: Inputs, options: Pans) -> pa.Table:
    signals = inputs.signals
    refuse_fewer_orders(signals, options.passes, "gold_panning")
    rates = calibrated_rates(inputs.fitted, options.equations)
    orders = orders_of(signals).astype(np.int64)
    said = _answered(signals, said_positions(inputs, options.equations))
    probabilities = np.empty(orders.shape)
    best = np.empty(len(orders), dtype=np.int64)
    for rows in _questions(signals):
        passes = len(rows) if options.passes == "all" else options.passes
        log_odds = pan(orders[rows], said[rows], rates, passes)[:, -1]
        weights = np.exp(np.take_along_axis(log_odds, orders[rows] - 1, axis=1))
        probabilities[rows] = weights / weights.sum(axis=1, keepdims=True)
        candidates = log_odds.argmax(axis=1) + 1
        best[rows] = (orders[rows] == candidates[:, None]).argmax(axis=1) + 1
    return pa.table(
        {
            "presentation_id": signals["presentation_id"],
            "position": pa.array(best.astype(np.int32)),
            "scores": nested_lists(probabilities),
            "parsed": pa.nulls(len(signals), pa.float64()),
        }
    )


def calibrated_rates(calibration: Calibration, formulation: Formulation = PRINTED) -> Rates:
    """The rates that the position bias shows: h_j = P_obs(j|j), f_j = the mean of P_obs(j|i) over i other than j.

    Where the formulation averages logs, P_obs(j|i) is the softmax over j of the mean log-domain scores O_ij.

    Raises:
        ScoringError: a calibration without the formulation.
    """
    bias = calibration.position_bias.filter(pc.field("formulation") == formulation.name)
    if not len(bias):
        raise ScoringError(
            f"gold_panning reads the position bias of the formulation {formulation.name}, the calibration has"
            f" {', '.join(calibration.formulations)}; calibrate with --formulation {formulation.name}"
        )
    n, questions = calibration.n_candidates, len(calibration.questions) or _UNKNOWN
    observed = np.zeros((n, n))
    target, position = (bias[name].to_numpy() - 1 for name in ("target_position", "position"))
    observed[target, position] = bias["observed"].to_numpy()
    if formulation.average == "logs":
        observed = np.exp(observed - observed.max(axis=1, keepdims=True))
        observed /= observed.sum(axis=1, keepdims=True)
    return rates_of(questions * observed, np.full(n, float(questions)))


def pan(orders: Integers, answered: Integers, rates: Rates, passes: int) -> Floats:
    """The belief after each pass, from each order of one question as the first.

    Args:
        orders: the candidate at each position, orders x N, from 1.
        answered: the position that each order led to, from 1; 0 where none was named, which changes no belief.
        passes: at most as many as there are orders.

    Returns:
        Log-odds of the candidates, up to a constant; first orders x passes x N.
    """
    everything = np.arange(len(orders))
    places = orders.argsort(axis=1)  # of each candidate in each order
    is_answered = places == answered[:, None] - 1
    gains = np.where(is_answered, rates.if_answered[places], rates.if_not_answered[places])
    gains[answered == 0] = 0
    tells = rates.diagnosticity[places]
    left = np.ones((len(orders), len(orders)), dtype=bool)  # first orders x orders not shown yet
    belief, shown = np.zeros(orders.shape), everything
    beliefs = np.empty((len(orders), passes, orders.shape[1]))
    for done in range(passes):
        left[everything, shown] = False
        belief = np.round(belief + gains[shown], 9)  # equal evidence ties, whatever its sequence
        belief -= belief.max(axis=1, keepdims=True)
        beliefs[:, done] = belief
        chances = np.exp(belief)
        worth = chances @ tells.T / chances.sum(axis=1, keepdims=True)
        shown = np.where(left, np.round(worth, 9), -1).argmax(axis=1)
    return beliefs


def _answered(signals: pa.Table, answers: pa.Table) -> Integers:
    """The answered position of each presentation, in the order of the signals; 0 where there is none."""
    at = pc.index_in(signals["presentation_id"], value_set=answers["presentation_id"].combine_chunks())
    positions: Integers = pc.fill_null(answers["position"].take(at.combine_chunks()), 0).to_numpy().astype(np.int64)
    return positions


def _questions(signals: pa.Table) -> list[Integers]:
    """The rows of each question, by round."""
    question = signals["question_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    by_question = np.lexsort((signals["round"].to_numpy(), question))
    return np.split(by_question, np.flatnonzero(np.diff(question[by_question])) + 1)


METHOD = Method(
    name="gold_panning",
    rank=135,
    display="Gold panning",
    colour="#b8860b",
    marker="H",
    description="the candidate made likeliest by the answers under several orders, each chosen by those before it",
    answers=answers,
    options_type=Pans,
    split_for=lambda options: SPLIT_OF[options.orders or "evaluated"],
    reads_for=lambda _: "answers",
    needs_calibration=True,
    rows=(TableRow("baselines", 65),),
)
