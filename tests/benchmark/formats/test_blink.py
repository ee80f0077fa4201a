"""BLINK's Parquet files become questions of choosing among images; everything else is refused by name."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from stored_rows import IMAGE, stored, write

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.chosen_images import Annotated
from lad.benchmark.formats.blink import Blink

ORDINALS = ("first", "second", "third", "fourth")
TYPES = {f"image_{k}": IMAGE for k in range(1, 5)}


def row(number: int, n: int = 4, task: str = "Forensic_Detection", **changes: Any) -> dict[str, Any]:
    """A row as BLINK's files have them; its answer is image 2."""
    return {
        "idx": f"val_{task}_{number}",
        "question": "Which image is most likely to be a real photograph?",
        "sub_task": task,
        **{f"image_{k}": stored(20 * number + k, f"{k}.jpg") if k <= n else None for k in range(1, 5)},
        "choices": [f"the {ordinal} image" for ordinal in ORDINALS[:n]],
        "answer": "(B)",
        "prompt": "Which image is most likely to be a real photograph? Select from the following choices. ...",
        "explanation": "",
    } | changes


def dataset(folder: Path, *rows: dict[str, Any], file: str = "Forensic_Detection/val-00000-of-00001.parquet") -> Blink:
    write(folder / "data" / file, rows, TYPES)
    return Blink(format="blink", data=str(folder / "data"), images=str(folder / "images"))


def read(*args: Any, tasks: tuple[str, ...] = ("Forensic_Detection",)) -> Annotated:
    return dataset(*args).asked(tasks)


def test_a_row_whose_choices_are_its_images_is_a_question(tmp_path):
    (question,) = read(tmp_path, row(1)).questions
    folder = "Forensic_Detection/val-00000-of-00001"
    assert question.files == tuple(f"{folder}/val_Forensic_Detection_1-{k}.jpg" for k in range(1, 5))
    assert (question.text, question.target) == ("Which image is most likely to be a real photograph?", 2)


def test_pictures_are_written_once_byte_for_byte_and_left_alone_then(tmp_path):
    blink = dataset(tmp_path, row(1), row(2))
    blink.asked(["Forensic_Detection"])
    file = tmp_path / "images/Forensic_Detection/val-00000-of-00001/val_Forensic_Detection_2-3.jpg"
    assert file.read_bytes() == stored(43)["bytes"]
    written = file.stat().st_mtime_ns
    assert len(blink.asked(["Forensic_Detection"]).questions) == 2
    assert file.stat().st_mtime_ns == written
    shutil.rmtree(tmp_path / "images")
    assert len(blink.asked(["Forensic_Detection"]).questions) == 2


def test_another_file_of_the_folder_changes_no_question_of_the_first(tmp_path):
    alone = read(tmp_path, row(1), row(2))
    write(tmp_path / "data/Art_Style/val-00000-of-00001.parquet", [row(1, 3, "Art_Style")], TYPES)
    assert read(tmp_path, row(1), row(2)) == alone


