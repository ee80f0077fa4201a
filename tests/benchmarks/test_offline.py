"""The benchmark of the offline half: its signals keep the contract, and a small run leaves every result behind."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from benchmarks.offline import LAYERS, MODELS, ROUNDS, SETTINGS, SPLITS, Cell, synthetic_signals
from lad import catalog, contracts, parquet

REPOSITORY = Path(__file__).parents[2]


def signals(split: str, n: int = 4, seed: int = 0, **other: str):
    cell = Cell(Path(), **{"model": MODELS[0], "setting": SETTINGS[0], **other}, n=n)
    return parquet.conform(synthetic_signals(cell, split, 3, seed), contracts.SIGNALS, "synthetic signals")


def array(table, column: str) -> np.ndarray:
    return np.array(table[column].to_pylist())


@pytest.mark.parametrize("n", [2, 9, 10, 12])
@pytest.mark.parametrize("split", SPLITS)
def test_synthetic_signals_keep_the_contract(split, n):
    table = signals(split, n)
    assert len(table) == 3 * (ROUNDS if split == "evaluation" else n)
    assert array(table, "candidate_attention").shape == (len(table), LAYERS, n)
    np.testing.assert_array_equal(np.sort(array(table, "order")), np.tile(np.arange(1, n + 1), (len(table), 1)))
    np.testing.assert_allclose(np.exp(array(table, "candidate_logprobs")).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("split", SPLITS)
def test_a_question_has_one_target_however_it_is_shown(split):
    table = signals(split)
    rows = np.arange(len(table))
    target = array(table, "order")[rows, array(table, "target_position") - 1].reshape(3, -1)
    assert (target == target[:, :1]).all()
    if split != "evaluation":
        visited = array(table, "target_position").reshape(3, -1)
        np.testing.assert_array_equal(np.sort(visited), np.tile([1, 2, 3, 4], (3, 1)))


def test_calibration_questions_are_not_evaluated():
    asked = {split: set(signals(split)["question_id"].to_pylist()) for split in SPLITS}
    assert asked["evaluation"] == asked["symmetrized"]
    assert not asked["evaluation"] & asked["calibration"]


def test_the_same_seed_gives_the_same_signals_and_every_cell_its_own():
    one = signals("evaluation")
    assert one.equals(signals("evaluation"))
    others = [signals("evaluation", seed=1), signals("evaluation", model=MODELS[1])]
    others += [signals("symmetrized"), signals("evaluation", setting=SETTINGS[1])]
    for other in others:
        assert one["identifier_logits"][0] != other["identifier_logits"][0]


def test_a_small_run_measures_every_method_in_every_cell(tmp_path):
    scales, ns = ("--scale", "0.005", "--scale", "0.01"), ("--n", "2", "--n", "4")
    command = [sys.executable, "-m", "benchmarks.offline", "--folder", str(tmp_path), *scales, *ns]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    # 6 cells of each N, 5 orders of each question, and for N = 4 its 4 shifts.
    rows = [line.split()[:2] for line in run.stdout.splitlines() if line.split()[0] in ("0.005", "0.01")]
    assert rows == [["0.005", str(6 * 5 * (5 + 9))], ["0.01", f"{6 * 10 * (5 + 9):,}"]]
    assert "scale 0.005 -> 0.01: 2.0 x the presentations" in run.stdout

    measured = catalog.connect(tmp_path / "scale-0.01").sql("from metrics where metric = 'accuracy'").to_arrow_table()
    assert pc.all(pc.is_valid(measured["low"])).as_py()
    by_n = measured.group_by("n").aggregate([([], "count_all")]).to_pylist()
    # 15 scorings in 6 cells; permutation averaging, in two formulations, where there are all shifts.
    assert {row["n"]: row["count_all"] for row in by_n} == {2: 90, 4: 102}
