"""A results folder as relations with their keys as columns."""

import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from signals_factory import of_an_earlier_version, random_signals

from lad import catalog, contracts, parquet
from lad.calibration.calibrate import calibrate
from lad.grid import CalibrationSource
from lad.methods import score


def without_rows(results: Path) -> Path:
    """A results folder whose only file, a table of images, has no row."""
    file = catalog.RELATIONS["images"].path(results, dataset="d")
    parquet.write(contracts.IMAGES.schema.empty_table(), file, contracts.IMAGES)
    return results


def metrics_of(results: Path, *values: float, method: str = "vanilla", **keys: str | int) -> None:
    """One file of metrics: accuracies of a method."""
    row = {"method": method, "variant": "", "n_candidates": 4, "metric": "accuracy", "questions": 1, "presentations": 1}
    cell = {"model": "demo", "dataset": "scenes", "setting": "random", "n": 4, "probe": "vanilla"}
    file = catalog.RELATIONS["metrics"].path(
        results, **{**cell, **CalibrationSource("scenes", "random").keys, "calibration_questions": 5, **keys}
    )
    parquet.write(parquet.from_rows([{**row, "value": v} for v in values], contracts.METRICS), file, contracts.METRICS)


def test_every_relation_is_there_even_if_it_has_no_file(tmp_path):
    connection = catalog.connect(without_rows(tmp_path))
    for relation in catalog.RELATIONS.values():
        view = connection.table(relation.name)
        assert view.columns[: len(relation.keys)] == list(relation.keys)
        assert set(relation.contract.schema.names) <= set(view.columns)
        assert view.fetchall() == []


def test_a_folder_without_tables_is_refused_with_what_is_expected_in_it(tmp_path):
    metrics_of(tmp_path / "results", 50.0)
    (tmp_path / "empty").mkdir()
    for wrong in ("empty", "results/metrics", "."):
        expected = rf"{tmp_path / wrong}: no table of a results folder .* signals/model=\*/.*signals\.parquet below it"
        with pytest.raises(catalog.CatalogError, match=expected):
            catalog.connect(tmp_path / wrong)
    assert catalog.connect(tmp_path / "results").sql("select value from metrics").fetchall() == [(50.0,)]


@pytest.mark.parametrize("name", ["a[1]b", "st*r", "wh?t", "it's", "[", "b]{x,y}"])
def test_nothing_in_the_name_of_a_results_folder_is_a_wildcard(tmp_path, name):
    metrics_of(tmp_path / name, 50.0)
    metrics_of(tmp_path / "a1b", 99.0)
    metrics_of(tmp_path / "staar", 99.0)
    metrics_of(tmp_path / "what", 99.0)
    assert catalog.connect(tmp_path / name).sql("select value from metrics").fetchall() == [(50.0,)]


def test_a_folder_above_the_results_that_is_named_like_a_column_is_refused(tmp_path, monkeypatch):
    for above in ("n=99", "Method=pride"):
        metrics_of(tmp_path / above / "results", 50.0)
        with pytest.raises(catalog.CatalogError, match=f"folder {above} .* column {above.split('=')[0].lower()};"):
            catalog.connect(tmp_path / above / "results")
    monkeypatch.chdir(tmp_path / "n=99")
    assert catalog.connect(Path("results")).sql("select n from metrics").fetchall() == [(4,)]
    metrics_of(tmp_path / "lr=0.1" / "results", 50.0)
    assert catalog.connect(tmp_path / "lr=0.1" / "results").sql("select n, value from metrics").fetchall() == [(4, 50)]


def test_a_damaged_file_that_opening_looks_at_is_named_in_one_line(tmp_path):
    keys = {"model": "m", "dataset": "d", "setting": "random", "n": 4, "probe": "vanilla", "split": "evaluation"}
    damaged = catalog.RELATIONS["signals"].path(tmp_path, **keys)
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no Parquet")
    with pytest.raises(catalog.CatalogError, match=r"cannot be read .*split=evaluation/signals\.parquet") as refusal:
        catalog.connect(tmp_path)
    assert "\n" not in str(refusal.value)


CELL = {"model": "m", "dataset": "d", "setting": "random", "n": 4, "probe": "vanilla", "split": "evaluation"}


def test_keys_come_back_as_columns_of_their_type(tmp_path):
    for n in (2, 10):
        file = catalog.RELATIONS["signals"].path(
            tmp_path, model="m", dataset="d", setting="random", n=n, probe="vanilla", split="evaluation"
        )
        parquet.write(random_signals(0, n, questions=1), file, contracts.SIGNALS)
    rows = catalog.connect(tmp_path).sql(
        "select n, model, split, count(*) from signals where n > 2 group by all order by n"
    )
    assert rows.fetchall()[0][:3] == (10, "m", "evaluation")


