"""A report that the runs of a configuration would not fill is refused before anything runs."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lad.config import parse_configuration
from lad.grid import build_grid
from lad.report.artifact import ArtifactError
from lad.report.artifacts import ARTIFACTS
from lad.report.drawing import draw
from lad.report.options import options_of
from lad.report.planned import planned_needs

ROOT = Path(__file__).parents[2]
DEMO = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
PAPER = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())
RUN = {"models": ["demo"], "datasets": ["scenes"], "settings": ["random"], "n": [4, 8], "probes": ["vanilla"]}
BASIC = ["vanilla", "attention_readout", "purified_attention", "pride", "agd"]


def check(artifacts: dict, *runs: dict, **report) -> None:
    told = {"model": "demo", "dataset": "scenes", "artifacts": artifacts, **report}
    config = {**copy.deepcopy(DEMO), "report": told}
    if runs:
        config["runs"] = [{**RUN, "methods": BASIC, **run} for run in runs]
    configured = parse_configuration(config)
    planned_needs(configured, build_grid(configured))


@pytest.mark.parametrize("config", [DEMO, PAPER])
def test_the_shipped_reports_are_filled(config):
    configured = parse_configuration(config)
    planned_needs(configured, build_grid(configured))


def test_it_is_told_without_matplotlib_and_torch():
    loaded = "import sys, lad.report.planned; print({'matplotlib', 'torch'} & set(sys.modules))"
    outcome = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("artifacts", "report", "message"),
    [
        ({"fig9": {}}, {}, r"report\.artifacts\.fig9: unknown artifact; known: fig1, fig2"),
        ({"fig1": {}}, {"model": "gpt"}, r"report\.model: unknown model 'gpt'; known: demo, demo-unplanted"),
        ({"fig1": {}}, {"dataset": "coco"}, r"report\.dataset: unknown dataset 'coco'; known: scenes, tasks"),
        ({"fig1": {"ns": [4]}}, {}, r"fig1: has no option 'ns'; it has model, dataset, probe, setting, n$"),
        ({"fig1": {}}, {"dataset": "tasks"}, r"fig1: no run measures setting random \(model demo, dataset tasks\)"),
        ({"fig1": {"model": "demmo"}}, {}, r"fig1: no run measures model demmo; measured: demo, demo-unplanted\. It"),
        ({"table1": {"models": ["demo", "x"]}}, {}, r"table1: no run measures model x; measured: demo, demo-unplanted"),
        ({"table3": {"datasets": ["scenes", "tasks"]}}, {"dataset": "tasks"}, None),
        ({"fig8": {"probes": ["roman", "question"]}}, {}, r"no run measures probe question .*measured: vanilla, "),
        ({"table1": {"settings": ["scene_pairs"]}}, {}, r"no run measures setting scene_pairs .*measured: random, adv"),
        ({"table2": {"ns": [4, 13]}}, {}, r"no run measures n = 13 .*measured: 2, 3, 4"),
        ({"published": {"published_model": "gpt"}}, {}, r"unknown published_model gpt; published are "),
        ({"published": {}}, {}, r"no published value has a counterpart in a run"),
    ],
)
def test_what_no_run_measures_is_refused_with_what_there_is(artifacts, report, message):
    if message is None:
        check(artifacts, **report)
        return
    with pytest.raises(ValueError, match=f"configuration, .*{message}"):
        check(artifacts, **report)


def test_the_message_says_what_is_shown_and_what_to_do():
    with pytest.raises(ValueError) as refused:
        check({"fig1": {}}, {"n": [4]})
    assert str(refused.value) == (
        "configuration, report.artifacts.fig1: no run measures n = 8 (model demo, dataset scenes, setting random);"
        " measured: 4. It shows model demo, dataset scenes, probe vanilla, setting random, n 8: change these"
        " options, leave the artifact out, or add a run"
    )


def test_a_row_that_is_measured_in_part_is_refused_and_one_that_is_not_is_left_out():
    both = {"settings": ["random", "adversarial"]}
    check({"table1": {}}, both)
    asked = {**both, "probes": ["instruction"], "methods": ["vanilla"]}
    check({"table1": {}}, both, asked)
    with pytest.raises(ValueError, match=r"table1: no run measures probe instruction .*setting adversarial, n = 4"):
        check({"table1": {}}, both, {**asked, "settings": ["random"]})


@pytest.mark.parametrize(
    ("artifact", "runs", "message"),
    [
        ("fig5", [{"n": [4]}], "measure agd at fewer than two n"),
        ("fig6", [{"calibration_questions": [1, 5]}], "fewer than two values of tau"),
        ("fig6", [{"methods": ["agd", "agd;tau=1"]}], "fewer than two values of calibration_questions"),
        ("fig_sofa", [{}], "no run measures probe sofa"),
        ("fig_passes", [{"methods": ["majority_vote;passes=1"]}], "together at passes none .*name each of them"),
        ("table3", [{}], "runs measure agd after fewer than two calibrations .*; say calibrated_on in a run"),
        ("table8", [{}], "no run measures method permutation_average"),
        ("table_baselines", [{}, {"methods": ["batch_calibration"]}], "method attention_less_content_free"),
        ("fig_layers", [{"methods": ["vanilla", "agd;formulation=released"]}], "no run measures method agd"),
        ("fig2", [{"methods": ["permutation_average"]}], "no run measures method vanilla"),
    ],
)
def test_artifacts_that_compare_several_measurements_need_several(artifact, runs, message):
    known = {option.name for option in options_of(ARTIFACTS[artifact].options)}
    options = {"settings": ["random"]} if "settings" in known else {}
    with pytest.raises(ValueError, match=message):
        check({artifact: options}, *runs)


EVERYWHERE = {
    "fig1": ("vanilla", "agd"),
    "table1": ("vanilla", "pride", "agd"),
    "table4": ("attention_readout", "purified_attention", "agd"),
    "table7": ("vanilla", "attention_readout", "purified_attention", "agd"),
}
ABLATION = ["agd;prior=no", "agd;layers=all"]


@pytest.mark.parametrize(
    ("artifact", "method"), [(name, each) for name, methods in EVERYWHERE.items() for each in methods]
)
def test_what_a_drawing_refuses_is_refused_before(edited, options, tmp_path, artifact, method):
    """The same method is missing, once from the results and once from the runs."""
    settings = {"settings": ["random", "adversarial"]}
    check({artifact: {}}, {**settings, "methods": BASIC + ABLATION})
    without = edited(lambda row: None if (row["method"], row["variant"]) == (method, "") else row)
    with pytest.raises(ArtifactError):
        draw(artifact, without, options(artifact), tmp_path / "out")
    with pytest.raises(ValueError, match=f"no run measures method {method} "):
        check({artifact: {}}, {**settings, "methods": [each for each in BASIC + ABLATION if each != method]})
