"""Shards: the presentations of one cell and split in parts, each a job of its own, and one table again afterwards.

Shards are cut between questions. A question's presentations show the same images, which a process encodes once; and
each shard is a run of the table, so that the parts in their order are the whole. How it is cut changes no number where
batches of another composition do not (`docs/performance.md` says where they do, in the last digits).

The parts are merged, not read side by side: signals of another cut that were left in the folder would be counted twice
by whoever reads it by a pattern.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from lad import contracts, parquet
from lad.refusal import Refusal

Sharded = Literal["signals", "generations"]
"""The relations of which an extraction may write a part."""

FACT: Final = "shard"
"""In the metadata of a shard's file: which one it is."""

_SUMMED: Final = ("presentations", "seconds", "generated_tokens", "beyond_context")
_LARGEST: Final = ("peak_memory_bytes", "token_budget")
_OF_THE_SHARD_ALONE: Final = (FACT, "device", "images")


class ShardError(Refusal):
    """A shard that does not exist, or files that are not the shards of one table; the message names them."""


@dataclass(frozen=True)
class Shard:
    """Part `number` of `count`, counted from 1."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ShardError(
                f"shard {self}: the shards of {self.count} are 1/{self.count} to {self.count}/{self.count}"
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """The shard that '3/7' names.

        Raises:
            ShardError: it names none.
        """
        if not re.fullmatch(r"\d+/[1-9]\d*", text):
            raise ShardError(f"shard '{text}' is not NUMBER/COUNT, such as 3/7")
        number, count = text.split("/")
        return cls(int(number), int(count))

    def of(self, presentations: pa.Table) -> pa.Table:
        """The rows of this part: whole questions, in the order of their first presentations.

        The parts differ by at most one question.

        Raises:
            ShardError: there are fewer questions than shards.
        """
        questions = pc.unique(presentations["question_id"])
        if len(questions) < self.count:
            raise ShardError(f"shard {self}: only {len(questions)} questions are there to be cut; ask for fewer shards")
        first, behind = ((number * len(questions)) // self.count for number in (self.number - 1, self.number))
        return presentations.filter(pc.is_in(presentations["question_id"], value_set=questions[first:behind]))


def shard_files(folder: Path, relation: str, count: int) -> list[Path]:
    """Where the shards of a relation lie, in their order."""
    return [folder / f"{number}-of-{count}" / f"{relation}.parquet" for number in range(1, count + 1)]


def merge(files: Sequence[Path], contract: contracts.Contract) -> tuple[pa.Table, dict[str, Any]]:
    """The table of which these files are the shards, in their order, with the metadata of the whole.

    Seconds and presentations are sums, peak memory is the largest, every device is named; all else is the same in
    every shard.

    Raises:
        ShardError: the files are not all shards of one cut, or were not made in the same way (by another version of a
            library, say).
        TableError: as of `parquet.read`.
    """
    table = parquet.read(files, contract)
    facts = [parquet.read_metadata(file) for file in files]
    for number, (file, fact) in enumerate(zip(files, facts, strict=True), start=1):
        if fact.get(FACT) != str(Shard(number, len(files))):
            raise ShardError(f"{file}: is shard {fact.get(FACT, 'none')}, not {number}/{len(files)}; extract it again")
    return table, {
        **_in_common(files, facts),
        **{
            name: round(sum(fact.get(name, 0) for fact in facts), 3)
            for name in _SUMMED
            if any(name in fact for fact in facts)
        },
        **{name: max(fact[name] for fact in facts) for name in _LARGEST},
        "device": ", ".join(sorted({fact["device"] for fact in facts})),
        "shards": len(files),
    }


def _in_common(files: Sequence[Path], facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The facts that have to be the same in every shard.

    Raises:
        ShardError: they are not.
    """
    apart = {*_SUMMED, *_LARGEST, *_OF_THE_SHARD_ALONE}
    common = {name: value for name, value in facts[0].items() if name not in apart}
    for file, others in zip(files, facts, strict=True):
        for name in sorted(set(common | others) - apart):
            if others.get(name) == common.get(name):
                continue
            raise ShardError(
                f"{file}: {name} is {others.get(name)}, in {files[0]} it is {common.get(name)}; delete the shard that"
                " is not as wanted and run again"
            )
    return common
