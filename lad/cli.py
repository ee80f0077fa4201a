"""The command line: one command per stage, each an ordinary function with path arguments.

Snakemake calls nothing else, so a line copied from a log runs by hand, on a machine without Snakemake. Every command
imports only what it needs: `lad extract` works where duckdb and snakemake are not installed.
"""

import csv
import io
import json
import math
import os
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import typer
from typer.core import TyperCommand

from lad import catalog, tables

app = typer.Typer(
    help="Measure, explain and correct the position bias of multimodal LLMs that choose among images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Out = Annotated[Path, typer.Option(help="File to write; it appears whole or not at all.")]
Files = Annotated[list[str], typer.Option(help="Parquet file or quoted glob; may be given several times.")]
Annotations = Annotated[Path, typer.Option(help="MMIU's annotation file, JSON or Parquet.")]
Seed = Annotated[int, typer.Option(help="Seed; every question draws from its own stream below it.")]


class Setting(StrEnum):
    random = "random"
    adversarial = "adversarial"


class Split(StrEnum):
    calibration = "calibration"
    evaluation = "evaluation"
    symmetrized = "symmetrized"
    permuted = "permuted"


class Formulation(StrEnum):
    printed = "printed"
    released = "released"


class CaptionPolicy(StrEnum):
    first = "first"
    last = "last"
    longest = "longest"
    all = "all"


class DatasetFormat(StrEnum):
    coco = "coco"
    flickr8k = "flickr8k"


class Shardable(StrEnum):
    signals = "signals"
    generations = "generations"


class OutputFormat(StrEnum):
    table = "table"
    csv = "csv"
    json = "json"


@app.command()
def scenes(
    out: Annotated[Path, typer.Option(help="Folder to write: images/, captions.json, instances.json.")],
    images: Annotated[int, typer.Option(min=2, help="How many scenes to render.")] = 800,
    seed: Seed = 0,
) -> None:
    """Render the demo's scenes as a COCO-format folder."""
    from lad.demo.scenes import write_dataset

    write_dataset(out, images=images, seed=seed)


@app.command()
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


@app.command()
def images(
    captions: Annotated[Path, typer.Option(help="Captions: COCO's JSON, or Flickr8k.token.txt.")],
    image_folder: Annotated[Path, typer.Option(help="Folder that the file names are relative to.")],
    out: Out,
    format: Annotated[DatasetFormat, typer.Option(help="What the captions are written in.")] = DatasetFormat.coco,
    instances: Annotated[Path | None, typer.Option(help="COCO instances JSON, for the category filter.")] = None,
    caption_policy: Annotated[CaptionPolicy, typer.Option(help="Which of an image's captions to use.")] = (
        CaptionPolicy.first
    ),
) -> None:
    """Read a dataset's captions into the images table."""
    from lad.benchmark import coco, flickr8k

    if format is DatasetFormat.coco:
        table = coco.read_images(captions, image_folder, instances, caption_policy.value)
    elif instances:
        raise ValueError(f"{instances}: Flickr8k has no object categories; leave --instances out")
    else:
        table = flickr8k.read_images(captions, image_folder, caption_policy.value)
    tables.write(table, out, tables.IMAGES, {"captions": str(captions), "caption_policy": caption_policy.value})


@app.command()
def scene_tasks(
    out: Annotated[Path, typer.Option(help="Folder to write: annotations.json, images/.")],
    questions: Annotated[int, typer.Option(min=1, help="Questions per task.")] = 100,
    seed: Seed = 0,
) -> None:
    """Render the demo's tasks as an MMIU-format folder."""
    from lad.demo.tasks import write_tasks

    write_tasks(out, questions=questions, seed=seed)


@app.command()
def mmiu_images(
    annotations: Annotations,
    image_folder: Annotated[Path, typer.Option(help="Folder that the annotation file's paths are relative to.")],
    task: Annotated[list[str], typer.Option(help="Task to read, by the paper's name or MMIU's; may be repeated.")],
    out: Out,
    refused: Annotated[Path, typer.Option(help="JSON file for the questions that are refused, with the reasons.")],
) -> None:
    """Read tasks of an MMIU-format dataset: the images table, and what cannot be asked as a choice among images."""
    from lad.benchmark.mmiu import images_of, read_annotations

    read = read_annotations(annotations, image_folder, task)
    refused.parent.mkdir(parents=True, exist_ok=True)
    refused.write_text(json.dumps([asdict(refusal) for refusal in read.refused], indent=1) + "\n", encoding="utf-8")
    tables.write(images_of(read, image_folder), out, tables.IMAGES, {"annotations": str(annotations), "tasks": task})
    typer.echo(f"{read.summary}; all reasons: {refused}" if read.refused else read.summary)


@app.command()
def mmiu_questions(
    annotations: Annotations,
    image_folder: Annotated[Path, typer.Option(help="Folder that the annotation file's paths are relative to.")],
    images: Annotated[Path, typer.Option(help="Images table that `lad mmiu-images` wrote.")],
    dataset: Annotated[str, typer.Option(help="Name of the dataset, part of every question id.")],
    task: Annotated[str, typer.Option(help="Task, by the paper's name or MMIU's.")],
    n: Annotated[int, typer.Option(help="Candidates per question, 2 to 12.")],
    out: Out,
    evaluation: Annotated[int, typer.Option(min=1, help="Evaluation questions at most.")] = 1000,
    calibration: Annotated[int, typer.Option(min=0, help="Calibration questions; none of them is evaluated.")] = 5,
    seed: Seed = 0,
) -> None:
    """Build the benchmark of one task from an MMIU-format dataset."""
    from lad.benchmark.mmiu import build_questions, read_annotations

    table = build_questions(
        read_annotations(annotations, image_folder, [task]),
        tables.read(images, tables.IMAGES),
        dataset=dataset,
        task=task,
        n=n,
        evaluation=evaluation,
        calibration=calibration,
        seed=seed,
    )
    tables.write(table, out, tables.QUESTIONS, {"setting": task, "seed": seed})


@app.command()
def embed(
    images: Annotated[Path, typer.Option(help="Images table.")],
    image_folder: Annotated[Path, typer.Option(help="Folder of the image files.")],
    out: Out,
    backend: Annotated[str, typer.Option(help="Embedding backend: clip or vision_tower.")] = "vision_tower",
    checkpoint: Annotated[
        str | None, typer.Option(help="Checkpoint folder or hub id; for clip the paper's ViT-L/14 by default.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Revision of a hub checkpoint.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda (a GPU that is free), cuda:1 ...")] = "cpu",
    finished: Annotated[
        Path | None, typer.Option(help="Folder for finished work, where a rerun goes on; <out>.finished by default.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
) -> None:
    """Embed images and captions, for hard negatives."""
    import torch

    from lad.benchmark.embeddings import embed as embed_images
    from lad.extraction import devices

    if threads:
        torch.set_num_threads(threads)
    with devices.taken(device) as own_device:
        table, metadata = embed_images(
            tables.read(images, tables.IMAGES),
            image_folder,
            backend,
            checkpoint,
            revision=revision,
            device=own_device,
            finished=finished or out.with_name(f"{out.name}.finished"),
        )
    tables.write(table, out, tables.EMBEDDINGS, metadata)


@app.command()
def questions(
    images: Annotated[Path, typer.Option(help="Images table.")],
    dataset: Annotated[str, typer.Option(help="Name of the dataset, part of every question id.")],
    setting: Annotated[Setting, typer.Option(help="How the other candidates are chosen.")],
    n: Annotated[int, typer.Option(help="Candidates per question, 2 to 12.")],
    out: Out,
    evaluation: Annotated[int, typer.Option(min=1, help="Evaluation questions.")] = 1000,
    calibration: Annotated[int, typer.Option(min=0, help="Calibration questions; no target serves both.")] = 5,
    seed: Seed = 0,
    pool: Annotated[int | None, typer.Option(help="Draw candidates from this many images only.")] = None,
    embeddings: Annotated[Path | None, typer.Option(help="Embeddings table (adversarial setting).")] = None,
    category_filter: Annotated[Formulation, typer.Option(help="Category filter of hard negatives.")] = (
        Formulation.printed
    ),
    caption_threshold: Annotated[float, typer.Option(help="Captions more similar than this are no negatives.")] = 0.9,
) -> None:
    """Build the questions of one benchmark: captions and candidate images."""
    from lad.benchmark.questions import build_questions

    table = build_questions(
        tables.read(images, tables.IMAGES),
        dataset=dataset,
        setting=setting.value,
        n=n,
        evaluation=evaluation,
        calibration=calibration,
        seed=seed,
        pool=pool,
        embeddings=tables.read(embeddings, tables.EMBEDDINGS) if embeddings else None,
        category_filter=category_filter.value,
        caption_threshold=caption_threshold,
    )
    tables.write(table, out, tables.QUESTIONS, {"setting": setting.value, "seed": seed, "pool": pool})


@app.command()
def presentations(
    questions: Annotated[Path, typer.Option(help="Questions table.")],
    split: Annotated[Split, typer.Option(help="Which questions are shown in which orders.")],
    out: Out,
    rounds: Annotated[int, typer.Option(min=1, help="Random orders per question (evaluation, permuted).")] = 5,
    seed: Seed = 0,
) -> None:
    """Build the presentations of one split: the orders in which questions are shown."""
    from lad.benchmark.presentations import build_presentations

    table = build_presentations(tables.read(questions, tables.QUESTIONS), split.value, rounds=rounds, seed=seed)
    tables.write(table, out, tables.PRESENTATIONS, {"split": split.value, "seed": seed})


@app.command()
def content_free(
    images: Annotated[Path, typer.Option(help="Images table; the blank image has its most frequent size.")],
    n: Annotated[int, typer.Option(help="Blank images to show, 2 to 12.")],
    out: Annotated[Path, typer.Option(help="Folder for the image and its images, questions and presentations tables.")],
) -> None:
    """Build the question without content that contextual calibration asks once."""
    from lad.benchmark.content_free import write_content_free

    write_content_free(tables.read(images, tables.IMAGES), n, out)


@app.command()
def extract(
    checkpoint: Annotated[str, typer.Option(help="Checkpoint folder or hub id.")],
    images: Annotated[Path, typer.Option(help="Images table.")],
    image_folder: Annotated[Path, typer.Option(help="Folder of the image files.")],
    questions: Annotated[Path, typer.Option(help="Questions table.")],
    presentations: Annotated[Path, typer.Option(help="Presentations table.")],
    out: Out,
    probe: Annotated[str, typer.Option(help="How to ask.")] = "vanilla",
    revision: Annotated[str | None, typer.Option(help="Revision of a hub checkpoint.")] = None,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    device: Annotated[str, typer.Option(help="cpu, cuda (a GPU that is free), cuda:1 ...")] = "cpu",
    image_size: Annotated[int | None, typer.Option(help="Resize images to this square first.")] = None,
    processor_option: Annotated[
        list[str] | None, typer.Option(help="Setting of the image processor, max_patches=1; may be given repeatedly.")
    ] = None,
    token_budget: Annotated[
        int | None, typer.Option(min=1, help="Tokens per forward pass; by default what the free memory admits.")
    ] = None,
    finished: Annotated[
        Path | None, typer.Option(help="Folder for finished work, where a rerun goes on; <out>.finished by default.")
    ] = None,
    first_questions: Annotated[int | None, typer.Option(min=1, help="Only the first K questions of the table.")] = None,
    shard: Annotated[
        str | None,
        typer.Option(help="Only this part of the questions, 3/7 say; `lad merge` joins the parts."),
    ] = None,
    answer_text: Annotated[bool, typer.Option(help="Also decode the model's own greedy answer.")] = False,
    head_attention: Annotated[bool, typer.Option(help="Also keep the attention of every head.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    generations: Annotated[
        Path | None, typer.Option(help="File for the texts of a generating probe: cot, self_consistency.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Run the model once per presentation and keep the signals, and the texts of a generating probe."""
    import torch

    from lad.benchmark.coco import refuse_undecodable
    from lad.extraction import devices, shards
    from lad.extraction.backbone import load_backbone
    from lad.extraction.extract import extract as extract_signals
    from lad.extraction.prompts import get_probe

    if threads:
        torch.set_num_threads(threads)
    how = get_probe(probe)
    if how.generation and not generations:
        raise ValueError(f"probe {probe} generates texts: say where to write them, --generations FILE")
    if generations and not how.generation:
        raise ValueError(
            f"probe {probe} generates no texts: leave --generations out, or ask by cot or self_consistency"
        )
    shown = tables.read(images, tables.IMAGES)
    asked = tables.read(questions, tables.QUESTIONS)
    orders = tables.read(presentations, tables.PRESENTATIONS)
    if first_questions is not None:
        kept = sorted(set(orders["question_id"].to_pylist()))[:first_questions]
        orders = orders.filter(pc.field("question_id").isin(kept))
    part = shards.Shard.parse(shard) if shard is not None else None
    if part:
        orders = part.of(orders)
    used = pc.is_in(shown["image_id"], value_set=_shown_images(asked, orders))
    refuse_undecodable(shown.filter(used), image_folder)
    with devices.taken(device) as own_device:
        backbone = load_backbone(
            checkpoint,
            revision=revision,
            dtype=dtype,
            device=own_device,
            image_size=image_size,
            processor_options={name: _scalar(value) for name, value in _named(processor_option or []).items()},
        )
        extracted = extract_signals(
            backbone,
            how,
            images=shown,
            image_folder=image_folder,
            questions=asked,
            presentations=orders,
            finished=finished or out.with_name(f"{out.name}.finished"),
            token_budget=token_budget,
            answer_text=answer_text,
            head_attention=head_attention,
            seed=seed,
        )
    metadata = {**extracted.metadata, **({shards.FACT: str(part)} if part else {})}
    if generations:
        tables.write(extracted.generations, generations, tables.GENERATIONS, metadata)
    tables.write(extracted.signals, out, tables.SIGNALS, metadata)


@app.command()
def merge(
    folder: Annotated[Path, typer.Option(help="Folder of the shards: 1-of-7/signals.parquet, 2-of-7/ ...")],
    shards: Annotated[int, typer.Option(min=1, help="How many shards there are of it.")],
    out: Out,
    relation: Annotated[Shardable, typer.Option(help="Which of their tables.")] = Shardable.signals,
) -> None:
    """Join the shards that `lad extract --shard` wrote to one table."""
    from lad.extraction.shards import merge as merge_shards
    from lad.extraction.shards import shard_files

    contract = tables.CONTRACTS[relation.value]
    table, metadata = merge_shards(shard_files(folder, relation.value, shards), contract)
    tables.write(table, out, contract, metadata)


@app.command()
def calibrate(
    signals: Files,
    out: Annotated[Path, typer.Option(help="Folder to write the calibration tables into.")],
    formulation: Annotated[
        list[str] | None,
        typer.Option(help="Fit these only, 'printed+mixture=logs' say; printed and released by default."),
    ] = None,
    questions: Annotated[int | None, typer.Option(min=1, help="Use the first K calibration questions.")] = None,
    question_set: Annotated[
        int, typer.Option("--set", min=1, help="Which set of K questions: 2 for the second K questions, and so on.")
    ] = 1,
    layers: Annotated[str | None, typer.Option(help="Layers allowed, A-B from 0; all by default.")] = None,
) -> None:
    """Fit the conditional position bias and the attention prior on calibration signals."""
    from lad import query
    from lad.calibration.calibrate import calibrate as fit
    from lad.methods import parse_layers

    table = tables.read(_files(signals), tables.SIGNALS)
    fitted, seconds = query.timed(
        lambda: fit(
            table,
            questions=questions,
            question_set=question_set,
            layers=parse_layers(layers) if layers else None,
            formulations=formulation or ("printed", "released"),
        )
    )
    fitted.write(out, {"signals": signals, "seconds": round(seconds, 6)})


class _ListsMethods(TyperCommand):
    """A command whose help ends in the methods that there are, read when it is asked for."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from lad.methods import METHODS, describe

        self.epilog = "Methods; `lad methods` tells more:\n" + describe.names(METHODS.values())
        super().format_help(ctx, formatter)


@app.command(cls=_ListsMethods)
def score(
    signals: Files,
    out: Out,
    method: Annotated[list[str], typer.Option(help="Method, 'agd', with options if wanted: 'agd;k=4;prior=no'.")],
    calibration: Annotated[Path | None, typer.Option(help="Folder written by `lad calibrate`.")] = None,
    formulation: Annotated[str | None, typer.Option(help="Option formulation of methods that name none.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Option top_k of methods that name none.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Option temperature of methods that name none.")] = None,
    generations: Annotated[
        list[str] | None, typer.Option(help="Texts of a generating probe, as --signals, for methods that read texts.")
    ] = None,
) -> None:
    """Answer every presentation by one or several methods."""
    from lad.calibration.calibrate import read_calibration
    from lad.methods import Session, parse_method

    files = _files(signals)
    given = {"formulation": formulation, "top_k": top_k, "temperature": temperature}
    defaults = {name: value for name, value in given.items() if value is not None}
    by_head = any(parse_method(specification, defaults)[0].needs_heads for specification in method)
    by_split = tables.read_by("split", files, tables.SIGNALS, without=() if by_head else ("head_attention",))
    content_free = by_split.pop("content_free", None)
    fitted = read_calibration(calibration) if calibration else None
    identifiers = tables.read_metadata(files[0]).get("identifiers")
    texts = tables.read(_files(generations), tables.GENERATIONS) if generations else None
    sessions = {
        split: Session(table, fitted, identifiers=identifiers, content_free=content_free, generations=texts)
        for split, table in by_split.items()
    }
    predictions, seconds = [], {}
    for specification in method:
        # A table of one split is taken as it is; of several, each method gets the split it is meant for.
        chosen, options, _ = parse_method(specification, defaults)
        needed = chosen.split_for(options)
        session = next(iter(sessions.values())) if len(sessions) == 1 else sessions.get(needed)
        if session is None:
            raise ValueError(f"{', '.join(signals)}: no presentations of split {needed}, which {specification} needs")
        answers, taken = session.timed(specification, defaults)
        predictions.append(answers)
        seconds[specification] = round(taken, 6)
    metadata = {"signals": signals, "calibration": str(calibration), "seconds": seconds}
    tables.write(pa.concat_tables(predictions), out, tables.PREDICTIONS, metadata)


@app.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="Tell of this method alone, in full.")] = None,
    format: Annotated[Literal["text", "markdown"], typer.Option(help="How to print it.")] = "text",
) -> None:
    """List the methods with what they need, and their options."""
    from lad.methods import METHODS, describe, parse_method

    chosen = [parse_method(name).method] if name else list(METHODS.values())
    if format == "markdown":
        typer.echo(describe.page(chosen))
    else:
        typer.echo(describe.in_full(chosen[0]) if name else describe.overview(chosen))


@app.command()
def evaluate(
    predictions: Files,
    out: Out,
    differences: Annotated[
        Path | None, typer.Option(help="File for the paired differences between methods; none by default.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=1, help="Bootstrap resamples of the questions.")] = 2000,
    seed: Seed = 0,
) -> None:
    """Compute the metrics of predictions, with 95 % bootstrap intervals over questions."""
    from lad.evaluation.differences import differences as compare
    from lad.evaluation.metrics import evaluate as measure

    answers = tables.read(_files(predictions), tables.PREDICTIONS)
    metadata = {"predictions": predictions, "resamples": resamples, "seed": seed}
    tables.write(measure(answers, resamples=resamples, seed=seed), out, tables.METRICS, metadata)
    if differences:
        compared = compare(answers, resamples=resamples, seed=seed)
        tables.write(compared, differences, tables.DIFFERENCES, metadata)


@app.command()
def draw(
    artifact: Annotated[str, typer.Argument(help="fig1, table1 ...")],
    results: Annotated[Path, typer.Option(help="Results folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    option: Annotated[list[str], typer.Option(help="Which results, name=value: model=demo, n=8 ...")],
) -> None:
    """Draw one figure or table of the paper from a results folder."""
    from lad.figures.artifacts import draw as draw_artifact

    draw_artifact(artifact, results, _named(option), out)


@app.command()
def report(
    results: Annotated[Path, typer.Option(help="Results folder.")],
    artifacts: Annotated[Path, typer.Option(help="Folder that `lad draw` wrote to.")],
    out: Out,
    title: Annotated[str, typer.Option(help="Title of the page.")],
    label: Annotated[str, typer.Option(help="What the numbers were measured on.")],
    provenance: Annotated[list[str] | None, typer.Option(help="Facts for the end of the page, name=value.")] = None,
) -> None:
    """Put all drawn artifacts on one self-contained page."""
    from lad.figures.report import report as write_report

    write_report(results, artifacts, out, title, label, _named(provenance or []))


@app.command()
def plan(
    config: Annotated[Path, typer.Option(help="Configuration file, as for the pipeline.")] = Path("config/config.yaml"),
    results: Annotated[
        Path | None, typer.Option(help="Results folder of earlier runs, to take rates from; else published ones.")
    ] = None,
    format: Annotated[OutputFormat, typer.Option(help="How to print it; csv has the rows alone.")] = OutputFormat.table,
) -> None:
    """Tell what a configuration costs before it runs: forward passes, texts, images, bytes, device hours."""
    from lad import plan as plans
    from lad.config import read_configuration
    from lad.figures.requirements import check_report
    from lad.grid import build_grid

    settings = read_configuration(config)
    check_report(settings, build_grid(settings))
    planned = plans.make_plan(
        settings,
        plans.published_rate(),
        plans.recorded_rates(catalog.connect(results), str(results)) if results else None,
    )
    match format:
        case OutputFormat.table:
            typer.echo(plans.as_text(planned))
        case OutputFormat.csv:
            typer.echo(_as_csv(pa.Table.from_pylist([asdict(row) for row in planned.rows])), nl=False)
        case OutputFormat.json:
            typer.echo(json.dumps(asdict(planned), indent=1))


@app.command()
def bundle(
    results: Annotated[Path | None, typer.Option(help="Results folder to pack.")] = None,
    out: Annotated[Path | None, typer.Option(help="Bundle to write; it appears whole or not at all.")] = None,
    config: Annotated[Path | None, typer.Option(help="The run's configuration file, kept in the manifest.")] = None,
    check: Annotated[Path | None, typer.Option(help="Instead, compare this bundle with its manifest.")] = None,
) -> None:
    """Pack signals and benchmark tables into one file, from which every figure can be rebuilt; or check one."""
    from lad import bundle as bundles

    if check and not (results or out or config):
        manifest = bundles.check(check)
    elif results and out and not check:
        manifest = bundles.write_bundle(results, out, config)
    else:
        raise ValueError("give either --results and --out, to write a bundle, or --check alone")
    typer.echo(bundles.summary(manifest))


@app.command()
def unbundle(
    bundle: Annotated[Path, typer.Option(help="Signals bundle.")],
    results: Annotated[Path, typer.Option(help="Results folder to unpack into.")],
    only: Annotated[
        list[str] | None, typer.Option(help="Only tables whose path matches, 'signals/model=demo/*'; may be repeated.")
    ] = None,
) -> None:
    """Unpack a signals bundle into a results folder, verifying every table."""
    from lad.bundle import unpack

    files = unpack(bundle, results, only or ())
    typer.echo(f"{len(files)} tables of {bundle} in {results}")


@app.command(
    help="Query a results folder with SQL.",
    # A query may begin with a comment, which is no option.
    context_settings={"ignore_unknown_options": True},
    # \b keeps the line breaks of a paragraph.
    epilog="Relations and their columns:\n" + catalog.describe().replace("\n\n", "\n\n\b\n"),
)
def sql(
    query: Annotated[str, typer.Argument(help="A SELECT over the relations listed below.")],
    results: Annotated[Path, typer.Option(help="Results folder.")] = Path("results/demo"),
    format: Annotated[OutputFormat, typer.Option(help="How to print the result.")] = OutputFormat.table,
) -> None:
    import duckdb

    connection = catalog.connect(results)
    try:
        answer = connection.sql(query)
        if answer is None:
            raise ValueError("the statement returns no rows: write a SELECT")
        match format:
            case OutputFormat.table:
                answer.show(max_rows=100, max_width=200)
            case OutputFormat.csv:
                typer.echo(_as_csv(answer.to_arrow_table()), nl=False)
            case OutputFormat.json:
                typer.echo(_as_json(answer.to_arrow_table()))
    except duckdb.Error as error:
        raise ValueError(
            f"{error}\nrelations: {', '.join([*catalog.RELATIONS, *catalog.RECORDED])}; see `lad sql --help`"
        ) from None


def _as_csv(table: pa.Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows(row.values() for row in table.to_pylist())
    return text.getvalue()


def _as_json(table: pa.Table) -> str:
    return json.dumps(_finite(table.to_pylist()), default=str, indent=1, allow_nan=False)


def _finite(value: Any) -> Any:
    """The value with null for what JSON has no number for: NaN and the infinities."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case list() | tuple():
            return [_finite(item) for item in value]
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case _:
            return value


def _shown_images(questions: pa.Table, presentations: pa.Table) -> pa.Array:
    """Ids of all candidates of the presented questions."""
    presented = pc.is_in(questions["question_id"], value_set=presentations["question_id"].combine_chunks())
    return pc.unique(pc.list_flatten(questions["candidates"].filter(presented)))


def _named(pairs: list[str]) -> dict[str, str]:
    """Names and values of `name=value` texts."""
    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise ValueError(f"'{wrong[0]}' is not name=value")
    return dict(pair.split("=", 1) for pair in pairs)


def _scalar(text: str) -> str | int | float | bool:
    """The value that a text spells: `true`, `1`, `0.5`; itself if it spells none."""
    try:
        value = json.loads(text.lower())
    except json.JSONDecodeError:
        return text
    return value if isinstance(value, bool | int | float) else text


def _files(patterns: list[str]) -> list[Path]:
    """The files that the patterns name, each once, in order."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        root, parts = Path(path.anchor or "."), path.relative_to(path.anchor) if path.anchor else path
        matches = sorted(root.glob(str(parts))) if any(c in pattern for c in "*?[") else [path]
        if not matches:
            raise FileNotFoundError(f"{pattern}: no file matches")
        found |= dict.fromkeys(matches)
    return list(found)


def main() -> None:
    """Run a command; an error the user can mend is one line on stderr and exit code 1.

    `LAD_TRACEBACK=1` shows where it came from.
    """
    try:
        app()
    except (ValueError, OSError) as error:
        if os.environ.get("LAD_TRACEBACK"):
            raise
        print(f"lad: error: {error}", file=sys.stderr)
        sys.exit(1)
