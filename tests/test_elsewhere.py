"""The workflow outside its checkout: run in another folder, used as a module, or refused in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lad import workflow
from lad.config import parse_configuration

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "config" / "config.yaml"
SCENES = "results/datasets/scenes"


def run(folder: Path, *arguments: str, **variables: str) -> tuple[int, list[str]]:
    """The exit status and the lines of Snakemake started in a folder."""
    outcome = subprocess.run(
        [str(Path(sys.executable).with_name("snakemake")), "--cores=1", "--logger=lad", *arguments],
        cwd=folder,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return outcome.returncode, outcome.stdout.splitlines()


def configuration(folder: Path) -> str:
    """Written there: a single cell of 20 scenes, with results in the folder of the run."""
    config = yaml.safe_load(DEMO.read_text())
    checkpoint = str(ROOT / "resources" / "demo-model")
    run = {"models": ["demo"], "datasets": ["scenes"], "settings": ["random"], "n": [4], "probes": ["vanilla"]}
    changed = {
        "results": "results",
        "models": {"demo": {"checkpoint": checkpoint}},
        "datasets": {"scenes": {"format": "scenes", "count": 20, "seed": 1}},
        "runs": [{**run, "methods": ["vanilla"]}],
        "report": {"model": "demo", "dataset": "scenes", "artifacts": {"fig2": {"n": 4}}},
    }
    (folder / "my.yaml").write_text(yaml.safe_dump({**config, **changed}))
    return str(folder / "my.yaml")


def test_what_was_made_by_directory_is_up_to_date_from_within_that_folder(tmp_path):
    config = configuration(tmp_path)
    started_at_home = ("--snakefile=Snakefile", f"--directory={tmp_path}", f"--configfile={config}", SCENES)
    status, lines = run(ROOT, *started_at_home)
    assert status == 0, lines
    assert (tmp_path / SCENES / "captions.json").is_file()
    snakefile = f"--snakefile={ROOT / 'workflow' / 'Snakefile'}"
    status, lines = run(tmp_path, snakefile, f"--configfile={config}", SCENES)
    assert (status, lines[0].partition(":")[0]) == (0, "Nothing to be done")
    status, lines = run(tmp_path, snakefile, f"--configfile={config}", "--dry-run")
    assert status == 0, lines
    assert "      1  extract_signals" in lines
    assert not any("render_dataset" in line for line in lines)


def test_another_workflow_uses_it_as_a_module(tmp_path):
    config = configuration(tmp_path)
    (tmp_path / "Snakefile").write_text(
        f"configfile: {config!r}\n\n"
        f"module lad:\n    snakefile: {str(ROOT / 'workflow' / 'Snakefile')!r}\n    config: config\n\n"
        "use rule * from lad as lad_*\n\n"
        "rule mine:\n    default_target: True\n    input: rules.lad_all.input\n    output: 'mine.txt'\n"
    )
    status, lines = run(tmp_path, "--dry-run")
    assert status == 0, lines
    assert {"      1  lad_render_dataset", "      1  lad_write_report", "      1  mine"} <= set(lines)


def test_without_a_configuration_in_the_folder_one_has_to_be_named(tmp_path):
    status, lines = run(tmp_path, f"--snakefile={ROOT / 'Snakefile'}")
    assert (status, len(lines)) == (1, 1)
    assert lines[0].startswith(f"{tmp_path} has no config/config.yaml: run where the pipeline was checked out")
    assert lines[0].endswith("or name a configuration (--configfile my.yaml)")


def test_the_demos_configuration_is_refused_where_its_checkpoints_are_not(tmp_path):
    status, lines = run(tmp_path, f"--snakefile={ROOT / 'Snakefile'}", f"--configfile={DEMO}")
    assert status == 1
    assert lines == [
        f"configuration, models.demo.checkpoint: resources/demo-model lies in {ROOT}, but paths count from the folder"
        f" of the run, {tmp_path}: run in {ROOT}, or name a configuration with paths that hold from here"
        " (--configfile my.yaml)"
    ]


def test_a_missing_package_is_named_with_what_to_do(tmp_path):
    (tmp_path / "lad").mkdir()
    (tmp_path / "lad" / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'duckdb'\")\n")
    status, lines = run(
        tmp_path, f"--snakefile={ROOT / 'workflow' / 'Snakefile'}", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}"
    )
    assert (status, len(lines)) == (1, 1)
    assert lines[0].startswith("No module named 'duckdb': install this pipeline's package where Snakemake runs")


def test_code_is_named_from_a_checkout_by_the_path_below_it_and_from_elsewhere_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert workflow.code("demo/scenes.py") == ["lad/demo/scenes.py"]
    assert "lad/calibration/formulation.py" in workflow.code("calibration")
    monkeypatch.chdir(tmp_path)
    assert workflow.code("demo/scenes.py") == [str(ROOT / "lad" / "demo" / "scenes.py")]


@pytest.mark.parametrize("checkpoint", ["some-lab/some-model", str(ROOT / "resources" / "demo-model")])
def test_names_of_the_hub_and_paths_from_the_root_hold_anywhere(tmp_path, monkeypatch, checkpoint):
    config = yaml.safe_load(DEMO.read_text())
    config["models"] = {name: {"checkpoint": checkpoint} for name in config["models"]}
    monkeypatch.chdir(tmp_path)
    workflow.refuse_paths_of_the_checkout(parse_configuration(config), ROOT)
