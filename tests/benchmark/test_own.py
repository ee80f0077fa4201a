"""Questions of one's own: captions and picture files become the tables that every other stage reads."""

import re

import pytest
from PIL import Image

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.own import OwnQuestion, own_questions
from lad.benchmark.presentations import build_presentations


@pytest.fixture
def pictures(tmp_path):
    """A folder with the pictures a.png to d.png, below `sub`."""
    (tmp_path / "sub").mkdir()
    for width, name in enumerate("abcd", start=1):
        Image.new("RGB", (width, 2)).save(tmp_path / "sub" / f"{name}.png")
    return tmp_path


def files(names: str) -> list[str]:
    return [f"sub/{name}.png" for name in names]


def test_captions_and_files_become_tables_of_both_contracts(pictures):
    known = [OwnQuestion("one", files("cab"), target=2)]
    images, questions = own_questions(pictures, calibration=known, evaluation=[("two", files("dca"))])
    shown = {row["image_id"]: row for row in parquet.conform(images, contracts.IMAGES, "images").to_pylist()}
    assert sorted(row["file_name"] for row in shown.values()) == files("abcd")
    assert {row["file_name"]: (row["width"], row["height"]) for row in shown.values()}["sub/c.png"] == (3, 2)
    first, second = parquet.conform(questions, contracts.QUESTIONS, "questions").to_pylist()
    assert (first["role"], first["caption"], first["target"]) == ("calibration", "one", 2)
    assert (second["role"], second["caption"], second["target"]) == ("evaluation", "two", None)
    assert [shown[image]["file_name"] for image in second["candidates"]] == files("dca")


def test_an_unknown_target_stands_at_an_unknown_position(pictures):
    _, questions = own_questions(pictures, evaluation=[("two", files("dca")), ("three", files("abc"), 3)])
    presentations = parquet.conform(
        build_presentations(questions, "evaluation", rounds=2, seed=0), contracts.PRESENTATIONS, "presentations"
    )
    unknown, known = presentations.to_pylist()[:2], presentations.to_pylist()[2:]
    assert [row["target_position"] for row in unknown] == [None, None]
    assert all(row["order"][row["target_position"] - 1] == 3 for row in known)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (("q", files("abc")), "calibration question 'q' has no target; say which of its 3 candidates is right"),
        (("q", files("abc"), 0), "target 0 is none of its 3 candidates; allowed are 1 to 3"),
        (("q", files("abc"), 4), "target 4 is none of its 3 candidates"),
        (("q", files("a"), 1), "'q' has 1 candidates; a question has 2 to 12"),
        (("q", files("az"), 1), "sub/z.png: image missing"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(pictures, question, message):
    with pytest.raises(BenchmarkError, match=re.escape(message)):
        own_questions(pictures, calibration=[question])


def test_no_question_at_all_is_refused(pictures):
    with pytest.raises(BenchmarkError, match="no question given"):
        own_questions(pictures)
