"""A results folder that is asked: statements go in, answers come out, and an interrupt stops what runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TypeVar

import duckdb

from lad import catalog
from lad.refusal import Refusal

Rendered = TypeVar("Rendered")

_READS = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.MULTI}
"""What a statement may be that reads alone; MULTI is a PIVOT, which DuckDB takes in two steps."""


class SqlError(Refusal):
    """A statement that cannot be answered; the message is what DuckDB says of it, on one line."""


class Session:
    """The relations of a results folder, and nothing beside them unless other files are let in."""

    def __init__(self, results: Path, *, other_files: bool = False, keys: Mapping[str, str] | None = None) -> None:
        """Open the folder.

        Args:
            results: the folder.
            other_files: whether statements may read and write other files, and change settings.
            keys: the part of the folder that is seen, as in `catalog.connect`.

        Raises:
            FileNotFoundError, CatalogError: as `catalog.connect`.
        """
        self._other_files = other_files
        self.connection = catalog.connect(results, keys=keys)
        if not other_files:
            catalog.confine(self.connection, results)

    def statements(self, text: str) -> list[str]:
        """The statements of a text, in their order.

        Raises:
            SqlError: it is no SQL, or a statement writes and other files are not let in.
        """
        try:
            found = duckdb.extract_statements(text)
        except duckdb.Error as error:
            raise SqlError(_told(error)) from None
        if not self._other_files and any(statement.type not in _READS for statement in found):
            raise SqlError("only SELECTs are answered; a statement that writes needs --other-files")
        return [statement.query for statement in found]

    def answer(self, statement: str, render: Callable[[duckdb.DuckDBPyRelation], Rendered]) -> Rendered | None:
        """What `render` makes of the answer; None of a statement that has none.

        Raises:
            SqlError: the statement fails.
            KeyboardInterrupt: it was interrupted, and has stopped.
        """

        def work() -> Rendered | None:
            relation = self.connection.sql(statement)
            return None if relation is None else render(relation)

        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(work)
            try:
                return answer.result()
            except KeyboardInterrupt:
                # DuckDB looks for interrupts only now and then, and forgets one that comes before the query has begun.
                while not answer.done():
                    self.connection.interrupt()
                    wait([answer], timeout=0.1)
                raise
            except duckdb.Error as error:
                raise SqlError(_told(error)) from None


def _told(error: duckdb.Error) -> str:
    """DuckDB's message without the place in the statement, which takes lines to show."""
    message, _, _ = str(error).partition("\nLINE ")
    if isinstance(error, duckdb.CatalogException):
        message += f"; relations: {', '.join([*catalog.RELATIONS, *catalog.RECORDED])}; see `lad sql --help`"
    return message
