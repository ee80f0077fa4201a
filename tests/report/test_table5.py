"""Table 5, from an annotation file to the table, through the commands that the pipeline calls."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from lad import cli, contracts, parquet
from lad.catalog import RELATIONS
from lad.grid import CalibrationSource
from lad.report.artifact import ArtifactError
from lad.report.drawing import draw

DEMO = Path(__file__).parents[2] / "resources" / "demo-model"
CELL = {"model": "demo", "dataset": "tasks", "setting": "scene_pairs", "n": 2, "probe": "vanilla"}
SCORING = {**CELL, **CalibrationSource("tasks", "scene_pairs").keys, "calibration_questions": 5}


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Path:
    """A results folder with one task, asked of the demo model: every stage by its command."""
    results = tmp_path_factory.mktemp("results")
    folder = results / "datasets" / "tasks"

    def path(relation: str, **keys) -> Path:
        return RELATIONS[relation].path(results, **keys)

    def lad(command: str, **options) -> None:
        given = [
            f"--{name.replace('_', '-')}={item}"
            for name, value in options.items()
            for item in (value if isinstance(value, tuple) else (value,))
        ]
        cli.app([command, *given], standalone_mode=False)

    lad("render", format="tasks", out=folder, questions=25, seed=1)
    read = {"format": "mmiu", "annotations": folder / "annotations.json", "image_folder": folder / "images"}
    images = path("images", dataset="tasks")
    lad("images", **read, setting="scene_pairs", out=images)
    questions = path("questions", **CELL)
    chosen = {"dataset": "tasks", "setting": "scene_pairs", "n": 2}
    lad("questions", **read, **chosen, images=images, out=questions)
    signals = {split: path("signals", **CELL, split=split) for split in ("calibration", "evaluation")}
    for split, out in signals.items():
        shown = path("presentations", **CELL, split=split)
        lad("presentations", questions=questions, split=split, out=shown)
        tables_ = {"images": images, "questions": questions, "presentations": shown, "out": out}
        lad("extract", checkpoint=DEMO, image_folder=folder / "images", **tables_, finished=results / split)
    calibration = path("position_bias", **CELL, split="calibration", calibration_set=1, calibration_questions=5).parent
    lad("calibrate", signals=signals["calibration"], out=calibration)
    predictions = path("predictions", **SCORING)
    methods = ("vanilla", "purified_attention", "agd")
    lad("score", signals=signals["evaluation"], calibration=calibration, method=methods, out=predictions)
    compared = {"out": path("metrics", **SCORING), "differences": path("differences", **SCORING)}
    lad("evaluate", predictions=predictions, **compared, resamples=50)
    return results


@pytest.fixture(scope="module")
def options() -> dict:
    return {"model": "demo", "dataset": "tasks", "label": "test", "settings": "scene_pairs", "probes": "vanilla"}


@pytest.fixture(scope="module")
def drawn(measured, options, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("artifacts")
    draw("table5", measured, options, out)
    return out


def test_calibration_and_evaluation_ask_different_questions(measured):
    questions = parquet.read(RELATIONS["questions"].path(measured, **CELL), contracts.QUESTIONS).to_pylist()
    assert [row["role"] for row in questions] == ["evaluation"] * 20 + ["calibration"] * 5
    assert len({row["caption"] for row in questions}) == 25


def test_what_was_refused_lies_beside_the_images(measured):
    refused = json.loads((measured / "images" / "dataset=tasks" / "refused.json").read_text())
    assert [entry["reason"] for entry in refused] == ["option A, 'yes', names no image"] * 2


def test_the_values_are_those_of_a_direct_computation_from_the_predictions(measured, drawn):
    answers = parquet.read(RELATIONS["predictions"].path(measured, **SCORING), contracts.PREDICTIONS).to_pylist()

    def of(method):
        return [row for row in answers if row["method"] == method]

    def accuracy(method):
        return 100 * np.mean([row["position"] == row["target_position"] for row in of(method)])

    def rstd(method):
        recall = [
            100 * np.mean([row["position"] == p for row in of(method) if row["target_position"] == p]) for p in (1, 2)
        ]
        return np.std(recall, ddof=1)

    with (drawn / "table5.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["setting"], row["n_candidates"]) for row in rows] == [("scene_pairs", "2")] * 4
    values = {(row["method"], row["metric"]): float(row["value"]) for row in rows}
    expected = {(method, "accuracy"): accuracy(method) for method in ("vanilla", "purified_attention", "agd")}
    expected["agd", "rstd_change"] = rstd("agd") - rstd("vanilla")
    assert values == pytest.approx(expected)
    assert expected["agd", "rstd_change"] < -10


def test_the_line_and_the_sentence_say_what_the_csv_says(drawn):
    with (drawn / "table5.csv").open(encoding="utf-8", newline="") as file:
        values = [f"{float(row['value']):.1f}".replace("-", "\u2212") for row in csv.DictReader(file)]
    description = json.loads((drawn / "table5.json").read_text(encoding="utf-8"))
    (line,) = description["lines"]
    assert line["labels"] == ["scene_pairs", "2"]
    assert [cell["text"] for cell in line["cells"]] == values
    sentence = description["sentence"].replace("\u00a0", " ")
    assert sentence.startswith("AGD beats vanilla on scene_pairs (N = 2) (+")
    assert sentence.endswith(f"RStd changes by {values[3]} points on scene_pairs (N = 2).")


def test_the_best_accuracy_of_a_task_is_bold(drawn):
    (line,) = json.loads((drawn / "table5.json").read_text(encoding="utf-8"))["lines"]
    accuracies = [float(cell["text"]) for cell in line["cells"][:3]]
    assert [cell["best"] for cell in line["cells"]] == [*(value == max(accuracies) for value in accuracies), False]


def test_a_task_that_was_not_measured_is_one_clear_error(measured, options, tmp_path):
    with pytest.raises(ArtifactError, match=r"^table5: .*vanilla \(setting scene_retrieval.*`lad score "):
        draw("table5", measured, options | {"settings": "scene_pairs,scene_retrieval"}, tmp_path)
