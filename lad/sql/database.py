"""A results folder as a DuckDB database that other programs open: views of its tables, with their meanings.

The database holds no rows. Its views name the folder's files by absolute paths, so that it may lie anywhere on this
machine, and is of no use on another; there the folder is copied and the database saved anew. New files of a relation
that already had some are seen at once.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import duckdb

from lad import __version__, catalog, whole
from lad.refusal import Refusal

_MARK: Final = "results_folder"
"""The view that tells a saved database from others: what it shows, and what saved it."""

_STORAGE: Final = "v1.0.0"
"""The oldest storage that clients of DuckDB 1.0 and later open."""


class SavingError(Refusal):
    """A database that is not written; the message says what stands in the way, and what to do."""


def save(results: Path, out: Path, keys: Mapping[str, str] | None = None) -> None:
    """Write the database, whole or not at all; an earlier one is replaced.

    Args:
        results: the folder.
        out: the database file.
        keys: the part of the folder that is seen, as in `catalog.connect`.

    Raises:
        FileNotFoundError, CatalogError: as `catalog.connect`.
        SavingError: another file stands there, or a program has opened the database to write in it.
        NotWrittenError: the folder of the file cannot be written in.
    """
    folder = Path(os.path.abspath(results))  # noqa: PTH100 - Path.absolute leaves the dots in
    catalog.refuse_unfit(folder)
    _refuse_foreign(out)
    with whole.file(out) as partial:
        partial.unlink()  # DuckDB takes an empty file for a damaged one
        with duckdb.connect() as connection:
            connection.execute(f"attach '{_quoted(str(partial))}' as saved (storage_version '{_STORAGE}')")
            connection.execute("use saved")
            catalog.create_views(connection, folder, keys or {})
            _comment(connection)
            connection.execute(
                f"create view {_MARK} as select '{_quoted(str(folder))}' as results, '{__version__}' as lad_version"
            )


def _refuse_foreign(out: Path) -> None:
    """Refuse a place where something else than a saved database lies."""
    advice = "name another file, or remove this one"
    if out.is_dir():
        raise SavingError(f"{out}: is a folder; name a file in it, such as {out / 'lad.duckdb'}")
    if Path(f"{out}.wal").exists():
        raise SavingError(f"{out}: a program is writing in it ({out.name}.wal lies beside it); close it there first")
    if not out.exists():
        return
    try:
        with duckdb.connect(str(out), read_only=True) as there:
            views = {
                name for (name,) in there.sql("select view_name from duckdb_views() where not internal").fetchall()
            }
            tables = there.sql("from duckdb_tables()").fetchall()
    except duckdb.Error:
        raise SavingError(
            f"{out}: is no database that `lad sql --save` wrote, or another program has opened it; {advice}"
        ) from None
    ours = {*catalog.RELATIONS, *catalog.RECORDED, *(f"{name}_metadata" for name in catalog.METADATA_OF), _MARK}
    if _MARK not in views or tables or views - ours:
        raise SavingError(f"{out}: holds more than `lad sql --save` writes; {advice}")


def _comment(connection: duckdb.DuckDBPyConnection) -> None:
    """Give each view and column its meaning, which DBeaver and others show."""
    for relation in (*catalog.RELATIONS.values(), *catalog.RECORDED.values()):
        connection.execute(f"comment on view {relation.name} is '{_quoted(relation.contract.meaning)}'")
        meanings = {column.name: column.meaning for column in relation.contract.columns}
        for name, meaning in (meanings | {key: catalog.KEY_MEANINGS[key] for key in relation.keys}).items():
            connection.execute(f"comment on column {relation.name}.\"{name}\" is '{_quoted(meaning)}'")


def _quoted(text: str) -> str:
    return text.replace("'", "''")
