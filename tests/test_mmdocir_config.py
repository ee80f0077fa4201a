"""config/mmdocir.yaml: pages of documents, planned without the data, a model or a GPU."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import yaml

from lad.config import parse_configuration
from lad.evaluation.rankings import METRICS
from lad.grid import build_grid
from lad.plan import make_plan, published_rate

REPOSITORY = Path(__file__).parents[1]
FILE = REPOSITORY / "config" / "mmdocir.yaml"
CONFIG = yaml.safe_load(FILE.read_text())


def test_its_source_is_the_declared_one():
    declared = yaml.safe_load((REPOSITORY / "config" / "datasets.yaml").read_text())["datasets"]["mmdocir"]
    assert {key: CONFIG["datasets"]["mmdocir"][key] for key in declared} == declared


def test_what_it_costs_is_known_without_the_files():
    plan = make_plan(parse_configuration(CONFIG), published_rate())
    (total,) = (row for row in plan.rows if (row.model, row.split) == ("all", "all"))
    # Two models and two sizes of windows: five windows of 8 and four of 12 for each of 1,648 questions, in two orders.
    assert total.passes == 2 * (2 * 1648 * (5 + 4) + 10 * (8 + 12))
    assert total.hours is not None


def test_it_is_planned_by_snakemake(tmp_path):
    command = [sys.executable, "-m", "snakemake", "-n", "--cores=1", "--quiet=rules", f"--configfile={FILE}"]
    outcome = subprocess.run(
        [*command, "--config", f"results={tmp_path}/results"],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    jobs = dict(line.split() for line in outcome.stdout.splitlines() if len(line.split()) == 2)
    grid = build_grid(parse_configuration(CONFIG))
    assert (jobs["download_dataset"], jobs["extract_signals"]) == ("1", str(len(grid.signals)))
    assert jobs["rank_lists"] == "4"


def test_published_numbers_have_a_source_and_known_metrics():
    for file in (REPOSITORY / "resources" / "published").glob("*.csv"):
        rows = list(csv.DictReader(file.open(encoding="utf-8")))
        assert rows
        assert all(row["source"] and row["metric"] in METRICS and 0 <= float(row["value"]) <= 100 for row in rows)
        assert file.name in (file.parent / "README.md").read_text()
