"""Finished work: what a killed extraction leaves behind, so that a rerun goes on where it stopped.

Every batch is written at once under a name of its own: a reader sees a whole file or none, and two processes on the
same presentations write the same files. A row is found again by the fingerprint of all that determines it - model,
dtype, prompt text, the bytes of the images in their order, versions - and not by its name: work outlives shards that
are cut differently and upstream tables that are rewritten with the same content.

Nothing here is a result. The folder may be deleted whenever no extraction runs; what is not yet in a signals table is
then done again.
"""

import errno
import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lad import parquet, whole

logger = logging.getLogger(__name__)

FINGERPRINT: Final = "fingerprint"

_GONE: Final = (errno.ENOENT, errno.ESTALE)
"""What the system says of a file that another process has deleted; the second on NFS, also while it is being read."""


def fingerprint(*facts: Any) -> str:
    """A hash of JSON-serialisable facts."""
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()


class FinishedWork:
    """The finished rows of one recipe, in a folder of their own below `folder`.

    Args:
        folder: for the finished work of all recipes.
        recipe: what all rows have in common; kept beside them for people to read.
    """

    def __init__(self, folder: Path, recipe: Mapping[str, Any]) -> None:
        self.folder = folder / fingerprint(recipe)
        self._holding: list[Path] = []
        """Files with rows that were found or added."""
        self.folder.mkdir(parents=True, exist_ok=True)
        described = self.folder / "recipe.json"
        if not described.exists():
            with whole.file(described) as partial:
                partial.write_text(json.dumps(recipe, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def find(self, fingerprints: Iterable[str]) -> list[pa.Table]:
        """All rows with these fingerprints, each once."""
        wanted = set(fingerprints)
        ours = pa.array(wanted, pa.string())
        found = []
        looked_into: set[Path] = set()
        # What other processes merge while we look is in files that were not there before.
        while unseen := [path for path in self._files() if path not in looked_into]:
            looked_into.update(unseen)
            for path in unseen:
                try:
                    file = pq.ParquetFile(path)
                    inside = file.read(columns=[FINGERPRINT])[FINGERPRINT]
                    if not pc.any(pc.is_in(inside, value_set=ours)).as_py():
                        continue
                    rows = file.read().filter(pc.is_in(inside, value_set=pa.array(wanted, pa.string())))
                except OSError as error:
                    if error.errno not in _GONE:
                        raise
                    continue
                except pa.ArrowInvalid as error:
                    logger.warning("%s cannot be read and is left out (%s)", path, error)
                    continue
                self._holding.append(path)
                if len(rows):
                    found.append(rows)
                    wanted.difference_update(rows[FINGERPRINT].to_pylist())
        return found

    def add(self, rows: pa.Table) -> None:
        """Keep these rows.

        Raises:
            NotWrittenError: they could not be written, for want of space say; then no trace of them is left.
        """
        parquet.write_whole(rows, self._path(rows))
        self._holding.append(self._path(rows))

    def merge(self, rows: pa.Table) -> None:
        """Keep `rows`, all of them found or added, in one file and delete those that hold nothing else.

        Where one file holds them all it is left alone, even if it holds more: presentations that are cut into smaller
        shards than before are not kept twice.
        """
        if len(self._holding) == 1:
            return
        merged = self._path(rows)
        if not merged.exists():
            parquet.write_whole(rows, merged)
        together = pa.array(set(rows[FINGERPRINT].to_pylist()), pa.string())
        for path in self._holding:
            if path == merged:
                continue
            try:
                inside = pq.ParquetFile(path).read(columns=[FINGERPRINT])[FINGERPRINT]
                if pc.all(pc.is_in(inside, value_set=together)).as_py():
                    path.unlink()
            except OSError as error:
                if error.errno not in _GONE:
                    raise
            except pa.ArrowInvalid:
                pass

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[!.]*.parquet"))

    def _path(self, rows: pa.Table) -> Path:
        return self.folder / f"{fingerprint(rows[FINGERPRINT].to_pylist())}.parquet"
