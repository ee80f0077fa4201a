"""What the package carries besides code: published values, configurations of the paper's suite, ready queries."""

from pathlib import Path
from typing import Final, Literal, get_args

PUBLISHED: Final = Path(__file__).with_name("published.csv")
"""The published values; README.md beside it says what they are."""

Shipped = Literal["paper", "table1", "datasets"]
"""Configurations, and sources of datasets to copy into one. They stand in config/ of the repository, and beside this
file where the package is installed from a wheel."""


def configuration_file(named: str) -> Path:
    """The file of that path, or else the shipped configuration of that name.

    Raises:
        FileNotFoundError: there is neither.
    """
    path = Path(named)
    if path.is_file():
        return path
    if named not in get_args(Shipped):
        raise FileNotFoundError(
            f"{named}: no such configuration file; by name there are {', '.join(get_args(Shipped))}, which lad carries"
        )
    installed = Path(__file__).with_name(f"{named}.yaml")
    return installed if installed.is_file() else Path(__file__).parents[2] / "config" / installed.name


def queries_folder() -> Path:
    """The ready queries: queries/ of the repository, or, from a wheel, beside this file."""
    installed = Path(__file__).with_name("queries")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "queries"
