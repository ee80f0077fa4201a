"""Scores by position: those of the model's answer (appendix B), less a static prior, and the best of them."""

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from lad import query
from lad.calibration import observations
from lad.calibration.formulation import PRINTED, Formulation
from lad.calibration.observations import scores_column
from lad.methods.base import Inputs
from lad.methods.options import ScoringError

_SQL: Final = Path(__file__).parent


def observed_scores(inputs: Inputs, formulation: Formulation) -> pa.Table:
    """The scores of every presentation: see `scores_of`."""
    refuse_missing_logprobs(inputs.signals, scores_column(inputs.signals, formulation))
    return probabilities(inputs, formulation)


def probabilities(inputs: Inputs, formulation: Formulation) -> pa.Table:
    """The same for methods that read no logs: where an answer alone is known, it has probability 1."""
    column = scores_column(inputs.signals, formulation)
    return inputs.steps.once(
        ("observed_scores", column), lambda: observations.observed_scores(inputs.signals, formulation)
    )


def said_positions(inputs: Inputs, formulation: Formulation = PRINTED) -> pa.Table:
    """The model's own answers: of each presentation the most probable position, or the one that is known as answered.

    Of these there are no scores, and no position where none was answered.
    """
    scores = probabilities(inputs, formulation)
    if observations.has_logprobs(inputs.signals):
        return best_positions(scores)
    return query.run(_SQL / "said_positions.sql", {"observed_scores": scores})


def scores_of(signals: pa.Table, formulation: Formulation) -> pa.Table:
    """One row per presentation and position: score, and log-probability over the N positions.

    Raises:
        ScoringError: a presentation without a value in the column that the formulation reads; SQL would leave it out
            without a word.
    """
    refuse_missing_logprobs(signals, scores_column(signals, formulation))
    return observations.observed_scores(signals, formulation)


def refuse_missing_logprobs(signals: pa.Table, column: str) -> None:
    """Refuse signals of which a presentation has no scores in that column.

    Raises:
        ScoringError: such a presentation.
    """
    if signals[column].null_count:
        at = pc.index(pc.is_null(signals[column]), pa.scalar(True)).as_py()
        raise ScoringError(
            f"presentation {signals['presentation_id'][at].as_py()} has no {column}, from which this method answers;"
            " extract them by a probe that reads the probabilities of the identifiers"
        )


def best_positions(scores: pa.Table) -> pa.Table:
    """The answers: of each presentation the position with the largest score, the lowest of several."""
    return query.run(_SQL / "best_positions.sql", {"scores": scores})


def probability_sums(scores: pa.Table, so_far: pa.Table | None = None) -> pa.Table:
    """The sum of the probabilities of each position, and the number of presentations: of these and of those before."""
    probabilities = query.run(_SQL / "probabilities.sql", {"observed_scores": scores})
    if so_far is not None:
        # Before the others and in one relation, so that parts add up to the very bits of the whole.
        probabilities = pa.concat_tables([so_far, probabilities])
    return query.run(_SQL / "probability_sums.sql", {"probabilities": probabilities})


def mean_prior(sums: pa.Table, method: str) -> pa.Table:
    """The log of the mean probability of each position over some presentations, as a position_prior."""
    return query.run(_SQL / "mean_prior.sql", {"probability_sums": sums}, {"method": method})


def less_static_prior(scores: pa.Table, prior: pa.Table, method: str) -> pa.Table:
    """The scores less the log of a static prior over positions, the one that the position_prior has for the method.

    Raises:
        ScoringError: it has none.
    """
    if method not in prior["method"].to_pylist():
        raise ScoringError(
            f"the calibration has no prior for {method}: of some presentations that it was fitted on, an answer alone"
            " was known; calibrate on signals with log-probabilities"
        )
    return query.run(
        _SQL / "less_static_prior.sql", {"observed_scores": scores, "position_prior": prior}, {"method": method}
    )
