"""Answers from generated texts: every rule by which an index is read, what a failure is, and the vote of the samples.

The oracle reads texts by Python's regular expressions, with the look-arounds that SQL's do not have.
"""

import re
from collections import Counter
from collections.abc import Iterable

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signals_factory import random_signals

from lad import contracts, parquet
from lad.evaluation.metrics import evaluate
from lad.methods import ScoringError, score

N = 4
COT, RELEASED_COT = "cot", "cot;parse=released"
SC, RELEASED_SC = "self_consistency", "self_consistency;parse=released"


def signals(presentations: int, n: int = N) -> pa.Table:
    return random_signals(0, n, questions=presentations, rounds=1, split="evaluation")


def generations(shown: pa.Table, texts: list[list[str]]) -> pa.Table:
    rows = (
        {"presentation_id": presentation, "sample": sample, "text": text, "tokens": len(text), "finished": True}
        for presentation, samples in zip(shown["presentation_id"].to_pylist(), texts, strict=True)
        for sample, text in enumerate(samples)
    )
    return parquet.conform(parquet.from_rows(rows, contracts.GENERATIONS), contracts.GENERATIONS, "test")


def answered(method: str, texts: list[list[str]], n: int = N) -> list[dict]:
    """The predictions from the samples of each presentation."""
    shown = signals(len(texts), n)
    return score(shown, None, method, generations=generations(shown, texts)).to_pylist()


def answer(method: str, *samples: str, n: int = N) -> int | None:
    return answered(method, [list(samples)], n)[0]["position"]


def read(method: str, texts: Iterable[str]) -> dict[str, int | None]:
    """The answer to each text as the only sample of a presentation."""
    return {
        text: row["position"] for text, row in zip(texts, answered(method, [[text] for text in texts]), strict=True)
    }


# --- reading one text ------------------------------------------------------------------------------------------


INDICES = {
    "3": 3,
    "Image 2 shows a dog, image 3 a cat.": 3,
    "It is 3.": 3,
    "Not 1 but 3, of 12 images": 3,
    "(2)": 2,
    "**3**": 3,
    "<3>": 3,
    "image-3": 3,
    "image3": 3,
    "from 1-3": 3,
    "the 3rd image": 3,
    "03": 3,
    "none of them": None,
    "7": None,
    "12": None,
    "99999999999999999999999999": None,
    "": None,
}


@pytest.mark.parametrize("method", [COT, SC, RELEASED_COT, RELEASED_SC])
def test_the_last_index_is_read_by_either_parser(method):
    assert read(method, INDICES) == INDICES


@pytest.mark.parametrize("method", [COT, SC, RELEASED_COT, RELEASED_SC])
def test_twelve_is_an_index_of_twelve_candidates_and_never_one_and_two(method):
    assert answer(method, "image 12", n=12) == 12
    assert answer(method, "image 12", n=4) is None


NUMBERS = {
    "a decimal": "scored 3.5",
    "a version": "version 1.2.3",
    "a negative number": "-3",
    "a percentage": "about 4 %",
    "a percentage without a space": "it is 4%",
    "part of a word": "a 3D rendering",
}


@pytest.mark.parametrize(("ours", "released"), [(COT, RELEASED_COT), (SC, RELEASED_SC)])
def test_a_number_that_is_no_integer_of_its_own_is_no_index_unless_read_as_released(ours, released):
    assert set(read(ours, NUMBERS.values()).values()) == {None}
    assert set(read(ours, [f"2, {text}" for text in NUMBERS.values()]).values()) == {2}
    assert None not in read(released, NUMBERS.values()).values()


def test_a_chain_of_thought_answers_behind_its_last_closing_tag():
    text = "3 or 1? </think> no, wait </think> It is image 2, {}"
    assert answer(COT, text.format("not those before")) == 2


def test_where_no_number_stands_behind_the_tag_the_reasoning_is_searched():
    assert answer(COT, "1? No, 3.</think> That one.") == 3
    assert answer(COT, "1? No, 3.</think>") == 3


def test_a_number_behind_the_tag_that_is_no_index_is_not_replaced_by_one_from_the_reasoning():
    assert answer(COT, "Perhaps 3.</think> 7") is None
    assert answer(RELEASED_COT, "Perhaps 3.</think> 7") == 3


