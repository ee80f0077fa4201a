"""The real pipeline, small: planned, run, run again, and changed."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from lad import contracts, parquet
from lad.bundle import read_manifest, write_bundle
from lad.catalog import RELATIONS
from lad.config import parse_configuration
from lad.grid import CalibrationSource, Cell, Scoring, build_grid
from lad.report.artifacts import ARTIFACTS
from lad.report.planned import configured_options, planned_needs
from lad.report.results import Measured

ROOT = Path(__file__).parents[1]
CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())

pytestmark = pytest.mark.usefixtures("warm")


def command(config: dict, folder: Path, *arguments: str) -> list[str]:
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    return ["snakemake", "--configfile", str(file), "--cores", "2", "--nolock", *arguments]


def snakemake(config: dict, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    asked = command(config, folder, *arguments)
    return subprocess.run(asked, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def rules_run(outcome: subprocess.CompletedProcess) -> set[str]:
    """The rules in the table of jobs that Snakemake prints before it starts."""
    text = outcome.stdout + outcome.stderr
    if "Nothing to be done" in text:
        return set()
    table = text.split("Job stats:", 1)[1].split("total", 1)[0]
    return {line.split()[0] for line in table.splitlines()[3:] if line.strip()}


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> tuple[dict, Path]:
    """The demo, cut down to two settings of four candidates and ten questions, and one setting of two.

    One probe has texts written. What is asked in one setting alone is as in the other: each extraction imports torch.
    """
    folder = tmp_path_factory.mktemp("workflow")
    run = {"models": ["demo"], "datasets": ["scenes"], "probes": ["vanilla"], "settings": ["random", "adversarial"]}
    once = {**run, "settings": ["random"]}
    config = {
        **CONFIG,
        "results": str(folder / "results"),
        "models": {"demo": CONFIG["models"]["demo"]},
        "datasets": {"scenes": {**CONFIG["datasets"]["scenes"], "count": 60}},
        "benchmark": {**CONFIG["benchmark"], "questions": 10, "orders": 2},
        "evaluation": {"resamples": 50},
        "runs": [
            {**run, "n": [4]},
            {**run, "n": [4], "probes": ["self_consistency"], "methods": ["self_consistency", "cot"]},
            {**once, "n": [4], "methods": ["retrieval_heads", "contextual_calibration"]},
            {**once, "n": [2], "methods": ["vanilla"]},
        ],
        "report": {
            "model": "demo",
            "dataset": "scenes",
            "artifacts": {"fig1": {"n": 4}, "fig7": {}, "table1": {}, "table2": {"ns": [4]}, "table7": {"ns": [4]}},
        },
    }
    outcome = snakemake(config, folder)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return config, folder


def test_the_pipeline_ends_in_a_report_with_the_artifacts(small):
    config, _folder = small
    page = (Path(config["results"]) / "report.html").read_text()
    assert "Figure 1" in page
    assert config["label"] in page
    for name in ("fig1.pdf", "fig1.png", "fig1.svg", "fig7.pdf", "table1.csv", "table1.md", "table1.tex"):
        assert (Path(config["results"]) / "artifacts" / name).stat().st_size > 0


def test_the_report_and_the_explorer_lead_to_each_other(small):
    config, _ = small
    report, explorer = (Path(config["results"]) / name for name in ("report.html", "explorer.html"))
    assert '<a href="explorer.html">' in report.read_text()
    assert '<a href="report.html">' in explorer.read_text()


def test_a_second_run_has_nothing_to_do(small):
    assert rules_run(snakemake(*small)) == set()


def test_changing_tau_runs_scoring_and_what_follows_and_no_extraction(small):
    config, folder = small
    changed = {**config, "scoring": {**config["scoring"], "temperature": 4}}
    assert rules_run(snakemake(changed, folder, "--dry-run")) == {
        *("score", "evaluate", "compare", "draw_figure", "draw_table", "write_report", "write_explorer", "all")
    }


def drawn(outcome: subprocess.CompletedProcess) -> set[str]:
    """The artifacts that a dry run draws."""
    return set(re.findall(r"^(?:\[.*\] )?Job \d+: Drawing (\w+)$", outcome.stdout + outcome.stderr, flags=re.M))


@pytest.mark.parametrize(
    ("cell", "artifacts"),
    [
        (("random", 2, "vanilla"), set()),
        (("random", 4, "vanilla"), {"fig1", "table1", "table2", "table7"}),
        (("adversarial", 4, "vanilla"), {"fig7", "table1", "table7"}),
        (("random", 4, "self_consistency"), {"table1"}),
    ],
)
def test_answers_that_change_redraw_the_artifacts_that_show_them_and_no_others(small, cell, artifacts):
    config, folder = small
    setting, n, probe = cell
    scoring = Scoring(Cell("demo", "scenes", setting, n, probe), CalibrationSource("scenes", setting), 5)
    answers = RELATIONS["predictions"].path(Path(config["results"]), **scoring.keys)
    outcome = snakemake(config, folder, "--dry-run", "--forcerun", str(answers))
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert drawn(outcome) == artifacts


def test_an_artifact_needs_of_the_results_what_it_needed_of_the_plan(small):
    config, _folder = small
    results = Path(config["results"])
    configured = parse_configuration(config)
    for name, needs in planned_needs(configured, build_grid(configured)).items():
        options = ARTIFACTS[name].options.read(configured_options(configured, name))
        assert ARTIFACTS[name].needs(Measured(results), options) == needs


def test_another_number_of_candidates_extracts_only_that(small):
    config, folder = small
    changed = {**config, "runs": [{**config["runs"][0], "n": [3, 4]}, *config["runs"][1:]]}
    outcome = snakemake(changed, folder, "--dry-run")
    asked = [line for line in outcome.stdout.splitlines() if "Asking demo" in line]
    assert len(asked) == 4
    assert all("3 candidates" in line for line in asked)


def test_lost_results_are_made_again_from_the_signals(small):
    config, folder = small
    for lost in ("predictions", "metrics", "artifacts"):
        shutil.rmtree(Path(config["results"]) / lost)
    outcome = snakemake(config, folder)
    assert outcome.returncode == 0
    assert rules_run(outcome) == {
        *("score", "evaluate", "compare", "draw_figure", "draw_table", "write_report", "write_explorer", "all")
    }


def test_every_relation_of_the_results_has_rows(small):
    from lad import catalog

    connection = catalog.connect(Path(small[0]["results"]))
    for name in catalog.RELATIONS:
        # Only where table_calibration_choice is asked for; only for datasets with lists.
        if name in ("choices", "lists", "rankings"):
            continue
        assert connection.sql(f"from {name} limit 1").fetchall(), name


def test_the_run_took_what_was_planned(small):
    """Forward passes and texts exactly, images at most; bytes within a tenth, and hours by the run's own rates."""
    from lad import catalog
    from lad.plan import make_plan, published_rate, recorded_rates

    config, _folder = small
    results = Path(config["results"])
    connection = catalog.connect(results)
    plan = make_plan(parse_configuration(config), published_rate(), recorded_rates(connection, "here"))
    ran = "select count(*), sum(presentations), sum(seconds) / 3600 from runs where split = "
    for row in plan.rows[:-1]:
        files, presentations, _hours = connection.sql(f"{ran} '{row.split}'").fetchall()[0]
        assert (row.jobs, row.passes) == (files, presentations)
    total = plan.rows[-1]
    assert total.hours == pytest.approx(
        connection.sql("select sum(seconds) / 3600 from runs").fetchall()[0][0], rel=0.1
    )
    texts, tokens = connection.sql("select count(*), sum(tokens) from generations").fetchall()[0]
    assert total.texts == texts
    assert total.text_tokens >= tokens
    encoded = connection.sql("select sum((facts ->> 'images')::integer) from signals_metadata").fetchall()[0][0]
    assert encoded <= total.images
    size = sum(path.stat().st_size for path in results.glob("signals/**/signals.parquet"))
    assert total.signal_bytes == pytest.approx(size, rel=0.1)


