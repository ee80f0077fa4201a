"""How an artifact becomes files.

A figure becomes `fig1.pdf`, `.svg` and `.png`, a table `table1.csv`, `.md` and `.tex`. Beside either lies a `.json`
with its caption and its sentence, whose numbers come from the very results drawn.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.style
import pyarrow.csv
from matplotlib.figure import Figure

from lad import whole
from lad.report.artifact import AnyArtifact, ArtifactError, Picture, Table
from lad.report.artifacts import ARTIFACTS
from lad.report.options import ArtifactOptions
from lad.report.results import opened
from lad.report.style import GREY, STYLE_SHEET
from lad.report.typeset import latex, markdown
from lad.report.wording import start


def draw(name: str, results: Path, options: Mapping[str, Any], out: Path) -> list[Path]:
    """Draw one artifact from a results folder into the folder `out`.

    Args:
        name: one of `ARTIFACTS`.
        results: folder laid out as `lad.catalog` describes.
        options: values for the artifact's options; what is not given has its default.
        out: created where it does not exist.

    Returns:
        The files written: a figure's pdf, svg and png or a table's csv, md and tex; the json last.

    Raises:
        ArtifactError: an unknown artifact or option, or results that are missing; nothing is written then.
    """
    if name not in ARTIFACTS:
        raise ArtifactError(f"unknown artifact '{name}'; known: {', '.join(ARTIFACTS)}")
    artifact = ARTIFACTS[name]
    try:
        chosen = artifact.options.read(options)
        with (
            opened(results, lambda available: artifact.needs(available, chosen)) as needed,
            matplotlib.style.context(STYLE_SHEET),
        ):
            content = artifact.draw(needed, chosen)
            sentence = _sentence(artifact, content)
            if isinstance(content, Picture):
                files = _picture_files(content.figure, chosen.label)
            else:
                files = _table_files(artifact, content, chosen.label, sentence)
    except ArtifactError as error:
        raise ArtifactError(f"{name}: {error}") from None
    files["json"] = _description(artifact, content, chosen, sentence)
    paths = [out / f"{name}.{suffix}" for suffix in files]
    for path, data in zip(paths, files.values(), strict=True):
        with whole.file(path) as partial:
            partial.write_bytes(data)
    return paths


def _sentence(artifact: AnyArtifact, content: Picture | Table) -> str:
    # A clause may begin a sentence: each full stop of the template starts anew.
    return ". ".join(start(part.format(**content.facts)) for part in artifact.sentence.split(". "))


def _picture_files(figure: Figure, label: str) -> dict[str, bytes]:
    """The figure in every format, with what it was measured on in the corner; no dates, so that reruns are equal."""
    engine = figure.get_layout_engine()
    if engine is not None:
        margin = 0.16 / figure.get_figheight()
        engine.set(rect=(0, margin, 1, 1 - margin))  # type: ignore[call-arg]
    figure.text(0.995, 0.005, label, ha="right", va="bottom", fontsize=6.5, color=GREY)
    metadata: dict[str, dict[str, None]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
    files = {}
    for suffix, facts in metadata.items():
        buffer = BytesIO()
        figure.savefig(buffer, format=suffix, metadata=facts)
        files[suffix] = buffer.getvalue()
    return {**files, "svg": _number_clip_paths(files["svg"])}


def _number_clip_paths(svg: bytes) -> bytes:
    """Clip paths named by their order: matplotlib names them by the layout's last bits, which differ between runs."""
    names = dict.fromkeys(re.findall(rb"url\(#(p[0-9a-f]{10})\)", svg))
    for number, name in enumerate(names):
        svg = svg.replace(name, b"clip%d" % number)
    return svg


def _table_files(artifact: AnyArtifact, table: Table, label: str, sentence: str) -> dict[str, bytes]:
    records = BytesIO()
    pyarrow.csv.write_csv(table.records, records)
    text = (artifact.title, artifact.caption.format(**table.facts), sentence, label)
    return {
        "csv": records.getvalue(),
        "md": markdown(table, *text).encode(),
        "tex": latex(table, artifact.name, *text).encode(),
    }


def _description(artifact: AnyArtifact, content: Picture | Table, options: ArtifactOptions, sentence: str) -> bytes:
    """What the report needs to show the artifact."""
    description: dict[str, Any] = {
        "name": artifact.name,
        "kind": artifact.kind,
        "title": artifact.title,
        "caption": artifact.caption.format(**content.facts),
        "sentence": sentence,
        "alt": artifact.alt,
        "label": options.label,
        "model": options.model,
        "dataset": options.dataset,
        "probe": options.probe,
        "calibration_questions": options.calibration_questions,
    }
    if isinstance(content, Table):
        description["stub"] = content.stub
        description["groups"] = content.groups
        description["lines"] = [asdict(line) for line in content.lines]
    return (json.dumps(description, ensure_ascii=False, indent=1) + "\n").encode()
