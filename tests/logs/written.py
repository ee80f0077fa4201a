"""Logs of other tools, written from signals of our own: what they say is known."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
from signals_factory import random_signals

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def evaluation(n: int = 4) -> pa.Table:
    return random_signals(5, n, questions=30, split="evaluation")


def calibration(n: int = 4) -> pa.Table:
    return random_signals(6, n, questions=8, split="calibration")


def rows_of(signals: pa.Table, *, logprobs: bool = True) -> list[dict[str, Any]]:
    """Rows of the general table: what the signals say, as log-probabilities or as the letter of the most probable."""
    rows = []
    for row in signals.to_pylist():
        told = row["candidate_logprobs"]
        known = {"question_id": row["question_id"], "order": row["order"], "target_position": row["target_position"]}
        rows.append(known | ({"logprobs": told} if logprobs else {"answer": LETTERS[told.index(max(told))]}))
    return rows


def shown_texts(signals: pa.Table, first: list[str]) -> list[list[str]]:
    """The texts at each position, of one question whose first presentation shows these."""
    orders = signals["order"].to_pylist()
    names = dict(zip(orders[0], first, strict=True))
    return [[names[candidate] for candidate in order] for order in orders]


def write_lines(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path