def test_reasoning_that_was_cut_off_is_searched_as_a_whole():
    assert answer(COT, "Image 1 shows a dog and image 2 a") == 2


def test_a_chain_of_thought_is_the_first_sample_where_there_are_several():
    assert answer(COT, "2", "3", "3") == 2


STATEMENTS = (
    "The answer is 3. Not 4.",
    "the answer is 3, though 4 is close",
    "THE ANSWER IS 3! 4?",
    "The answer is: 3 (4 images)",
    "The answer is <3>, of 4",
    "The answer is **3**, of 4",
    'The answer is "3", of 4',
    "The answer is image 3 of 4",
    "The answer is Image 3 of 4",
    "The answer is the image number 3 of 4",
    r"The answer is $\boxed{3}$ of 4",
    "The answer is\n\n3\n\n4",
    "The answer is the 3rd of 4",
)


def test_a_stated_answer_comes_before_later_numbers():
    assert read(SC, STATEMENTS) == dict.fromkeys(STATEMENTS, 3)


def test_of_several_statements_the_last_counts_and_as_released_the_first():
    text = "The answer is 1. No: the answer is 2. Compare 4."
    assert answer(SC, text) == 2
    assert answer(RELEASED_SC, text) == 1


def test_a_stated_answer_that_is_no_index_is_no_vote():
    for method in (SC, RELEASED_SC):
        assert answer(method, "Image 2 fits. The answer is 7") is None


def test_a_statement_without_a_number_is_none():
    assert answer(SC, "Image 2 fits, so the answer is clear") == 2
    assert answer(SC, "The answer is not 1 but 3") == 3


# --- failures and votes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [COT, SC, RELEASED_COT, RELEASED_SC])
def test_a_failed_parse_is_no_answer_counts_as_wrong_and_lowers_the_success_rate(method):
    shown = signals(2)
    right = str(shown["target_position"][0].as_py())
    predictions = score(shown, None, method, generations=generations(shown, [[right], ["no idea"]]))
    parsed, failed = predictions.to_pylist()
    assert parsed["correct"]
    assert (failed["position"], failed["candidate"], failed["scores"]) == (None, None, None)
    assert not failed["correct"]
    rates = {row["metric"]: row["value"] for row in evaluate(predictions, resamples=0).to_pylist()}
    assert (rates["accuracy"], rates["success_rate"]) == (50, 50)


def test_position_one_for_a_failed_vote_is_an_option_and_the_success_rate_still_tells():
    shown = signals(2)
    predictions = score(
        shown, None, "self_consistency;failed=first", generations=generations(shown, [["none", "?"], ["2", "?"]])
    )
    assert predictions["position"].to_pylist() == [1, 2]
    assert predictions["variant"].to_pylist() == ["failed=first"] * 2
    rates = {row["metric"]: row["value"] for row in evaluate(predictions, resamples=0).to_pylist()}
    assert rates["success_rate"] == 25


def test_the_majority_of_the_samples_answers_with_shares_of_the_votes_as_scores():
    (row,) = answered(SC, [["2", "3", "?", "3", "The answer is 3"]])
    assert row["position"] == 3
    assert row["scores"] == [0, 0.25, 0.75, 0]
    assert row["parsed"] == 0.8


def test_of_equal_votes_the_position_named_first_wins():
    assert answer(SC, "?", "4", "2", "2", "4") == 4
    assert answer(SC, "2", "4", "4", "2") == 2


def test_the_success_rate_of_other_methods_is_that_of_presentations():
    predictions = score(signals(3), None, "vanilla")
    assert predictions["parsed"].null_count == 3
    rates = {row["metric"]: row["value"] for row in evaluate(predictions, resamples=0).to_pylist()}
    assert rates["success_rate"] == 100


# --- against plain Python --------------------------------------------------------------------------------------

INDEX = re.compile(
    r"(?<![0-9])(?<![0-9]\.)(?<![^A-Za-z0-9]-)(?<!^-)[0-9]++(?!\.[0-9])(?!\s?%)(?!(?!(?:st|nd|rd|th)(?![A-Za-z0-9]))[A-Za-z])",
    re.IGNORECASE | re.ASCII,
)
STATED = re.compile(
    r"the answer is[^A-Za-z0-9]*(?:(?:the|image|index|number|option|candidate|boxed)[^A-Za-z0-9]*)*(?=[0-9])",
    re.IGNORECASE | re.ASCII,
)


