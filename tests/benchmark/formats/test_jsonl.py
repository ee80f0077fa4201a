"""Questions of one's own among texts, one JSON object per line."""

import json
import sys
from pathlib import Path

import pytest

from lad import cli, contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.formats.jsonl import Jsonl
from lad.benchmark.lines import read_lines

GOOD = {"query": "Who wrote Faust?", "candidates": ["Schiller", "Goethe"], "target": 2}


@pytest.fixture
def lines(tmp_path):
    """Write lines: objects as JSON, texts as they are."""

    def write(*entries: dict | str) -> str:
        path = tmp_path / "questions.jsonl"
        path.write_text("".join((e if isinstance(e, str) else json.dumps(e)) + "\n" for e in entries), encoding="utf-8")
        return str(path)

    return write


def numbered(count: int, n: int = 2, task: str | None = None) -> list[dict]:
    entries = []
    for k in range(count):
        entry = {"query": f"q{k}", "candidates": [f"{task}{n}-{k}-{c}" for c in range(n)], "target": k % n + 1}
        entries.append(entry | ({"task": task} if task else {}))
    return entries


def build(file: str, setting: str = "questions", **asked: int) -> list[dict]:
    dataset = Jsonl(format="jsonl", questions=file)
    asked = {"n": 2, "evaluation": 100, "calibration": 2, "seed": 0, **asked}
    images = dataset.read_images([setting]).table
    table = dataset.build_questions(images, dataset="d", setting=setting, **asked)
    texts = dict(zip(images["image_id"].to_pylist(), images["text"].to_pylist(), strict=True))
    rows = parquet.conform(table, contracts.QUESTIONS, "questions").to_pylist()
    return [{**row, "candidates": [texts[i] for i in row["candidates"]]} for row in rows]


def test_each_text_is_a_row_once_and_on_one_line(lines):
    file = lines({**GOOD, "candidates": [" Schiller\n", "Goe  the"]}, "", {**GOOD, "candidates": ["Schiller", "x"]})
    images = Jsonl(format="jsonl", questions=file).read_images([]).table
    assert parquet.conform(images, contracts.IMAGES, "images")["text"].to_pylist() == ["Schiller", "Goe the", "x"]
    assert images["image_id"].to_pylist() == [1, 2, 3]
    assert set(images["caption"].to_pylist()) == {""}


def test_a_question_keeps_its_query_candidates_target_and_id(lines):
    entries = numbered(6)
    entries[3] |= {"id": "mine"}
    asked = {row["question_id"].rsplit("-", 1)[1]: row for row in build(lines(*entries))}
    assert asked.keys() == {"line1", "line2", "line3", "mine", "line5", "line6"}
    for entry, row in zip(
        entries, (asked[i] for i in ("line1", "line2", "line3", "mine", "line5", "line6")), strict=True
    ):
        assert (row["caption"], row["candidates"], row["target"]) == tuple(
            entry[k] for k in ("query", "candidates", "target")
        )


def test_a_benchmark_asks_the_questions_of_its_n_and_task_and_the_others_are_told(lines):
    file = lines(*numbered(4), *numbered(5, n=3), *numbered(6, n=3, task="law"))
    assert len(build(file)) == 4
    assert len(build(file, n=3)) == 5
    assert len(build(file, "law", n=3)) == 6
    summary = Jsonl(format="jsonl", questions=file).read_images([]).summary
    assert "questions: 4 with 2, 5 with 3; law: 6 with 3" in summary


def test_more_questions_of_one_role_change_none_of_the_other(lines):
    file = lines(*numbered(20))
    few, many = build(file, evaluation=5), build(file, evaluation=5, calibration=8)
    evaluated = [[row for row in rows if row["role"] == "evaluation"] for rows in (few, many)]
    assert evaluated[0] == evaluated[1]
    assert [row for row in many if row["role"] == "calibration"][:2] == [
        row for row in few if row["role"] == "calibration"
    ]


