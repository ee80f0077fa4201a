"""Read a COCO-format folder: COCO val2014 and the rendered demo scenes through the same code.

The paper uses one caption per image; in the authors' data that is the first of COCO's five, hence the default
policy. Image folders may hold more files than the annotation file lists, never fewer than it has captions
for.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from pydantic import Field

from lad.benchmark import BenchmarkError, CaptionPolicy
from lad.benchmark.captions import (
    CAPTION_POLICIES,
    few,
    images_table,
    refuse_missing_files,
    refuse_unknown_policy,
    repeated,
)
from lad.benchmark.formats.base import CaptionedImages, FromImageFiles, ImagesRead
from lad.section import FilePath

if TYPE_CHECKING:
    import pyarrow as pa
    from pycocotools.coco import COCO

T = TypeVar("T")


class Coco(CaptionedImages, FromImageFiles):
    paths: ClassVar[tuple[str, ...]] = ("captions", "instances", "images")
    code: ClassVar[tuple[str, ...]] = ("benchmark/captions.py",)

    format: Literal["coco"] = Field("coco", description="Annotation files of COCO's form.")
    captions: FilePath = Field(description="COCO's captions file.")
    instances: FilePath | None = Field(
        None,
        description="COCO's instances file. With it, images without a category are in no question; without it the"
        " category filter of hard negatives has nothing to go by.",
    )

    def read_images(self, settings: Sequence[str]) -> ImagesRead:
        instances = Path(self.instances) if self.instances else None
        return ImagesRead(read_images(Path(self.captions), Path(self.images), instances, self.caption_policy))


FORMAT = Coco


def read_images(
    captions: Path, image_folder: Path, instances: Path | None = None, caption_policy: CaptionPolicy = "first"
) -> pa.Table:
    """The captioned images of a COCO-format folder.

    Args:
        captions: COCO caption annotations (`images`, `annotations`, perhaps `licenses`).
        image_folder: where the files named in `captions` lie.
        instances: COCO object annotations of the same images, for their categories; without it none are
            known.
        caption_policy: first, last, longest or all.

    Returns:
        An `images` table by ascending image id. Images without a caption are left out. Captions lose white
        space at either end. Categories count crowd annotations as well.

    Raises:
        BenchmarkError: a file that is missing, is not JSON or not COCO's format; captions of images that are
            not listed or whose file is missing; two entries for one image; an unknown caption policy.
    """
    refuse_unknown_policy(caption_policy)
    annotated = load_annotations(captions)
    texts = captions_by_image(annotated, captions)
    refuse_unlisted(texts, annotated, captions)
    categories = _categories_by_image(instances, texts) if instances else {}
    declared = annotated.dataset.get("licenses") or []
    licenses = {entry.get("id"): entry.get("name") or entry.get("url") for entry in declared}
    image_ids = sorted(texts)
    entries = [annotated.imgs[image_id] for image_id in image_ids]
    file_names = [_field(entry, "file_name", str, captions) for entry in entries]
    _refuse_repeated_files(file_names, captions)
    refuse_missing_files(file_names, image_folder, captions)
    return images_table(
        {
            "image_id": image_id,
            "file_name": file_name,
            "width": _field(entry, "width", int, captions),
            "height": _field(entry, "height", int, captions),
            "caption": CAPTION_POLICIES[caption_policy](texts[image_id]),
            "category_ids": categories.get(image_id, []),
            "license": licenses.get(entry.get("license")),
            # The photograph at Flickr, by which its author is found; else wherever it is published.
            "attribution": entry.get("flickr_url") or entry.get("coco_url"),
        }
        for image_id, file_name, entry in zip(image_ids, file_names, entries, strict=True)
    )


def load_annotations(path: Path) -> COCO:
    """An annotation file of COCO's form.

    Raises:
        BenchmarkError: it cannot be read, is not JSON or not COCO's format, or lists an image twice.
    """
    # Here and not above: only who reads COCO needs pycocotools.
    from pycocotools.coco import COCO

    try:
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(path))
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror})") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path}: not valid JSON ({error})") from None
    except (AssertionError, AttributeError, KeyError, TypeError) as error:
        raise BenchmarkError(f"{path}: not a COCO annotation file ({type(error).__name__}: {error})") from None
    for section in ("images", "annotations"):
        if not isinstance(coco.dataset.get(section), list):
            raise BenchmarkError(f"{path}: not a COCO annotation file (it has no list '{section}')")
    if len(coco.imgs) < len(coco.dataset["images"]):
        twice = repeated([entry["id"] for entry in coco.dataset["images"]])
        raise BenchmarkError(f"{path}: image ids listed more than once: {few(twice)}")
    return coco


def captions_by_image(annotated: COCO, path: Path) -> dict[int, list[str]]:
    """The non-empty captions of each image that has any, in the order of the file.

    Raises:
        BenchmarkError: an annotation without caption or image id, or no caption at all.
    """
    texts: dict[int, list[str]] = {}
    for annotation in annotated.dataset["annotations"]:
        caption = _field(annotation, "caption", str, path).strip()
        if caption:
            texts.setdefault(_field(annotation, "image_id", int, path), []).append(caption)
    if not texts:
        raise BenchmarkError(f"{path}: no image has a caption")
    return texts


def _categories_by_image(path: Path, captioned: dict[int, list[str]]) -> dict[int, list[int]]:
    objects = load_annotations(path)
    if not captioned.keys() & objects.imgs.keys():
        raise BenchmarkError(f"{path}: lists none of the captioned images; is it of another dataset?")
    return {
        image_id: sorted({_field(entry, "category_id", int, path) for entry in objects.imgToAnns.get(image_id, [])})
        for image_id in captioned
    }


def _field(entry: dict[str, Any], key: str, kind: type[T], path: Path) -> T:
    value = entry.get(key)
    if not isinstance(value, kind):
        found = f"has {key} {value!r}" if key in entry else f"has no {key}"
        raise BenchmarkError(f"{path}: the entry with id {entry.get('id')} {found}, expected {kind.__name__}")
    return value


def refuse_unlisted(captioned: dict[int, list[str]], annotated: COCO, path: Path) -> None:
    """`BenchmarkError` for captions of images that the file does not list."""
    unlisted = sorted(captioned.keys() - annotated.imgs.keys())
    if unlisted:
        raise BenchmarkError(f"{path}: captions for image ids that its list of images lacks: {few(unlisted)}")


def _refuse_repeated_files(file_names: list[str], path: Path) -> None:
    # The same picture under two ids could be its own distractor.
    if twice := repeated(file_names):
        raise BenchmarkError(f"{path}: files listed for more than one image: {few(twice)}")
