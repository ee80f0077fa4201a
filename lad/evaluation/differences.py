"""Paired differences: by how many points one method is right more often than another on the same questions.

An addition to the paper, which compares methods by their accuracies alone. Two methods find much the same questions
hard, so their accuracies vary together: the interval of the difference is narrower than their own intervals suggest.
Methods need not answer the same presentations: permutation averaging answers each question once.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pyarrow as pa

from lad import contracts, parquet
from lad.evaluation.bootstrap import QuestionSums, paired_differences, question_sums
from lad.evaluation.metrics import Cell, EvaluationError, by_cell, refuse_unfit


def differences(predictions: pa.Table, *, resamples: int = 2000, seed: int = 0) -> pa.Table:
    """The paired difference in accuracy of each two methods or variants that answer the same questions.

    Args:
        predictions: of the contract of that name; any number of methods and variants.
        resamples: bootstrap resamples of the questions, at least one.
        seed: of the resamples, which are those of `evaluate`.

    Returns:
        A differences table, values in points, every pair in both directions; without rows where no two methods
        answer the same questions, and without intervals where these are fewer than FEWEST_QUESTIONS.

    Raises:
        EvaluationError: as `refuse_unfit`, or no resamples.
    """
    refuse_unfit(predictions)
    if resamples < 1:
        raise EvaluationError(f"{resamples} resamples: an interval needs at least one")
    rows = [row for cells in _cells_by_questions(predictions) for row in _pairs(cells, resamples, seed)]
    table = parquet.from_rows(rows, contracts.DIFFERENCES)
    order = ("method", "variant", "against", "against_variant", "n_candidates")
    return parquet.conform(table.sort_by([(name, "ascending") for name in order]), contracts.DIFFERENCES, "differences")


def _cells_by_questions(predictions: pa.Table) -> list[dict[Cell, QuestionSums]]:
    """Methods and variants that answered one and the same set of questions, together."""
    cells: dict[tuple[Any, ...], dict[Cell, QuestionSums]] = defaultdict(dict)
    for cell, answers in by_cell(predictions):
        _, _, n_candidates = cell
        questions, sums = question_sums(answers)
        cells[(n_candidates, *questions)][cell] = sums
    return [together for together in cells.values() if len(together) > 1]


def _pairs(cells: dict[Cell, QuestionSums], resamples: int, seed: int) -> Iterator[dict[str, Any]]:
    """One row per ordered pair of those methods and variants."""
    values, lows, highs = paired_differences(list(cells.values()), resamples, seed).tolist()
    shown = [sums.shown for sums in cells.values()]
    for (i, (method, variant, n_candidates)), (j, (against, against_variant, _)) in permutations(enumerate(cells), 2):
        yield {
            "method": method,
            "variant": variant,
            "against": against,
            "against_variant": against_variant,
            "n_candidates": n_candidates,
            "metric": "accuracy",
            "value": values[i][j],
            "low": _known(lows[i][j]),
            "high": _known(highs[i][j]),
            "questions": len(shown[i]),
            "presentations": int(shown[i].sum()),
        }


def _known(bound: float) -> float | None:
    """NaN is null in tables."""
    return None if math.isnan(bound) else bound
