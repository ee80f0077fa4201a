"""Where things lie for a run: the package's own code, and the files that a configuration names.

Snakemake may run in any folder. Paths of a configuration count from there; the package lies where it is installed.
"""

from collections.abc import Mapping
from pathlib import Path

import lad


def modules(*names: str) -> list[str]:
    """Files of the package, as inputs of a rule: it runs again when they change.

    A package below the folder of the run, as in a checkout, is named by its path from there: Snakemake takes other
    paths for other inputs, and a checkout that was moved or copied has to do nothing again.
    """
    return [str(_package() / name) for name in names]


def code(*stages: str) -> list[str]:
    """Modules and queries of these stages, and what all stages read and write tables with."""
    package = _package()
    files = [file for stage in stages for file in sorted((package / stage).glob("*.*")) if file.suffix != ".pyc"]
    shared = [package / "tables.py", package / "query.py", package / "catalog.py", *sorted(package.glob("*.sql"))]
    return [str(file) for file in [*files, *shared]]


def refuse_paths_from_elsewhere(paths: Mapping[str, str], checkout: Path) -> None:
    """`ValueError` for a path, by its key in the configuration, that is there in the checkout but not from here.

    The demo's are of that kind. Taken for names of the hub, they would fail only when a job asks for them.
    """
    for key, path in paths.items():
        if not Path(path).exists() and (checkout / path).exists():
            raise ValueError(
                f"configuration, {key}: {path} lies in {checkout}, but paths count from the folder of the run,"
                f" {Path.cwd()}: run in {checkout}, or name a configuration with paths that hold from here"
                " (--configfile my.yaml)"
            )


def _package() -> Path:
    package, here = Path(lad.__file__).resolve().parent, Path.cwd().resolve()
    return package.relative_to(here) if package.is_relative_to(here) else package
