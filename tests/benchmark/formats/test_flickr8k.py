"""Flickr8k's own format becomes one row per captioned photograph."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from lad import cli, contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.formats.flickr8k import read_images

CHILD, DOG = "1000268201_693b08cb0e.jpg", "997722733_0cb5439472.jpg"
ABSENT = "2258277193_586949ec62.jpg.1"


@pytest.fixture
def flickr8k(tmp_path):
    """Write captions, (file, number, caption) each, and the photographs; returns both paths."""

    def write(lines: list[tuple[str, int, str]]) -> tuple[Path, Path]:
        folder = tmp_path / "Flicker8k_Dataset"
        folder.mkdir()
        for name in {name for name, _, _ in lines if name.endswith(".jpg")}:
            Image.new("RGB", (50, 37)).save(folder / name)
        captions = tmp_path / "Flickr8k.token.txt"
        captions.write_text("".join(f"{name}#{number}\t{caption}\n" for name, number, caption in lines))
        return captions, folder

    return write


def test_photographs_come_by_ascending_id_with_their_caption_number_0(flickr8k):
    images = read_images(
        *flickr8k([(CHILD, 1, "A girl"), (CHILD, 0, " A child . "), (DOG, 0, "A dog"), (DOG, 1, "Dog")])
    )
    assert parquet.conform(images, contracts.IMAGES, "images").to_pylist() == [
        {"image_id": photo, "file_name": name, "width": 50, "height": 37, "caption": caption, "category_ids": []}
        | {"license": None, "attribution": f"https://www.flickr.com/photo.gne?id={photo}"}
        for photo, name, caption in ((997722733, DOG, "A dog"), (1000268201, CHILD, "A child ."))
    ]


@pytest.mark.parametrize(("policy", "expected"), [("last", "b c"), ("longest", "aaaa"), ("all", "aaaa b c")])
def test_the_caption_policy_goes_by_the_captions_numbers(flickr8k, policy, expected):
    images = read_images(*flickr8k([(DOG, 4, "b c"), (DOG, 0, "aaaa")]), caption_policy=policy)
    assert images["caption"].to_pylist() == [expected]


def test_the_one_file_that_the_published_photographs_lack_is_left_out(flickr8k):
    images = read_images(*flickr8k([(ABSENT, 0, "Mist"), (DOG, 0, "A dog")]))
    assert images["file_name"].to_pylist() == [DOG]


def test_any_other_missing_photograph_is_named(flickr8k):
    captions, folder = flickr8k([(CHILD, 0, "A child"), (DOG, 0, "A dog")])
    (folder / DOG).unlink()
    with pytest.raises(BenchmarkError, match=f"lacks images that .* has captions for: {DOG}"):
        read_images(captions, folder)


def test_a_photograph_that_cannot_be_read_is_named(flickr8k):
    captions, folder = flickr8k([(DOG, 0, "A dog")])
    (folder / DOG).write_bytes(b"no picture")
    with pytest.raises(BenchmarkError, match=f"{DOG}: cannot be decoded [(]not a picture"):
        read_images(captions, folder)


def test_two_files_of_one_photograph_are_refused(flickr8k):
    with pytest.raises(BenchmarkError, match="photographs of the same id: 997722733"):
        read_images(*flickr8k([(DOG, 0, "A dog"), ("997722733_other.jpg", 0, "The dog")]))


@pytest.mark.parametrize("line", ["no tab here", f"{DOG}\tno number", "dog.jpg#0\tno id"])
def test_a_line_of_another_form_is_named_with_its_number(flickr8k, line):
    captions, folder = flickr8k([(DOG, 0, "A dog")])
    captions.write_text(captions.read_text() + "\n" + line + "\n")
    with pytest.raises(BenchmarkError, match=r"token\.txt: line 3 is not '<photo>\.jpg#<number><TAB><caption>'"):
        read_images(captions, folder)


def test_a_missing_or_empty_file_of_captions_is_named(flickr8k, tmp_path):
    with pytest.raises(BenchmarkError, match=r"nowhere\.txt: cannot be read"):
        read_images(tmp_path / "nowhere.txt", tmp_path)
    with pytest.raises(BenchmarkError, match="no image has a caption"):
        read_images(*flickr8k([]))


def test_an_unknown_caption_policy_lists_those_there_are(flickr8k):
    with pytest.raises(BenchmarkError, match="unknown caption policy 'best'; known: first, last, longest, all"):
        read_images(*flickr8k([(DOG, 0, "A dog")]), caption_policy="best")


def test_the_command_line_reads_flickr8k_and_wants_no_categories_for_it(flickr8k, tmp_path, monkeypatch, capsys):
    captions, folder = flickr8k([(DOG, 0, "A dog")])

    def images(*more: str) -> int:
        files = ["--captions", str(captions), "--image-folder", str(folder), "--out", str(tmp_path / "images.parquet")]
        monkeypatch.setattr(sys, "argv", ["lad", "images", *files, "--format", "flickr8k", *more])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0

    assert images("--caption-policy", "all") == 0
    assert parquet.read(tmp_path / "images.parquet", contracts.IMAGES)["caption"].to_pylist() == ["A dog"]
    assert images("--instances", "instances.json") == 1
    assert "format flickr8k: unknown key 'instances'; known: " in capsys.readouterr().err