def test_self_consistency_has_its_row_in_table_1(small):
    table = (Path(small[0]["results"]) / "artifacts" / "table1.md").read_text()
    assert "Self-consistency" in table
    assert "Chain of thought" not in table, "that row is for texts of the probe cot"


@pytest.fixture(scope="module")
def from_bundle(small, tmp_path_factory) -> tuple[dict, Path, set[str]]:
    """The same artifacts from a bundle of those results, without model and dataset; N = 2 is not asked for.

    With the rules that made them.
    """
    config, _folder = small
    folder = tmp_path_factory.mktemp("from_bundle")
    write_bundle(Path(config["results"]), folder / "signals.tar")
    elsewhere = {
        "results": str(folder / "results"),
        "bundle": str(folder / "signals.tar"),
        "runs": [{**run, "n": [4]} for run in config["runs"]],
        "models": {"demo": {"checkpoint": "no/such/model"}},
        "datasets": {"scenes": {"captions": "no/such/captions.json", "images": "no/such/images"}},
    }
    outcome = snakemake({**config, **elsewhere}, folder)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return {**config, **elsewhere}, folder, rules_run(outcome)


def test_a_bundle_rebuilds_the_same_artifacts_without_the_model_and_the_images(small, from_bundle):
    """Byte by byte, but for figure 7's photographs and the seconds of scoring, which was done again."""
    config, _folder, rules = from_bundle
    assert rules == {
        *(
            "unpack",
            "calibrate",
            "score",
            "evaluate",
            "compare",
            "draw_figure",
            "draw_table",
            "write_report",
            "write_explorer",
            "all",
        )
    }
    original, rebuilt = Path(small[0]["results"]) / "artifacts", Path(config["results"]) / "artifacts"
    names = sorted(path.name for path in original.iterdir())
    assert names == sorted(path.name for path in rebuilt.iterdir())
    differing = {name for name in names if (original / name).read_bytes() != (rebuilt / name).read_bytes()}
    assert {name.partition(".")[0] for name in differing} == {"fig7", "table2"}
    assert "with grey boxes" in json.loads((rebuilt / "fig7.json").read_text())["sentence"]
    recorded = [
        [line for line in (folder / "table2.csv").read_text().splitlines() if "forward_s" in line or "memory" in line]
        for folder in (original, rebuilt)
    ]
    assert recorded[0] == recorded[1]
    assert len(recorded[0]) == 6


