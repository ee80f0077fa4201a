"""The command line: one command per stage, each an ordinary function with path arguments.

Snakemake calls nothing else, so a line copied from a log runs by hand, on a machine without Snakemake. Every command
imports only what it needs: `lad extract` works where duckdb and snakemake are not installed.
"""

import os
import sys
from collections.abc import Callable
from typing import Any, Final

import typer

from lad.cli import benchmark, logs, measurement, pipeline, rank, results
from lad.cli.arguments import KEYS_OF_A_FORMAT
from lad.cli.sql import AsksResults, sql
from lad.refusal import one_line

PANELS: Final[dict[str, tuple[Callable[..., None], ...]]] = {
    "In one call": (rank.rank,),
    "Stages, in their order": (
        *(benchmark.download, benchmark.images, benchmark.lists, benchmark.embed, benchmark.questions),
        benchmark.presentations,
        *(measurement.extract, logs.import_log, measurement.calibrate, measurement.score, measurement.evaluate),
        *(measurement.rankings, measurement.compare, measurement.choices),
    ),
    "Results": (
        *(sql, results.draw, results.report, results.explorer, results.plan),
        *(results.bundle, results.unbundle),
    ),
    "What there is": (measurement.methods, results.artifacts, results.configuration),
    "Helpers of the pipeline and its demo": (
        pipeline.render,
        pipeline.content_free,
        pipeline.convert,
        pipeline.merge,
        pipeline.warm,
    ),
}
"""The commands as `lad --help` groups them."""

_SPECIAL: Final[dict[Callable[..., None], dict[str, Any]]] = {
    # A query may begin with a comment, which is no option.
    sql: {"cls": AsksResults, "context_settings": {"ignore_unknown_options": True}},
    measurement.score: {"cls": measurement.ListsMethods},
    logs.import_log: {"name": "import", "cls": logs.ListsFormats, **KEYS_OF_A_FORMAT},
    # What follows is a command of its own, with options of its own.
    pipeline.warm: {
        "context_settings": {"ignore_unknown_options": True, "allow_extra_args": True, "allow_interspersed_args": False}
    },
    **dict.fromkeys((benchmark.images, benchmark.lists, benchmark.questions, pipeline.render), KEYS_OF_A_FORMAT),
}
"""What commands have besides their function."""

app = typer.Typer(
    help="Measure, explain and correct the position bias of multimodal LLMs that choose among images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for panel, commands in PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel, **_SPECIAL.get(command, {}))(command)


def main() -> None:
    """Run a command; an error the user can mend is one line on stderr and exit code 1.

    `LAD_TRACEBACK=1` shows where it came from.
    """
    try:
        app()
    except (ValueError, OSError, ModuleNotFoundError) as error:
        if os.environ.get("LAD_TRACEBACK"):
            raise
        message = one_line(str(error))
        if isinstance(error, ModuleNotFoundError):
            message += "; pip install 'logit-attention-divergence[pipeline]' brings what all commands need"
        print(f"lad: error: {message}", file=sys.stderr)
        sys.exit(1)
