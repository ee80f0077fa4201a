"""Rendered scenes with captions: the demo's stand-in for COCO, written in COCO's own format.

A scene is two objects in a 2 x 2 grid; an object has one of 8 colours and one of 6 shapes. A category of the
annotation file is such a combination, so two images with equal category sets are images that one caption may
fit: just what the adversarial setting must filter out. A quarter of all pairs is held out: the demo
model never sees them in training, and a written dataset holds nothing else.

Differs from COCO: one caption per image where COCO has five, and every object is annotated.
"""

import json
import math
import zlib
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw

from lad import whole
from lad.refusal import Refusal

COLOURS: Final = {
    "red": (215, 40, 40),
    "green": (40, 160, 60),
    "blue": (45, 85, 215),
    "yellow": (240, 210, 50),
    "purple": (140, 60, 175),
    "orange": (245, 140, 30),
    "pink": (245, 150, 190),
    "brown": (125, 75, 40),
}
BACKGROUNDS: Final = {"white": (245, 245, 245), "grey": (170, 172, 176), "black": (25, 25, 28)}
CORNERS: Final = ("top left", "top right", "bottom left", "bottom right")
"""Names of the grid's cells, row by row; a cell is an index into this."""

SIZE: Final = 112
"""Side of a written image in pixels: twice what the demo model's image processor keeps."""

_OVERSAMPLING: Final = 2
_DESCRIPTION: Final = "Rendered scenes of two objects, for the demonstration of Logit-Attention Divergence"


def _star(points: int = 5, inner: float = 0.42) -> list[tuple[float, float]]:
    radii = [1.15 if k % 2 == 0 else 1.15 * inner for k in range(2 * points)]
    return [(r * math.sin(math.pi * k / points), -r * math.cos(math.pi * k / points)) for k, r in enumerate(radii)]


SHAPES: Final[dict[str, list[tuple[float, float]]]] = {
    "circle": [(math.cos(math.tau * k / 36), math.sin(math.tau * k / 36)) for k in range(36)],
    "square": [(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)],
    "triangle": [(0.0, -1.05), (1.0, 0.85), (-1.0, 0.85)],
    "star": _star(),
    "cross": [
        *((-0.38, -1.0), (0.38, -1.0), (0.38, -0.38), (1.0, -0.38), (1.0, 0.38), (0.38, 0.38)),
        *((0.38, 1.0), (-0.38, 1.0), (-0.38, 0.38), (-1.0, 0.38), (-1.0, -0.38), (-0.38, -0.38)),
    ],
    "diamond": [(0.0, -1.15), (0.75, 0.0), (0.0, 1.15), (-0.75, 0.0)],
}
"""Outline of each shape for a radius of one, as (right, down) from its centre."""

CATEGORIES: Final = tuple((colour, shape) for colour in COLOURS for shape in SHAPES)
"""Every kind of object; `CATEGORIES[c - 1]` is the category with COCO id `c`."""

Pair = tuple[int, int]
"""The two category ids of a scene, ascending, distinct."""


def is_held_out(pair: Pair) -> bool:
    """Whether a pair of objects is kept from training: about a quarter of all, chosen by a hash."""
    return zlib.crc32("{}+{}".format(*pair).encode()) % 4 == 0


PAIRS: Final[tuple[Pair, ...]] = tuple(combinations(range(1, len(CATEGORIES) + 1), 2))
HELD_OUT_PAIRS: Final = tuple(pair for pair in PAIRS if is_held_out(pair))
TRAINING_PAIRS: Final = tuple(pair for pair in PAIRS if not is_held_out(pair))


def neighbours(pair: Pair) -> list[Pair]:
    """The pairs that differ from `pair` in one colour or one shape of one object."""
    return [
        (min(kept, new), max(kept, new))
        for kept, changed in (pair, pair[::-1])
        for new in range(1, len(CATEGORIES) + 1)
        if new not in pair and _shared_attributes(changed, new) == 1
    ]


def _shared_attributes(a: int, b: int) -> int:
    (colour_a, shape_a), (colour_b, shape_b) = CATEGORIES[a - 1], CATEGORIES[b - 1]
    return (colour_a == colour_b) + (shape_a == shape_b)


