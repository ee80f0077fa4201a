"""MMIU's annotation files become questions of choosing among images; everything else is refused by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.chosen_images import Annotated, build_questions, images_of, named_image
from lad.benchmark.formats.mmiu import read_annotations

LETTERS = "ABCDEFGHIJKLMN"
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")

Write = Callable[..., Path]


def entry(number: int, n: int = 4, option: str = "the {ordinal} image", task: str = "odd", **changes: Any) -> dict:
    """An entry as MMIU's files have them; its answer is image 2."""
    options = [option.format(ordinal=ORDINALS[k % 10], number=k + 1, letter=LETTERS[k]) for k in range(n)]
    return {
        "task": task,
        "visual_input_component": "natural image",
        "source": "a source",
        "options": "\n".join(f"{LETTERS[k]}: {text}" for k, text in enumerate(options)),
        "question": f"Which image is the odd one, number {number}?",
        "context": "Select from the following choices.",
        "input_image_path": [f"./semantic/{task}/{task}_{number}_{k}.png" for k in range(n)],
        "output": "B",
    } | changes


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an annotation file and, unless they exist, the pictures it names, all different."""

    def write_entries(*entries: Any, pictures: bool = True) -> Path:
        paths = [path for e in entries if isinstance(e, dict) for path in e.get("input_image_path") or ()]
        for shade, path in enumerate(paths if pictures else []):
            file = tmp_path / "images" / path
            if ".." not in path and not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (8, 4), (shade % 256, shade // 256, 0)).save(file)
        (tmp_path / "all.json").write_text(json.dumps(entries))
        return tmp_path / "all.json"

    return write_entries


def read(path: Path, *tasks: str) -> Annotated:
    return read_annotations(path, path.parent / "images", tasks or ("odd",))


def refusal(write: Write, **changes: Any) -> str:
    """Why an entry is refused that stands behind a good one."""
    annotated = read(write(entry(0), entry(1, **changes)))
    (refused,) = annotated.refused
    assert [question.number for question in annotated.questions] == [0]
    assert str(refused).startswith("odd entry 1: ")
    return refused.reason


@pytest.mark.parametrize(
    "option",
    [
        *("the {ordinal} image", "The {ordinal} image", "{ordinal} picture", "the {ordinal} photograph."),
        *("the {ordinal} one", "{ordinal}", "Image {number}", "image_{number}", "<image {number}>", "image #{number}"),
        *("Image{number}", "picture {letter}", "the image {number}", "photo  {number}", "image number {number}"),
    ],
)
def test_an_option_that_names_an_image_is_read(write, option):
    (question,) = read(write(entry(0, option=option))).questions
    assert question.target == 2
    assert question.files == tuple(f"semantic/odd/odd_0_{k}.png" for k in range(4))
    assert question.text == "Which image is the odd one, number 0?"


@pytest.mark.parametrize(("text", "image"), [("the 1st image", 1), ("2nd photo", 2), ("3rd", 3), ("image twelve", 12)])
def test_numbers_may_be_written_in_other_ways(text, image):
    assert named_image(text) == image


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "No", "3", "C", "Image 13", "thirteenth", "the wall in the first image", "both images", "image"),
        *("The first image and the second image", "neither the first image nor the second", "First images"),
    ],
)
def test_a_text_that_is_more_or_less_than_the_name_of_an_image_names_none(text):
    assert named_image(text) is None


@pytest.mark.parametrize(
    "options", ["A: Second image\nB: First image\n", "A. image 2\nB. image 1", "(A) the second\n(B) the first"]
)
def test_the_answer_is_the_image_that_its_option_names_wherever_the_option_stands(write, options):
    (question,) = read(write(entry(0, n=2, options=options, output="A"))).questions
    assert question.target == 2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("A: the first image\nB: yes\nC: no\nD: the fourth image", "option B, 'yes', names no image"),
        ("A: the sky in the first image\nB: image 2", "option A, 'the sky in the first image', names no image"),
        ("A: image 1\nB: image 2", "2 options for 4 images"),
        ("A: image 1\nB: image 2\nC: image 3\nD: image 3", "the options name the images 1, 2, 3, 3 of 4"),
        ("A: image 1\nB: image 2\nC: image 3\nD: image 5", "the options name the images 1, 2, 3, 5 of 4"),
        ("A: image 1\nC: image 2\nB: image 3\nD: image 4", "are not lines that begin with A:, B:, C: ..."),
        ("the first image, the second image", "are not lines that begin with A:, B:, C: ..."),
        ("", "options '' are not lines"),
    ],
)
def test_options_that_are_not_the_images_are_refused(write, options, reason):
    assert reason in refusal(write, options=options)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"output": "E"}, "the answer 'E' is none of the options A, B, C, D"),
        ({"output": 2}, "has output 2, expected str"),
        ({"options": ["the first image"]}, "has options ['the first image'], expected str"),
        ({"input_image_path": None}, "has input_image_path None, expected list"),
        ({"question": "  "}, "the question is empty"),
        ({"question": "Is the First image the odd one?"}, "the question speaks of 'First image'"),
        ({"question": "Which of these is like image 2?"}, "the question speaks of 'image 2'"),
        ({"question": "Which of these is like Image B?"}, "the question speaks of 'Image B'"),
        ({"n": 13, "option": "image {number}"}, "option M, 'image 13', names no image"),
        ({"n": 1}, "1 images; a question has 2 to 12 candidates"),
    ],
)
def test_a_question_that_cannot_be_asked_in_any_order_is_refused(write, changes, reason):
    assert reason in refusal(write, **changes)


def test_a_question_about_an_image_without_its_number_is_kept(write):
    asked = entry(0, question="Which image a person took in the second half of the day?")
    assert len(read(write(asked)).questions) == 1


def test_a_missing_field_is_named(write):
    broken = entry(1)
    del broken["question"]
    assert read(write(entry(0), broken)).refused[0].reason == "has no question"


def test_a_picture_that_is_missing_unreadable_or_outside_is_named(write, tmp_path):
    path = write(*(entry(number, n=2) for number in range(4)))
    folder = tmp_path / "images" / "semantic" / "odd"
    (folder / "odd_1_0.png").unlink()
    (folder / "odd_2_1.png").write_bytes(b"no picture")
    entries = json.loads(path.read_text())
    entries[3]["input_image_path"][0] = "../all.json"
    reasons = [refused.reason for refused in read(write(*entries, pictures=False)).refused]
    assert reasons == [
        "image semantic/odd/odd_1_0.png is missing",
        "image semantic/odd/odd_2_1.png cannot be read as a picture",
        "image ../all.json lies outside the image folder",
    ]


def test_the_same_picture_twice_is_refused_by_path_and_by_content(write, tmp_path):
    first, second, third = (entry(number, n=2) for number in range(3))
    second["input_image_path"] = [second["input_image_path"][0]] * 2
    path = write(first, second, third)
    folder = tmp_path / "images" / "semantic" / "odd"
    (folder / "odd_2_1.png").write_bytes((folder / "odd_2_0.png").read_bytes())
    reasons = [refused.reason for refused in read(path).refused]
    assert reasons == [
        "images semantic/odd/odd_1_0.png and semantic/odd/odd_1_0.png are the same picture",
        "images semantic/odd/odd_2_0.png and semantic/odd/odd_2_1.png are the same picture",
    ]


def test_the_summary_counts_every_task_and_names_the_first_reasons(write):
    bad = [entry(k, options="A: yes\nB: no", task="mixed") for k in range(1, 6)]
    annotated = read(write(entry(0), entry(0, task="mixed"), *bad), "odd", "mixed")
    assert annotated.summary == (
        "questions kept: odd 1 of 1, mixed 1 of 6; refused: mixed entry 2: option A, 'yes', names no image;"
        " mixed entry 3: option A, 'yes', names no image; mixed entry 4: option A, 'yes', names no image and 2 more"
    )


def test_a_task_goes_by_the_papers_name_which_may_join_two_of_mmius(write):
    lit = entry(0, n=2, task="visual_quality_assessment_ve_lol_l")
    blurred = entry(1, n=2, task="visual_quality_assessment_q_bench+")
    other = entry(2, n=2, task="visual_quality")
    annotated = read(write(lit, blurred, other), "visual_quality")
    assert [(q.task, q.number) for q in annotated.questions] == [("visual_quality", 0), ("visual_quality", 1)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "neither JSON nor Parquet"),
        ("{}", "not an MMIU annotation file"),
        ("[]", "not an MMIU annotation file"),
        ("[1]", "not an MMIU annotation file"),
        ('[{"task": "text2image_retrieval"}]', r"has no task 'odd'; it has: text2image_retrieval$"),
        ('[{"task": "odd"}]', "no question of odd chooses among images: .*odd entry 0: has no question"),
    ],
)
def test_a_file_without_questions_is_one_clear_error(tmp_path, content, message):
    (tmp_path / "all.json").write_text(content)
    with pytest.raises(BenchmarkError, match=message):
        read(tmp_path / "all.json")


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(BenchmarkError, match="cannot be read"):
        read(tmp_path / "all.json")


def test_parquet_reads_as_json_does(write, tmp_path):
    entries = [entry(number) for number in range(3)]
    path = write(*entries)
    pq.write_table(pa.Table.from_pylist(entries), tmp_path / "all.parquet")
    assert read(tmp_path / "all.parquet") == read(path)


@pytest.fixture
def annotated(write, tmp_path) -> tuple[Annotated, pa.Table]:
    """Thirty questions with four images and six with two."""
    entries = [entry(k) for k in range(30)] + [entry(k, n=2) for k in range(30, 36)]
    read_ = read(write(*entries))
    return read_, images_of(read_, tmp_path / "images")


def build(annotated, images, n=4, evaluation=100, calibration=5, seed=0) -> pa.Table:
    numbers = {"n": n, "evaluation": evaluation, "calibration": calibration, "seed": seed}
    table = build_questions(annotated, images, dataset="mmiu", task="odd", **numbers)
    return parquet.conform(table, contracts.QUESTIONS, "questions")


def test_images_are_numbered_by_file_name_and_have_their_size(annotated):
    _, images = annotated
    images = parquet.conform(images, contracts.IMAGES, "images")
    assert len(images) == 132
    assert images["file_name"].to_pylist() == sorted(images["file_name"].to_pylist())
    assert images["image_id"].to_pylist() == list(range(1, 133))
    assert set(images["width"].to_pylist()) == {8}
    assert set(images["caption"].to_pylist()) == {""}


def test_a_benchmark_holds_all_questions_of_its_n_with_their_own_images(annotated):
    table = build(*annotated)
    assert len(table) == 30
    assert table["role"].to_pylist() == ["evaluation"] * 25 + ["calibration"] * 5
    files = dict(zip(annotated[1]["image_id"].to_pylist(), annotated[1]["file_name"].to_pylist(), strict=True))
    for row in table.to_pylist():
        number = int(row["question_id"].rsplit("entry", 1)[1])
        assert [files[image] for image in row["candidates"]] == [f"semantic/odd/odd_{number}_{k}.png" for k in range(4)]
        assert row["caption"] == f"Which image is the odd one, number {number}?"
        assert row["target"] == 2


def test_more_questions_of_either_role_change_no_earlier_one(annotated):
    few, many = build(*annotated, evaluation=3, calibration=2), build(*annotated, evaluation=9, calibration=6)
    for role in ("evaluation", "calibration"):
        rows = [[row for row in table.to_pylist() if row["role"] == role] for table in (few, many)]
        assert rows[1][: len(rows[0])] == rows[0]


def test_another_seed_chooses_other_calibration_questions(annotated):
    chosen = [
        {row["caption"] for row in build(*annotated, seed=seed).to_pylist() if row["role"] == "calibration"}
        for seed in (0, 1)
    ]
    assert chosen[0] != chosen[1]


def test_a_question_that_shares_its_target_with_a_calibration_question_is_not_evaluated(write, tmp_path):
    entries = [entry(number, n=2) for number in range(6)]
    for number, shared in enumerate(entries):
        shared["input_image_path"][1] = f"./semantic/odd/target_{number % 2}.png"
    read_ = read(write(*entries))
    table = build(read_, images_of(read_, tmp_path / "images"), n=2, calibration=1)
    targets = [(row["role"], row["candidates"][row["target"] - 1]) for row in table.to_pylist()]
    assert len(table) == 4
    assert len({role for role, _ in targets}) == 2
    assert len(set(targets)) == 2
    assert len({target for _, target in targets}) == 2


@pytest.mark.parametrize(("n", "calibration"), [(3, 0), (2, 6), (2, 7)])
def test_too_few_questions_are_an_error_that_says_what_there_is(annotated, n, calibration):
    with pytest.raises(BenchmarkError, match=f"{calibration} calibration .* with {n} .*: 6 with 2, 30 with 4"):
        build(*annotated, n=n, calibration=calibration)


def test_an_image_that_the_table_lacks_is_named(annotated):
    with pytest.raises(BenchmarkError, match=r"image semantic/odd/odd_.* is not in the images table"):
        build(annotated[0], annotated[1].slice(0, 3))
