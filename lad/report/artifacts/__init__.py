"""The figures and tables: each module here is one, found by walking the package.

A module exports ARTIFACT, or ARTIFACTS where one drawing serves several; its SQL lies beside it under its name.
Figure 4 of the paper (a drawing) and table 9 (prompts) are not here. What has a name in place of a number is ours.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Final

from lad.report.artifact import AnyArtifact, ArtifactError
from lad.report.options import Option, in_words, options_of, selectable


def _by_module() -> dict[str, tuple[AnyArtifact, ...]]:
    """The artifacts of each module."""
    modules = {found.name: import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)}
    return {name: getattr(module, "ARTIFACTS", None) or (module.ARTIFACT,) for name, module in modules.items()}


_MODULES: Final = {artifact.name: module for module, artifacts in _by_module().items() for artifact in artifacts}

ARTIFACTS: Final[Mapping[str, AnyArtifact]] = {
    artifact.name: artifact
    for artifact in sorted(
        (artifact for artifacts in _by_module().values() for artifact in artifacts), key=lambda artifact: artifact.order
    )
}
"""All artifacts by name, in the order of the page."""


def sources(name: str) -> list[Path]:
    """The files of an artifact's own: its module and its queries."""
    files = [path for folder in __path__ for path in Path(folder).glob(f"{_MODULES[name]}.*")]
    return sorted(path for path in files if path.suffix in (".py", ".sql"))


def describe(name: str | None = None) -> str:
    """The artifacts, or one of them, with their options, defaults and meanings, as text.

    Raises:
        ArtifactError: there is no such artifact.
    """
    if name is not None and name not in ARTIFACTS:
        raise ArtifactError(f"unknown artifact '{name}'; known: {', '.join(ARTIFACTS)}")
    lines = []
    for artifact in ARTIFACTS.values() if name is None else [ARTIFACTS[name]]:
        lines += ["", f"{artifact.name}: {artifact.title}", f"  needs of the runs: {artifact.in_runs.replace('`', '')}"]
        for option in options_of(artifact.options):
            default = in_words(option.default)
            lines.append(f"  {option.name}{f' ({default})' if default else ''}: {option.meaning}")
    return "\n".join(lines[1:])


def page() -> str:
    """The artifacts with what they need and the options that a configuration may set, as a Markdown table."""
    lines = ["| artifact | what it shows | needs of the runs | options and defaults |", "|---|---|---|---|"]
    for artifact in ARTIFACTS.values():
        options = [f"`{o.name}`{_default(o)}: {o.meaning}" for o in selectable(artifact.options)[2:]]
        lines.append(f"| `{artifact.name}` | {artifact.title} | {artifact.in_runs} | {'<br>'.join(options)} |")
    return "\n".join(lines)


def _default(option: Option) -> str:
    return f" ({words})" if (words := in_words(option.default)) else ""
