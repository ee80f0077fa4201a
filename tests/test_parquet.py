"""A table that breaks its contract is refused, and the message says where."""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from signals_factory import of_an_earlier_version, random_signals

from lad import contracts, parquet
from lad.contracts import EMBEDDINGS, SIGNALS
from lad.parquet import TableError


@pytest.fixture
def signals() -> pa.Table:
    return parquet.conform(random_signals(0, 3, questions=2), SIGNALS, "factory")


def replaced(table: pa.Table, name: str, values: list) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def test_what_is_written_is_read_back_with_its_metadata(signals, tmp_path):
    file = tmp_path / "folder" / "signals.parquet"
    parquet.write(signals, file, SIGNALS, {"extractor_version": 7})
    assert parquet.read(file, SIGNALS).equals(signals)
    assert parquet.read_metadata(file) == {"extractor_version": 7}
    assert [path.name for path in file.parent.iterdir()] == ["signals.parquet"]


def test_floats_are_written_without_a_dictionary_and_duckdb_reads_them(tmp_path):
    """Half floats too, which it would not read with their bytes split."""
    heads = parquet.conform(random_signals(0, 3, questions=2, heads=2), SIGNALS, "factory")
    parquet.write(heads, tmp_path / "signals.parquet", SIGNALS)
    columns = pq.ParquetFile(tmp_path / "signals.parquet").metadata.row_group(0).to_dict()["columns"]
    encodings = {column["path_in_schema"].split(".")[0]: set(column["encodings"]) for column in columns}
    assert "BYTE_STREAM_SPLIT" in encodings["candidate_attention"]
    assert "RLE_DICTIONARY" in encodings["presentation_id"]
    floats = ("candidate_logprobs", "candidate_attention", "head_attention")
    assert not any("RLE_DICTIONARY" in encodings[name] for name in floats)
    query = f"select candidate_logprobs, candidate_attention, head_attention from '{tmp_path}/signals.parquet'"
    found = duckdb.sql(query).to_arrow_table().to_pydict()
    assert found == parquet.read(tmp_path / "signals.parquet", SIGNALS).select(floats).to_pydict()


def test_several_files_are_read_as_one_table(signals, tmp_path):
    half = len(signals) // 2
    parquet.write(signals.slice(0, half), tmp_path / "a.parquet", SIGNALS)
    parquet.write(signals.slice(half), tmp_path / "b.parquet", SIGNALS)
    assert len(parquet.read([tmp_path / "a.parquet", tmp_path / "b.parquet"], SIGNALS)) == len(signals)
    with pytest.raises(TableError, match="occurs more than once"):
        parquet.read([tmp_path / "a.parquet", tmp_path / "a.parquet"], SIGNALS)


def test_a_file_of_an_earlier_version_is_read_as_if_it_were_new(signals, tmp_path):
    new, old = tmp_path / "new.parquet", tmp_path / "old.parquet"
    for file, part in ((new, signals.slice(0, 2)), (old, signals.slice(2))):
        parquet.write(part, file, SIGNALS, {"seed": 3})
    of_an_earlier_version(old)
    assert {"image_attention", "image_tokens"} < set(pq.read_schema(old).names)
    assert parquet.read([new, old], SIGNALS).equals(signals)
    assert parquet.read_metadata(old) == {"seed": 3}
    assert parquet.conformed(pq.read_table(old), SIGNALS, "memory").equals(signals.slice(2))
    parquet.write(parquet.read(old, SIGNALS), old, SIGNALS)
    assert pq.read_schema(old).names == pq.read_schema(new).names


def test_a_missing_column_is_named(signals):
    with pytest.raises(
        TableError, match=r"here: column candidate_logprobs missing; a signals table has presentation_id"
    ):
        parquet.conform(signals.drop_columns(["candidate_logprobs"]), SIGNALS, "here")


def test_a_nan_is_named_with_column_row_and_key(signals):
    values = signals["identifier_logits"].to_pylist()
    values[4][1] = np.nan
    key = signals["presentation_id"][4].as_py()
    with pytest.raises(
        TableError, match=rf"here: column identifier_logits holds nan in row 4 \(presentation_id {key}\)"
    ):
        parquet.conform(replaced(signals, "identifier_logits", values), SIGNALS, "here")


def test_a_nan_deep_inside_the_attention_is_found(signals):
    values = signals["candidate_attention"].to_pylist()
    values[2][-1][0] = np.inf
    with pytest.raises(TableError, match="candidate_attention holds inf in row 2"):
        parquet.conform(replaced(signals, "candidate_attention", values), SIGNALS, "here")


def test_a_list_of_the_wrong_length_is_refused(signals):
    values = signals["order"].to_pylist()
    values[1] = [1, 2]
    with pytest.raises(TableError, match=r"column order has 2 values in row 1 .* n_candidates says 3"):
        parquet.conform(replaced(signals, "order", values), SIGNALS, "here")


def test_an_empty_value_is_refused_unless_the_contract_allows_it(signals):
    texts = [None] * len(signals)
    assert parquet.conform(replaced(signals, "generated_text", pa.array(texts, pa.string())), SIGNALS, "here")
    with pytest.raises(TableError, match="column round is empty in row 0"):
        parquet.conform(replaced(signals, "round", [None, *signals["round"].to_pylist()[1:]]), SIGNALS, "here")


@pytest.mark.parametrize("wrong", [0, 4, -1])
def test_a_position_that_is_not_counted_from_1_to_n_is_refused(signals, wrong):
    positions = [wrong, *signals["target_position"].to_pylist()[1:]]
    with pytest.raises(TableError, match=rf"target_position holds {wrong} in .*-000000-00\); allowed are 1 to 3"):
        parquet.conform(replaced(signals, "target_position", positions), SIGNALS, "here")


