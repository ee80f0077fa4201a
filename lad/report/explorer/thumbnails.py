"""Small pictures of the candidates, as large as a budget of bytes allows, of those that may be shown.

Pictures may be shown whose licence the images table names: the page names it beside them, with the way to the author.
Photographs without one (Flickr8k's are for research and teaching alone) are shown only where the user says so, on a
page that is not passed on.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Literal

from lad.pictures import read_picture

Pictures = Literal["licensed", "all", "none"]
"""Which pictures are shown: those with a licence, all, or none."""

SIDES: Final = (160, 128, 96, 64, 48)
"""Pixels of the longer side; the largest that fits the budget is taken."""
_SAMPLE: Final = 40
"""Pictures by which the sizes are estimated."""
_QUALITY: Final = 70
_AT_ONCE: Final = 64


@dataclass(frozen=True)
class Thumbnails:
    """The small pictures of one dataset.

    Attributes:
        webp: by image id, the file in base64.
        side: pixels of the longer side.
        withheld: how many pictures have no licence, and are not shown for that.
        beyond: how many did not fit the budget.
    """

    webp: Mapping[int, str] = field(default_factory=dict)
    side: int = 0
    withheld: int = 0
    beyond: int = 0


def make_thumbnails(images: Sequence[Mapping[str, Any]], folder: Path, pictures: Pictures, budget: int) -> Thumbnails:
    """Thumbnails of these rows of the images table, in their order until the budget is spent.

    Args:
        folder: of the picture files.
        budget: bytes, as they stand in the page.

    Raises:
        PictureError: a picture that is to be shown is missing or damaged.
    """
    allowed = [image for image in images if image["file_name"] and (pictures == "all" or image["license"])]
    withheld = sum(bool(image["file_name"]) for image in images) - len(allowed)
    if pictures == "none" or not allowed:
        return Thumbnails(withheld=withheld)
    paths = {image["image_id"]: folder / image["file_name"] for image in allowed}
    with ThreadPoolExecutor() as threads:
        side = _side(list(paths.values()), budget, threads)
        made: dict[int, str] = {}
        ids, spent = list(paths), 0
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            webps = threads.map(_thumbnail, [paths[image_id] for image_id in some], [side] * len(some))
            for image_id, webp in zip(some, webps, strict=True):
                spent += len(webp)
                if spent > budget:
                    return Thumbnails(made, side, withheld, len(ids) - len(made))
                made[image_id] = webp
    return Thumbnails(made, side, withheld)


def _side(paths: Sequence[Path], budget: int, threads: ThreadPoolExecutor) -> int:
    """The largest side with which all pictures are likely to fit, by some of them."""
    sample = paths[:: max(1, len(paths) // _SAMPLE)]
    for side in SIDES:
        mean = sum(map(len, threads.map(_thumbnail, sample, [side] * len(sample)))) / len(sample)
        if mean * len(paths) <= budget:
            return side
    return SIDES[-1]


def _thumbnail(path: Path, side: int) -> str:
    picture = read_picture(path)
    picture.thumbnail((side, side))
    file = BytesIO()
    picture.save(file, "webp", quality=_QUALITY, method=4)
    return b64encode(file.getvalue()).decode("ascii")
