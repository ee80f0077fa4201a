"""Commands that serve the pipeline and its demo, and that people seldom run by hand."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from lad import contracts, parquet
from lad.cli.arguments import Out, keys_of
from lad.extraction.shards import Sharded


def render(
    context: typer.Context,
    format: Annotated[str, typer.Option(help="Format of the dataset: scenes, tasks ...")],
    out: Annotated[Path, typer.Option(help="Folder to write; it appears whole or not at all.")],
) -> None:
    """Render a dataset of the demo; its keys in the configuration are options: --count 40 --seed 7."""
    from lad.benchmark.formats import FORMATS, Rendered, parse_dataset

    dataset = parse_dataset(format, keys_of(context.args))
    if not isinstance(dataset, Rendered):
        rendered = (name for name, entry in FORMATS.items() if issubclass(entry, Rendered))
        raise ValueError(f"a dataset of format {format} is read, not rendered; rendered are: {', '.join(rendered)}")
    dataset.render(out)


def content_free(
    images: Annotated[
        Path, typer.Option(help="Images table: of texts, or of images, whose most frequent size the blank one has.")
    ],
    n: Annotated[int, typer.Option(help="Candidates to show, 2 to 12.")],
    out: Annotated[
        Path, typer.Option(help="Folder for the tables images, questions and presentations, and the blank image.")
    ],
) -> None:
    """Build the question without content that contextual calibration asks once."""
    from lad.benchmark.content_free import write_content_free

    write_content_free(parquet.read(images, contracts.IMAGES), n, out)


def convert(
    checkpoint: Annotated[str, typer.Option(help="GGUF file, or package:NAME/FILE of an installed Python package.")],
    out: Annotated[Path, typer.Option(help="Folder to write the checkpoint to, as transformers reads it.")],
) -> None:
    """Write a GGUF checkpoint as a folder that loads in a second; its numbers stay as they are."""
    from lad.extraction.gguf import write_as_folder

    write_as_folder(checkpoint, out)


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


def warm(context: typer.Context) -> None:
    """Run a command that starts `lad` often, such as snakemake; each of these then begins in milliseconds."""
    from lad.warm import forking

    if not context.args:
        raise typer.BadParameter("name the command to run: lad warm snakemake --cores all")
    with forking() as environment, subprocess.Popen(context.args, env={**os.environ, **environment}) as running:
        signal.signal(signal.SIGTERM, lambda *_: running.terminate())
        ended = None
        while ended is None:
            # The command has felt the interrupt too. It ends in its own way: `subprocess.run` would kill it.
            with contextlib.suppress(KeyboardInterrupt):
                ended = running.wait()
    raise typer.Exit(ended if ended >= 0 else 128 - ended)
