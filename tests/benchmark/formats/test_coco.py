"""COCO-format folders, small ones and the real annotation files, become one row per captioned image."""

import csv
import json

import pyarrow.parquet as pq
import pytest
from PIL import Image

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.formats.coco import read_images
from lad.pictures import undecodable


def test_images_come_by_ascending_id_with_all_that_the_annotations_say(write_coco):
    captions, folder = write_coco({9: ["nine"], 4: [" four\n"]}, categories={9: [3, 1, 3], 4: []})
    images = read_images(captions, folder, captions.with_name("instances.json"))
    assert parquet.conform(images, contracts.IMAGES, "images").to_pylist() == [
        *(
            {"image_id": i, "file_name": f"{i}.png", "width": 20, "height": 10}
            | {"caption": caption, "category_ids": categories, "license": "CC BY 2.0", "attribution": None}
            for i, caption, categories in ((4, "four", []), (9, "nine", [1, 3]))
        )
    ]


CHOSEN = [("first", "one"), ("last", "two"), ("longest", "three"), ("all", "one three seven two")]


@pytest.mark.parametrize(("policy", "expected"), CHOSEN)
def test_the_caption_policy_chooses_among_the_captions_of_an_image(write_coco, policy, expected):
    captions, folder = write_coco({1: ["one", "three", "seven", "two"]})
    assert read_images(captions, folder, caption_policy=policy)["caption"].to_pylist() == [expected]


def test_images_without_a_caption_are_left_out(write_coco):
    captions, folder = write_coco({1: ["one"], 3: ["  ", "three"], 4: [" "]}, listed=[1, 2, 3, 4])
    images = read_images(captions, folder)
    assert images.select(["image_id", "caption"]).to_pylist() == [
        {"image_id": 1, "caption": "one"},
        {"image_id": 3, "caption": "three"},
    ]


def test_without_instances_no_categories_are_known(write_coco):
    captions, folder = write_coco({1: ["one"]}, categories={1: [5]})
    assert read_images(captions, folder)["category_ids"].to_pylist() == [[]]


def test_a_licence_without_a_name_is_given_by_its_url_and_an_undeclared_one_is_unknown(write_coco):
    entries = [
        {"id": i, "file_name": f"{i}.png", "width": 20, "height": 10} | licence
        for i, licence in ((1, {"license": 8}), (2, {"license": 99}), (3, {}))
    ]
    captions, folder = write_coco({1: ["one"], 2: ["two"], 3: ["three"]}, images=entries)
    assert read_images(captions, folder)["license"].to_pylist() == ["only-a-url", None, None]


def test_the_photograph_at_flickr_or_else_where_it_is_published_is_kept_as_attribution(write_coco):
    entries = [
        {"id": i, "file_name": f"{i}.png", "width": 20, "height": 10} | addresses
        for i, addresses in ((1, {"flickr_url": "f", "coco_url": "c"}), (2, {"coco_url": "c"}), (3, {}))
    ]
    captions, folder = write_coco({1: ["one"], 2: ["two"], 3: ["three"]}, images=entries)
    assert read_images(captions, folder)["attribution"].to_pylist() == ["f", "c", None]


def test_every_real_photograph_has_its_licence_and_its_attribution(real_coco):
    images = read_images(real_coco / "captions_val2014_subset.json", real_coco / "images")
    assert set(images["license"].to_pylist()) == {"Attribution License", "Attribution-ShareAlike License"}
    with (real_coco / "attribution.csv").open() as file:
        flickr = {row["file_name"]: row["flickr_url"] for row in csv.DictReader(file)}
    assert dict(zip(images["file_name"].to_pylist(), images["attribution"].to_pylist(), strict=True)) == flickr


def test_reading_prints_nothing(write_coco, capsys):
    read_images(*write_coco({1: ["one"]}))
    assert capsys.readouterr() == ("", "")


def test_rendered_scenes_are_read_by_the_same_code(scene_images):
    parquet.conform(scene_images, contracts.IMAGES, "images")
    assert len(scene_images) == 48
    assert all(len(categories) == 2 for categories in scene_images["category_ids"].to_pylist())


