"""The general table of answers and log-probabilities: CSV, TSV and JSONL say the same, and faults are told by line."""

import csv
import json

import pytest
from typer.testing import CliRunner
from written import evaluation, rows_of, shown_texts, write_lines

from lad import contracts, parquet
from lad.cli import app
from lad.logs import LogError, parse_log, signals_of

GOOD = {"question_id": "q", "order": [2, 1], "logprobs": [-0.1, -2.0]}
FAULTS = {
    "question_id is missing": {"order": [1, 2]},
    "has neither order nor choices": {"question_id": "q"},
    "has both order and choices": GOOD | {"choices": ["a", "b"]},
    r"has order \[1, 3\]; it shows each of the candidates 1 to 2 once": GOOD | {"order": [1, 3]},
    "shows the same candidate, 1, at positions 1 and 2": GOOD | {"order": [1, 1]},
    "has 1 candidates; allowed are 2 to 26": GOOD | {"order": [1]},
    "has 3 logprobs for 2 positions": GOOD | {"logprobs": [-1, -1, -1]},
    r"has logprob 0.9; the logarithm of a probability is 0 or less": GOOD | {"logprobs": [0.9, 0.1]},
    r"unknown key 'logprob' \(did you mean 'logprobs'\?\)": {"question_id": "q", "order": [2, 1], "logprob": [-1, -2]},
    "has target 3, which is not among those shown": GOOD | {"target": 3},
    "has target_position 0; allowed are 1 to 2": GOOD | {"target_position": 0},
    "has both target and target_position": GOOD | {"target": 1, "target_position": 1},
    'has candidate "c", which is not among those shown': {"question_id": "q", "choices": ["a", "b"], "candidate": "c"},
    'position: cannot be "A"; allowed: a whole number': {"question_id": "q", "order": [1, 2], "position": "A"},
    "is not an object": [1, 2],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_row_with_a_fault_is_refused_by_its_line(tmp_path, fault):
    path = write_lines(tmp_path / "log.jsonl", [GOOD, FAULTS[fault]])
    with pytest.raises(LogError, match=f"log.jsonl: line 2 .*({fault})") as refused:
        parse_log("answers", {}).read(path)
    assert "\n" not in str(refused.value)


def test_all_faults_are_counted_and_three_told(tmp_path):
    path = write_lines(tmp_path / "log.jsonl", [GOOD, *5 * [GOOD | {"order": [1]}]])
    with pytest.raises(LogError, match=r"line 2 .*; line 3 .*; line 4 .* and 2 more, 5 in all"):
        parse_log("answers", {}).read(path)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "holds no presentation"),
        ("{", r"line 1 is not JSON \(.*, character 2\)"),
        (
            json.dumps(GOOD | {"question_id": "q"}) + "\n" + json.dumps(GOOD | {"order": [1, 2, 3], "logprobs": None}),
            None,
        ),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, text, fault):
    path = tmp_path / "log.jsonl"
    path.write_text(text)
    with pytest.raises(LogError, match=fault or "differ in their number of candidates"):
        signals_of(parse_log("answers", {}).read(path))
    with pytest.raises(LogError, match=r"absent.jsonl: cannot be read"):
        parse_log("answers", {}).read(tmp_path / "absent.jsonl")


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        (["question_id,order,order"], "column 'order' is there twice"),
        (["question_id,order", "q,1 2,3"], "line 2 has 3 cells, the header has 2"),
        (["question_id,order", "q,1 x"], 'line 2 has order "1 x", expected is a list as in JSON'),
        (["question_id,order,position", "q,1 2,first"], 'line 2 has position "first", expected is a whole number'),
        (["question_id,choices", "q,red"], 'line 2 has choices "red", expected is a list as in JSON'),
        (["question_id,order,score", "q,1 2,0.5"], "line 2 is wrong: .*unknown key 'score'"),
    ],
)
def test_a_table_with_a_fault_is_refused_by_its_line(tmp_path, rows, fault):
    path = tmp_path / "log.csv"
    path.write_text("\n".join(rows) + "\n")
    with pytest.raises(LogError, match=f"log.csv: {fault}"):
        parse_log("answers", {}).read(path)


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_a_table_says_what_lines_say(tmp_path, suffix):
    rows = rows_of(evaluation())
    path = tmp_path / f"log.{suffix}"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if suffix == "tsv" else ",")
        writer.writerow(rows[0])
        writer.writerows(
            [r["question_id"], " ".join(map(str, r["order"])), r["target_position"], json.dumps(r["logprobs"])]
            for r in rows
        )
    lines = write_lines(tmp_path / "log.jsonl", rows)
    read = [signals_of(parse_log("answers", {}).read(each)).signals for each in (path, lines)]
    assert read[0].equals(read[1])


