"""The orders in which questions are shown, one split at a time (section 4.2 and the evaluation protocol).

Differs from the released code, which uses one set of orders for all questions, shows the first one unshuffled
and loops for ever where fewer than T orders exist: here each question has its own T distinct random orders,
or all n! of them.
"""

import math
from collections.abc import Mapping
from itertools import count
from typing import Any, Final

import pyarrow as pa

from lad import contracts, parquet
from lad.benchmark import BenchmarkError, Split
from lad.seeded import shuffled

ROLE_OF_SPLIT: Final[Mapping[Split, str]] = {
    "calibration": "calibration",
    "evaluation": "evaluation",
    "symmetrized": "evaluation",
    "permuted": "evaluation",
}
"""Which questions each split shows."""

Order = tuple[int, ...]
"""The candidate at each position, from position 1 on; candidates count from 1 as well."""


def build_presentations(questions: pa.Table, split: Split, *, rounds: int = 5, seed: int = 0) -> pa.Table:
    """The presentations of one split.

    calibration and symmetrized: the n cyclic shifts of a random order of each question of the split's role,
    so that every candidate, hence the target, visits every position exactly once. The order that is shifted
    is random, because candidates stand in order of difficulty and their neighbourhood survives a shift.
    evaluation and permuted: `rounds` distinct random orders per question, or all n! where there are fewer. More
    rounds add to those that fewer rounds give, in either split: what permuted (the released code's permutation
    average) shows first is what evaluation shows.

    Args:
        questions: a `questions` table; may hold both roles.
        split: calibration, evaluation, symmetrized or permuted.
        rounds: T of the paper (evaluation), 16 in the released code (permuted); of no meaning for cyclic shifts.
        seed: orders depend on it, the split and the question's id alone.

    Returns:
        A `presentations` table, by question and round.

    Raises:
        BenchmarkError: unknown split, fewer than one round, or no question of the split's role.
    """
    if split not in ROLE_OF_SPLIT:
        raise BenchmarkError(f"unknown split '{split}'; known: {', '.join(ROLE_OF_SPLIT)}")
    if rounds < 1:
        raise BenchmarkError(f"rounds = {rounds}: a question is shown in at least 1 order")
    role = ROLE_OF_SPLIT[split]
    shown = [question for question in questions.to_pylist() if question["role"] == role]
    if not shown:
        raise BenchmarkError(f"split {split}: the table of questions has no {role} question")
    rows = []
    for question in shown:
        n = question["n_candidates"]
        if split in ("evaluation", "permuted"):
            orders = random_orders(n, rounds, (seed, "evaluation", question["question_id"]))
        else:
            orders = cyclic_shifts(n, (seed, split, question["question_id"]))
        rows += [presentation(question, split, r, order) for r, order in enumerate(orders)]
    return parquet.from_rows(rows, contracts.PRESENTATIONS)


def random_orders(n: int, rounds: int, key: tuple[object, ...]) -> list[Order]:
    """`rounds` distinct random orders of the candidates 1..n, or all n! of them, as drawn for `key`."""
    wanted = min(rounds, math.factorial(n))
    orders: dict[Order, None] = {}
    for attempt in count():
        orders[tuple(shuffled(range(1, n + 1), *key, attempt))] = None
        if len(orders) == wanted:
            break
    return list(orders)


def cyclic_shifts(n: int, key: tuple[object, ...]) -> list[Order]:
    """The n rotations of one random order of the candidates 1..n, as drawn for `key`."""
    start = shuffled(range(1, n + 1), *key)
    return [tuple(start[shift:] + start[:shift]) for shift in range(n)]


def presentation(question: Mapping[str, Any], split: str, round_: int, order: Order) -> dict[str, Any]:
    """The row of PRESENTATIONS for a row of QUESTIONS in that order."""
    grades = question.get("relevance")
    return {
        "presentation_id": f"{question['question_id']}-{split[0]}{round_:03d}",
        "question_id": question["question_id"],
        "split": split,
        "round": round_,
        "order": order,
        "target_position": None if question["target"] is None else order.index(question["target"]) + 1,
        "n_candidates": question["n_candidates"],
        **({} if grades is None else {"relevance": [grades[candidate - 1] for candidate in order]}),
    }
