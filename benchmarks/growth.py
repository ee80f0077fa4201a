"""How time and memory grow with the number of questions, of all stages from extraction to report and explorer.

    python -m benchmarks.growth [--questions 100 --times 1 --times 10 --times 100] [--out build/benchmark]

One cell of four candidates: rendered scenes for extraction by the demo model, and otherwise the made signals of
`benchmarks.offline`, of a model with 36 layers, in the splits evaluation and symmetrized. Each part at each size has a
process of its own, so that its peak memory is its own. The default ends at 10,000 questions, ten times what the paper
asks in a cell.
"""

import csv
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from benchmarks import offline
from lad import contracts, parquet, whole
from lad.cli import measurement

N: Final = 4
LARGEST_EXTRACTION: Final = 1_000
"""Questions. Ten times as many would take minutes, and as many pictures: extraction stops here."""

Rows = list["Grown"]


@dataclass(frozen=True)
class Grown:
    """What a part cost at a size.

    Attributes:
        seconds, cpu_seconds: by the clock, and of the process, its start and imports left out.
        gigabytes: its peak resident memory, in 1e9 bytes.
        megabytes: what it wrote, in 1e6 bytes.
    """

    part: str
    questions: int
    seconds: float
    cpu_seconds: float
    gigabytes: float
    megabytes: float


# --- the parts: each writes into a folder, which is then weighed -------------------------------------------------


def extraction(cell: offline.Cell, questions: int, out: Path) -> None:
    """From pictures to signals, by the demo model, each question in five orders."""
    from benchmarks import extraction as benchmark
    from lad.demo.scenes import write_dataset

    scenes = cell.results / "scenes"
    if not scenes.exists():
        write_dataset(scenes, images=questions + 50, seed=1)
    setup = benchmark.Setup("demo", "cpu", "float32", len(os.sched_getaffinity(0)), questions, 0, scenes)
    backbone = setup.backbone()
    asked, shown = benchmark.work_of(setup, cell.n)[-1]
    images, folder = benchmark.scenes_table(scenes), scenes / "images"
    benchmark.VARIANTS["ours"](
        backbone, out / "signals.parquet", images=images, image_folder=folder, questions=asked, presentations=shown
    )


def calibration(cell: offline.Cell, questions: int, out: Path) -> None:
    """On five questions, however many are evaluated."""
    offline.calibrate(cell)


def scoring(cell: offline.Cell, questions: int, out: Path) -> None:
    offline.score(cell)


def evaluation(cell: offline.Cell, questions: int, out: Path) -> None:
    measurement.evaluate(
        predictions=[str(cell.path("predictions"))], out=cell.path("metrics"), differences=cell.path("differences")
    )


def report(cell: offline.Cell, questions: int, out: Path) -> None:
    """The two figures that are drawn from all signals, and the page around them."""
    from lad.cli import results

    options = [f"{name}={value}" for name, value in cell.keys.items() if name in ("model", "dataset", "setting", "n")]
    for figure in ("fig2", "fig3"):
        results.draw(figure, cell.results, out / "artifacts", [*options, "label=made signals"])
    results.report(cell.results, out / "artifacts", out / "report.html", "Made signals", "made signals")


def explorer(cell: offline.Cell, questions: int, out: Path) -> None:
    from lad.cli import results

    results.explorer(cell.results, out / "explorer.html", "Made signals", "made signals", pictures="none")


PARTS: Final[tuple[Callable[[offline.Cell, int, Path], None], ...]] = (
    *(extraction, calibration, scoring, evaluation, report, explorer),
)


# --- what they need ---------------------------------------------------------------------------------------------


def make_cell(cell: offline.Cell, questions: int, seed: int = 0) -> None:
    """Signals, and the questions and candidates that the explorer shows."""
    offline.write_signals(cell, questions, seed)
    rng = np.random.default_rng(seed)
    candidates = rng.permuted(np.arange(questions)[:, None] + np.arange(cell.n), axis=1)
    ids = [f"{offline.DATASET}-{cell.setting}-n{cell.n:02d}-e{rank:05d}" for rank in range(questions)]
    captions = [f"A made caption of question {rank}, about as long as one of COCO's is." for rank in range(questions)]
    asked = pa.table(
        {
            "question_id": ids,
            "role": pa.repeat("evaluation", questions),
            "rank": np.arange(questions),
            "caption": captions,
            "candidates": parquet.nested_lists(candidates),
            "target": np.ones(questions, np.int32),
            "n_candidates": np.full(questions, cell.n),
        }
    )
    parquet.write(asked, cell.path("questions"), contracts.QUESTIONS)
    columns = [column.name for column in contracts.PRESENTATIONS.columns]
    presentations = pq.read_table(cell.path("signals", split="evaluation"), columns=columns, partitioning=None)
    parquet.write(presentations, cell.path("presentations", split="evaluation"), contracts.PRESENTATIONS)
    shown = np.unique(candidates)
    images = pa.table(
        {
            "image_id": shown,
            "file_name": [f"{image:012d}.jpg" for image in shown],
            "width": np.full(len(shown), 640),
            "height": np.full(len(shown), 480),
            "caption": pa.repeat("A made caption.", len(shown)),
            "category_ids": parquet.nested_lists(np.zeros((len(shown), 1), np.int32)),
            "license": pa.nulls(len(shown), pa.string()),
        }
    )
    parquet.write(images, cell.path("images"), contracts.IMAGES)


# --- what they cost ---------------------------------------------------------------------------------------------


