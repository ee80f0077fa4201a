"""`make gpu` without a GPU: the command with tiny models, on a machine that has what extraction needs and no more."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer

from benchmarks import architectures, geometries, gpu, gpu_parts
from benchmarks.guarded import Outcome, Part

BLOCKED = """
import builtins

ABSENT = {
    *("duckdb", "snakemake", "pydantic", "pycocotools", "platformdirs", "matplotlib", "sklearn", "requests"),
    *("hypothesis", "num2words", "gguf"),
}
imported = builtins.__import__

def without(name, globals=None, *more, **named):
    # Others' own needs stay: the typer of this environment takes pydantic, that of a bare machine does not.
    by = ((globals or {}).get("__name__") or "").partition(".")[0]
    if name.partition(".")[0] in ABSENT and by.startswith(("lad", "benchmarks", "conftest", "test")):
        raise ModuleNotFoundError(f"No module named {name!r}")
    return imported(name, globals, *more, **named)

builtins.__import__ = without
"""
"""Takes away from this repository's own code what machines with a GPU may lack."""


def command(folder: Path, *arguments: str, **variables: str):
    """`python -m benchmarks.gpu` where these modules cannot be imported."""
    (folder / "bare").mkdir(exist_ok=True)
    (folder / "bare" / "sitecustomize.py").write_text(BLOCKED)
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(folder / "bare"), str(root)])
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_on_a_bare_machine_the_chosen_parts_run_in_order_and_are_written_down(tmp_path):
    chosen = ("tests", "vision tower", "two digits")
    parts = [argument for name in chosen for argument in ("--part", name)]
    outcome = command(tmp_path, "--device", "cpu", "--small", *parts, OUT=str(tmp_path / "out"))
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["log.txt", "results.jsonl", "summary.md"]
    lines = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    ended = [(line["part"], line["status"]) for line in lines if "status" in line]
    assert ended == [("machine", "done"), *((name, "done") for name in chosen)]
    by_kind = {line["kind"]: line for line in lines if "kind" in line}
    assert by_kind["machine"]["torch"] == torch.__version__
    assert by_kind["not imported"]["file"] == "tests/extraction/test_candidates.py"
    assert "hypothesis" in by_kind["not imported"]["reason"]
    assert (by_kind["tests"]["failed"], by_kind["tests"]["passed"] > 5) == (0, True)
    assert by_kind["two digits"]["apart"] < 1e-4
    summary = (tmp_path / "out" / "summary.md").read_text()
    assert "| vision tower | done |" in summary
    assert "## Two digits" in summary


def test_a_device_that_cannot_be_used_is_tried_with_both_kinds_of_processes_and_ends_in_one_line(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(gpu, "machine", lambda *_: Part("machine", "parts_that_end:raising", 60))
    monkeypatch.setattr(gpu, "IMPORTED", ())
    monkeypatch.setattr(os, "environ", os.environ.copy())
    with pytest.raises(typer.Exit) as ended:
        gpu.main(out=tmp_path / "out")
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == "cuda cannot be used here: ValueError: what is wrong\n"
    lines = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines if "status" in line] == 2 * ["failed"]
    assert {line["part"] for line in lines} == {"machine"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--device", "cpu"], "add --small"), (["--part", "speeed"], "no part is called 'speeed'")],
)
def test_what_cannot_be_asked_is_refused(tmp_path, arguments, message):
    outcome = command(tmp_path, *arguments, COLUMNS="200")
    assert outcome.returncode == 2
    assert message in outcome.stderr


def test_the_parts_stand_in_the_order_that_was_asked_for_and_fit_a_card_in_eight_minutes():
    names = [part.name.partition(":")[0] for part in gpu.parts("cuda", small=False)]
    order = ["tests", "parity", "speed", "price", "vision tower", "null query", "two digits", "ties"]
    assert list(dict.fromkeys(names)) == order
    assert gpu.BUDGET == 8 * 60
    assert set(gpu.MODELS) == geometries.REAL.keys()
    assert [geometries.REAL[name].family for name in gpu.MODELS] == list(gpu.TINY)
    assert set(gpu.TINY) <= architectures.FAMILIES.keys()


