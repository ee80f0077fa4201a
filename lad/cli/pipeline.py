"""Commands that serve the pipeline and its demo, and that people seldom run by hand."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lad import contracts, parquet
from lad.cli.arguments import Candidates, Out, Seed
from lad.extraction.shards import Sharded

Annotations = Annotated[Path, typer.Option(help="MMIU's annotation file, JSON or Parquet.")]
AnnotatedFolder = Annotated[Path, typer.Option(help="Folder that the annotation file's paths are relative to.")]


def scenes(
    out: Annotated[Path, typer.Option(help="Folder to write: images/, captions.json, instances.json.")],
    images: Annotated[int, typer.Option(min=2, help="How many scenes to render.")] = 800,
    seed: Seed = 0,
) -> None:
    """Render the demo's scenes as a COCO-format folder."""
    from lad.demo.scenes import write_dataset

    write_dataset(out, images=images, seed=seed)


def scene_tasks(
    out: Annotated[Path, typer.Option(help="Folder to write: annotations.json, images/.")],
    questions: Annotated[int, typer.Option(min=1, help="Questions per task.")] = 100,
    seed: Seed = 0,
) -> None:
    """Render the demo's tasks as an MMIU-format folder."""
    from lad.demo.tasks import write_tasks

    write_tasks(out, questions=questions, seed=seed)


def mmiu_images(
    annotations: Annotations,
    image_folder: AnnotatedFolder,
    task: Annotated[list[str], typer.Option(help="Task to read, by the paper's name or MMIU's; may be repeated.")],
    out: Out,
    refused: Annotated[Path, typer.Option(help="JSON file for the questions that are refused, with the reasons.")],
) -> None:
    """Read tasks of an MMIU-format dataset: the images table, and what cannot be asked as a choice among images."""
    from lad.benchmark.mmiu import images_of, read_annotations

    read = read_annotations(annotations, image_folder, task)
    refused.parent.mkdir(parents=True, exist_ok=True)
    refused.write_text(json.dumps([asdict(refusal) for refusal in read.refused], indent=1) + "\n", encoding="utf-8")
    parquet.write(
        images_of(read, image_folder), out, contracts.IMAGES, {"annotations": str(annotations), "tasks": task}
    )
    typer.echo(f"{read.summary}; all reasons: {refused}" if read.refused else read.summary)


def mmiu_questions(
    annotations: Annotations,
    image_folder: AnnotatedFolder,
    images: Annotated[Path, typer.Option(help="Images table that `lad mmiu-images` wrote.")],
    dataset: Annotated[str, typer.Option(help="Name of the dataset, part of every question id.")],
    task: Annotated[str, typer.Option(help="Task, by the paper's name or MMIU's.")],
    n: Candidates,
    out: Out,
    evaluation: Annotated[int, typer.Option(min=1, help="Evaluation questions at most.")] = 1000,
    calibration: Annotated[int, typer.Option(min=0, help="Calibration questions; none of them is evaluated.")] = 5,
    seed: Seed = 0,
) -> None:
    """Build the benchmark of one task from an MMIU-format dataset."""
    from lad.benchmark.mmiu import build_questions, read_annotations

    table = build_questions(
        read_annotations(annotations, image_folder, [task]),
        parquet.read(images, contracts.IMAGES),
        dataset=dataset,
        task=task,
        n=n,
        evaluation=evaluation,
        calibration=calibration,
        seed=seed,
    )
    parquet.write(table, out, contracts.QUESTIONS, {"setting": task, "seed": seed})


def content_free(
    images: Annotated[Path, typer.Option(help="Images table; the blank image has its most frequent size.")],
    n: Annotated[int, typer.Option(help="Blank images to show, 2 to 12.")],
    out: Annotated[Path, typer.Option(help="Folder for the image and its images, questions and presentations tables.")],
) -> None:
    """Build the question without content that contextual calibration asks once."""
    from lad.benchmark.content_free import write_content_free

    write_content_free(parquet.read(images, contracts.IMAGES), n, out)


def merge(
    folder: Annotated[Path, typer.Option(help="Folder of the shards: 1-of-7/signals.parquet, 2-of-7/ ...")],
    shards: Annotated[int, typer.Option(min=1, help="How many shards there are of it.")],
    out: Out,
    relation: Annotated[Sharded, typer.Option(help="Which of their tables.")] = "signals",
) -> None:
    """Join the shards that `lad extract --shard` wrote to one table."""
    from lad.extraction.shards import merge as merge_shards
    from lad.extraction.shards import shard_files

    contract = contracts.CONTRACTS[relation]
    table, metadata = merge_shards(shard_files(folder, relation, shards), contract)
    parquet.write(table, out, contract, metadata)
