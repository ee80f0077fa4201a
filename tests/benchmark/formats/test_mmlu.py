"""MMLU's two forms: a table, and the authors' CSV files. The samples are made, of the published columns."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lad.benchmark import BenchmarkError
from lad.benchmark.formats.mmlu import Mmlu, read_questions

GOOD = {"question": "Which is a\nprime?", "subject": "number_theory", "choices": ["1", "3", "4", "6"], "answer": 1}
CSV = 'Which is a prime?,1,3,4,6,B\n"Which, of these, is ""even""?",1,3,4,7,C\n'


@pytest.fixture
def table(tmp_path):
    def write(*entries: dict | str, name: str = "test.jsonl") -> Path:
        path = tmp_path / name
        if path.suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist(entries), path)
        else:
            path.write_text("".join((e if isinstance(e, str) else json.dumps(e)) + "\n" for e in entries))
        return path

    return write


@pytest.fixture
def csv(tmp_path):
    """Write CSV files of subjects to a folder."""

    def write(**files: str) -> Path:
        folder = tmp_path / "val"
        folder.mkdir()
        for name, text in files.items():
            (folder / f"{name}.csv").write_text(text)
        return folder

    return write


@pytest.mark.parametrize("name", ["test.jsonl", "test.parquet"])
def test_a_table_gives_a_question_per_row_and_answers_count_from_0(table, name):
    (made,) = read_questions(table(GOOD, name=name)).made
    assert (made.query, made.task) == ("Which is a\nprime?", "number_theory")
    assert (made.candidates, made.answer, made.target) == (("1", "3", "4", "6"), "3", 2)


def test_a_folder_of_csv_files_gives_the_same_with_the_files_names_as_subjects(csv):
    read = read_questions(csv(number_theory_val=CSV, logic_val="Is it?,yes,no,maybe,never,A\n"))
    assert [(made.task, made.id, made.answer) for made in read.made] == [
        *[("logic", "logic-entry1", "yes"), ("number_theory", "number_theory-entry1", "3")],
        ("number_theory", "number_theory-entry2", "4"),
    ]
    assert read.made[-1].query == 'Which, of these, is "even"?'


def test_questions_of_a_folder_are_dealt_one_by_one(csv):
    """Every file counts from 1."""
    subject = "".join(f"Question {{}} {k}?,a{k},b,c,d,A\n" for k in range(4))
    folder = csv(one_test=subject.replace("{}", "one"), two_test=subject.replace("{}", "two"))
    dataset = Mmlu(format="mmlu", questions=str(folder))
    asked = {"n": 4, "evaluation": 100, "calibration": 2, "seed": 0}
    table = dataset.build_questions(dataset.read_images([]).table, dataset="d", setting="all", **asked)
    assert len(set(table["caption"].to_pylist())) == 8


def test_a_setting_is_a_subject_or_all(table):
    dataset = Mmlu(format="mmlu", questions=str(table(GOOD, GOOD | {"subject": "logic", "choices": ["a", "b"]})))
    assert dataset.read_images(["logic"]).table["text"].to_pylist() == ["a", "b"]
    assert len(dataset.read_images(["all"]).table) == 6
    with pytest.raises(BenchmarkError, match="has no task 'law'; it has: number_theory, logic; and all"):
        dataset.read_images(["law"])


@pytest.mark.parametrize(
    ("choices", "reason"),
    [(["1", "3", "3 ", "4"], "has two choices of the same words"), (["1", "3", "", "4"], "has an empty choice 3")],
)
def test_a_question_whose_choices_are_not_different_texts_is_left_out_and_counted(table, choices, reason):
    read = read_questions(table(GOOD, GOOD | {"choices": choices}))
    assert (len(read.made), read.left) == (1, [{"entry": "line 2", "reason": reason}])


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("{", r"is not JSON \(.*, character 2\)"),
        ({"question": "q"}, "has no subject; its keys are: question"),
        (GOOD | {"subject": ""}, "has an empty subject"),
        (GOOD | {"subject": "number theory"}, 'has subject "number theory", expected are letters'),
        (GOOD | {"question": None}, "has no question"),
        (GOOD | {"choices": "1, 3"}, 'has choices "1, 3", expected is a list of texts'),
        (GOOD | {"choices": ["1"]}, "has 1 choices; allowed are 2 to 12"),
        (GOOD | {"choices": [1, 3, 4, 6]}, "has choice 1 1, expected is a text"),
        (GOOD | {"answer": None}, "has answer null; allowed are 0 to 3, or A to D"),
        (GOOD | {"answer": 4}, "has answer 4; allowed are 0 to 3, or A to D"),
        (GOOD | {"answer": "E"}, 'has answer "E"; allowed are 0 to 3, or A to D'),
        (GOOD | {"answer": True}, "has answer true; allowed are 0 to 3, or A to D"),
    ],
)
def test_an_entry_that_is_not_of_the_form_is_refused_in_one_line(table, entry, fault):
    with pytest.raises(BenchmarkError, match=rf"test\.jsonl: line 2 {fault}") as refused:
        read_questions(table(GOOD, entry))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("q,a,B\n", "row 1 has 3 cells; expected are the question, 2 to 12 choices and the answer"),
        (CSV + "q,a,b,c,d,E\n", 'row 3 has answer "E"; allowed are 0 to 3, or A to D'),
        (CSV + ",a,b,c,d,A\n", "row 3 has an empty question"),
        ('"q"x,a,b,c,d,A\n', "row 1 is no CSV"),
        ("", "has no entry"),
    ],
)
def test_a_csv_file_that_is_not_of_the_form_is_refused_in_one_line(csv, text, fault):
    with pytest.raises(BenchmarkError, match=rf"logic_val\.csv: {fault}"):
        read_questions(csv(logic_val=text))


def test_a_folder_without_questions_is_refused(csv):
    with pytest.raises(
        BenchmarkError, match=r"val: has no CSV file; expected are files such as global_facts_test\.csv"
    ):
        read_questions(csv())
