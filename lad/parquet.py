"""Tables as files: read and checked, or written whole.

`read` refuses what breaks a contract and says which file, column and row; `write` is atomic, so a table that exists is
whole. This module needs pyarrow only, because `lad extract` runs on machines that have no DuckDB.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lad import whole
from lad.contracts import Column, Contract
from lad.refusal import Refusal

METADATA_KEY: Final = b"lad"
"""Parquet key-value metadata entry that holds this project's metadata as one JSON object."""

_ROW_GROUP: Final = 100_000
"""Rows that are in memory while they are written."""


class TableError(Refusal):
    """A table that does not keep its contract; the message names the file, the column and the row."""


def write(table: pa.Table, path: Path, contract: Contract, metadata: dict[str, Any] | None = None) -> None:
    """Write `table` to `path` at once: a reader sees either nothing or the whole table.

    Args:
        metadata: JSON-serialisable facts about how the table came to be, stored in the file.

    Raises:
        TableError: if the table breaks the contract; nothing is written then.
    """
    table = conform(table, contract, str(path))
    for at, column in enumerate(c for c in contract.columns if c.name in table.column_names):
        if column.stored:
            table = table.set_column(at, column.name, table[column.name].cast(column.stored))
    write_whole(table.replace_schema_metadata(_as_stored(metadata)), path)


def _as_stored(metadata: dict[str, Any] | None) -> dict[bytes, str]:
    return {METADATA_KEY: json.dumps(metadata or {}, sort_keys=True)}


def write_parts(
    parts: Iterable[pa.Table], path: Path, contract: Contract, metadata: dict[str, Any] | None = None
) -> None:
    """Write a table that is never in memory as a whole, as `write` does: part after part, of at least one.

    Args:
        parts: each conforms to the contract, which has no key and no optional columns: these concern the whole.

    Raises:
        NotWrittenError: as `write_whole`; whatever ends the parts early leaves nothing behind either.
    """
    schema = contract.schema.with_metadata(_as_stored(metadata))
    with whole.file(path) as partial, pq.ParquetWriter(partial, schema, compression="zstd", **_encodings(schema)) as to:
        waiting: list[pa.Table] = []
        for part in parts:
            waiting.append(part)
            # A row group is in memory while it is written. Small ones would cost space, and time to read.
            if sum(map(len, waiting)) >= _ROW_GROUP:
                to.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            to.write_table(pa.concat_tables(waiting))


def write_whole(table: pa.Table, path: Path) -> None:
    """Write any table to `path` at once, as `write` does.

    Raises:
        NotWrittenError: it could not be written; nothing is left of it then.
    """
    with whole.file(path) as partial:
        pq.write_table(table, partial, compression="zstd", **_encodings(table.schema))


def _encodings(schema: pa.Schema) -> dict[str, Any]:
    """How Parquet encodes each column: floats without a dictionary, their bytes split by place where DuckDB reads that.

    Almost all floats differ, so that a dictionary costs more than zstd takes back, while their exponents are alike:
    files are 17 to 43 % smaller so, and quicker to write. DuckDB 2.0 reads no half floats that are split.
    """
    empty = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), empty)
    parquet = pq.ParquetFile(empty.getvalue()).schema
    leaves = [parquet.column(i) for i in range(len(parquet))]
    split = [leaf.path for leaf in leaves if leaf.physical_type in ("FLOAT", "DOUBLE")]
    plain = [*split, *(leaf.path for leaf in leaves if leaf.logical_type.type == "FLOAT16")]
    return {
        "use_dictionary": [leaf.path for leaf in leaves if leaf.path not in plain],
        "column_encoding": dict.fromkeys(split, "BYTE_STREAM_SPLIT"),
    }


def read(paths: Path | Sequence[Path], contract: Contract) -> pa.Table:
    """Read one or several files of the same contract as one table.

    Raises:
        TableError: if a file is missing, is not Parquet, or breaks the contract.
    """
    paths = [paths] if isinstance(paths, Path) else list(paths)
    if not paths:
        raise TableError(f"no file given for {contract.name}")
    return _joined([conform(_load(path), contract, str(path)) for path in paths], contract, paths)


