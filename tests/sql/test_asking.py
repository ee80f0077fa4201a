"""`lad sql`: where statements come from, what they may do, and in which form answers leave."""

import io
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lad import catalog, cli, contracts, parquet


@pytest.fixture
def results(tmp_path) -> Path:
    """Images of two datasets, without rows."""
    folder = tmp_path / "results"
    for dataset in ("birds", "cats"):
        file = catalog.RELATIONS["images"].path(folder, dataset=dataset)
        parquet.write(contracts.IMAGES.schema.empty_table(), file, contracts.IMAGES)
    return folder


@pytest.fixture
def ask(results, monkeypatch, capsysbinary):
    """`lad sql` with these arguments; returns exit code, standard output and error."""

    def run(*arguments: str | Path) -> tuple[int, bytes, str]:
        monkeypatch.setattr(sys, "argv", ["lad", "sql", *map(str, arguments), "--results", str(results)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        streams = capsysbinary.readouterr()
        return int(stop.value.code or 0), streams.out, streams.err.decode()

    return run


@pytest.mark.parametrize("text", ["select 1 as a; select 2 as b", "-- why\nselect 1 as a;\n\nselect 2 as b;\n"])
def test_the_statements_of_a_file_and_of_a_pipe_are_answered_one_after_the_other(ask, monkeypatch, tmp_path, text):
    (tmp_path / "file.sql").write_text(text)
    code, shown, _ = ask("-f", tmp_path / "file.sql")
    assert code == 0
    assert 0 < shown.index(b" a ") < shown.index(b" b ")
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert ask()[1] == shown
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert ask("--file", "-")[1] == shown
    assert ask(text)[1] == shown


def test_what_stands_before_a_mistake_is_answered(ask):
    code, shown, said = ask("select 1 as a; select b")
    assert (code, b" a " in shown) == (1, True)
    assert "Binder Error" in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["select 1; drop view images"], "a statement that writes needs --other-files"),
        (["-f", "nowhere.sql"], "nowhere.sql"),
        (["select 1", "--recipe", "accuracy"], "a query and --recipe are given; one of them is answered at a time"),
        (["select 1; select 2", "--format", "csv"], "2 statements; --format csv takes the answer of one"),
        (["-- nothing"], "there is no statement in it"),
        (["selec 1"], 'syntax error at or near "selec"'),
        (["from images", "--only", "sets=1"], "unknown key sets"),
        (["from images", "--only", "dataset=dogs"], "no table has dataset = dogs; there are birds, cats"),
        (["from images", "--only", "birds"], "'birds' is not name=value"),
        (["--save", "x.duckdb", "--format", "csv"], "--save goes with --results and --only alone"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(ask, arguments, told):
    code, shown, said = ask(*arguments)
    assert (code, b"2" in shown) == (1, False)
    assert told in said
    assert said.startswith("lad: error: ")
    assert said.count("\n") == 1


def test_nothing_is_answered_where_one_of_several_statements_may_not(ask):
    assert ask("select 1 as a; copy (select 1) to 'x.csv'")[1] == b""


def test_only_what_lies_under_a_key_is_seen(ask, results):
    row = {"image_id": 1, "file_name": "a.png", "width": 1, "height": 1, "caption": "", "category_ids": []}
    for dataset in ("birds", "cats"):
        file = catalog.RELATIONS["images"].path(results, dataset=dataset)
        parquet.write(parquet.from_rows([row], contracts.IMAGES), file, contracts.IMAGES)
    asked = ("select dataset from images order by all", "--format", "csv")
    assert ask(*asked)[1] == b"dataset\nbirds\ncats\n"
    assert ask(*asked, "--only", "dataset=cats")[1] == b"dataset\ncats\n"
    assert "there are birds, cats" in ask(*asked, "--only", "dataset=*")[2]


def test_parquet_goes_to_a_pipe_and_every_format_to_a_file_that_ends_in_it(ask, tmp_path):
    code, piped, _ = ask("select 1 as a, [1.5] as b", "--format", "parquet")
    assert code == 0
    assert pq.read_table(io.BytesIO(piped)).to_pylist() == [{"a": 1, "b": [1.5]}]
    for suffix, read in {
        "parquet": lambda file: pq.read_table(file).to_pylist(),
        "json": lambda file: json.loads(file.read_text()),
        "csv": lambda file: [dict([file.read_text().splitlines()])],
    }.items():
        out = tmp_path / f"answer.{suffix}"
        assert ask("select 1 as a", "--out", out) == (0, b"", "")
        assert read(out) == ([{"a": "1"}] if suffix == "csv" else [{"a": 1}])
    assert ask("select b", "--out", tmp_path / "failed.csv")[0] == 1
    assert sorted(file.name for file in tmp_path.glob("*.*")) == ["answer.csv", "answer.json", "answer.parquet"]


def test_parquet_is_not_thrown_at_a_terminal(ask, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert "Parquet is no text: name a file with --out" in ask("select 1", "--format", "parquet")[2]


def test_recipes_are_listed_without_a_name_and_for_a_wrong_one(ask):
    code, listed, _ = ask("--recipe")
    assert code == 0
    assert b"\nlead  " in listed
    assert ask("--recipe", "--format", "csv")[1] == listed
    code, shown, said = ask("--recipe", "acuracy")
    assert (code, shown) == (1, b"")
    assert said.startswith(listed.decode())
    assert "no recipe 'acuracy' (did you mean 'accuracy'?)" in said
    assert ask("--recipe", "accuracy", "--format", "csv")[1] == (
        b"model,dataset,setting,n,probe,method,variant,accuracy,low,high\n"
    )
