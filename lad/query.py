"""Run the `.sql` files: one relation each, bound to tables by name and to parameters by `$name`.

The SQL never contains a path. A relation or parameter that a query names and nobody binds, or that is bound and
not named, is an error: wiring mistakes must not pass silently.
"""

import functools
import re
import time
import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any, Final, TypeVar

import duckdb
import pyarrow as pa


class QueryError(ValueError):
    """A query and what it was given do not fit; the message names the file and the relation or parameter."""


Result = TypeVar("Result")


@dataclass(frozen=True)
class _Shared:
    result: pa.Table
    seconds: float


_SHARED: Final[dict[Hashable, _Shared]] = {}
"""Results of `run_once` whose relations still exist, by query, relations and parameters."""

_SPARED: Final = [0.0]
"""Seconds that `run_once` did not spend because it had the result already."""


@functools.cache
def _database() -> duckdb.DuckDBPyConnection:
    """One empty database for all queries: a cursor, with relations of its own, costs a tenth of a connection.

    Without replacements, so that no Python variable can stand in for a relation that nobody bound. With one thread,
    so that sums are taken in the order of rows and the same input gives the same bits.
    """
    return duckdb.connect(config={"python_enable_replacements": False, "threads": 1})


def run(query: Traversable, relations: Mapping[str, pa.Table], parameters: Mapping[str, Any] | None = None) -> pa.Table:
    """The result of the query in the file `query`.

    Args:
        relations: one table per relation that the query names.
        parameters: one value per `$name` in the query.

    Raises:
        QueryError: a relation or parameter is missing or unknown, or the query fails.
    """
    sql = query.read_text(encoding="utf-8")
    code = re.sub(r"--.*", "", sql)
    _refuse(
        query.name,
        "relation {} given but not used",
        {r for r in relations if not re.search(rf"\b{r}\b", code)},
    )
    with _database().cursor() as connection:
        for name, table in relations.items():
            connection.register(name, table)
        return _execute(connection, query.name, sql, parameters or {})


def run_once(
    query: Traversable, relations: Mapping[str, pa.Table], parameters: Mapping[str, Any] | None = None
) -> pa.Table:
    """As `run`, for steps that several methods share: asked again about the very same tables, it gives the same result.

    A result is kept until one of the tables it was made from is gone. Tables never change, so neither does the result.
    """
    key = (str(query), *((name, id(table)) for name, table in relations.items()), repr(parameters))
    if key in _SHARED:
        _SPARED[0] += _SHARED[key].seconds
    else:
        started = time.perf_counter()
        _SHARED[key] = _Shared(run(query, relations, parameters), time.perf_counter() - started)
        for table in relations.values():
            # The id of a table that is gone may soon be that of another.
            weakref.finalize(table, _SHARED.pop, key, None)
    return _SHARED[key].result


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """The result of `work` and the seconds it takes alone: what `run_once` spared it is counted as if it had run."""
    _start_database()
    started, spared = time.perf_counter(), _SPARED[0]
    result = work()
    return result, time.perf_counter() - started + _SPARED[0] - spared


@functools.cache
def _start_database() -> None:
    """Start the database and what it loads for its first table, lest the step that happens to be first pay for it."""
    with _database().cursor() as connection:
        connection.from_arrow(pa.table({"x": [1]})).to_arrow_table()


def on(
    connection: duckdb.DuckDBPyConnection, query: Traversable, parameters: Mapping[str, Any] | None = None
) -> pa.Table:
    """The result of the query in the file `query` on the relations that `connection` already has.

    Raises:
        QueryError: a parameter is missing or unknown, or the query fails.
    """
    return _execute(connection, query.name, query.read_text(encoding="utf-8"), parameters or {})


def _execute(connection: duckdb.DuckDBPyConnection, name: str, sql: str, parameters: Mapping[str, Any]) -> pa.Table:
    try:
        (statement,) = connection.extract_statements(sql)
        _refuse(name, "parameter {} not given", statement.named_parameters - set(parameters))
        _refuse(name, "parameter {} given but not used", set(parameters) - statement.named_parameters)
        return connection.sql(sql, params=dict(parameters)).to_arrow_table()
    except duckdb.Error as error:
        raise QueryError(f"{name}: {error}") from None


def _refuse(query: str, message: str, names: set[str]) -> None:
    if names:
        raise QueryError(f"{query}: {message.format(', '.join(sorted(names)))}")