def test_a_half_written_file_is_not_read(tmp_path):
    file = catalog.RELATIONS["images"].path(tmp_path, dataset="d")
    file.parent.mkdir(parents=True)
    (file.parent / f".{file.name}.x.partial").write_text("half")
    metrics_of(tmp_path, 50.0)
    assert catalog.connect(tmp_path).sql("from images").fetchall() == []


@pytest.mark.parametrize("kept", [(), ("a",), ("a", "b")])
def test_the_attention_of_heads_is_a_column_whether_no_file_has_it_or_some_or_all(tmp_path, kept):
    for model in ("a", "b"):
        signals = random_signals(0, 4, questions=1)
        if model in kept:
            heads = pa.array([[[[0.25] * 4] * 2] * 3] * len(signals))
            signals = signals.append_column("head_attention", heads)
        keys = {"model": model, "dataset": "d", "setting": "random", "n": 4, "probe": "vanilla", "split": "evaluation"}
        parquet.write(signals, catalog.RELATIONS["signals"].path(tmp_path, **keys), contracts.SIGNALS)
    connection = catalog.connect(tmp_path)
    view = connection.table("signals")
    optional = [column.name for column in contracts.SIGNALS.columns]
    assert set(optional) <= set(view.columns)
    assert str(dict(zip(view.columns, view.types, strict=True))["head_attention"]) == "FLOAT[][][]"
    heads = "select distinct model, head_attention[3][2][4] from signals order by model"
    assert connection.sql(heads).fetchall() == [(model, 0.25 if model in kept else None) for model in ("a", "b")]


@pytest.mark.parametrize("old", [("a",), ("a", "b")])
def test_files_of_earlier_versions_are_asked_by_the_present_names_alone_and_beside_new_ones(tmp_path, old):
    query = "select * from signals order by model, presentation_id"
    for folder in ("new", "old"):
        for model, heads in (("a", None), ("b", 2)):
            file = catalog.RELATIONS["signals"].path(tmp_path / folder, **{**CELL, "model": model})
            parquet.write(random_signals(0, 4, questions=2, heads=heads), file, contracts.SIGNALS)
            if folder == "old" and model in old:
                of_an_earlier_version(file)
    expected, found = (catalog.connect(tmp_path / folder).sql(query).to_arrow_table() for folder in ("new", "old"))
    assert found.equals(expected.select(found.column_names))
    assert set(found.column_names) == set(expected.column_names)


def test_a_question_about_one_cell_leaves_the_files_of_others_unopened(tmp_path):
    """Among ten thousand files that is the difference between a moment and seconds; here the other is no Parquet."""
    metrics_of(tmp_path, 50.0, model="m")
    metrics_of(tmp_path, 60.0, model="z")
    (damaged,) = tmp_path.glob("metrics/model=z/**/metrics.parquet")
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
            assert re.search(rf'^  "?{column.name}"?( |:)', text, re.MULTILINE)


def test_columns_that_sql_keeps_for_itself_are_described_in_quotes(tmp_path):
    reserved = "select keyword_name from duckdb_keywords() where keyword_category = 'reserved'"
    words = {word for (word,) in catalog.connect(without_rows(tmp_path)).sql(reserved).fetchall()}
    relations = (*catalog.RELATIONS.values(), *catalog.RECORDED.values())
    names = {name for r in relations for name in (*r.keys, *(column.name for column in r.contract.columns))}
    assert names & words == {"order", "group"}
    assert '  "order" (quoted, being a word of SQL): candidate at each position' in catalog.describe()


def test_runs_and_timings_tell_what_was_recorded_with_the_tables(tmp_path):
    cell = {"model": "m", "dataset": "d", "setting": "random", "n": 4, "probe": "vanilla"}
    relations = catalog.RELATIONS
    recorded = {"device": "a GPU", "seconds": 12.5, "presentations": 24, "versions": {"torch": "2.13.0"}}
    signals = random_signals(0, 4)
    parquet.write(
        signals, relations["signals"].path(tmp_path, **cell, split="calibration"), contracts.SIGNALS, recorded
    )
    parquet.write(signals, relations["signals"].path(tmp_path, **cell, split="evaluation"), contracts.SIGNALS)
    folder = (
        relations["position_bias"]
        .path(tmp_path, **cell, split="calibration", calibration_set=1, calibration_questions=5)
        .parent
    )
    calibrate(signals).write(folder, {"seconds": 0.25})
    scoring = {**cell, **CalibrationSource("d", "random").keys, "calibration_questions": 5}
    file = relations["predictions"].path(tmp_path, **scoring)
    parquet.write(
        score(signals, None, "vanilla"), file, contracts.PREDICTIONS, {"seconds": {"vanilla": 0.5, "agd;k=4": 1}}
    )

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
    connection = catalog.connect(without_rows(tmp_path))
    for relation in catalog.RECORDED.values():
        view = connection.table(relation.name)
        assert view.columns == [*relation.keys, *relation.contract.schema.names]
        assert view.fetchall() == []
