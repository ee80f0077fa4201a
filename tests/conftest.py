"""Being here puts this folder on the import path of every test: `from signals_factory import random_signals`."""

import os
from pathlib import Path

import pytest
from photographs import COCO

# One thread per process: `make test` runs two, whose threads would wait for each other. Set before torch is imported,
# and so for all processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=5, help="how often tests/extraction/test_resume.py kills")


@pytest.fixture(scope="session")
def photographs() -> Path:
    """Folder with 82 photographs of COCO val2014 in `images`, and their annotations."""
    if not COCO.is_dir():
        pytest.skip(f"{COCO} with real COCO photographs is absent; LAD_SHARED names another place")
    return COCO
