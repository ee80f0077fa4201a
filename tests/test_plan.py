"""What a configuration costs, told beforehand, against what it then costs."""

import copy
import csv
import io
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from benchmarks import offline
from lad import catalog, cli, contracts, parquet
from lad.benchmark.chosen_images import build_questions as choose_questions
from lad.benchmark.chosen_images import images_of
from lad.benchmark.formats.mmiu import read_annotations
from lad.benchmark.presentations import build_presentations
from lad.benchmark.questions import build_questions
from lad.config import Configuration, Model, parse_configuration
from lad.demo.tasks import TASKS, write_tasks
from lad.grid import build_grid, presentations
from lad.plan import (
    Backbone,
    PlanError,
    Rate,
    as_text,
    describe_backbone,
    images,
    is_bound,
    make_plan,
    published_rate,
    recorded_rates,
    signal_bytes,
)

ROOT = Path(__file__).parents[1]
CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
RUN = {"models": ["demo"], "datasets": ["scenes"], "settings": ["random"], "n": [4], "probes": ["vanilla"]}
ONE_SECOND = Rate({2: 1.0, 12: 1.0}, "a clock")


def raw(*runs: dict, **changes) -> dict:
    return {**copy.deepcopy(CONFIG), **changes, "runs": [{**RUN, **run} for run in runs]}


def config(*runs: dict, **changes) -> Configuration:
    return parse_configuration(raw(*runs, **changes))


def on_gpu(*runs: dict, **model) -> Configuration:
    return config(*runs, models={"demo": {"checkpoint": "nobody/none", "device": "cuda", **model}})


def row(plan, split: str = "all", model: str = "all"):
    rows = [one for one in plan.rows if (one.model, one.split) == (model, split)]
    return rows[0] if rows else next(one for one in plan.rows if one.split == split)


EVERY_SPLIT = {
    "n": [2, 3, 4, 5],
    "methods": ["agd", "permutation_average", "permutation_average;orders=random", "contextual_calibration"],
}


def test_as_many_presentations_are_planned_as_the_benchmark_then_has():
    """N = 2 and 3 have fewer orders than are asked for; calibration on reused questions shows the first of them."""
    few = {**CONFIG["benchmark"], "questions": 12}
    settings = config(EVERY_SPLIT, {"calibrated_on": [{"split": "symmetrized"}], "n": [6]}, benchmark=few)
    grid = build_grid(settings)
    pictures = parquet.from_rows(
        (
            {"image_id": i, "file_name": f"{i}.png", "width": 56, "height": 56, "caption": f"{i}", "category_ids": []}
            for i in range(60)
        ),
        contracts.IMAGES,
    )
    for cell, split in grid.signals:
        planned = math.prod(presentations(grid, cell, split, settings))
        if split == "content_free":
            assert planned == 1
            continue
        calibration = grid.calibration_questions[cell.benchmark]
        asked = build_questions(
            pictures, dataset="s", setting="random", n=cell.n, evaluation=12, calibration=calibration, seed=0
        )
        rounds = few["permutations" if split == "permuted" else "orders"]
        shown = build_presentations(asked, split, rounds=rounds, seed=0)
        first = sorted(set(shown["question_id"].to_pylist()))[: grid.first_questions(cell, split)]
        assert planned == sum(question in first for question in shown["question_id"].to_pylist())


def test_of_a_dataset_with_questions_of_its_own_the_number_is_a_bound_that_the_benchmark_keeps(tmp_path):
    write_tasks(tmp_path, questions=30, seed=0)
    settings = config(
        {"datasets": ["tasks"], "settings": list(TASKS), "methods": ["agd"]},
        datasets={"tasks": {"format": "tasks", "questions": 30, "seed": 0}},
    )
    grid = build_grid(settings)
    kept = 0
    for cell, split in grid.signals:
        assert is_bound(settings, cell, split)
        if TASKS[cell.setting].n == cell.n:
            read = read_annotations(tmp_path / "annotations.json", tmp_path / "images", [cell.setting])
            asked = choose_questions(
                read,
                images_of(read, tmp_path / "images"),
                **{
                    "dataset": "tasks",
                    "task": cell.setting,
                    "n": cell.n,
                    "evaluation": 160,
                    "calibration": 5,
                    "seed": 0,
                },
            )
            actual = len(build_presentations(asked, split, seed=0))
            assert 0 < actual <= math.prod(presentations(grid, cell, split, settings))
            kept += 1
    assert kept == 4
    text = as_text(make_plan(settings, ONE_SECOND))
    assert "<=" in text
    assert "at most; how many questions a task has is known once its annotation file is read" in text


