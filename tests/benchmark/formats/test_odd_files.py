"""What a file may hold that no table can, or that Parquet may hold in place of what is expected, is refused in a line.

Found by `benchmarks.fuzz`, whose good inputs these are.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fuzz, good_inputs
from lad.benchmark.entries import json_of

Change = Callable[[bytes], bytes]


def put(**values: Any) -> Change:
    """All rows of a Parquet file with these values."""
    return lambda content: good_inputs.as_parquet([row | values for row in good_inputs.of_parquet(content)])


def swap(old: str, new: str) -> Change:
    return lambda content: content.replace(old.encode(), new.encode(), 1)


def without_paths(content: bytes) -> bytes:
    rows = good_inputs.of_parquet(content)
    return good_inputs.as_parquet([row | {"image_1": {"bytes": row["image_1"]["bytes"]}} for row in rows])


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("lists", swap("query 0", r"\ud800"), "line 1 holds half a character"),
        ("texts", swap("query 1", r"\ud800"), "line 2 holds half a character"),
        ("mmiu", swap("Which is odd?", r"\ud800"), "half a character"),
        ("mt_bench list", swap("Write 81.", r"\udfff"), "holds half a character"),
        ("mt_bench list", lambda _: b"[" * 100_000, "too many brackets within brackets"),
        ("beir corpus", lambda _: b"1" * 5000, "line 1 is not JSON that can be read (a number of thousands of digits)"),
        ("lists", swap("[0, 2, 0, 1]", "[0, 2147483648, 0, 1]"), "line 1 has the grade 2147483648; grades are 0 "),
        ("beir judgments", swap("d0\t2", "d0\t2147483648"), "expected are query-id, corpus-id and a whole number of"),
        ("trec run", swap("9.5", "nan"), "line 1 is "),
        ("mmlu", lambda content: content.replace(b"Which", b"\xf5hich"), "is no Parquet file"),
        ("blink", put(choices=[1, 2, 3, 4]), "option A, 1, is no text"),
        ("blink", without_paths, "column image_1 has bytes alone"),
        ("muir_bench", put(image_list=5), "2 options are images, and the list has 0"),
        ("mmdocir pages", put(image_binary="a text"), 'row 0: image_binary holds no bytes, but "a text"'),
        ("mmdocir pages", put(vlm_text=["a text"]), 'row 0: vlm_text is ["a text"], expected is a text'),
    ],
)
def test_it_is_refused_with_the_file_and_the_place(tmp_path: Path, name: str, change: Change, said: str):
    reader = fuzz.READERS[name]
    path = reader.write(tmp_path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError) as refused:
        reader.read(path)
    assert str(path) in str(refused.value)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_two_halves_of_a_character_are_one():
    assert json_of(r'"\ud83d\ude00"') == "😀"