def values_of(column: str, path: Path, contract: Contract) -> list[Any]:
    """The values that a column has in a file, each once.

    Raises:
        TableError: as `read`, or the file has no such column.
    """
    with opened(path) as file:
        present_columns(with_present_names(file.schema_arrow.empty_table(), contract).column_names, contract, str(path))
        values: list[Any] = pc.unique(file.read(columns=[column])[column]).to_pylist()
    return values


def _joined(parts: Sequence[pa.Table], contract: Contract, paths: Sequence[Path]) -> pa.Table:
    names = ", ".join(map(str, paths))
    if any(part.column_names != parts[0].column_names for part in parts):
        raise TableError(f"{names}: the files differ in their optional columns")
    table = pa.concat_tables(parts)
    if len(parts) > 1:
        check_key(table, contract, names)
    return table


def read_metadata(path: Path) -> dict[str, Any]:
    """The facts that `write` stored with the table; empty for a table from elsewhere."""
    stored = pq.read_schema(path).metadata or {}
    metadata: dict[str, Any] = json.loads(stored.get(METADATA_KEY, b"{}"))
    return metadata


def conform(table: pa.Table, contract: Contract, where: str) -> pa.Table:
    """`table` with exactly the contract's columns and types, once every rule is checked.

    Args:
        where: the file (or other origin) that errors name.

    Raises:
        TableError: missing column, wrong type, null, NaN or infinity, wrong list length, repeated key.
    """
    checked = conform_rows(table, contract, where)
    check_between_rows(checked, contract, where)
    return checked


def check_between_rows(table: pa.Table, contract: Contract, where: str) -> None:
    """Check what the contract asks of several rows together: one target of each question, and no key twice.

    Raises:
        TableError: one of these is broken.
    """
    if contract.one_target:
        _check_targets(table, where)
    check_key(table, contract, where)


def conform_rows(table: pa.Table, contract: Contract, where: str, first_row: int = 0) -> pa.Table:
    """As `conform`, but for what concerns several rows together.

    Args:
        first_row: which row of the whole table this one begins with; errors count from there.
    """
    table = with_present_names(table, contract)
    present = present_columns(table.column_names, contract, where)

    def name(row: int) -> str:
        key = contract.key if contract.key in table.column_names else None
        return f"row {first_row + row}" + (f" ({key} {table[key][row].as_py()})" if key else "")

    arrays = []
    for column in present:
        try:
            array = table[column.name]
            if not (column.vectors and _are_vectors(array.type)):
                array = array.cast(column.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise TableError(
                f"{where}: column {column.name} has type {table[column.name].type}, expected {column.type} ({error})"
            ) from None
        if not column.nullable and array.null_count:
            row = pc.index(pc.is_null(array), pa.scalar(True)).as_py()
            raise TableError(f"{where}: column {column.name} is empty in {name(row)}")
        arrays.append(array)
    fields = zip(present, arrays, strict=True)
    schema = pa.schema([pa.field(c.name, array.type, nullable=c.nullable) for c, array in fields])
    checked = pa.table(arrays, schema=schema)
    for column in present:
        _check_values(checked, column, name, where)
        if column.of_a_pass and "candidate_attention" in checked.column_names:
            _check_pass(checked, column, name, where)
    return checked


def present_columns(names: Sequence[str], contract: Contract, where: str) -> list[Column]:
    """The columns of the contract that a table with these columns has.

    Raises:
        TableError: a required one is missing.
    """
    present = [column for column in contract.columns if column.required or column.name in names]
    missing = [column.name for column in present if column.name not in names]
    if missing:
        raise TableError(
            f"{where}: column{'s' * (len(missing) > 1)} {', '.join(missing)} missing; a {contract.name} table has"
            f" {', '.join(c.name for c in contract.columns if c.required)}"
        )
    return present


def conformed(table: pa.Table, contract: Contract, where: str) -> pa.Table:
    """As `conform`, for tables from anyone: one that has the contract's very schema counts as conformed already.

    Args, Raises: as `conform`.
    """
    expected = (c for c in contract.columns if c.required or c.name in table.column_names)
    schema = pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in expected])
    return table if table.schema.equals(schema) else conform(table, contract, where)


