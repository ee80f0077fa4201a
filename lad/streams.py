"""Tables in files that are read a part at a time: a cell of any size is scored in the memory that some questions take.

A stream hands out the rows of some keys, of some questions say, and reads its files only as far as it has to for that.
Rows that it meets on the way and that were not asked for yet wait in memory. Where the rows of a question stand
together, as extraction writes them, these are few; where they are scattered over the files, all may have to wait.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lad import parquet
from lad.contracts import Contract

_AT_ONCE: Final = 1024
"""Rows that are read in one go."""

_BYTES: Final = 32 * 2**20
_ROWS: Final = 20_000
"""A part of a table has about as many bytes, uncompressed, and no more rows.

Smaller parts save little, next to what a process needs anyway; a query takes milliseconds to start.
"""


class Stream:
    """The rows of some files, by key.

    Attributes:
        table: the columns `columns` of all rows, which are small enough to be held.
        keys: the keys, each once, in the order in which they first appear.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        contract: Contract,
        key: str,
        columns: Sequence[str] = (),
        *,
        only: Mapping[str, str] | None = None,
        without: Collection[str] = (),
    ) -> None:
        """Find out what is where, and check what the contract says of all rows together.

        Args:
            paths: files of that contract, at least one.
            only: the value that a column must have; other rows are passed over, and files without any such row.
            without: columns that are not read.

        Raises:
            TableError: as `parquet.read`, but for what is wrong with single rows; that is found when they are read.
        """
        self._contract = replace(contract, columns=tuple(c for c in contract.columns if c.name not in without))
        self._only, self._key = dict(only or {}), key
        held = {key, *columns, *self._only, *([contract.key] if contract.key else [])}
        scanned = {path: self._chosen(_scan(path, contract, held)) for path in paths}
        self._paths = [path for path, rows in scanned.items() if len(rows)] or list(paths)[:1]
        self._where = ", ".join(map(str, self._paths))
        self.table = pa.concat_tables(scanned[path] for path in self._paths)
        if len(self._paths) > 1:
            parquet.check_key(self.table, contract, self._where)
            self._refuse_differing_columns()
        by_key = self.table[key].combine_chunks().dictionary_encode()
        self.keys: pa.Array = by_key.dictionary
        self._codes = by_key.indices.to_numpy()
        self._last = np.zeros(len(self.keys), dtype=np.int64)  # the row by which all of a key have been read
        np.maximum.at(self._last, self._codes, np.arange(len(self._codes)))
        self._rest = self._pieces()
        self._read = 0
        self._waiting: list[pa.Table] = []
        self._waiting_codes = np.empty(0, dtype=self._codes.dtype)

    def parts(self, rows: int | None = None) -> Iterator[pa.Array]:
        """The keys in their order, in parts of about as many rows; by default of as many as are quick to work on.

        All parts are about equally large. A key has its rows in one part, even where there are more of them.
        """
        most = rows or min(_ROWS, max(1, _BYTES // self._bytes_per_row()))
        ends = np.cumsum(np.bincount(self._codes, minlength=len(self.keys)))
        number = -(-len(self._codes) // most)
        part = (ends - 1) * number // max(len(self._codes), 1)
        for keys in np.split(np.arange(len(self.keys)), np.flatnonzero(np.diff(part)) + 1):
            yield self.keys.take(pa.array(keys))

    def take(self, keys: pa.Array) -> pa.Table:
        """The rows of these keys in the order of the files, which nobody has taken yet.

        Raises:
            TableError: as `parquet.read`.
        """
        wanted = np.zeros(len(self.keys), dtype=bool)
        wanted[pc.drop_null(pc.index_in(keys, value_set=self.keys)).to_numpy()] = True
        until = self._last[wanted].max(initial=-1)
        while self._read <= until:
            piece = next(self._rest)
            self._waiting.append(piece)
            codes = self._codes[self._read : self._read + len(piece)]
            self._waiting_codes = np.concatenate([self._waiting_codes, codes])
            self._read += len(piece)
        if not self._waiting:
            self._waiting = [next(self._rest).slice(0, 0)]
        here, chosen = pa.concat_tables(self._waiting), wanted[self._waiting_codes]
        self._waiting = [here.filter(pa.array(~chosen)).combine_chunks()]
        self._waiting_codes = self._waiting_codes[~chosen]
        taken = here.filter(pa.array(chosen)).combine_chunks()
        parquet.check_between_rows(taken, self._contract, self._where)
        return taken

    def _pieces(self) -> Iterator[pa.Table]:
        for path in self._paths:
            first = 0
            # Buffered, or each column would be read whole.
            with parquet.opened(path, buffer_size=2**20, pre_buffer=False) as file:
                names = _names(file.schema_arrow.names, self._contract)
                for batch in file.iter_batches(_AT_ONCE, columns=names, use_threads=False):
                    table = pa.Table.from_batches([batch])
                    yield self._chosen(parquet.conform_rows(table, self._contract, str(path), first))
                    first += len(table)

    def _chosen(self, table: pa.Table) -> pa.Table:
        for column, value in self._only.items():
            table = table.filter(pc.field(column) == value)
        return table

    def _refuse_differing_columns(self) -> None:
        found = set()
        for path in self._paths:
            with parquet.opened(path) as file:
                present = parquet.with_present_names(file.schema_arrow.empty_table(), self._contract).column_names
                found.add(frozenset(column.name for column in self._contract.columns if column.name in present))
        if len(found) > 1:
            raise parquet.TableError(f"{self._where}: the files differ in their optional columns")

    def _bytes_per_row(self) -> int:
        size = rows = 0
        for path in self._paths:
            with parquet.opened(path) as file:
                read = set(_names(file.schema_arrow.names, self._contract))
                rows += file.metadata.num_rows
                for group in (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)):
                    columns = (group.column(i) for i in range(group.num_columns))
                    size += sum(c.total_uncompressed_size for c in columns if c.path_in_schema.split(".")[0] in read)
        return size // max(rows, 1) + 1


def _scan(path: Path, contract: Contract, held: Collection[str]) -> pa.Table:
    """Some columns of all rows of a file."""
    with parquet.opened(path) as file:
        names = file.schema_arrow.names
        empty = parquet.with_present_names(file.schema_arrow.empty_table(), contract)
        parquet.present_columns(empty.column_names, contract, str(path))
        some = replace(contract, columns=tuple(c for c in contract.columns if c.name in held))
        table = file.read(columns=_names(names, some))
    table = parquet.conform_rows(table, some, str(path))
    parquet.check_key(table, contract, str(path))
    return table


def _names(names: Sequence[str], contract: Contract) -> list[str]:
    """Which of the columns of a file the contract has, by their names in the file."""
    wanted = {column.name for column in contract.columns}
    return [name for name in names if contract.renamed.get(name, name) in wanted]
