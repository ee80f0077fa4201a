"""`lad sql --save`: a database that any program opens, and that replaces nothing but its like."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from lad import catalog, contracts, parquet
from lad.sql.database import SavingError, save

ROW = {"image_id": 1, "file_name": "a.png", "width": 1, "height": 1, "caption": "", "category_ids": []}


@pytest.fixture
def results(tmp_path) -> Path:
    """One image of one dataset, in a folder whose name needs quoting."""
    folder = tmp_path / "it's [here]"
    add_image(folder, "birds")
    return folder


def add_image(folder: Path, dataset: str) -> None:
    file = catalog.RELATIONS["images"].path(folder, dataset=dataset)
    parquet.write(parquet.from_rows([ROW], contracts.IMAGES), file, contracts.IMAGES)


def asked(database: Path, query: str) -> list[tuple]:
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.sql(query).fetchall()


def test_it_answers_from_any_folder_without_this_package(results, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(Path("it's [here]"), Path("lad.duckdb"))
    program = "import duckdb; print(duckdb.connect('{}').sql('select dataset, image_id from images').fetchall())"
    run = [sys.executable, "-I", "-c", program.format(tmp_path / "lad.duckdb")]
    shown = subprocess.run(run, cwd="/", capture_output=True, text=True, check=True).stdout
    assert shown == "[('birds', 1)]\n"
    assert asked(Path("lad.duckdb"), "select results from results_folder") == [(str(tmp_path / "it's [here]"),)]


def test_every_relation_is_a_view_with_its_meaning_and_those_of_its_columns(results, tmp_path):
    save(results, tmp_path / "lad.duckdb")
    names = {**catalog.RELATIONS, **catalog.RECORDED}
    found = dict(asked(tmp_path / "lad.duckdb", "select view_name, comment from duckdb_views() where not internal"))
    assert {name: found[name] for name in names} == {name: r.contract.meaning for name, r in names.items()}
    columns = "select comment is not null from duckdb_columns() where table_name in ({})"
    listed = ", ".join(f"'{name}'" for name in names)
    assert {told for (told,) in asked(tmp_path / "lad.duckdb", columns.format(listed))} == {True}


def test_attached_beside_others_its_views_find_each_other(results, tmp_path):
    save(results, tmp_path / "lad.duckdb")
    with duckdb.connect() as connection:
        connection.execute(f"attach '{tmp_path}/lad.duckdb' as saved")
        assert connection.sql("from saved.runs").fetchall() == connection.sql("from saved.timings").fetchall() == []


def test_it_sees_files_that_come_later_and_only_what_lies_under_its_keys(results, tmp_path):
    add_image(results, "cats")
    save(results, tmp_path / "all.duckdb")
    save(results, tmp_path / "cats.duckdb", {"dataset": "cats"})
    add_image(results, "dogs")
    datasets = "select dataset from images order by all"
    assert asked(tmp_path / "all.duckdb", datasets) == [("birds",), ("cats",), ("dogs",)]
    assert asked(tmp_path / "cats.duckdb", datasets) == [("cats",)]


def test_an_earlier_one_is_replaced_and_nothing_else_is(results, tmp_path):
    out = tmp_path / "lad.duckdb"
    save(results, out)
    save(results, out)
    with duckdb.connect(str(out)) as connection:
        connection.execute("create table mine as select 1 as a")
    with pytest.raises(SavingError, match="holds more than `lad sql --save` writes; name another file, or remove"):
        save(results, out)
    assert asked(out, "from mine") == [(1,)]
    text = tmp_path / "notes.txt"
    text.write_text("mine")
    with pytest.raises(SavingError, match=r"notes\.txt: is no database that `lad sql --save` wrote"):
        save(results, text)
    assert text.read_text() == "mine"
    with pytest.raises(SavingError, match="is a folder; name a file in it"):
        save(results, tmp_path)


def test_a_folder_that_cannot_be_written_in_leaves_nothing_behind(results, tmp_path):
    add_image(results, "cats")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(catalog.CatalogError, match="no table has dataset = dogs"):
        save(results, tmp_path / "lad.duckdb", {"dataset": "dogs"})
    assert sorted(tmp_path.iterdir()) == before
