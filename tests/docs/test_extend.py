"""docs/extend/*.md, followed to the letter: a page's files are written into a copy of the repository, its commands run.

A block of code is a file where a line before it names one, as in **`lad/methods/product.py`**. Blocks of bash are run.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "extend").glob("*.md"))
BLOCK = re.compile(r"(?:^\*\*`(?P<file>[\w./-]+)`\*\*\n\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_can_be_followed(page, tmp_path):
    blocks = list(BLOCK.finditer(page.read_text(encoding="utf-8")))
    commands = [block["code"] for block in blocks if block["language"] == "bash"]
    if not commands:
        pytest.skip(f"{page.name} has no command to try")
    for part in ("lad", "tests", "workflow"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("Snakefile", "environment.yml", "pyproject.toml"):
        shutil.copy(ROOT / part, tmp_path)
    for part in ("resources", "config"):
        (tmp_path / part).symlink_to(ROOT / part)
    for block in blocks:
        if block["file"]:
            file = tmp_path / block["file"]
            assert not file.exists(), f"{block['file']} is there already"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block["code"], encoding="utf-8")
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(tmp_path)}
    for command in commands:
        ran = subprocess.run(
            ["bash", "-e", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1200
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
