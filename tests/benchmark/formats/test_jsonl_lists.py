"""Lists among the lines of a file: what is read of them, and what is refused."""

import json
import sys
from pathlib import Path

import pytest

from lad import cli, contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.formats import parse_dataset
from lad.benchmark.formats.jsonl import Jsonl
from lad.benchmark.lines import read_list_lines

GOOD = {"query": "Who wrote Faust?", "candidates": ["Schiller", "Goethe", "Heine"], "relevance": [0, 2, 1]}


@pytest.fixture
def lines(tmp_path):
    def write(*entries: dict | str) -> Path:
        path = tmp_path / "lists.jsonl"
        path.write_text("".join((e if isinstance(e, str) else json.dumps(e)) + "\n" for e in entries), encoding="utf-8")
        return path

    return write


def numbered(count: int, listed: int = 30) -> list[dict]:
    """Lists longer than a prompt, each with its best candidate at a place of its own."""
    return [
        {
            "query": f"q{k}",
            "candidates": [f"text {k} {c}" for c in range(listed)],
            "relevance": [2 * (c == k) + (c == k + 2) for c in range(listed)],
        }
        for k in range(count)
    ]


def test_a_line_is_a_list_with_its_grades(lines):
    (one,) = read_list_lines(lines({**GOOD, "id": 7, "task": "books", "ideal": [1, 2, 1], "group": "novels"}))
    assert (one.id, one.task) == ("7", "books")
    ranked = one.list
    assert (ranked.id, ranked.query, ranked.group) == ("7", "Who wrote Faust?", "novels")
    assert (ranked.candidates, ranked.relevance) == (("Schiller", "Goethe", "Heine"), (0, 2, 1))
    assert ranked.ideal == (2, 1, 1)


def test_without_more_the_ideal_is_what_is_listed_and_a_target_is_the_one_that_is_relevant(lines):
    graded, single = read_list_lines(lines(GOOD, {"query": "q", "candidates": ["a", "b"], "target": 2}))
    assert graded.list.ideal == (2, 1)
    assert (single.list.relevance, single.list.ideal) == ((0, 1), (1,))


def test_a_list_is_cut_to_its_depth_and_what_is_cut_off_still_counts_as_relevant(lines):
    path = lines(*numbered(3))
    lists = Jsonl(format="jsonl", questions=str(path), depth=3).read_lists("questions")
    assert [one.relevance for one in lists] == [(2, 0, 1), (0, 2, 0), (0, 0, 2)]
    assert {one.ideal for one in lists} == {(2, 1)}


def test_only_a_dataset_with_a_depth_has_lists_and_others_are_read_by_the_same_words_as_before():
    plain, listed = (parse_dataset("jsonl", {"questions": "x.jsonl", **keys}) for keys in ({}, {"depth": "20"}))
    assert (plain.has_lists, listed.has_lists) == (False, True)
    assert plain.reading == {"questions": "x.jsonl"}
    assert listed.reading == {"questions": "x.jsonl", "depth": 20, "appearances": 2}
    assert (plain.questions_each(8), listed.questions_each(8)) == (1, 5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"relevance": [0, 1]}, "has 3 candidates and 2 grades"),
        ({"relevance": [0, 1, -1]}, "has the grade -1"),
        ({"relevance": "1"}, 'has relevance "1", expected is a list of whole numbers'),
        ({"relevance": [0, 0.5, 1]}, r"has relevance \[0, 0.5, 1\], expected is a list of whole numbers"),
        ({"relevance": [0, True, 1]}, r"has relevance \[0, true, 1\], expected is a list of whole numbers"),
        ({"ideal": [1]}, "has a candidate of grade 2 that is not counted among its ideal grades"),
        ({"ideal": [2, 1, 0]}, r"has ideal grades \[2, 1, 0\]; expected are grades above 0"),
        ({"candidates": ["a", "b", "a"]}, "has the same text as candidates 1 and 3"),
        ({"candidates": []}, "has no candidates"),
        ({"query": " "}, "has an empty query"),
        ({"group": 3}, "has group 3, expected is a text"),
    ],
)
def test_a_line_that_is_no_list_is_named_with_what_is_wrong(lines, change, said):
    with pytest.raises(BenchmarkError, match=f"line 2 {said}"):
        read_list_lines(lines(GOOD, {**GOOD, **change}))


def test_a_list_without_grades_or_target_is_refused_and_so_are_grades_where_no_depth_is_set(lines):
    path = lines({key: GOOD[key] for key in ("query", "candidates")})
    with pytest.raises(BenchmarkError, match="line 1 has no target"):
        read_list_lines(path)
    with pytest.raises(BenchmarkError, match="line 1 has relevance, as lists have: set the key depth of the dataset"):
        Jsonl(format="jsonl", questions=str(lines(GOOD))).read_images([])


def run(*arguments: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["lad", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
    assert end.value.code in (0, None)


def test_the_commands_write_images_lists_and_windows(lines, tmp_path):
    asked = ("--format", "jsonl", "--questions", str(lines(*numbered(12))), "--depth", "20")
    tables = {name: str(tmp_path / f"{name}.parquet") for name in ("images", "lists", "questions", "presentations")}
    run("images", *asked, "--out", tables["images"])
    here = (*asked, "--setting", "questions", "--images", tables["images"])
    run("lists", *here, "--out", tables["lists"])
    numbers = ("--dataset", "own", "--n", "8", "--evaluation", "10", "--calibration", "2")
    run("questions", *here, *numbers, "--out", tables["questions"])
    run("presentations", "--questions", tables["questions"], "--split", "evaluation", "--out", tables["presentations"])
    lists = parquet.read(Path(tables["lists"]), contracts.LISTS).to_pylist()
    assert [row["listed"] for row in lists] == [20] * 12
    assert all(len(row["ideal"]) == 2 for row in lists)
    windows = parquet.read(Path(tables["questions"]), contracts.QUESTIONS).to_pylist()
    assert len(windows) == 10 * 5 + 2
    shown = parquet.read(Path(tables["presentations"]), contracts.PRESENTATIONS)
    assert "relevance" in shown.column_names


def test_a_dataset_without_lists_has_none_to_write(lines, tmp_path, capsys):
    file = str(lines({"query": "q", "candidates": ["a", "b"], "target": 1}))
    asked = ["--format", "jsonl", "--questions", file, "--setting", "questions", "--images", "x", "--out", "y"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["lad", "lists", *asked])
        with pytest.raises(SystemExit) as end:
            cli.main()
    assert end.value.code == 1
    assert "format jsonl has no lists: its questions have one right candidate; with the key depth" in capsys.readouterr().err
