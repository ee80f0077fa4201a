"""Pictures that cannot be decoded are found and named before anything costly."""

import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from lad.benchmark.formats.coco import read_images
from lad.pictures import undecodable


def test_every_undecodable_image_is_reported_with_a_reason(write_coco):
    captions, folder = write_coco({i: [str(i)] for i in range(1, 6)})
    noise = np.random.default_rng(0).integers(256, size=(60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "2.png")
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:2000])
    Image.fromarray(noise).save(folder / "3.png", format="jpeg")
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:1000])
    (folder / "4.png").write_text("no picture")
    images = read_images(captions, folder)
    (folder / "5.png").unlink()
    faults = dict(undecodable(images, folder))
    assert list(faults) == ["2.png", "3.png", "4.png", "5.png"]
    assert "truncated" in faults["2.png"]
    assert "truncated" in faults["3.png"]
    assert faults["4.png"] == "not a picture that can be read"
    assert faults["5.png"] == "no such file"


def test_pictures_are_checked_on_a_machine_that_only_extracts(write_coco):
    captions, folder = write_coco({1: ["one"]})
    pq.write_table(read_images(captions, folder), folder / "images.parquet")
    (folder / "1.png").write_text("no picture")
    code = (
        "import sys, pathlib, pyarrow.parquet; sys.modules |= {'pycocotools': None, 'pydantic': None};"
        "from lad.pictures import undecodable; folder = pathlib.Path(sys.argv[1]);"
        "print(undecodable(pyarrow.parquet.read_table(folder / 'images.parquet'), folder))"
    )
    output = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, check=True, text=True)
    assert output.stdout.strip() == "[('1.png', 'not a picture that can be read')]"
