"""What it costs to keep more than the last token's attention: heads, other rows, the null query.

    make texts TEXTS=config/texts-small.yaml                         # makes the tables and the model
    python -m benchmarks.kept --results results/texts-small --model smollm2 --dataset captions --n 4

Where candidates are images, `--images` names their folder.

Every round extracts the same presentations once with each choice, in turn, so that a slow moment of the machine hits
all of them; the median round counts. Loading the model is not counted. Peak memory is that of a process of its own.
"""

import multiprocessing
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import torch
import typer

from lad import contracts, parquet
from lad.catalog import RELATIONS
from lad.contracts import Keep
from lad.extraction import memory
from lad.extraction.backbone import Backbone, load_backbone
from lad.extraction.extract import extract
from lad.extraction.prompts import get_probe

CHOICES: Final[tuple[tuple[Keep, ...], ...]] = (
    (),
    ("heads",),
    ("rows",),
    ("heads", "rows"),
    ("rows", "null_query"),
    ("heads", "rows", "null_query"),
)


def main(
    results: Annotated[Path, typer.Option(help="Results folder with the tables of the benchmark.")],
    model: Annotated[str, typer.Option(help="Model of that folder: results/models/MODEL, or a path.")],
    dataset: Annotated[str, typer.Option()],
    n: Annotated[int, typer.Option(help="Candidates.")] = 4,
    setting: Annotated[str, typer.Option()] = "random",
    questions: Annotated[int, typer.Option(help="How many questions are asked, in all their orders.")] = 12,
    rounds: Annotated[int, typer.Option()] = 5,
    images: Annotated[Path | None, typer.Option(help="Folder of the images; of texts none.")] = None,
) -> None:
    """Print seconds per presentation and peak memory of each choice, and their ratios to keeping the last row alone."""
    converted = results / "models" / model
    work = (str(converted if converted.is_dir() else model), results, dataset, setting, n, questions, images)
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        seconds = pool.apply(_seconds, (work, rounds))
        peaks = [pool.apply(_peak, (work, choice)) for choice in CHOICES]
    print("| kept | s per presentation | ratio | peak GB | ratio |\n|---|---|---|---|---|")
    for choice, own, peak in zip(CHOICES, seconds, peaks, strict=True):
        name = ", ".join(choice).replace("_", " ") or "the last row alone"
        print(f"| {name} | {own:.3f} | {own / seconds[0]:.2f} | {peak / 1e9:.2f} | {peak / peaks[0]:.3f} |")


def _opened(work: Sequence[Any]) -> tuple[Backbone, dict[str, Any]]:
    """The model, and what `extract` is to be given besides."""
    checkpoint, results, dataset, setting, n, questions, images = work
    torch.set_num_threads(1)
    keys = {"dataset": dataset, "setting": setting, "n": n, "split": "evaluation"}
    tables = {
        name: parquet.read(RELATIONS[name].path(results, **{k: keys[k] for k in RELATIONS[name].keys}), contract)
        for name, contract in (
            ("images", contracts.IMAGES),
            ("questions", contracts.QUESTIONS),
            ("presentations", contracts.PRESENTATIONS),
        )
    }
    asked = pa.array(sorted(set(tables["presentations"]["question_id"].to_pylist()))[:questions])
    tables["presentations"] = tables["presentations"].filter(pc.field("question_id").isin(asked))
    return load_backbone(checkpoint), {**tables, "image_folder": images}


def _seconds(work: Sequence[Any], rounds: int) -> list[float]:
    backbone, given = _opened(work)
    taken: list[list[float]] = [[] for _ in CHOICES]
    # The first round warms up.
    for _ in range(1 + rounds):
        for own, choice in zip(taken, CHOICES, strict=True):
            begun = time.perf_counter()
            extract(backbone, get_probe("vanilla"), keep=frozenset(choice), **given)
            own.append((time.perf_counter() - begun) / len(given["presentations"]))
    return [statistics.median(own[1:]) for own in taken]


def _peak(work: Sequence[Any], choice: tuple[Keep, ...]) -> int:
    backbone, given = _opened(work)
    extract(backbone, get_probe("vanilla"), keep=frozenset(choice), **given)
    return memory.peak_bytes(backbone.device)


if __name__ == "__main__":
    typer.run(main)
