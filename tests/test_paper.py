"""The paper's configuration asks for all that the paper prints, and is planned in seconds before any data are there."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from lad.figures.artifacts import ARTIFACTS
from lad.figures.content import Options
from lad.figures.published import conditions, read_published
from lad.grid import Cell, Scoring, build_grid, check_configuration

REPOSITORY = Path(__file__).parents[1]
CONFIG = yaml.safe_load((REPOSITORY / "config" / "paper.yaml").read_text())
SCORES = ("accuracy", "rstd", "consistency")


@pytest.fixture(scope="module")
def grid():
    schema = yaml.safe_load((REPOSITORY / "workflow" / "schemas" / "config.schema.yaml").read_text())
    check_configuration(CONFIG, schema)
    return build_grid(CONFIG)


def test_every_published_score_has_a_run_that_measures_it(grid):
    """Tables 1, 3, 4, 6, 7 and 8, each value in one formulation at least; tables 2 and 5 are held against below."""
    missing = []
    for value in read_published():
        if value.metric not in SCORES or value.artifact == "table5":
            continue
        measured = False
        for _, keys in conditions(value, Options(value.model, value.dataset, "")):
            cell = Cell(value.model, value.dataset, value.setting, keys["n"], keys["probe"])
            source = keys.get("calibrated_on", f"{value.dataset}-{value.setting}")
            specification = f"{keys['method']};{keys['variant']}" if keys["variant"] else keys["method"]
            measured |= specification in grid.methods.get(Scoring(cell, source, 5), ())
        if not measured:
            missing.append(value)
    assert not missing


def test_the_tasks_of_table_5_and_the_sizes_of_table_2_are_measured(grid):
    published = read_published()
    tasks = {value.setting for value in published if value.artifact == "table5"}
    assert tasks == {cell.setting for cell in grid.cells if cell.dataset == "mmiu"}
    sizes = {int(value.n_candidates) for value in published if value.artifact == "table2"}
    asked = {cell.n for cell in grid.cells if cell.model == CONFIG["report"]["model"] and cell.probe == "vanilla"}
    assert sizes <= asked


def test_all_artifacts_are_drawn_but_that_of_the_unplanted_demo_model():
    assert set(CONFIG["report"]["artifacts"]) == set(ARTIFACTS) - {"table_unplanted"}


def test_its_sources_are_the_declared_ones():
    assert CONFIG["datasets"] == yaml.safe_load((REPOSITORY / "config" / "datasets.yaml").read_text())["datasets"]


def test_it_is_planned_in_seconds_without_data_models_or_gpu(tmp_path):
    started = time.monotonic()
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores=1", "--configfile=config/paper.yaml"]
    outcome = subprocess.run(
        [*command, "--config", f"results={tmp_path / 'paper'}"],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert time.monotonic() - started < 60  # some 6 s on a quiet machine
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", outcome.stdout, flags=re.M))
    assert jobs["download_dataset"] == "3"
    assert int(jobs["extract_signals"]) + int(jobs["extract_generations"]) == len(build_grid(CONFIG).signals)
    assert int(jobs["draw_figure"]) + int(jobs["draw_table"]) == len(CONFIG["report"]["artifacts"])
