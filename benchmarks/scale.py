"""What ten thousand jobs cost to plan, and ten thousand files of fifty million presentations to ask.

Two commands. `grid` plans a configuration of many extraction jobs with `snakemake --dry-run`. `queries` fills a
results folder with synthetic signals and times queries over all of it, each in a process of its own, and calibration,
scoring and evaluation of one cell among them. The numbers in the signals mean nothing: cells of one N and setting hold
copies of one table, in files of their own; tables behind the signals are links to one cell's.
"""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml

from benchmarks import offline
from lad import catalog, contracts, parquet
from lad.catalog import RELATIONS
from lad.config import parse_configuration
from lad.grid import build_grid

app = typer.Typer(add_completion=False, help=__doc__)

DATASETS: Final = tuple(f"synthetic{number}" for number in range(1, 6))
PROBES: Final = (
    *("vanilla", "instruction", "question", "uppercase", "lowercase", "roman", "ordinal"),
    *("sofa", "sofa-sigma0.3", "sofa_released"),
)
NS: Final = tuple(range(2, 12))
QUESTIONS: Final = offline.QUESTIONS
ONE: Final = offline.Cell(Path(), offline.MODELS[0], "random", 5)
"""The cell that is calibrated, scored and measured."""

FILES_PER_MODEL: Final = len(DATASETS) * len(offline.SETTINGS) * len(PROBES) * len(NS)

QUERIES: Final = {
    "all presentations, counted": "select count(*) from signals",
    "presentations by model": "select model, count(*) from signals group by model",
    "accuracy of vanilla in one cell": "select avg((list_position(candidate_logprobs, list_max(candidate_logprobs))"
    " = target_position)::integer) from signals where model = 'model1' and dataset = 'synthetic1'"
    " and setting = 'random' and n = 4 and probe = 'vanilla' and split = 'evaluation'",
    "accuracy of vanilla by cell": "select model, dataset, setting, n, probe,"
    " avg((list_position(candidate_logprobs, list_max(candidate_logprobs)) = target_position)::integer)"
    " from signals where split = 'evaluation' group by all",
    "mean attention by N, layer, position": "select n, layer, position, avg(candidate_attention[layer][position])"
    " from signals, range(1, 3) as l(layer), range(1, 12) as p(position) where position <= n group by all",
    "accuracy of every method by model and N (metrics)": "select model, n, method, avg(value) from metrics"
    " where metric = 'accuracy' group by all",
    "answers of one cell (predictions)": "select method, avg(correct::integer) from predictions where model = 'model1'"
    " and dataset = 'synthetic1' and setting = 'random' and n = 4 and probe = 'vanilla' group by all",
    "seconds by model and N (runs)": "select model, n, sum(seconds) / sum(presentations) from runs group by all",
}
"""What is asked, by what it tells."""


# --- planning --------------------------------------------------------------------------------------------------