@pytest.fixture
def told(monkeypatch):
    """What a part tells of ten candidates: `told(gpu_parts.ties, model="demo")`."""
    monkeypatch.setattr(gpu_parts, "SIZES", (10,))
    monkeypatch.setattr(gpu_parts, "ROUNDS", 1)

    def run(part, **options) -> list[dict]:
        facts: list[dict] = []
        part(lambda kind, **more: facts.append({"kind": kind, **more}), device="cpu", small=True, **options)
        return facts

    return run


def test_speed_is_that_of_plain_prefill_ours_and_the_straightforward_way(told):
    facts = told(gpu_parts.speed, model="internvl")
    assert [fact.get("variant") for fact in facts] == [None, "ours, attention not read", "ours", "straightforward"]
    assert 0 < facts[0]["share"] < 1
    assert [fact["presentations"] for fact in facts[1:]] == [60, 60, 3]


def test_a_lack_of_memory_is_told_and_the_next_measurement_goes_on(told, monkeypatch):
    def measure(setup, variant, n, backbone):
        if variant == "ours":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB\nand more")
        return measured(setup, variant, n, backbone)

    measured = gpu_parts.extraction.measure
    monkeypatch.setattr(gpu_parts.extraction, "measure", measure)
    facts = told(gpu_parts.speed, model="internvl")
    assert [fact["kind"] for fact in facts] == ["share", "speed", "out of memory", "speed"]
    assert facts[2]["reason"] == "CUDA out of memory. Tried to allocate 9 GiB"


def test_the_price_is_that_of_the_same_batch_read(told):
    (fact,) = told(gpu_parts.price, model="qwen2_5_vl")
    assert fact["read_bytes"] > fact["plain_bytes"] > 0
    assert fact["memory"] == fact["read_bytes"] / fact["plain_bytes"]
    assert fact["met"] == (fact["time"] <= 1.05 and fact["memory"] <= 1.02)


def test_the_null_query_costs_more_than_none(told):
    alone, rows = told(gpu_parts.null_query, model="llava_onevision15")
    assert (alone["kept"], rows["kept"]) == ("null query", "rows")
    assert min(alone["time"], rows["time"]) > 1


def test_parity_compares_every_signal_and_fails_where_one_is_too_far(told, monkeypatch):
    facts = told(gpu_parts.parity)
    assert {"identifier_logits", "candidate_attention", "null_logprobs"} < {fact["signal"] for fact in facts}
    assert {fact["largest"] for fact in facts} == {0.0}
    monkeypatch.setattr(gpu_parts, "_extract", lambda *_, **__: None)
    monkeypatch.setattr(gpu_parts, "_differences", lambda *_: {"candidate_attention": float("nan")})
    with pytest.raises(AssertionError, match="candidate_attention at N = 10 by nan"):
        told(gpu_parts.parity)


def test_ties_are_counted_in_both_precisions(told):
    facts = told(gpu_parts.ties, model="demo")
    assert [fact["dtype"] for fact in facts] == ["float32", "bfloat16", "bfloat16 against float32"]
    assert facts[0]["tied"] == 0
    assert 0 <= facts[2]["changed"] <= 1


def test_without_pytest_the_part_says_so(told, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytest", None)
    with pytest.raises(RuntimeError, match="pytest is not installed here"):
        told(gpu_parts.tests)


def test_the_summary_has_a_table_for_every_kind_and_says_how_parts_ended():
    facts = [
        {"part": "machine", "kind": "machine", "card": "A100", "memory": 85_000_000_000},
        {"part": "speed: a", "kind": "speed", "n": 4, "rate": 12.345678},
        {"part": "speed: a", "kind": "speed", "n": 8, "share": 0.5},
    ]
    outcomes = [Outcome("machine", "done", 1.0), Outcome("speed: a", "failed", 2.04, "RuntimeError: a|b")]
    text = gpu.summary(facts, outcomes)
    assert "card A100, memory 8.5e+10" in text
    assert "| speed: a | failed | 2.0 | RuntimeError: a\\|b |" in text
    assert "## Speed\n\n| n | rate | share |\n| --- | --- | --- |\n| 4 | 12.35 |  |\n| 8 |  | 0.5 |\n" in text
