"""Being here puts this folder on the import path of every test: `from signals_factory import random_signals`."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=5, help="how often tests/extraction/test_resume.py kills")
