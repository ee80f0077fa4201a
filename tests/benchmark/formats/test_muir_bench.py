"""MuirBench's Parquet files: questions whose options are images are kept, everything else is refused by name."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from stored_rows import IMAGE, stored, write

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.chosen_images import Annotated
from lad.benchmark.formats.muir_bench import NONE, MuirBench

TASK = "image_text_matching"
TYPES = {"image_list": pa.list_(IMAGE)}


def row(number: int, n: int = 4, **changes: Any) -> dict[str, Any]:
    """A row as MuirBench's files have them; its answer is image 3."""
    return {
        "idx": str(number),
        "task": "Image-Text Matching",
        "image_relation": "Independent",
        "image_type": "Photography",
        "question": f"Which picture fits the description best: a cow with {number} legs?",
        "options": ["<image>"] * n + [NONE],
        "answer": "C",
        "image_list": [stored(10 * number + k, f"seedbench_{number}_{k}.JPG") for k in range(n)],
        "counterpart_idx": str(1000 + number),
    } | changes


def dataset(folder: Path, *rows: dict[str, Any], file: str = "test-00000-of-00005.parquet") -> MuirBench:
    write(folder / "data" / file, rows, TYPES)
    return MuirBench(format="muir_bench", data=str(folder / "data"), images=str(folder / "images"))


def read(*args: Any) -> Annotated:
    return dataset(*args).asked([TASK])


def test_a_row_whose_options_are_images_is_a_question_without_the_none_option(tmp_path):
    (question,) = read(tmp_path, row(7)).questions
    assert question.files == tuple(f"test-00000-of-00005/7-{k}.jpg" for k in range(1, 5))
    assert (question.text, question.target) == ("Which picture fits the description best: a cow with 7 legs?", 3)


def test_the_none_option_may_stand_anywhere(tmp_path):
    options = ["<image>", NONE, "<image>", "<image>"]
    (question,) = read(tmp_path, row(7, 3, options=options, answer="C")).questions
    assert (len(question.files), question.target) == (3, 2)


def test_the_rows_of_all_files_are_numbered_within_their_task(tmp_path):
    dataset(tmp_path, row(1), row(2, task="Counting"), row(3))
    annotated = dataset(tmp_path, row(4), row(5), file="test-00001-of-00005.parquet").asked([TASK])
    assert [q.number for q in annotated.questions] == [0, 1, 2, 3]
    assert [Path(q.files[0]).name for q in annotated.questions] == ["1-1.jpg", "3-1.jpg", "4-1.jpg", "5-1.jpg"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"answer": "E"}, f"no image is right: the answer is '{NONE}'"),
        ({"answer": "F"}, "the answer 'F' is none of the options A, B, C, D, E"),
        ({"answer": None}, "has answer None, expected str"),
        ({"options": ["two", "three", NONE]}, "option A, 'two', is no image"),
        ({"options": ["the forth image", "<image>", "<image>"]}, "option A, 'the forth image', is no image"),
        ({"options": ["<image>"] * 3}, "3 options are images, and the list has 4"),
        ({"options": None}, "has options None, expected list"),
        ({"question": "Which shows the same building as <image>?"}, "the question shows an image; what is asked has"),
        ({"question": ""}, "the question is empty"),
        ({"question": "Which is like picture 2?"}, "the question speaks of 'picture 2'"),
        ({"image_list": [stored(1)] * 4}, "are the same picture"),
        ({"image_list": [stored(1), stored(2), {"bytes": b"", "path": "x.png"}, stored(4)]}, "cannot be read as a"),
        ({"image_list": None}, "4 options are images, and the list has 0"),
        ({"n": 1, "answer": "A"}, "1 images; a question has 2 to 12 candidates"),
    ],
)
def test_a_row_that_does_not_choose_among_images_is_refused_with_the_reason(tmp_path, changes, reason):
    annotated = read(tmp_path, row(1), row(2, **changes))
    (refused,) = annotated.refused
    assert len(annotated.questions) == 1
    assert str(refused).startswith(f"{TASK} entry 1: 2: ")
    assert reason in str(refused)


def test_a_task_is_named_as_a_setting_can_be(tmp_path):
    muir = dataset(tmp_path, row(1), row(2, task="Visual Retrieval"))
    with pytest.raises(BenchmarkError, match=r"has no task 'Image-Text' .*; it has: image_text_matching, visual_ret"):
        muir.asked(["Image-Text"])


def test_a_benchmark_of_muir_bench_keeps_its_contracts(tmp_path):
    muir = dataset(tmp_path, *(row(number) for number in range(1, 9)), row(9, 3))
    images = parquet.conform(muir.read_images([TASK]).table, contracts.IMAGES, "images")
    numbers = {"n": 4, "evaluation": 100, "calibration": 3, "seed": 0}
    table = muir.build_questions(images, dataset="muir", setting=TASK, **numbers)
    assert len(parquet.conform(table, contracts.QUESTIONS, "questions")) == 8
    with pytest.raises(BenchmarkError, match=r"0 calibration .* with 5 candidates wanted; .*: 1 with 3, 8 with 4"):
        muir.build_questions(images, dataset="muir", setting=TASK, **numbers | {"n": 5, "calibration": 0})
