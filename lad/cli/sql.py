"""`lad sql`: queries of a results folder, ready ones, a prompt, and a database for other programs."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperCommand

from lad import catalog, whole
from lad.cli.arguments import named
from lad.sql import recipes
from lad.sql.output import Format, rendered

if TYPE_CHECKING:
    from lad.sql.session import Session

_SUFFIXES: Final[dict[str, Format]] = {".csv": "csv", ".json": "json", ".parquet": "parquet"}


class AsksResults(TyperCommand):
    """A command whose help ends in the relations and their columns, and whose `--recipe` needs no name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        nameless = [
            word == "--recipe" and (place + 1 == len(args) or args[place + 1].startswith("-"))
            for place, word in enumerate(args)
        ]
        given = [f"{word}=" if bare else word for word, bare in zip(args, nameless, strict=True)]
        return super().parse_args(ctx, given)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        # \b keeps the line breaks of a paragraph.
        self.epilog = "Relations and their columns:\n" + catalog.describe().replace("\n\n", "\n\n\b\n")
        super().format_help(ctx, formatter)


def sql(
    query: Annotated[
        str | None,
        typer.Argument(
            help="A SELECT over the relations listed below. Without one a prompt opens; statements from a pipe are"
            " answered."
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Answer the SELECTs of this file, one after the other.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Answer this ready query; without a name, list them with their questions.")
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(help="Instead, write a DuckDB database of views that other programs open, such as lad.duckdb."),
    ] = None,
    results: Annotated[Path, typer.Option(help="Results folder.")] = Path("results/demo"),
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only what lies under this key, 'n=8' or 'setting=random'; may be repeated."),
    ] = None,
    format: Annotated[
        Format | None, typer.Option(help="How to print the answer. By default a table, or what --out ends in.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the answer to this file instead.")] = None,
    other_files: Annotated[
        bool, typer.Option("--other-files", help="Let queries read and write files outside the results folder, too.")
    ] = False,
) -> None:
    """Query a results folder with SQL. Queries read that folder alone, and change nothing."""
    from lad.sql.database import save as save_database
    from lad.sql.session import Session

    given = {"a query": query, "--file": file, "--recipe": recipe, "--save": save}
    if len(said := [name for name, value in given.items() if value is not None]) > 1:
        raise ValueError(f"{' and '.join(said)} are given; one of them is answered at a time")
    keys = named(only or [])
    if recipe == "":
        typer.echo(recipes.overview())
        return
    if save:
        if format or out or other_files:
            raise ValueError("--save goes with --results and --only alone")
        save_database(results, save, keys)
        typer.echo(f"{save}: views of {results}, for `duckdb {save}` and other programs")
        return
    chosen = format or (_SUFFIXES.get(out.suffix, "table") if out else "table")
    if chosen == "parquet" and not out and sys.stdout.isatty():
        raise ValueError("Parquet is no text: name a file with --out, or pass it on to a program")
    text = _text(query, file, _recipe(recipe) if recipe else None)
    session = Session(results, other_files=other_files, keys=keys)
    if text is not None:
        _answer(session, text, chosen, out)
    elif format or out:
        raise ValueError("--format and --out go with a query, --file or --recipe; the prompt shows tables")
    else:
        from lad.sql.prompt import run

        run(session, results)


def _recipe(name: str) -> str:
    try:
        return recipes.find(name).sql
    except recipes.RecipeError:
        typer.echo(recipes.overview(), err=True)
        raise


def _text(query: str | None, file: Path | None, recipe: str | None) -> str | None:
    """The statements that are given, if any; without a terminal they come from the standard input."""
    if file and str(file) != "-":
        try:
            return file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{file}: is no text in UTF-8, and so no SQL") from None
    said = query if query is not None else recipe
    if said is not None:
        return said
    return sys.stdin.read() if file or not sys.stdin.isatty() else None


def _answer(session: "Session", text: str, format: Format, out: Path | None) -> None:
    """Show the answers of all statements, each as soon as it is there, or write them to a file."""
    statements = session.statements(text)
    if not statements:
        raise ValueError('there is no statement in it; ask, say, "from metrics", or open the prompt: `lad sql`')
    if len(statements) > 1 and format != "table":
        raise ValueError(f"{len(statements)} statements; --format {format} takes the answer of one")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() and not out else 200
    answers = (session.answer(statement, lambda answer: rendered(answer, format, width)) for statement in statements)
    if out:
        with whole.file(out) as partial:
            partial.write_bytes(b"".join(answer for answer in answers if answer))
        return
    for answer in answers:
        typer.echo(answer or b"", nl=False)
