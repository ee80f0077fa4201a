"""The relations of a results folder as DuckDB views: what `lad sql`, the figures and the tables read.

Every relation lies under `<results>/<stage>/key=value/.../<relation>.parquet`; the keys come back as columns, so that
a question across models, datasets, settings or N is one SELECT. A relation without files is an empty view.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lad import tables

if TYPE_CHECKING:
    import duckdb

KEY_MEANINGS: Final = {
    "model": "name of the model in the configuration",
    "dataset": "name of the dataset in the configuration",
    "setting": "random or adversarial: how the other candidates were chosen; in an MMIU dataset, its task",
    "n": "number of candidates",
    "probe": "how it was asked: vanilla, uppercase ...",
    "split": "calibration, evaluation, symmetrized, permuted or content_free",
    "calibrated_on": "dataset-setting of the calibration questions; -reused: they are evaluation questions",
    "calibration_questions": "how many calibration questions were used",
}
_KEY_TYPES: Final = {"n": "integer", "calibration_questions": "integer"}

_BENCHMARK: Final = ("dataset", "setting", "n")
_CELL: Final = ("model", *_BENCHMARK, "probe")
_CALIBRATION: Final = (*_CELL, "split", "calibration_questions")


@dataclass(frozen=True)
class Relation:
    """A contract, the stage that writes it, and the partition keys that its files lie under, outermost first."""

    contract: tables.Contract
    stage: str
    keys: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.contract.name

    def path(self, results: Path, **keys: str | int) -> Path:
        """File of one partition, `<results>/<stage>/key=value/.../<relation>.parquet`."""
        return results.joinpath(self.stage, *(f"{key}={keys[key]}" for key in self.keys), f"{self.name}.parquet")


RELATIONS: Final = {
    relation.name: relation
    for relation in (
        Relation(tables.IMAGES, "images", ("dataset",)),
        Relation(tables.EMBEDDINGS, "embeddings", ("dataset",)),
        Relation(tables.QUESTIONS, "questions", _BENCHMARK),
        Relation(tables.PRESENTATIONS, "presentations", (*_BENCHMARK, "split")),
        Relation(tables.SIGNALS, "signals", (*_CELL, "split")),
        Relation(tables.POSITION_BIAS, "calibration", _CALIBRATION),
        Relation(tables.ATTENTION_PRIOR, "calibration", _CALIBRATION),
        Relation(tables.POSITION_PRIOR, "calibration", _CALIBRATION),
        Relation(tables.HEAD_CHOICE, "calibration", _CALIBRATION),
        Relation(tables.PREDICTIONS, "predictions", (*_CELL, "calibrated_on", "calibration_questions")),
        Relation(tables.METRICS, "metrics", (*_CELL, "calibrated_on", "calibration_questions")),
        Relation(tables.DIFFERENCES, "metrics", (*_CELL, "calibrated_on", "calibration_questions")),
    )
}


def connect(results: Path) -> duckdb.DuckDBPyConnection:
    """An in-memory database with one view per relation of the results folder.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    import duckdb

    if not results.is_dir():
        raise FileNotFoundError(f"{results}: no such results folder; `make` fills results/demo")
    connection = duckdb.connect()
    for relation in RELATIONS.values():
        pattern = "/".join((relation.stage, *(f"{key}=*" for key in relation.keys), f"{relation.name}.parquet"))
        if any(results.glob(pattern)):
            view = _files_view(results / pattern, relation)
        else:
            view = _empty_view(connection, relation)
        connection.execute(f"create view {relation.name} as {view}")
    return connection


def describe() -> str:
    """The relations with their columns and meanings, as text: keys first, then the contract's columns."""
    lines = []
    for relation in RELATIONS.values():
        lines += ["", f"{relation.name}: {relation.contract.meaning}"]
        lines += [f"  {key} (key): {KEY_MEANINGS[key]}" for key in relation.keys]
        columns = [c for c in relation.contract.columns if c.name not in relation.keys]
        lines += [f"  {column.name}: {column.meaning}" for column in columns]
    return "\n".join(lines)


def _files_view(files: Path, relation: Relation) -> str:
    types = ", ".join(f"'{key}': {_KEY_TYPES.get(key, 'varchar')}" for key in relation.keys)
    names = ", ".join(relation.keys)
    quoted = str(files).replace("'", "''")
    return (
        f"select {names}, * exclude ({names}) from"
        f" read_parquet('{quoted}', hive_partitioning = true, union_by_name = true, hive_types = {{{types}}})"
    )


def _empty_view(connection: duckdb.DuckDBPyConnection, relation: Relation) -> str:
    empty = connection.from_arrow(relation.contract.schema.empty_table())
    types = {key: _KEY_TYPES.get(key, "varchar") for key in relation.keys}
    types |= {
        name: str(kind) for name, kind in zip(empty.columns, empty.types, strict=True) if name not in relation.keys
    }
    columns = ", ".join(f'null::{kind} as "{name}"' for name, kind in types.items())
    return f"select {columns} where false"
