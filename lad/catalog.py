"""The relations of a results folder as DuckDB views: what `lad sql`, the figures and the tables read.

Every relation lies under `<results>/<stage>/key=value/.../<relation>.parquet`; the keys come back as columns, so that
a question across models, datasets, settings or N is one SELECT. A relation without files is an empty view.
Two more views, `runs` and `timings`, tell what the files' metadata record: with what and how long they were made.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from lad import contracts, parquet
from lad.refusal import Refusal
from lad.spelling import did_you_mean

if TYPE_CHECKING:
    import duckdb

KEY_MEANINGS: Final = {
    "model": "name of the model in the configuration",
    "dataset": "name of the dataset in the configuration",
    "setting": "random or adversarial: how the other candidates were chosen; in a dataset with questions of its own,"
    " its task",
    "n": "number of candidates",
    "probe": "how it was asked: vanilla, uppercase ...",
    "split": "calibration, evaluation, symmetrized, permuted or content_free",
    "calibration_dataset": "dataset of the calibration questions. Methods without calibration are repeated for every"
    " calibration: filter on the five calibration_ keys, or they count several times",
    "calibration_setting": "setting of the calibration questions",
    "calibration_split": "calibration; or symmetrized, where evaluation questions were used again",
    "calibration_set": "which set of so many calibration questions, from 1; no two sets share a question",
    "calibration_questions": "how many calibration questions were used",
}
_KEY_TYPES: Final = {"n": "integer", "calibration_set": "integer", "calibration_questions": "integer"}
_RESERVED: Final = ("order", "group")
"""Columns whose names SQL keeps for itself."""

_BENCHMARK: Final = ("dataset", "setting", "n")
_CELL: Final = ("model", *_BENCHMARK, "probe")
_CALIBRATION: Final = (*_CELL, "split", "calibration_set", "calibration_questions")
_SOURCE: Final = ("calibration_dataset", "calibration_setting", "calibration_split", "calibration_set")
_SCORING: Final = (*_CELL, *_SOURCE, "calibration_questions")


@dataclass(frozen=True)
class Relation:
    """A contract, the stage that writes it, and the partition keys that its files lie under, outermost first."""

    contract: contracts.Contract
    stage: str
    keys: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.contract.name

    def path(self, results: Path, **keys: str | int) -> Path:
        """File of one partition, `<results>/<stage>/key=value/.../<relation>.parquet`."""
        return results.joinpath(self.stage, *(f"{key}={keys[key]}" for key in self.keys), f"{self.name}.parquet")

    @property
    def pattern(self) -> str:
        """Glob that all files of the relation match, relative to the results folder."""
        return self.pattern_of({})

    def pattern_of(self, keys: Mapping[str, str]) -> str:
        """Glob of those that lie under these keys. Keys that the relation does not have leave it whole."""
        folders = (f"{key}={_literal(keys[key]) if key in keys else '*'}" for key in self.keys)
        return "/".join((self.stage, *folders, f"{self.name}.parquet"))

    def partitions(self, results: Path) -> Iterator[dict[str, str | int]]:
        """The keys of every file of the relation, in the order of the paths."""
        for path in sorted(results.glob(self.pattern)):
            named = dict(part.split("=", 1) for part in path.relative_to(results).parts[1:-1])
            yield {key: int(value) if key in _KEY_TYPES else value for key, value in named.items()}


RELATIONS: Final = {
    relation.name: relation
    for relation in (
        Relation(contracts.IMAGES, "images", ("dataset",)),
        Relation(contracts.EMBEDDINGS, "embeddings", ("dataset",)),
        Relation(contracts.LISTS, "lists", ("dataset", "setting")),
        Relation(contracts.QUESTIONS, "questions", _BENCHMARK),
        Relation(contracts.PRESENTATIONS, "presentations", (*_BENCHMARK, "split")),
        Relation(contracts.SIGNALS, "signals", (*_CELL, "split")),
        Relation(contracts.GENERATIONS, "signals", (*_CELL, "split")),
        Relation(contracts.POSITION_BIAS, "calibration", _CALIBRATION),
        Relation(contracts.ATTENTION_PRIOR, "calibration", _CALIBRATION),
        Relation(contracts.POSITION_PRIOR, "calibration", _CALIBRATION),
        Relation(contracts.ATTENTION_SKILL, "calibration", _CALIBRATION),
        Relation(contracts.FUSION, "calibration", _CALIBRATION),
        Relation(contracts.PREDICTIONS, "predictions", _SCORING),
        Relation(contracts.METRICS, "metrics", _SCORING),
        Relation(contracts.DIFFERENCES, "metrics", _SCORING),
        Relation(contracts.COMPARISONS, "metrics", _SCORING),
        Relation(contracts.CHOICES, "choices", _CELL),
        Relation(contracts.RANKINGS, "metrics", _SCORING),
    )
}

RECORDED: Final = {
    relation.name: relation
    for relation in (
        Relation(
            contracts.Contract(
                "runs",
                "one row per file of signals: with what it was extracted; empty where the file does not say",
                (
                    contracts.Column("checkpoint", pa.string(), "folder or hub id of the model", nullable=True),
                    contracts.Column("revision", pa.string(), "commit of a hub checkpoint", nullable=True),
                    contracts.Column("weights", pa.string(), "fingerprint of its weights", nullable=True),
                    contracts.Column("dtype", pa.string(), "float32, bfloat16 or float16", nullable=True),
                    contracts.Column(
                        "extractor_version", pa.int32(), "raised whenever its numbers change", nullable=True
                    ),
                    contracts.Column("torch", pa.string(), "version of torch", nullable=True),
                    contracts.Column("transformers", pa.string(), "version of transformers", nullable=True),
                    contracts.Column("device", pa.string(), "GPU, or processor and threads", nullable=True),
                    contracts.Column("presentations", pa.int32(), "presentations extracted", nullable=True),
                    contracts.Column(
                        "seconds", pa.float64(), "from image files to signals, all of them", nullable=True
                    ),
                    contracts.Column(
                        "peak_memory_bytes",
                        pa.int64(),
                        "the GPU's peak allocation; on a CPU the process's peak resident size",
                        nullable=True,
                    ),
                ),
            ),
            "signals",
            (*_CELL, "split"),
        ),
        Relation(
            contracts.Contract(
                "timings",
                "one row per calibration and per method of each scoring: how long it took, without reading files",
                (
                    contracts.Column("step", pa.string(), "calibrate or score"),
                    contracts.Column("method", pa.string(), "with its options, 'agd;k=4'; null for calibrate", True),
                    contracts.Column("seconds", pa.float64(), "steps that methods share are counted with each of them"),
                ),
            ),
            "predictions",
            _SCORING,
        ),
    )
}
"""Views made from the metadata of other relations' files, by the `.sql` file of their name."""

