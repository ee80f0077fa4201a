"""Vanilla, text parsed: the identifier in the text."""

import pytest
from cases import evaluation_signals
from signals_factory import replace_column

from lad.methods import ScoringError, score


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("3", 3),
        (" 2.", 2),
        ("The answer is 4", 4),
        ("Not 1 but 3, of 12 images", 3),
        ("image2", 2),
        ("04", 4),
        ("none of them", None),
        ("7", None),
        ("", None),
        (None, None),
    ],
)
def test_the_last_index_in_range_is_parsed(text, position):
    table = evaluation_signals(0)
    texts = [text] + ["1"] * (len(table) - 1)
    (first, *_) = score(
        replace_column(table, "generated_text", texts), None, "vanilla_parsed", identifiers=["1", "2", "3", "4"]
    ).to_pylist()
    assert first["position"] == position
    assert first["scores"] is None
    assert first["correct"] == (position == first["target_position"])
    assert (first["candidate"] is None) == (position is None)


@pytest.mark.parametrize(
    ("identifiers", "text", "position"),
    [
        (["A", "B", "C", "D"], "C", 3),
        (["A", "B", "C", "D"], "B, a dog", 2),
        (["A", "B", "C", "D"], "(d)", 4),
        (["I", "II", "III", "IV"], "III", 3),
        (["first", "second", "third", "fourth"], "The third one.", 3),
        (["first", "second", "third", "fourth"], "Second", 2),
        (["first", "second", "third", "fourth"], "2", None),
    ],
)
def test_other_identifiers_are_parsed_as_whole_words(identifiers, text, position):
    table = evaluation_signals(0)
    texts = replace_column(table, "generated_text", [text] * len(table))
    predictions = score(texts, None, "vanilla_parsed", identifiers=identifiers)
    assert set(predictions["position"].to_pylist()) == {position}


DIGITS = [str(k) for k in range(1, 13)]
UPPERCASE, LOWERCASE = list("ABCDEFGHIJKL"), list("abcdefghijkl")
ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"]
ORDINAL = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]

READ = {
    "digits": (
        DIGITS,
        {
            "2/12": 2,
            "2 of 12": 2,
            "2 out of 12": 2,
            "Image 2/12": 2,
            "-3": None,
            "10.0": None,
            "3.5": None,
            "3 %": None,
            "3D": None,
            "3.": 3,
            "12.": 12,
            "image-3": 3,
            "image_3": 3,
            "**3**": 3,
            "(3)": 3,
            "[3]": 3,
            '"3"': 3,
            "#3": 3,
            "No. 3": 3,
            "3, not 2": 3,
            "3 rather than 2": 3,
            "not 2 but 3": 3,
            "The answer is 3": 3,
            "The answer is 3, because 2 shows a dog": 3,
            "Answer: 3": 3,
            "answer: image 3": 3,
            "3\nImage 4": 3,
            "3: a cat": 3,
            "2 cats are in image 3": 3,
            "I think 3": 3,
            "Image 3 shows 2 dogs": 3,
            "1 or 2": None,
            "1 or 2, I choose 2": 2,
            "13": None,
            "0": None,
            "10": 10,
            "A": None,
        },
    ),
    "uppercase": (
        UPPERCASE,
        {
            "A": 1,
            "A.": 1,
            "A is a cat": 1,
            "A cat is in B": 2,
            "B is a cat": 2,
            "A cat": None,
            "I think B": 2,
            "I": 9,
            "I is the best": 9,
            "I'd say C": 3,
            "C) a dog": 3,
            "Image C shows a dog and a cat": 3,
            "Option D, since A is a dog": 4,
            "The answer is A": 1,
            "b": 2,
            "(d)": 4,
        },
    ),
    "lowercase": (
        LOWERCASE,
        {
            "b is a cat": 2,
            "a": 1,
            "a is a cat": 1,
            "a cat is in b": 2,
            "a cat": None,
            "image a": 1,
            "B": 2,
            "I think a": 1,
            "the answer is c, a dog": 3,
        },
    ),
    "roman": (
        ROMAN,
        {
            "IV, I think": 4,
            "I think IV": 4,
            "I think": None,
            "I": 1,
            "I, because": 1,
            "I'm sure: V": 5,
            "image X": 10,
            "ii": 2,
            "The answer is VIII.": 8,
        },
    ),
    "ordinal": (
        ORDINAL,
        {"first": 1, "The second image": 2, "Third, not second": 3, "the first or second": None, "Fourth one": 4},
    ),
}


@pytest.mark.parametrize("style", READ)
def test_a_text_is_read_as_a_careful_reader_would(style):
    identifiers, phrases = READ[style]
    table = evaluation_signals(0, n=len(identifiers), questions=len(phrases))
    texts = replace_column(table, "generated_text", [[*phrases][k % len(phrases)] for k in range(len(table))])
    predictions = score(texts, None, "vanilla_parsed", identifiers=identifiers).to_pylist()
    read = {text: row["position"] for text, row in zip(phrases, predictions, strict=False)}
    assert read == phrases


@pytest.mark.parametrize(
    ("identifiers", "text", "position"),
    [(LOWERCASE, "b is a cat", 1), (ROMAN, "IV, I think", 1), (DIGITS, "2/12", 12), (DIGITS, "-3", 3)],
)
def test_by_last_the_last_word_that_is_an_identifier_counts(identifiers, text, position):
    table = evaluation_signals(0, n=len(identifiers))
    texts = replace_column(table, "generated_text", [text] * len(table))
    predictions = score(texts, None, "vanilla_parsed;read=last", identifiers=identifiers)
    assert set(predictions["position"].to_pylist()) == {position}


def test_signals_without_text_or_identifiers_cannot_be_parsed():
    table = evaluation_signals(0)
    with pytest.raises(ScoringError, match="needs generated text and the signals hold none"):
        score(table, None, "vanilla_parsed", identifiers=["1", "2", "3", "4"])
    with pytest.raises(ScoringError, match="N = 4 and needs that many identifiers, not 0"):
        score(table, None, "vanilla_parsed")
