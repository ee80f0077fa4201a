"""Pictures that a dataset keeps inside Parquet files: written once as files, which is how all that follows reads them.

The Hub's datasets hold a picture as a struct of its `bytes` and of the `path` that it once had; some as bytes alone.
The pictures of a Parquet file get a folder of their own, which is there whole or not at all. What is there already is
left alone. To have it written anew, delete it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from lad import whole
from lad.benchmark import BenchmarkError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

Row = dict[str, Any]
Pictures = Callable[[Row], Iterable[tuple[str, bytes | None]]]
"""The pictures of a row: the name of each below the folder of its file, and its bytes."""

_AT_ONCE: Final = 32
"""Rows whose pictures are in memory at once."""

_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def parquet_files(data: Path) -> list[Path]:
    """The Parquet file itself, or all in the folder, in the order of their paths.

    Raises:
        BenchmarkError: there is none.
    """
    files = [data] if data.is_file() else sorted(data.rglob("*.parquet"))
    if not files:
        raise BenchmarkError(f"{data}: there is no such file, nor a folder with files named *.parquet")
    return files


def folder_of(file: Path, data: Path, images: Path) -> Path:
    """The folder that a file's pictures are written to: its path below `data`, below the image folder."""
    return images / (file.stem if file == data else file.relative_to(data).with_suffix(""))


def rows_of(file: Path, columns: Sequence[str]) -> list[Row]:
    """The rows of a file in these columns, of pictures their paths alone.

    Raises:
        BenchmarkError: no Parquet, a column that is missing, or pictures without paths.
    """
    parquet = _opened(file, columns)
    with _whole(file):
        leaves = [parquet.schema.column(k).path for k in range(len(parquet.schema))]
        wanted = [leaf for leaf in leaves if leaf.split(".")[0] in columns and not leaf.endswith(".bytes")]
        if bare := set(columns) - {leaf.split(".")[0] for leaf in wanted}:
            raise BenchmarkError(f"{file}: column {min(bare)} has bytes alone; expected is a path beside them")
        rows: list[Row] = parquet.read(columns=wanted).to_pylist()
    return rows


def write_pictures(file: Path, folder: Path, columns: Sequence[str], pictures: Pictures) -> None:
    """Write the pictures of a file to its folder, unless that is there.

    Args:
        columns: what `pictures` reads of a row, bytes and all.

    Raises:
        BenchmarkError: no Parquet, a column that is missing, or two pictures of one name.
        NotWrittenError: the disk is full, or the folder cannot be written in.
    """
    if folder.is_dir():
        return
    with whole.folder(folder) as made:
        for name, content in _pictures(file, columns, pictures):
            path = made / name
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise BenchmarkError(f"{file}: picture {name} would lie outside {folder}")
            if path.exists():
                raise BenchmarkError(f"{file}: has two pictures that are called {name}; rows need different ids")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def picture_name(stem: str, stored: Any) -> str:
    """A file name for a picture: its own, with the ending of the path that is stored with it."""
    path = stored.get("path") if isinstance(stored, dict) else None
    suffix = PurePosixPath(path).suffix.lower() if isinstance(path, str) else ""
    return stem + (suffix if suffix in _SUFFIXES else "")


def _pictures(file: Path, columns: Sequence[str], pictures: Pictures) -> Iterator[tuple[str, bytes]]:
    batches = _opened(file, columns).iter_batches(batch_size=_AT_ONCE, columns=list(columns))
    while True:
        with _whole(file):
            batch = next(batches, None)
            rows = [] if batch is None else batch.to_pylist()
        if batch is None:
            return
        for row in rows:
            # A picture without bytes is missed by the question that shows it.
            yield from ((name, content) for name, content in pictures(row) if content is not None)


@contextmanager
def _whole(file: Path) -> Iterator[None]:
    """What goes wrong in reading rows is told as damage: pyarrow has several words for it.

    Raises:
        BenchmarkError: names the file.
    """
    import pyarrow as pa

    try:
        yield
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{file}: damaged ({' '.join(str(error).split())}); fetch it again") from None


def _opened(file: Path, columns: Sequence[str]) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file)
        present = parquet.schema_arrow.names
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{file}: not Parquet ({' '.join(str(error).split())})") from None
    except OSError as error:
        raise BenchmarkError(f"{file}: cannot be read ({error.strerror or error})") from None
    if missing := [column for column in columns if column not in present]:
        raise BenchmarkError(
            f"{file}: has no column {missing[0]}; needed are {', '.join(columns)}, it has {', '.join(present)}"
        )
    return parquet
