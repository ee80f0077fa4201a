"""The offline half at the paper's full scale: how long, and in how much memory, from signals to metrics.

Writes synthetic signals of 3 models x 2 settings x N = 2..12 with 5,000 evaluation presentations each (1,000 questions
in 5 orders) where and as the pipeline would, with their calibration split and, for N = 4 and 8 as in table 8, their
symmetrized split. Then calibrates, answers by all methods in both formulations, and measures with bootstrap
intervals, through the commands that the workflow calls, one cell per process at a time. The signals have the form,
the types and about the entropy of those of a backbone with 36 layers; their numbers mean nothing. Unlike Snakemake,
which starts a process per job, a process here lives as long as its stage.
"""

import os
import resource
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Final
from unittest import mock

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import typer

from lad import contracts, parquet, streams
from lad.catalog import RELATIONS
from lad.cli import measurement
from lad.methods import METHODS

MODELS: Final = ("synthetic-1", "synthetic-2", "synthetic-3")
SETTINGS: Final = ("random", "adversarial")
SPLITS: Final = ("calibration", "evaluation", "symmetrized")
NS: Final = tuple(range(2, 13))
SYMMETRIZED_NS: Final = (4, 8)
LAYERS: Final = 36
QUESTIONS: Final = 1_000
ROUNDS: Final = 5
CALIBRATION_QUESTIONS: Final = 5
RESAMPLES: Final = 2_000
DATASET: Final = "synthetic"

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cell:
    """What one process works on at a time: a benchmark put to one model, in a results folder."""

    results: Path
    model: str
    setting: str
    n: int

    @property
    def evaluated_splits(self) -> tuple[str, ...]:
        return ("evaluation", "symmetrized") if self.n in SYMMETRIZED_NS else ("evaluation",)

    @property
    def methods(self) -> list[str]:
        """Every method that signals suffice for and the splits admit, in both formulations where it has them."""
        return [
            name + formulation
            for name, method in METHODS.items()
            if method.split in self.evaluated_splits
            and not (method.needs_generations or method.keeps_for(method.options_type()) or method.needs_content_free)
            for formulation in (("", ";formulation=released") if "formulation" in method.options else ("",))
        ]

    @property
    def keys(self) -> dict[str, str | int]:
        return {
            "model": self.model,
            "dataset": DATASET,
            "setting": self.setting,
            "n": self.n,
            "probe": "vanilla",
            "calibration_dataset": DATASET,
            "calibration_setting": self.setting,
            "calibration_split": "calibration",
            "calibration_set": 1,
            "calibration_questions": CALIBRATION_QUESTIONS,
        }

    def path(self, relation: str, **keys: str) -> Path:
        return RELATIONS[relation].path(self.results, **self.keys, **keys)

    @property
    def calibration(self) -> Path:
        return self.path("position_bias", split="calibration").parent


# --- synthetic signals -----------------------------------------------------------------------------------------


def write_signals(cell: Cell, questions: int, seed: int) -> None:
    """Write the cell's calibration split, and that many questions in the splits that are evaluated."""
    for split in ("calibration", *cell.evaluated_splits):
        shown = CALIBRATION_QUESTIONS if split == "calibration" else questions
        table = synthetic_signals(cell, split, shown, seed)
        facts = {"synthetic": True, "seed": seed, "identifiers": _identifiers(cell.n)}
        parquet.write(table, cell.path("signals", split=split), contracts.SIGNALS, facts)


def synthetic_signals(cell: Cell, split: str, questions: int, seed: int, layers: int = LAYERS) -> pa.Table:
    """Signals of a model that prefers some positions, in its logits and otherwise in its attention.

    The bias of the logits depends on where the target is; attention is log-normal about each layer's own preference
    for positions, with more on the target. Adversarial questions are harder.

    Args:
        split: evaluation (each question in five random orders), calibration or symmetrized (in its N cyclic shifts).
        seed: of everything; models, cells and splits draw from streams of their own below it.
    """
    stream = [seed, MODELS.index(cell.model), cell.n]
    model = np.random.default_rng(stream)
    rng = np.random.default_rng([*stream, 1 + SETTINGS.index(cell.setting), SPLITS.index(split)])
    orders = _random_orders(rng, questions, cell.n) if split == "evaluation" else _shifts(rng, questions, cell.n)
    question, round_ = (grid.ravel() for grid in np.indices(orders.shape[:2]))
    is_target = (orders == rng.integers(cell.n, size=questions)[:, None, None]).reshape(-1, cell.n)

    clarity = np.float32(1.0 if cell.setting == "random" else 0.5)
    logits = _logits(model, rng, is_target, clarity)
    candidate_attention, delimiter_attention = _attention(model, rng, is_target, clarity, layers)
    role = "c" if split == "calibration" else "e"
    question_ids = _numbered(f"{DATASET}-{cell.setting}-n{cell.n:02d}-{role}", question, 5)
    return pa.table(
        {
            "presentation_id": pc.binary_join_element_wise(question_ids, _numbered(split[0], round_, 3), "-"),
            "question_id": question_ids,
            "split": pa.repeat(split, len(question)),
            "round": round_,
            "order": parquet.nested_lists(orders.reshape(-1, cell.n) + 1),
            "target_position": is_target.argmax(axis=1) + 1,
            "n_candidates": np.full(len(question), cell.n),
            "identifier_logits": parquet.nested_lists(logits),
            "processed_logits": parquet.nested_lists(logits / np.float32(1.05)),
            "candidate_logprobs": parquet.nested_lists(_log_softmax(logits)),
            "candidate_attention": parquet.nested_lists(candidate_attention),
            "delimiter_attention": parquet.nested_lists(delimiter_attention),
            "candidate_tokens": parquet.nested_lists(np.full((len(question), cell.n), 144)),
            "prompt_tokens": np.full(len(question), 60 + 146 * cell.n),
            "generated_text": _texts(rng, logits),
        }
    )


