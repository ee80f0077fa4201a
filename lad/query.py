"""Run the `.sql` files: one relation each, bound to tables by name and to parameters by `$name`.

The SQL never contains a path. A relation or parameter that a query names and nobody binds, or that is bound and
not named, is an error: wiring mistakes must not pass silently.

DuckDB is imported by the first query: what only names methods and their options (`lad.rank`) works without it.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Hashable, Mapping
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from lad.refusal import Refusal

if TYPE_CHECKING:
    import duckdb


class QueryError(Refusal):
    """A query and what it was given do not fit; the message names the file and the relation or parameter."""


Result = TypeVar("Result")


@functools.cache
def _database() -> duckdb.DuckDBPyConnection:
    """One empty database for all queries: a cursor, with relations of its own, costs a tenth of a connection.

    Without replacements, so that no Python variable can stand in for a relation that nobody bound. With one thread,
    so that sums are taken in the order of rows and the same input gives the same bits.
    """
    import duckdb

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


class Steps:
    """Steps that several computations on the same tables share: each is taken once, and counted wherever it is used."""

    def __init__(self) -> None:
        self._taken: dict[Hashable, tuple[Any, float]] = {}
        self._spared = 0.0  # seconds of steps that were there already

    def once(self, step: Hashable, work: Callable[[], Result]) -> Result:
        """The result of `work`; asked again for the same step, the same result.

        Args:
            step: a name, with everything that the result depends on besides the tables.
            work: takes the step.
        """
        if step in self._taken:
            result: Result
            result, seconds = self._taken[step]
            self._spared += seconds
        else:
            result, seconds = self._taken[step] = self.timed(work)
        return result

    def timed(self, work: Callable[[], Result]) -> tuple[Result, float]:
        """The result of `work` and the seconds it takes alone: steps that were there already count as if taken now."""
        _start_database()
        started, spared = time.perf_counter(), self._spared
        result = work()
        return result, time.perf_counter() - started + self._spared - spared


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """The result of `work` and the seconds it takes."""
    return Steps().timed(work)


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
    import duckdb

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
