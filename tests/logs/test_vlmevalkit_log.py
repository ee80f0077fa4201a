"""VLMEvalKit's prediction tables: the copies of CircularEval are orders of one question."""

import json

import pytest
from written import shown_texts

from lad.logs import LogError, parse_log, signals_of
from lad.methods import score

HEADER = ("index", "question", "A", "B", "C", "answer", "prediction", "category")
ROWS = [  # question 7 in its three shifts, question 8 in one order
    (7, "Which?", "red", "blue", "green", "B", "A", "colour"),
    (1_000_007, "Which?", "green", "red", "blue", "C", "A. green", "colour"),
    (2_000_007, "Which?", "blue", "green", "red", "A", "The answer is A", "colour"),
    (8, "What?", "cat", "dog", "fox", "A", "I do not know", "animal"),
]


def written(path, rows=ROWS, header=HEADER):
    if path.suffix == ".json":
        path.write_text(json.dumps([dict(zip(header, row, strict=True)) for row in rows]))
        return path
    between = "\t" if path.suffix == ".tsv" else ","
    path.write_text("".join(between.join(map(str, row)) + "\n" for row in [header, *rows]))
    return path


@pytest.mark.parametrize("suffix", ["tsv", "csv", "json"])
def test_the_copies_of_circular_evaluation_are_orders_of_one_question(tmp_path, suffix):
    signals = signals_of(parse_log("vlmevalkit", {}).read(written(tmp_path / f"model_bench.{suffix}"))).signals
    assert signals["question_id"].to_pylist() == ["7", "7", "7", "8"]
    assert shown_texts(signals.slice(0, 3), list(ROWS[0][2:5])) == [list(row[2:5]) for row in ROWS[:3]]
    assert signals["target_position"].to_pylist() == [2, 3, 1, 1]
    assert signals["answered_position"].to_pylist() == [1, 1, 1, None]
    vote = score(signals.slice(0, 3), None, "permutation_average").to_pylist()
    assert vote[0]["scores"] == pytest.approx([1 / 3] * 3)


def test_a_column_of_groups_counts_where_indices_are_large(tmp_path):
    rows = [(*row, group) for row, group in zip(ROWS[:2], (1_000_007, 1_000_007), strict=True)]
    rows[0] = (1_000_007, *rows[0][1:])
    rows[1] = (11_000_007, *rows[1][1:])
    shown = parse_log("vlmevalkit", {}).read(written(tmp_path / "t.tsv", rows, (*HEADER, "g_index")))
    assert [one.question_id for one in shown] == ["1000007", "1000007"]


def test_a_sheet_says_what_the_table_says(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="XLSX is read by openpyxl, which is not installed")
    book = openpyxl.Workbook()
    for row in [HEADER, *ROWS]:
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    reader = parse_log("vlmevalkit", {})
    sheet, table = (signals_of(reader.read(p)).signals for p in (tmp_path / "t.xlsx", written(tmp_path / "t.tsv")))
    assert sheet.equals(table)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (("x", "Which?", "red", "blue", "green", "B", "A", "c"), 'has index "x", expected is a whole number'),
        ((9, "Which?", "red", "", "green", "A", "A", "c"), "has no B; a row has index, the options A, B ..."),
        ((9, "Which?", "red", "blue", "green", "D", "A", "c"), 'has answer "D"; expected is one of A, B, C'),
        ((9, "Which?", "red", "blue", "blue", "A", "A", "c"), 'shows the same candidate, "blue", at positions 2 and 3'),
    ],
)
def test_a_row_with_a_fault_is_refused_by_its_line(tmp_path, row, fault):
    with pytest.raises(LogError, match=f"t.tsv: line 3 {fault}"):
        parse_log("vlmevalkit", {}).read(written(tmp_path / "t.tsv", [ROWS[0], row]))


def test_files_of_other_kinds_are_refused(tmp_path):
    (tmp_path / "t.pkl").write_bytes(b"")
    (tmp_path / "t.json").write_text('{"index": 1}')
    with pytest.raises(LogError, match=r"t.pkl: a prediction table ends in one of .tsv, .csv, .json, .xlsx"):
        parse_log("vlmevalkit", {}).read(tmp_path / "t.pkl")
    with pytest.raises(LogError, match="expected is a list of rows"):
        parse_log("vlmevalkit", {}).read(tmp_path / "t.json")