def measure(part: Callable[[offline.Cell, int, Path], None], cell: offline.Cell, questions: int) -> Grown:
    """Run a part in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_measured, part, cell, questions).result()


def _measured(part: Callable[[offline.Cell, int, Path], None], cell: offline.Cell, questions: int) -> Grown:
    with tempfile.TemporaryDirectory() as folder:
        before = _bytes(cell.results)
        started, cpu_started = time.perf_counter(), time.process_time()
        part(cell, questions, Path(folder))
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        written = _bytes(Path(folder)) + _bytes(cell.results) - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Grown(part.__name__, questions, seconds, cpu_seconds, peak / 1e9, written / 1e6)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and "scenes" not in path.parts)


def grow(sizes: Sequence[int], folder: Path, only: Sequence[str] = ()) -> Rows:
    """Every part at every size, but for extraction beyond LARGEST_EXTRACTION. What is in the folder is made anew."""
    grown: Rows = []
    for questions in sizes:
        cell = offline.Cell(folder / f"questions-{questions}", offline.MODELS[0], offline.SETTINGS[0], N)
        shutil.rmtree(cell.results, ignore_errors=True)
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            process.submit(make_cell, cell, questions).result()
        for part in PARTS:
            if (only and part.__name__ not in only) or (part is extraction and questions > LARGEST_EXTRACTION):
                continue
            grown.append(measure(part, cell, questions))
            print(line(grown[-1]), flush=True)
        shutil.rmtree(cell.results)
    return grown


def line(one: Grown) -> str:
    return (
        f"{one.part}, {one.questions:,} questions: {one.cpu_seconds:.1f} CPU s in {one.seconds:.1f} s,"
        f" {one.gigabytes:.2f} GB, {one.megabytes:.2f} MB written"
    )


# --- how it is told ---------------------------------------------------------------------------------------------


def write(grown: Rows, out: Path) -> None:
    """Write growth.csv, and growth.svg from it."""
    out.mkdir(parents=True, exist_ok=True)
    with whole.file(out / "growth.csv") as partial, partial.open("w", newline="") as file:
        rows = csv.DictWriter(file, list(asdict(grown[0])), lineterminator="\n")
        rows.writeheader()
        rows.writerows(
            {**asdict(one), **{k: f"{v:.3f}" for k, v in asdict(one).items() if isinstance(v, float)}} for one in grown
        )
    with whole.file(out / "growth.svg") as partial:
        figure(grown).savefig(partial, format="svg", metadata={"Date": None})


def read(path: Path) -> Rows:
    """What `write` wrote."""
    with path.open(newline="") as file:
        return [
            Grown(row.pop("part"), int(row.pop("questions")), *map(float, row.values())) for row in csv.DictReader(file)
        ]


def figure(grown: Rows) -> Any:
    """CPU time and peak memory against the number of questions, a line per part; both axes are logarithmic."""
    import matplotlib.style
    from matplotlib.ticker import FuncFormatter

    from lad.report.style import GREY, STYLE_SHEET, new_figure

    colours = ("#0072b2", "#e69f00", "#d55e00", "#009e73", "#cc79a7", "#56b4e9")
    with matplotlib.style.context(STYLE_SHEET):
        drawn = new_figure(2.9)
        panels = drawn.subplots(1, 2)
        for axes, column, title in zip(
            panels, ("cpu_seconds", "gigabytes"), ("CPU time, s", "Peak memory, GB"), strict=True
        ):
            for (name, colour), marker in zip(
                zip((p.__name__ for p in PARTS), colours, strict=True), "osd^vP", strict=True
            ):
                of = [one for one in grown if one.part == name]
                axes.plot(
                    [one.questions for one in of],
                    [getattr(one, column) for one in of],
                    marker=marker,
                    color=colour,
                    label=name,
                )
            axes.set(xscale="log", yscale="log", xlabel="Questions", title=title)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.grid(visible=True)
        panels[1].axhline(1.5, color=GREY, linestyle=":", linewidth=1)
        drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return drawn


def table(grown: Rows) -> str:
    """The same as a Markdown table, with how each step of the questions multiplies it."""
    lines = ["| | questions | CPU s | s | peak GB | MB written | x CPU s | x GB |", "|---|---|---|---|---|---|---|---|"]
    for name in dict.fromkeys(one.part for one in grown):
        before = None
        for one in (each for each in grown if each.part == name):
            times = (
                [f"{one.cpu_seconds / before.cpu_seconds:.1f}", f"{one.gigabytes / before.gigabytes:.1f}"]
                if before and before.cpu_seconds
                else ["", ""]
            )
            numbers = (f"{one.cpu_seconds:.2f}", f"{one.seconds:.2f}", f"{one.gigabytes:.2f}", f"{one.megabytes:.2f}")
            lines.append(f"| {name} | {one.questions:,} | {' | '.join([*numbers, *times])} |")
            before = one
    return "\n".join(lines)


def main(
    questions: Annotated[int, typer.Option(min=10, help="Questions at 1 x.")] = 100,
    times: Annotated[list[int], typer.Option(min=1, help="How many times as many.")] = [1, 10, 100],  # noqa: B006
    part: Annotated[list[str] | None, typer.Option(help=f"Only these: {', '.join(p.__name__ for p in PARTS)}.")] = None,
    folder: Annotated[Path, typer.Option(help="Folder for made signals and results.")] = Path("build/growth"),
    out: Annotated[Path, typer.Option(help="Folder for growth.csv and growth.svg.")] = Path("build/benchmark"),
) -> None:
    """Measure how time and memory grow with the number of questions."""
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    grown = grow([questions * each for each in times], folder, part or ())
    write(grown, out)
    print(table(grown))


if __name__ == "__main__":
    typer.run(main)
