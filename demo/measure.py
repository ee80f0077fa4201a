"""Measure a demo checkpoint on held-out scenes, in minutes and without the workflow.

`python -m demo.measure CHECKPOINT` prints the table of the model card. The numbers come from the functions that the
pipeline runs, on scenes of another seed than the demo's.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import pyarrow as pa
import torch
import typer

from lad import Backbone, build_presentations, calibrate, evaluate, extract, load_backbone, score
from lad.benchmark import Setting
from lad.benchmark.embeddings import embed
from lad.benchmark.formats.coco import read_images
from lad.benchmark.questions import build_questions
from lad.demo.scenes import write_dataset

METHODS: Final = ("vanilla", "pride", "attention_readout", "purified_attention", "agd")
SCENES_SEED: Final = 20_000
CELLS: Final[tuple[tuple[Setting, int, str], ...]] = (
    *((setting, n, "vanilla") for n in (2, 4, 8, 12) for setting in ("random", "adversarial")),
    *(("random", 4, probe) for probe in ("instruction", "uppercase", "lowercase", "roman", "ordinal")),
)
"""Setting, N and probe of each row."""

_CALIBRATION_QUESTIONS: Final = 5
_ORDERS: Final = 2


def accuracies(
    backbone: Backbone,
    folder: Path,
    images: pa.Table,
    *,
    setting: Setting,
    n: int,
    probe: str,
    questions: int,
    seed: int = 0,
) -> dict[str, float]:
    """Accuracy in percent by method, after calibration on five questions.

    Args:
        backbone: the model to measure.
        folder: a dataset of `write_dataset`.
        images: its images table.
        setting: random or adversarial; hard negatives are chosen by the model's own vision tower.
        n: candidates per question.
        probe: how to ask.
        questions: evaluation questions, each shown in two random orders.
        seed: of the questions.
    """
    hard = setting == "adversarial"
    asked = build_questions(
        images,
        dataset="scenes",
        setting=setting,
        n=n,
        evaluation=questions,
        calibration=_CALIBRATION_QUESTIONS,
        seed=seed,
        embeddings=embed(images, folder / "images", "vision_tower", backbone.checkpoint)[0] if hard else None,
    )
    signals = {
        split: extract(
            backbone,
            probe,
            images=images,
            image_folder=folder / "images",
            questions=asked,
            presentations=build_presentations(asked, split, rounds=_ORDERS, seed=seed),
        ).signals
        for split in ("calibration", "evaluation")
    }
    fitted = calibrate(signals["calibration"])
    predictions = pa.concat_tables([score(signals["evaluation"], fitted, method) for method in METHODS])
    rows = evaluate(predictions, resamples=1).to_pylist()
    return {row["method"]: row["value"] for row in rows if row["metric"] == "accuracy"}


def main(
    checkpoints: Annotated[list[Path], typer.Argument(help="Folders of the checkpoints.")],
    questions: Annotated[int, typer.Option(min=1, help="Evaluation questions per row.")] = 200,
    images: Annotated[int, typer.Option(min=20, help="Scenes that questions are drawn from.")] = 400,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
) -> None:
    """Print the accuracy of every method on held-out scenes, as a Markdown table per checkpoint."""
    torch.set_num_threads(threads)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "scenes"
        write_dataset(folder, images=images, seed=SCENES_SEED)
        table = read_images(folder / "captions.json", folder / "images", folder / "instances.json")
        for checkpoint in checkpoints:
            backbone = load_backbone(checkpoint)
            print(f"\n{checkpoint.name}\n")
            print(_line(("N", "setting", "probe", *METHODS)))
            print(_line(["---"] * (3 + len(METHODS))))
            for setting, n, probe in CELLS:
                found = accuracies(backbone, folder, table, setting=setting, n=n, probe=probe, questions=questions)
                print(_line((str(n), setting, probe, *(f"{found[method]:.1f}" for method in METHODS))), flush=True)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    typer.run(main)
