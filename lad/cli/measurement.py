"""The stages that measure: from presentations to signals, calibrations, predictions and metrics."""

from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

import typer
from typer.core import TyperCommand

from lad import contracts, parquet
from lad.cli.arguments import (
    Device,
    Files,
    Finished,
    ImageFolder,
    Images,
    ImageSize,
    NumberFormat,
    Out,
    ProcessorOptions,
    Revision,
    Seed,
    Threads,
    files,
    finished_beside,
    named,
    scalar,
)
from lad.contracts import Keep


def extract(
    checkpoint: Annotated[str, typer.Option(help="Checkpoint folder or hub id.")],
    images: Images,
    questions: Annotated[Path, typer.Option(help="Questions table.")],
    presentations: Annotated[Path, typer.Option(help="Presentations table.")],
    out: Out,
    image_folder: ImageFolder = None,
    probe: Annotated[str, typer.Option(help="How to ask.")] = "vanilla",
    revision: Revision = None,
    dtype: NumberFormat = "float32",
    device: Device = "cpu",
    image_size: ImageSize = None,
    processor_option: ProcessorOptions = None,
    token_budget: Annotated[
        int | None, typer.Option(min=1, help="Tokens per forward pass; by default what the free memory admits.")
    ] = None,
    beyond_context: Annotated[
        bool, typer.Option("--beyond-context", help="Also ask what is longer than the model's context window.")
    ] = False,
    finished: Finished = None,
    first_questions: Annotated[int | None, typer.Option(min=1, help="Only the first K questions of the table.")] = None,
    shard: Annotated[
        str | None,
        typer.Option(help="Only this part of the questions, 3/7 say; `lad merge` joins the parts."),
    ] = None,
    answer_text: Annotated[bool, typer.Option(help="Also decode the model's own greedy answer.")] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="|".join(get_args(Keep)),
            help="Keep more, may be repeated: heads, the attention of every head; rows, that of the query's tokens and"
            " of all behind the candidates; null_query, all of this where the query is N/A.",
        ),
    ] = None,
    threads: Threads = None,
    generations: Annotated[
        Path | None, typer.Option(help="File for the texts of a generating probe: cot, self_consistency.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Run the model once per presentation and keep the signals, and the texts of a generating probe."""
    import torch

    from lad.extraction.cell import extract_cell
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
    extracted = extract_cell(
        checkpoint,
        how,
        images=parquet.read(images, contracts.IMAGES),
        image_folder=image_folder,
        questions=parquet.read(questions, contracts.QUESTIONS),
        presentations=parquet.read(presentations, contracts.PRESENTATIONS),
        first_questions=first_questions,
        shard=shard,
        revision=revision,
        dtype=dtype,
        device=device,
        image_size=image_size,
        processor_options={name: scalar(value) for name, value in named(processor_option or []).items()},
        finished=finished or finished_beside(out),
        token_budget=token_budget,
        beyond_context=beyond_context,
        answer_text=answer_text,
        keep=_to_keep(keep or []),
        seed=seed,
    )
    if generations:
        parquet.write(extracted.generations, generations, contracts.GENERATIONS, extracted.metadata)
    parquet.write(extracted.signals, out, contracts.SIGNALS, extracted.metadata)


def _to_keep(words: list[str]) -> list[Keep]:
    if unknown := sorted(set(words).difference(get_args(Keep))):
        raise ValueError(f"--keep {unknown[0]}: there is no such thing to keep; allowed: {', '.join(get_args(Keep))}")
    return cast(list[Keep], words)


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

    table = parquet.read(files(signals), contracts.SIGNALS)
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


class ListsMethods(TyperCommand):
    """A command whose help ends in the methods that there are, read when it is asked for."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from lad.methods import METHODS, describe

        self.epilog = "Methods; `lad methods` tells more:\n" + describe.names(METHODS.values())
        super().format_help(ctx, formatter)


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
    from lad.methods.cell import score_cell

    given = {"formulation": formulation, "top_k": top_k, "temperature": temperature}
    score_cell(
        files(signals),
        read_calibration(calibration) if calibration else None,
        method,
        {name: value for name, value in given.items() if value is not None},
        out=out,
        generations=files(generations) if generations else (),
        metadata={"signals": signals, "calibration": str(calibration)},
    )


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
    from lad.evaluation.metrics import without_right_candidate

    answers = parquet.read(files(predictions), contracts.PREDICTIONS)
    metadata = {"predictions": predictions, "resamples": resamples, "seed": seed}
    parquet.write(measure(answers, resamples=resamples, seed=seed), out, contracts.METRICS, metadata)
    if nothing := without_right_candidate(answers):
        typer.echo(f"left out: {nothing} windows without a right candidate, in which no answer is right")
    if differences:
        compared = compare(answers, resamples=resamples, seed=seed)
        parquet.write(compared, differences, contracts.DIFFERENCES, metadata)


def rankings(
    predictions: Files,
    presentations: Annotated[list[str], typer.Option(help="Presentations that are answered, as --predictions.")],
    questions: Annotated[Path, typer.Option(help="Questions table, of windows of lists.")],
    lists: Annotated[Path, typer.Option(help="Lists table.")],
    out: Out,
    resamples: Annotated[int, typer.Option(min=1, help="Bootstrap resamples of the lists.")] = 2000,
    seed: Seed = 0,
) -> None:
    """Put lists together from the scores in their windows, and measure how they are ranked: nDCG, recall, MRR."""
    from lad.evaluation.rankings import rank_lists

    measured = rank_lists(
        parquet.read(files(predictions), contracts.PREDICTIONS),
        parquet.read(files(presentations), contracts.PRESENTATIONS),
        parquet.read(questions, contracts.QUESTIONS),
        parquet.read(lists, contracts.LISTS),
        resamples=resamples,
        seed=seed,
    )
    metadata = {"predictions": predictions, "resamples": resamples, "seed": seed}
    parquet.write(measured, out, contracts.RANKINGS, metadata)


def compare(
    predictions: Files,
    reference: Annotated[list[str], typer.Option(help="Predictions of the scoring it is compared with, as above.")],
    calibration_questions: Annotated[
        int, typer.Option(min=1, help="How many questions the reference is calibrated on.")
    ],
    out: Out,
    resamples: Annotated[int, typer.Option(min=1, help="Bootstrap resamples of the questions.")] = 2000,
    seed: Seed = 0,
) -> None:
    """Compare methods asked by another probe or calibrated otherwise with those of the reference, question by question.

    The reference is asked by probe vanilla and calibrated on its own questions.
    """
    from lad.evaluation.differences import comparisons

    compared = comparisons(
        parquet.read(files(predictions), contracts.PREDICTIONS),
        parquet.read(files(reference), contracts.PREDICTIONS),
        reference_calibration_questions=calibration_questions,
        resamples=resamples,
        seed=seed,
    )
    metadata = {"predictions": predictions, "reference": reference, "resamples": resamples, "seed": seed}
    parquet.write(compared, out, contracts.COMPARISONS, metadata)


def choices(
    calibration: Annotated[list[str], typer.Option(help="Signals of the pool, as --signals elsewhere.")],
    evaluation: Annotated[list[str], typer.Option(help="Signals of the questions to be answered.")],
    out: Out,
    method: Annotated[list[str] | None, typer.Option(help="Method that is calibrated; four by default.")] = None,
    pool: Annotated[int, typer.Option(min=2, help="Choose from the first so many questions.")] = 40,
    draws: Annotated[int, typer.Option(min=2, help="Random draws of each number of questions.")] = 20,
    resamples: Annotated[int, typer.Option(min=1, help="Bootstrap resamples of the questions.")] = 2000,
    seed: Seed = 0,
) -> None:
    """Compare choosers of calibration questions that see no target with random draws, for 1 to 10 questions."""
    from lad.choosing import METHODS, measure_choices

    fitted_on, answered = (parquet.read(files(paths), contracts.SIGNALS) for paths in (calibration, evaluation))
    measured = measure_choices(
        fitted_on, answered, methods=method or METHODS, pool=pool, draws=draws, resamples=resamples, seed=seed
    )
    metadata = {"calibration": calibration, "evaluation": evaluation, "resamples": resamples, "seed": seed}
    parquet.write(measured, out, contracts.CHOICES, metadata)
