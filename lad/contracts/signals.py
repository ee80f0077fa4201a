"""The contracts of what extraction leaves behind: signals, and texts of generating probes."""

from typing import Any, Final

import pyarrow as pa

from lad.contracts.benchmark import PRESENTATIONS
from lad.contracts.contract import FLOATS, Column, Contract, Keep

_per_layer: Final = pa.list_(FLOATS)
_per_head: Final = pa.list_(_per_layer)
_per_head_stored: Final = pa.list_(pa.list_(pa.list_(pa.float16())))


def _of_a_pass(name: str, kind: pa.DataType, meaning: str, **rules: Any) -> Column:
    return Column(name, kind, meaning, nullable=True, of_a_pass=True, **rules)


def _optional(name: str, kind: pa.DataType, meaning: str, *kept: Keep, **rules: Any) -> Column:
    return Column(
        name, kind, f"{meaning} (optional)", length="n_candidates", required=False, kept=frozenset(kept), **rules
    )


def _by_layer_and_head(name: str, meaning: str, *kept: Keep) -> tuple[Column, Column]:
    """What rows of the attention other than the last attend to: by layer, and by head where heads are kept."""
    by_head = f"layer x head x position: {name} before the head mean, in half precision in the file"
    return (
        _optional(name, _per_layer, f"layer x position: {meaning}", *kept, by_layer=True),
        _optional(f"head_{name}", _per_head, by_head, "heads", *kept, stored=_per_head_stored, by_layer=True),
    )


SIGNALS: Final = Contract(
    "signals",
    "one row per presentation: what one forward pass leaves behind, or the log of another tool tells. There no"
    " attention was read (lists without a layer), and what a pass always leaves is null where it is unknown",
    (
        *PRESENTATIONS.columns,
        _of_a_pass(
            "identifier_logits",
            FLOATS,
            "raw logit of each identifier's first token at the last prompt token, before any logits processor",
            length="n_candidates",
            of_all_layers=True,
        ),
        _of_a_pass(
            "processed_logits",
            FLOATS,
            "the same after the model's own generation-config processors (a repetition penalty, say)",
            length="n_candidates",
            of_all_layers=True,
        ),
        _of_a_pass(
            "candidate_logprobs",
            FLOATS,
            "log-probability of each identifier, each token's softmax restricted to valid tokens; exp sums to 1; null"
            " where an answer alone is known",
            length="n_candidates",
            of_all_layers=True,
        ),
        Column(
            "candidate_attention",
            _per_layer,
            "layer x position: head mean of the last prompt token's attention, summed over the candidate's own tokens;"
            " here and below a layer without softmax attention holds an empty list, and where no attention was read"
            " there is no layer",
            length="n_candidates",
            formerly="image_attention",
            by_layer=True,
        ),
        Column(
            "delimiter_attention",
            _per_layer,
            "layer x position: the same over that candidate's start and end delimiter tokens",
            length="n_candidates",
            by_layer=True,
        ),
        _of_a_pass(
            "candidate_tokens",
            pa.list_(pa.int32()),
            "tokens per candidate",
            length="n_candidates",
            formerly="image_tokens",
        ),
        _of_a_pass("prompt_tokens", pa.int32(), "prompt length in tokens"),
        Column(
            "generated_text",
            pa.string(),
            "greedy answer text, where it was asked for; of a generating probe the text of sample 0",
            nullable=True,
        ),
        Column(
            "answered_position",
            pa.int32(),
            "the answer as the log of another tool has it; null where none could be read (optional)",
            nullable=True,
            required=False,
            places=True,
        ),
        _optional(
            "head_attention",
            _per_head,
            "layer x head x position: candidate_attention before the head mean, in half precision in the file",
            "heads",
            stored=_per_head_stored,
            by_layer=True,
        ),
        *_by_layer_and_head(
            "query_attention",
            "head mean of the attention of the query's tokens (those that hold characters of the caption, their mean),"
            " summed over the candidate's own tokens",
            "rows",
        ),
        *_by_layer_and_head(
            "suffix_attention", "the same of all prompt tokens behind the last candidate and its delimiters", "rows"
        ),
        *_by_layer_and_head("null_query_attention", "query_attention where the query is N/A", "rows", "null_query"),
        *_by_layer_and_head("null_suffix_attention", "suffix_attention where the query is N/A", "rows", "null_query"),
        _optional("null_logprobs", FLOATS, "candidate_logprobs where the query is N/A", "null_query"),
        _optional(
            "filtered_attention",
            FLOATS,
            "position: attention of the suffix's tokens less the same where the query is N/A, summed over layers and"
            " heads, of those of the candidate's tokens that ICR's filter keeps",
            "rows",
            "null_query",
        ),
    ),
    key="presentation_id",
    one_target=True,
)

BY_HEAD: Final = tuple(column.name for column in SIGNALS.columns if "heads" in column.kept)
"""The columns of signals with the attention of every head, most of the bytes by far."""

BY_LAYER: Final = tuple(column.name for column in SIGNALS.columns if column.by_layer)
"""The columns of signals with the attention of every layer."""

GENERATIONS: Final = Contract(
    "generations",
    "one row per text that the model wrote for a presentation (generating probes only)",
    (
        Column("presentation_id", pa.string(), "foreign key to signals"),
        Column("sample", pa.int32(), "which of the presentation's texts, from 0"),
        Column("text", pa.string(), "what stands behind the prompt, without special tokens"),
        Column("tokens", pa.int32(), "number of generated tokens, the end token not counted"),
        Column("finished", pa.bool_(), "whether the model ended the text, rather than the limit on its length"),
    ),
)