def with_present_names(table: pa.Table, contract: Contract) -> pa.Table:
    """The table with its columns by their present names, where an earlier version called them otherwise."""
    renamed = {old: new for old, new in contract.renamed.items() if new not in table.column_names}
    return table.rename_columns([renamed.get(name, name) for name in table.column_names])


def _are_vectors(kind: pa.DataType) -> bool:
    return pa.types.is_fixed_size_list(kind) and kind.value_type in (pa.float16(), pa.float32())


def _load(path: Path) -> pa.Table:
    with opened(path) as file:
        return file.read()


@contextmanager
def opened(path: Path, **options: Any) -> Iterator[pq.ParquetFile]:
    """The file, as long as this lasts; reading it here fails with an error that names it.

    Args:
        options: of pyarrow's ParquetFile.

    Raises:
        TableError: it is missing, or not Parquet.
    """
    if not path.exists():
        raise TableError(f"{path}: no such file")
    try:
        # A file, not a dataset: hive keys in the path must not turn into columns here.
        with pq.ParquetFile(path, **options) as file:
            yield file
    # Of a damaged file, what its types ask for may not be implemented, and names may be no text.
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: not a readable Parquet file ({error})") from None


def _check_values(table: pa.Table, column: Column, name: Callable[[int], str], where: str) -> None:
    """Lists of the right length, numbers that are numbers: a NaN must not travel to a later stage."""
    array = table[column.name].combine_chunks()
    rows = np.arange(len(array))
    lengths = table[column.length].to_numpy() if column.length else None
    while pa.types.is_list(array.type) or pa.types.is_fixed_size_list(array.type):
        counts = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        innermost = not pa.types.is_list(array.type.value_type)
        if lengths is not None and innermost:
            wrong = (counts != lengths[rows]) & pc.is_valid(array).to_numpy(zero_copy_only=False)
            if column.by_layer:
                wrong &= counts != 0
            if wrong.any():
                at = int(np.argmax(wrong))
                raise TableError(
                    f"{where}: column {column.name} has {counts[at]} values in"
                    f" {name(int(rows[at]))}, {column.length} says {lengths[rows[at]]}"
                )
        rows = np.repeat(rows, counts)
        array = array.flatten()
        if not column.nullable and array.null_count:
            at = int(np.argmax(pc.is_null(array).to_numpy(zero_copy_only=False)))
            raise TableError(f"{where}: column {column.name} holds an empty value in {name(int(rows[at]))}")
    if pa.types.is_floating(array.type):
        values = array.to_numpy(zero_copy_only=False)
        # A nullable value may be absent, never NaN; absent ones arrive here as NaN and are told apart by validity.
        bad = ~np.isfinite(values) & pc.is_valid(array).to_numpy(zero_copy_only=False)
        if bad.any():
            at = int(np.argmax(bad))
            raise TableError(f"{where}: column {column.name} holds {values[at]} in {name(int(rows[at]))}")
    if column.places:
        _check_places(table, column, array.to_numpy(zero_copy_only=False), rows, name, where)


def _check_pass(table: pa.Table, column: Column, name: Callable[[int], str], where: str) -> None:
    """A forward pass that left attention behind left this as well; only the log of another tool may lack it."""
    if not table[column.name].null_count:
        return
    attention = table["candidate_attention"].combine_chunks()
    of_a_pass = pc.greater(pc.list_value_length(attention), 0)
    if column.of_all_layers:
        of_a_pass = pc.and_(of_a_pass, _reaches_the_last_layer(attention))
    lacking = pc.and_(pc.is_null(table[column.name]), of_a_pass)
    if pc.any(lacking).as_py():
        row = pc.index(lacking, pa.scalar(True)).as_py()
        raise TableError(
            f"{where}: column {column.name} is empty in {name(row)}, which has attention: only"
            " signals without attention may lack it"
        )


def _reaches_the_last_layer(attention: pa.Array) -> pa.Array:
    """Whether each row's lists by layer end in one that is not empty."""
    lengths = pc.list_value_length(attention.flatten()).to_numpy()
    last = np.cumsum(pc.list_value_length(attention).to_numpy()) - 1
    return pa.array(lengths[last] > 0 if len(lengths) else np.zeros(len(attention), dtype=bool))