def _shifts(rng: np.random.Generator, questions: int, n: int) -> Ints:
    """Questions x n x n: the cyclic shifts of a random order of each question, candidates from 0."""
    first = rng.permuted(np.tile(np.arange(n), (questions, 1)), axis=1)
    return np.stack([np.roll(first, -shift, axis=1) for shift in range(n)], axis=1)


def _random_orders(rng: np.random.Generator, questions: int, n: int) -> Ints:
    """Questions x rounds x n. Unlike the benchmark's, orders of a question may be equal: N = 2 has five as well."""
    return rng.permuted(np.tile(np.arange(n), (questions, ROUNDS, 1)), axis=2)


def _logits(
    model: np.random.Generator, rng: np.random.Generator, is_target: npt.NDArray[np.bool_], clarity: np.float32
) -> Floats:
    """Presentations x positions, about 20 as the logits of real backbones are."""
    n = is_target.shape[1]
    bias = model.standard_normal(n, np.float32) + np.float32(0.5) * model.standard_normal((n, n), np.float32)
    expected = np.float32(20) + bias + np.float32(2.5) * clarity * np.eye(n, dtype=np.float32)
    noise = rng.standard_normal(is_target.shape, np.float32)
    return np.asarray(expected[is_target.argmax(axis=1)] + noise)


def _attention(
    model: np.random.Generator,
    rng: np.random.Generator,
    is_target: npt.NDArray[np.bool_],
    clarity: np.float32,
    layers: int,
) -> tuple[Floats, Floats]:
    """Attention on images and on their delimiters, presentations x layers x positions."""
    n = is_target.shape[1]
    depth = np.exp(model.standard_normal((layers, 1), np.float32) - 4)
    preference = depth * np.exp(np.float32(0.8) * model.standard_normal((layers, n), np.float32))
    insight = clarity * model.random((layers, 1), np.float32)
    noise = rng.standard_normal((2, len(is_target), layers, n), np.float32)
    image = preference * np.exp(insight * is_target[:, None] + np.float32(0.5) * noise[0])
    delimiters = np.float32(0.3) * preference * np.exp(np.float32(0.5) * noise[1])
    return image, delimiters


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _texts(rng: np.random.Generator, logits: Floats) -> pa.Array:
    """What greedy decoding would write: the most probable identifier, and nothing of use once in a hundred."""
    n = logits.shape[1]
    useless = rng.random(len(logits)) < 0.01
    return pa.array([*_identifiers(n), "none of them"]).take(pa.array(np.where(useless, n, logits.argmax(axis=1))))


def _identifiers(n: int) -> list[str]:
    return [str(position) for position in range(1, n + 1)]


def _numbered(prefix: str, numbers: Ints, digits: int) -> pa.Array:
    padded = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), digits, "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), padded, "")


# --- the offline half ------------------------------------------------------------------------------------------


def calibrate(cell: Cell) -> None:
    signals = [str(cell.path("signals", split="calibration"))]
    measurement.calibrate(signals=signals, out=cell.calibration, questions=CALIBRATION_QUESTIONS)


def score(cell: Cell) -> None:
    signals = [str(cell.path("signals", split=split)) for split in cell.evaluated_splits]
    measurement.score(signals=signals, out=cell.path("predictions"), method=cell.methods, calibration=cell.calibration)


def score_whole(cell: Cell) -> None:
    """As `score`, but with all presentations in memory at once: what it would take without the stream."""
    with mock.patch.multiple(streams, _ROWS=sys.maxsize, _BYTES=sys.maxsize):
        score(cell)


def evaluate(cell: Cell) -> None:
    measurement.evaluate(predictions=[str(cell.path("predictions"))], out=cell.path("metrics"), resamples=RESAMPLES)


STAGES: Final = (calibrate, score, evaluate)