def test_what_a_bundle_holds_and_nobody_asks_for_is_left_alone(from_bundle):
    config, *_ = from_bundle
    assert any("/n=2/" in path for path in read_manifest(Path(config["bundle"])).by_path)
    unpacked = [path.as_posix() for path in Path(config["results"]).rglob("*.parquet")]
    assert any("/n=4/" in path for path in unpacked)
    assert not any("/n=2/" in path for path in unpacked)


def test_after_a_rebuild_there_is_nothing_to_do_even_if_the_bundle_is_copied_anew(from_bundle):
    config, folder, _ = from_bundle
    Path(config["bundle"]).touch()
    assert rules_run(snakemake(config, folder)) == set()


def test_a_bundle_that_lacks_what_is_asked_for_is_refused_when_planning(from_bundle):
    config, folder, _ = from_bundle
    outcome = snakemake({**config, "runs": [{**config["runs"][0], "n": [3, 4]}]}, folder, "--dry-run")
    assert outcome.returncode != 0
    message = r"signals\.tar: lacks 10 of the 21 partitions .*: .*n=3.*, .*n=3.*, .*n=3.* and 7 more; take their runs"
    assert re.search(message, outcome.stdout + outcome.stderr)


def test_a_bundle_with_fewer_calibration_questions_than_asked_for_is_refused_when_planning(from_bundle):
    config, folder, _ = from_bundle
    outcome = snakemake({**config, "calibration": {"questions": 6}}, folder, "--dry-run")
    assert outcome.returncode != 0
    assert "split=calibration/signals.parquet (20 of 24 rows)" in outcome.stdout + outcome.stderr


