"""The demo model, a few rendered scenes with what they show, and known questions about them."""

import json
from pathlib import Path

import pytest
from scene_questions import questions_of

from lad.demo.scenes import write_dataset
from lad.extraction.backbone import Backbone, load_backbone

DEMO = Path(__file__).parents[2] / "resources" / "demo-model"


@pytest.fixture(scope="session")
def demo() -> Backbone:
    return load_backbone(DEMO)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> list[tuple[str, Path]]:
    """What each of 60 pictures shows, and the picture."""
    folder = tmp_path_factory.mktemp("ranked") / "scenes"
    write_dataset(folder, images=60, seed=11)
    captions = json.loads((folder / "captions.json").read_text())
    files = {image["id"]: folder / "images" / image["file_name"] for image in captions["images"]}
    return [(one["caption"], files[one["image_id"]]) for one in captions["annotations"]][:60]


@pytest.fixture(scope="session")
def known(scenes):
    return questions_of(scenes, 0, 5)
