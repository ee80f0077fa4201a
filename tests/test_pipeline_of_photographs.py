"""The whole path on real photographs: benchmark, CLIP, hard negatives, extraction, calibration, report.

82 COCO photographs and their annotations; a Qwen2.5-VL, a LLaVA-OneVision-1.5 and a CLIP of random weights, whose
answers mean nothing: what is checked is that everything meets.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent / "benchmark"))
from two_towers import write_clip

from benchmarks import architectures
from lad import catalog

ROOT = Path(__file__).parents[1]
MODELS = {"qwen": "qwen2_5_vl", "llava": "llava_onevision15"}

pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture(scope="module")
def results(photographs, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    run = {"models": list(MODELS), "datasets": ["coco"], "settings": ["adversarial"], "n": [4]}
    config = {
        **yaml.safe_load((ROOT / "config" / "config.yaml").read_text()),
        "results": str(folder / "results"),
        "title": "Photographs",
        "label": "82 COCO photographs, random weights",
        "models": {
            model: {"checkpoint": str(_checkpoint(family, folder / model)), "image_size": 336}
            for model, family in MODELS.items()
        },
        "datasets": {
            "coco": {
                "captions": str(photographs / "captions_val2014_subset.json"),
                "instances": str(photographs / "instances_val2014_subset.json"),
                "images": str(photographs / "images"),
                "embeddings": {"backend": "clip", "checkpoint": str(write_clip(folder / "clip"))},
            }
        },
        "evaluation": {"resamples": 50},
        "runs": [{**run, "probes": ["vanilla"]}],
        "report": {"model": "qwen", "dataset": "coco", "artifacts": {"fig7": {}}},
    }
    config["benchmark"] |= {"questions": 6, "orders": 2}
    config["report"]["artifacts"]["table1"] = {"models": list(MODELS), "settings": ["adversarial"]}
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    outcome = subprocess.run(
        ["snakemake", "--configfile", str(file), "--cores", "2", "--nolock"],
        cwd=ROOT,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return folder / "results"


def _checkpoint(family: str, folder: Path) -> Path:
    """Random weights, and the published limits to an image's pixels."""
    checkpoint = architectures.build(family, folder)
    settings = json.loads((checkpoint / "preprocessor_config.json").read_text())
    fewest, most = 56 * 56, 28 * 28 * 1280
    # LLaVA-OneVision-1.5 ships limits of both kinds.
    settings |= {"size": {"shortest_edge": fewest, "longest_edge": most}, "min_pixels": fewest, "max_pixels": most}
    (checkpoint / "preprocessor_config.json").write_text(json.dumps(settings))
    return checkpoint


@pytest.fixture(scope="module")
def connection(results) -> duckdb.DuckDBPyConnection:
    return catalog.connect(results)


def test_both_models_answer_all_questions_in_all_orders(connection):
    rows = connection.execute(
        "select model, count(*), count(distinct question_id) from signals where split = 'evaluation' group by model"
    ).fetchall()
    assert sorted(rows) == [("llava", 12, 6), ("qwen", 12, 6)]


def test_an_image_of_336_pixels_has_144_tokens_in_both(connection):
    """12 x 12 merged patches of 28 pixels."""
    tokens = connection.execute("select distinct unnest(candidate_tokens) from signals").fetchall()
    assert tokens == [(144,)]


def test_hard_negatives_pass_the_category_filter(connection):
    alike = connection.execute(
        "with shown as (select candidates[target] as target, unnest(candidates) as image_id from questions)"
        " select count(*) from shown join images as t on t.image_id = shown.target join images as i on"
        " i.image_id = shown.image_id where shown.image_id <> shown.target and i.category_ids = t.category_ids"
    ).fetchall()
    assert alike == [(0,)]


def test_the_licence_of_every_photograph_is_kept(connection):
    (kept,) = connection.execute("select count(license) = count(*) from images").fetchall()
    assert kept == (True,)


def test_the_report_shows_both_models(results):
    lines = json.loads((results / "artifacts" / "table1.json").read_text())["lines"]
    assert {line["labels"][0] for line in lines} == set(MODELS)
    assert "82 COCO photographs, random weights" in (results / "report.html").read_text()