@pytest.fixture(scope="module")
def one_cell(tmp_path_factory) -> tuple[dict, Path]:
    """A single table of signals: 120 questions in 4 orders, in two shards.

    All that it is compared with is cut and batched alike: on some processors a batch of another composition has other
    last bits.
    """
    folder = tmp_path_factory.mktemp("one_cell")
    run = {"models": ["demo"], "datasets": ["scenes"], "settings": ["random"], "n": [4], "probes": ["vanilla"]}
    config = {
        **CONFIG,
        "results": str(folder / "results"),
        "datasets": {"scenes": {"format": "scenes", "count": 200, "seed": 1}},
        "benchmark": {**CONFIG["benchmark"], "questions": 120, "orders": 4},
        "extraction": {**CONFIG["extraction"], "token_budget": 600, "shard_size": 240},
        "runs": [{**run, "methods": ["vanilla"]}],
        "report": {"model": "demo", "dataset": "scenes", "artifacts": {"fig2": {"n": 4}}},
    }
    outcome = snakemake(config, folder, signals_of(config))
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return config, folder


def signals_of(config: dict) -> str:
    cell = Cell("demo", "scenes", "random", 4, "vanilla")
    return str(RELATIONS["signals"].path(Path(config["results"]), **vars(cell), split="evaluation"))


def sharded(config: dict, size: int) -> dict:
    return {**config, "extraction": {**config["extraction"], "shard_size": size}}