@dataclass(frozen=True)
class Item:
    """One object of a scene. Lengths are fractions of the image's side, from the top left corner."""

    category: int
    cell: int
    centre: tuple[float, float]
    radius: float
    rgb: tuple[int, int, int]

    @property
    def name(self) -> str:
        return "{} {}".format(*CATEGORIES[self.category - 1])

    def outline(self, size: int) -> np.ndarray:
        """The corners of the shape in pixels of an image of side `size`, as [corner, (x, y)]."""
        unit = np.array(SHAPES[CATEGORIES[self.category - 1][1]])
        corners: np.ndarray = (np.array(self.centre) + self.radius * unit) * size
        return corners


@dataclass(frozen=True)
class Scene:
    """All that an image shows: rendering adds nothing to it."""

    items: tuple[Item, Item]
    background: str
    background_rgb: tuple[int, int, int]

    @property
    def pair(self) -> Pair:
        low, high = sorted(item.category for item in self.items)
        return low, high


def draw_scene(pair: Pair, rng: np.random.Generator) -> Scene:
    """A scene of these two objects with everything else drawn at random: cells, sizes, shades, background."""
    cells = rng.permutation(len(CORNERS))[:2]
    items = [_draw_item(category, int(cell), rng) for category, cell in zip(pair, cells, strict=True)]
    background = list(BACKGROUNDS)[rng.integers(len(BACKGROUNDS))]
    return Scene((items[0], items[1]), background, _shade(BACKGROUNDS[background], 8, rng))


def _draw_item(category: int, cell: int, rng: np.random.Generator) -> Item:
    row, column = divmod(cell, 2)
    x, y = (0.5 * (place + 0.5) + rng.uniform(-0.03, 0.03) for place in (column, row))
    radius = rng.uniform(0.14, 0.19)
    return Item(category, cell, (x, y), radius, _shade(COLOURS[CATEGORIES[category - 1][0]], 12, rng))