def _check_places(
    table: pa.Table, column: Column, values: np.ndarray, rows: np.ndarray, name: Callable[[int], str], where: str
) -> None:
    """Positions counted from 0 would be read as other positions, by every stage."""
    allowed = table["n_candidates"].to_numpy()[rows]
    outside = (values < 1) | (values > allowed)  # an absent one is NaN here, and neither
    if outside.any():
        at = int(np.argmax(outside))
        raise TableError(
            f"{where}: column {column.name} holds {values[at]:.0f} in {name(int(rows[at]))};"
            f" allowed are 1 to {allowed[at]}, n_candidates"
        )
    if column.length and len(values):
        _, first, times = np.unique(rows * (allowed.max() + 1) + values, return_index=True, return_counts=True)
        if (times > 1).any():
            at = int(first[np.argmax(times > 1)])
            raise TableError(
                f"{where}: column {column.name} holds {values[at]} more than once in"
                f" {name(int(rows[at]))}; each of 1 to {allowed[at]} stands there once"
            )


def _check_targets(table: pa.Table, where: str) -> None:
    """A question has one target in whatever order; only of a question without content any position may pass for it."""
    shown = table.filter((pc.field("split") != "content_free") & pc.field("target_position").is_valid())
    if not len(shown):
        return
    ends = np.cumsum(shown["n_candidates"].to_numpy())
    starts = ends - shown["n_candidates"].to_numpy()
    orders = shown["order"].combine_chunks().flatten().to_numpy()
    target = orders[starts + shown["target_position"].to_numpy() - 1]
    question = shown["question_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    firsts = np.zeros(question.max() + 1, dtype=target.dtype)
    firsts[question[::-1]] = target[::-1]
    contrary = target != firsts[question]
    if contrary.any():
        at = int(np.argmax(contrary))
        raise TableError(
            f"{where}: by its order and target_position the target is candidate {target[at]} in presentation"
            f" {shown['presentation_id'][at].as_py()}, but candidate {firsts[question[at]]} elsewhere in question"
            f" {shown['question_id'][at].as_py()}"
        )


def check_key(table: pa.Table, contract: Contract, where: str) -> None:
    """Refuse a table in which a value of the contract's key stands more than once.

    Raises:
        TableError: such a table.
    """
    if contract.key is None or pc.count_distinct(table[contract.key]).as_py() == len(table):
        return
    counts = pc.value_counts(table[contract.key].combine_chunks())
    repeated = next(entry["values"] for entry in counts.to_pylist() if entry["counts"] > 1)
    raise TableError(f"{where}: {contract.key} {repeated} occurs more than once")


def from_rows(rows: Iterable[dict[str, Any]], contract: Contract) -> pa.Table:
    """A table of that contract from one dict per row; absent nullable columns become null.

    It has the optional columns that the first row has.
    """
    rows = list(rows)
    present = [column for column in contract.columns if column.required or (rows and column.name in rows[0])]
    schema = pa.schema([pa.field(column.name, column.type, nullable=column.nullable) for column in present])
    return pa.Table.from_pylist(rows, schema=schema)


def nested_lists(values: np.ndarray) -> pa.Array:
    """An array of any shape as (nested) lists, one row per entry of the first axis."""
    array = pa.array(values.ravel())
    for size in values.shape[:0:-1]:
        array = pa.ListArray.from_arrays(pa.array(np.arange(0, len(array) + 1, size, dtype=np.int32)), array)
    return array


def with_empty_lists(lists: pa.Array, places: Sequence[int], size: int) -> pa.Array:
    """Lists of lists with empty ones between: the inner lists of every row at these places, of `size` in all.

    Args:
        lists: with as many inner lists in each row as there are places.
        places: ascending.
    """
    inner = lists.flatten()
    lengths = np.zeros((len(lists), size), dtype=np.int32)
    lengths[:, list(places)] = pc.list_value_length(inner).to_numpy().reshape(len(lists), len(places))
    ends = np.cumsum(lengths.ravel(), dtype=np.int32)
    spread = pa.ListArray.from_arrays(pa.array(np.concatenate([[0], ends]).astype(np.int32)), inner.flatten())
    return pa.ListArray.from_arrays(pa.array(np.arange(0, len(spread) + 1, size, dtype=np.int32)), spread)