def test_no_more_images_are_encoded_than_there_are_to_draw_from():
    settings = config({"methods": ["vanilla"], "n": [2, 12]})
    grid = build_grid(settings)
    two, twelve = grid.signals
    assert images(settings, grid, *two) == 2 * 160
    assert images(settings, grid, *twelve) == 400
    pool = config(
        {"methods": ["vanilla"], "n": [12]}, datasets={"scenes": {"captions": "c", "images": "i", "pool": 90}}
    )
    assert images(pool, build_grid(pool), *twelve) == 90


def test_splits_add_up_to_models_and_models_to_everything():
    plan = make_plan(parse_configuration(CONFIG), published_rate())
    signals = build_grid(parse_configuration(CONFIG)).signals
    assert row(plan).jobs == len(signals)
    assert row(plan, "symmetrized").passes == 2 * 160 * (4 + 8)
    assert row(plan, "permuted").passes == sum(split == "permuted" for _, split in signals) * 160 * 16
    parts = [one for one in plan.rows if "all" not in (one.model, one.split)]
    for name in ("passes", "texts", "text_tokens", "images", "signal_bytes", "finished_bytes"):
        assert sum(getattr(one, name) for one in parts) == getattr(row(plan), name)


def test_generated_texts_are_counted_with_the_tokens_that_they_may_have():
    settings = config(
        {"probes": ["cot-tokens64"], "methods": ["cot"]},
        {"probes": ["self_consistency"], "methods": ["self_consistency"]},
    )
    total = row(make_plan(settings, ONE_SECOND))
    assert (total.texts, total.text_tokens) == (800 + 8000, 800 * 64 + 8000 * 512)


# --- bytes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "questions", "layers"), [(2, 200, 6), (4, 200, 36), (8, 400, 36), (12, 1000, 12)])
def test_planned_bytes_are_those_of_a_file_within_a_tenth(tmp_path, n, questions, layers):
    cell = offline.Cell(Path(), offline.MODELS[0], "random", n)
    table = offline.synthetic_signals(cell, "evaluation", questions, 0, layers)
    parquet.write(table, tmp_path / "signals.parquet", contracts.SIGNALS, {})
    planned = signal_bytes(len(table), n, Backbone(layers, None, None, ""))
    assert planned == pytest.approx((tmp_path / "signals.parquet").stat().st_size, rel=0.1)


def test_the_attention_of_heads_is_counted_where_it_is_kept_in_two_bytes_each():
    backbone = Backbone(10, 8, None, "")
    with_heads, without = (signal_bytes(1000, 4, backbone, frozenset(kept)) for kept in ({"heads"}, ()))
    assert with_heads - without == pytest.approx(0.92 * 2 * 1000 * 10 * 8 * 4, abs=1)
    assert signal_bytes(1000, 4, replace(backbone, heads=None), frozenset({"heads"})) is None
    kept = make_plan(config({"methods": ["retrieval_heads"]}), ONE_SECOND)
    left_out = make_plan(config({"methods": ["agd"]}), ONE_SECOND)
    assert row(kept).signal_bytes > row(left_out).signal_bytes


def test_a_folder_tells_layers_heads_and_weights_itself():
    backbone = describe_backbone(Model(checkpoint=str(ROOT / "resources" / "demo-model"), layers=99))
    assert (backbone.layers, backbone.heads) == (6, 4)
    assert backbone.parameters == pytest.approx(2e-3, rel=0.3)
    assert backbone.source.endswith("config.json")


def test_of_a_model_that_is_not_here_only_what_the_configuration_says_is_known():
    told = make_plan(on_gpu({}, layers=36, parameters=4), published_rate())
    assert row(told).signal_bytes > 0
    assert row(told).hours > 0
    silent = make_plan(on_gpu({}), published_rate())
    assert row(silent).signal_bytes is None
    assert row(silent).finished_bytes is None
    assert row(silent).hours is None
    assert any(note.startswith("layers of demo: unknown: the checkpoint is no folder here") for note in silent.notes)
    assert any("`parameters` of the model is not given" in note for note in silent.notes)
    assert as_text(silent).count("unknown") >= 5


# --- hours -----------------------------------------------------------------------------------------------------


def test_between_measured_n_a_rate_lies_on_their_line_and_beyond_them_is_not_made_better():
    rate = Rate({4: 0.2, 8: 0.4, 12: 1.2}, "")
    assert [rate.at(n) for n in (4, 6, 8, 9, 12)] == pytest.approx([0.2, 0.3, 0.4, 0.6, 1.2])
    assert rate.at(2) == 0.2, "no better than the lowest measured"
    assert Rate({4: 0.2}, "").at(12) == pytest.approx(0.6), "in proportion to N"