def test_a_reference_beside_the_candidates_is_no_question_here(tmp_path):
    similar = row(3, 3, choices=["the second image", "the third image"], answer="(A)")
    (refused,) = read(tmp_path, row(1), similar).refused
    assert str(refused) == (
        "Forensic_Detection entry 1: val_Forensic_Detection_3: 2 options for 3 images; every image has to be a"
        " candidate, and nothing else"
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"choices": ["A", "B", "C", "D"]}, "option A, 'A', names no image"),
        ({"choices": ["left", "right"], "n": 2}, "option A, 'left', names no image"),
        ({"choices": ["the first image"] * 4}, "the options name the images 1, 1, 1, 1 of 4"),
        ({"choices": None}, "has choices None, expected list"),
        ({"answer": "hidden"}, "the answer 'hidden' is none of the options A, B, C, D"),
        ({"answer": "(E)"}, "the answer 'E' is none of the options A, B, C, D"),
        ({"answer": None}, "has answer None, expected str"),
        ({"question": " "}, "the question is empty"),
        ({"question": "Is the first image real?"}, "the question speaks of 'first image'"),
        ({"n": 1, "choices": ["the first image"]}, "1 images; a question has 2 to 12 candidates"),
        ({"image_3": {"bytes": b"no picture", "path": "3.jpg"}}, "cannot be read as a picture"),
        ({"image_3": {"bytes": None, "path": "3.jpg"}}, "val_Forensic_Detection_2-3.jpg is missing"),
        ({"image_3": stored(41)}, "are the same picture"),
    ],
)
def test_a_row_that_does_not_choose_among_its_images_is_refused_with_the_reason(tmp_path, changes, reason):
    annotated = read(tmp_path, row(1), row(2, **changes))
    (refused,) = annotated.refused
    assert len(annotated.questions) == 1
    assert reason in str(refused)
    assert str(refused).startswith("Forensic_Detection entry 1: val_Forensic_Detection_2: ")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(1), row(1)], "row 1: idx is 'val_Forensic_Detection_1', which an earlier row has as well; needed are"),
        ([row(1, idx="../1")], "row 0: idx is '../1', which is no name; needed are letters, digits"),
        ([row(1, idx=None)], "row 0: idx is None, which is no name"),
        ([row(1, answer="hidden")], "no question of Forensic_Detection chooses among images: .* 'hidden'"),
        ([row(1, task="Forensic_Detector")], r"has no task 'Forensic_Detection' .*; it has: Forensic_Detector"),
        ([{k: v for k, v in row(1).items() if k != "choices"}], "has no column choices; needed are idx, sub_task, .*"),
    ],
)
def test_files_that_cannot_be_used_are_one_clear_error(tmp_path, rows, message):
    with pytest.raises(BenchmarkError, match=message) as refused:
        read(tmp_path, *rows)
    assert str(tmp_path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.glob("images/**/.*"))


def test_a_folder_without_parquet_and_a_file_that_is_none_are_named(tmp_path):
    blink = dataset(tmp_path, row(1))
    file = tmp_path / "data/Forensic_Detection/val-00000-of-00001.parquet"
    file.write_bytes(b"<html>")
    with pytest.raises(BenchmarkError, match=r"val-00000-of-00001\.parquet: not Parquet"):
        blink.asked(["Forensic_Detection"])
    file.unlink()
    with pytest.raises(BenchmarkError, match="data: there is no such file, nor a folder with files named"):
        blink.asked(["Forensic_Detection"])


def test_a_damaged_file_is_no_full_disk(tmp_path):
    """The library tells damage within as an error of the system."""
    blink = dataset(tmp_path, *(row(number) for number in range(8)))
    file = tmp_path / "data/Forensic_Detection/val-00000-of-00001.parquet"
    content = bytearray(file.read_bytes())
    content[40:400] = bytes(360)
    file.write_bytes(content)
    with pytest.raises(BenchmarkError, match=r"val-00000-of-00001\.parquet: damaged \(.*\); fetch it again"):
        blink.asked(["Forensic_Detection"])
    assert not (tmp_path / "images/Forensic_Detection/val-00000-of-00001").exists()


def test_a_benchmark_of_blink_keeps_its_contracts(tmp_path):
    blink = dataset(tmp_path, *(row(number) for number in range(1, 11)))
    images = parquet.conform(blink.read_images(["Forensic_Detection"]).table, contracts.IMAGES, "images")
    numbers = {"n": 4, "evaluation": 100, "calibration": 3, "seed": 0}
    table = blink.build_questions(images, dataset="blink", setting="Forensic_Detection", **numbers)
    assert parquet.conform(table, contracts.QUESTIONS, "questions")["role"].to_pylist() == (
        ["evaluation"] * 7 + ["calibration"] * 3
    )
    assert len(images) == 40
