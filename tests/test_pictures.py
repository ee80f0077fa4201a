"""Files of every kind become the picture that a viewer shows."""

import numpy as np
import pytest
from photographs import write_kinds
from PIL import Image, ImageCms

from lad.pictures import as_shown


def shown(path) -> np.ndarray:
    """(height, width, 3) what is seen of a file."""
    with Image.open(path) as file:
        picture = as_shown(file)
    assert picture.mode == "RGB"
    return np.asarray(picture)


def saved(folder, picture: Image.Image, **options) -> np.ndarray:
    picture.save(folder / "picture.png", **options)
    return shown(folder / "picture.png")


def palette() -> Image.Image:
    """Two pixels: the first colour of a palette, and the second."""
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((1, 0), 1)
    return picture


def two(mode: str, *pixels) -> Image.Image:
    picture = Image.new(mode, (2, 1))
    picture.putdata(pixels)
    return picture


@pytest.mark.parametrize(
    ("picture", "options", "expected"),
    [
        (two("RGBA", (9, 9, 9, 0), (200, 100, 50, 255)), {}, [[255, 255, 255], [200, 100, 50]]),
        (two("RGBA", (0, 0, 0, 51), (255, 0, 0, 204)), {}, [[204, 204, 204], [255, 51, 51]]),
        (two("LA", (9, 0), (70, 255)), {}, [[255, 255, 255], [70, 70, 70]]),
        (palette(), {}, [[10, 20, 30], [200, 100, 50]]),
        (palette(), {"transparency": 0}, [[255, 255, 255], [200, 100, 50]]),
        (two("RGB", (1, 2, 3), (4, 5, 6)), {"transparency": (1, 2, 3)}, [[255, 255, 255], [4, 5, 6]]),
        (two("L", 7, 8), {}, [[7, 7, 7], [8, 8, 8]]),
        (two("1", 0, 1), {}, [[0, 0, 0], [255, 255, 255]]),
        (two("I;16", 256, 65535), {}, [[1, 1, 1], [255, 255, 255]]),
    ],
    ids=["hidden colour", "half transparent", "grey", "palette", "palette colour", "colour key", "L", "1", "16 bits"],
)
def test_transparency_shows_white_and_every_kind_of_pixel_its_colour(tmp_path, picture, options, expected):
    assert saved(tmp_path, picture, **options).tolist() == [expected]


def test_a_colour_profile_changes_nothing(tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(256, size=(6, 6, 3), dtype=np.uint8))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert (saved(tmp_path, picture, icc_profile=profile) == np.asarray(picture)).all()
    assert Image.open(tmp_path / "picture.png").info["icc_profile"] == profile


@pytest.fixture(scope="module")
def photograph(photographs) -> Image.Image:
    return Image.open(photographs / "images" / "COCO_val2014_000000161044.jpg").convert("RGB")


@pytest.fixture(scope="module")
def kinds(photograph, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    return folder, write_kinds(photograph, folder)


def test_every_kind_of_a_photograph_has_the_size_that_a_viewer_shows(kinds):
    folder, sizes = kinds
    for name, (width, height) in sizes.items():
        assert shown(folder / name).shape == (height, width, 3), name


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_photograph_taken_with_the_camera_held_otherwise_is_upright(kinds, photograph, orientation):
    assert (shown(kinds[0] / f"orientation{orientation}.png") == np.asarray(photograph)).all()


@pytest.mark.parametrize(("name", "tolerance"), [("cmyk.jpg", 8), ("palette.png", 12), ("plain.jpg", 4)])
def test_a_photograph_in_other_pixels_looks_as_before(kinds, photograph, name, tolerance):
    """Mean difference per channel, of 255; an inverted CMYK file would be far off."""
    difference = shown(kinds[0] / name).astype(int) - np.asarray(photograph)
    assert 0 < np.abs(difference).mean() < tolerance


def test_a_grey_photograph_has_its_brightness_in_all_channels(kinds, photograph):
    grey = shown(kinds[0] / "grey.jpg")
    assert (grey == grey[..., :1]).all()
    assert np.abs(grey[..., 0].astype(int) - np.asarray(photograph.convert("L"))).mean() < 4


def test_a_photograph_that_fades_out_fades_to_white(kinds, photograph):
    faded = shown(kinds[0] / "transparent.png").astype(int)
    assert (faded[0] == 255).all()
    assert np.abs(faded[-1] - np.asarray(photograph)[-1]).max() <= 1


def test_nothing_is_done_to_cocos_own_photographs(photographs):
    """They are seen as the paper's code sees them, which only converts to RGB."""
    for path in sorted((photographs / "images").iterdir()):
        assert (shown(path) == np.asarray(Image.open(path).convert("RGB"))).all(), path.name
