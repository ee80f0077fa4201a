"""Arguments that several commands share, and how their texts are read."""

import json
from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option(help="File to write; it appears whole or not at all.")]
Files = Annotated[list[str], typer.Option(help="Parquet file or quoted glob; may be given several times.")]
Seed = Annotated[int, typer.Option(help="Seed; every question draws from its own stream below it.")]
Images = Annotated[Path, typer.Option(help="Images table.")]
ImageFolder = Annotated[Path, typer.Option(help="Folder of the image files.")]
Candidates = Annotated[int, typer.Option(help="Candidates per question, 2 to 12.")]
Revision = Annotated[str | None, typer.Option(help="Revision of a hub checkpoint.")]
Device = Annotated[str, typer.Option(help="cpu, cuda (a GPU that is free), cuda:1 ...")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads.")]
Finished = Annotated[
    Path | None, typer.Option(help="Folder for finished work, where a rerun goes on; <out>.finished by default.")
]


def finished_beside(out: Path) -> Path:
    """Where finished work is kept unless the user says where."""
    return out.with_name(f"{out.name}.finished")


def named(pairs: list[str]) -> dict[str, str]:
    """Names and values of `name=value` texts.

    Raises:
        ValueError: a text that is none.
    """
    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise ValueError(f"'{wrong[0]}' is not name=value")
    return dict(pair.split("=", 1) for pair in pairs)


def scalar(text: str) -> str | int | float | bool:
    """The value that a text spells: `true`, `1`, `0.5`; itself if it spells none."""
    try:
        value = json.loads(text.lower())
    except json.JSONDecodeError:
        return text
    return value if isinstance(value, bool | int | float) else text


def files(patterns: list[str]) -> list[Path]:
    """The files that the patterns name, each once, in order.

    Raises:
        FileNotFoundError: no file matches a pattern.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        root, parts = Path(path.anchor or "."), path.relative_to(path.anchor) if path.anchor else path
        matches = sorted(root.glob(str(parts))) if any(c in pattern for c in "*?[") else [path]
        if not matches:
            raise FileNotFoundError(f"{pattern}: no file matches")
        found |= dict.fromkeys(matches)
    return list(found)
