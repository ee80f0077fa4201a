"""The report: one page with every figure and table, their sentences, and what was measured on what.

The page needs nothing beside itself: figures are inlined, there is no script and no link but that to the explorer.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2

from lad import whole
from lad.report import headline
from lad.report.artifact import ArtifactError
from lad.report.artifacts import ARTIFACTS
from lad.report.options import ArtifactOptions

_PACKAGE: Final = files("lad.report")
LARGEST_VECTOR: Final = 1_000_000
"""Bytes above which a figure (one with photographs, say) is inlined as PNG rather than SVG."""

Description = dict[str, Any]


def report(
    results: Path,
    artifacts_folder: Path,
    out: Path,
    title: str,
    label: str,
    provenance: Mapping[str, str] | None = None,
    explorer: str | None = None,
) -> None:
    """Write the page `out`.

    Args:
        results: the results folder that the artifacts were drawn from.
        artifacts_folder: where `drawing.draw` left its files; what it did not draw is named on the page.
        out: the HTML file.
        title: of the page.
        label: what the numbers were measured on.
        provenance: how the results came to be, as names and values for the end of the page.
        explorer: address of the explorer beside the page.

    Raises:
        ArtifactError: no artifact was drawn there.
    """
    descriptions = _read_descriptions(artifacts_folder)
    page = _template().render(
        title=title,
        label=label,
        css=(_PACKAGE / "page.css").read_text(encoding="utf-8"),
        headline=headline.read(results, _options(descriptions[0])),
        artifacts=[_with_picture(description, artifacts_folder) for description in descriptions],
        missing=[artifact.title for name, artifact in ARTIFACTS.items() if name not in _names(descriptions)],
        provenance=dict(provenance or {}),
        explorer=explorer,
    )
    with whole.file(out) as partial:
        partial.write_text(page, encoding="utf-8")


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string((_PACKAGE / "page.html.j2").read_text(encoding="utf-8"))


def _read_descriptions(folder: Path) -> list[Description]:
    """What was drawn, in the paper's order."""
    paths = [folder / f"{name}.json" for name in ARTIFACTS]
    descriptions = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]
    if not descriptions:
        raise ArtifactError(f"{folder}: no artifact was drawn here; `lad draw` fills it")
    return descriptions


def _names(descriptions: Sequence[Description]) -> set[str]:
    return {description["name"] for description in descriptions}


def _with_picture(description: Description, folder: Path) -> Description:
    if description["kind"] != "figure":
        return description
    path = folder / f"{description['name']}.svg"
    media = "svg+xml"
    if path.stat().st_size > LARGEST_VECTOR:
        path, media = path.with_suffix(".png"), "png"
    return {**description, "picture": f"data:image/{media};base64,{b64encode(path.read_bytes()).decode()}"}


def _options(description: Description) -> ArtifactOptions:
    """Whose numbers an artifact shows."""
    told = {field.name: description[field.name] for field in fields(ArtifactOptions) if field.name in description}
    return ArtifactOptions(**told)
