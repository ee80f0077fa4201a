"""The prompt of `lad sql`, typed into: completion, and one sitting at a real terminal."""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from lad import catalog, contracts, parquet
from lad.sql.prompt import SqlCompleter
from lad.sql.session import Session


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A folder with an empty table of images."""
    folder = tmp_path_factory.mktemp("results")
    file = catalog.RELATIONS["images"].path(folder, dataset="birds")
    parquet.write(contracts.IMAGES.schema.empty_table(), file, contracts.IMAGES)
    return folder


@pytest.fixture(scope="module")
def completer(results) -> SqlCompleter:
    return SqlCompleter(Session(results))


@pytest.mark.parametrize(
    ("typed", "behind", "offered"),
    [
        ("select count(*) from metr", "", ["metrics"]),
        ("select calibration_qu", "", ["calibration_questions"]),
        ("select meth", " from metrics", ["method"]),
        ("select file_n", " from images", ["file_name"]),
        ("SELECT * FROM images WH", "", ["when", "where", "whitespace"]),
        ("select m.val", " from metrics as m", ["m.value"]),
        ("select metrics.val", " from metrics", ["metrics.value"]),
        ('select "or', " from presentations", ['"order"']),
        (".sch", "", [".schema"]),
        (".schema fus", "", ["fusion"]),
        (".recipe hard", "", ["hardest-questions"]),
    ],
)
def test_tab_offers_what_may_stand_there(completer, typed, behind, offered):
    document = Document(typed + behind, len(typed))
    assert [completion.text for completion in completer.get_completions(document, CompleteEvent())] == offered


def test_columns_are_those_of_the_relations_that_the_statement_names(completer):
    document = Document("select value from images", len("select value"))
    assert "value" not in [completion.text for completion in completer.get_completions(document, CompleteEvent())]


class Terminal:
    """`lad sql` at a terminal of its own."""

    def __init__(self, results: Path, state: Path) -> None:
        self.pid, self._screen = pty.fork()
        if not self.pid:
            environment = {**os.environ, "XDG_STATE_HOME": str(state), "TERM": "xterm"}
            os.execve(sys.executable, [sys.executable, "-m", "lad", "sql", "--results", str(results)], environment)

        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 160, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def until(self, pattern: str, seconds: float = 60) -> str:
        """What appears on the screen, without colours, until it matches."""
        shown, end = "", time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self._screen], [], [], 0.1)[0]:
                more = os.read(self._screen, 65536).decode(errors="replace")
                if "\x1b[6n" in more:  # asks where the cursor is
                    self.type("\x1b[1;1R")
                shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown + more)
                if re.search(pattern, shown, re.DOTALL):
                    return shown
        raise AssertionError(f"no {pattern} in {shown!r}")


def test_a_sitting_survives_errors_and_interrupts_and_is_remembered(results, tmp_path):
    terminal = Terminal(results, tmp_path)
    terminal.until("Ctrl-D ends.*lad>")
    terminal.type("select 41 +\r")
    terminal.until("   >")
    terminal.type("1 as answer;\r")
    terminal.until("42.*lad>")
    terminal.type("select nothing;\r")
    said = terminal.until("error: .*lad>")
    assert 'Binder Error: Referenced column "nothing"' in said
    assert "LINE 1" not in said
    terminal.type("copy (select 1) to 'x.csv';\r")
    terminal.until("error: only SELECTs are answered; a statement that writes needs --other-files.*lad>")
    terminal.type("select count(*) from range(100000000000) as a, range(1000) as b;\r")
    with pytest.raises(AssertionError):
        terminal.until("│", 2)
    terminal.type("\x03")
    terminal.until("interrupted.*lad>")
    terminal.type(".schema images\r")
    terminal.until("file_name: path below.*lad>")
    terminal.type(".tabels\r")
    terminal.until(r"no command \.tabels \(did you mean '\.tables'\?\).*lad>")
    terminal.type("\x04")
    assert os.waitpid(terminal.pid, 0)[1] == 0
    assert "+select 41 +\n+1 as answer;\n" in (tmp_path / "lad" / "sql_history").read_text()
