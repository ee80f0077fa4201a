"""Random signals of the contract: a model with a preference for positions, seen through logits and attention.

Logits favour the target and, more or less, each position; attention favours the target within a layer's own
preference for positions. Both are noisy, so that no two methods agree everywhere and every branch is taken.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lad import contracts, parquet


def log_softmax(scores: np.ndarray) -> np.ndarray:
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def random_signals(
    seed: int,
    n_candidates: int = 4,
    *,
    questions: int = 6,
    layers: int = 5,
    rounds: int | None = None,
    split: str = "calibration",
    texts: Sequence[str | None] | None = None,
    heads: int | None = None,
    rows: bool = False,
    null: bool = False,
) -> pa.Table:
    """Signals of `questions` questions, each in its cyclic shifts (None) or in that many random orders.

    With `heads`, every layer's attention is split among that many heads, which see the target more or less well. With
    `rows`, query and suffix attend as the last token does, with preferences of their own; with `null`, there is also
    what is left of that where the query is N/A.
    """
    rng = np.random.default_rng(seed)
    target = rng.integers(n_candidates, size=questions)
    base = np.array([rng.permutation(n_candidates) for _ in range(questions)])
    if rounds is None:
        orders = np.stack([np.roll(base, -shift, axis=1) for shift in range(n_candidates)], axis=1)
    else:
        orders = rng.permuted(np.repeat(base[:, None], rounds, axis=1), axis=2)
    shown = orders.shape[1]
    orders = orders.reshape(-1, n_candidates)
    presentations = len(orders)
    question = np.repeat(np.arange(questions), shown)
    is_target = orders == target[question][:, None]

    preference = rng.normal(size=n_candidates)
    logits = 10 + 2 * is_target + 1.5 * preference + rng.normal(size=(presentations, n_candidates))
    draw = 0.05 * np.exp(rng.normal(size=(layers, n_candidates)))
    noise = np.exp(0.5 * rng.normal(size=(presentations, layers, n_candidates)))
    candidate_attention = draw * noise * np.where(is_target, 2.0, 1.0)[:, None]
    delimiter_attention = 0.3 * draw * np.exp(rng.normal(size=candidate_attention.shape))

    table = pa.table(
        {
            "presentation_id": [f"{split}-{q:06d}-{r:02d}" for q in range(questions) for r in range(shown)],
            "question_id": [f"{split}-{q:06d}" for q in question],
            "split": [split] * presentations,
            "round": np.tile(np.arange(shown), questions),
            "order": parquet.nested_lists(orders + 1),
            "target_position": is_target.argmax(axis=1) + 1,
            "n_candidates": np.full(presentations, n_candidates),
            "identifier_logits": parquet.nested_lists(logits),
            "processed_logits": parquet.nested_lists(logits - 0.1 * np.abs(logits)),
            "candidate_logprobs": parquet.nested_lists(log_softmax(logits + 0.1 * rng.normal(size=logits.shape))),
            "candidate_attention": parquet.nested_lists(candidate_attention),
            "delimiter_attention": parquet.nested_lists(delimiter_attention),
            "candidate_tokens": parquet.nested_lists(np.full((presentations, n_candidates), 16)),
            "prompt_tokens": np.full(presentations, 99),
            "generated_text": pa.array(list(texts) if texts else [None] * presentations, pa.string()),
        }
    )
    if heads:
        skill = 0.2 * (np.arange(layers * heads).reshape(layers, heads, 1) % 7)
        sight = np.exp(skill * is_target[:, None, None])
        split_up = (
            candidate_attention[:, :, None]
            * sight
            * np.exp(0.3 * rng.normal(size=(presentations, layers, heads, n_candidates)))
        )
        table = table.append_column("head_attention", parquet.nested_lists(split_up.astype(np.float16)))
    for row in ("query", "suffix") if rows else ():
        for name, attention in _row_attention(rng, is_target, layers, heads, null).items():
            kind = np.float16 if name.startswith("head") else np.float32
            table = table.append_column(name.format(row), parquet.nested_lists(attention.astype(kind)))
    if null:
        table = table.append_column("null_logprobs", parquet.nested_lists(log_softmax(1.5 * preference + 0 * logits)))
    if null and rows:
        filtered = 0.1 * is_target + 0.1 * rng.normal(size=logits.shape)
        table = table.append_column("filtered_attention", parquet.nested_lists(filtered))
    return parquet.conform(table, contracts.SIGNALS, "random signals")


def _row_attention(
    rng: np.random.Generator, is_target: np.ndarray, layers: int, heads: int | None, null: bool
) -> dict[str, np.ndarray]:
    """The attention of one row by the name of its column, whose {} stands for the row."""
    presentations, n_candidates = is_target.shape
    size = (presentations, layers, heads or 1, n_candidates)
    without = 0.05 * np.exp(rng.normal(size=size[1:]) + 0.2 * rng.normal(size=size))
    skill = 0.3 * (np.arange(size[1] * size[2]).reshape(*size[1:3], 1) % 5)
    attention = without * np.exp(skill * is_target[:, None, None] + 0.2 * rng.normal(size=size))
    parts = {"{}_attention": attention.mean(axis=2), "head_{}_attention": attention}
    if null:
        parts |= {"null_{}_attention": without.mean(axis=2), "head_null_{}_attention": without}
    return {name: part for name, part in parts.items() if heads or not name.startswith("head")}


def content_free_signals(n_candidates: int, **options: int) -> pa.Table:
    """The one presentation without content."""
    return random_signals(77, n_candidates, questions=1, rounds=1, split="content_free", **options)


def replace_column(table: pa.Table, name: str, values: pa.Array | list) -> pa.Table:
    """The table with other values in one column."""
    at = table.column_names.index(name)
    return table.set_column(at, table.schema.field(name), pa.array(values, table.schema.field(name).type))


def of_an_earlier_version(file: Path) -> None:
    """Rewrite a file of signals, or of finished work, with its columns as earlier versions called them."""
    former = {new: old for old, new in contracts.SIGNALS.renamed.items()}
    table = pq.read_table(file, partitioning=None)
    renamed = table.rename_columns([former.get(name, name) for name in table.column_names])
    pq.write_table(renamed.replace_schema_metadata(table.schema.metadata), file)