def test_published_latencies_become_hours_in_proportion_to_parameters():
    """Table 2, AGD: 266.2 s per 1,000 samples at N = 8. Here 160 questions in 5 orders, 4 instead of 8 billion."""
    plan = make_plan(on_gpu({"n": [8], "methods": ["vanilla"]}, layers=36, parameters=4), published_rate())
    assert row(plan).hours == pytest.approx(800 * 0.2662 / 2 / 3600)
    (note,) = (note for note in plan.notes if note.startswith("hours of demo"))
    assert "estimate: the paper's Table 2 (llava-onevision-1.5-8b" in note
    assert "times 4/8 for its parameters" in note


def test_published_rates_say_nothing_of_a_cpu_nor_of_texts():
    on_cpu = make_plan(config({"methods": ["vanilla"]}), published_rate())
    assert row(on_cpu).hours is None
    assert "hours of demo: unknown: the device is a CPU" in as_text(on_cpu)
    writing = make_plan(
        on_gpu({"probes": ["cot"], "methods": ["cot"]}, {"methods": ["vanilla"]}, parameters=8), published_rate()
    )
    assert row(writing).hours == pytest.approx(800 * 0.1975 / 3600), "of the passes without texts"
    assert not row(writing).hours_complete
    assert "+ unknown" in as_text(writing)
    assert "hours of demo, cot: unknown: no run recorded how long its texts take" in as_text(writing)


@pytest.fixture
def results(tmp_path) -> Path:
    """Signals that say 100 presentations took 20 s, at N = 4 in two probes together, and 30 s at N = 8."""
    for n, probe, seconds in ((4, "vanilla", 15), (4, "instruction", 25), (8, "vanilla", 30), (4, "cot", 500)):
        cell = offline.Cell(Path(), offline.MODELS[0], "random", n)
        keys = {"model": "demo", "dataset": "scenes", "setting": "random", "n": n, "probe": probe}
        path = catalog.RELATIONS["signals"].path(tmp_path, **keys, split="evaluation")
        facts = {"presentations": 100, "seconds": seconds, "device": "one GPU"}
        parquet.write(offline.synthetic_signals(cell, "evaluation", 20, 0, 2), path, contracts.SIGNALS, facts)
    return tmp_path


def test_recorded_rates_come_before_published_ones_and_texts_have_their_own(results):
    rates = recorded_rates(catalog.connect(results), "there")
    assert rates["demo", ""].seconds == {4: 0.2, 8: 0.3}
    assert rates["demo", "cot"].seconds == {4: 5.0}
    plan = make_plan(config({"n": [6], "methods": ["vanilla"]}), published_rate(), rates)
    assert row(plan).hours == pytest.approx(800 * 0.25 / 3600)
    assert any(note.endswith("runs of there at N = 4, 8 on one GPU") for note in plan.notes)
    texts = make_plan(config({"probes": ["cot"], "methods": ["cot"]}), published_rate(), rates)
    assert row(texts).hours == pytest.approx(800 * 5 / 3600)


def test_a_file_without_latencies_is_refused(tmp_path):
    (tmp_path / "results.csv").write_text("metric,method,model,n_candidates,value\naccuracy,agd,m,4,50\n")
    with pytest.raises(PlanError, match="has no latency_s of agd and llava"):
        published_rate(tmp_path / "results.csv")
    with pytest.raises(PlanError, match="no such file"):
        published_rate(tmp_path / "none.csv")


# --- the command -----------------------------------------------------------------------------------------------


def test_the_command_prints_a_table_rows_or_everything(monkeypatch, capsys, results, tmp_path):
    file = tmp_path / "config.yaml"
    report = {"model": "demo", "dataset": "scenes", "artifacts": {"fig2": {"n": 4}}}
    file.write_text(yaml.safe_dump(raw({"methods": ["agd"]}, report=report)))

    def plan(*arguments) -> str:
        monkeypatch.setattr(sys, "argv", ["lad", "plan", "--config", str(file), *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        streams = capsys.readouterr()
        assert not end.value.code or streams.err.count("\n") == 1
        return streams.out + streams.err

    assert "demo   evaluation      1     800" in plan()
    rows = list(csv.DictReader(io.StringIO(plan("--format", "csv"))))
    assert [(one["split"], one["passes"]) for one in rows] == [
        *(("calibration", "20"), ("evaluation", "800"), ("all", "820"))
    ]
    told = json.loads(plan("--format", "json", "--results", results))
    assert told["rows"][1]["hours"] == pytest.approx(800 * 0.2 / 3600)
    assert any("one GPU" in note for note in told["notes"])
    file.write_text("runs: [")
    assert f"{file}: is no YAML" in plan()
    file.write_text(yaml.safe_dump({**CONFIG, "sede": 1}))
    assert "configuration, top level: unknown key 'sede' (did you mean 'seed'?); known: results" in plan()
