"""Scenes follow from their seed, captions are true, and the written folder is a COCO dataset."""

import contextlib
import io
import re

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from lad.demo.scenes import (
    BACKGROUNDS,
    CATEGORIES,
    COLOURS,
    CORNERS,
    HELD_OUT_PAIRS,
    PAIRS,
    SHAPES,
    TRAINING_PAIRS,
    DatasetError,
    captioned_scene,
    describe,
    draw_scene,
    neighbours,
    render,
    write_dataset,
)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_coco(path):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    for name in ("first", "second"):
        write_dataset(tmp_path / name, images=5, seed=4)
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def test_another_seed_writes_other_images(tmp_path):
    for seed in (4, 5):
        write_dataset(tmp_path / str(seed), images=3, seed=seed)
    first, second = contents(tmp_path / "4"), contents(tmp_path / "5")
    assert all(first[path] != second[path] for path in first if path.suffix == ".png")


def test_an_image_does_not_depend_on_how_many_there_are(tmp_path):
    for images in (3, 300):
        write_dataset(tmp_path / str(images), images=images, seed=1, size=28)
    few, many = contents(tmp_path / "3"), contents(tmp_path / "300")
    assert all(few[path] == many[path] for path in few if path.suffix == ".png")
    captions = [read_coco(tmp_path / str(images) / "captions.json").anns for images in (3, 300)]
    assert all(captions[1][key] == caption for key, caption in captions[0].items())


def test_the_folder_reads_through_pycocotools(tmp_path):
    write_dataset(tmp_path / "scenes", images=30, seed=0)
    captions, instances = (read_coco(tmp_path / "scenes" / f"{kind}.json") for kind in ("captions", "instances"))
    assert sorted(captions.imgs) == sorted(instances.imgs) == list(range(1, 31))
    assert all(len(captions.getAnnIds(image_id)) == 1 for image_id in captions.imgs)
    assert len(instances.cats) == len(CATEGORIES) == 48
    assert captions.dataset["licenses"][0]["id"] == captions.imgs[1]["license"]
    for image_id, entry in instances.imgs.items():
        image = Image.open(tmp_path / "scenes" / "images" / entry["file_name"])
        assert image.size == (entry["width"], entry["height"])
        shown = tuple(sorted(a["category_id"] for a in instances.loadAnns(instances.getAnnIds(image_id))))
        assert shown in HELD_OUT_PAIRS


def test_boxes_and_areas_are_those_of_the_drawn_objects(tmp_path):
    write_dataset(tmp_path / "scenes", images=20, seed=2)
    instances = read_coco(tmp_path / "scenes" / "instances.json")
    for annotation in instances.anns.values():
        entry = instances.imgs[annotation["image_id"]]
        pixels = np.asarray(Image.open(tmp_path / "scenes" / "images" / entry["file_name"])).astype(int)
        scene, _ = captioned_scene(2, annotation["image_id"] - 1)
        (item,) = (item for item in scene.items if item.category == annotation["category_id"])
        row, column = divmod(item.cell, 2)
        cell = pixels[56 * row : 56 * (row + 1), 56 * column : 56 * (column + 1)]
        contrast = np.subtract(item.rgb, scene.background_rgb)
        covered = (cell - scene.background_rgb) @ contrast / (contrast @ contrast)  # share of each pixel
        rows, columns = (covered > 0.1).nonzero()
        found = (columns.min() + 56 * column, rows.min() + 56 * row, np.ptp(columns) + 1, np.ptp(rows) + 1)
        assert found == pytest.approx(annotation["bbox"], abs=4)
        assert covered.sum() == pytest.approx(annotation["area"], rel=0.1)


def test_captions_are_true_of_their_images():
    rng = np.random.default_rng(0)
    for pair in PAIRS[::3]:
        scene = draw_scene(pair, rng)
        caption = describe(scene, rng)
        named = re.findall(rf"({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})", caption)
        assert sorted(named) == sorted(CATEGORIES[category - 1] for category in pair)
        first = next(item for item in scene.items if item.name == " ".join(named[0]))
        second = next(item for item in scene.items if item is not first)
        (x1, y1), (x2, y2) = first.centre, second.centre
        truths = {
            " to the left of ": x1 < x2,
            " to the right of ": x1 > x2,
            " above ": y1 < y2,
            " below ": y1 > y2,
            **{f" {name} background": name == scene.background for name in BACKGROUNDS},
            **{f" {name} corner": name == CORNERS[first.cell] for name in CORNERS},
        }
        assert all(true for phrase, true in truths.items() if phrase in caption + " ")


def test_captions_say_an_before_a_vowel():
    captions = " ".join(captioned_scene(0, index)[1] for index in range(200))
    assert "an orange" in captions
    assert "a orange" not in captions


def test_a_quarter_of_all_pairs_is_held_out_and_has_near_neighbours_there():
    held_out = set(HELD_OUT_PAIRS)
    assert held_out.isdisjoint(TRAINING_PAIRS)
    assert held_out | set(TRAINING_PAIRS) == set(PAIRS)
    assert 0.2 < len(held_out) / len(PAIRS) < 0.3
    near = [len(held_out.intersection(neighbours(pair))) for pair in held_out]
    assert min(near) >= 2
    assert np.mean(near) > 5


def test_neighbours_differ_in_one_attribute_and_know_each_other():
    def attributes(pair):
        return [word for category in pair for word in CATEGORIES[category - 1]]

    for pair in HELD_OUT_PAIRS[:20]:
        for near in neighbours(pair):
            assert pair in neighbours(near)
            assert len(set(near) & set(pair)) == 1
            kept = [word for word in attributes(pair) if word in attributes(near)]
            assert len(kept) >= 3


def test_every_lap_shows_every_held_out_pair_once():
    pairs = [captioned_scene(3, index)[0].pair for index in range(2 * len(HELD_OUT_PAIRS))]
    assert sorted(pairs[: len(HELD_OUT_PAIRS)]) == sorted(pairs[len(HELD_OUT_PAIRS) :]) == list(HELD_OUT_PAIRS)


def test_objects_keep_to_their_cells():
    for index in range(300):
        for item in captioned_scene(9, index)[0].items:
            row, column = divmod(item.cell, 2)
            corners = item.outline(1) * 2 - (column, row)
            assert (corners >= 0).all()
            assert (corners <= 1).all()


def test_a_scene_renders_the_same_at_twice_the_size():
    scene, _ = captioned_scene(0, 0)
    small, large = (np.asarray(render(scene, size).resize((56, 56)), float) for size in (112, 224))
    assert np.abs(small - large).mean() < 2


def test_an_older_dataset_is_replaced(tmp_path):
    write_dataset(tmp_path / "scenes", images=5, seed=0)
    write_dataset(tmp_path / "scenes", images=2, seed=0)
    assert len(list((tmp_path / "scenes" / "images").iterdir())) == 2


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("ten years of work")
    with pytest.raises(DatasetError, match="is not a dataset of rendered scenes"):
        write_dataset(tmp_path, images=2, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("wrong", [{"images": 0}, {"seed": -1}, {"size": 3}])
def test_numbers_out_of_range_are_refused_by_name(tmp_path, wrong):
    with pytest.raises(DatasetError, match=f"{next(iter(wrong))} = .* must be at least"):
        write_dataset(tmp_path / "scenes", **{"images": 2, "seed": 0, **wrong})
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def full_disk(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_dataset(tmp_path / "scenes", images=2, seed=0)
    assert not list(tmp_path.iterdir())
