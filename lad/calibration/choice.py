"""Which questions to calibrate on, and when they are enough: choosers that see no target, and a rule that stops.

The paper names adaptive calibration as future work. A chooser ranks a pool of questions; the first so many of its
ranking are labelled and calibrated on. What a chooser reads costs passes before anything is labelled. All choosers take
the questions of the largest entropy first, because these are the ones in which positions weigh most:

    disagreement   of the candidates that the model names in the N shifts of the question, N passes per pool question
    uncertainty    of P(c|x) in the question's first shift, one pass per pool question
    null           of P(c|x) there with the query N/A, one pass per pool question and a short one from its cache
    first          none of these: the questions as they come

The rule stops at the first k at which the k-th question moves the estimate of P_obs(j|i), eq. 1, by less than CHANGE in
the mean total variation of its rows.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lad.calibration.observations import number_of_candidates

Floats = npt.NDArray[np.float64]
Chooser = Literal["first", "disagreement", "uncertainty", "null"]

CHANGE: Final = 0.05
"""By how much one more question may still move the estimate. Fixed before anything was measured with it."""


def choosers_for(signals: pa.Table) -> tuple[Chooser, ...]:
    """The choosers that these signals suffice for: the null query may not have been kept."""
    has_null = "null_logprobs" in signals.column_names and not signals["null_logprobs"].null_count
    return ("first", "disagreement", "uncertainty", *(("null",) if has_null else ()))


def ranked(signals: pa.Table, chooser: Chooser) -> list[str]:
    """The questions of the pool, the one to label first at the front; of equal ones that of the lower id.

    Args:
        signals: all shifts of all questions of the pool. Targets are not read.
    """
    ids = sorted(pc.unique(signals["question_id"]).to_pylist())
    if chooser == "first":
        return ids
    spread = _spread(signals, chooser)
    return sorted(ids, key=lambda question: (-round(spread[question], 9), question))


def passes(chooser: Chooser, pool: int, questions: int, n: int) -> int:
    """Forward passes of choosing so many questions from a pool and showing them in all shifts.

    The null query's pass, which continues from a cache, is not counted.
    """
    looked_at = {"first": 0, "disagreement": pool * n, "uncertainty": pool, "null": pool}[chooser]
    already_shown = {"first": 0, "disagreement": questions * n, "uncertainty": questions, "null": questions}[chooser]
    return looked_at + questions * n - already_shown


def stops_at(signals: pa.Table, order: Sequence[str], change: float = CHANGE) -> int:
    """After how many questions of this order the rule stops; all of them where it never does.

    Args:
        signals: all shifts of these questions, their targets known.
    """
    n = number_of_candidates(signals)
    question = np.array(signals["question_id"].to_pylist())
    target = signals["target_position"].to_numpy() - 1
    said = _probabilities(signals, "candidate_logprobs")
    shares = []
    for one in order:
        rows = question == one
        shares.append(np.stack([said[rows & (target == position)].mean(axis=0) for position in range(n)]))
        if len(shares) > 1:
            before, after = np.mean(shares[:-1], axis=0), np.mean(shares, axis=0)
            if np.abs(after - before).sum(axis=1).mean() / 2 < change:
                break
    return len(shares)


def _spread(signals: pa.Table, chooser: Chooser) -> dict[str, float]:
    """The entropy by question, in nats."""
    n = number_of_candidates(signals)
    question = np.array(signals["question_id"].to_pylist())
    if chooser == "disagreement":
        orders = np.array(signals["order"].to_pylist())
        answers = _probabilities(signals, "candidate_logprobs").argmax(axis=1)
        named = orders[np.arange(len(orders)), answers] - 1
        ids, at = np.unique(question, return_inverse=True)
        counts = np.bincount(at * n + named, minlength=len(ids) * n).reshape(len(ids), n)
        return dict(zip(ids.tolist(), _entropy(counts / counts.sum(axis=1, keepdims=True)).tolist(), strict=True))
    rounds = signals["round"].to_numpy()
    first = rounds == rounds.min()
    column = "null_logprobs" if chooser == "null" else "candidate_logprobs"
    spread = _entropy(_probabilities(signals, column)[first])
    return dict(zip(question[first].tolist(), spread.tolist(), strict=True))


def _probabilities(signals: pa.Table, column: str) -> Floats:
    logs = np.array(signals[column].to_pylist(), dtype=np.float64)
    return np.asarray(np.exp(logs))


def _entropy(shares: Floats) -> Floats:
    logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
    return np.asarray(-(shares * logs).sum(axis=1))
