"""What is done with results: figures and tables, the cost of a run, bundles."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import pyarrow as pa
import typer

from lad import catalog
from lad.cli.arguments import Out, named
from lad.shipped import Shipped, configuration_file
from lad.sql.output import as_csv


def artifacts(
    name: Annotated[str | None, typer.Argument(help="One of them; all by default.")] = None,
) -> None:
    """List the figures and tables that there are, with their options, defaults and meanings."""
    from lad.report.artifacts import describe

    typer.echo(describe(name))


def configuration(
    name: Annotated[
        Shipped | None, typer.Argument(help="Instead, print this file of the repository's config/, to begin with.")
    ] = None,
    format: Annotated[Literal["markdown", "schema"], typer.Option(help="A page, or a JSON schema.")] = "markdown",
) -> None:
    """Print every key of a configuration with what it may be, its default and its meaning."""
    from lad import config_reference

    if name:
        typer.echo(configuration_file(name).read_text(encoding="utf-8"), nl=False)
        return
    typer.echo(config_reference.json_schema() if format == "schema" else config_reference.markdown(), nl=False)


def draw(
    artifact: Annotated[str, typer.Argument(help="fig1, table1 ...")],
    results: Annotated[Path, typer.Option(help="Results folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    option: Annotated[list[str], typer.Option(help="name=value, 'n=8'; `lad artifacts` lists each artifact's.")],
) -> None:
    """Draw one figure or table of the paper from a results folder."""
    from lad.report.drawing import draw as draw_artifact

    draw_artifact(artifact, results, named(option), out)


def report(
    results: Annotated[Path, typer.Option(help="Results folder.")],
    artifacts: Annotated[Path, typer.Option(help="Folder that `lad draw` wrote to.")],
    out: Out,
    title: Annotated[str, typer.Option(help="Title of the page.")],
    label: Annotated[str, typer.Option(help="What the numbers were measured on.")],
    provenance: Annotated[list[str] | None, typer.Option(help="Facts for the end of the page, name=value.")] = None,
    explorer: Annotated[str | None, typer.Option(help="Address of the explorer, for a link to it.")] = None,
) -> None:
    """Put all drawn artifacts on one self-contained page."""
    from lad.report.page import report as write_report

    write_report(results, artifacts, out, title, label, named(provenance or []), explorer)


def explorer(
    results: Annotated[Path, typer.Option(help="Results folder.")],
    out: Out,
    title: Annotated[str, typer.Option(help="Title of the page.")],
    label: Annotated[str, typer.Option(help="What the numbers were measured on.")],
    calibration_questions: Annotated[
        int, typer.Option(min=1, help="After which calibration methods answer, where there are several.")
    ] = 5,
    images: Annotated[
        list[str] | None, typer.Option(help="Folder of a dataset's pictures, dataset=folder; may be repeated.")
    ] = None,
    pictures: Annotated[
        Literal["licensed", "all", "none"],
        typer.Option(help="Which pictures are shown: those whose licence the images table names, all, or none."),
    ] = "licensed",
    picture_bytes: Annotated[int, typer.Option(min=0, help="Bytes that all thumbnails may take.")] = 8_000_000,
    attention_bytes: Annotated[
        int, typer.Option(min=0, help="Bytes that all attention may take, by layer first, then by head.")
    ] = 16_000_000,
    report: Annotated[str | None, typer.Option(help="Address of the report, for a link to it.")] = None,
) -> None:
    """Put single questions on one self-contained page: all their orders, answers, and where the model looked."""
    from lad.report.explorer.page import explorer as write_explorer

    written = write_explorer(
        results,
        out,
        title,
        label,
        calibration_questions=calibration_questions,
        image_folders={dataset: Path(folder) for dataset, folder in named(images or []).items()},
        pictures=pictures,
        picture_bytes=picture_bytes,
        attention_bytes=attention_bytes,
        report=report,
    )
    typer.echo(f"{out}: {written}")


def plan(
    config: Annotated[
        str,
        typer.Option(help="Configuration file, as for the pipeline, or by name: paper, table1."),
    ] = "config/config.yaml",
    results: Annotated[
        Path | None, typer.Option(help="Results folder of earlier runs, to take rates from; else published ones.")
    ] = None,
    format: Annotated[
        Literal["table", "csv", "json"], typer.Option(help="How to print it; csv has the rows alone.")
    ] = "table",
) -> None:
    """Tell what a configuration costs before it runs: forward passes, texts, images, bytes, device hours."""
    from lad import plan as plans
    from lad.config import read_configuration
    from lad.grid import build_grid
    from lad.report.planned import planned_needs

    settings = read_configuration(configuration_file(config))
    planned_needs(settings, build_grid(settings))
    planned = plans.make_plan(
        settings,
        plans.published_rate(),
        plans.recorded_rates(catalog.connect(results), str(results)) if results else None,
    )
    match format:
        case "table":
            typer.echo(plans.as_text(planned))
        case "csv":
            typer.echo(as_csv(pa.Table.from_pylist([asdict(row) for row in planned.rows])), nl=False)
        case "json":
            typer.echo(json.dumps(asdict(planned), indent=1))


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
