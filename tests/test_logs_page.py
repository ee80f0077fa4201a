"""docs/logs.md, run as it stands: every block of code in its order, and what it prints."""

import os
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (REPOSITORY / "docs" / "logs.md").read_text(), re.MULTILINE | re.DOTALL)


def test_the_page_s_code_runs_and_prints_what_the_page_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    shell = {"env": {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY)}, "check": True, "timeout": 600}
    for language, code in BLOCKS:
        match language:
            case "bash":
                subprocess.run(["bash", "-e", "-c", f'lad() {{ {sys.executable} -m lad "$@"; }}\n{code}'], **shell)
            case "python":
                exec(compile(code, "docs/logs.md", "exec"), {})
            case "text":
                assert capsys.readouterr().out == code
    assert [language for language, _ in BLOCKS] == ["python", "bash", "python", "text"]


def test_the_page_says_which_methods_serve():
    from lad.methods import METHODS

    told = (REPOSITORY / "docs" / "logs.md").read_text()
    rows = dict(re.findall(r"^\| (log-probabilities|answers alone).* \| (.+) \|$", told, re.MULTILINE))
    for signals, read in (("log-probabilities", {"answers", "logprobs"}), ("answers alone", {"answers"})):
        serving = {name for name, m in METHODS.items() if m.reads_for(m.options_type()) in read}
        assert set(re.findall(r"`(\w+)`", rows[signals])) - {"content_free"} == serving
