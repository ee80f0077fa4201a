"""The contracts: every table that passes between two stages, described once.

Each table is a list of columns with type, meaning and the rules that a reader may rely on. `read` refuses what
breaks a contract and says which file, column and row; `write` is atomic, so a table that exists is whole. This
module needs pyarrow only, because `lad extract` runs on machines that have no DuckDB.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

METADATA_KEY: Final = b"lad"
"""Parquet key-value metadata entry that holds this project's metadata as one JSON object."""


class TableError(ValueError):
    """A table that does not keep its contract; the message names the file, the column and the row."""


@dataclass(frozen=True)
class Column:
    """One column of a contract.

    Attributes:
        length: name of the integer column that gives the length of this column's (innermost) lists, or None.
        places: whether the values are positions or candidates, that is 1 to n_candidates; in a list each once.
        stored: type in the file where it is another: DuckDB reads half floats from Parquet, but not from memory.
        vectors: whether the lists all have one length; such a column may as well be of fixed-size lists in half or
            single precision, and is then left as it is.
    """

    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = False
    length: str | None = None
    required: bool = True
    places: bool = False
    stored: pa.DataType | None = None
    vectors: bool = False


@dataclass(frozen=True)
class Contract:
    """A named table: its columns in order, and the column whose values must be unique, if any."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: str | None = None

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns if c.required])


def _ints(name: str, meaning: str, **rules: Any) -> Column:
    return Column(name, pa.list_(pa.int32()), meaning, **rules)


_floats: Final = pa.list_(pa.float32())
_target_position: Final = Column(
    "target_position",
    pa.int32(),
    "position of the target, 1-based; null where unknown",
    nullable=True,
    places=True,
)
_per_layer: Final = pa.list_(pa.list_(pa.float32()))

IMAGES: Final = Contract(
    "images",
    "one row per image of a dataset",
    (
        Column("image_id", pa.int64(), "id in the annotation file; counted from 1 where that has none"),
        Column("file_name", pa.string(), "path below the dataset's image folder"),
        Column("width", pa.int32(), "pixels"),
        Column("height", pa.int32(), "pixels"),
        Column("caption", pa.string(), "the caption that asks for this image; empty where questions have own texts"),
        _ints("category_ids", "object categories in the image, ascending, distinct; empty where none are known"),
        Column("license", pa.string(), "licence name or URL, where the dataset declares one", nullable=True),
        Column(
            "attribution",
            pa.string(),
            "URL that leads to the photograph and its author, where the dataset has one (optional)",
            nullable=True,
            required=False,
        ),
    ),
    key="image_id",
)

EMBEDDINGS: Final = Contract(
    "embeddings",
    "one row per image: what hard negatives are chosen by",
    (
        Column("image_id", pa.int64(), "foreign key to images"),
        Column("image_embedding", _floats, "l2-normalised embedding of the image", vectors=True),
        Column("caption_embedding", _floats, "l2-normalised embedding of the caption", vectors=True),
    ),
    key="image_id",
)

QUESTIONS: Final = Contract(
    "questions",
    "one row per question: a caption (or other text) and its N candidate images, one of which is the target",
    (
        Column("question_id", pa.string(), "key"),
        Column("role", pa.string(), "calibration or evaluation; no target serves both"),
        Column("rank", pa.int32(), "place within the role, from 0; a longer benchmark keeps all earlier ranks"),
        Column("caption", pa.string(), "the target's caption, or the question's own text"),
        Column("candidates", pa.list_(pa.int64()), "image ids, in question order", length="n_candidates"),
        Column(
            "target",
            pa.int32(),
            "which candidate is the target, 1-based; null where unknown",
            nullable=True,
            places=True,
        ),
        Column("n_candidates", pa.int32(), "N"),
    ),
    key="question_id",
)

PRESENTATIONS: Final = Contract(
    "presentations",
    "one row per presentation: a question shown in one order",
    (
        Column("presentation_id", pa.string(), "key"),
        Column("question_id", pa.string(), "foreign key to questions"),
        Column(
            "split",
            pa.string(),
            "calibration (cyclic shifts of calibration questions), evaluation (random orders), symmetrized (cyclic"
            " shifts of evaluation questions), permuted (more random orders, those of evaluation first) or content_free"
            " (blank images, caption N/A; any position may pass for the target's)",
        ),
        Column("round", pa.int32(), "which order or shift, from 0"),
        _ints("order", "candidate at each position, 1-based", length="n_candidates", places=True),
        _target_position,
        Column("n_candidates", pa.int32(), "N"),
    ),
    key="presentation_id",
)

SIGNALS: Final = Contract(
    "signals",
    "one row per presentation: what one forward pass leaves behind",
    (
        *PRESENTATIONS.columns,
        Column(
            "identifier_logits",
            _floats,
            "raw logit of each identifier's first token at the last prompt token, before any logits processor",
            length="n_candidates",
        ),
        Column(
            "processed_logits",
            _floats,
            "the same after the model's own generation-config processors (a repetition penalty, say)",
            length="n_candidates",
        ),
        Column(
            "candidate_logprobs",
            _floats,
            "log-probability of each identifier, each token's softmax restricted to valid tokens; exp sums to 1",
            length="n_candidates",
        ),
        Column(
            "image_attention",
            _per_layer,
            "layer x position: head mean of the last prompt token's attention, summed over the image's own tokens",
            length="n_candidates",
        ),
        Column(
            "delimiter_attention",
            _per_layer,
            "layer x position: the same over that image's start and end delimiter tokens",
            length="n_candidates",
        ),
        _ints("image_tokens", "tokens per image", length="n_candidates"),
        Column("prompt_tokens", pa.int32(), "prompt length in tokens"),
        Column(
            "generated_text",
            pa.string(),
            "greedy answer text, where it was asked for; of a generating probe the text of sample 0",
            nullable=True,
        ),
        Column(
            "head_attention",
            pa.list_(pa.list_(pa.list_(pa.float32()))),
            "layer x head x position: image_attention before the head mean (optional; half precision in the file)",
            length="n_candidates",
            required=False,
            stored=pa.list_(pa.list_(pa.list_(pa.float16()))),
        ),
    ),
    key="presentation_id",
)

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

POSITION_BIAS: Final = Contract(
    "position_bias",
    "calibration: one row per formulation, target position and position",
    (
        Column("formulation", pa.string(), "printed or released"),
        Column("n_candidates", pa.int32(), "N"),
        Column("target_position", pa.int32(), "i, where the target was", places=True),
        Column("position", pa.int32(), "j, the answer", places=True),
        Column("observed", pa.float64(), "printed: P_obs(j|i), eq. 1; released: mean log-domain score O_ij"),
        Column("bias", pa.float64(), "printed: log P_bias(j|i), eq. 5; released: O_ij - ideal_ij"),
    ),
)

ATTENTION_PRIOR: Final = Contract(
    "attention_prior",
    "calibration: one row per formulation, layer and position",
    (
        Column("formulation", pa.string(), "printed (image tokens) or released (delimiters included)"),
        Column("n_candidates", pa.int32(), "N"),
        Column("layer", pa.int32(), "decoder layer, from 0"),
        Column("position", pa.int32(), "k", places=True),
        Column("prior", pa.float64(), "mean attention on the image at k over all calibration presentations, eq. 7"),
    ),
)

POSITION_PRIOR: Final = Contract(
    "position_prior",
    "calibration: PriDe's static prior, one row per variant and position",
    (
        Column("method", pa.string(), "pride or pride_released"),
        Column("n_candidates", pa.int32(), "N"),
        Column("position", pa.int32(), "j", places=True),
        Column("log_prior", pa.float64(), "what is subtracted from the log-probability of the answer j"),
    ),
)

HEAD_CHOICE: Final = Contract(
    "head_choice",
    "calibration: one row per attention head, best first; none where the signals do not tell heads apart",
    (
        Column("n_candidates", pa.int32(), "N"),
        Column("rank", pa.int32(), "from 1: by found, then by target_share, then the lower layer and head"),
        Column("layer", pa.int32(), "decoder layer, from 0"),
        Column("head", pa.int32(), "attention head, from 0"),
        Column("found", pa.float64(), "share of calibration presentations in which the head looks at the target most"),
        Column("target_share", pa.float64(), "mean share of the head's attention to images that the target has"),
    ),
)

PREDICTIONS: Final = Contract(
    "predictions",
    "one row per method, variant and presentation: what the method answers",
    (
        Column("presentation_id", pa.string(), "foreign key to presentations"),
        Column("question_id", pa.string(), "foreign key to questions"),
        Column("round", pa.int32(), "which order, from 0"),
        Column("method", pa.string(), "name of the method"),
        Column("variant", pa.string(), "options that follow the method's name, by name: 'k=4;prior=no'; '' for none"),
        Column("n_candidates", pa.int32(), "N"),
        Column("position", pa.int32(), "the answer; null where no answer could be parsed", nullable=True, places=True),
        _target_position,
        Column("candidate", pa.int32(), "the answer in question order; null as above", nullable=True, places=True),
        Column("correct", pa.bool_(), "whether the answer is the target; null where that is unknown", nullable=True),
        Column(
            "scores",
            pa.list_(pa.float64()),
            "the score of each position, the answer has the largest; null for parsed text",
            nullable=True,
            length="n_candidates",
        ),
        Column(
            "parsed",
            pa.float64(),
            "share of the presentation's generated texts from which a position could be read; null where the answer is"
            " not from texts",
            nullable=True,
        ),
    ),
)

METRICS: Final = Contract(
    "metrics",
    "one row per method, variant and metric (and per position where the metric has them)",
    (
        Column("method", pa.string(), "name of the method"),
        Column("variant", pa.string(), "as in predictions"),
        Column("n_candidates", pa.int32(), "N"),
        Column(
            "metric",
            pa.string(),
            "accuracy, rstd, consistency, success_rate (share of the texts, or of the presentations, from which an"
            " answer could be read), ties (share of the answers whose score another position has as well), recall (by"
            " target_position), selection_rate (by position), confusion (by both)",
        ),
        Column("target_position", pa.int32(), "for recall and confusion", nullable=True),
        Column("position", pa.int32(), "for selection_rate and confusion", nullable=True),
        Column("value", pa.float64(), "percent; null where undefined (consistency of one order)", nullable=True),
        Column("std", pa.float64(), "sample standard deviation over the orders (accuracy only)", nullable=True),
        Column(
            "low",
            pa.float64(),
            "lower end of the 95 % bootstrap interval over questions, the calibration taken as it is; null with fewer"
            " than 10 questions",
            nullable=True,
        ),
        Column("high", pa.float64(), "upper end", nullable=True),
        Column("questions", pa.int32(), "number of questions"),
        Column("presentations", pa.int32(), "number of presentations"),
    ),
)

DIFFERENCES: Final = Contract(
    "differences",
    "one row per ordered pair of methods and variants that answer the same questions: the paired difference",
    (
        Column("method", pa.string(), "name of the method"),
        Column("variant", pa.string(), "as in predictions"),
        Column("against", pa.string(), "name of the method it is compared with"),
        Column("against_variant", pa.string(), "its variant"),
        Column("n_candidates", pa.int32(), "N"),
        Column("metric", pa.string(), "accuracy"),
        Column("value", pa.float64(), "points: the metric of method minus that of against"),
        Column(
            "low",
            pa.float64(),
            "lower end of its 95 % bootstrap interval; each resample draws questions for both; null as in metrics",
            nullable=True,
        ),
        Column("high", pa.float64(), "upper end of the interval", nullable=True),
        Column("questions", pa.int32(), "number of questions"),
        Column("presentations", pa.int32(), "number of presentations that method answers"),
    ),
)

COMPARISONS: Final = Contract(
    "comparisons",
    "one row per ordered pair of a method of this scoring and one of its benchmark's reference scoring, asked by probe"
    " vanilla and calibrated on the configured number of its own questions: the paired difference",
    (
        *DIFFERENCES.columns,
        Column(
            "is_reference",
            pa.bool_(),
            "true: method is the reference scoring's, against this one's; false: the other way round",
        ),
        Column("reference_calibration_questions", pa.int32(), "how many questions the reference was calibrated on"),
    ),
)

CONTRACTS: Final = {
    contract.name: contract
    for contract in (
        *(IMAGES, EMBEDDINGS, QUESTIONS, PRESENTATIONS, SIGNALS, GENERATIONS),
        *(POSITION_BIAS, ATTENTION_PRIOR, POSITION_PRIOR, HEAD_CHOICE, PREDICTIONS, METRICS, DIFFERENCES),
        COMPARISONS,
    )
}


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
    write_whole(table.replace_schema_metadata({METADATA_KEY: json.dumps(metadata or {}, sort_keys=True)}), path)


def write_whole(table: pa.Table, path: Path) -> None:
    """Write any table to `path` at once, as `write` does.

    Raises:
        OSError: it could not be written; nothing is left of it then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    os.close(descriptor)
    try:
        pq.write_table(table, partial, compression="zstd", **_encodings(table.schema))
        Path(partial).chmod(0o644)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


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


