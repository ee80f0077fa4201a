"""Read pairs of captions from a file of COCO's form: one caption of an image asks for another one of the same image.

No image is needed. The query is an image's first caption, the candidate text its next one of other words; an image with
one caption only is left out. Not in the paper, whose candidates are images.

Two annotators may write the same sentence about two images, and then a question had two right answers. So no words
occur twice in a dataset, be it as query or as text: of images that share a caption the one of the smallest id stays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from lad.benchmark import BenchmarkError
from lad.benchmark.captions import images_table
from lad.benchmark.formats.base import CaptionedTexts, FromFiles, ImagesRead
from lad.benchmark.formats.coco import captions_by_image, load_annotations, refuse_unlisted
from lad.section import FilePath


class CaptionPairs(CaptionedTexts, FromFiles):
    paths: ClassVar[tuple[str, ...]] = ("captions",)
    code: ClassVar[tuple[str, ...]] = ("benchmark/captions.py", "benchmark/formats/coco.py")

    format: Literal["caption_pairs"] = Field(
        description="Texts: captions of COCO's form, of which one asks for another of the same image. No image is read."
    )
    captions: FilePath = Field(description="COCO's captions file.")

    def read_images(self, settings: Sequence[str]) -> ImagesRead:
        return read_pairs(Path(self.captions))


FORMAT = CaptionPairs


class _Pair(NamedTuple):
    query: str
    text: str


def read_pairs(path: Path) -> ImagesRead:
    """A query and a candidate text of each image that has two captions.

    Args:
        path: COCO caption annotations (`images`, `annotations`).

    Returns:
        An `images` table with texts, by ascending image id; and which images were left out, each with the reason.
        Captions are on one line, without white space at either end. Those without a letter or digit count for nothing.
        The licences that such a file declares are the photographs': the column is empty.

    Raises:
        BenchmarkError: a file that cannot be read or is not of COCO's form, captions of images that it does not list,
            or fewer than two images that are left.
    """
    annotated = load_annotations(path)
    captions = captions_by_image(annotated, path)
    refuse_unlisted(captions, annotated, path)
    rows: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    owner: dict[str, int] = {}
    for image_id in sorted(captions):
        pair = _pair(captions[image_id])
        if pair is None:
            refused.append({"image_id": image_id, "reason": "has no two captions of different words"})
            continue
        if shared := [owner[words] for words in map(_words, pair) if words in owner]:
            refused.append({"image_id": image_id, "reason": f"shares a caption with image {shared[0]}"})
            continue
        owner |= dict.fromkeys(map(_words, pair), image_id)
        entry = annotated.imgs[image_id]
        rows.append(
            {
                "image_id": image_id,
                "file_name": "",
                "width": 0,
                "height": 0,
                "caption": pair.query,
                "category_ids": [],
                "license": None,
                "attribution": entry.get("flickr_url") or entry.get("coco_url"),
                "text": pair.text,
            }
        )
    if len(rows) < 2:
        raise BenchmarkError(
            f"{path}: {len(rows)} of {len(captions)} images have two captions that no other has; a question needs two"
        )
    summary = f"pairs of captions: {len(rows)} of {len(captions)} images; left out: {len(refused)}"
    return ImagesRead(images_table(rows), summary, refused)


def _pair(captions: Sequence[str]) -> _Pair | None:
    """The first caption, and the next one of other words."""
    lines = [line for line in (" ".join(caption.split()) for caption in captions) if _words(line)]
    others = [line for line in lines if _words(line) != _words(lines[0])]
    return _Pair(lines[0], others[0]) if others else None


def _words(text: str) -> str:
    """What two captions are compared by: case, punctuation and spaces make no other sentence."""
    return " ".join(re.findall(r"\w+", text.casefold()))
