"""Which of the results the explorer shows: every cell once, answered after the calibration that the report shows."""

from collections.abc import Iterable, Mapping
from typing import Final

from lad.grid import Cell, Scoring
from lad.report.needs import Available, Condition, Needs

SPLIT: Final = "evaluation"
"""The split whose orders are shown side by side."""


def chosen_scorings(scorings: Iterable[Scoring], calibration_questions: int) -> dict[Cell, Scoring]:
    """One scoring of each cell, the cells in their order.

    It is the one calibrated on so many questions of the cell's own kind; of a cell without it, the first.
    """
    chosen: dict[Cell, Scoring] = {}
    for scoring in sorted(scorings):
        source = scoring.source
        own = (source.dataset, source.setting) == (scoring.cell.dataset, scoring.cell.setting)
        is_usual = own and source.is_first_of_its_kind and scoring.calibration_questions == calibration_questions
        if is_usual or scoring.cell not in chosen:
            chosen[scoring.cell] = scoring
    return chosen


def needs_of(available: Available, scorings: Mapping[Scoring, bool]) -> Needs:
    """What the explorer reads.

    Args:
        scorings: each with whether there is a printed attention prior of it.
    """
    named = [(scoring, *pair) for scoring in scorings for pair in available.methods(scoring, "predictions")]
    cells = [scoring.cell for scoring in scorings]
    return Needs(
        answers=tuple(Condition.of(*answering) for answering in named),
        signals=tuple((cell, SPLIT) for cell in cells),
        priors=tuple((scoring, "printed") for scoring, has_prior in scorings.items() if has_prior),
        benchmarks=tuple(dict.fromkeys(cell.benchmark for cell in cells)),
        photographs=tuple(dict.fromkeys(cell.dataset for cell in cells)),
    )
