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
) -> pa.Table:
    """Signals of `questions` questions, each in its cyclic shifts (None) or in that many random orders.

    With `heads`, every layer's attention is split among that many heads, which see the target more or less well.
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
    rows = len(orders)
    question = np.repeat(np.arange(questions), shown)
    is_target = orders == target[question][:, None]

    preference = rng.normal(size=n_candidates)
    logits = 10 + 2 * is_target + 1.5 * preference + rng.normal(size=(rows, n_candidates))
    draw = 0.05 * np.exp(rng.normal(size=(layers, n_candidates)))
    noise = np.exp(0.5 * rng.normal(size=(rows, layers, n_candidates)))
    candidate_attention = draw * noise * np.where(is_target, 2.0, 1.0)[:, None]
    delimiter_attention = 0.3 * draw * np.exp(rng.normal(size=candidate_attention.shape))

    table = pa.table(
        {
            "presentation_id": [f"{split}-{q:06d}-{r:02d}" for q in range(questions) for r in range(shown)],
            "question_id": [f"{split}-{q:06d}" for q in question],
            "split": [split] * rows,
            "round": np.tile(np.arange(shown), questions),
            "order": parquet.nested_lists(orders + 1),
            "target_position": is_target.argmax(axis=1) + 1,
            "n_candidates": np.full(rows, n_candidates),
            "identifier_logits": parquet.nested_lists(logits),
            "processed_logits": parquet.nested_lists(logits - 0.1 * np.abs(logits)),
            "candidate_logprobs": parquet.nested_lists(log_softmax(logits + 0.1 * rng.normal(size=logits.shape))),
            "candidate_attention": parquet.nested_lists(candidate_attention),
            "delimiter_attention": parquet.nested_lists(delimiter_attention),
            "candidate_tokens": parquet.nested_lists(np.full((rows, n_candidates), 16)),
            "prompt_tokens": np.full(rows, 99),
            "generated_text": pa.array(list(texts) if texts else [None] * rows, pa.string()),
        }
    )
    if heads:
        skill = 0.2 * (np.arange(layers * heads).reshape(layers, heads, 1) % 7)
        sight = np.exp(skill * is_target[:, None, None])
        split_up = (
            candidate_attention[:, :, None] * sight * np.exp(0.3 * rng.normal(size=(rows, layers, heads, n_candidates)))
        )
        table = table.append_column("head_attention", parquet.nested_lists(split_up.astype(np.float16)))
    return parquet.conform(table, contracts.SIGNALS, "random signals")


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
