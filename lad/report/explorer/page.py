"""The explorer's page: its blocks of data, its script and its style in one HTML file."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2

from lad import whole
from lad.refusal import Refusal
from lad.report.explorer.cells import Cell, Shape, read_cell, shapes_of
from lad.report.explorer.choice import chosen_scorings
from lad.report.explorer.packed import ATTENTION_DECADES, block
from lad.report.explorer.thumbnails import Pictures, Thumbnails, make_thumbnails
from lad.report.results import Measured

_PACKAGE: Final = files("lad.report.explorer")
_SCRIPTS: Final = ("elements", "blocks", "cell", "filter", "heatmap", "form", "list", "question", "main")
"""The script's modules, each after those that it imports."""


class ExplorerError(Refusal):
    """An explorer that cannot be made; the message says what is missing and what would produce it."""


@dataclass(frozen=True)
class Summary:
    """What was written: cells and questions, how many of these with attention and heads, and bytes."""

    cells: int
    questions: int
    with_layers: int
    with_heads: int
    pictures: int
    picture_bytes: int
    total_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.questions:,} questions in {self.cells} cells, {self.with_layers:,} with their attention by layer,"
            f" {self.with_heads:,} by head; {self.pictures:,} pictures of {self.picture_bytes / 1e6:.1f} MB in all;"
            f" {self.total_bytes / 1e6:.1f} MB"
        )


def explorer(
    results: Path,
    out: Path,
    title: str,
    label: str,
    *,
    calibration_questions: int,
    image_folders: Mapping[str, Path] | None = None,
    pictures: Pictures = "licensed",
    picture_bytes: int = 8_000_000,
    attention_bytes: int = 16_000_000,
    report: str | None = None,
) -> Summary:
    """Write the page `out`.

    Args:
        results: the results folder; every cell with predictions of the split evaluation is shown.
        title: of the page.
        label: what the numbers were measured on.
        calibration_questions: after which calibration methods answer, where there are several.
        image_folders: by dataset, the folder of its pictures.
        pictures: which pictures may be shown.
        picture_bytes: budget of all thumbnails, as they stand in the page.
        attention_bytes: budget of all attention, before it is packed. Layers come first, then heads; of each cell, the
            first questions have them.
        report: address of the report beside the page.

    Raises:
        ExplorerError: nothing was answered in the results folder, or there is no dataset of a folder's name.
        PictureError: a picture that is to be shown is missing or damaged.
    """
    scorings = chosen_scorings(Measured(results).scorings("predictions"), calibration_questions)
    shapes = shapes_of(results, scorings.values())
    if not shapes:
        raise ExplorerError(f"{results}: holds no predictions of the split evaluation; `lad score` makes them")
    kept = zip(shapes, _kept(shapes, attention_bytes), strict=True)
    cells = [read_cell(results, shape, *questions) for shape, questions in kept]
    datasets = _datasets(cells)
    thumbnails = _thumbnails(datasets, image_folders or {}, pictures, picture_bytes)
    blocks = {
        "index": block(
            {
                "cells": [{**cell.in_words(), "block": f"cell-{number}"} for number, cell in enumerate(cells)],
                "datasets": list(datasets),
                "decades": ATTENTION_DECADES,
                "preferred": sorted(range(len(cells)), key=lambda number: _preference(cells[number])),
            }
        )
    }
    for number, (name, dataset) in enumerate(datasets.items()):
        blocks[f"dataset-{number}"] = dataset.block()
        blocks[f"pictures-{number}"] = dataset.pictures_block(thumbnails[name])
    for number, cell in enumerate(cells):
        of = datasets[cell.dataset]
        blocks |= dict(cell.blocks(f"cell-{number}", of.captions, of.numbers))
    with whole.file(out) as partial:
        partial.write_text(_page(title, label, blocks, report), encoding="utf-8")
    return Summary(
        len(cells),
        sum(shape.questions for shape in shapes),
        sum(cell.with_layers for cell in cells),
        sum(cell.with_heads for cell in cells),
        sum(len(made.webp) for made in thumbnails.values()),
        sum(map(len, (webp for made in thumbnails.values() for webp in made.webp.values()))),
        out.stat().st_size,
    )


