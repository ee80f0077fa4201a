"""The command that answers at once: which candidate fits, corrected."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from lad.cli.arguments import Device, ImageSize, NumberFormat, ProcessorOptions, Revision, Threads, named, scalar


def rank(
    query: Annotated[str, typer.Argument(help="What is looked for.")],
    candidates: Annotated[
        list[str] | None, typer.Argument(help="Image files, or texts: images where all of them are files.")
    ] = None,
    model: Annotated[str, typer.Option(help="Checkpoint folder or hub id.")] = "",
    known: Annotated[
        Path | None,
        typer.Option(
            help='Questions whose answer is known, a line each: {"query": "...", "candidates": ["a.jpg", ...],'
            ' "target": 2}. Five are enough. Files are looked for beside this one.'
        ),
    ] = None,
    candidates_from: Annotated[Path | None, typer.Option(help="File with one candidate per line.")] = None,
    texts: Annotated[bool, typer.Option("--texts", help="The candidates are texts, whatever they look like.")] = False,
    method: Annotated[
        str | None,
        typer.Option(help="Method and options; fusion;evidence=rows with known questions, icr without, by default."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all that is known as one JSON object.")] = False,
    orders: Annotated[int, typer.Option(min=1, help="In how many orders the candidates are shown.")] = 1,
    window: Annotated[int, typer.Option(min=2, max=12, help="How many candidates are shown at once, at most.")] = 12,
    probe: Annotated[str, typer.Option(help="How to ask.")] = "vanilla",
    revision: Revision = None,
    dtype: NumberFormat = "float32",
    device: Device = "cpu",
    image_size: ImageSize = None,
    processor_option: ProcessorOptions = None,
    cache: Annotated[bool, typer.Option(help="Keep the presentations of known questions for the next time.")] = True,
    threads: Threads = None,
) -> None:
    """Rank candidates by how well they fit a query, the model's habit of positions corrected.

    One line per candidate, best first: place, score, the model's own probability, the candidate.
    """
    given = [*(candidates or []), *(_lines(candidates_from) if candidates_from else [])]
    if not model:
        raise ValueError("no model given: name a checkpoint folder or hub id, --model Qwen/Qwen2.5-VL-3B-Instruct say")

    import torch

    from lad.extraction import devices
    from lad.rank.candidates import kind_of
    from lad.rank.known import read_known
    from lad.rank.looks import passes_of
    from lad.rank.ranker import Ranker

    if threads:
        torch.set_num_threads(threads)
    if len(given) < 2:
        raise ValueError(f"{len(given)} candidates given; at least 2 can be ranked")
    kind = kind_of(given, "texts" if texts else None)
    with devices.taken(device) as own_device:
        ranker = Ranker(
            model,
            method=method,
            probe=probe,
            candidates=kind,
            orders=orders,
            window=window,
            cache=cache,
            device=own_device,
            dtype=dtype,
            revision=revision,
            image_size=image_size,
            processor_options={name: scalar(value) for name, value in named(processor_option or []).items()},
            progress=sys.stderr.isatty(),
        )
        if len(given) > window:
            _say(
                f"{len(given)} candidates, at most {window} at once:"
                f" {passes_of(len(given), window, orders)} presentations, window by window"
            )
        questions = read_known(known, kind) if known else []
        if questions:
            ranker.fit(questions)
        answer = ranker.rank(query, given)
    if as_json:
        typer.echo(json.dumps(answer.to_dict(), ensure_ascii=False))
        return
    shown = [
        (str(place), _number(one.score, ".3g"), _number(one.probability, ".0%"), one.name)
        for place, one in enumerate(answer.ranking, start=1)
    ]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        typer.echo("  ".join([*(cell.rjust(width) for cell, width in zip(row[:3], widths, strict=False)), row[3]]))
    learnt_from = f"from {len(questions)}" if questions else "without"
    _say(f"method {answer.method}, {learnt_from} known questions")
    if answer.warning:
        _say(f"note: {answer.warning}")


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _say(text: str) -> None:
    typer.echo(f"lad: {text}", err=True)