def process_of(command: str, results: Path) -> int:
    """The process, not the shell around it, that runs a `lad` command on files of the results folder."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if " ".join(["lad", *arguments[2:3]]) == command and any(str(results) in argument for argument in arguments):
            return int(folder.name)
    raise AssertionError(f"no process runs {command}")


def finished_rows(results: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in (results / "finished").glob("*/[!.]*.parquet"))


def computed(results: Path) -> int:
    """Presentations that the last jobs have read, going by what their logs say was there when they began."""
    progress = re.compile(r"extract: (\d+) of (\d+) presentations")
    begun = [progress.search(log.read_text()).groups() for log in (results / "logs" / "extract_signals").iterdir()]
    return sum(int(total) - int(there) for there, total in begun)


def test_another_shard_size_computes_nothing_again_and_leaves_one_table(one_cell):
    config, folder = one_cell
    results, target = Path(config["results"]), Path(signals_of(config))
    assert computed(results) == 480
    whole = parquet.read(target, contracts.SIGNALS)
    shutil.rmtree(results / "logs" / "extract_signals")
    outcome = snakemake(sharded(config, 170), folder, str(target))
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert rules_run(outcome) == {"extract_signals", "merge_shards"}
    assert len(list((results / "logs" / "extract_signals").iterdir())) == 3
    assert computed(results) == 0
    assert parquet.read(target, contracts.SIGNALS).equals(whole)
    assert parquet.read_metadata(target)["presentations"] == 480
    assert not (results / "shards").exists()
    assert rules_run(snakemake(sharded(config, 170), folder, str(target))) == set()
    kept_as_cut = ("--rerun-triggers", "mtime", "params", "code", "software-env")
    assert rules_run(snakemake(sharded(config, 100), folder, str(target), *kept_as_cut)) == set()


def test_a_killed_shard_goes_on_where_it_stopped(one_cell):
    config, folder = one_cell
    whole = parquet.read(Path(signals_of(config)), contracts.SIGNALS)
    other = {**config, "results": str(folder / "killed")}
    results, target = Path(other["results"]), Path(signals_of(other))
    shutil.copytree(config["results"], results, ignore=shutil.ignore_patterns("finished", "signals", "logs"))
    with subprocess.Popen(
        command(other, folder, str(target), "--cores", "1"),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as begun:
        while not finished_rows(results):
            assert begun.poll() is None
            time.sleep(0.01)
        os.kill(process_of("lad extract", results), signal.SIGKILL)
    assert begun.returncode != 0
    assert not target.exists()
    kept = finished_rows(results)
    outcome = snakemake(other, folder, str(target), "--rerun-incomplete")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert 0 < kept < 240
    assert computed(results) == 480 - kept
    assert parquet.read(target, contracts.SIGNALS).equals(whole)


def test_the_demo_configuration_is_planned_in_seconds(tmp_path):
    outcome = snakemake({**CONFIG, "results": str(tmp_path / "results")}, tmp_path, "--dry-run", "--quiet", "rules")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_jobs_find_lad_in_an_environment_that_nobody_activated(one_cell, tmp_path):
    """As `.venv/bin/snakemake` in a fresh shell; `sys.executable` lies where `lad` does."""
    config, _folder = one_cell
    other = {**config, "results": str(tmp_path / "results")}
    scenes = tmp_path / "results" / "datasets" / "scenes"
    bare = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"} | {"PATH": "/usr/bin:/bin"}
    assert shutil.which("lad", path=bare["PATH"]) is None
    name, *arguments = command(other, tmp_path, str(scenes))
    asked = [str(Path(sys.executable).parent / name), *arguments]
    outcome = subprocess.run(asked, cwd=ROOT, env=bare, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert scenes.exists()


def test_a_lad_that_somebody_put_before_that_of_the_environment_is_left_alone(one_cell, tmp_path):
    config, _folder = one_cell
    other = {**config, "results": str(tmp_path / "results")}
    (tmp_path / "lad").write_text(f"#!/bin/sh\ntouch '{tmp_path}/ours'\nexit 1\n")
    (tmp_path / "lad").chmod(0o755)
    changed = environment() | {"PATH": f"{tmp_path}{os.pathsep}{environment()['PATH']}"}
    asked = command(other, tmp_path, str(tmp_path / "results" / "datasets" / "scenes"))
    subprocess.run(asked, cwd=ROOT, env=changed, capture_output=True, check=False)
    assert (tmp_path / "ours").exists()


def test_a_space_in_a_path_reaches_every_command_as_one_word(tmp_path):
    """Every path of the plan lies below the folder, and no word of a command is a part of one."""
    folder = tmp_path / "my work"
    folder.mkdir()
    for name in ("captions.json", "instances.json", "all.json"):
        (folder / name).touch()
    (folder / "images").mkdir()
    shutil.copytree(ROOT / "resources" / "demo-model", folder / "model")
    checkpoint = str(folder / "model")
    run = {"models": ["demo"], "datasets": ["scenes"], "settings": ["adversarial"], "n": [4], "probes": ["vanilla"]}
    config = {
        **CONFIG,
        "results": str(folder / "results"),
        "models": {"demo": {"checkpoint": checkpoint}},
        "datasets": {
            "scenes": {
                **{"captions": str(folder / "captions.json"), "instances": str(folder / "instances.json")},
                **{"images": str(folder / "images")},
                "embeddings": {"backend": "vision_tower", "checkpoint": checkpoint},
            },
            "tasks": {"format": "mmiu", "annotations": str(folder / "all.json"), "images": str(folder / "images")},
            "rendered": CONFIG["datasets"]["scenes"],
            "rendered-tasks": CONFIG["datasets"]["tasks"],
            "fetched": {
                **{"folder": str(folder / "fetched"), "download": [{"url": "https://example.org/a.zip"}]},
                **{"captions": str(folder / "fetched" / "a.json"), "images": str(folder / "fetched" / "images")},
            },
        },
        "extraction": {**CONFIG["extraction"], "shard_size": 100},
        "runs": [
            {**run, "methods": [*CONFIG["scoring"]["methods"], "contextual_calibration"]},
            {**run, "probes": ["cot"], "methods": ["cot"]},
            {**run, "datasets": ["tasks", "rendered-tasks"], "settings": ["a"], "methods": ["vanilla"]},
            {**run, "datasets": ["rendered", "fetched"], "settings": ["random"], "methods": ["vanilla"]},
        ],
    }
    shown = {"fig7": {}, "table7": {"settings": ["adversarial"], "ns": [4]}}
    config["report"] = {"model": "demo", "dataset": "scenes", "artifacts": shown}
    outcome = snakemake(config, folder, "--dry-run", "--printshellcmds")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    commands = re.findall(r"^Shell command: (lad .*)$", outcome.stdout, flags=re.M)
    assert {shlex.split(line)[1] for line in commands} == {
        *("render", "download", "images", "embed", "questions"),
        *(
            "presentations",
            "content-free",
            "extract",
            "merge",
            "calibrate",
            "score",
            "evaluate",
            "draw",
            "report",
            "explorer",
        ),
    }
    for line in commands:
        for word in shlex.split(line):
            assert word.count(str(folder)) == word.count(str(tmp_path)), line
            assert not word.startswith("work/"), line


def test_figure_7_waits_for_the_photographs_of_the_dataset_that_it_shows(tmp_path):
    run = {"models": ["demo"], "settings": ["adversarial"], "n": [4], "probes": ["vanilla"]}
    config = {
        **CONFIG,
        "results": str(tmp_path / "results"),
        "datasets": dict.fromkeys(("scenes", "other"), CONFIG["datasets"]["scenes"]),
        "runs": [{**run, "datasets": ["scenes", "other"]}],
        "report": {"model": "demo", "dataset": "scenes", "artifacts": {"fig7": {"dataset": "other"}}},
    }
    outcome = snakemake(config, tmp_path, "--dry-run", "--printshellcmds")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    ((waits, words),) = re.findall(r"Drawing fig7\nReason: (.*)\nShell command: (lad draw .*)\n", outcome.stdout)
    ours, theirs = (str(tmp_path / "results" / "datasets" / name) for name in ("other", "scenes"))
    assert any(path in (ours, f"{ours}/images") for path in re.split("[ ,;]+", waits))
    assert f"--option=images={ours}/images" in shlex.split(words)
    assert theirs not in waits + words


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"report": {**CONFIG["report"], "model": "gpt"}},
            "configuration, report.model: unknown model 'gpt'; known: demo",
        ),
        (
            {"temprature": 5},
            "configuration, top level: unknown key 'temprature'; known: results, bundle",
        ),
        ({"seed": -1}, "configuration, seed: cannot be -1; allowed: 0 or more"),
        ({"runs": [{**CONFIG["runs"][0], "n": [13]}]}, "configuration, run 1.n: cannot be 13; allowed: at most 12"),
        ({"runs": [{**CONFIG["runs"][0], "methods": ["adg"]}]}, "run 1.methods: unknown method 'adg'"),
        ({"runs": [{**CONFIG["runs"][0], "models": ["gpt"]}]}, "run 1: unknown model 'gpt'; known: demo"),
    ],
)
def test_a_wrong_configuration_stops_before_anything_runs(tmp_path, change, message):
    outcome = snakemake({**CONFIG, "results": str(tmp_path / "results"), **change}, tmp_path, "--dry-run")
    assert outcome.returncode != 0
    assert message in outcome.stdout + outcome.stderr
    assert not (tmp_path / "results").exists()


def test_a_dataset_with_questions_of_its_own_is_planned_from_its_files_to_table_5(tmp_path):
    """A task's name may hold what a pattern would read otherwise; questions with two images are asked at n = 2."""
    run = {"models": ["demo"], "datasets": ["mmiu"], "settings": ["quality_q_bench+"], "n": [2], "probes": ["question"]}
    for name in ("all.json", "images"):
        (tmp_path / name).touch()
    config = {
        **CONFIG,
        "results": str(tmp_path / "results"),
        "datasets": {
            "mmiu": {"format": "mmiu", "annotations": str(tmp_path / "all.json"), "images": str(tmp_path / "images")}
        },
        "runs": [{**run, "methods": ["vanilla", "purified_attention", "agd"]}],
        "report": {"model": "demo", "dataset": "mmiu", "artifacts": {"table5": {"settings": run["settings"]}}},
    }
    outcome = snakemake(config, tmp_path, "--dry-run")
    assert rules_run(outcome) == {
        *("read_images", "build_questions", "build_presentations", "extract_signals", "calibrate", "score"),
        *("evaluate", "draw_table", "write_explorer", "write_report", "all"),
    }
