"""The figures and tables: each module here is one, found by walking the package.

A module exports ARTIFACT, or ARTIFACTS where one drawing serves several; its SQL lies beside it under its name.
Figure 4 of the paper (a drawing) and table 9 (prompts) are not here. What has a name in place of a number is ours.
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Final

from lad.report.artifact import AnyArtifact, ArtifactError
from lad.report.options import Option, in_words, options_of, selectable


def find_artifacts(folders: Iterable[str]) -> dict[str, AnyArtifact]:
    """The artifacts of this package's modules in these folders, by name, in their order.

    Raises:
        ImportError: two artifacts have one name, or one place in the order.
        AttributeError: a module exports none.
    """
    found: dict[str, AnyArtifact] = {}
    for _, name, _ in iter_modules(folders):
        module = import_module(f"{__name__}.{name}")
        for artifact in getattr(module, "ARTIFACTS", None) or [module.ARTIFACT]:
            if artifact.name in found or artifact.order in [other.order for other in found.values()]:
                raise ImportError(f"{module.__name__}: another artifact has the name {artifact.name}, or its order")
            found[artifact.name] = artifact
            _MODULES[artifact.name] = module
    return dict(sorted(found.items(), key=lambda item: item[1].order))


_MODULES: Final[dict[str, ModuleType]] = {}

ARTIFACTS: Final[Mapping[str, AnyArtifact]] = find_artifacts(__path__)
"""All artifacts by name, in the order of the page."""


def sources(name: str) -> list[Path]:
    """The files of an artifact's own: its module and its queries."""
    module = Path(str(_MODULES[name].__file__))
    return [module, *sorted(module.parent.glob(f"{module.stem}.sql"))]


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
        options = [f"`{o.name}`{_default(o)}: {o.meaning}" for o in selectable(artifact.options)[3:]]
        lines.append(f"| `{artifact.name}` | {artifact.title} | {artifact.in_runs} | {'<br>'.join(options)} |")
    return "\n".join(lines)


def _default(option: Option) -> str:
    return f" ({words})" if (words := in_words(option.default)) else ""