METADATA_OF: Final = ("signals", "position_bias", "predictions")
"""Relations whose files' metadata the views of `RECORDED` are made from, each as `<relation>_metadata`."""


class CatalogError(Refusal):
    """A results folder that cannot be asked; the message names it, or the file, and says what is expected."""


def connect(
    results: Path, only: Mapping[str, Sequence[Path]] | None = None, keys: Mapping[str, str] | None = None
) -> duckdb.DuckDBPyConnection:
    """An in-memory database with one view per relation of the results folder.

    Args:
        results: the folder.
        only: these files, by relation, in place of all; a relation that is not named is empty.
        keys: else, what lies under these keys, `{"n": "8"}`; relations without such a key are whole.

    Raises:
        FileNotFoundError: if there is no such folder.
        CatalogError: if no relation has a file in it, a file cannot be read, or a folder above it is named like a key;
            if there is no such key, or nothing under it.
    """
    import duckdb

    present = _present(results, keys or {}) if only is None else {name: _listed(files) for name, files in only.items()}
    connection = duckdb.connect()
    _create_views(connection, results, present)
    return connection


def create_views(connection: duckdb.DuckDBPyConnection, results: Path, keys: Mapping[str, str]) -> None:
    """The same views in a database that is there.

    Raises:
        As `connect`.
    """
    _create_views(connection, results, _present(results, keys))


