"""What cannot be written is named, and nothing is left of it."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lad import parquet, whole
from lad.benchmark.download import write_receipt
from lad.demo.scenes import write_dataset
from lad.demo.tasks import write_tasks

LIMIT = 3000


@contextmanager
def no_room() -> Iterator[None]:
    """Files grow to 3,000 bytes and no further, as on a disk that is full. (Python ignores the signal that says so.)"""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def numbers() -> pa.Table:
    return pa.table({"number": np.random.default_rng(0).random(5000)})


def a_table(path: Path) -> None:
    parquet.write_whole(numbers(), path)


def a_receipt(path: Path) -> None:
    write_receipt({"files": ["a file"] * 1000}, path)


def scenes(path: Path) -> None:
    write_dataset(path, 40, seed=0)


def tasks(path: Path) -> None:
    write_tasks(path, 40, seed=0)


@pytest.mark.parametrize("write", [a_table, a_receipt, scenes, tasks])
def test_what_has_no_room_is_named_and_nothing_is_left_of_it(tmp_path, write):
    with no_room(), pytest.raises(whole.NotWrittenError) as error:
        write(tmp_path / "new" / "made")
    assert str(error.value).startswith(f"{tmp_path}/new/made: cannot be written (")
    assert "File too large" in str(error.value)
    assert "\n" not in str(error.value)
    assert list((tmp_path / "new").iterdir()) == []


def test_an_older_file_stays_where_a_newer_has_no_room(tmp_path):
    path = tmp_path / "table.parquet"
    parquet.write_whole(numbers()[:10], path)
    with no_room(), pytest.raises(whole.NotWrittenError):
        a_table(path)
    assert parquet.pq.read_table(path).equals(numbers()[:10])


def test_a_folder_that_cannot_be_written_in_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(whole.NotWrittenError, match=r"file/table: cannot be written \(Not a directory|File exists\)"):
        a_table(tmp_path / "file" / "table")


def test_an_error_about_another_file_is_told_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError, match="elsewhere"), whole.file(tmp_path / "made"):
        (tmp_path / "elsewhere" / "absent").read_bytes()
    assert list(tmp_path.iterdir()) == []


def test_whatever_else_goes_wrong_leaves_nothing_and_is_told_as_it_is(tmp_path):
    for made in (whole.file, whole.folder):
        with pytest.raises(ZeroDivisionError), made(tmp_path / "made"):
            raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
