"""Being here puts this folder on the import path of every test: `from signals_factory import random_signals`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from photographs import COCO

from lad.warm import forking

# One thread per process: `make test` runs two, whose threads would wait for each other. Set before torch is imported,
# and so for all processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

LONGEST = (
    *("test_workflow.py", "report/test_artifacts.py", "test_pipeline_of_photographs.py", "docs/test_extend.py"),
    *("methods/test_scoring.py", "benchmarks/test_offline.py", "test_use.py", "test_logger.py"),
    *("benchmark/test_download_workflow.py", "demo/test_training.py", "test_elsewhere.py"),
)
"""Files that take half a minute or more begin first, so that two processes end at about the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        file = item.path.relative_to(Path(__file__).parent).as_posix()
        return LONGEST.index(file) if file in LONGEST else len(LONGEST)

    items.sort(key=place)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=5, help="how often tests/extraction/test_resume.py kills")


@pytest.fixture(scope="session")
def of_all_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all processes of this run: the workers of xdist and the runs of pytest that tests start."""
    own = tmp_path_factory.getbasetemp()
    base = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    return Path(os.environ.setdefault("LAD_TEST_SHARED", str(base / "of_all_processes")))


@pytest.fixture(scope="session")
def warm() -> Iterator[None]:
    """Whatever starts `lad` in a process of its own has it forked; for tests that start many."""
    with forking() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def photographs() -> Path:
    """Folder with 82 photographs of COCO val2014 in `images`, and their annotations."""
    if not COCO.is_dir():
        pytest.skip(f"{COCO} with real COCO photographs is absent; LAD_SHARED names another place")
    return COCO
