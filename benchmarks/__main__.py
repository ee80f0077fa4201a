"""All that a CPU can measure, in one table: `make benchmark`, or `python -m benchmarks [--small]`.

Extraction at N = 4, 8, 12 against the straightforward way; everything behind it at the paper's scale and at ten times
that, and beside it scoring of whole cells, as it would be without the stream; `lad rank` for one question; growth with
the number of questions. `build/benchmark/` gets the table (benchmark.md), the numbers (benchmark.json, growth.csv) and
the figure (growth.svg). With `--docs`, docs/measured/ gets them as well, which docs/performance.md quotes.

Other work on the machine is no obstacle: the table tells its load, and has CPU seconds beside those of the clock.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from benchmarks import growth, offline

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs" / "measured"
PACKAGES: Final = ("torch", "transformers", "duckdb", "pyarrow", "numpy")
SIZES: Final = (4, 8, 12)
Facts = dict[str, Any]


def machine() -> Facts:
    """What was measured on, and how busy it was with other work."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory, GB": round(memory / 1e9, 1),
        "system": platform.platform(terse=True),
        "load average before": round(os.getloadavg()[0], 2),
        "Python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "date": time.strftime("%Y-%m-%d"),
    }


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def extraction(slow: int) -> list[Facts]:
    """Presentations per second, the straightforward way and ours."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "measured.json"
        sizes = [f"--n={n}" for n in SIZES]
        variants = ["--variant=straightforward", "--variant=ours"]
        command = ["benchmarks.extraction", *sizes, f"--slow={slow}", f"--questions={slow}", *variants, f"--out={out}"]
        _python(*command)
        measured: list[Facts] = json.loads(out.read_text())["measurements"]
    return measured


def offline_half(scales: list[float], ns: list[int], folder: Path) -> list[Facts]:
    """A row per scale, and one more in which scoring has a whole cell in memory."""
    rows: list[Facts] = []
    for scale in scales:
        for whole_cells in (False, True):
            rows.append(
                {"whole cells": whole_cells, **offline.measure(folder, scale, ns, 2, 0, whole_cells=whole_cells)}
            )
            print("  ".join(f"{name} {value:.3g}" for name, value in rows[-1].items()), flush=True)
        shutil.rmtree(folder / f"scale-{scale:g}")
    return rows


def ranking() -> Facts:
    """One question put by `lad rank`, from the start of the process to its answer."""
    from lad.demo.scenes import write_dataset

    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder) / "scenes", images=4, seed=1)
        pictures = sorted(map(str, (Path(folder) / "scenes" / "images").iterdir()))
        before, started = os.times(), time.perf_counter()
        _python("lad", "rank", "a red circle", *pictures, "--model=resources/demo-model")
        after = os.times()
    cpu_seconds = sum(after[2:4]) - sum(before[2:4])
    return {"pictures": len(pictures), "seconds": time.perf_counter() - started, "CPU s": cpu_seconds}


def _python(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


# --- the table --------------------------------------------------------------------------------------------------


def page(facts: Facts) -> str:
    """All of it in Markdown."""
    told = "; ".join(f"{name}: {value}" for name, value in facts["machine"].items())
    lines = [
        f"Measured by `make benchmark`. {told}.",
        "",
        "| extraction | a second | ratio | peak GB |",
        "|---|---|---|---|",
    ]
    plain = {one["n"]: one["rate"] for one in facts["extraction"] if one["variant"] == "straightforward"}
    for one in facts["extraction"]:
        ratio = one["rate"] / plain[one["n"]]
        lines.append(
            f"| N = {one['n']}, {one['variant']} | {one['rate']:.1f} | {ratio:.1f} | {one['peak_memory'] / 1e9:.2f} |"
        )
    lines += ["", "The offline half. Ratios are to scoring of whole cells at the same scale:", ""]
    stages = ("calibrate", "score", "evaluate")
    head = [f"{stage} {unit}" for stage in stages for unit in ("CPU s", "GB")]
    lines += [f"| scale | scoring | presentations | {' | '.join(head)} | ratio of score's GB | s |", "|---" * 11 + "|"]
    whole = {row["scale"]: row["score GB"] for row in facts["offline"] if row["whole cells"]}
    for row in facts["offline"]:
        numbers = [f"{row[name]:.2f}" if name.endswith("GB") else f"{row[name]:.1f}" for name in head]
        how = "whole cells" if row["whole cells"] else "in parts"
        ratio = row["score GB"] / whole[row["scale"]]
        lines.append(
            f"| {row['scale']:g} | {how} | {row['presentations']:,} | {' | '.join(numbers)} | {ratio:.2f}"
            f" | {row['total s']:.1f} |"
        )
    rank = facts["rank"]
    lines += [
        "",
        f"`lad rank`, one question of {rank['pictures']} pictures, from the start of the process to its answer:"
        f" {rank['CPU s']:.1f} CPU s in {rank['seconds']:.1f} s.",
        "",
        "How each stage grows with the number of questions (N = 4; extraction stops where it would take minutes):",
        "",
        "![CPU time and peak memory against the number of questions](measured/growth.svg)",
        "",
        growth.table([growth.Grown(**one) for one in facts["growth"]]),
    ]
    return "\n".join(lines) + "\n"


def main(
    small: Annotated[bool, typer.Option("--small", help="Try the command: small sizes, some minutes.")] = False,
    docs: Annotated[bool, typer.Option("--docs", help="Also write docs/measured/, which the documents quote.")] = False,
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("build/benchmark"),
) -> None:
    """Measure everything that needs no GPU, and print one table."""
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    facts: Facts = {"machine": machine()}
    facts["extraction"] = extraction(20 if small else 160)
    scales, ns = ([0.01, 0.1], [4]) if small else ([1.0, 10.0], list(offline.NS))
    facts["offline"] = offline_half(scales, ns, out / "offline")
    facts["rank"] = ranking()
    grown = growth.grow([10, 20] if small else [100, 1_000, 10_000], out / "growth")
    facts["growth"] = [asdict(one) for one in grown]
    facts["machine"]["load average after"] = round(os.getloadavg()[0], 2)
    growth.write(grown, out)
    (out / "benchmark.json").write_text(json.dumps(facts, indent=1) + "\n")
    (out / "benchmark.md").write_text(page(facts))
    if docs:
        DOCS.mkdir(exist_ok=True)
        for name in ("benchmark.md", "benchmark.json", "growth.csv", "growth.svg"):
            shutil.copy(out / name, DOCS / name)
        subprocess.run([sys.executable, "docs/generated.py"], cwd=ROOT, check=True)
    print(page(facts))


if __name__ == "__main__":
    typer.run(main)