def _shade(rgb: tuple[int, int, int], spread: int, rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = np.clip(np.array(rgb) + rng.integers(-spread, spread + 1, size=3), 0, 255)
    return int(red), int(green), int(blue)


def render(scene: Scene, size: int = SIZE) -> Image.Image:
    """The scene as an RGB image of `size` x `size` pixels."""
    drawn = size * _OVERSAMPLING
    image = Image.new("RGB", (drawn, drawn), scene.background_rgb)
    canvas = ImageDraw.Draw(image)
    for item in scene.items:
        canvas.polygon([(float(x), float(y)) for x, y in item.outline(drawn)], fill=item.rgb)
    return image.reduce(_OVERSAMPLING)


def describe(scene: Scene, rng: np.random.Generator) -> str:
    """A caption that is true of the scene: both objects, and perhaps where they are or on what background."""
    first, second = (scene.items[k] for k in rng.permutation(2))
    a, b = with_article(first.name), with_article(second.name)
    relations = _relations(first.cell, second.cell)
    relation = relations[rng.integers(len(relations))]
    captions = (
        f"{a} {relation} {b}",
        f"{a} and {b}",
        f"there is {a} {relation} {b}",
        f"{a} in the {CORNERS[first.cell]} corner and {b}",
        f"{a} next to {b} on a {scene.background} background",
        f"an image of {a} with {b}",
        f"{a} {relation} {b} on a {scene.background} background",
    )
    return captions[rng.integers(len(captions))]


def with_article(name: str) -> str:
    """The name of an object, "a red circle" or "an orange star"."""
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _relations(first: int, second: int) -> list[str]:
    (row_1, column_1), (row_2, column_2) = divmod(first, 2), divmod(second, 2)
    truths = {
        "to the left of": column_1 < column_2,
        "to the right of": column_1 > column_2,
        "above": row_1 < row_2,
        "below": row_1 > row_2,
    }
    return [relation for relation, true in truths.items() if true]


def captioned_scene(seed: int, index: int) -> tuple[Scene, str]:
    """Scene and caption number `index` (from 0) of the dataset with that seed, however long the dataset is.

    Each lap of `len(HELD_OUT_PAIRS)` images shows every held-out pair once: two images of one question then
    seldom show the same objects, while many differ from the target in a single attribute.
    """
    lap, place = divmod(index, len(HELD_OUT_PAIRS))
    pair = HELD_OUT_PAIRS[np.random.default_rng([seed, lap]).permutation(len(HELD_OUT_PAIRS))[place]]
    rng = np.random.default_rng([seed, lap, place])
    scene = draw_scene(pair, rng)
    return scene, describe(scene, rng)


class DatasetError(Refusal):
    """A dataset that cannot be written; the message says what was asked and what is allowed."""


def write_dataset(folder: Path, images: int, seed: int, size: int = SIZE) -> None:
    """Render a dataset of held-out scenes as a COCO-format folder.

    The folder gets `images/*.png`, `captions.json` and `instances.json`, which pycocotools reads. It appears
    whole or not at all; an older dataset of rendered scenes in its place is replaced. Image k is the same in
    every dataset of that seed, however many images the dataset has.

    Args:
        folder: where to write; new, empty or written by this function before.
        images: number of images, at least 1.
        seed: non-negative; everything random follows from it.
        size: side of the images in pixels.

    Raises:
        DatasetError: a number out of range, or a folder that holds other files.
    """
    for name, value, least in (("images", images, 1), ("seed", seed, 0), ("size", size, 28)):
        if value < least:
            raise DatasetError(f"{name} = {value}: must be at least {least}")
    _refuse_foreign(folder)
    with whole.folder(folder) as partial:
        _write_files(partial, images, seed, size)


def _refuse_foreign(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        ours = json.loads((folder / "captions.json").read_text())["info"]["description"] == _DESCRIPTION
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise DatasetError(f"{folder}: exists and is not a dataset of rendered scenes; name a new or empty folder")


def _write_files(folder: Path, images: int, seed: int, size: int) -> None:
    (folder / "images").mkdir()
    scenes, captions = zip(*(captioned_scene(seed, index) for index in range(images)), strict=True)
    names = [f"scene_{index:06d}.png" for index in range(1, images + 1)]
    for scene, name in zip(scenes, names, strict=True):
        render(scene, size).save(folder / "images" / name)
    header = _header(names, seed, size)
    caption_rows = [
        {"id": image_id, "image_id": image_id, "caption": caption} for image_id, caption in enumerate(captions, start=1)
    ]
    object_rows = [
        _annotation(2 * image_id - 1 + place, image_id, item, size)
        for image_id, scene in enumerate(scenes, start=1)
        for place, item in enumerate(scene.items)
    ]
    categories = [
        {"id": category, "name": f"{colour} {shape}", "supercategory": shape}
        for category, (colour, shape) in enumerate(CATEGORIES, start=1)
    ]
    _write_json(folder / "captions.json", {**header, "annotations": caption_rows})
    _write_json(folder / "instances.json", {**header, "annotations": object_rows, "categories": categories})


def _header(names: list[str], seed: int, size: int) -> dict[str, Any]:
    """What both annotation files begin with."""
    return {
        "info": {"description": _DESCRIPTION, "version": "1.0", "seed": seed},
        "licenses": [{"id": 1, "name": "CC0 1.0", "url": "https://creativecommons.org/publicdomain/zero/1.0/"}],
        "images": [
            {"id": image_id, "file_name": name, "width": size, "height": size, "license": 1}
            for image_id, name in enumerate(names, start=1)
        ],
    }


def _annotation(annotation_id: int, image_id: int, item: Item, size: int) -> dict[str, Any]:
    """One object in COCO's terms: box as left, top, width, height and area, in pixels."""
    corners = item.outline(size)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    x, y = corners.T
    area = abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": item.category,
        "bbox": [round(float(value), 2) for value in (left, top, right - left, bottom - top)],
        "area": round(area, 2),
        "segmentation": [[round(float(value), 2) for value in corners.ravel()]],
        "iscrowd": 0,
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")
