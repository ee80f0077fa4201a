"""Real photographs for the tests: 82 of COCO val2014, which lie beside the repository and never within it."""

import os
from pathlib import Path

from PIL import Image

SHARED = Path(os.environ.get("LAD_SHARED", Path(__file__).parents[2] / "shared"))
COCO = SHARED / "data" / "coco"
ORIENTATION = 0x0112

TURNED_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""By EXIF orientation: how a camera held that way stores what is upright."""


def write_kinds(photograph: Image.Image, folder: Path) -> dict[str, tuple[int, int]]:
    """Write one photograph as the kinds of files that datasets hold.

    Returns:
        Files and the (width, height) that a viewer shows.
    """
    width, height = photograph.size
    kinds = {
        "plain.jpg": photograph,
        "plain.png": photograph,
        "grey.jpg": photograph.convert("L"),
        "cmyk.jpg": photograph.convert("CMYK"),
        "palette.png": photograph.quantize(64),
        "wide.jpg": photograph.crop((0, height // 2, width, height // 2 + 8)),
        "tall.jpg": photograph.crop((width // 2, 0, width // 2 + 8, height)),
    }
    for name, picture in kinds.items():
        picture.save(folder / name)
    sizes = {name: picture.size for name, picture in kinds.items()}
    transparent = photograph.copy()
    transparent.putalpha(Image.linear_gradient("L").resize(photograph.size))
    transparent.save(folder / "transparent.png")
    sizes["transparent.png"] = photograph.size
    for orientation, way in TURNED_BACK.items():
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        name = f"orientation{orientation}.png"
        photograph.transpose(way).save(folder / name, exif=exif)
        sizes[name] = photograph.size
    return sizes
