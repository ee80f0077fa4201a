"""Files of every kind become the picture that a viewer shows."""

import struct

import numpy as np
import pytest
from photographs import TURNED_BACK, write_kinds
from PIL import Image, ImageCms, PngImagePlugin

from lad.pictures import PictureError, as_shown, read_picture, shown_size


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


def exif(orientation: int, resolution_type: int, resolution: bytes) -> bytes:
    """EXIF data of two entries: an orientation, and a horizontal resolution of that type, kept behind them."""
    entries = 2
    behind = 8 + 2 + 12 * entries + 4
    count = len(resolution) if resolution_type == ASCII else 1
    return b"".join(
        (
            b"Exif\0\0II*\0",
            struct.pack("<IH", 8, entries),
            struct.pack("<HHIHH", 0x0112, SHORT, 1, orientation, 0),
            struct.pack("<HHII", 0x011A, resolution_type, count, behind),
            struct.pack("<I", 0),
            resolution,
        )
    )


ASCII, SHORT, SIGNED_RATIONAL = 2, 3, 10
UNWRITABLE = {
    "a resolution of -1/0": (SIGNED_RATIONAL, struct.pack("<ii", -1, 0)),
    "a resolution in words": (ASCII, b"72 dpi\0\0"),
}


@pytest.mark.parametrize("fault", UNWRITABLE)
@pytest.mark.parametrize("orientation", TURNED_BACK)
def test_a_picture_is_turned_whatever_else_its_exif_data_say(tmp_path, orientation, fault):
    upright = Image.linear_gradient("L").resize((32, 16)).convert("RGB")
    upright.paste((255, 0, 0), (0, 0, 8, 8))
    data = exif(orientation, *UNWRITABLE[fault])
    for name in ("turned.jpg", "turned.png", "turned.webp"):
        upright.transpose(TURNED_BACK[orientation]).save(tmp_path / name, exif=data, quality=95)
        with Image.open(tmp_path / name) as file:
            assert file.getexif()[0x0112] == orientation
        assert shown_size(tmp_path / name) == (32, 16)
        seen = np.asarray(read_picture(tmp_path / name)).astype(int)
        assert np.abs(seen - np.asarray(upright)).mean() < 6


@pytest.mark.parametrize("data", [b"Exif\0\0", b"Exif\0\0MM", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0no data"])
def test_a_picture_with_broken_exif_data_is_shown_as_it_is_stored(tmp_path, data):
    picture = Image.linear_gradient("L").resize((12, 6)).convert("RGB")
    for name, options in {"a.png": {}, "a.webp": {"lossless": True}}.items():
        picture.save(tmp_path / name, exif=data, **options)
        assert (np.asarray(read_picture(tmp_path / name)) == np.asarray(picture)).all()
        assert shown_size(tmp_path / name) == (12, 6)


def test_whatever_a_reader_raises_names_the_file(tmp_path, monkeypatch):
    picture = Image.new("RGB", (100, 100))
    picture.save(tmp_path / "large.png")
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("comment", "x" * 2000, zip=True)
    picture.save(tmp_path / "comment.png", pnginfo=chunks)
    monkeypatch.setattr(PngImagePlugin, "MAX_TEXT_CHUNK", 100)
    with pytest.raises(PictureError, match=r"comment\.png: cannot be decoded \(Decompressed data too large"):
        read_picture(tmp_path / "comment.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for read in (read_picture, shown_size):
        with pytest.raises(PictureError, match=r"large\.png: cannot be decoded \(Image size \(10000 pixels\) exceeds"):
            read(tmp_path / "large.png")
        with pytest.raises(PictureError, match=r"absent\.png: image missing"):
            read(tmp_path / "absent.png")