def test_the_real_photographs_are_read_with_their_first_caption(real_coco):
    captions = real_coco / "captions_val2014_subset.json"
    images = read_images(captions, real_coco / "images", real_coco / "instances_val2014_subset.json")
    parquet.conform(images, contracts.IMAGES, "images")
    first = {}
    for annotation in json.loads(captions.read_text())["annotations"]:
        first.setdefault(annotation["image_id"], annotation["caption"].strip())
    assert len(images) == 82
    assert dict(zip(images["image_id"].to_pylist(), images["caption"].to_pylist(), strict=True)) == first
    assert undecodable(images, real_coco / "images") == []


def test_the_sizes_in_the_table_are_those_of_the_real_photographs(real_coco):
    images = read_images(real_coco / "captions_val2014_subset.json", real_coco / "images")
    for row in images.to_pylist():
        assert Image.open(real_coco / "images" / row["file_name"]).size == (row["width"], row["height"])


def test_the_categories_of_the_real_photographs_are_those_of_the_whole_val2014(real_coco):
    images = read_images(
        real_coco / "captions_val2014_subset.json",
        real_coco / "images",
        real_coco / "instances_val2014_subset.json",
    )
    whole = pq.read_table(real_coco / "val2014_category_ids.parquet")
    known = dict(zip(whole["image_id"].to_pylist(), whole["category_ids"].to_pylist(), strict=True))
    for row in images.to_pylist():
        assert row["category_ids"] == known[row["image_id"]]


def test_all_five_thousand_captions_of_val2017_are_read(real_coco, tmp_path):
    captions = real_coco / "captions_val2017.json"
    for entry in json.loads(captions.read_text())["images"]:
        (tmp_path / entry["file_name"]).touch()
    images = read_images(captions, tmp_path)
    assert len(parquet.conform(images, contracts.IMAGES, "images")) == 5000


def test_captions_without_their_image_files_name_the_files_and_the_count(real_coco):
    captions = real_coco / "captions_val2017.json"
    with pytest.raises(BenchmarkError) as error:
        read_images(captions, real_coco / "images")
    assert "000000000139.jpg, 000000000285.jpg, 000000000632.jpg and 4997 more, 5000 in all" in str(error.value)
    assert str(captions) in str(error.value)
    assert "\n" not in str(error.value)


def test_only_images_with_a_caption_need_their_file(write_coco):
    captions, folder = write_coco({1: ["one"]}, listed=[1, 2])
    (folder / "2.png").unlink()
    assert read_images(captions, folder)["image_id"].to_pylist() == [1]


def _malformed(write_coco):
    path, folder = write_coco({1: ["one"]})
    path.write_text('{"images": [')
    return path, folder


def _absent(write_coco):
    path, folder = write_coco({1: ["one"]})
    return path.with_name("nowhere.json"), folder


def _instances_as_captions(write_coco):
    path, folder = write_coco({1: ["one"]}, categories={1: [5]})
    return path.with_name("instances.json"), folder


def _list_instead_of_object(write_coco):
    path, folder = write_coco({1: ["one"]})
    path.write_text("[]")
    return path, folder


def _same_file_twice(write_coco):
    entry = {"file_name": "1.png", "width": 20, "height": 10}
    return write_coco({1: ["one"], 2: ["two"]}, images=[entry | {"id": 1}, entry | {"id": 2}])


def _same_id_twice(write_coco):
    entry = {"id": 1, "width": 20, "height": 10}
    return write_coco({1: ["one"]}, images=[entry | {"file_name": "1.png"}, entry | {"file_name": "2.png"}])


def _no_width(write_coco):
    return write_coco({1: ["one"]}, images=[{"id": 1, "file_name": "1.png", "height": 10}])


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        (_malformed, r"captions\.json: not valid JSON \(.*line 1"),
        (_absent, r"nowhere\.json: cannot be read \(No such file or directory\)"),
        (_instances_as_captions, r"instances\.json: the entry with id 0 has no caption$"),
        (_list_instead_of_object, r"captions\.json: not a COCO annotation file$"),
        (
            lambda write: write({1: ["one"]}, images=None),
            r"not a COCO annotation file \(it is of another form at 'images'",
        ),
        (
            lambda write: write({1: ["one"]}, annotations=[{"id": 1}]),
            r"entry 1 of annotations \(id 1\) has no image_id$",
        ),
        (lambda write: write({1: [" "]}), r"captions\.json: no image has a caption"),
        (lambda write: write({1: ["one"], 5: ["five"]}, listed=[1]), r"ids that its list of images lacks: 5$"),
        (_same_file_twice, r"captions\.json: files listed for more than one image: 1\.png$"),
        (_same_id_twice, r"captions\.json: image ids listed more than once: 1$"),
        (_no_width, r"captions\.json: the entry with id 1 has no width$"),
    ],
)
def test_a_bad_caption_file_is_refused_in_one_line_that_names_it(write_coco, folder, message):
    captions, image_folder = folder(write_coco)
    with pytest.raises(BenchmarkError, match=message) as error:
        read_images(captions, image_folder)
    assert "\n" not in str(error.value)


