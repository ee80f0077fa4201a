"""The paper's configuration asks for all that the paper prints, and is planned in seconds before any data are there."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lad.config import parse_configuration
from lad.grid import build_grid
from lad.report.artifacts import ARTIFACTS
from lad.report.paper import PublishedOptions, conditions, read_published
from lad.report.planned import planned_needs

REPOSITORY = Path(__file__).parents[1]
CONFIG = yaml.safe_load((REPOSITORY / "config" / "paper.yaml").read_text())
SCORES = ("accuracy", "rstd", "consistency")


@pytest.fixture(scope="module")
def grid():
    return build_grid(parse_configuration(CONFIG))


def test_every_published_score_has_a_run_that_measures_it(grid):
    """Tables 1, 3, 4, 6, 7 and 8, each value in one formulation at least; tables 2 and 5 are held against below."""
    missing = []
    for value in read_published():
        if value.metric not in SCORES or value.artifact == "table5":
            continue
        measured = False
        for _, condition in asked(value):
            measured |= condition.specification in grid.methods.get(condition.scoring, ())
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


def test_all_artifacts_are_drawn_but_those_that_ask_for_what_the_paper_has_not():
    """The unplanted demo model; several numbers of passes; a pool of calibration questions to choose from; lists."""
    of_ours = {"table_unplanted", "fig_passes", "table_calibration_choice", "table_ranking"}
    assert set(CONFIG["report"]["artifacts"]) == set(ARTIFACTS) - of_ours


def test_its_sources_are_the_declared_ones():
    declared = yaml.safe_load((REPOSITORY / "config" / "datasets.yaml").read_text())["datasets"]
    assert CONFIG["datasets"] == {name: declared[name] for name in CONFIG["datasets"]}


def dry_run(config: Path, results: Path) -> dict[str, int]:
    """How many jobs of each rule are planned."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--dry-run",
        "--cores=1",
        "--quiet",
        "rules",
        f"--configfile={config}",
    ]
    outcome = subprocess.run(
        [*command, "--config", f"results={results}"],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", outcome.stdout, flags=re.M)}


def test_it_is_planned_in_seconds_without_data_models_or_gpu(tmp_path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    jobs = dry_run(REPOSITORY / "config" / "paper.yaml", tmp_path / "paper")
    # Of computing, whatever else the machine does: some 6 s.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 60
    assert jobs["download_dataset"] == 3
    assert jobs["extract_signals"] + jobs["extract_generations"] == len(build_grid(parse_configuration(CONFIG)).signals)
    assert jobs["draw_figure"] + jobs["draw_table"] == len(CONFIG["report"]["artifacts"])


# --- Table 1 alone ---------------------------------------------------------------------------------------------

TABLE1_FILE = REPOSITORY / "config" / "table1.yaml"
TABLE1 = yaml.safe_load(TABLE1_FILE.read_text())


def test_table_1_alone_is_set_up_as_in_the_whole_suite():
    """All but what is measured and shown, and on which of the datasets."""
    own = {"title", "label", "datasets", "runs", "report"}
    assert TABLE1.keys() == CONFIG.keys()
    assert {key: TABLE1[key] for key in TABLE1.keys() - own} == {key: CONFIG[key] for key in CONFIG.keys() - own}
    assert TABLE1["datasets"] == {"coco": CONFIG["datasets"]["coco"]}
    for key in ("model", "dataset"):
        assert TABLE1["report"][key] == CONFIG["report"][key]
    for name, options in TABLE1["report"]["artifacts"].items():
        assert CONFIG["report"]["artifacts"][name] == options


def test_table_1_alone_asks_for_its_values_and_for_nothing_that_the_suite_does_not_extract(grid):
    configured = parse_configuration(TABLE1)
    alone = build_grid(configured)
    planned_needs(configured, alone)
    assert set(alone.signals) <= set(grid.signals)
    assert {cell.n for cell in alone.cells} == {4}
    for scoring, specifications in alone.methods.items():
        assert set(specifications) <= set(grid.methods[scoring])
    values = [value for value in read_published() if value.artifact == "table1" and value.metric in SCORES]
    places = {(value.model, value.setting, condition.probe) for value in values for _, condition in asked(value)}
    assert places == {(cell.model, cell.setting, cell.probe) for cell in alone.cells}
    for value in values:
        for _, condition in asked(value):
            assert condition.specification in alone.methods[condition.scoring]


def asked(value) -> list:
    return list(conditions(value, PublishedOptions(model=value.model, dataset=value.dataset, label="")))


def test_table_1_alone_plans_what_it_needs(tmp_path):
    """Three models in two settings: four ways of asking, and the calibration of one of them."""
    jobs = dry_run(TABLE1_FILE, tmp_path / "table1")
    assert (jobs["download_dataset"], jobs["build_questions"]) == (1, 2)
    assert (jobs["extract_signals"], jobs["extract_generations"]) == (3 * 2 * 3, 3 * 2 * 2)
    assert (jobs["draw_table"], "draw_figure" in jobs) == (2, False)


def test_one_model_of_table_1_takes_the_two_lines_that_the_documents_name(tmp_path):
    """docs/paper.md, step 4, to the letter."""
    told = " ".join((REPOSITORY / "docs" / "paper.md").read_text().split())
    first, second = re.search(
        r"`models` of the first run to `([^`]+)`, and `model` of the report to `([^`]+)`", told
    ).groups()
    lines = TABLE1_FILE.read_text().splitlines()
    (models,) = (number for number, line in enumerate(lines) if "- models: &models" in line)
    (model,) = (number for number, line in enumerate(lines) if line.startswith("  model: "))
    lines[models] = f"  - models: {first}"
    lines[model] = f"  model: {second}"
    (tmp_path / "my.yaml").write_text("\n".join(lines))
    jobs = dry_run(tmp_path / "my.yaml", tmp_path / "results")
    assert (jobs["extract_signals"], jobs["extract_generations"], jobs["draw_table"]) == (2 * 3, 2 * 2, 2)


def test_table_1_without_generated_texts_can_be_drawn():
    without = [run for run in TABLE1["runs"] if run["probes"] not in (["cot"], ["self_consistency"])]
    assert len(without) == len(TABLE1["runs"]) - 2
    configured = parse_configuration({**TABLE1, "runs": without})
    planned_needs(configured, build_grid(configured))
