"""The demo's tasks have one right answer each, and MMIU's format."""

import json

import pytest
from PIL import Image

from lad.benchmark.formats.mmiu import PAPER_TASKS, read_annotations
from lad.demo import tasks
from lad.demo.scenes import HELD_OUT_PAIRS, DatasetError, neighbours
from lad.demo.tasks import TASKS, write_tasks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "tasks"
    write_tasks(folder, questions=20, seed=5, size=28)
    return folder


@pytest.fixture(scope="module")
def entries(folder):
    return json.loads((folder / "annotations.json").read_text())


def test_the_reader_keeps_what_chooses_among_images_and_refuses_the_rest(folder):
    read = read_annotations(folder / "annotations.json", folder / "images", TASKS)
    assert read.summary.startswith(
        "questions kept: scene_retrieval 20 of 20, scene_attributes 20 of 20, scene_pairs 20 of 22; refused: "
    )
    assert all("'yes', names no image" in str(refused) for refused in read.refused)
    assert {len(question.files) for question in read.questions if question.task == "scene_pairs"} == {2}


def test_no_task_goes_by_a_name_of_the_papers(entries):
    papers = {name for paper, parts in PAPER_TASKS.items() for name in (paper, *parts)}
    assert papers.isdisjoint(TASKS)
    assert {entry["task"] for entry in entries} == set(TASKS)


def test_the_entries_have_mmius_fields(entries):
    fields = "task visual_input_component source options question context input_image_path output"
    assert all(list(entry) == fields.split() for entry in entries)


def test_the_answers_are_spread_over_the_images(entries):
    answers = [entry["output"] for entry in entries if entry["task"] == "scene_retrieval"]
    assert set(answers) == set("ABCD")


def test_only_the_answer_shows_the_captions_objects(monkeypatch, tmp_path):
    """Every scene is drawn through `render`; here its objects are kept beside its picture."""
    drawn = []
    render = tasks.render
    monkeypatch.setattr(tasks, "render", lambda scene, size: drawn.append(scene) or render(scene, size))
    write_tasks(tmp_path / "tasks", questions=20, seed=5, size=28)
    for entry in json.loads((tmp_path / "tasks" / "annotations.json").read_text()):
        scenes, drawn = drawn[: len(entry["input_image_path"])], drawn[len(entry["input_image_path"]) :]
        if "yes" in entry["options"]:
            continue
        fits = [all(item.name in entry["question"] for item in scene.items) for scene in scenes]
        assert fits == ["ABCD"[k] == entry["output"] for k in range(len(scenes))]
        assert {scene.pair for scene in scenes} <= set(HELD_OUT_PAIRS)
        if entry["task"] != "scene_retrieval":
            target = scenes[fits.index(True)].pair
            assert all(scene.pair in neighbours(target) for scene, fit in zip(scenes, fits, strict=True) if not fit)


def test_a_question_does_not_depend_on_how_many_there_are(folder, entries, tmp_path):
    write_tasks(tmp_path / "tasks", questions=3, seed=5, size=28)
    few = json.loads((tmp_path / "tasks" / "annotations.json").read_text())
    for task in TASKS:
        first = [entry for entry in few if entry["task"] == task]
        assert first == [entry for entry in entries if entry["task"] == task][:3]
    for path in first[0]["input_image_path"]:
        assert (tmp_path / "tasks" / "images" / path).read_bytes() == (folder / "images" / path).read_bytes()


def test_the_pictures_have_the_asked_size(folder, entries):
    with Image.open(folder / "images" / entries[0]["input_image_path"][0]) as image:
        assert image.size == (28, 28)


def test_a_folder_that_holds_files_is_left_alone(folder, tmp_path):
    with pytest.raises(DatasetError, match="not empty; name a new or empty folder"):
        write_tasks(folder, questions=1, seed=0)
    with pytest.raises(DatasetError, match="questions = 0: must be at least 1"):
        write_tasks(tmp_path / "none", questions=0, seed=0)
    assert not (tmp_path / "none").exists()