def read_by(
    column: str, paths: Sequence[Path], contract: Contract, *, without: Sequence[str] = ()
) -> dict[str, pa.Table]:
    """As `read`, a table for each value of the column; files of different values may differ in optional columns.

    Args:
        without: optional columns that are not read; the attention of every head takes most of the memory.

    Raises:
        TableError: as `read` does.
    """
    parts: dict[str, list[pa.Table]] = {}
    for path in paths:
        table = conform(_load(path, without), contract, str(path))
        for value in table[column].unique().to_pylist():
            parts.setdefault(value, []).append(table.filter(pc.field(column) == value))
    return {value: _joined(tables, contract, paths) for value, tables in parts.items()}


def _joined(parts: Sequence[pa.Table], contract: Contract, paths: Sequence[Path]) -> pa.Table:
    names = ", ".join(map(str, paths))
    if any(part.column_names != parts[0].column_names for part in parts):
        raise TableError(f"{names}: the files differ in their optional columns")
    table = pa.concat_tables(parts)
    if len(parts) > 1:
        _check_key(table, contract, names)
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
    present = [c for c in contract.columns if c.required or c.name in table.column_names]
    missing = [c.name for c in present if c.name not in table.column_names]
    if missing:
        raise TableError(
            f"{where}: column{'s' * (len(missing) > 1)} {', '.join(missing)} missing; a {contract.name} table has"
            f" {', '.join(c.name for c in contract.columns if c.required)}"
        )
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
            raise TableError(f"{where}: column {column.name} is empty in {_row_name(table, contract, row)}")
        arrays.append(array)
    fields = zip(present, arrays, strict=True)
    schema = pa.schema([pa.field(c.name, array.type, nullable=c.nullable) for c, array in fields])
    checked = pa.table(arrays, schema=schema)
    for column in present:
        _check_values(checked, column, contract, where)
    if contract.name in ("presentations", "signals"):
        _check_targets(checked, where)
    _check_key(checked, contract, where)
    return checked