def test_no_target_that_calibrates_is_asked_for(lines):
    entries = [{"query": f"q{k}", "candidates": ["the same answer", f"other {k}"], "target": 1} for k in range(4)]
    with pytest.raises(BenchmarkError, match="1 calibration questions and at least one other with 2 candidates wanted"):
        build(lines(*entries), calibration=1)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", r"is not JSON \(.*, character 2\)"),
        ("[1]", "is not an object; a line is"),
        ({**GOOD, "query": " \n"}, "has an empty query"),
        ({**GOOD, "query": None}, "has no query"),
        ({**GOOD, "query": 3}, "has query 3, expected is a text"),
        ({"query": "q", "target": 1}, "has no candidates"),
        ({**GOOD, "candidates": "ab"}, 'has candidates "ab", expected is a list of texts'),
        ({**GOOD, "candidates": ["a", ""]}, "has an empty candidate 2"),
        ({**GOOD, "candidates": ["a", 2]}, "has candidate 2 2, expected is a text"),
        ({**GOOD, "candidates": ["a", "b", " a"]}, 'has the same text as candidates 1 and 3: "a"'),
        ({**GOOD, "candidates": ["a"]}, "has 1 candidates; allowed are 2 to 12"),
        ({**GOOD, "candidates": [f"c{k}" for k in range(13)]}, "has 13 candidates; allowed are 2 to 12"),
        ({"query": "q", "candidates": ["a", "b"]}, r"has no target: which candidate is right, 1 to 2\?"),
        ({**GOOD, "target": 0}, "has target 0; allowed are 1 to 2"),
        ({**GOOD, "target": 3}, "has target 3; allowed are 1 to 2"),
        ({**GOOD, "target": "2"}, 'has target "2"; allowed are 1 to 2'),
        ({**GOOD, "target": True}, "has target true; allowed are 1 to 2"),
        ({**GOOD, "id": []}, r"has id \[\], expected is a text or a whole number"),
        ({**GOOD, "id": "line1"}, "has id 'line1', as line 1 has"),
        ({**GOOD, "task": "a b"}, 'has task "a b", expected are letters'),
    ],
)
def test_a_bad_line_is_named_with_file_and_number_in_one_line(lines, line, fault):
    with pytest.raises(BenchmarkError, match=rf"questions\.jsonl: line 2 {fault}") as refused:
        read_lines(Path(lines(GOOD, line)))
    assert "\n" not in str(refused.value)


def test_all_bad_lines_are_told_together(lines):
    bad = {**GOOD, "target": 5}
    with pytest.raises(BenchmarkError, match=r"line 1 has target 5.*; line 3 .*; line 4 .* and 1 more, 4 in all$"):
        read_lines(Path(lines(bad, GOOD, bad, bad, bad)))


def test_a_file_that_is_missing_empty_or_no_text_is_named(lines, tmp_path):
    with pytest.raises(BenchmarkError, match=r"nowhere\.jsonl: cannot be read"):
        read_lines(tmp_path / "nowhere.jsonl")
    with pytest.raises(BenchmarkError, match="has no question; a line is"):
        read_lines(Path(lines("", " ")))
    (tmp_path / "latin").write_bytes(b"\xe4\xff")
    with pytest.raises(BenchmarkError, match="not a text file in UTF-8"):
        read_lines(tmp_path / "latin")


def test_an_unknown_task_lists_those_there_are(lines):
    dataset = Jsonl(format="jsonl", questions=lines(*numbered(3, task="law")))
    with pytest.raises(BenchmarkError, match="has no task 'laws'; it has: law"):
        dataset.read_images(["laws"])


def test_the_commands_read_and_ask_them_without_a_folder_of_images(lines, tmp_path, monkeypatch, capsys):
    def lad(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["lad", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0

    of = ("--format", "jsonl", "--questions", lines(*numbered(5)))
    images, out = tmp_path / "images.parquet", tmp_path / "questions.parquet"
    assert lad("images", *of, "--setting", "questions", "--out", images) == 0
    asked = ("--dataset", "d", "--setting", "questions", "--n", 2, "--calibration", 2, "--out", out)
    assert lad("questions", *of, "--images", images, *asked) == 0
    assert parquet.read(out, contracts.QUESTIONS).num_rows == 5
    capsys.readouterr()
    assert lad("images", "--format", "jsonl", "--out", images) == 1
    assert "format jsonl: the key questions is missing" in capsys.readouterr().err
