"""Finished work is found again by what it is, whole or not at all."""

import errno
import os
from itertools import chain, repeat

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lad.extraction.finished import FINGERPRINT, FinishedWork


def rows(*fingerprints: str) -> pa.Table:
    return pa.table({FINGERPRINT: list(fingerprints), "value": [len(key) for key in fingerprints]})


def found(work: FinishedWork, *fingerprints: str) -> list[str]:
    return sorted(key for part in work.find(fingerprints) for key in part[FINGERPRINT].to_pylist())


@pytest.fixture
def work(tmp_path) -> FinishedWork:
    return FinishedWork(tmp_path, {"model": "m"})


def test_rows_are_found_by_their_fingerprints_each_once(work):
    work.add(rows("a", "b"))
    work.add(rows("c"))
    work.add(rows("b", "d"))
    assert found(work, "a", "b", "c", "x") == ["a", "b", "c"]


def test_another_recipe_finds_nothing(work, tmp_path):
    work.add(rows("a"))
    assert found(FinishedWork(tmp_path, {"model": "m", "dtype": "bfloat16"}), "a") == []
    assert found(FinishedWork(tmp_path, {"model": "m"}), "a") == ["a"]


def test_merged_rows_lie_in_one_file_and_rows_of_others_stay(work):
    for part in (rows("a"), rows("b", "c"), rows("d")):
        work.add(part)
    work.merge(rows("a", "b", "c"))
    assert sorted(len(part) for part in work.find("abcd")) == [1, 3]
    work.merge(rows("a", "b", "c"))
    assert found(work, *"abcd") == list("abcd")


def test_rows_that_lie_in_one_file_with_others_are_not_kept_twice(work, tmp_path):
    """As presentations do that are cut into smaller shards than before."""
    work.add(rows("a", "b", "c", "d"))
    for part in (rows("a", "b"), rows("c", "d")):
        again = FinishedWork(tmp_path, {"model": "m"})
        assert found(again, *part[FINGERPRINT].to_pylist()) == part[FINGERPRINT].to_pylist()
        again.merge(part)
    assert len(work._files()) == 1


def test_a_file_that_vanishes_while_we_look_was_merged_by_another_process(work, monkeypatch):
    work.add(rows("a"))
    work.add(rows("b"))
    stale = work._files()
    work.merge(rows("a", "b"))
    answers = chain([stale], repeat(work._files()))
    monkeypatch.setattr(work, "_files", lambda: next(answers))
    assert found(work, "a", "b") == ["a", "b"]


@pytest.mark.parametrize("told", [errno.ENOENT, errno.ESTALE])
def test_a_file_that_is_deleted_while_it_is_read_is_left_out(work, monkeypatch, told):
    """On NFS the reader is told of a stale handle."""
    for part in (rows("a"), rows("b"), rows("c")):
        work.add(part)
    lost, read = work._path(rows("b")), pq.ParquetFile
    monkeypatch.setattr(pq, "ParquetFile", lambda file: refuse(told) if str(file) == str(lost) else read(file))
    assert found(work, *"abc") == ["a", "c"]
    work.merge(rows("a", "c"))
    assert set(work._files()) == {lost, work._path(rows("a", "c"))}


def test_a_file_that_cannot_be_read_for_another_reason_is_told(work, monkeypatch):
    work.add(rows("a"))
    monkeypatch.setattr(pq, "ParquetFile", lambda path: refuse(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        work.find("a")


def refuse(number: int):
    raise OSError(number, os.strerror(number))


def test_a_file_that_is_not_whole_is_left_out_with_a_warning(work, caplog):
    """A kill leaves no such file, a power cut may."""
    work.add(rows("a"))
    (path,) = work._files()
    path.write_bytes(path.read_bytes()[:50])
    work.add(rows("b"))
    assert found(work, "a", "b") == ["b"]
    assert str(path) in caplog.text


def test_what_is_being_written_is_not_read(work):
    (work.folder / ".half.parquet.x.partial").write_bytes(b"PAR1")
    assert found(work, "a") == []