def _create_views(connection: duckdb.DuckDBPyConnection, results: Path, present: Mapping[str, str]) -> None:
    import duckdb

    connection.execute("set enable_progress_bar = false")  # for what is looked up here
    try:
        for name, relation in RELATIONS.items():
            if name in present:
                view = _files_view(connection, present[name], relation)
            else:
                view = _empty_view(connection, relation)
            connection.execute(f"create view {name} as {view}")
        for name in METADATA_OF:
            connection.execute(f"create view {name}_metadata as {_metadata_view(present.get(name), RELATIONS[name])}")
        for name in RECORDED:
            connection.execute(f"create view {name} as {(files('lad') / f'{name}.sql').read_text(encoding='utf-8')}")
    except duckdb.Error as error:
        raise CatalogError(f"{results}: cannot be read ({' '.join(str(error).split())})") from None
    connection.execute("reset enable_progress_bar")


def confine(connection: duckdb.DuckDBPyConnection, results: Path) -> None:
    """From now on queries read files of the results folder alone, load nothing, and cannot change that.

    What does not fit into memory (DuckDB takes four fifths of the machine's) is spilled to the temporary folder.
    """
    spilled = f"{tempfile.gettempdir()}/lad-sql-{os.getpid()}"
    # A view names its files by a pattern, which is looked at before it is expanded.
    folders = (f"{_quoted(str(results))}/", f"{_quoted(_literal(str(results)))}/", _quoted(spilled))
    allowed = ", ".join(f"'{folder}'" for folder in folders)
    for setting in (
        f"temp_directory = '{_quoted(spilled)}'",
        f"allowed_directories = [{allowed}]",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"set {setting}")


def _present(results: Path, keys: Mapping[str, str]) -> dict[str, str]:
    """The relations of which there are files under these keys, each with the pattern of these in SQL."""
    refuse_unfit(results)
    _refuse_keys(results, keys)
    folder = _quoted(_literal(str(results)))
    patterns = {name: relation.pattern_of(keys) for name, relation in RELATIONS.items()}
    return {name: f"'{folder}/{_quoted(path)}'" for name, path in patterns.items() if any(results.glob(path))}


def _refuse_keys(results: Path, keys: Mapping[str, str]) -> None:
    """Refuse keys that no relation has, or under which together nothing lies."""
    for key, value in keys.items():
        if key not in KEY_MEANINGS:
            raise CatalogError(f"unknown key {key}{did_you_mean(key, KEY_MEANINGS)}; known: {', '.join(KEY_MEANINGS)}")
        having = [relation for relation in RELATIONS.values() if key in relation.keys]
        if not any(any(results.glob(relation.pattern_of({key: value}))) for relation in having):
            there = sorted({partition[key] for relation in having for partition in relation.partitions(results)})
            raise CatalogError(
                f"{results}: no table has {key} = {value}; there are {', '.join(map(str, there)) or 'none'}"
            )
    bound = [relation for relation in RELATIONS.values() if set(keys) <= set(relation.keys)]
    if keys and bound and not any(any(results.glob(relation.pattern_of(keys))) for relation in bound):
        together = ", ".join(f"{key} = {value}" for key, value in keys.items())
        raise CatalogError(f"{results}: no table has all of {together}")


def _listed(files: Sequence[Path]) -> str:
    """The files as a list in SQL."""
    quoted = [f"'{_quoted(_literal(str(file)))}'" for file in files]
    return f"[{', '.join(quoted)}]"


def _literal(path: str) -> str:
    """The path as a pattern, nothing in it being a wildcard."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def refuse_unfit(results: Path) -> None:
    """Refuse a folder that holds no results, or whose tables cannot be read where it lies.

    Raises:
        FileNotFoundError: there is no such folder.
        CatalogError: no relation has a file in it, or a folder above it is named like a key.
    """
    if not results.is_dir():
        raise FileNotFoundError(f"{results}: no such results folder; `make` fills results/demo")
    _refuse_keys_above(results)
    if not any(any(results.glob(relation.pattern)) for relation in RELATIONS.values()):
        raise CatalogError(
            f"{results}: no table of a results folder lies in it; expected are files such as"
            f" {RELATIONS['signals'].pattern} below it. `make` fills results/demo"
        )


def _refuse_keys_above(results: Path) -> None:
    """DuckDB reads keys from the whole path, and of two of the same name the outer one."""
    columns = {name for r in RELATIONS.values() for name in (*r.keys, *(c.name for c in r.contract.columns))}
    for part in results.parts:
        key, equals, _ = part.partition("=")
        if equals and key.casefold() in columns:
            raise CatalogError(
                f"{results}: the folder {part} above the tables would stand for their column {key.casefold()}; rename"
                " it, or name the results folder by a path without it (a relative path, a link)"
            )


def describe(names: Sequence[str] | None = None) -> str:
    """The relations, or those named, with their columns and meanings, as text: keys first, then the contract's."""
    lines = []
    everything = {**RELATIONS, **RECORDED}
    for relation in [everything[name] for name in names or everything]:
        lines += ["", f"{relation.name}: {relation.contract.meaning}"]
        lines += [f"  {key} (key): {KEY_MEANINGS[key]}" for key in relation.keys]
        columns = [c for c in relation.contract.columns if c.name not in relation.keys]
        lines += [f"  {_in_sql(column.name)}: {column.meaning}" for column in columns]
    return "\n".join(lines)