@pytest.mark.parametrize(
    ("order", "said"), [([0, 1, 2], "holds 0 in"), ([1, 2, 4], "holds 4 in"), ([1, 3, 3], "holds 3 more than once in")]
)
def test_an_order_that_does_not_show_each_candidate_once_is_refused(signals, order, said):
    orders = [*signals["order"].to_pylist()[:4], order, *signals["order"].to_pylist()[5:]]
    with pytest.raises(TableError, match=f"column order {said} .*-000001-01"):
        parquet.conform(replaced(signals, "order", orders), SIGNALS, "here")


def test_a_question_whose_target_changes_between_orders_is_refused(signals):
    """But for the question without content, of which any position may pass for the target's."""
    positions = signals["target_position"].to_pylist()
    positions[5] = positions[5] % 3 + 1
    wrong = replaced(signals, "target_position", positions)
    with pytest.raises(TableError, match=r"target is candidate \d in presentation .*-000001-02, but candidate \d"):
        parquet.conform(wrong, SIGNALS, "here")
    blank = replaced(wrong, "split", ["content_free"] * len(wrong))
    assert parquet.conform(blank, SIGNALS, "here")["target_position"].to_pylist() == positions


def test_a_table_with_the_schema_of_its_contract_is_not_conformed_again(signals, tmp_path):
    parquet.write(signals, tmp_path / "signals.parquet", SIGNALS)
    read = parquet.read(tmp_path / "signals.parquet", SIGNALS)
    assert parquet.conformed(read, SIGNALS, "here") is read
    wide = signals.set_column(3, "round", signals["round"].cast(pa.int64()))
    assert parquet.conformed(wide, SIGNALS, "here").equals(signals)
    with pytest.raises(TableError, match="here: column order missing"):
        parquet.conformed(signals.drop_columns("order"), SIGNALS, "here")


def test_a_wrong_type_is_refused_and_a_safe_cast_is_made(signals):
    wide = signals.set_column(3, "round", signals["round"].cast(pa.int64()))
    assert parquet.conform(wide, SIGNALS, "here")["round"].type == pa.int32()
    with pytest.raises(TableError, match="column round has type string, expected int32"):
        parquet.conform(replaced(signals, "round", ["x"] * len(signals)), SIGNALS, "here")


def test_a_file_that_is_missing_or_no_parquet_is_named(tmp_path):
    with pytest.raises(TableError, match=r"absent\.parquet: no such file"):
        parquet.read(tmp_path / "absent.parquet", SIGNALS)
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(TableError, match=r"text\.parquet: not a readable Parquet file"):
        parquet.read(tmp_path / "text.parquet", SIGNALS)


def test_a_truncated_file_is_refused(signals, tmp_path):
    file = tmp_path / "signals.parquet"
    parquet.write(signals, file, SIGNALS)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(TableError, match="not a readable Parquet file"):
        parquet.read(file, SIGNALS)


def test_a_refused_table_leaves_nothing_behind(signals, tmp_path):
    with pytest.raises(TableError):
        parquet.write(signals.drop_columns(["order"]), tmp_path / "signals.parquet", SIGNALS)
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_dies_leaves_no_partial_file(signals, tmp_path, monkeypatch):
    def full_disk(table, file, **options):
        pq.ParquetWriter(file, table.schema).close()
        raise OSError("No space left on device")

    monkeypatch.setattr(parquet.pq, "write_table", full_disk)
    with pytest.raises(OSError, match="No space left"):
        parquet.write(signals, tmp_path / "signals.parquet", SIGNALS)
    assert list(tmp_path.iterdir()) == []


def embedded(values: pa.Array) -> pa.Table:
    return pa.table({"image_id": [4, 5], "image_embedding": values, "caption_embedding": values})


@pytest.mark.parametrize("kept", [pa.float16(), pa.float32()])
def test_vectors_may_be_lists_of_fixed_size_and_stay_as_they_are(kept, tmp_path):
    numbers = pa.array(np.array([0.1, 0.2, 0.3, 0.4], np.float16)).cast(kept)
    table = embedded(pa.FixedSizeListArray.from_arrays(numbers, 2))
    parquet.write(table, tmp_path / "e.parquet", EMBEDDINGS)
    read = parquet.read(tmp_path / "e.parquet", EMBEDDINGS)
    assert read["image_embedding"].type == pa.list_(kept, 2)
    assert read["image_embedding"].to_pylist() == table["image_embedding"].to_pylist()


def test_vectors_of_fixed_size_are_checked_like_other_lists():
    numbers = pa.array(np.array([0.1, 0.2, np.nan, 0.4], np.float16))
    with pytest.raises(TableError, match=r"image_embedding holds nan in row 1 \(image_id 5\)"):
        parquet.conform(embedded(pa.FixedSizeListArray.from_arrays(numbers, 2)), EMBEDDINGS, "here")


def test_vectors_in_any_other_type_become_lists_in_single_precision():
    read = parquet.conform(
        embedded(pa.array([[0.25, 0.5], [0.75, 1.0]], pa.list_(pa.float64(), 2))), EMBEDDINGS, "here"
    )
    assert read["image_embedding"].type == pa.list_(pa.float32())


def test_an_images_table_may_lack_the_attribution():
    row = {"image_id": 1, "file_name": "1.png", "width": 1, "height": 1, "caption": "c", "category_ids": []}
    old = parquet.from_rows([row], contracts.IMAGES)
    assert "attribution" not in parquet.conform(old, contracts.IMAGES, "old").column_names
    new = old.append_column("attribution", pa.array(["where"]))
    assert parquet.conform(new, contracts.IMAGES, "new")["attribution"].to_pylist() == ["where"]
