"""Every relative link of the documents leads to a file, and every place of a page that a link names is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import hooks  # noqa: E402

LISTED = subprocess.run(
    ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False
).stdout.split()
DOCUMENTS = sorted(set(LISTED) | {str(file.relative_to(ROOT)) for file in (ROOT / "docs").rglob("*.md")})


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_links_of_the_document_lead_to_files(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    assert [target for target in hooks.targets(document, text) if not (ROOT / target).is_file()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_link_to_a_place_on_a_page_names_a_heading_of_that_page(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    places = re.findall(r"\]\(([^)\s#]*)#([^)\s]+)\)", text)
    for target, anchor in places:
        if not target or hooks.is_relative(target):
            page = ROOT / (hooks.from_root(document, target) if target else document)
            assert anchor in anchors(page), f"{target}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_path_that_the_document_names_as_code_is_there(document):
    """But for the files that the pages on extending it have their reader write."""
    text = (ROOT / document).read_text(encoding="utf-8")
    written = set(re.findall(r"^\*\*`([\w./-]+)`\*\*$", text, re.MULTILINE))
    paths = re.findall(r"`((?:lad|workflow|config|tests|docs|demo|resources|benchmarks|\.ci|\.github)/[\w./-]*)`", text)
    real = [path for path in paths if path not in written]
    assert [path for path in real if not (ROOT / path).exists()] == []


def anchors(page: Path) -> set[str]:
    """The places of a page, as both GitHub and the site name them after its headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
