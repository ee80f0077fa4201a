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
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, NotRequired

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

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
    from pydantic_core import ErrorDetails


def _encodable(text: str) -> str:
    """JSON can hold half a character (a lone surrogate), which no file of text can."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("string_unicode", "half a character") from None
    return text


Text = Annotated[str, AfterValidator(_encodable)]
Int64 = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
Int32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
Pixels = Annotated[int, Field(ge=0, le=2**31 - 1)]


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
    file_names = [_needed(entry, "file_name", captions) for entry in entries]
    _refuse_repeated_files(file_names, image_folder, captions)
    refuse_missing_files(file_names, image_folder, captions)
    return images_table(
        {
            "image_id": image_id,
            "file_name": file_name,
            "width": _needed(entry, "width", captions),
            "height": _needed(entry, "height", captions),
            "caption": CAPTION_POLICIES[caption_policy](texts[image_id]),
            "category_ids": categories.get(image_id, []),
            "license": licenses.get(entry.get("license")),
            # The photograph at Flickr, by which its author is found; else wherever it is published.
            "attribution": entry.get("flickr_url") or entry.get("coco_url"),
        }
        for image_id, file_name, entry in zip(image_ids, file_names, entries, strict=True)
    )


class _License(TypedDict):
    id: NotRequired[int | str | None]
    name: NotRequired[Text | None]
    url: NotRequired[Text | None]


class _Image(TypedDict):
    id: Int64
    file_name: NotRequired[Text]
    width: NotRequired[Pixels]
    height: NotRequired[Pixels]
    license: NotRequired[int | str | None]
    flickr_url: NotRequired[Text | None]
    coco_url: NotRequired[Text | None]


class _Annotation(TypedDict):
    id: int | str
    image_id: Int64
    caption: NotRequired[Text]
    category_id: NotRequired[Int32]


class _Annotations(TypedDict):
    """What is read of a file, of captions or instances; other keys hold what they please."""

    images: list[_Image]
    annotations: list[_Annotation]
    licenses: NotRequired[list[_License] | None]


_FORM: Final = TypeAdapter(_Annotations)

_EXPECTED: Final = {
    "int_type": "a whole number",
    "string_type": "a text",
    "string_unicode": "a text of whole characters",
    "list_type": "a list",
    "dict_type": "keys with values",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "at most {le}",
}


def load_annotations(path: Path) -> COCO:
    """An annotation file of COCO's form, all of which is checked that is read of it.

    Raises:
        BenchmarkError: it cannot be read, is not JSON or not COCO's format, or lists an image twice.
    """
    # Here and not above: only who reads COCO needs pycocotools.
    from pycocotools.coco import COCO

    try:
        dataset = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror})") from None
    # Besides what is no JSON: bytes that are no UTF-8, numbers of 5,000 digits, lists within lists without end.
    except (ValueError, RecursionError) as error:
        raise BenchmarkError(f"{path}: not valid JSON ({error})") from None
    try:
        _FORM.validate_python(dataset, strict=True)
    except ValidationError as error:
        raise BenchmarkError(f"{path}: {_fault(dataset, error.errors(include_url=False))}") from None
    coco = COCO()
    coco.dataset = dataset
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    if len(coco.imgs) < len(dataset["images"]):
        twice = repeated([entry["id"] for entry in dataset["images"]])
        raise BenchmarkError(f"{path}: image ids listed more than once: {few(twice)}")
    return coco


def _fault(dataset: Any, errors: Sequence[ErrorDetails]) -> str:
    """The first of the errors in words: the entry, its value and what is expected there."""
    first = errors[0]
    section, *place = first["loc"] or ("",)
    if len(place) < 2 and not (place and first["type"] == "dict_type"):
        found = "has no list" if first["type"] == "missing" else "is of another form at"
        return f"not a COCO annotation file (it {found} '{section}')" if section else "not a COCO annotation file"
    entry = dataset[section][place[0]]
    named = f" (id {_shown(entry['id'])})" if isinstance(entry, dict) and "id" in entry else ""
    where = f"entry {int(place[0]) + 1} of {section}{named}"
    if len(place) < 2:
        return f"{where} is {_shown(entry)}, expected are keys with values"
    key = place[1]
    if first["type"] == "missing":
        return f"{where} has no {key}"
    # A value that may be of several types fails at each.
    alternatives = [error for error in errors if error["loc"][:3] == (section, *place[:2])]
    expected = " or ".join(_EXPECTED[error["type"]].format(**error.get("ctx", {})) for error in alternatives)
    return f"{where} has {key} {_shown(entry[key])}, expected is {expected}"


def _shown(value: object) -> str:
    """A value in an error, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def captions_by_image(annotated: COCO, path: Path) -> dict[int, list[str]]:
    """The non-empty captions of each image that has any, in the order of the file.

    Raises:
        BenchmarkError: an annotation without caption, or no caption at all.
    """
    texts: dict[int, list[str]] = {}
    for annotation in annotated.dataset["annotations"]:
        caption = _needed(annotation, "caption", path).strip()
        if caption:
            texts.setdefault(annotation["image_id"], []).append(caption)
    if not texts:
        raise BenchmarkError(f"{path}: no image has a caption")
    return texts


def _categories_by_image(path: Path, captioned: dict[int, list[str]]) -> dict[int, list[int]]:
    objects = load_annotations(path)
    if not captioned.keys() & objects.imgs.keys():
        raise BenchmarkError(f"{path}: lists none of the captioned images; is it of another dataset?")
    return {
        image_id: sorted({_needed(entry, "category_id", path) for entry in objects.imgToAnns.get(image_id, [])})
        for image_id in captioned
    }


def _needed(entry: dict[str, Any], key: str, path: Path) -> Any:
    if key not in entry:
        raise BenchmarkError(f"{path}: the entry with id {entry['id']} has no {key}")
    return entry[key]


def refuse_unlisted(captioned: dict[int, list[str]], annotated: COCO, path: Path) -> None:
    """`BenchmarkError` for captions of images that the file does not list."""
    unlisted = sorted(captioned.keys() - annotated.imgs.keys())
    if unlisted:
        raise BenchmarkError(f"{path}: captions for image ids that its list of images lacks: {few(unlisted)}")


def _refuse_repeated_files(file_names: list[str], image_folder: Path, path: Path) -> None:
    # The same picture under two ids could be its own distractor. "./x.png" is "x.png".
    places: dict[Path, list[str]] = {}
    for name in file_names:
        places.setdefault((image_folder / name).resolve(), []).append(name)
    if twice := [", ".join(dict.fromkeys(names)) for names in places.values() if len(names) > 1]:
        raise BenchmarkError(f"{path}: files listed for more than one image: {few(twice, '; ')}")
