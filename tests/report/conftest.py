"""One results folder, and everything drawn from it, for all tests of figures and tables."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from made_once import made_once
from synthetic_results import build_few, build_results

from lad import contracts, parquet
from lad.report.artifacts import ARTIFACTS
from lad.report.drawing import draw

LABEL = "made-up signals & 100 % real code"


@pytest.fixture(scope="session")
def results(of_all_processes: Path) -> Path:
    """Not to be changed: `edited` makes copies."""
    return made_once(of_all_processes / "results", build_results)


@pytest.fixture(scope="session")
def few_results(of_all_processes: Path) -> Path:
    """Two cells of such results. Not to be changed."""
    return made_once(of_all_processes / "few_results", build_few)


@pytest.fixture(scope="session")
def options(results: Path) -> Callable[[str], dict[str, Any]]:
    """The options that an artifact is drawn with."""

    def of(name: str) -> dict[str, Any]:
        return {
            "model": "demo-unplanted" if name == "table_unplanted" else "demo",
            "dataset": "scenes",
            "label": LABEL,
            **({"images": results / "datasets" / "scenes" / "images"} if name == "fig7" else {}),
            **({"published_model": "llava-onevision-1.5-8b"} if name == "published" else {}),
            # To table 5 any setting is a task.
            **({"settings": ("random", "adversarial"), "probes": ("vanilla",)} if name == "table5" else {}),
            **({"ns": (4, 8)} if name == "table2" else {}),
            **({"dataset": "passages"} if name == "table_ranking" else {}),
        }

    return of


@pytest.fixture(scope="session")
def drawn(results: Path, options: Callable[[str], dict[str, Any]], of_all_processes: Path) -> Path:
    """The folder with every artifact."""

    def draw_all(out: Path) -> None:
        for name in ARTIFACTS:
            draw(name, results, options(name), out)

    # A run of pytest that a test starts may have other artifacts (tests/docs/test_extend.py).
    return made_once(of_all_processes / f"artifacts-{len(ARTIFACTS)}", draw_all)


@pytest.fixture
def edited(results: Path, tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], dict[str, Any] | None]], Path]:
    """Results whose metrics went through a function, row by row; rows that it returns None for are gone.

    Paired differences follow: they are those of the edited accuracies, their intervals as wide as before.
    """

    def edit(change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Path:
        copy = tmp_path / "edited"
        shutil.copytree(results, copy)
        for path in copy.glob("metrics/**/metrics.parquet"):
            rows = [change(row) for row in parquet.read(path, contracts.METRICS).to_pylist()]
            kept: pa.Table = parquet.from_rows([row for row in rows if row is not None], contracts.METRICS)
            parquet.write(kept, path, contracts.METRICS)
            _follow(path.with_name("differences.parquet"), kept)
        return copy

    return edit


def _follow(path: Path, metrics: pa.Table) -> None:
    """Move the differences in that file to where the accuracies now are."""
    accuracy = {
        (row["method"], row["variant"]): row["value"] for row in metrics.to_pylist() if row["metric"] == "accuracy"
    }
    moved = []
    for row in parquet.read(path, contracts.DIFFERENCES).to_pylist():
        ours, theirs = (row["method"], row["variant"]), (row["against"], row["against_variant"])
        if ours in accuracy and theirs in accuracy:
            shift = accuracy[ours] - accuracy[theirs] - row["value"]
            moved.append(row | {name: row[name] + shift for name in ("value", "low", "high")})
    parquet.write(parquet.from_rows(moved, contracts.DIFFERENCES), path, contracts.DIFFERENCES)
