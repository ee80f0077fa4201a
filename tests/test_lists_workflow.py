"""Datasets of lists in a configuration: what is planned of them, what is made, and that every job is wired."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from made_lists import made_lists

from lad.config import parse_configuration
from lad.grid import build_grid
from lad.plan import make_plan, published_rate
from lad.workflow import Workflow

ROOT = Path(__file__).parents[1]
CONFIG = {
    "results": "results/lists",
    "title": "Lists",
    "label": "made up",
    "models": {"demo": {"checkpoint": str(ROOT / "resources" / "demo-model")}},
    "datasets": {
        "lists": {"format": "jsonl", "questions": "lists.jsonl", "depth": 20},
        "plain": {"format": "jsonl", "questions": "plain.jsonl"},
    },
    "benchmark": {"questions": 10, "orders": 2},
    "scoring": {"methods": ["vanilla", "agd"]},
    "runs": [{"models": ["demo"], "datasets": ["lists"], "settings": ["found"], "n": [8], "probes": ["vanilla"]}],
    "report": {"model": "demo", "dataset": "lists", "artifacts": {"table_ranking": {}}},
}


def test_a_configuration_names_lists_and_the_plan_counts_their_windows():
    rows = {row.split: row for row in make_plan(parse_configuration(CONFIG), published_rate()).rows}
    assert rows["evaluation"].passes == 10 * 5 * 2
    assert rows["evaluation"].images == 10 * 20
    assert rows["calibration"].passes == 5 * 8


def test_windows_larger_than_a_list_are_refused_before_anything_runs():
    small = {"format": "jsonl", "questions": "lists.jsonl", "depth": 6}
    config = {**CONFIG, "datasets": {"lists": small}}
    with pytest.raises(
        ValueError, match=r"run 1: dataset lists takes 6 candidates of each list \(depth\), fewer than n"
    ):
        build_grid(parse_configuration(config))


def test_lists_and_rankings_are_made_of_datasets_of_lists_alone():
    runs = [{**CONFIG["runs"][0], "datasets": ["lists", "plain"]}]
    workflow = Workflow(parse_configuration({**CONFIG, "runs": runs}))
    made = [*workflow.benchmark_tables(), *workflow.evaluations()]
    for relation in ("lists", "rankings"):
        (path,) = (path for path in made if path.endswith(f"/{relation}.parquet"))
        assert "/dataset=lists/" in path
    assert "lists/dataset=lists/setting=found/lists.parquet" in workflow.bundled_partitions()
    assert workflow.reading_words("plain") == ["--format=jsonl", "--questions=plain.jsonl"]
    words = {"--format=jsonl", "--questions=lists.jsonl", "--depth=20", "--appearances=2"}
    assert set(workflow.reading_words("lists")) == words


def test_a_ranking_in_the_report_needs_a_dataset_of_lists():
    config = {**CONFIG, "runs": [{**CONFIG["runs"][0], "datasets": ["plain"]}]}
    config["report"] = {**CONFIG["report"], "dataset": "plain"}
    said = r"report\.artifacts\.table_ranking: runs measure no ranked lists of model demo on dataset plain"
    with pytest.raises(ValueError, match=said):
        Workflow(parse_configuration(config))


def test_every_job_is_wired(tmp_path):
    lines = [
        {"task": "found", "query": one.query, "candidates": one.candidates, "relevance": one.relevance}
        for one in made_lists(30, 20)
    ]
    (tmp_path / "lists.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "published.csv").write_text("method,setting,group,metric,value,source\n")
    config = {**CONFIG, "results": str(tmp_path / "results")}
    config["datasets"] = {"lists": {**CONFIG["datasets"]["lists"], "questions": str(tmp_path / "lists.jsonl")}}
    artifacts = {"table_ranking": {"published": str(tmp_path / "published.csv")}}
    config["report"] = {**CONFIG["report"], "artifacts": artifacts}
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    command = ["snakemake", "--configfile", str(file), "--cores", "1", "--dry-run", "--nolock", "--printshellcmds"]
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    outcome = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    told = outcome.stdout + outcome.stderr
    assert outcome.returncode == 0, told
    commands = {line.split()[1]: line for line in re.findall(r"^(?:Shell command:)? *(lad .*)$", told, flags=re.M)}
    assert "--depth=20 --appearances=2" in commands["lists"]
    assert "--setting found" in commands["lists"]
    of_evaluation = f"{tmp_path}/results/presentations/dataset=lists/setting=found/n=8/split=evaluation"
    assert f"--presentations={of_evaluation}/presentations.parquet" in commands["rankings"]
    assert f"--option=published={tmp_path}/published.csv" in commands["draw"]
