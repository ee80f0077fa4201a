"""What calibration and scoring both read from signals.

Scores by position (appendix B) and attention by layer and position (eq. 6), as a formulation wants them.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lad import query
from lad.calibration.formulation import Formulation, Scores
from lad.calibration.rows import Row, attention_column
from lad.refusal import Refusal

_SQL: Final = files("lad.calibration")
_OF_EVERY_MODEL: Final = ("candidate_attention", "delimiter_attention")
"""The columns by layer that all signals have."""


class SignalsError(Refusal):
    """Signals that do not belong in one computation; the message says what differs."""


def observed_scores(signals: pa.Table, formulation: Formulation) -> pa.Table:
    """One row per presentation and position: score, and log-probability over the N positions.

    Where an answer alone is known, it has probability 1, and every other position 0, which is minus infinity as a log.
    """
    if "answered_position" not in signals.column_names:
        signals = signals.append_column("answered_position", pa.nulls(len(signals), pa.int32()))
    return query.run(
        _SQL / "observed_scores.sql", {"signals": signals}, {"scores": scores_column(signals, formulation)}
    )


def scores_column(signals: pa.Table, formulation: Formulation) -> Scores:
    """The signals column that stands for log P(c_j|x).

    The log of another tool has no logits. Log-probabilities take their place: they differ by one number from all logits
    of a presentation, which changes no answer.
    """
    column = formulation.scores_column(number_of_candidates(signals))
    return column if signals[column].null_count < len(signals) else "candidate_logprobs"


def has_logprobs(signals: pa.Table) -> bool:
    """Whether there are log-probabilities of every presentation; of the others an answer alone is known."""
    return not signals["candidate_logprobs"].null_count


def layer_attention(signals: pa.Table, formulation: Formulation, row: Row = "last") -> pa.Table:
    """One row per presentation and layer that has attention: the list of attentions by position, eq. 6.

    Args:
        row: whose attention. The delimiters' is kept of the last token alone: of other rows the candidates' own tokens
            count, whatever span the formulation has.
    """
    if row == "last":
        return query.run(_SQL / "layer_attention.sql", {"signals": signals}, {"span": formulation.span})
    at = signals.column_names.index("candidate_attention")
    of_row = signals.set_column(at, "candidate_attention", signals[attention_column(row)])
    return query.run(_SQL / "layer_attention.sql", {"signals": of_row}, {"span": "image"})


def mean_attention(signals: pa.Table, formulation: Formulation, row: Row = "last") -> pa.Table:
    """One row per layer and position: the mean attention over all presentations, eq. 7."""
    return query.run(_SQL / "mean_attention.sql", {"layer_attention": layer_attention(signals, formulation, row)})


def number_of_candidates(signals: pa.Table) -> int:
    """N, the same in every row.

    Raises:
        SignalsError: if there is no row, or rows differ in N.
    """
    found = sorted(pc.unique(signals["n_candidates"]).to_pylist())
    if not found:
        raise SignalsError("the signals hold no presentation")
    if len(found) > 1:
        raise SignalsError(f"the signals mix N = {' and '.join(map(str, found))} candidates; give one N at a time")
    return int(found[0])


def number_of_layers(signals: pa.Table) -> int:
    """The number of decoder layers, the same in every row; 0 where no attention was read.

    Raises:
        SignalsError: if rows, or the attention columns, differ in their number of layers.
    """
    found: set[int] = set()
    for column in _OF_EVERY_MODEL:
        found.update(pc.unique(pc.list_value_length(signals[column])).to_pylist())
    if len(found) != 1:
        raise SignalsError(f"the signals mix {' and '.join(map(str, sorted(found)))} layers; give one model at a time")
    return found.pop()


def read_layers(signals: pa.Table) -> tuple[int, ...]:
    """The layers of which there is attention, ascending, from 0: all but those without softmax attention.

    Raises:
        SignalsError: if rows, or the attention columns, differ in their number of layers or in these.
    """
    layers = number_of_layers(signals)
    if not layers:
        return ()
    inner = [signals[column].combine_chunks().flatten() for column in _OF_EVERY_MODEL]
    has = np.concatenate([pc.list_value_length(lists).to_numpy().reshape(-1, layers) > 0 for lists in inner])
    if differing := np.flatnonzero((has != has[0]).any(axis=0)).tolist():
        raise SignalsError(
            f"the signals have the attention of layer {differing[0]} in some rows only; give one model at a time"
        )
    return tuple(np.flatnonzero(has[0]).tolist())


def layers_told(layers: Sequence[int]) -> str:
    """Ascending layers in words: "2 to 5", or "3, 7, 11" where some between are left out."""
    if len(layers) > 2 and layers[-1] - layers[0] == len(layers) - 1:
        return f"{layers[0]} to {layers[-1]}"
    return ", ".join(map(str, layers)) or "none"
