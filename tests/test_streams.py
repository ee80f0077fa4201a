"""Files that are read a part at a time: together the parts are the whole, and what breaks a contract is refused."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signals_factory import of_an_earlier_version, random_signals

from lad import parquet
from lad.contracts import SIGNALS
from lad.parquet import TableError
from lad.streams import Stream

HEADS = ("head_attention",)


def of_split(split: str, heads: int | None = None) -> pa.Table:
    return parquet.conform(random_signals(0, 3, questions=40, heads=heads, split=split), SIGNALS, "factory")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Calibration in two files, whose rows are mixed; evaluation, with heads, in a third."""
    folder = tmp_path_factory.mktemp("streams")
    calibration = of_split("calibration")
    rounds = calibration["round"].to_numpy()
    parquet.write(calibration.filter(pa.array(rounds == 0)), folder / "a", SIGNALS)
    parquet.write(calibration.filter(pa.array(rounds > 0)), folder / "c", SIGNALS)
    of_an_earlier_version(folder / "c")
    parquet.write(of_split("evaluation", heads=2), folder / "b", SIGNALS)
    return folder


@settings(max_examples=10, deadline=None)
@given(rows=st.integers(1, 200))
def test_the_parts_are_the_whole_and_a_question_is_in_one_of_them(folder, rows):
    stream = Stream([folder / "b"], SIGNALS, "question_id")
    parts = [stream.take(keys) for keys in stream.parts(rows)]
    assert pa.concat_tables(parts).equals(parquet.read(folder / "b", SIGNALS))
    questions = [question for part in parts for question in set(part["question_id"].to_pylist())]
    assert len(questions) == len(set(questions)) == 40
    # No part is small beside the others; with three presentations of a question, one may have three more.
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 3
    assert max(sizes) <= max(rows + 2, 3)


@settings(max_examples=10, deadline=None)
@given(rows=st.integers(1, 200))
def test_rows_of_a_question_that_are_scattered_over_files_come_together(folder, rows):
    stream = Stream([folder / name for name in "abc"], SIGNALS, "question_id", only={"split": "calibration"})
    parts = pa.concat_tables([stream.take(keys) for keys in stream.parts(rows)])
    in_order = [("question_id", "ascending"), ("round", "ascending")]
    assert parts.sort_by(in_order).equals(of_split("calibration").sort_by(in_order))


def test_columns_that_nobody_reads_are_left_in_the_file(folder):
    stream = Stream([folder / "b"], SIGNALS, "question_id", without=HEADS)
    whole = parquet.read(folder / "b", SIGNALS).drop_columns(HEADS)
    assert stream.take(stream.keys).equals(whole)
    assert len(stream.take(stream.keys)) == 0


def test_files_that_differ_in_their_columns_or_repeat_a_key_are_refused(folder, tmp_path):
    calibration, evaluation = of_split("calibration"), of_split("evaluation", heads=2)
    parquet.write(calibration.slice(0, 3), tmp_path / "a", SIGNALS)
    parquet.write(evaluation.slice(0, 3), tmp_path / "b", SIGNALS)
    files = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(TableError, match=r"a, .*b: the files differ in their optional columns"):
        Stream(files, SIGNALS, "question_id")
    Stream(files, SIGNALS, "question_id", without=HEADS)
    with pytest.raises(TableError, match="presentation_id calibration-000000-00 occurs more than once"):
        Stream([folder / "a", tmp_path / "a"], SIGNALS, "question_id")


def test_a_row_that_breaks_the_contract_is_named_by_its_place_in_the_file(tmp_path):
    """However far it stands behind those that were read before it."""
    signals = parquet.conform(random_signals(0, 2, questions=700), SIGNALS, "factory")
    logits = signals["identifier_logits"].to_pylist()
    logits[1300][1] = float("nan")
    at = signals.column_names.index("identifier_logits")
    pq.write_table(signals.set_column(at, "identifier_logits", pa.array(logits)), tmp_path / "nan")
    stream = Stream([tmp_path / "nan"], SIGNALS, "question_id")
    for keys in list(stream.parts(100))[:10]:
        stream.take(keys)
    with pytest.raises(TableError, match=r"nan: column identifier_logits holds nan in row 1300 \(presentation_id"):
        stream.take(stream.keys)
