"""Winoground, in either form of its files: each caption of an example asks for its image."""

import json
from pathlib import Path
from typing import Any

import pytest
from stored_rows import IMAGE, picture, stored, write

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.formats.winoground import Winoground

TYPES = {"image_0": IMAGE, "image_1": IMAGE}
TAGS = ("Object", "Relation", "Both")


def row(number: int, **changes: Any) -> dict[str, Any]:
    """An example as Winoground's Parquet file has it."""
    return {
        "id": number,
        "image_0": stored(2 * number),
        "image_1": stored(2 * number + 1),
        "caption_0": f"an old person kisses {number} young ones",
        "caption_1": f"{number} young ones kiss an old person",
        "tag": "Adjective-Age",
        "secondary_tag": "",
        "num_main_preds": 1,
        "collapsed_tag": TAGS[number % 3],
    } | changes


def in_parquet(folder: Path, *rows: dict[str, Any]) -> Winoground:
    file = write(folder / "test-00000-of-00001.parquet", rows, TYPES)
    return Winoground(format="winoground", data=str(file), images=str(folder / "images"))


def in_lines(folder: Path, *rows: dict[str, Any]) -> Winoground:
    """The same examples as the loader reads them: a line each, pictures in a folder."""
    lines = []
    for example in rows:
        names = {f"image_{k}": f"ex_{example.get('id')}_img_{k}" for k in (0, 1)}
        for k, name in enumerate(names.values()):
            (folder / "images").mkdir(exist_ok=True)
            (folder / "images" / f"{name}.png").write_bytes(picture(2 * example.get("id", 0) + k))
        lines.append(json.dumps({key: names.get(key, value) for key, value in example.items()}))
    (folder / "examples.jsonl").write_text("\n".join(lines))
    data = {"data": str(folder / "examples.jsonl"), "images": str(folder / "images")}
    return Winoground(format="winoground", **data)


def test_each_caption_asks_for_its_image_of_the_two(tmp_path):
    first, second = in_parquet(tmp_path, row(171)).asked(["all"]).questions
    assert first.files == second.files == tuple(f"test-00000-of-00001/171-{k}.png" for k in (1, 2))
    assert (first.text, first.target) == ("an old person kisses 171 young ones", 1)
    assert (second.text, second.target) == ("171 young ones kiss an old person", 2)


def test_both_forms_of_the_files_ask_the_same(tmp_path):
    rows = [row(number) for number in range(5)]
    of_parquet, of_lines = (make(tmp_path, *rows).asked(["all"]).questions for make in (in_parquet, in_lines))
    assert [(q.number, q.text, q.target, q.kin) for q in of_parquet] == [
        (q.number, q.text, q.target, q.kin) for q in of_lines
    ]
    assert of_lines[2].files == ("ex_1_img_0.png", "ex_1_img_1.png")


def test_a_setting_is_a_tag_or_all(tmp_path):
    winoground = in_parquet(tmp_path, *(row(number) for number in range(4)))
    assert len(winoground.asked(["Object"]).questions) == 4
    assert len(winoground.asked(["all", "Object"]).questions) == 12
    with pytest.raises(BenchmarkError, match=r"has no task 'object' \(did you mean 'Object'\?\); it has: Both, Object"):
        winoground.asked(["object"])


def test_the_two_questions_of_an_example_never_serve_both_roles(tmp_path):
    winoground = in_parquet(tmp_path, *(row(number) for number in range(30)))
    images = winoground.read_images(["all"]).table
    numbers = {"n": 2, "evaluation": 100, "calibration": 9, "seed": 3}
    table = winoground.build_questions(images, dataset="winoground", setting="all", **numbers)
    roles: dict[str, set[tuple[int, ...]]] = {"evaluation": set(), "calibration": set()}
    for question in parquet.conform(table, contracts.QUESTIONS, "questions").to_pylist():
        roles[question["role"]].add(tuple(question["candidates"]))
    assert roles["evaluation"].isdisjoint(roles["calibration"])
    assert len(roles["calibration"]) > 4


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"caption_1": " "}, "2: the caption_1 is empty"),
        ({"caption_1": None}, "2: has caption_1 None, expected str"),
        ({"caption_1": "the first image"}, "2: the caption_1 speaks of 'first image'"),
        ({"image_1": stored(4)}, "are the same picture"),
        ({"image_1": {"bytes": b"no picture", "path": "1.png"}}, "2-2.png cannot be read as a picture"),
        ({"image_1": {"bytes": None, "path": "1.png"}}, "2-2.png is missing"),
        ({"image_1": None}, "image test-00000-of-00001/2-2 is missing"),
    ],
)
def test_an_example_that_cannot_be_asked_is_refused_with_the_reason(tmp_path, changes, reason):
    annotated = in_parquet(tmp_path, row(1), row(2, **changes)).asked(["all"])
    assert reason in str(annotated.refused[-1])
    assert str(annotated.refused[-1]).startswith("all entry 3: ")
    assert len(annotated.questions) + len(annotated.refused) == 4


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not JSON"),
        ("[1]", r"line 2 is \[1\], expected is an object with keys"),
        (
            '{"id": 3, "caption_0": "a"}',
            "line 2 has no caption_1; needed are id, caption_0, caption_1",
        ),
        (b"\xff", "not a text file in UTF-8"),
    ],
)
def test_a_line_that_is_no_example_is_one_clear_error(tmp_path, line, message):
    winoground = in_lines(tmp_path, row(1))
    path = tmp_path / "examples.jsonl"
    path.write_bytes(path.read_bytes() + b"\n" + (line if isinstance(line, bytes) else line.encode()))
    with pytest.raises(BenchmarkError, match=f"examples.jsonl.*{message}"):
        winoground.asked(["all"])


def test_files_that_are_not_there_are_named(tmp_path):
    winoground = in_lines(tmp_path, row(1))
    (tmp_path / "images/ex_1_img_1.png").unlink()
    with pytest.raises(BenchmarkError, match=r"no question of all chooses .*ex_1_img_1\.png is missing"):
        winoground.asked(["all"])
    (tmp_path / "examples.jsonl").unlink()
    with pytest.raises(BenchmarkError, match=r"examples.jsonl: cannot be read \(No such file"):
        winoground.asked(["all"])