# --- what it costs ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """What a stage took.

    Attributes:
        seconds: by the clock on the wall.
        cpu_seconds: of all processes; well below workers x seconds where others use the machine.
        gigabytes: peak resident memory of the processes together, in 1e9 bytes.
    """

    seconds: float
    cpu_seconds: float
    gigabytes: float


def run_stage(stage: Callable[[Cell], None], cells: list[Cell], workers: int) -> Cost:
    """Do a stage's work on all cells, in processes of its own whose start counts.

    The memory is the sum of every process's own peak, as though all came at once: never too low.
    """
    start, cpu_start = time.perf_counter(), _cpu_seconds_of_children()
    with ProcessPoolExecutor(workers, get_context("spawn")) as processes:
        # A process's peak only grows: the last one it tells is the largest.
        peaks = dict(processes.map(partial(_peak_after, stage), cells))
    return Cost(
        seconds=time.perf_counter() - start,
        cpu_seconds=_cpu_seconds_of_children() - cpu_start,
        gigabytes=(sum(peaks.values()) + _peak_memory()) / 1e9,
    )


def _peak_after(stage: Callable[[Cell], None], cell: Cell) -> tuple[int, int]:
    stage(cell)
    return os.getpid(), _peak_memory()


def _peak_memory() -> int:
    """The process's own peak resident memory in bytes, of which Linux counts kibibytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _cpu_seconds_of_children() -> float:
    """CPU time of the processes that this one has started and seen end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(
    folder: Path, scale: float, ns: Iterable[int], workers: int, seed: int, *, whole_cells: bool = False
) -> dict[str, float]:
    """Generate signals at a scale below `folder`, run every stage on them, and tell what it cost.

    Args:
        whole_cells: whether scoring has a whole cell in memory, for comparison.

    Returns:
        One row of the table that `main` prints, by column.
    """
    results = folder / f"scale-{scale:g}"
    questions = max(1, round(scale * QUESTIONS))
    # The largest first, so that no process ends up alone with one of them.
    cells = [Cell(results, model, setting, n) for n, model, setting in product(sorted(ns)[::-1], MODELS, SETTINGS)]
    generation = run_stage(partial(write_signals, questions=questions, seed=seed), cells, workers)
    stages = {stage.__name__: stage for stage in STAGES} | ({"score": score_whole} if whole_cells else {})
    costs = {name: run_stage(stage, cells, workers) for name, stage in stages.items()}
    presentations = sum(questions * (ROUNDS + cell.n * ("symmetrized" in cell.evaluated_splits)) for cell in cells)
    seconds = sum(cost.seconds for cost in costs.values())
    return {
        "scale": scale,
        "presentations": presentations,
        "disk GB": sum(file.stat().st_size for file in results.rglob("*.parquet")) / 1e9,
        "generate s": generation.seconds,
        **{f"{stage} s": cost.seconds for stage, cost in costs.items()},
        **{f"{stage} CPU s": cost.cpu_seconds for stage, cost in costs.items()},
        **{f"{stage} GB": cost.gigabytes for stage, cost in costs.items()},
        "total s": seconds,
        "total CPU s": sum(cost.cpu_seconds for cost in costs.values()),
        "us each": 1e6 * seconds / presentations,
        "peak GB": max(cost.gigabytes for cost in costs.values()),
    }


def main(
    folder: Annotated[Path, typer.Option(help="Folder to write to; each scale gets a results folder below it.")] = (
        Path("build/offline")
    ),
    scale: Annotated[list[float], typer.Option(min=0.001, help="Thousands of evaluation questions.")] = [1.0],  # noqa: B006
    n: Annotated[list[int], typer.Option(min=2, max=12, help="Numbers of candidates.")] = list(NS),  # noqa: B006
    workers: Annotated[int, typer.Option(min=1, help="Processes side by side.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the signals.")] = 0,
) -> None:
    """Time calibration, scoring and evaluation, from file to file, on synthetic signals of the paper's suite.

    The total leaves out the generation of the signals.
    """
    # As in the workflow's jobs: the processes already share the cores among them.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    print(f"{len(MODELS)} models x {len(SETTINGS)} settings x N in {', '.join(map(str, n))}; {LAYERS} layers")
    print(f"{workers} processes on {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f}")
    rows: list[dict[str, float]] = []
    for one in scale:
        rows.append(measure(folder, one, n, workers, seed))
        if len(rows) == 1:
            print("  ".join(f"{column:>13}" for column in rows[0]))
        print("  ".join(f"{_short(value):>13}" for value in rows[-1].values()), flush=True)
    for smaller, larger in pairwise(rows):
        times = {column: larger[column] / smaller[column] for column in ("presentations", "total s", "peak GB")}
        print(
            f"scale {smaller['scale']:g} -> {larger['scale']:g}: {times['presentations']:.1f} x the presentations,"
            f" {times['total s']:.1f} x the time, {times['peak GB']:.1f} x the memory"
        )


def _short(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


if __name__ == "__main__":
    typer.run(main)
