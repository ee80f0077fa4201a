"""The orders in which a question's candidates are shown, for methods whose answer rests on several passes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lad import query
from lad.calibration.observations import number_of_candidates
from lad.methods.base import Split
from lad.methods.options import OfOrders, ScoringError

_HEARD: Final = Path(__file__).with_name("heard.sql")

SPLIT_OF: Final[Mapping[OfOrders, Split]] = {"evaluated": "evaluation", "cyclic": "symmetrized", "random": "permuted"}
"""The split that holds the orders of each kind."""


def orders_of(signals: pa.Table) -> npt.NDArray[np.int32]:
    """The candidate at each position, presentations x N, from 1.

    Raises:
        ScoringError: an order that does not show every candidate once.
    """
    n_candidates = number_of_candidates(signals)
    orders: npt.NDArray[np.int32] = signals["order"].combine_chunks().flatten().to_numpy().reshape(-1, n_candidates)
    partial = (np.sort(orders, axis=1) != np.arange(1, n_candidates + 1)).any(axis=1)
    if partial.any():
        at = int(np.argmax(partial))
        raise ScoringError(
            f"the order of presentation {signals['presentation_id'][at].as_py()} is {orders[at].tolist()}; every order"
            f" shows each of the candidates 1 to {n_candidates} once"
        )
    return orders


def heard(signals: pa.Table, passes: int | Literal["all"], method: str) -> pa.Table:
    """The presentations that each answer rests on: its own and the next ones of its question, passes in all.

    Behind the last order comes the first. So every order of a question is once the first one, and answers of one pass
    are vanilla's.

    Returns:
        One row per presentation and heard presentation: presentation_id, heard.

    Raises:
        ScoringError: a question with fewer orders; `method` is who asks.
    """
    refuse_fewer_orders(signals, passes, method)
    return query.run(_HEARD, {"signals": signals}, {"passes": None if passes == "all" else passes})


def refuse_fewer_orders(signals: pa.Table, passes: int | Literal["all"], method: str) -> None:
    """Refuse signals with a question in fewer orders than passes.

    Raises:
        ScoringError: such a question.
    """
    if passes == "all":
        return
    shown = signals.group_by("question_id", use_threads=False).aggregate([([], "count_all")])
    fewest = shown.sort_by([("count_all", "ascending"), ("question_id", "ascending")]).slice(0, 1).to_pylist()[0]
    if fewest["count_all"] < passes:
        raise ScoringError(
            f"{method};passes={passes} needs each question in {passes} orders; question {fewest['question_id']} is"
            f" shown in {fewest['count_all']}: ask for at most as many passes, or give signals of more orders"
        )
