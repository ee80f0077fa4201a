"""Captions of COCO's form become pairs: one caption of an image asks for another."""

import importlib
import json
import sys
from pathlib import Path

import pytest
from photographs import SHARED

from lad import cli, contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.formats.caption_pairs import read_pairs

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "resources" / "coco-captions" / "captions.json"
COCO = SHARED / "data" / "coco" / "captions_val2017.json"


@pytest.fixture
def captions(tmp_path):
    """Write a captions file; image ids with their captions."""

    def write(texts: dict[int, list[str]], listed: list[int] | None = None) -> Path:
        images = [{"id": i, "flickr_url": f"https://example.org/{i}"} for i in (listed or texts)]
        annotations = [{"image_id": i, "caption": text} for i, own in texts.items() for text in own]
        for number, entry in enumerate(annotations):
            entry["id"] = number
        path = tmp_path / "captions.json"
        path.write_text(json.dumps({"images": images, "annotations": annotations}))
        return path

    return write


def test_the_first_caption_asks_for_the_next_one_and_no_image_is_needed(captions):
    read = read_pairs(captions({7: ["a  dog\n", "The dog sits.", "Third"], 2: ["A cat", "Cats"]}))
    assert parquet.conform(read.table, contracts.IMAGES, "images").to_pylist() == [
        {"image_id": i, "file_name": "", "width": 0, "height": 0, "caption": query, "category_ids": []}
        | {"license": None, "attribution": f"https://example.org/{i}", "text": text}
        for i, query, text in ((2, "A cat", "Cats"), (7, "a dog", "The dog sits."))
    ]
    assert read.refused == []


def test_the_text_differs_from_the_query_by_more_than_case_and_punctuation(captions):
    read = read_pairs(captions({1: ["A dog.", "a DOG", "Dogs"], 2: ["x", "y"], 3: ["Same", "same!"], 4: ["...", "z"]}))
    assert read.table["text"].to_pylist() == ["Dogs", "y"]
    assert [(left["image_id"], left["reason"]) for left in read.refused] == [
        (3, "has no two captions of different words"),
        (4, "has no two captions of different words"),
    ]


@pytest.mark.parametrize(
    "shared", [["A dog", "new"], ["new", "a dog."], ["THE DOG SITS", "new"], ["new", "the dog sits"]]
)
def test_no_words_occur_twice_be_it_as_query_or_as_text(captions, shared):
    read = read_pairs(captions({0: ["A dog", "The dog sits."], 5: shared, 6: ["A cat", "Cats"]}))
    assert read.table["image_id"].to_pylist() == [0, 6]
    assert read.refused == [{"image_id": 5, "reason": "shares a caption with image 0"}]
    assert "2 of 3 images; left out: 1" in read.summary


def test_captions_of_images_that_are_not_listed_and_too_few_pairs_are_refused(captions):
    with pytest.raises(BenchmarkError, match="captions for image ids that its list of images lacks: 2"):
        read_pairs(captions({1: ["a", "b"], 2: ["c", "d"]}, listed=[1]))
    with pytest.raises(BenchmarkError, match="1 of 2 images have two captions that no other has"):
        read_pairs(captions({1: ["a", "b"], 2: ["b", "a"]}))


def test_the_command_reads_them_without_a_folder_of_images(captions, tmp_path, monkeypatch, capsys):
    def lad(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["lad", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0

    file, out = captions({1: ["a", "b"], 2: ["c", "d"], 3: ["d", "e"]}), tmp_path / "images.parquet"
    given = ("images", "--format", "caption_pairs", "--captions", file, "--out", out)
    assert lad(*given) == 0
    assert "pairs of captions: 2 of 3 images; left out: 1; all reasons: " in capsys.readouterr().out
    assert json.loads(out.with_name("refused.json").read_text())[0]["image_id"] == 3
    assert lad(*given, "--image-folder", tmp_path) == 1
    assert "format caption_pairs: unknown key 'images'" in capsys.readouterr().err


def test_the_shipped_captions_suffice_for_the_largest_questions_and_none_is_left_out():
    read = read_pairs(SHIPPED)
    assert (len(read.table), read.refused) == (2000, [])
    assert all(url.startswith("http") for url in read.table["attribution"].to_pylist())
    assert SHIPPED.stat().st_size < 700_000


@pytest.mark.skipif(not COCO.is_file(), reason="COCO's captions are not here")
def test_the_shipped_captions_are_made_again_from_cocos():
    subset = importlib.import_module("demo.coco_captions").subset
    shipped = json.loads(SHIPPED.read_text(encoding="utf-8"))
    assert subset(COCO, 2000) == {name: shipped[name] for name in ("images", "annotations")}
