"""Signals from the logs of other tools."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from lad import contracts, parquet
from lad.cli.arguments import Out, Seed, files, keys_of

Split = Literal["evaluation", "calibration", "symmetrized", "permuted", "content_free"]


class ListsFormats(TyperCommand):
    """A command whose help ends in the formats that there are and their keys, read when it is asked for."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from lad.logs import FORMATS

        told = []
        for name, each in FORMATS.items():
            keys = [f"--{key} ({field.description})" for key, field in each.model_fields.items() if key != "format"]
            told.append(f"{name}: {each.model_fields['format'].description} {' '.join(keys)}".rstrip())
        self.epilog = "Formats, and their own options:\n" + "\n".join(told)
        super().format_help(ctx, formatter)


def import_log(
    context: typer.Context,
    log: Annotated[list[str], typer.Option(help="File or quoted glob; several runs of a task are given together.")],
    format: Annotated[str, typer.Option(help="answers, inspect, lmms_eval or vlmevalkit; see below.")],
    out: Out,
    split: Annotated[Split, typer.Option(help="Which split the signals are of.")] = "evaluation",
    n: Annotated[int | None, typer.Option(min=2, help="Only questions with so many candidates.")] = None,
    floor: Annotated[
        float | None,
        typer.Option(
            max=0.0,
            help="What a log-probability counts as that the log does not tell; without it, such a presentation has an"
            " answer alone.",
        ),
    ] = None,
    calibration: Annotated[
        int, typer.Option(min=0, help="Put so many questions aside to calibrate on; --calibration-out says where.")
    ] = 0,
    calibration_out: Annotated[Path | None, typer.Option(help="File for the signals of these questions.")] = None,
    seed: Seed = 0,
) -> None:
    """Make signals of what another tool has logged: answers or log-probabilities, and no attention."""
    from lad.logs import deal_calibration, parse_log, signals_of
    from lad.logs.signals import of_split

    if bool(calibration) != (calibration_out is not None):
        raise ValueError("--calibration K and --calibration-out FILE go together")
    reader = parse_log(format, keys_of(context.args))
    shown = [one for path in files(log) for one in reader.read(path)]
    imported = of_split(signals_of(shown, reader.named, n=n, floor=floor), split)
    facts = {"format": format, "logs": log, **imported.metadata}
    signals = imported.signals
    typer.echo(imported.summary)
    if calibration_out:
        aside, signals = deal_calibration(signals, calibration, seed)
        parquet.write(aside, calibration_out, contracts.SIGNALS, {**facts, "seed": seed})
        typer.echo(f"{calibration} of these questions are put aside in {calibration_out}")
    parquet.write(signals, out, contracts.SIGNALS, facts)