def _in_sql(column: str) -> str:
    """How a query names the column."""
    return f'"{column}" (quoted, being a word of SQL)' if column in _RESERVED else column


def _files_view(connection: duckdb.DuckDBPyConnection, paths: str, relation: Relation) -> str:
    """All files that the pattern matches, with the optional columns that no file has, and by their present names.

    `union_by_name` makes every query open every file, even those that its keys rule out: files that all have the
    same columns go without.
    """
    optional = [column.name for column in relation.contract.columns if not column.required]
    former = relation.contract.renamed
    files, found = _files_with(connection, paths, [*optional, *former]) if optional or former else (0, {})
    union = any(0 < found[name] < files for name in (*optional, *former))
    types = ", ".join(f"'{key}': {_KEY_TYPES.get(key, 'varchar')}" for key in relation.keys)
    absent = [
        f'null::{kind} as "{name}"'
        for name, kind in _columns(connection, relation).items()
        if name in optional and not found[name]
    ]
    both = {old: new for old, new in former.items() if 0 < found[old] < files}
    columns = f"* exclude ({', '.join([*relation.keys, *both])})"
    if both:
        columns += f" replace ({', '.join(f'coalesce({new}, {old}) as {new}' for old, new in both.items())})"
    elif renamed := [f"{old} as {new}" for old, new in former.items() if found[old]]:
        columns += f" rename ({', '.join(renamed)})"
    return (
        f"select {', '.join([*relation.keys, columns, *absent])} from read_parquet({paths},"
        f" hive_partitioning = true, hive_types = {{{types}}}, union_by_name = {str(union).lower()})"
    )


def _files_with(connection: duckdb.DuckDBPyConnection, paths: str, columns: list[str]) -> tuple[int, dict[str, int]]:
    """How many files there are, and how many have each of these columns."""
    counts = ", ".join(f"count(*) filter (name = '{column}')" for column in columns)
    asked = f"select count(distinct file_name), {counts} from parquet_schema({paths})"
    files, *found = connection.sql(asked).fetchall()[0]
    return files, dict(zip(columns, found, strict=True))


def _metadata_view(paths: str | None, relation: Relation) -> str:
    """The keys of every file of the relation and, as JSON, the facts that `parquet.write` stored with it."""
    if paths:
        stored = (
            f"select file_name, decode(value)::json as facts from parquet_kv_metadata({paths})"
            f" where decode(key) = '{parquet.METADATA_KEY.decode()}'"
        )
    else:
        stored = "select null::varchar as file_name, null::json as facts where false"
    keys = ", ".join(
        f"regexp_extract(file_name, '/{key}=([^/]+)/', 1)::{_KEY_TYPES.get(key, 'varchar')} as {key}"
        for key in relation.keys
    )
    return f"select {keys}, facts from ({stored})"


def _empty_view(connection: duckdb.DuckDBPyConnection, relation: Relation) -> str:
    types = {key: _KEY_TYPES.get(key, "varchar") for key in relation.keys} | _columns(connection, relation)
    columns = ", ".join(f'null::{kind} as "{name}"' for name, kind in types.items())
    return f"select {columns} where false"


def _columns(connection: duckdb.DuckDBPyConnection, relation: Relation) -> dict[str, str]:
    """The contract's columns but for the keys, the optional ones as well, with their types in DuckDB."""
    columns = [column for column in relation.contract.columns if column.name not in relation.keys]
    empty = connection.from_arrow(pa.table({column.name: pa.array([], column.type) for column in columns}))
    return dict(zip(empty.columns, map(str, empty.types), strict=True))
