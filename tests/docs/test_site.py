"""The site: it builds without a warning, it needs nothing from elsewhere, and its picture is the one that is drawn."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import concepts  # noqa: E402
import generated  # noqa: E402


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for module in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        try:
            found = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            found = None
        if found is None:
            pytest.skip(f"{module} is not installed; the extra `docs` brings it")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1200)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_the_site_builds_without_a_warning_and_begins_with_the_readme(site):
    assert "Run it" in (site / "index.html").read_text(encoding="utf-8")


def test_no_page_loads_anything_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert re.findall(r"<(?:script|img|iframe|link)[^>]*(?:src|href)=[\"']?(?:https?:)?//[^>]*>", text) == [], (
            page.name
        )


def test_a_file_that_a_page_links_to_is_a_page_of_the_site(site):
    assert "position_bias" in (site / "files/lad/calibration/position_bias.sql.html").read_text(encoding="utf-8")


def test_the_picture_is_the_one_that_its_script_draws():
    assert (ROOT / "docs" / "concepts.svg").read_text(encoding="utf-8") == concepts.picture()


@pytest.mark.parametrize("name", generated.MADE)
def test_a_generated_page_says_what_the_code_says(name):
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == generated.page(name), "python docs/generated.py"
