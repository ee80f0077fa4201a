"""Made-up lists of ranked texts, and what a method says of their windows that knows how strong each candidate is."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from lad import contracts, parquet
from lad.benchmark.lists import RankedList, candidates_of, lists_table
from lad.benchmark.presentations import build_presentations
from lad.benchmark.windows import build_questions


def made_lists(count: int, listed: int, *, seed: int = 0, groups: int = 1) -> list[RankedList]:
    """Lists of texts of which one to four are relevant, with grades 1 and 2; some of what is relevant is not listed."""
    rng = np.random.default_rng(seed)
    lists = []
    for number in range(count):
        relevance = np.zeros(listed, dtype=int)
        relevance[rng.choice(listed, rng.integers(1, min(5, listed)), replace=False)] = 1
        relevance[rng.integers(listed)] *= 2
        ideal = sorted([*relevance[relevance > 0].tolist(), *[1] * rng.integers(3)], reverse=True)
        texts = tuple(f"text {place} of list {number}" for place in range(listed))
        group = f"group {number % groups}" if groups > 1 else ""
        lists.append(RankedList(f"q{number}", f"query {number}", texts, tuple(relevance.tolist()), tuple(ideal), group))
    return lists


def asked(
    lists: list[RankedList], n: int, *, evaluation: int = 1000, calibration: int = 0, rounds: int = 2
) -> Mapping[str, pa.Table]:
    """The tables lists, questions and presentations of a benchmark of these lists."""
    images = candidates_of(lists, None)
    questions = build_questions(
        lists,
        images,
        dataset="made",
        setting="up",
        n=n,
        evaluation=evaluation,
        calibration=calibration,
        seed=0,
        appearances=2,
    )
    return {
        "lists": parquet.conform(lists_table(lists, images), contracts.LISTS, "lists"),
        "questions": parquet.conform(questions, contracts.QUESTIONS, "questions"),
        "presentations": build_presentations(questions, "evaluation", rounds=rounds, seed=0),
    }


def answers(tables: Mapping[str, pa.Table], strengths: Mapping[str, list[float]], *, method: str = "m") -> pa.Table:
    """Predictions whose scores are the strengths of the candidates and a level that each presentation has of its own.

    Args:
        strengths: of each list, in first-stage order.
    """
    rng = np.random.default_rng(5)
    questions = {row["question_id"]: row for row in tables["questions"].to_pylist()}
    lists = {row["list_id"]: row for row in tables["lists"].to_pylist()}
    rows = []
    for shown in tables["presentations"].to_pylist():
        question = questions[shown["question_id"]]
        ranked = lists[question["list_id"]]
        at = [ranked["candidates"].index(question["candidates"][candidate - 1]) for candidate in shown["order"]]
        scores = [strengths[ranked["list_id"]][place] for place in at]
        best = int(np.argmax(scores))
        rows.append(
            {
                **{name: shown[name] for name in ("presentation_id", "question_id", "round", "n_candidates")},
                "method": method,
                "variant": "",
                "position": best + 1,
                "target_position": shown["target_position"],
                "candidate": shown["order"][best],
                "correct": shown["relevance"][best] > 0,
                "scores": (np.array(scores) + 10 * rng.normal()).tolist(),
            }
        )
    return parquet.conform(parquet.from_rows(rows, contracts.PREDICTIONS), contracts.PREDICTIONS, "predictions")
