"""An answer as people or programs read it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    import duckdb

Format = Literal["table", "csv", "json", "parquet"]

_MOST_ROWS = 100
_WIDTH = 200
"""Of a table that no terminal shows, in characters."""


def rendered(answer: duckdb.DuckDBPyRelation, format: Format, width: int = _WIDTH) -> bytes:
    """The answer in that format; text is UTF-8 and ends in a new line.

    Args:
        width: of a table, in characters. What does not fit is left out, and so are rows beyond the first hundred.
    """
    match format:
        case "table":
            with contextlib.redirect_stdout(io.StringIO()) as shown:
                answer.show(max_rows=_MOST_ROWS, max_width=width)
            return shown.getvalue().encode()
        case "csv":
            return as_csv(answer.to_arrow_table()).encode()
        case "json":
            return _as_json(answer.to_arrow_table()).encode()
        case "parquet":
            sink = pa.BufferOutputStream()
            pq.write_table(answer.to_arrow_table(), sink, compression="zstd")
            file: bytes = sink.getvalue().to_pybytes()
            return file


def as_csv(table: pa.Table) -> str:
    """The table with its header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows(row.values() for row in table.to_pylist())
    return text.getvalue()


def _as_json(table: pa.Table) -> str:
    return json.dumps(_finite(table.to_pylist()), default=str, indent=1, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """The value with null for what JSON has no number for: NaN and the infinities."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case list() | tuple():
            return [_finite(item) for item in value]
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case _:
            return value
