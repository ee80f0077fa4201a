"""docs/use.md, run as it stands: every block of code in its order, and what it prints."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lad

REPOSITORY = Path(__file__).parents[1]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (REPOSITORY / "docs" / "use.md").read_text(), re.MULTILINE | re.DOTALL)


def test_the_example_is_short_enough_to_be_read():
    python = next(code for language, code in BLOCKS if language == "python")
    assert len([line for line in python.splitlines() if line.strip()]) <= 30


def test_the_example_needs_public_names_alone():
    imported = re.findall(r"^from (lad\S*) import (.+)$", "\n".join(code for _, code in BLOCKS), re.MULTILINE)
    assert {module for module, _ in imported} == {"lad"}
    assert {name for _, names in imported for name in names.split(", ")} <= set(lad.__all__)


def test_the_document_s_code_runs_and_prints_what_the_document_says(tmp_path, monkeypatch, capsys):
    (tmp_path / "resources").symlink_to(REPOSITORY / "resources")
    monkeypatch.chdir(tmp_path)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    shell = {"env": {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY)}, "check": True, "timeout": 1200}
    names: dict[str, object] = {}
    checked = 0
    capsys.readouterr()
    for language, code in BLOCKS:
        match language:
            case "bash":
                subprocess.run(["bash", "-e", "-c", code], **shell)
            case "python":
                exec(compile(code, "docs/use.md", "exec"), names)
            case "text":
                refuse_other_output(capsys.readouterr().out, code)
                checked += 1
    assert checked == 4


def refuse_other_output(printed: str, documented: str) -> None:
    """Names are the same; scores may differ in their last digit from one processor to the next."""
    for line, expected in zip(printed.splitlines(), documented.splitlines(), strict=True):
        (words, scores), (expected_words, expected_scores) = (text.partition("{")[::2] for text in (line, expected))
        assert words == expected_words
        if expected_scores:
            assert ast.literal_eval("{" + scores) == pytest.approx(ast.literal_eval("{" + expected_scores), abs=0.02)
