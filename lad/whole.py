"""Files and folders that are there whole or not at all, and errors that name what could not be written."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NotWrittenError(OSError):
    """What could not be written, for want of space say; the message names it, and nothing is left of it."""


@contextmanager
def file(path: Path) -> Iterator[Path]:
    """A file to write, which takes the name `path` when all of it is written; an older one is replaced.

    Raises:
        NotWrittenError: the disk is full, or the folder cannot be written in.
    """
    with named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
        os.close(descriptor)
        made = Path(partial)
        try:
            yield made
            made.chmod(0o644)
            made.replace(path)
        except BaseException:
            made.unlink(missing_ok=True)
            raise


@contextmanager
def folder(path: Path) -> Iterator[Path]:
    """A folder to write in, which takes the name `path` when all is written; an older one is replaced.

    Raises:
        NotWrittenError: as of `file`.
    """
    with named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial"))
        try:
            yield made
            made.chmod(0o755)
            if path.exists():
                shutil.rmtree(path)
            made.rename(path)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise


@contextmanager
def named(path: Path) -> Iterator[None]:
    """What cannot be written in here is told as `path`; an error that names another file stays as it is.

    Raises:
        NotWrittenError: as of `file`.
    """
    try:
        yield
    except NotWrittenError:
        raise
    except OSError as error:
        if error.filename is not None and not _belongs_to(path, Path(str(error.filename))):
            raise
        # pyarrow tells the reason in its own text.
        told = NotWrittenError(f"{path}: cannot be written ({error.strerror or error})")
        told.errno = error.errno
        raise told from error


def _belongs_to(path: Path, other: Path) -> bool:
    """Whether a file is `path`, one of the folders that it lies in, or a part of it that is being written."""
    return other in (path, *path.parents) or any(part.startswith(f".{path.name}.") for part in other.parts)
