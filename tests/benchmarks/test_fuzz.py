"""Every reader takes a damaged input or refuses it in one line; what does neither is found."""

import os
import random
import signal
from pathlib import Path

import pytest

from benchmarks import fuzz
from benchmarks.fuzz import READERS, Reader

INPUTS = 10


@pytest.mark.parametrize("name", READERS)
def test_a_good_input_is_read(name, tmp_path):
    reader = READERS[name]
    assert fuzz.outcome(reader, reader.write(tmp_path)) == "read"


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_input_is_read_or_refused(name):
    found = fuzz.fuzz(name, INPUTS)
    assert len(found) == INPUTS
    assert set(found.values()) <= {"read", "refused"}
    assert "refused" in found.values()


def write(folder: Path) -> Path:
    (folder / "input").write_bytes(b"some bytes that nobody wrote for a reader")
    return folder / "input"


def crash(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def forget(path: Path) -> None:
    raise KeyError("key")


def ramble(path: Path) -> None:
    raise ValueError(f"{path}: a line\nand another")


def not_name(path: Path) -> None:
    raise ValueError("something is wrong")


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (crash, "the process died"),
        (forget, "KeyError at test_fuzz.py"),
        (ramble, "a refusal of 2 lines"),
        (not_name, "a refusal of 1 lines, or without the file"),
    ],
)
def test_what_is_neither_a_result_nor_a_refusal_is_found(monkeypatch, read, told):
    monkeypatch.setitem(READERS, "bad", Reader(write, read))
    found = fuzz.fuzz("bad", 3)
    assert list(found) == [0, 1, 2]
    assert all(one.startswith(told) for one in found.values())


def test_an_input_can_be_made_again():
    good = b'{"key": [1, 2, {"more": "text"}]}'
    reader = READERS["coco captions"]
    once, again = (fuzz.changed(reader, good, random.Random("coco captions 7")) for _ in range(2))
    assert once == again != good
