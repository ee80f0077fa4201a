"""Makes `resources/coco-collection`, a collection of BEIR's form, out of COCO val2017's captions.

    python -m demo.coco_collection captions_val2017.json resources/coco-collection

The first caption of an image is a query, and its other captions are the documents that are relevant to it: which of all
captions describe the same picture? Most images have five. The images are half of those that `demo.coco_captions` takes.
"""

import argparse
import json
from pathlib import Path
from typing import Any, Final

from lad.benchmark.formats.caption_pairs import read_pairs
from lad.seeded import shuffled

IMAGES: Final = 1000


def collection(file: Path, images: int) -> dict[str, str]:
    """The text of each file of the collection, by its path.

    Queries have the id of their image, documents that of their annotation, both in ascending order.

    Raises:
        ValueError: the file is not of COCO's form, or has fewer images.
    """
    usable = [row["image_id"] for row in read_pairs(file).table.to_pylist()]
    if len(usable) < images:
        raise ValueError(f"{file}: has {len(usable)} images with two captions, {images} are wanted")
    # In the order of the file: the first caption of an image is the query, as in `caption_pairs`.
    captions: dict[int, list[dict[str, Any]]] = {id: [] for id in sorted(shuffled(usable, "coco-captions")[:images])}
    for entry in json.loads(file.read_text(encoding="utf-8"))["annotations"]:
        if entry["image_id"] in captions and entry["caption"].strip():
            captions[entry["image_id"]].append(entry)
    relevant = {id: entries[1:] for id, entries in captions.items()}
    documents = sorted((entry for entries in relevant.values() for entry in entries), key=lambda entry: entry["id"])
    judged = [f"{id}\t{entry['id']}\t1" for id, entries in relevant.items() for entry in entries]
    return {
        "corpus.jsonl": _lines({"_id": str(e["id"]), "title": "", "text": _text(e)} for e in documents),
        "queries.jsonl": _lines({"_id": str(id), "text": _text(entries[0])} for id, entries in captions.items()),
        "qrels/test.tsv": "\n".join(["query-id\tcorpus-id\tscore", *judged]) + "\n",
    }


def _text(entry: dict[str, Any]) -> str:
    return " ".join(entry["caption"].split())


def _lines(entries: Any) -> str:
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captions", type=Path, help="COCO's captions_val2017.json")
    parser.add_argument("out", type=Path, help="folder to write to")
    given = parser.parse_args()
    for name, text in collection(given.captions, IMAGES).items():
        (given.out / name).parent.mkdir(parents=True, exist_ok=True)
        (given.out / name).write_text(text, encoding="utf-8")
