"""Formats are found by walking their package; a dataset of the configuration is the section of its format."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lad import cli, contracts, parquet
from lad.benchmark.formats import FORMATS, Dataset, FromFiles, Rendered, parse_dataset
from lad.benchmark.formats.coco import Coco
from lad.config import parse_configuration
from lad.section import find_formats

CONFIG = yaml.safe_load((Path(__file__).parents[3] / "config" / "config.yaml").read_text())
FILES = {"captions": "captions.json", "images": "images"}


def configured(**entry):
    return parse_configuration({**CONFIG, "datasets": {"mine": entry}}).datasets["mine"]


def refusal(entry: object) -> str:
    with pytest.raises(ValueError, match="configuration, datasets") as refused:
        parse_configuration({**CONFIG, "datasets": {"mine": entry}})
    return str(refused.value)


def test_every_module_of_the_package_that_has_a_format_is_found():
    assert {"caption_pairs", "coco", "flickr8k", "jsonl", "mmiu", "scenes", "tasks"} <= set(FORMATS)


def test_a_format_that_does_not_bear_the_name_of_its_module_is_refused(tmp_path, monkeypatch):
    (tmp_path / "pairs.py").write_text("from lad.benchmark.formats.coco import Coco as FORMAT")
    monkeypatch.setattr(
        "lad.benchmark.formats.__path__", [*sys.modules["lad.benchmark.formats"].__path__, str(tmp_path)]
    )
    with pytest.raises(ImportError, match=r"formats\.pairs exports a format of another name"):
        find_formats("lad.benchmark.formats", [str(tmp_path)], Dataset)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_says_where_its_dataset_comes_from_and_what_its_keys_mean(name):
    entry = FORMATS[name]
    assert issubclass(entry, FromFiles) != issubclass(entry, Rendered)
    assert all(field.description for field in entry.model_fields.values())
    assert (entry.settings is None) == entry.has_own_questions


def test_a_dataset_that_names_no_format_is_coco():
    assert configured(**FILES) == Coco(**FILES)


def test_a_rendered_dataset_is_read_in_the_format_that_it_is_written_in():
    scenes = configured(format="scenes", count=40, seed=1, pool=20, caption_policy="last")
    read = scenes.rendered(Path("there"))
    assert (read.format, read.captions, read.images) == ("coco", "there/captions.json", "there/images")
    assert (read.pool, read.caption_policy, scenes.most_images) == (20, "last", 20)
    tasks = configured(format="tasks", questions=30)
    assert (tasks.rendered(Path("there")).annotations, tasks.most_questions) == ("there/annotations.json", 30)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"format": "cocco", **FILES},
            f"""mine.format: cannot be "cocco" (did you mean 'coco'?); allowed: {", ".join(FORMATS)}""",
        ),
        ({"format": 8, **FILES}, f'mine.format: cannot be "8"; allowed: {", ".join(FORMATS)}'),
        ("coco", 'mine: cannot be "coco"; allowed: keys with values'),
        ({"captions": "captions.json"}, "mine: the key images is missing"),
        (
            {"captoins": "captions.json", "images": "images"},
            "mine: unknown key 'captoins' of format coco (did you mean 'captions'?); known: format, folder, download",
        ),
        (
            {"annotations": "all.json", "images": "images"},
            "mine: unknown key 'annotations' of format coco, but of mmdocir, mmiu",
        ),
        (
            {**FILES, "embeddings": {"backend": "clip", "chekpoint": "x"}},
            "mine.embeddings: unknown key 'chekpoint' (did you mean 'checkpoint'?); known: backend",
        ),
        ({**FILES, "embeddings": {"backend": "vision_tower"}}, "mine.embeddings: backend vision_tower needs a check"),
        ({**FILES, "download": [{"url": "https://example.org/a"}]}, "mine: download needs the key folder"),
        ({"format": "scenes", "count": 1}, "mine.count: cannot be 1; allowed: 2 or more"),
        ({"format": "scenes", "count": "40"}, 'mine.count: cannot be "40"; allowed: a whole number'),
        ({"format": "mmiu", "annotations": "{a}.json", "images": "images"}, "mine.annotations: a path cannot have"),
    ],
)
def test_what_is_wrong_with_a_dataset_is_said_in_one_line(entry, message):
    assert refusal(entry).startswith(f"configuration, datasets.{message}")


def test_importing_the_configuration_reads_no_dataset():
    code = "import sys, lad.benchmark.formats as f; print([m for m in {'pyarrow', 'PIL', 'torch'} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert shown.strip() == "[]"


@pytest.fixture
def lad(monkeypatch, capsys):
    """A command with its arguments; returns its exit code and what it printed."""

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["lad", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        shown = capsys.readouterr()
        return stop.value.code or 0, shown.out + shown.err

    return run


def test_a_rendered_dataset_of_captions_is_asked_about_by_three_commands(lad, tmp_path):
    folder, images, questions = tmp_path / "scenes", tmp_path / "images.parquet", tmp_path / "questions.parquet"
    assert lad("render", "--format", "scenes", "--count", 12, "--seed=3", "--out", folder) == (0, "")
    files = ("--captions", folder / "captions.json", "--image-folder", folder / "images")
    assert lad("images", *files, "--caption-policy=longest", "--out", images) == (0, "")
    assert not (tmp_path / "refused.json").exists()
    facts = {"captions": str(folder / "captions.json"), "caption_policy": "longest", "format": "coco"}
    assert parquet.read_metadata(images) == facts
    asked = ("--dataset", "d", "--setting", "random", "--n", 4, "--evaluation", 3, "--calibration", 2)
    assert lad("questions", "--images", images, *asked, "--out", questions) == (0, "")
    assert parquet.read(questions, contracts.QUESTIONS).num_rows == 5


def test_a_rendered_dataset_with_questions_of_its_own_is_asked_about_by_the_same(lad, tmp_path):
    folder, images, questions = tmp_path / "tasks", tmp_path / "images.parquet", tmp_path / "questions.parquet"
    lad("render", "--format", "tasks", "--questions", 12, "--out", folder)
    files = ("--format", "mmiu", "--annotations", folder / "annotations.json", "--image-folder", folder / "images")
    code, told = lad("images", *files, "--setting", "scene_pairs", "--out", images)
    assert code == 0
    assert "questions kept: scene_pairs 12 of 13; refused: scene_pairs entry 34: option A, 'yes', names no im" in told
    (refused,) = json.loads((tmp_path / "refused.json").read_text())
    assert refused["number"] == 34
    asked = ("--dataset", "d", "--setting", "scene_pairs", "--n", 2, "--calibration", 2)
    assert lad("questions", *files, "--images", images, *asked, "--out", questions) == (0, "")
    assert parquet.read(questions, contracts.QUESTIONS).num_rows > 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("images --image-folder i --out o", "format coco: the key captions is missing"),
        ("images --image-folder i --out o --captons c", "unknown key 'captons' (did you mean 'captions'?)"),
        ("images --image-folder i --out o --captions", "option --captions has no value"),
        ("images --image-folder i --out o captions", "'captions' is no option"),
        (
            "images --image-folder i --out o --format coc",
            f"unknown format 'coc' (did you mean 'coco'?); known: {', '.join(FORMATS)}",
        ),
        ("images --image-folder i --out o --format scenes", "format scenes: unknown key 'images'"),
        ("images --image-folder i --out o --format mmiu --annotations a", "a: which tasks are read?"),
        ("render --out o --format coco --captions c --images i", "is read, not rendered; rendered are: scenes, tasks"),
        ("render --out o --format scenes --count few", 'count: cannot be "few"; allowed: a whole number'),
    ],
)
def test_a_wrong_key_on_the_command_line_is_one_line(lad, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, told = lad(*arguments.split())
    assert code == 1
    assert message in told
    assert len(told.strip().splitlines()) == 1


def test_a_format_without_questions_of_its_own_builds_none():
    asked = {"dataset": "d", "setting": "random", "n": 2, "evaluation": 1, "calibration": 1, "seed": 0}
    with pytest.raises(ValueError, match="format coco has no questions of its own"):
        parse_dataset("coco", FILES).build_questions(None, **asked)