def test_choices_may_be_given_as_texts(tmp_path):
    rows = [
        {"question_id": "q", "choices": ["red", "blue", "Green"], "target": "blue", "answer": "green."},
        {"question_id": "q", "choices": ["blue", "Green", "red"], "target_position": 1, "candidate": "red"},
        {"question_id": "q", "choices": ["blue", "red", "Green"], "answer": "The answer is (B)."},
    ]
    signals = signals_of(parse_log("answers", {}).read(write_lines(tmp_path / "log.jsonl", rows))).signals
    assert shown_texts(signals, rows[0]["choices"]) == [row["choices"] for row in rows]
    assert signals["target_position"].to_pylist() == [2, 1, None]
    assert signals["answered_position"].to_pylist() == [3, 3, 2]


@pytest.mark.parametrize(
    ("second", "fault"),
    [
        ({"choices": ["red", "green"]}, "line 2 shows other candidates of question q than .*line 1 does"),
        ({"choices": ["blue", "red"], "target": "red"}, "line 2 has another target of question q than .*line 1 has"),
    ],
)
def test_a_question_is_the_same_in_every_order(tmp_path, second, fault):
    rows = [{"question_id": "q", "choices": ["red", "blue"], "target": "blue"}, {"question_id": "q"} | second]
    with pytest.raises(LogError, match=fault):
        signals_of(parse_log("answers", {}).read(write_lines(tmp_path / "log.jsonl", rows)))


def test_the_numbers_of_texts_lean_to_no_position(tmp_path):
    """Of equal votes the lower number wins, which must not be the position of the first order."""
    rows = [{"question_id": f"q{at}", "choices": ["red", "blue", "green"], "position": 1} for at in range(300)]
    orders = signals_of(parse_log("answers", {}).read(write_lines(tmp_path / "log.jsonl", rows))).signals["order"]
    firsts = [order.index(1) for order in orders.to_pylist()]
    assert all(80 <= firsts.count(place) <= 120 for place in (0, 1, 2))


def test_identifiers_may_be_digits(tmp_path):
    rows = [{"question_id": "q", "order": [1, 2, 3], "answer": "Image 3"}]
    reader = parse_log("answers", {"identifiers": "digits"})
    read = signals_of(reader.read(write_lines(tmp_path / "log.jsonl", rows)), reader.named)
    assert read.signals["answered_position"].to_pylist() == [3]
    assert read.metadata["identifiers"] == ["1", "2", "3"]


def test_the_command_writes_signals_with_where_they_come_from(tmp_path):
    log, out, aside = (tmp_path / name for name in ("log.jsonl", "out.parquet", "aside.parquet"))
    write_lines(log, rows_of(evaluation()))
    asked = ["import", "--format", "answers", "--log", str(log), "--out", str(out), "--identifiers", "digits"]
    done = CliRunner().invoke(app, [*asked, "--calibration", "5", "--calibration-out", str(aside)])
    assert done.exit_code == 0, done.output
    assert "120 presentations of 30 questions with 4 candidates: 120 with log-probabilities" in done.output
    assert [len(parquet.read(each, contracts.SIGNALS)) for each in (out, aside)] == [100, 20]
    facts = parquet.read_metadata(out)
    assert (facts["format"], facts["identifiers"], facts["floor"]) == ("answers", ["1", "2", "3", "4"], None)


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        (["--format", "answer"], r"unknown format 'answer' \(did you mean 'answers'\?\); known: answers, inspect, "),
        (["--format", "answers", "--identifier", "digits"], "format answers: unknown key 'identifier'"),
        (["--format", "answers", "--identifiers", "roman"], 'identifiers: cannot be "roman"; allowed: uppercase, '),
        (["--format", "answers", "--calibration", "3"], "--calibration K and --calibration-out FILE go together"),
    ],
)
def test_what_the_command_does_not_know_is_refused(tmp_path, asked, fault):
    log = write_lines(tmp_path / "log.jsonl", [GOOD])
    done = CliRunner().invoke(app, ["import", "--log", str(log), "--out", str(tmp_path / "out.parquet"), *asked])
    assert done.exit_code == 1
    with pytest.raises(ValueError, match=fault):
        raise done.exception


def test_the_help_names_every_format_and_its_own_options():
    from lad.logs import FORMATS

    text = " ".join(CliRunner().invoke(app, ["import", "--help"]).output.split())
    assert all(f"{name}:" in text for name in FORMATS)
    assert "--likelihoods" in text
