"""The shipped demo model, once with the read-out and once eager, and a few rendered scenes to show it.

`LAD_TEST_DEVICE=cuda pytest tests/extraction` runs both on a GPU. What forks stays on the CPU (a forked child cannot
use its parent's CUDA), and so does what compares numbers of different batches bit by bit.
"""

import os
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from transformers import AutoModelForImageTextToText

from benchmarks.extraction import scenes_table
from lad.benchmark.presentations import build_presentations
from lad.benchmark.questions import build_questions
from lad.demo.scenes import write_dataset
from lad.extraction.backbone import Backbone, load_backbone
from lad.extraction.extract import Extraction, extract
from lad.extraction.prompts import get_probe

DEVICE = os.environ.get("LAD_TEST_DEVICE", "cpu")
CHECKPOINT = Path(__file__).parents[2] / "resources" / "demo-model"


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def backbone() -> Backbone:
    return load_backbone(CHECKPOINT, device=DEVICE)


@pytest.fixture(scope="session")
def cpu_backbone(backbone) -> Backbone:
    return backbone if backbone.device.type == "cpu" else load_backbone(CHECKPOINT)


@pytest.fixture(scope="session")
def eager():
    """The oracle: transformers' own model, every layer's whole attention matrix."""
    model = AutoModelForImageTextToText.from_pretrained(CHECKPOINT, dtype=torch.float32, attn_implementation="eager")
    return model.to(DEVICE).eval().requires_grad_(False)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "scenes"
    write_dataset(folder, images=40, seed=7)
    return folder


@pytest.fixture(scope="session")
def images(scenes) -> pa.Table:
    return scenes_table(scenes)


@pytest.fixture(scope="session")
def asked(images):
    """Questions and presentations of N candidates: `asked(4)`."""

    def build(n: int, evaluation: int = 3, rounds: int = 2) -> tuple[pa.Table, pa.Table]:
        questions = build_questions(
            images, dataset="scenes", setting="random", n=n, evaluation=evaluation, calibration=1, seed=0
        )
        return questions, build_presentations(questions, "evaluation", rounds=rounds, seed=0)

    return build


@pytest.fixture(scope="session")
def extraction_with(images, scenes, asked):
    """All that a backbone makes of N candidates: `extraction_with(backbone, 4)`."""

    def run(backbone: Backbone, n: int, probe: str = "vanilla", evaluation: int = 3, **options) -> Extraction:
        questions, presentations = asked(n, evaluation)
        work = {"questions": questions, "presentations": presentations, **options}
        return extract(backbone, get_probe(probe), images=images, image_folder=scenes / "images", **work)

    return run


@pytest.fixture(scope="session")
def extraction_of(backbone, extraction_with):
    """All that is extracted of N candidates: `extraction_of(4, "cot", token_budget=1).generations`."""
    return partial(extraction_with, backbone)


@pytest.fixture(scope="session")
def cpu_extraction_of(cpu_backbone, extraction_with):
    """The same, on the CPU."""
    return partial(extraction_with, cpu_backbone)


@pytest.fixture(scope="session")
def extracted(extraction_of):
    """Signals and metadata of N candidates: `extracted(4, "roman", token_budget=1)`."""

    def run(n: int, probe: str = "vanilla", evaluation: int = 3, **options) -> tuple[pa.Table, dict]:
        found = extraction_of(n, probe, evaluation, **options)
        return found.signals, found.metadata

    return run
