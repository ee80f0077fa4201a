"""The report: one page with every figure and table, their sentences, and what was measured on what.

The page needs nothing beside itself: figures are inlined, there is no script and no link to elsewhere.
"""

import json
from base64 import b64encode
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2

from lad import catalog, query
from lad.figures.artifacts import ARTIFACTS
from lad.figures.content import ArtifactError, Options
from lad.figures.measures import Measures
from lad.figures.wording import Pair, listed, numbers, percent, start, tally

_PACKAGE: Final = files("lad.figures")
LARGEST_VECTOR: Final = 1_000_000
"""Bytes above which a figure (one with photographs, say) is inlined as PNG rather than SVG."""

HEADLINE: Final = ("vanilla", "purified_attention", "agd")
"""The methods of the page's first lines, as in headline.sql."""

Description = dict[str, Any]


def report(
    results: Path,
    artifacts_folder: Path,
    out: Path,
    title: str,
    label: str,
    provenance: Mapping[str, str] | None = None,
) -> None:
    """Write the page `out`.

    Args:
        results: the results folder that the artifacts were drawn from.
        artifacts_folder: where `artifacts.draw` left its files; what it did not draw is named on the page.
        out: the HTML file.
        title: of the page.
        label: what the numbers were measured on.
        provenance: how the results came to be, as names and values for the end of the page.

    Raises:
        ArtifactError: no artifact was drawn there.
    """
    descriptions = _read_descriptions(artifacts_folder)
    page = _template().render(
        title=title,
        label=label,
        css=(_PACKAGE / "report.css").read_text(encoding="utf-8"),
        headline=_headline(results, descriptions),
        artifacts=[_with_picture(description, artifacts_folder) for description in descriptions],
        missing=[artifact.title for name, artifact in ARTIFACTS.items() if name not in _names(descriptions)],
        provenance=dict(provenance or {}),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string((_PACKAGE / "report.html.j2").read_text(encoding="utf-8"))


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


def _headline(results: Path, descriptions: Sequence[Description]) -> dict[str, str] | None:
    """What the page says first, in numbers of the model that the first artifact shows; None if these are not there."""
    first = descriptions[0]
    parameters = {name: first[name] for name in ("model", "dataset", "calibration_questions")}
    with catalog.connect(results) as connection:
        rows = query.on(connection, _PACKAGE / "headline.sql", parameters).to_pylist()
        measures = Measures(connection, Options(**parameters, label=first["label"]))
    accuracies: dict[tuple[int, str], dict[str, float]] = defaultdict(dict)
    for row in rows:
        accuracies[row["n"], row["setting"]][row["method"]] = row["value"]
    complete = [place for place, methods in accuracies.items() if len(methods) == len(HEADLINE)]
    if not complete:
        return None
    n, setting = complete[0]
    accuracy = accuracies[n, setting]
    vanilla = [row for row in rows if row["method"] == "vanilla"]
    return {
        "model": first["model"],
        "dataset": first["dataset"],
        "n": str(n),
        "setting": setting,
        **{method: percent(value) for method, value in accuracy.items()},
        "verdict": _verdict(measures, accuracies),
        "questions": str(max(row["questions"] for row in vanilla)),
        "presentations": f"{sum(row['presentations'] for row in vanilla):,}",
        "ns": numbers(sorted({row["n"] for row in vanilla})),
        "settings": listed(sorted({row["setting"] for row in vanilla}, reverse=True)),
        "calibration_questions": str(first["calibration_questions"]),
    }


def _verdict(measures: Measures, accuracies: Mapping[tuple[int, str], Mapping[str, float]]) -> str:
    """Whether AGD is worth more than the attention it uses, over all N and settings: the reader should know."""
    pairs = [
        Pair.measured(measures, f"at N = {n}, {setting}", "agd", "purified_attention", n=n, setting=setting)
        for (n, setting), methods in accuracies.items()
        if {"agd", "purified_attention"} <= methods.keys()
    ]
    return start(tally(pairs, "agd", "purified_attention"))
