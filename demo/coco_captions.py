"""Cuts `resources/coco-captions` out of COCO val2017's captions: 2,000 images with two captions each, and no picture.

    python -m demo.coco_captions captions_val2017.json resources/coco-captions/captions.json

Which images, a hash of their ids says. Of each the two captions stay that the format `caption_pairs` reads, as they
are in COCO's file, and the address that leads to the photograph and its author.
"""

import argparse
import json
from pathlib import Path
from typing import Any, Final

from lad.benchmark.formats.caption_pairs import read_pairs
from lad.seeded import shuffled

IMAGES: Final = 2000


def subset(file: Path, images: int) -> dict[str, list[dict[str, Any]]]:
    """The images and annotations of so many pairs of captions, each by ascending id.

    Raises:
        ValueError: the file is not of COCO's form, or has fewer pairs.
    """
    pairs = {row["image_id"]: (row["caption"], row["text"]) for row in read_pairs(file).table.to_pylist()}
    if len(pairs) < images:
        raise ValueError(f"{file}: has {len(pairs)} pairs of captions, {images} are wanted")
    wanted = {image_id: list(pairs[image_id]) for image_id in shuffled(pairs, "coco-captions")[:images]}
    given = json.loads(file.read_text(encoding="utf-8"))
    annotations = []
    for entry in given["annotations"]:
        left, caption = wanted.get(entry["image_id"], []), " ".join(entry["caption"].split())
        if caption in left:
            left.remove(caption)
            annotations.append({key: entry[key] for key in ("id", "image_id", "caption")})
    shown = [{key: entry[key] for key in ("id", "flickr_url")} for entry in given["images"] if entry["id"] in wanted]
    return {
        "images": sorted(shown, key=lambda entry: entry["id"]),
        # In the order of the file: the first caption of an image is the query.
        "annotations": annotations,
    }


def write(made: dict[str, list[dict[str, Any]]], info: dict[str, Any], out: Path) -> None:
    """Write a COCO file with a line for each entry, so that changes can be read."""
    lists = (
        f'"{name}": [\n' + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n]"
        for name, entries in made.items()
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("{" + ",\n".join([f'"info": {json.dumps(info)}', *lists]) + "}\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captions", type=Path, help="COCO's captions_val2017.json")
    parser.add_argument("out", type=Path, help="file to write")
    given = parser.parse_args()
    info = {
        "description": f"Captions of {IMAGES} images of COCO val2017, two each",
        "url": "https://cocodataset.org",
        "contributor": "COCO Consortium",
        "license": "CC BY 4.0 (the annotations; the photographs at flickr_url have licences of their own)",
    }
    write(subset(given.captions, IMAGES), info, given.out)
