"""Scores by position: those of the model's answer (appendix B), less a static prior, and the best of them."""

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from lad import query
from lad.calibration import observations
from lad.calibration.formulation import Formulation
from lad.calibration.observations import number_of_candidates
from lad.methods.base import Inputs
from lad.methods.options import ScoringError

_SQL: Final = Path(__file__).parent


def observed_scores(inputs: Inputs, formulation: Formulation) -> pa.Table:
    """The scores of every presentation: see `scores_of`."""
    column = formulation.scores_column(number_of_candidates(inputs.signals))
    return inputs.steps.once(("observed_scores", column), lambda: scores_of(inputs.signals, formulation))


def scores_of(signals: pa.Table, formulation: Formulation) -> pa.Table:
    """One row per presentation and position: score, and log-probability over the N positions.

    Raises:
        ScoringError: a presentation without a value in the column that the formulation reads; SQL would leave it out
            without a word.
    """
    column = formulation.scores_column(number_of_candidates(signals))
    refuse_missing_logprobs(signals, column)
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


def mean_prior(scores: pa.Table, method: str) -> pa.Table:
    """The log of the mean probability of each position over some presentations, as a position_prior."""
    return query.run(_SQL / "mean_prior.sql", {"observed_scores": scores}, {"method": method})


def less_static_prior(scores: pa.Table, prior: pa.Table, method: str) -> pa.Table:
    """The scores less the log of a static prior over positions, the one that the position_prior has for the method."""
    return query.run(
        _SQL / "less_static_prior.sql", {"observed_scores": scores, "position_prior": prior}, {"method": method}
    )