def grid_configuration(jobs: int, demo: dict[str, Any], results: Path) -> dict[str, Any]:
    """A configuration with at least that many extraction jobs: models x datasets x settings x N x probes x 2 splits."""
    probes, datasets, ns = PROBES[:8], DATASETS[:3], list(range(2, 13))
    each = 2 * len(datasets) * len(offline.SETTINGS) * len(ns) * len(probes)
    models = [f"model{number}" for number in range(1, -(-jobs // each) + 1)]
    run = {"models": models, "datasets": list(datasets), "settings": list(offline.SETTINGS), "n": ns}
    return {
        **demo,
        "results": str(results),
        "models": {model: {"checkpoint": f"nobody/{model}"} for model in models},
        "datasets": dict.fromkeys(datasets, demo["datasets"]["scenes"]),
        "runs": [{**run, "probes": list(probes)}],
        "report": {"model": models[0], "dataset": datasets[0], "artifacts": {"table1": {}}},
    }


@app.command()
def grid(
    jobs: Annotated[int, typer.Option(min=1, help="Extraction jobs, at least.")] = 10_000,
    folder: Annotated[Path, typer.Option(help="Folder for the configuration.")] = Path("build/scale"),
) -> None:
    """Time a dry run of a large grid."""
    folder.mkdir(parents=True, exist_ok=True)
    demo = yaml.safe_load(Path("config/config.yaml").read_text(encoding="utf-8"))
    config = grid_configuration(jobs, demo, folder / "none")
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    start = time.process_time()
    extractions = len(build_grid(parse_configuration(config)).signals)
    print(f"{extractions} extractions; the grid alone {time.process_time() - start:.2f} s")
    command = ["snakemake", "--configfile", str(file), "--dry-run", "--quiet", "all", "--nolock"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    load, start = os.getloadavg()[0], time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"dry run: {time.perf_counter() - start:.1f} s, CPU {used.ru_utime + used.ru_stime:.1f} s,"
        f" {used.ru_maxrss * 1024 / 1e9:.2f} GB; load average {load:.1f} on {os.cpu_count()} cores"
    )


# --- asking ----------------------------------------------------------------------------------------------------


def write_results(
    results: Path, models: int, layers: int, *, questions: int = QUESTIONS, probes: Sequence[str] = PROBES
) -> None:
    """Signals of every cell, each in a file of its own; one more cell is worked on and its other tables are linked."""
    facts = {"synthetic": True, "presentations": questions * offline.ROUNDS, "seconds": 100.0, "device": "none"}
    facts["identifiers"] = [str(position) for position in range(1, ONE.n + 1)]
    for setting, n in product(offline.SETTINGS, NS):
        table = offline.synthetic_signals(replace(ONE, setting=setting, n=n), "evaluation", questions, 0, layers)
        first = _path(results, "signals", "model1", DATASETS[0], setting, n, probes[0])
        parquet.write(table, first, contracts.SIGNALS, facts)
        for model, dataset, probe in product(range(1, models + 1), DATASETS, probes):
            copy = _path(results, "signals", f"model{model}", dataset, setting, n, probe)
            if copy != first:
                shutil.copyfile(first, _with_folder(copy))
    one = replace(ONE, results=results)
    calibration = offline.synthetic_signals(one, "calibration", offline.CALIBRATION_QUESTIONS, 0, layers)
    parquet.write(calibration, one.path("signals", split="calibration"), contracts.SIGNALS, facts)
    evaluated = _path(results, "signals", "model1", DATASETS[0], one.setting, one.n, probes[0])
    shutil.copyfile(evaluated, _with_folder(one.path("signals", split="evaluation")))
    offline_half(results)
    for model, dataset, setting, n, probe in product(range(1, models + 1), DATASETS, offline.SETTINGS, NS, probes):
        for relation in ("position_bias", "attention_prior", "position_prior", "predictions", "metrics"):
            split = {"split": "calibration"} if "split" in RELATIONS[relation].keys else {}
            linked = _path(results, relation, f"model{model}", dataset, setting, n, probe)
            os.link(one.path(relation, **split), _with_folder(linked))


def offline_half(results: Path) -> None:
    """Calibrate, score and measure one cell of 1,000 questions, by the commands of the pipeline."""
    for stage in offline.STAGES:
        stage(replace(ONE, results=results))


def _path(results: Path, relation: str, model: str, dataset: str, setting: str, n: int, probe: str) -> Path:
    return RELATIONS[relation].path(
        results,
        **{"model": model, "dataset": dataset, "setting": setting, "probe": probe},
        n=n,
        split="evaluation" if relation == "signals" else "calibration",
        calibration_dataset=dataset,
        calibration_setting=setting,
        calibration_split="calibration",
        calibration_set=1,
        calibration_questions=offline.CALIBRATION_QUESTIONS,
    )


def _with_folder(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def ask(results: Path, query: str) -> int:
    """The number of rows that a query of a fresh connection answers."""
    connection = catalog.connect(results)
    connection.execute("set enable_progress_bar = false")
    return len(connection.sql(query).to_arrow_table())


def _cost(work: Callable[[], Any]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak gigabytes of this process, once the work is done."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - cpu, _peak_gigabytes()


def _peak_gigabytes() -> float:
    """Peak resident memory of this process alone: `getrusage` begins with that of the process it was made from."""
    with Path("/proc/self/status").open() as lines:
        facts = dict(line.split(":", 1) for line in lines)
    return int(facts["VmHWM"].split()[0]) * 1024 / 1e9


@app.command()
def queries(
    folder: Annotated[Path, typer.Option(help="Results folder; filled if it is not there.")] = Path(
        "build/scale/results"
    ),
    models: Annotated[int, typer.Option(min=1, help=f"Each has {FILES_PER_MODEL} files of 5,000 presentations.")] = 10,
    layers: Annotated[int, typer.Option(min=2, help="Layers that the signals have.")] = 2,
) -> None:
    """Time queries over many files of signals."""
    if not folder.is_dir():
        start = time.perf_counter()
        write_results(folder, models, layers)
        print(f"written in {time.perf_counter() - start:.0f} s")
    files = [file.stat() for file in (folder / "signals").rglob("*.parquet")]
    rows = QUESTIONS * offline.ROUNDS * len(files)
    print(f"{len(files)} files, {rows / 1e6:.1f} million presentations, {sum(f.st_size for f in files) / 1e9:.2f} GB")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    works: dict[str, Callable[[], Any]] = {"opening": partial(catalog.connect, folder)}
    works |= {name: partial(ask, folder, query) for name, query in QUERIES.items()}
    works["calibrate, score and evaluate one cell"] = partial(offline_half, folder)
    print(f"{'':52}{'wall s':>9}{'CPU s':>9}{'peak GB':>9}")
    for name, work in works.items():
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            wall, cpu, peak = process.submit(_cost, work).result()
        print(f"{name:52}{wall:9.2f}{cpu:9.2f}{peak:9.2f}", flush=True)


if __name__ == "__main__":
    app()
