"""MT-Bench's human judgments: votes become questions. The samples are made, of the published columns."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lad.benchmark import BenchmarkError
from lad.benchmark.formats.mt_bench import MtBench, read_judgments


def conversation(question: int, model: str) -> list[dict]:
    said = (f"Write {question}.", f"{model}\nwrote {question}.", "Now shorter.", f"{model} cut {question}.")
    return [{"content": text, "role": ("user", "assistant")[at % 2]} for at, text in enumerate(said)]


def vote(
    question: int = 81, a: str = "gpt-4", b: str = "alpaca-13b", winner: str = "model_a", **changes: object
) -> dict:
    return {
        **{"question_id": question, "model_a": a, "model_b": b, "winner": winner, "judge": "expert_0"},
        **{"conversation_a": conversation(question, a), "conversation_b": conversation(question, b), "turn": 1},
        **changes,
    }


@pytest.fixture
def written(tmp_path):
    def write(*votes: dict, name: str = "human.jsonl") -> Path:
        path = tmp_path / name
        if path.suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist(votes), path)
        elif path.suffix == ".json":
            path.write_text(json.dumps(votes))
        else:
            path.write_text("".join(json.dumps(entry) + "\n" for entry in votes))
        return path

    return write


@pytest.mark.parametrize("name", ["human.parquet", "human_judgments.json", "human.jsonl"])
def test_a_vote_is_a_question_with_two_responses_that_keep_their_lines(written, name):
    (made,) = read_judgments(written(vote(), name=name)).made
    assert (made.query, made.task) == ("Write 81.", "turn1")
    assert made.candidates == ("alpaca-13b\nwrote 81.", "gpt-4\nwrote 81.")
    assert made.answer == "gpt-4\nwrote 81."


def test_the_second_turn_shows_both_messages_and_both_answers(written):
    (made,) = read_judgments(written(vote(turn=2))).made
    assert (made.task, made.query) == ("turn2", "Write 81.\n\n[Second message]\nNow shorter.")
    assert made.answer == "gpt-4\nwrote 81.\n\n[Answer to the second message]\ngpt-4 cut 81."


@pytest.mark.parametrize(
    ("votes", "winner"),
    [
        ([("gpt-4", "alpaca-13b", "model_a"), ("alpaca-13b", "gpt-4", "model_b")], "gpt-4"),
        ([("gpt-4", "alpaca-13b", "model_b")] * 2 + [("gpt-4", "alpaca-13b", "model_a")], "alpaca-13b"),
        ([("gpt-4", "alpaca-13b", "model_a")] * 2 + [("gpt-4", "alpaca-13b", "tie")], "gpt-4"),
        ([("gpt-4", "alpaca-13b", "model_a"), ("gpt-4", "alpaca-13b", "tie")], None),
        ([("gpt-4", "alpaca-13b", "model_a"), ("alpaca-13b", "gpt-4", "model_a")], None),
        ([("gpt-4", "alpaca-13b", "tie (inconsistent)")], None),
    ],
)
def test_more_than_half_of_a_pairs_judges_decide_whichever_model_they_saw_first(written, votes, winner):
    read = read_judgments(written(vote(question=80), *(vote(a=a, b=b, winner=said) for a, b, said in votes)))
    decided = [made.answer.split("\n")[0] for made in read.made if made.query == "Write 81."]
    assert decided == ([winner] if winner else [])
    assert [left["entry"] for left in read.left] == ([] if winner else ["question 81, turn 1, alpaca-13b and gpt-4"])


def test_what_was_left_out_is_told_with_its_votes(written):
    path = written(vote(), vote(question=82, winner="tie"), vote(question=83, conversation_b=conversation(83, "gpt-4")))
    images = MtBench(format="mt_bench", judgments=str(path)).read_images([])
    assert [left["reason"] for left in images.refused] == [
        "has no winner (1 for tie)",
        "has two responses of the same words",
    ]
    assert "turn1: 1 with 2; left out: question 82" in images.summary


def test_no_message_that_calibrates_is_evaluated(written):
    models = ("gpt-4", "alpaca-13b", "vicuna-13b")
    path = written(*(vote(question=q, a=a, b=b) for q in range(81, 87) for a in models for b in models if a < b))
    dataset = MtBench(format="mt_bench", judgments=str(path))
    asked = {"n": 2, "evaluation": 100, "calibration": 2, "seed": 0}
    table = dataset.build_questions(dataset.read_images([]).table, dataset="d", setting="turn1", **asked).to_pylist()
    messages = [{row["caption"] for row in table if row["role"] == role} for role in ("evaluation", "calibration")]
    assert not messages[0] & messages[1]
    assert len(table) == 2 + 3 * len(messages[0])


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"question_id": "81"}, 'has question_id "81", expected is a whole number'),
        ({"question_id": None}, "has no question_id; its keys are: question_id, model_a"),
        ({"turn": 3}, "has turn 3; allowed are 1 and 2"),
        ({"turn": True}, "has turn true, expected is a whole number"),
        ({"model_b": "gpt-4"}, 'has one model twice, "gpt-4"; expected are two'),
        ({"model_a": ""}, "has an empty model_a"),
        ({"winner": "gpt-4"}, 'has winner "gpt-4"; allowed are model_a, model_b and tie'),
        ({"winner": None}, "has no winner"),
        ({"conversation_a": "hello"}, 'has conversation_a "hello", expected is a list of messages'),
        ({"conversation_b": []}, "has 0 messages in conversation_b; turn 1 needs 2"),
        ({"conversation_b": conversation(81, "x")[:2], "turn": 2}, "has 2 messages in conversation_b; turn 2 needs 4"),
        (
            {"conversation_a": conversation(81, "x")[1:]},
            "has message 1 of conversation_a .*, expected is one with role user",
        ),
        (
            {"conversation_a": [{"role": "user", "content": 3}] * 2},
            "has message 1 of conversation_a 3, expected is a text",
        ),
    ],
)
def test_a_vote_that_is_not_of_the_form_is_refused_in_one_line(written, changes, fault):
    with pytest.raises(BenchmarkError, match=rf"human\.jsonl: line 2 {fault}") as refused:
        read_judgments(written(vote(), vote(**changes)))
    assert "\n" not in str(refused.value)


def test_votes_without_a_winner_and_turns_that_do_not_exist_are_refused(written):
    with pytest.raises(BenchmarkError, match=r"no pair has a winner; the first: question 81, turn 1, .* \(1 for tie\)"):
        read_judgments(written(vote(winner="tie")))
    with pytest.raises(BenchmarkError, match="has no task 'turn2'; it has: turn1"):
        MtBench(format="mt_bench", judgments=str(written(vote()))).read_images(["turn2"])


def test_a_vote_on_an_empty_answer_is_left_out(written):
    silent = conversation(82, "alpaca-13b")
    silent[1]["content"] = ""
    read = read_judgments(written(vote(), vote(question=82, conversation_b=silent)))
    assert read.left == [{"entry": "line 2", "reason": "has an empty message 2 of conversation_b"}]