def in_range(numbers: list[str], n: int) -> int | None:
    return next((int(number) for number in reversed(numbers) if 1 <= int(number) <= n), None)


def oracle_cot(text: str, n: int) -> int | None:
    behind = text.rpartition("</think>")[2]
    numbers = INDEX.findall(behind) or INDEX.findall(text)
    return in_range(numbers, n)


def oracle_sample(text: str, n: int) -> int | None:
    stated = [found for start in STATED.finditer(text) if (found := INDEX.match(text, start.end()))]
    return in_range([stated[-1][0]] if stated else INDEX.findall(text), n)


def oracle_released_cot(text: str, n: int) -> int | None:
    return in_range(re.findall(r"[0-9]+", text), n)


def oracle_released_sample(text: str, n: int) -> int | None:
    stated = re.search(r"[Tt]he answer is ([0-9]+)", text)
    return in_range([stated[1]] if stated else re.findall(r"[0-9]+", text), n)


def oracle_vote(votes: list[int | None]) -> int | None:
    cast = Counter(vote for vote in votes if vote is not None)
    return cast.most_common(1)[0][0] if cast else None


PIECES = st.sampled_from(
    (
        *(
            "0123456789",
            "12",
            "10",
            " ",
            " ",
            ". ",
            ".",
            "-",
            "%",
            "st",
            "th",
            "D",
            "image ",
            "</think>",
            "**",
            "<",
            "\n",
        ),
        *("The answer is ", "the answer is: ", "The answer is the ", "Hmm, "),
    )
).flatmap(lambda piece: st.sampled_from(piece) if piece == "0123456789" else st.just(piece))
TEXTS = st.lists(PIECES, max_size=12).map("".join)


@settings(deadline=None, max_examples=10)
@given(st.lists(st.lists(TEXTS, min_size=3, max_size=3), min_size=30, max_size=30), st.sampled_from([4, 12]))
def test_every_text_is_read_as_by_plain_python(texts, n):
    def found(method: str) -> list[int | None]:
        return [row["position"] for row in answered(method, texts, n)]

    assert found(COT) == [oracle_cot(samples[0], n) for samples in texts]
    assert found(RELEASED_COT) == [oracle_released_cot(samples[0], n) for samples in texts]
    assert found(SC) == [oracle_vote([oracle_sample(text, n) for text in samples]) for samples in texts]
    assert found(RELEASED_SC) == [
        oracle_vote([oracle_released_sample(text, n) for text in samples]) for samples in texts
    ]


# --- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["cot", "self_consistency"])
def test_missing_texts_are_refused_with_what_would_produce_them(method):
    expected = (
        f"{method} needs generated texts and none were given; extract with the probe {method} and hand its"
        " generations.parquet to --generations"
    )
    with pytest.raises(ScoringError, match=expected):
        score(signals(1), None, method)


def test_texts_of_other_presentations_are_refused_by_name():
    shown = signals(3)
    some = generations(shown.slice(1), [["1"], ["2"]])
    with pytest.raises(ScoringError, match=r"no text of presentation evaluation-000000-00 and of 0 others"):
        score(shown, None, "cot", generations=some)


def test_texts_of_two_probes_at_once_are_refused():
    shown = signals(2)
    once = generations(shown, [["1"], ["2"]])
    with pytest.raises(ScoringError, match=r"hold sample 0 of presentation evaluation-00000.-00 more than once"):
        score(shown, None, "cot", generations=pa.concat_tables([once, once]))


def test_texts_of_more_presentations_than_are_scored_do_no_harm():
    shown = signals(3)
    texts = generations(shown, [["1"], ["2"], ["3"]])
    assert score(shown.slice(1), None, "cot", generations=texts)["position"].to_pylist() == [2, 3]


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("cot;failed=first", "cot has no option 'failed'; it has parse"),
        ("self_consistency;failed=1", "option failed cannot be '1'; allowed: none, first"),
        ("cot;parse=loose", "option parse cannot be 'loose'; allowed: integers, released"),
    ],
)
def test_impossible_options_are_refused(method, message):
    with pytest.raises(ScoringError, match=message):
        answer(method, "1")
