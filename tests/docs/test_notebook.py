"""docs/notebook.ipynb, run as it stands: it prints what it is stored with."""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

DOCS = Path(__file__).parents[2] / "docs"


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """What each cell prints; pictures are bytes that differ with the library that draws them."""
    return [
        "".join(output.get("text", "") for output in cell.get("outputs", ()) if output.get("name") == "stdout")
        for cell in notebook.cells
    ]


def test_the_notebook_gives_what_it_is_stored_with(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(DOCS.parent))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    stored = nbformat.read(DOCS / "notebook.ipynb", 4)
    again = nbformat.read(DOCS / "notebook.ipynb", 4)
    NotebookClient(again, timeout=600, resources={"metadata": {"path": str(DOCS)}}).execute()
    assert printed(again) == printed(stored), "jupyter execute --inplace docs/notebook.ipynb"
    assert sum(map(bool, printed(stored))) > 6
