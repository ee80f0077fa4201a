"""What a contract is: a list of columns, each with its type, its meaning and the rules that readers rely on."""

from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa

Keep = Literal["heads", "rows", "null_query"]
"""What extraction keeps beyond the signals that every method reads, where it is asked to.

heads: the attention of every head, of whatever rows are kept. rows: the attention of the query's tokens and of all
tokens behind the candidates, besides the last token's. null_query: what the model answers, and what the rows attend to,
where the query is N/A; it goes with rows.
"""


@dataclass(frozen=True)
class Column:
    """One column of a contract.

    Attributes:
        length: name of the integer column that gives the length of this column's (innermost) lists, or None.
        places: whether the values are positions or candidates, that is 1 to n_candidates; in a list each once.
        stored: type in the file where it is another: DuckDB reads half floats from Parquet, but not from memory.
        formerly: the column's name in files of earlier versions, which are still read. The numbers are the same.
        vectors: whether the lists all have one length; such a column may as well be of fixed-size lists in half or
            single precision, and is then left as it is.
        kept: what extraction has to be asked to keep for the column to be there.
        by_layer: whether the outer list is that of all the model's layers, in their order. Those without softmax
            attention (linear attention, convolutions) hold an empty list, so that places stay the model's own numbers.
            No list at all says that no attention was read: these signals come from the log of another tool.
        of_a_pass: whether a forward pass always leaves it behind. It is null only in signals from such a log.
        of_all_layers: whether that takes a pass through all layers. It is null as well where a pass ended before, which
            left no attention of the last layer.
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
    formerly: str | None = None
    kept: frozenset[Keep] = frozenset()
    by_layer: bool = False
    of_a_pass: bool = False
    of_all_layers: bool = False


@dataclass(frozen=True)
class Contract:
    """A named table: its columns in order.

    Attributes:
        key: the column whose values must be unique, if any.
        one_target: whether order and target_position give one target to each question, in whatever order it is shown.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: str | None = None
    one_target: bool = False

    @property
    def renamed(self) -> dict[str, str]:
        """The columns that had another name in earlier versions: the present name by the former one."""
        return {c.formerly: c.name for c in self.columns if c.formerly}

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns if c.required])


def ints(name: str, meaning: str, **rules: Any) -> Column:
    return Column(name, pa.list_(pa.int32()), meaning, **rules)


FLOATS: Final = pa.list_(pa.float32())

TARGET_POSITION: Final = Column(
    "target_position",
    pa.int32(),
    "position of the target, 1-based; null where unknown",
    nullable=True,
    places=True,
)

ROW: Final = Column(
    "row", pa.string(), "whose attention: last (the prompt's last token), query or suffix, where the signals have them"
)
_per_layer: Final = pa.list_(pa.list_(pa.float32()))
_per_head: Final = pa.list_(_per_layer)
_per_head_stored: Final = pa.list_(pa.list_(pa.list_(pa.float16())))
