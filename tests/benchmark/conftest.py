"""Small datasets for the tests of benchmark construction: COCO-format folders on disk and tables in memory."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from photographs import SHARED
from PIL import Image

from lad import contracts, parquet
from lad.benchmark import embeddings
from lad.benchmark.formats import coco
from lad.demo import scenes

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def real_coco(photographs: Path) -> Path:
    return photographs


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    places = (REPOSITORY / "resources" / "demo-model", SHARED / "prototype" / "demo_model" / "checkpoint")
    for folder in places:
        if (folder / "config.json").is_file():
            return folder
    pytest.skip(f"no demo checkpoint in {' or '.join(map(str, places))}")


@pytest.fixture(scope="session")
def scene_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "scenes"
    scenes.write_dataset(folder, images=48, seed=3)
    return folder


@pytest.fixture(scope="session")
def scene_images(scene_folder: Path) -> pa.Table:
    return coco.read_images(scene_folder / "captions.json", scene_folder / "images", scene_folder / "instances.json")


@pytest.fixture(scope="session")
def scene_embeddings(scene_folder: Path, scene_images: pa.Table, checkpoint: Path) -> pa.Table:
    return embeddings.embed(scene_images, scene_folder / "images", "vision_tower", checkpoint)[0]


WriteCoco = Callable[..., tuple[Path, Path]]


@pytest.fixture
def write_coco(tmp_path: Path) -> WriteCoco:
    """Write pictures and annotation files; returns (captions.json, image folder), instances.json lies beside."""

    def write(
        captions: Mapping[int, Sequence[str]],
        categories: Mapping[int, Sequence[int]] | None = None,
        listed: Sequence[int] | None = None,
        **changes: Any,
    ) -> tuple[Path, Path]:
        listed = list(captions) if listed is None else listed
        (tmp_path / "images").mkdir()
        for image_id in listed:
            Image.new("RGB", (20, 10), (image_id, 0, 0)).save(tmp_path / "images" / f"{image_id}.png")
        header = {
            "licenses": [{"id": 7, "name": "CC BY 2.0", "url": "by"}, {"id": 8, "url": "only-a-url"}],
            "images": [{"id": i, "file_name": f"{i}.png", "width": 20, "height": 10, "license": 7} for i in listed],
        }
        texts = [(image_id, caption) for image_id, own in captions.items() for caption in own]
        annotations = [{"id": k, "image_id": i, "caption": caption} for k, (i, caption) in enumerate(texts)]
        objects = [(image_id, category) for image_id, own in (categories or {}).items() for category in own]
        boxes = [{"id": k, "image_id": i, "category_id": c} for k, (i, c) in enumerate(objects)]
        (tmp_path / "captions.json").write_text(json.dumps(header | {"annotations": annotations} | changes))
        (tmp_path / "instances.json").write_text(json.dumps(header | {"annotations": boxes}))
        return tmp_path / "captions.json", tmp_path / "images"

    return write


@pytest.fixture(scope="session")
def make_images() -> Callable[..., pa.Table]:
    """An `images` table of n rows, ids from 1, each with its own caption unless captions are given."""

    def make(
        n: int, captions: Sequence[str] | None = None, categories: Sequence[Sequence[int]] | None = None
    ) -> pa.Table:
        return parquet.from_rows(
            (
                {
                    "image_id": k + 1,
                    "file_name": f"{k + 1}.png",
                    "width": 1,
                    "height": 1,
                    "caption": captions[k] if captions else f"caption {k + 1}",
                    "category_ids": categories[k] if categories else [],
                }
                for k in range(n)
            ),
            contracts.IMAGES,
        )

    return make


@pytest.fixture(scope="session")
def make_embeddings() -> Callable[..., pa.Table]:
    """An `embeddings` table, ids from 1, from two arrays of vectors of any length."""

    def make(pictures: np.ndarray, captions: np.ndarray) -> pa.Table:
        unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (pictures, captions)]
        return parquet.from_rows(
            (
                {"image_id": k + 1, "image_embedding": picture, "caption_embedding": caption}
                for k, (picture, caption) in enumerate(zip(*(v.tolist() for v in unit), strict=True))
            ),
            contracts.EMBEDDINGS,
        )

    return make
