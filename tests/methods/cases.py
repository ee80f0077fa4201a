"""Signals for the methods, a calibration, and both as the plain numpy of `oracle` sees them."""

import numpy as np
import oracle
import pyarrow as pa
from signals_factory import content_free_signals, random_signals

from lad.calibration.calibrate import calibrate
from lad.methods import METHODS, score

SIZES = (2, 4, 9, 10, 12)
CALIBRATED = [name for name, method in METHODS.items() if method.needs_calibration]
FROM_TEXT = ("vanilla_parsed", "cot", "self_consistency")
BY_SCORE = [*(name for name in METHODS if name not in FROM_TEXT), "permutation_average;orders=random"]


def evaluation_signals(seed: int, n: int = 4, **options) -> pa.Table:
    return random_signals(seed + 1000, n, rounds=3, split="evaluation", heads=2, rows=True, null=True, **options)


def calibration_signals(seed: int, n: int = 4) -> pa.Table:
    return random_signals(seed, n, heads=2, rows=True, null=True)


def signals_for(method: str, seed: int, n: int = 4) -> pa.Table:
    if METHODS[method.split(";")[0]].split == "symmetrized":
        return random_signals(seed + 2000, n, split="symmetrized")
    return evaluation_signals(seed, n)


def scores_of(predictions: pa.Table) -> np.ndarray:
    return np.array(predictions["scores"].to_pylist())


def array_of(table: pa.Table, column: str) -> np.ndarray:
    """A column of lists: attention by presentation, layer, (head) and position."""
    return np.array(table[column].to_pylist(), dtype=np.float64)


def answers_of(predictions: pa.Table, column: str = "position") -> dict:
    return dict(zip(predictions["presentation_id"].to_pylist(), predictions[column].to_pylist(), strict=True))


class Case:
    """Signals to be scored, a calibration, and both as the oracle sees them."""

    def __init__(self, n: int, seed: int = 0):
        fitted_on = calibration_signals(seed, n)
        self.table, self.fitted = evaluation_signals(seed, n), calibrate(fitted_on)
        self.signals, self.calibration = oracle.Signals.of(self.table), oracle.Signals.of(fitted_on)
        self.layers = range(self.signals.image.shape[1])

    def scores(self, method: str, defaults: dict | None = None) -> np.ndarray:
        """Scores of the method; rows in the order of the table, which is that of predictions."""
        predictions = score(
            self.table, self.fitted, method, defaults, content_free=content_free_signals(self.signals.n)
        )
        assert predictions["presentation_id"].equals(self.table["presentation_id"])
        scores = scores_of(predictions)
        np.testing.assert_array_equal(predictions["position"], scores.argmax(axis=1) + 1)
        return scores

    def printed_pi(self, k=2, tau=5.0, allowed=None, flat=False):
        prior = oracle.attention_prior(self.calibration.image)
        prior = np.ones_like(prior) if flat else prior
        allowed = self.layers if allowed is None else allowed
        return np.array([oracle.printed_pi(a, prior, k, tau, allowed) for a in self.signals.image])

    def released_pi(self, k=2, tau=5.0):
        prior = oracle.attention_prior(self.calibration.delimited)
        return np.array([oracle.released_pi(a, prior, k, tau, self.layers) for a in self.signals.delimited])
