"""The stages that build a benchmark: from a dataset's files to the orders in which questions are shown."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lad import contracts, parquet, whole
from lad.benchmark import CategoryFilter, EmbeddingBackend, Split
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
    keys_of,
)

if TYPE_CHECKING:
    from lad.benchmark.formats import FromFiles

Format = Annotated[str, typer.Option(help="Format of the dataset's files, such as coco, flickr8k, mmiu, jsonl.")]


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
    context: typer.Context,
    out: Out,
    image_folder: ImageFolder = None,
    format: Format = "coco",
    setting: Annotated[
        list[str] | None,
        typer.Option(help="Task to read, of a dataset with questions of its own; may be repeated."),
    ] = None,
) -> None:
    """Read a dataset's files into the images table; its keys in the configuration are options: --captions FILE.

    What a format refuses is written beside the images table, to refused.json, with the reasons.
    """
    dataset = _read_from(format, image_folder, context.args)
    read = dataset.read_images(setting or ())
    told = read.summary
    if read.refused is not None:
        refused = out.with_name("refused.json")
        with whole.file(refused) as partial:
            partial.write_text(json.dumps(read.refused, indent=1) + "\n", encoding="utf-8")
        told += f"; all reasons: {refused}" if read.refused else ""
    facts = {"format": format, **dataset.reading, **({"settings": setting} if setting else {})}
    parquet.write(read.table, out, contracts.IMAGES, facts)
    if told:
        typer.echo(told)


def _read_from(format: str, image_folder: Path | None, arguments: Sequence[str]) -> "FromFiles":
    """The dataset that the options of a command describe."""
    from lad.benchmark.formats import FORMATS, FromFiles, FromImageFiles, parse_dataset

    if image_folder is None and issubclass(FORMATS.get(format, FromFiles), FromImageFiles):
        raise ValueError(f"a dataset of format {format} has images: say where they lie, --image-folder FOLDER")
    images = {} if image_folder is None else {"images": str(image_folder)}
    dataset = parse_dataset(format, {**images, **keys_of(arguments)})
    if not isinstance(dataset, FromFiles):
        raise ValueError(f"a dataset of format {format} is rendered, not read: lad render --format {format}")
    return dataset


def lists(
    context: typer.Context,
    images: Images,
    setting: Annotated[str, typer.Option(help="Whose lists: a task of the dataset.")],
    format: Format,
    out: Out,
    image_folder: ImageFolder = None,
) -> None:
    """Write the lists of a dataset that ranks candidates, whose windows `lad questions` asks."""
    from lad.benchmark.formats import Listed

    dataset = _read_from(format, image_folder, context.args)
    if not isinstance(dataset, Listed) or not dataset.has_lists:
        hint = "; with the key depth it has" if isinstance(dataset, Listed) else ""
        raise ValueError(f"a dataset of format {format} has no lists: its questions have one right candidate{hint}")
    table = dataset.build_lists(parquet.read(images, contracts.IMAGES), setting=setting)
    parquet.write(table, out, contracts.LISTS, {"format": format, "setting": setting, **dataset.reading})


def embed(
    images: Images,
    out: Out,
    image_folder: ImageFolder = None,
    backend: Annotated[EmbeddingBackend, typer.Option(help="Where embeddings come from.")] = "vision_tower",
    checkpoint: Annotated[
        str | None, typer.Option(help="Checkpoint folder or hub id; for clip the paper's ViT-L/14 by default.")
    ] = None,
    revision: Revision = None,
    device: Device = "cpu",
    finished: Finished = None,
    threads: Threads = None,
) -> None:
    """Embed images and captions, for hard negatives; or texts and what asks for them, by tfidf."""
    candidates = parquet.read(images, contracts.IMAGES)
    if backend == "tfidf":
        from lad.benchmark.tfidf import embed_texts

        table, metadata = embed_texts(candidates)
        parquet.write(table, out, contracts.EMBEDDINGS, metadata)
        return
    if "text" in candidates.column_names:
        raise ValueError(f"backend {backend} looks at images, but these candidates are texts: --backend tfidf")
    if image_folder is None:
        raise ValueError(f"backend {backend} looks at images: say where they lie, --image-folder FOLDER")

    import torch

    from lad.benchmark.embeddings import embed as embed_images
    from lad.extraction import devices

    if threads:
        torch.set_num_threads(threads)
    with devices.taken(device) as own_device:
        table, metadata = embed_images(
            candidates,
            image_folder,
            backend,
            checkpoint,
            revision=revision,
            device=own_device,
            finished=finished or finished_beside(out),
        )
    parquet.write(table, out, contracts.EMBEDDINGS, metadata)


def questions(
    context: typer.Context,
    images: Images,
    dataset: Annotated[str, typer.Option(help="Name of the dataset, part of every question id.")],
    setting: Annotated[str, typer.Option(help="random, adversarial: how candidates are chosen; or a task.")],
    n: Candidates,
    out: Out,
    format: Annotated[
        str | None,
        typer.Option(help="Format of a dataset with questions of its own; its keys are options."),
    ] = None,
    image_folder: ImageFolder = None,
    evaluation: Annotated[int, typer.Option(min=1, help="Evaluation questions; of a dataset's own at most.")] = 1000,
    calibration: Annotated[int, typer.Option(min=0, help="Calibration questions; no target serves both.")] = 5,
    seed: Seed = 0,
    pool: Annotated[int | None, typer.Option(help="Draw candidates from this many images only.")] = None,
    embeddings: Annotated[Path | None, typer.Option(help="Embeddings table (adversarial setting).")] = None,
    category_filter: Annotated[CategoryFilter, typer.Option(help="Category filter of hard negatives.")] = "printed",
    caption_threshold: Annotated[float, typer.Option(help="Captions more similar than this are no negatives.")] = 0.9,
) -> None:
    """Build the questions of one benchmark: for captions, or a dataset's own."""
    from lad.benchmark.questions import build_questions

    pictures = parquet.read(images, contracts.IMAGES)
    asked: dict[str, Any] = {"dataset": dataset, "setting": setting, "n": n, "seed": seed}
    asked |= {"evaluation": evaluation, "calibration": calibration}
    facts: dict[str, Any] = {"setting": setting, "seed": seed}
    if format is not None:
        table = _read_from(format, image_folder, context.args).build_questions(pictures, **asked)
    elif context.args:
        raise ValueError(f"unknown option {context.args[0]}; the keys of a format come with --format")
    else:
        facts["pool"] = pool
        table = build_questions(
            pictures,
            **asked,
            pool=pool,
            embeddings=parquet.read(embeddings, contracts.EMBEDDINGS) if embeddings else None,
            category_filter=category_filter,
            caption_threshold=caption_threshold,
        )
    parquet.write(table, out, contracts.QUESTIONS, facts)


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