def _preference(cell: Cell) -> tuple[bool, bool, int]:
    """Cells with the least are looked at first: as the report, which begins with eight random candidates."""
    asked = cell.shape.scoring.cell
    return asked.probe != "vanilla", asked.setting != "random", abs(asked.n - 8)


def _kept(shapes: Sequence[Shape], budget: int) -> list[tuple[int, int]]:
    """Of how many first questions of each cell the attention is kept, by layer and by head: the same share of all."""
    by_layer = sum(shape.layer_bytes * shape.questions for shape in shapes)
    by_head = sum(shape.head_bytes * shape.questions for shape in shapes)
    layers = min(1.0, budget / by_layer) if by_layer else 0.0
    heads = min(1.0, max(0, budget - by_layer) / by_head) if by_head else 0.0
    return [
        (int(shape.questions * layers) if shape.layer_bytes else 0, int(shape.questions * heads) if shape.heads else 0)
        for shape in shapes
    ]


@dataclass(frozen=True)
class _Dataset:
    """The captions and candidates of a dataset's cells, each once.

    Attributes:
        captions: the number of each.
        images: rows of the images table, by image id, in the order in which questions show them.
    """

    captions: dict[str, int]
    images: dict[int, dict[str, Any]]

    @property
    def numbers(self) -> dict[int, int]:
        return {image_id: number for number, image_id in enumerate(self.images)}

    def block(self) -> str:
        rows = self.images.values()
        licences = sorted({row["license"] for row in rows if row["license"]})
        return block(
            {
                "captions": list(self.captions),
                "files": [row["file_name"] for row in rows],
                "texts": [row["text"] for row in rows] if any(row["text"] is not None for row in rows) else [],
                "licences": licences,
                "licence": [licences.index(row["license"]) if row["license"] else -1 for row in rows],
                "attributions": [row["attribution"] for row in rows] if any(row["attribution"] for row in rows) else [],
            }
        )

    def pictures_block(self, made: Thumbnails) -> str:
        return block(
            {
                "webp": [made.webp.get(image_id, "") for image_id in self.images],
                "side": made.side,
                "withheld": made.withheld,
                "beyond": made.beyond,
            }
        )


def _datasets(cells: Sequence[Cell]) -> dict[str, _Dataset]:
    found: dict[str, _Dataset] = {}
    for cell in cells:
        dataset = found.setdefault(cell.dataset, _Dataset({}, {}))
        for caption in cell.questions["caption"].to_pylist():
            dataset.captions.setdefault(caption, len(dataset.captions))
        rows = {row["image_id"]: row for row in cell.images.to_pylist()}
        for image_id in cell.questions["candidates"].combine_chunks().flatten().to_pylist():
            dataset.images.setdefault(image_id, rows[image_id])
    return found


def _thumbnails(
    datasets: Mapping[str, _Dataset], folders: Mapping[str, Path], pictures: Pictures, budget: int
) -> dict[str, Thumbnails]:
    """By dataset; the budget is shared by the number of pictures."""
    if unknown := sorted(set(folders) - set(datasets)):
        raise ExplorerError(f"pictures of dataset {', '.join(unknown)}: the results hold {', '.join(datasets)}")
    total = sum(len(datasets[name].images) for name in folders)
    return {
        name: make_thumbnails(
            list(dataset.images.values()), folders[name], pictures, budget * len(dataset.images) // total
        )
        if name in folders
        else Thumbnails()
        for name, dataset in datasets.items()
    }


def _page(title: str, label: str, blocks: Mapping[str, str], report: str | None) -> str:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((_PACKAGE / "page.html.j2").read_text(encoding="utf-8"))
    # The hashes are of all that stands between the tags.
    css, script = f"\n{(_PACKAGE / 'page.css').read_text(encoding='utf-8')}", f"\n{_script()}"
    return template.render(
        title=title,
        label=label,
        css=css,
        script=script,
        hashes=tuple(map(_hash, (script, css))),
        blocks=blocks,
        report=report,
    )


def _script() -> str:
    """All modules as one: what a module imports from another stands before it."""
    sources = [(_PACKAGE / "script" / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS]
    return "\n".join(re.sub(r"^(import .*\n|export )", "", source, flags=re.MULTILINE) for source in sources)


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
