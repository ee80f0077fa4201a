"""`snakemake --logger=lad`, by which `make` prints: what it says of a small Snakefile, piped and on a terminal."""

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake_interface_logger_plugins.tests import TestLogHandlerBase

from snakemake_logger_plugin_lad import LogHandler, tail
from snakemake_logger_plugin_lad.progress import Job, Progress, about, clock

SNAKEFILE = """
logger.info(None, extra={"report": "joined/all.txt"})

rule join:
    input:
        expand("cut/{piece}.txt", piece=[1, 2, 3]),
    output:
        "joined/all.txt",
    message:
        "Joining the pieces"
    shell:
        "cat {input} > {output}"

rule cut:
    input:
        "grown.txt",
    output:
        "cut/{piece}.txt",
    log:
        "logs/cut_{piece}.log",
    message:
        "Cutting piece   {wildcards.piece}"
    shell:
        "seq 40 > {log}; test ! -e blunt_{wildcards.piece} || exit 3;"
        " until test -e {config[gate]}; do sleep 0.1; done; cp {input} {output}"

rule grow:
    output:
        "grown.txt",
    log:
        "logs/grow.log",
    shell:
        "echo leaf > {output}"
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return tmp_path


def command(*arguments: str, gate: str = "Snakefile") -> list[str]:
    """A run in which no piece is cut before the gate is there."""
    snakemake = str(Path(sys.executable).with_name("snakemake"))
    return [snakemake, "--cores=1", "--logger=lad", f"--config=gate={gate}", *arguments]


def run(folder: Path, *arguments: str) -> tuple[int, list[str]]:
    """The exit status and the lines of a piped run."""
    outcome = subprocess.run(
        command(*arguments), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", outcome.stdout), "control characters"
    return outcome.returncode, outcome.stdout.splitlines()


def run_on_a_terminal(
    folder: Path, *arguments: str, gate: str = "Snakefile", press: tuple[str, bytes] = ("", b"")
) -> str:
    """All that a terminal of 60 columns is sent; keys are pressed once it was sent a text."""
    child, terminal = pty.fork()
    if not child:
        os.chdir(folder)
        os.environ.update(COLUMNS="60", TERM="xterm")
        # A shell lets what it runs behind the scenes ignore interrupts.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        asked = command(*arguments, gate=gate)
        os.execv(asked[0], asked)
    text, (awaited, keys) = "", press
    while True:
        try:
            text += os.read(terminal, 65536).decode()
        except OSError:  # the child has closed its end
            break
        if keys and awaited in text:
            os.write(terminal, keys)
            keys = b""
    os.waitpid(child, 0)
    os.close(terminal)
    return text


def on_screen(text: str) -> list[str]:
    """The lines as they stand at the end, redrawn ones in their last state."""
    lines = [line.rstrip("\r").split("\r")[-1].removesuffix("\x1b[K") for line in text.split("\n")]
    return [line.replace("\x1b[K", "") for line in lines]


def test_a_piped_run_prints_a_line_every_tenth_and_ends_with_the_report_and_again_has_nothing_to_do(folder):
    status, lines = run(folder)
    assert status == 0
    *progress, jobs, report = lines
    assert [line.partition(" | ")[0] for line in progress] == [f"{done} of 5 jobs" for done in range(5)]
    assert all(re.search(r" \| \d:\d\d(, about \d+ s left)? \| 1 at work: ", line) for line in progress)
    assert re.fullmatch(r"5 jobs in \d:\d\d\.", jobs)
    assert report == "The report: joined/all.txt"
    full = next((folder / ".snakemake" / "log").iterdir()).read_text()
    assert "Finished jobid: 0 (Rule: join)" in full
    assert "5 of 5 steps (100%) done" in full
    assert run(folder) == (
        0,
        ["Nothing to be done: all files that were asked for are there and up to date.", "The report: joined/all.txt"],
    )


def test_a_failure_says_which_job_how_it_ended_and_the_end_of_its_log(folder):
    (folder / "blunt_2").touch()
    status, lines = run(folder, "--keep-going")
    assert status == 1
    start = lines.index("Failed: Cutting piece 2 (rule cut, exit status 3)")
    assert lines[start + 1 : start + 17] == [
        *(f"  | {number}" for number in range(26, 41)),
        "  The whole log: logs/cut_2.log",
    ]
    stopped, again, full = lines[-3:]
    assert stopped == "Stopped: 3 of 5 jobs are done, 1 failed."
    assert again == "The same command goes on from there."
    assert Path(full.removeprefix("Snakemake's full log: ")).is_file()
    assert not any("WorkflowError" in line or "RuleException" in line or "Exiting because" in line for line in lines)


def test_a_job_that_is_tried_again_and_succeeds_has_not_failed(folder):
    text = SNAKEFILE.replace("rule cut:", "rule cut:\n    retries: 1").replace("exit 3", "{{ rm blunt_1; exit 3; }}")
    (folder / "Snakefile").write_text(text)
    (folder / "blunt_1").touch()
    status, lines = run(folder)
    assert status == 0
    assert "  It is tried again." in lines
    assert "5 jobs in" in lines[-2]


def test_a_job_without_its_output_and_one_without_a_log_have_failed_too(folder):
    text = SNAKEFILE.replace("cat {input} > {output}", "true").replace("echo leaf > {output}", "kill -KILL $$")
    (folder / "Snakefile").write_text(text)
    _, lines = run(folder)
    assert "Failed: grow (rule grow, SIGKILL: killed, as when memory runs out)" in lines
    assert "  A log without a word: logs/grow.log" in lines
    (folder / "grown.txt").touch()
    _, lines = run(folder, "--latency-wait=0")
    assert any("completed successfully, but some output files are missing" in line for line in lines)
    assert lines[-3] == "Stopped: 3 of 4 jobs are done, 1 failed."


def test_a_dry_run_counts_the_jobs_of_each_rule(folder):
    status, lines = run(folder, "--dry-run")
    assert status == 0
    assert lines == [
        "5 jobs would run:",
        "      1  grow",
        "      3  cut",
        "      1  join",
        "Without --logger lad, Snakemake lists each job and says why it would run.",
    ]


def test_a_refused_configuration_is_one_line(folder):
    (folder / "Snakefile").write_text('raise WorkflowError("configuration, seed: -1 is less than 0")\n')
    assert run(folder) == (1, ["configuration, seed: -1 is less than 0"])


def test_a_locked_folder_says_what_to_do(folder):
    with subprocess.Popen(command(gate="opened"), cwd=folder, stderr=subprocess.PIPE, text=True) as first:
        for line in first.stderr:
            if "at work: Cutting" in line:
                break
        status, lines = run(folder)
        assert status == 1
        assert lines == [
            f"Another run is at work in {folder}.",
            "If there is none, one was cut off: run `snakemake --unlock`, then the same command again.",
        ]
        first.send_signal(signal.SIGTERM)
        (folder / "opened").touch()
        rest = first.stderr.read()
    assert "Stopping. The jobs that run now are finished first.\n" in rest
    assert re.search(r"^Stopped: \d of 5 jobs are done\.$", rest, re.MULTILINE)
    assert run(folder, "--unlock")[0] == 0


def test_on_a_terminal_one_line_is_drawn_over_and_over_and_never_longer_than_a_row(folder):
    (folder / "blunt_3").touch()
    text = run_on_a_terminal(folder, "--keep-going")
    drawn = re.findall(r"\r([^\r\n]+)\x1b\[K", text)
    assert len(drawn) > 5
    assert max(map(len, drawn)) <= 59
    # Which piece comes first, and with it when one has failed, is Snakemake's choice.
    row = r"[12] of 5 jobs(, 1 failed)? \| 0:\d\d, about \d+ s left \| 1 at work.*\.\.\."
    assert any(re.fullmatch(row, line) for line in drawn)
    lines = on_screen(text)
    assert "Failed: Cutting piece 3 (rule cut, exit status 3)" in lines
    assert [line for line in lines if " | " in line and not line.startswith("  | ")] == [], "no progress line is left"
    assert lines[-4] == "Stopped: 3 of 5 jobs are done, 1 failed."


def test_an_interrupt_is_no_failure(folder):
    lines = on_screen(run_on_a_terminal(folder, gate="never", press=("at work: Cut", b"\x03")))
    assert lines[-4] == "Interrupted: 1 of 5 jobs are done."
    assert not [line for line in lines if "Failed" in line]


def test_the_time_left_follows_from_each_rules_mean_so_far_and_from_how_many_jobs_run_at_once():
    """Two at once. Finished: two of 10 s each. Ahead: two of that rule, one of another. At work: one, for 4 s of 10."""
    progress = Progress(planned={"ask": 5, "draw": 1}, total=6)
    assert progress.left(100) is None
    for jobid, began in ((1, 100), (2, 100)):
        progress.start(jobid, Job("ask", "Asking", began))
        assert progress.left(began + 5) is None
    progress.finish(1, 110)
    progress.finish(2, 110)
    progress.start(3, Job("ask", "Asking", 110))
    ahead = 2 * 10 + 10 + (10 - 4)
    at_once = (10 + 10 + 4) / (114 - 100)
    assert progress.left(114) == pytest.approx(ahead / at_once)


def test_failures_are_counted_on_the_line_and_of_what_runs_the_first_is_named():
    progress = Progress(planned={"ask": 9}, total=9, done=3, failed=1)
    progress.start(1, Job("ask", "Asking later", 120))
    progress.start(2, Job("ask", "Asking", 110))
    assert progress.line(130, 100, "at work") == "3 of 9 jobs, 1 failed | 0:30 | 2 at work: Asking"


def test_the_time_left_is_never_below_zero():
    """Neither for a job that takes longer than its like, nor for a clock that was set back, nor for unplanned jobs."""
    progress = Progress(planned={"ask": 1}, total=1)
    for jobid in (1, 2):
        progress.start(jobid, Job("ask", "Asking", 100))
    progress.finish(1, 90)
    progress.start(3, Job("ask", "Asking", 100))
    progress.finish(3, 101)
    assert progress.left(1000) == 0
    assert "left" not in progress.line(1000, 100, "at work")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "5 s"), (38, "40 s"), (57, "55 s"), (58, "1 min"), (5399, "90 min"), (5400, "1.5 h")]
)
def test_a_time_ahead_is_said_roughly(seconds, words):
    assert about(seconds) == words


@pytest.mark.parametrize(("seconds", "words"), [(0.9, "0:00"), (75, "1:15"), (3725, "1:02:05")])
def test_a_time_passed_is_said_to_the_second(seconds, words):
    assert clock(seconds) == words


def test_of_a_line_that_a_job_redraws_the_last_state_counts(tmp_path):
    (tmp_path / "log").write_bytes(b"begun\n\r1 of 9\r5 of 9\nkilled: \xff\n\n")
    assert tail(tmp_path / "log") == ["begun", "5 of 9", "killed: \ufffd"]
    assert tail(tmp_path / "none") == []


class TestSnakemakesOwnDemandsOnAPlugin(TestLogHandlerBase):
    __test__ = True

    def get_log_handler_cls(self):
        return LogHandler

    def get_log_handler_settings(self):
        return None
