"""Read Flickr8k: photographs and a text file with five captions of each, numbered from #0.

A line of `Flickr8k.token.txt` is `1000268201_693b08cb0e.jpg#0<TAB>A child in a pink dress ...`. The number that a
file's name begins with is the photograph's id at Flickr; it serves as image id, and it leads back to the
photographer. There are no object categories, and no licences are declared: the photographs remain their
photographers', the dataset's makers give them out for research.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from pydantic import Field

from lad.benchmark import BenchmarkError, CaptionPolicy
from lad.benchmark.captions import (
    CAPTION_POLICIES,
    few,
    images_table,
    refuse_missing_files,
    refuse_unknown_policy,
    repeated,
    size_of,
)
from lad.benchmark.formats.base import CaptionedImages, FromImageFiles, ImagesRead
from lad.section import FilePath

if TYPE_CHECKING:
    import pyarrow as pa

_LINE: Final = re.compile(r"(?P<file>(?P<id>\d+)_\w+\.jpg(?:\.\d+)?)#(?P<number>\d+)\t(?P<caption>.*)")

_WITHOUT_FILE: Final = "2258277193_586949ec62.jpg.1"
"""The published captions describe this file, the published photographs lack it."""


class Flickr8k(CaptionedImages, FromImageFiles):
    paths: ClassVar[tuple[str, ...]] = ("captions", "images")
    code: ClassVar[tuple[str, ...]] = ("benchmark/captions.py",)

    format: Literal["flickr8k"] = Field(description="Flickr8k's text file.")
    captions: FilePath = Field(description="`Flickr8k.token.txt`.")

    def read_images(self, settings: Sequence[str]) -> ImagesRead:
        return ImagesRead(read_images(Path(self.captions), Path(self.images), self.caption_policy))


FORMAT = Flickr8k


def read_images(captions: Path, image_folder: Path, caption_policy: CaptionPolicy = "first") -> pa.Table:
    """The captioned photographs of Flickr8k.

    Args:
        captions: `Flickr8k.token.txt`.
        image_folder: `Flicker8k_Dataset` (sic).
        caption_policy: which of the captions asks for a photograph, or all of them; "first" is number 0.

    Returns:
        An `images` table by ascending image id.

    Raises:
        BenchmarkError: a file that is missing or has other lines, a photograph that is missing or unreadable, two of
            one id, or an unknown caption policy.
    """
    refuse_unknown_policy(caption_policy)
    texts = _captions_by_file(captions)
    if not (image_folder / _WITHOUT_FILE).exists():
        texts.pop(_WITHOUT_FILE, None)
    ids = {name: int(name.partition("_")[0]) for name in texts}
    if twice := repeated(list(ids.values())):
        raise BenchmarkError(f"{captions}: photographs of the same id: {few(twice)}")
    refuse_missing_files(list(texts), image_folder, captions)
    sizes = {name: size_of(image_folder / name) for name in texts}
    return images_table(
        {
            "image_id": ids[name],
            "file_name": name,
            "width": sizes[name][0],
            "height": sizes[name][1],
            "caption": CAPTION_POLICIES[caption_policy](texts[name]),
            "category_ids": [],
            "license": None,
            "attribution": f"https://www.flickr.com/photo.gne?id={ids[name]}",
        }
        for name in sorted(texts, key=ids.__getitem__)
    )


def _captions_by_file(path: Path) -> dict[str, list[str]]:
    """The non-empty captions of each file, by number."""
    numbered: dict[str, dict[int, str]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise BenchmarkError(f"{path}: not a text file in UTF-8 ({error})") from None
    for row, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if (found := _LINE.fullmatch(line)) is None:
            raise BenchmarkError(f"{path}: line {row} is not '<photo>.jpg#<number><TAB><caption>': {line[:60]!r}")
        if caption := found["caption"].strip():
            numbered.setdefault(found["file"], {})[int(found["number"])] = caption
    if not numbered:
        raise BenchmarkError(f"{path}: no image has a caption")
    return {name: [own[number] for number in sorted(own)] for name, own in numbered.items()}
