"""lmms-eval's sample files: options from the prompt, answers from filtered_resps, orders from several runs."""

import pytest
from written import shown_texts, write_lines

from lad.logs import LogError, parse_log, signals_of

PROMPT = (
    "Which colour is it?\n(A) pink\n(B) grey\n\nWhich colour is this?\nA. {}\nB. {}\nC. {}\nAnswer with the letter."
)


def sample(doc_id: int, options: list[str], response: object, target: str = "B", **others: object) -> dict:
    """As the tool writes it: doc and arguments are gone, resps is left out where it says nothing new."""
    return {
        "doc_id": doc_id,
        "target": target,
        "filtered_resps": response,
        "token_counts": [None],
        "doc_hash": "a1",
        "input": PROMPT.format(*options),
        "exact_match": 1.0,
    } | others


def read(tmp_path, *samples: dict, keys: dict[str, str] | None = None):
    return signals_of(parse_log("lmms_eval", keys or {}).read(write_lines(tmp_path / "samples.jsonl", list(samples))))


def test_the_options_of_the_prompt_are_the_order(tmp_path):
    signals = read(
        tmp_path,
        sample(0, ["red", "blue", "green"], "B"),
        sample(0, ["blue", "green", "red"], ["The answer is C"], target="A"),
        sample(0, ["green", "red", "blue"], [["Blue."]], target="blue"),
    ).signals
    assert shown_texts(signals, ["red", "blue", "green"])[1:] == [["blue", "green", "red"], ["green", "red", "blue"]]
    assert signals["target_position"].to_pylist() == [2, 1, 3]
    assert signals["answered_position"].to_pylist() == [2, 3, 3]
    assert signals["generated_text"].to_pylist() == ["B", "The answer is C", "Blue."]


def test_repeated_responses_are_presentations_of_one_order(tmp_path):
    signals = read(tmp_path, sample(0, ["red", "blue", "green"], ["A", "B", "B"])).signals
    assert signals["answered_position"].to_pylist() == [1, 2, 2]
    assert signals["round"].to_pylist() == [0, 1, 2]


def test_files_of_before_have_the_prompt_in_their_arguments(tmp_path):
    old = sample(0, ["red", "blue", "green"], [["C"]])
    old["arguments"] = [[old.pop("input"), {"until": ["\n"]}]]
    assert read(tmp_path, old).signals["answered_position"].to_pylist() == [3]


@pytest.mark.parametrize(("kind", "answered"), [("loss", 2), ("logprobs", 3)])
def test_likelihoods_are_losses_or_log_probabilities_as_the_key_says(tmp_path, kind, answered):
    """The tool writes numbers as texts; the target is an option's number from 0."""
    likelihoods = [["-1.5", "False"], ["-2.0", "False"], ["-0.5", "True"]]
    one = sample(0, ["red", "blue", "green"], likelihoods, target="1")
    signals = read(tmp_path, one, keys={"likelihoods": kind}).signals
    logprobs = signals["candidate_logprobs"].to_pylist()[0]
    assert logprobs.index(max(logprobs)) + 1 == answered
    assert signals["target_position"].to_pylist() == [2]


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (sample(0, ["red", "blue", "green"], "B", input="Describe it."), "shows no options A, B ... in its prompt"),
        (sample(0, ["red", "blue", "red"], "B"), 'shows the same candidate, "red", at positions 1 and 3'),
        (sample(0, ["red", "blue", "green"], "B", target="yellow"), 'has target "yellow"; expected is a letter or one'),
        (sample(0, ["red", "blue", "green"], [["-1", "True"]] * 3), "holds likelihoods, .*say --likelihoods loss, or"),
        (sample(0, ["red", "blue", "green"], [["-1", "True"]] * 2), "holds 2 likelihoods, but its prompt shows 3"),
        ({"doc_id": 1, "target": "A"}, "has no filtered_resps; a sample has doc_id, input, target"),
    ],
)
def test_a_sample_with_a_fault_is_refused_by_its_line(tmp_path, broken, fault):
    with pytest.raises(LogError, match=f"samples.jsonl: line 2 {fault}"):
        read(tmp_path, sample(0, ["red", "blue", "green"], "B"), broken)
