"""Arguments that several commands share, and how their texts are read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from lad.extraction import Dtype

Out = Annotated[Path, typer.Option(help="File to write; it appears whole or not at all.")]
Files = Annotated[list[str], typer.Option(help="Parquet file or quoted glob; may be given several times.")]
Seed = Annotated[int, typer.Option(help="Seed; every question draws from its own stream below it.")]
Images = Annotated[Path, typer.Option(help="Images table.")]
ImageFolder = Annotated[Path | None, typer.Option(help="Folder of the image files, where candidates are images.")]
Candidates = Annotated[int, typer.Option(help="Candidates per question, 2 to 12.")]
Revision = Annotated[str | None, typer.Option(help="Revision of a hub checkpoint.")]
Device = Annotated[str, typer.Option(help="cpu, cuda (a GPU that is free), cuda:1 ...")]
NumberFormat = Annotated[Dtype, typer.Option(help="Number format of weights and activations.")]
ImageSize = Annotated[int | None, typer.Option(help="Resize images to this square first.")]
ProcessorOptions = Annotated[
    list[str] | None, typer.Option(help="Setting of the image processor, max_patches=1; may be given repeatedly.")
]
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


KEYS_OF_A_FORMAT: Final[dict[str, Any]] = {
    "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True}
}
"""What a command has, besides its function, that takes the keys of a dataset's format as options."""


def keys_of(arguments: Sequence[str]) -> dict[str, str]:
    """Keys and values of `--key value` and `--key=value`, with '_' where an option has '-'.

    Raises:
        ValueError: an argument that is neither.
    """
    keys: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        name, has_value, value = argument.partition("=")
        if not name.startswith("--"):
            raise ValueError(f"'{argument}' is no option: expected are the keys of the format, --key value")
        if not has_value and (value := next(rest, "--")).startswith("--"):
            raise ValueError(f"option {name} has no value")
        keys[name.removeprefix("--").replace("-", "_")] = value
    return keys


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