def conformed(table: pa.Table, contract: Contract, where: str) -> pa.Table:
    """As `conform`, for tables from anyone: one that has the contract's very schema counts as conformed already.

    Args, Raises: as `conform`.
    """
    expected = (c for c in contract.columns if c.required or c.name in table.column_names)
    schema = pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in expected])
    return table if table.schema.equals(schema) else conform(table, contract, where)


def _are_vectors(kind: pa.DataType) -> bool:
    return pa.types.is_fixed_size_list(kind) and kind.value_type in (pa.float16(), pa.float32())


def _load(path: Path, without: Sequence[str] = ()) -> pa.Table:
    if not path.exists():
        raise TableError(f"{path}: no such file")
    try:
        # A file, not a dataset: hive keys in the path must not turn into columns here.
        file = pq.ParquetFile(path)
        return file.read([name for name in file.schema_arrow.names if name not in without])
    except (pa.ArrowInvalid, OSError) as error:
        raise TableError(f"{path}: not a readable Parquet file ({error})") from None


def _check_values(table: pa.Table, column: Column, contract: Contract, where: str) -> None:
    """Lists of the right length, numbers that are numbers: a NaN must not travel to a later stage."""
    array = table[column.name].combine_chunks()
    rows = np.arange(len(array))
    lengths = table[column.length].to_numpy() if column.length else None
    while pa.types.is_list(array.type) or pa.types.is_fixed_size_list(array.type):
        counts = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        innermost = not pa.types.is_list(array.type.value_type)
        if lengths is not None and innermost:
            wrong = (counts != lengths[rows]) & pc.is_valid(array).to_numpy(zero_copy_only=False)
            if wrong.any():
                at = int(np.argmax(wrong))
                raise TableError(
                    f"{where}: column {column.name} has {counts[at]} values in"
                    f" {_row_name(table, contract, int(rows[at]))}, {column.length} says {lengths[rows[at]]}"
                )
        rows = np.repeat(rows, counts)
        array = array.flatten()
        if not column.nullable and array.null_count:
            at = int(np.argmax(pc.is_null(array).to_numpy(zero_copy_only=False)))
            raise TableError(
                f"{where}: column {column.name} holds an empty value in {_row_name(table, contract, int(rows[at]))}"
            )
    if pa.types.is_floating(array.type):
        values = array.to_numpy(zero_copy_only=False)
        # A nullable value may be absent, never NaN; absent ones arrive here as NaN and are told apart by validity.
        bad = ~np.isfinite(values) & pc.is_valid(array).to_numpy(zero_copy_only=False)
        if bad.any():
            at = int(np.argmax(bad))
            raise TableError(
                f"{where}: column {column.name} holds {values[at]} in {_row_name(table, contract, int(rows[at]))}"
            )
    if column.places:
        _check_places(table, column, array.to_numpy(zero_copy_only=False), rows, contract, where)


