"""A part that fails, hangs or is killed is written down, what it told before stays, and the next one starts."""

import os
import time
from pathlib import Path

import pytest

from benchmarks import guarded
from benchmarks.guarded import Guard, Outcome, Part


@pytest.fixture
def run(tmp_path):
    """What a part tells, and how it ended: `run("hanging", limit=1)`."""

    def with_budget(work: str, limit: float = 60, budget: float = 600, **options):
        name = work if ":" in work else f"parts_that_end:{work}"
        *told, ended = Guard(budget, tmp_path / "log.txt").run(Part(work, name, limit, options))
        assert isinstance(ended, Outcome)
        return told, ended

    return with_budget


def test_what_a_part_tells_and_prints_is_kept(run, tmp_path):
    told, ended = run("well", value=2.5)
    assert told == [{"part": "well", "kind": "number", "value": 2.5}]
    assert (ended.status, ended.reason) == ("done", "")
    assert (tmp_path / "log.txt").read_text() == "\n=== well ===\nsaid aloud\n"


def test_an_error_is_named_by_its_first_line_and_its_trace_is_in_the_log(run, tmp_path):
    told, ended = run("raising")
    assert [fact["value"] for fact in told] == [1.0]
    assert (ended.status, ended.reason) == ("failed", "ValueError: what is wrong")
    assert "and much more" in (tmp_path / "log.txt").read_text()


def test_what_hangs_is_ended_with_all_it_started_and_the_log_says_where_it_was(run, tmp_path):
    began = time.monotonic()
    told, ended = run("hanging", limit=2)
    assert ended.status == "out of time"
    assert time.monotonic() - began < 60
    assert "in hanging" in (tmp_path / "log.txt").read_text()
    with pytest.raises(ProcessLookupError):
        _until_gone(told[0]["pid"])


def _until_gone(pid: int) -> None:
    """Raises ProcessLookupError once there is no such process, but for a zombie of which nobody takes notice."""
    for _ in range(100):
        os.kill(pid, 0)
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            raise ProcessLookupError
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("work", "reason"),
    [("killed", "its process was ended by SIGKILL"), ("leaving", "its process ended with status 3")],
)
def test_a_process_that_dies_has_failed(run, work, reason):
    told, ended = run(work)
    assert (ended.status, ended.reason) == ("failed", reason)
    assert len(told) == (work == "killed")


def test_what_cannot_be_imported_has_failed(run):
    assert run("no_such_module:work")[1].reason == "ModuleNotFoundError: No module named 'no_such_module'"


def test_parts_for_which_too_little_of_the_budget_is_left_are_not_begun(run):
    told, ended = run("well", budget=guarded.SHORTEST - 1)
    assert (told, ended.status, ended.reason) == ([], "not run", "4 s of the budget were left")


def test_a_process_that_does_not_start_in_time_has_failed(run, monkeypatch):
    import multiprocessing.context

    monkeypatch.setattr(multiprocessing.context.ForkServerProcess, "start", lambda self: time.sleep(60))
    monkeypatch.setattr(guarded, "_TO_START", 1)
    _, ended = run("well")
    assert (ended.status, ended.reason) == ("failed", "no process could be started: it took more than 1 s")