WRONG = {
    "licenses": ["all rights reserved", 3, {"id": 1}],
    "licenses.name": [7, ["a"]],
    "licenses.id": [[1], True],
    "images": [{}, "1.png"],
    "images.id": [True, "one", 1.5, 2**63, None],
    "images.file_name": [7, None, "cut \ud800 in half"],
    "images.width": ["20", 20.5, -1, 2**31],
    "images.license": [[8], {"id": 8}, True],
    "images.flickr_url": [12, ["f"]],
    "images.coco_url": [False],
    "annotations": [None, 4],
    "annotations.id": [[1], None],
    "annotations.image_id": ["1", True, -(2**63) - 1],
    "annotations.caption": [None, 5, ["one"], "cut \ud800 in half"],
    "annotations.category_id": [2**40, "5", 1.0, True],
}


@pytest.mark.parametrize(("place", "value"), [(place, value) for place, values in WRONG.items() for value in values])
def test_a_value_of_a_wrong_type_is_refused_in_one_line_with_its_entry(write_coco, place, value):
    captions, folder = write_coco({1: ["one"], 2: ["two"]}, categories={1: [5], 2: [6]})
    path = captions.with_name("instances.json") if "category" in place else captions
    content = json.loads(path.read_text())
    section, _, key = place.partition(".")
    if key:
        content[section][-1][key] = value
    else:
        content[section] = value
    path.write_text(json.dumps(content))
    said = (
        rf"entry {len(content[section])} of {section}( \(id .*\))? has {key} .*, expected is "
        if key
        else rf"'{section}'"
    )
    with pytest.raises(BenchmarkError, match=rf"{path.name}: .*{said}") as error:
        read_images(captions, folder, captions.with_name("instances.json"))
    assert "\n" not in str(error.value)
    assert str(error.value).isascii(), "a terminal may be unable to print what was found"


@pytest.mark.parametrize("entry", [None, "1.png", 3, []])
def test_an_entry_that_is_none_is_refused_with_its_number(write_coco, entry):
    captions, folder = write_coco({1: ["one"]})
    content = json.loads(captions.read_text())
    content["images"].append(entry)
    captions.write_text(json.dumps(content))
    with pytest.raises(BenchmarkError, match=r"captions\.json: entry 2 of images is .*, expected are keys with values"):
        read_images(captions, folder)


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5000, '{"images": [], "annotations": \x00}', "\ufeff{}"])
def test_what_json_cannot_read_is_refused(write_coco, text):
    captions, folder = write_coco({1: ["one"]})
    captions.write_text(text)
    with pytest.raises(BenchmarkError, match=r"captions\.json: not valid JSON"):
        read_images(captions, folder)


@pytest.mark.parametrize("other", ["./1.png", "../images/1.png", "more/../1.png"])
def test_two_names_of_one_file_are_the_same_file(write_coco, other):
    entry = {"width": 20, "height": 10}
    entries = [entry | {"id": 1, "file_name": "1.png"}, entry | {"id": 2, "file_name": other}]
    captions, folder = write_coco({1: ["one"], 2: ["two"]}, images=entries)
    assert folder.name == "images"
    (folder / "more").mkdir()
    with pytest.raises(BenchmarkError, match=r"files listed for more than one image: 1\.png, .*1\.png$"):
        read_images(captions, folder)


def test_instances_of_another_dataset_are_refused(write_coco, scene_folder):
    captions, folder = write_coco({1000: ["one"]}, listed=[])
    (folder / "1000.png").touch()
    path = captions.with_name("captions.json")
    entry = {"id": 1000, "file_name": "1000.png", "width": 20, "height": 10}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"images": [entry]}))
    with pytest.raises(BenchmarkError, match="lists none of the captioned images"):
        read_images(path, folder, scene_folder / "instances.json")


def test_an_unknown_caption_policy_lists_those_there_are(write_coco):
    with pytest.raises(BenchmarkError, match="unknown caption policy 'shortest'; known: first, last, longest"):
        read_images(*write_coco({1: ["one"]}), caption_policy="shortest")