def _check_places(
    table: pa.Table, column: Column, values: np.ndarray, rows: np.ndarray, contract: Contract, where: str
) -> None:
    """Positions counted from 0 would be read as other positions, by every stage."""
    allowed = table["n_candidates"].to_numpy()[rows]
    outside = (values < 1) | (values > allowed)  # an absent one is NaN here, and neither
    if outside.any():
        at = int(np.argmax(outside))
        raise TableError(
            f"{where}: column {column.name} holds {values[at]:.0f} in {_row_name(table, contract, int(rows[at]))};"
            f" allowed are 1 to {allowed[at]}, n_candidates"
        )
    if column.length and len(values):
        _, first, times = np.unique(rows * (allowed.max() + 1) + values, return_index=True, return_counts=True)
        if (times > 1).any():
            at = int(first[np.argmax(times > 1)])
            raise TableError(
                f"{where}: column {column.name} holds {values[at]} more than once in"
                f" {_row_name(table, contract, int(rows[at]))}; each of 1 to {allowed[at]} stands there once"
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


def _check_key(table: pa.Table, contract: Contract, where: str) -> None:
    if contract.key is None or pc.count_distinct(table[contract.key]).as_py() == len(table):
        return
    counts = pc.value_counts(table[contract.key].combine_chunks())
    repeated = next(entry["values"] for entry in counts.to_pylist() if entry["counts"] > 1)
    raise TableError(f"{where}: {contract.key} {repeated} occurs more than once")


def _row_name(table: pa.Table, contract: Contract, row: int) -> str:
    key = contract.key
    if key is None or key not in table.column_names:
        return f"row {row}"
    return f"row {row} ({key} {table[key][row].as_py()})"


def from_rows(rows: Iterable[dict[str, Any]], contract: Contract) -> pa.Table:
    """A table of that contract from one dict per row; absent nullable columns become null."""
    return pa.Table.from_pylist(list(rows), schema=contract.schema)


def nested_lists(values: np.ndarray) -> pa.Array:
    """An array of any shape as (nested) lists, one row per entry of the first axis."""
    array = pa.array(values.ravel())
    for size in values.shape[:0:-1]:
        array = pa.ListArray.from_arrays(pa.array(np.arange(0, len(array) + 1, size, dtype=np.int32)), array)
    return array
