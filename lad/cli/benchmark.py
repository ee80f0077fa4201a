"""The stages that build a benchmark: from a dataset's files to the orders in which questions are shown."""

from pathlib import Path
from typing import Annotated

import typer

from lad import contracts, parquet
from lad.benchmark import CaptionFormat, CaptionPolicy, CategoryFilter, EmbeddingBackend, Setting, Split
from lad.cli.arguments import (
    Candidates,
    Device,
    Finished,
    ImageFolder,
    Images,
    Out,
    Revision,
    Seed,
    Threads,
    finished_beside,
)


def download(
    folder: Annotated[Path, typer.Option(help="The dataset's own folder; everything is put below it.")],
    source: Annotated[
        list[str], typer.Option(help="'URL;sha256=...;md5=...;bytes=...;unpack=FOLDER', all but the URL optional.")
    ],
    needed: Annotated[
        list[Path] | None, typer.Option(help="Path that is to exist in the end; where all do, nothing is fetched.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Receipt to write: what lies where, and how it came there.")] = None,
) -> None:
    """Download a dataset's files, verify and unpack them; what is there already is left alone."""
    from lad.benchmark.download import Source, write_receipt
    from lad.benchmark.download import download as fetch

    receipt = fetch(folder, [Source.parse(text) for text in source], needed or [])
    if out:
        write_receipt(receipt, out)


def images(
    captions: Annotated[Path, typer.Option(help="Captions: COCO's JSON, or Flickr8k.token.txt.")],
    image_folder: Annotated[Path, typer.Option(help="Folder that the file names are relative to.")],
    out: Out,
    format: Annotated[CaptionFormat, typer.Option(help="What the captions are written in.")] = "coco",
    instances: Annotated[Path | None, typer.Option(help="COCO instances JSON, for the category filter.")] = None,
    caption_policy: Annotated[CaptionPolicy, typer.Option(help="Which of an image's captions to use.")] = "first",
) -> None:
    """Read a dataset's captions into the images table."""
    from lad.benchmark import coco, flickr8k

    if format == "coco":
        table = coco.read_images(captions, image_folder, instances, caption_policy)
    elif instances:
        raise ValueError(f"{instances}: Flickr8k has no object categories; leave --instances out")
    else:
        table = flickr8k.read_images(captions, image_folder, caption_policy)
    parquet.write(table, out, contracts.IMAGES, {"captions": str(captions), "caption_policy": caption_policy})


def embed(
    images: Images,
    image_folder: ImageFolder,
    out: Out,
    backend: Annotated[EmbeddingBackend, typer.Option(help="Where embeddings come from.")] = "vision_tower",
    checkpoint: Annotated[
        str | None, typer.Option(help="Checkpoint folder or hub id; for clip the paper's ViT-L/14 by default.")
    ] = None,
    revision: Revision = None,
    device: Device = "cpu",
    finished: Finished = None,
    threads: Threads = None,
) -> None:
    """Embed images and captions, for hard negatives."""
    import torch

    from lad.benchmark.embeddings import embed as embed_images
    from lad.extraction import devices

    if threads:
        torch.set_num_threads(threads)
    with devices.taken(device) as own_device:
        table, metadata = embed_images(
            parquet.read(images, contracts.IMAGES),
            image_folder,
            backend,
            checkpoint,
            revision=revision,
            device=own_device,
            finished=finished or finished_beside(out),
        )
    parquet.write(table, out, contracts.EMBEDDINGS, metadata)


def questions(
    images: Images,
    dataset: Annotated[str, typer.Option(help="Name of the dataset, part of every question id.")],
    setting: Annotated[Setting, typer.Option(help="How the other candidates are chosen.")],
    n: Candidates,
    out: Out,
    evaluation: Annotated[int, typer.Option(min=1, help="Evaluation questions.")] = 1000,
    calibration: Annotated[int, typer.Option(min=0, help="Calibration questions; no target serves both.")] = 5,
    seed: Seed = 0,
    pool: Annotated[int | None, typer.Option(help="Draw candidates from this many images only.")] = None,
    embeddings: Annotated[Path | None, typer.Option(help="Embeddings table (adversarial setting).")] = None,
    category_filter: Annotated[CategoryFilter, typer.Option(help="Category filter of hard negatives.")] = "printed",
    caption_threshold: Annotated[float, typer.Option(help="Captions more similar than this are no negatives.")] = 0.9,
) -> None:
    """Build the questions of one benchmark: captions and candidate images."""
    from lad.benchmark.questions import build_questions

    table = build_questions(
        parquet.read(images, contracts.IMAGES),
        dataset=dataset,
        setting=setting,
        n=n,
        evaluation=evaluation,
        calibration=calibration,
        seed=seed,
        pool=pool,
        embeddings=parquet.read(embeddings, contracts.EMBEDDINGS) if embeddings else None,
        category_filter=category_filter,
        caption_threshold=caption_threshold,
    )
    parquet.write(table, out, contracts.QUESTIONS, {"setting": setting, "seed": seed, "pool": pool})


def presentations(
    questions: Annotated[Path, typer.Option(help="Questions table.")],
    split: Annotated[Split, typer.Option(help="Which questions are shown in which orders.")],
    out: Out,
    rounds: Annotated[int, typer.Option(min=1, help="Random orders per question (evaluation, permuted).")] = 5,
    seed: Seed = 0,
) -> None:
    """Build the presentations of one split: the orders in which questions are shown."""
    from lad.benchmark.presentations import build_presentations

    table = build_presentations(parquet.read(questions, contracts.QUESTIONS), split, rounds=rounds, seed=seed)
    parquet.write(table, out, contracts.PRESENTATIONS, {"split": split, "seed": seed})
