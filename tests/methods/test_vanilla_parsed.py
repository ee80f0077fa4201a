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


def test_signals_without_text_or_identifiers_cannot_be_parsed():
    table = evaluation_signals(0)
    with pytest.raises(ScoringError, match="needs generated text and the signals hold none"):
        score(table, None, "vanilla_parsed", identifiers=["1", "2", "3", "4"])
    with pytest.raises(ScoringError, match="N = 4 and needs that many identifiers, not 0"):
        score(table, None, "vanilla_parsed")
