"""A results folder as relations with their keys as columns."""

import duckdb
import pyarrow as pa
import pytest
from signals_factory import random_signals

from lad import catalog, tables
from lad.calibration.calibrate import calibrate
from lad.scoring.methods import score


def test_every_relation_is_there_even_in_an_empty_folder(tmp_path):
    connection = catalog.connect(tmp_path)
    for relation in catalog.RELATIONS.values():
        view = connection.table(relation.name)
        assert view.columns[: len(relation.keys)] == list(relation.keys)
        assert set(relation.contract.schema.names) <= set(view.columns)
        assert view.fetchall() == []


def test_keys_come_back_as_columns_of_their_type(tmp_path):
    for n in (2, 10):
        file = catalog.RELATIONS["signals"].path(
            tmp_path, model="m", dataset="d", setting="random", n=n, probe="vanilla", split="evaluation"
        )
        tables.write(random_signals(0, n, questions=1), file, tables.SIGNALS)
    rows = catalog.connect(tmp_path).sql(
        "select n, model, split, count(*) from signals where n > 2 group by all order by n"
    )
    assert rows.fetchall()[0][:3] == (10, "m", "evaluation")


def test_a_half_written_file_is_not_read(tmp_path):
    file = catalog.RELATIONS["images"].path(tmp_path, dataset="d")
    file.parent.mkdir(parents=True)
    (file.parent / f".{file.name}.x.partial").write_text("half")
    assert catalog.connect(tmp_path).sql("from images").fetchall() == []


@pytest.mark.parametrize("kept", [(), ("a",), ("a", "b")])
def test_the_attention_of_heads_is_a_column_whether_no_file_has_it_or_some_or_all(tmp_path, kept):
    for model in ("a", "b"):
        signals = random_signals(0, 4, questions=1)
        if model in kept:
            heads = pa.array([[[[0.25] * 4] * 2] * 3] * len(signals))
            signals = signals.append_column("head_attention", heads)
        keys = {"model": model, "dataset": "d", "setting": "random", "n": 4, "probe": "vanilla", "split": "evaluation"}
        tables.write(signals, catalog.RELATIONS["signals"].path(tmp_path, **keys), tables.SIGNALS)
    connection = catalog.connect(tmp_path)
    view = connection.table("signals")
    optional = [column.name for column in tables.SIGNALS.columns]
    assert set(optional) <= set(view.columns)
    assert str(dict(zip(view.columns, view.types, strict=True))["head_attention"]) == "FLOAT[][][]"
    heads = "select distinct model, head_attention[3][2][4] from signals order by model"
    assert connection.sql(heads).fetchall() == [(model, 0.25 if model in kept else None) for model in ("a", "b")]


def test_a_question_about_one_cell_leaves_the_files_of_others_unopened(tmp_path):
    """Among ten thousand files that is the difference between a moment and seconds; here the other is no Parquet."""
    row = {"method": "vanilla", "variant": "", "n_candidates": 4, "metric": "accuracy", "value": 50.0}
    metrics = tables.from_rows([{**row, "questions": 1, "presentations": 1}], tables.METRICS)
    cell = {"model": "m", "dataset": "d", "setting": "random", "n": 4, "probe": "vanilla"}
    keys = {**cell, "calibrated_on": "d-random", "calibration_questions": 5}
    tables.write(metrics, catalog.RELATIONS["metrics"].path(tmp_path, **keys), tables.METRICS)
    damaged = catalog.RELATIONS["metrics"].path(tmp_path, **{**keys, "model": "z"})
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no Parquet")
    connection = catalog.connect(tmp_path)
    assert connection.sql("select value from metrics where model = 'm'").fetchall() == [(50.0,)]
    with pytest.raises(duckdb.Error, match="model=z"):
        connection.sql("select value from metrics").fetchall()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such results folder"):
        catalog.connect(tmp_path / "nowhere")


def test_every_column_and_key_is_described():
    text = catalog.describe()
    for relation in catalog.RELATIONS.values():
        assert f"{relation.name}: {relation.contract.meaning}" in text
        for column in relation.contract.columns:
            assert f"  {column.name}" in text


def test_runs_and_timings_tell_what_was_recorded_with_the_tables(tmp_path):
    cell = {"model": "m", "dataset": "d", "setting": "random", "n": 4, "probe": "vanilla"}
    relations = catalog.RELATIONS
    recorded = {"device": "a GPU", "seconds": 12.5, "presentations": 24, "versions": {"torch": "2.13.0"}}
    signals = random_signals(0, 4)
    tables.write(signals, relations["signals"].path(tmp_path, **cell, split="calibration"), tables.SIGNALS, recorded)
    tables.write(signals, relations["signals"].path(tmp_path, **cell, split="evaluation"), tables.SIGNALS)
    folder = (
        relations["position_bias"].path(tmp_path, **cell, split="calibration", draw=1, calibration_questions=5).parent
    )
    calibrate(signals).write(folder, {"seconds": 0.25})
    scoring = {**cell, "calibrated_on": "d-random", "calibration_questions": 5}
    file = relations["predictions"].path(tmp_path, **scoring)
    tables.write(score(signals, None, "vanilla"), file, tables.PREDICTIONS, {"seconds": {"vanilla": 0.5, "agd;k=4": 1}})

    connection = catalog.connect(tmp_path)
    runs = connection.sql("select split, n, device, seconds, presentations, torch, dtype from runs order by split")
    assert runs.fetchall() == [
        ("calibration", 4, "a GPU", 12.5, 24, "2.13.0", None),
        ("evaluation", 4, None, None, None, None, None),
    ]
    timings = connection.sql("from timings order by step, method").fetchall()
    keys = tuple(scoring.values())
    assert timings == [
        (*keys, "calibrate", None, 0.25),
        (*keys, "score", "agd;k=4", 1.0),
        (*keys, "score", "vanilla", 0.5),
    ]


def test_recorded_views_have_the_columns_that_are_described(tmp_path):
    connection = catalog.connect(tmp_path)
    for relation in catalog.RECORDED.values():
        view = connection.table(relation.name)
        assert view.columns == [*relation.keys, *relation.contract.schema.names]
        assert view.fetchall() == []
