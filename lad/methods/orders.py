"""The orders in which a question's candidates are shown, for methods that compare several of them."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lad.calibration.observations import number_of_candidates
from lad.methods.options import ScoringError


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
