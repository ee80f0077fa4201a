"""The rows of the attention that signals keep, and what each of them may be held against.

A row is that of the prompt's last token; or the mean of the query's tokens; or the mean of the suffix, all tokens
behind the candidates. Of the last token every signals table tells; the others are there where extraction was asked to
keep them.
"""

from collections.abc import Sequence
from typing import Final, Literal, get_args

import pyarrow as pa

from lad import contracts
from lad.contracts import Keep

Row = Literal["last", "query", "suffix"]
"""Whose attention is read."""

Against = Literal["none", "prior", "null"]
"""What attention is held against: nothing; the mean of the calibration, divided out; the null query, subtracted."""

ROWS: Final[tuple[Row, ...]] = get_args(Row)
_TYPES: Final = {column.name: column.type for column in contracts.SIGNALS.columns}


def attention_column(row: Row, *, heads: bool = False, null: bool = False) -> str:
    """The column of signals with the attention of a row: layer x position, or layer x head x position.

    Args:
        heads: of every head, rather than their mean.
        null: where the query is N/A. Of the last token that is not kept.
    """
    if row == "last":
        return "head_attention" if heads else "candidate_attention"
    return f"{'head_' if heads else ''}{'null_' if null else ''}{row}_attention"


def keeps(row: Row, *, heads: bool = False, null: bool = False) -> frozenset[Keep]:
    """What extraction must be asked to keep for that column."""
    asked: dict[Keep, bool] = {"heads": heads, "rows": row != "last", "null_query": null}
    return frozenset(what for what, is_asked in asked.items() if is_asked)


def rows_of(signals: pa.Table) -> tuple[Row, ...]:
    """The rows of whose attention the signals tell."""
    return tuple(row for row in ROWS if attention_column(row) in signals.column_names)


def row_attention(signals: pa.Table, rows: Sequence[Row]) -> pa.Table:
    """The attention of these rows, which the signals have: one table row per presentation and row of attention.

    Columns: presentation_id, target_position, row; attention and null_attention, layer x position; head_attention and
    null_head_attention, layer x head x position. Null where the signals do not have it.
    """
    return pa.concat_tables(_of_row(signals, row) for row in rows)


def _of_row(signals: pa.Table, row: Row) -> pa.Table:
    columns = {
        "attention": attention_column(row),
        "null_attention": None if row == "last" else attention_column(row, null=True),
        "head_attention": attention_column(row, heads=True),
        "null_head_attention": None if row == "last" else attention_column(row, heads=True, null=True),
    }
    parts = {name: signals[name] for name in ("presentation_id", "target_position")}
    parts["row"] = pa.repeat(pa.scalar(row), len(signals))
    for name, column in columns.items():
        kind = _TYPES["head_attention" if "head" in name else "candidate_attention"]
        present = column in signals.column_names
        parts[name] = signals[column] if present else pa.nulls(len(signals), kind)
    return pa.table(parts)
