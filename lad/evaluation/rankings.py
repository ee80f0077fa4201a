"""How well methods order lists, put together from the scores in all windows of a list, with 95 % intervals over lists.

A method scores candidates against those that stand beside them: of a window only differences mean something. So the
score of candidate i in window w is taken as

    score_wi = strength_i + level_w + noise

and strengths are the least squares of the scores centred within their windows. This is the analysis of an incomplete
block design (Yates 1936); of pairs it is HodgeRank (Jiang et al., arXiv 0811.1067). With a single window it is exact:
candidates stand in the order of their scores. Strengths are as far apart as the scores are, in whatever unit a method
has these.

The metrics are those of reranking. nDCG's gain is the grade itself, as in trec_eval, whose numbers BEIR prints
(arXiv 2104.08663), not 2^grade - 1; of grades 0 and 1 both are the same. Not in the paper.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import groupby
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lad import contracts, parquet, query
from lad.evaluation.bootstrap import FEWEST_QUESTIONS, Floats, Ints, percentiles, resample_counts
from lad.evaluation.metrics import EvaluationError

_SQL: Final = files("lad.evaluation")

METRICS: Final = ("recall_at_1", "recall_at_5", "recall_at_10", "hit_at_1", "mrr_at_10", "ndcg_at_10")

FIRST_STAGE: Final = "first_stage"
"""Stands in the place of a method: the order in which the lists came."""

MACRO: Final = "macro"
"""Stands in the place of a group: the mean over groups."""

_TIE: Final = 9
"""Strengths that agree in so many decimals of the largest centred score are equal: least squares adds rounding."""

_CELL: Final = ("method", "variant", "n_candidates")

_STRENGTHS: Final = pa.schema(
    [
        ("method", pa.string()),
        ("variant", pa.string()),
        ("n_candidates", pa.int32()),
        ("list_id", pa.string()),
        ("round", pa.int32()),
        ("place", pa.int32()),
        ("strength", pa.float64()),
    ]
)


def rank_lists(
    predictions: pa.Table,
    presentations: pa.Table,
    questions: pa.Table,
    lists: pa.Table,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> pa.Table:
    """How well each method and variant orders the lists whose windows it answers, and how well the first stage does.

    Lists without anything relevant are left out: no order of them is better than another.

    Args:
        predictions: of one N; every window of a list is answered in a round, or none.
        presentations: those that are answered, of one or several splits.
        questions: with the windows of the lists.
        lists: with the lists of these windows.
        resamples: bootstrap resamples of the lists; 0 for no intervals.
        seed: of the resamples; every method has the same.

    Returns:
        A rankings table.

    Raises:
        EvaluationError: questions without lists, a presentation or list that its table lacks, no list with anything
            relevant, a list of which a method answers some windows alone, windows that do not hang together.
    """
    if "list_id" not in questions.column_names:
        raise EvaluationError("the questions are no windows of lists (no column list_id): there is nothing to rank")
    strengths = list_strengths(predictions, presentations, questions, lists)
    lists = lists.filter(pc.greater(pc.list_value_length(lists["ideal"]), 0))
    strengths = pa.concat_tables([strengths, _of_first_stage(strengths)])
    strengths = strengths.filter(pc.is_in(strengths["list_id"], value_set=lists["list_id"].combine_chunks()))
    if not len(strengths):
        raise EvaluationError(
            "no window that is answered is of a list with anything relevant: there is nothing to rank"
        )
    measured = query.run(_SQL / "ranking_metrics.sql", {"strengths": strengths, "lists": lists})
    by_cell: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in measured.to_pylist():
        by_cell.setdefault(tuple(row[name] for name in _CELL), []).append(row)
    rows = [
        row
        for cell, ours in by_cell.items()
        for row in _rows(cell, ours, by_cell[FIRST_STAGE, "", cell[2]], resamples, seed)
    ]
    return parquet.conform(parquet.from_rows(rows, contracts.RANKINGS), contracts.RANKINGS, "rankings")


def list_strengths(predictions: pa.Table, presentations: pa.Table, questions: pa.Table, lists: pa.Table) -> pa.Table:
    """The strength of every candidate of the lists whose windows are answered, by method, variant, N and round.

    Columns: method, variant, n_candidates, list_id, round, place (in first-stage order, from 1), strength. Strengths of
    a list have mean 0.

    Raises:
        EvaluationError: as of `rank_lists`.
    """
    windows = questions.filter((pc.field("role") == "evaluation") & pc.field("list_id").is_valid())
    shown = presentations.select(["presentation_id", "order"])
    _refuse_unknown(predictions, shown, "presentation_id", "presentation", "those of all splits that are answered")
    _refuse_unknown(windows, lists, "list_id", "list", "those of the setting")
    said = query.run(
        _SQL / "window_scores.sql",
        {
            "predictions": predictions,
            "presentations": shown,
            "questions": windows.select(["question_id", "candidates", "list_id"]),
            "lists": lists,
        },
    ).to_pylist()
    _refuse_incomplete(said, windows)
    listed = dict(zip(lists["list_id"].to_pylist(), lists["listed"].to_pylist(), strict=True))
    parts = []
    for (list_id, n), members in groupby(said, key=lambda row: (row["list_id"], row["n_candidates"])):
        ours = list(members)
        places = np.array(ours[0]["places"]).reshape(-1, n) - 1
        scores = np.array([row["scores"] for row in ours]).reshape(len(ours), -1, n)
        try:
            found = strengths_of(places, scores, listed[list_id])
        except ValueError as error:
            raise EvaluationError(f"list {list_id}: {error}") from None
        parts.append(_strengths_table(ours, found))
    return pa.concat_tables(parts) if parts else _STRENGTHS.empty_table()


def strengths_of(windows: Ints, scores: Floats, listed: int) -> Floats:
    """Strengths that explain the scores of several runs best: least squares of scores centred within windows.

    Args:
        windows: windows x N, the candidate of each place, from 0.
        scores: runs x windows x N.
        listed: number of candidates.

    Returns:
        runs x listed; each run has mean 0. What differs by rounding alone is equal.

    Raises:
        ValueError: windows that do not hang together, so that some candidates are never compared.
    """
    count, n = windows.shape
    # Row (w, i) of the design is what a centred score measures: the strength of i less the mean of its window.
    design = np.zeros((count, n, listed))
    design[np.arange(count)[:, None, None], np.arange(n)[:, None], windows[:, None, :]] -= 1 / n
    design[np.arange(count)[:, None], np.arange(n), windows] += 1
    centred = scores - scores.mean(axis=2, keepdims=True)
    left, sizes, right = np.linalg.svd(design.reshape(count * n, listed), full_matrices=False)
    sound = sizes > 1e-9 * sizes[0]
    if sound.sum() < listed - 1:
        raise ValueError("its windows do not hang together: some of its candidates are never compared with others")
    solved = centred.reshape(len(scores), -1) @ left[:, sound] / sizes[sound] @ right[sound]
    scale = np.abs(centred).max(axis=(1, 2), keepdims=True)[:, :, 0]
    scale[scale == 0] = 1
    return np.asarray(np.round(solved / scale, _TIE) * scale)


def _refuse_unknown(named: pa.Table, known: pa.Table, column: str, kind: str, wanted: str) -> None:
    """Refuse what names something that the other table lacks: a join would leave it out without a word."""
    lacking = named[column].filter(pc.invert(pc.is_in(named[column], value_set=known[column].combine_chunks())))
    if len(lacking):
        raise EvaluationError(f"{kind} {lacking[0].as_py()} is not in the table of {kind}s; give {wanted}")


def _refuse_incomplete(said: Sequence[Mapping[str, Any]], windows: pa.Table) -> None:
    """Refuse lists of which some windows are answered and others are not: they could not be ordered as a whole."""
    wanted: dict[str, list[str]] = {}
    for list_id, question in zip(windows["list_id"].to_pylist(), windows["question_id"].to_pylist(), strict=True):
        wanted.setdefault(list_id, []).append(question)
    for row in said:
        if missing := sorted(set(wanted[row["list_id"]]).difference(row["windows"])):
            raise EvaluationError(
                f"{row['method']} (variant '{row['variant']}') answers {len(row['windows'])} of"
                f" {len(wanted[row['list_id']])} windows of list {row['list_id']} in round {row['round']}, not"
                f" {missing[0]}; a list is ordered by all its windows"
            )


def _strengths_table(rows: Sequence[Mapping[str, Any]], strengths: Floats) -> pa.Table:
    listed = strengths.shape[1]
    repeated = {
        name: pa.array([row[name] for row in rows], _STRENGTHS.field(name).type).take(
            np.repeat(np.arange(len(rows)), listed)
        )
        for name in (*_CELL, "list_id", "round")
    }
    places = np.tile(np.arange(1, listed + 1, dtype=np.int32), len(rows))
    return pa.table({**repeated, "place": places, "strength": strengths.ravel()}, schema=_STRENGTHS)


def _of_first_stage(strengths: pa.Table) -> pa.Table:
    """The order of the first stage as strengths, of the same lists, once for each N."""
    places = strengths.group_by(["n_candidates", "list_id", "place"], use_threads=False).aggregate([])
    count = len(places)
    columns: dict[str, Any] = {
        "method": pa.array([FIRST_STAGE] * count, pa.string()),
        "variant": pa.array([""] * count, pa.string()),
        "round": pa.array(np.zeros(count, np.int32)),
        "strength": pc.negate(places["place"]).cast(pa.float64()),
    }
    return pa.table({name: columns.get(name) or places[name] for name in _STRENGTHS.names}, schema=_STRENGTHS)


def _rows(
    cell: tuple[Any, ...], ours: list[dict[str, Any]], first_stage: list[dict[str, Any]], resamples: int, seed: int
) -> list[dict[str, Any]]:
    """The rows of one method, variant and N: all metrics of all groups."""
    before = {row["list_id"]: row for row in first_stage}
    values = np.array([[row[metric] for metric in METRICS] for row in ours])
    leads = values - np.array([[before[row["list_id"]][metric] for metric in METRICS] for row in ours])
    both, groups = np.hstack([values, leads]), np.array([row["group"] for row in ours])
    rows = []
    for group in _averages(groups):
        shown = len(ours) if group in ("", MACRO) else int((groups == group).sum())
        (measured,) = _means(both, np.ones((1, len(ours))), groups, group)
        low, high = _bounds(both, groups, group, resamples if shown >= FEWEST_QUESTIONS else 0, seed)
        for at, metric in enumerate(METRICS):
            row = dict(zip(_CELL, cell, strict=True)) | {"metric": metric, "group": group, "lists": shown}
            row |= {"value": measured[at], "low": low[at], "high": high[at]}
            if cell[0] != FIRST_STAGE:
                lead = at + len(METRICS)
                row |= {"lead": measured[lead], "lead_low": low[lead], "lead_high": high[lead]}
            rows.append(row)
    return rows


def _averages(groups: np.ndarray) -> list[str]:
    """What averages are taken over: all lists and, where there are groups, the groups and each of them."""
    named = sorted(set(groups.tolist()))
    return ["", MACRO, *named] if named != [""] else [""]


def _means(values: Floats, counts: Floats, groups: np.ndarray, group: str) -> Floats:
    """Resamples x values: the mean over lists drawn so often; of a group, or over groups as far as they are drawn."""
    if group == "":
        return np.asarray(counts @ values / counts.sum(axis=1, keepdims=True))
    parts = [groups == one for one in sorted(set(groups.tolist()))] if group == MACRO else [groups == group]
    with np.errstate(invalid="ignore"):
        means = [counts[:, own] @ values[own] / counts[:, own].sum(axis=1, keepdims=True) for own in parts]
    return np.asarray(np.nanmean(means, axis=0)) if group == MACRO else np.asarray(means[0])


def _bounds(values: Floats, groups: np.ndarray, group: str, resamples: int, seed: int) -> list[list[float | None]]:
    """Low and high of each mean over lists; None without resamples."""
    if not resamples:
        return [[None] * values.shape[1]] * 2
    blocks = resample_counts(len(values), resamples, seed)
    low, high = percentiles(np.concatenate([_means(values, counts, groups, group) for counts in blocks])).tolist()
    return [low, high]
