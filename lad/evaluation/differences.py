"""Paired differences: by how many points one method is right more often than another on the same questions.

An addition to the paper, which compares methods by their accuracies alone. Two methods find much the same questions
hard, so their accuracies vary together: the interval of the difference is narrower than their own intervals suggest.
Methods need not answer the same presentations: permutation averaging answers each question once.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, Final

import pyarrow as pa

from lad import contracts, parquet
from lad.evaluation.bootstrap import QuestionSums, paired_differences, question_sums
from lad.evaluation.metrics import Cell, EvaluationError, by_cell, with_right_candidate

_ORDER: Final = ("method", "variant", "against", "against_variant", "n_candidates")


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
        EvaluationError: as `with_right_candidate`, or no resamples.
    """
    rows = []
    for cells in _cells_by_questions(predictions, resamples).values():
        if len(cells) > 1:
            compared = paired_differences(list(cells.values()), resamples, seed)
            rows += [
                row
                for row in _rows(cells, cells, compared)
                if (row["method"], row["variant"]) != (row["against"], row["against_variant"])
            ]
    return _table(rows, contracts.DIFFERENCES, _ORDER)


def comparisons(
    predictions: pa.Table,
    reference: pa.Table,
    *,
    reference_calibration_questions: int,
    resamples: int = 2000,
    seed: int = 0,
) -> pa.Table:
    """The paired difference in accuracy of each method of one scoring and each method of another.

    Both were asked the same questions, by another probe or after another calibration.

    Args:
        predictions: of the contract of that name, as in `differences`.
        reference: those of the scoring that it is compared with.
        reference_calibration_questions: how many questions that one was calibrated on.
        resamples, seed: as in `differences`.

    Returns:
        A comparisons table, every pair in both directions, as in `differences`.

    Raises:
        EvaluationError: as `differences`.
    """
    theirs = _cells_by_questions(reference, resamples)
    told = {"reference_calibration_questions": reference_calibration_questions}
    rows = []
    for asked, ours in _cells_by_questions(predictions, resamples).items():
        others = theirs.get(asked, {})
        for of, against, is_reference in ((ours, others, False), (others, ours, True)):
            if others:
                compared = paired_differences(list(of.values()), resamples, seed, list(against.values()))
                rows += [row | told | {"is_reference": is_reference} for row in _rows(of, against, compared)]
    return _table(rows, contracts.COMPARISONS, (*_ORDER, "is_reference"))


def _cells_by_questions(predictions: pa.Table, resamples: int) -> dict[tuple[Any, ...], dict[Cell, QuestionSums]]:
    """By N and questions the methods and variants that answered these."""
    predictions = with_right_candidate(predictions)
    if resamples < 1:
        raise EvaluationError(f"{resamples} resamples: an interval needs at least one")
    cells: dict[tuple[Any, ...], dict[Cell, QuestionSums]] = {}
    for cell, answers in by_cell(predictions):
        _, _, n_candidates = cell
        questions, sums = question_sums(answers)
        cells.setdefault((n_candidates, *questions), {})[cell] = sums
    return cells


def _rows(
    ours: Mapping[Cell, QuestionSums], theirs: Mapping[Cell, QuestionSums], compared: Any
) -> Iterator[dict[str, Any]]:
    """One row per method or variant of ours and of theirs, from their (value, low, high) x ours x theirs."""
    values, lows, highs = compared.tolist()
    for (i, (cell, sums)), (j, other) in product(enumerate(ours.items()), enumerate(theirs)):
        method, variant, n_candidates = cell
        against, against_variant, _ = other
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
            "questions": len(sums.shown),
            "presentations": int(sums.shown.sum()),
        }


def _table(rows: list[dict[str, Any]], contract: contracts.Contract, order: tuple[str, ...]) -> pa.Table:
    table = parquet.from_rows(rows, contract)
    return parquet.conform(table.sort_by([(name, "ascending") for name in order]), contract, contract.name)


def _known(bound: float) -> float | None:
    """NaN is null in tables."""
    return None if math.isnan(bound) else bound
