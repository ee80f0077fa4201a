"""Work in parts, of which none can spoil the others: each has a process of its own, and time of its own.

A part that fails, hangs or is killed is written down with its reason, and the next one starts. What it told before
stays. All parts share a budget of seconds; those that no longer fit in are named.

Processes are forked from one that has imported what all of them need (`forkserver`), as importing torch takes longer
than many a part.
"""

import contextlib
import faulthandler
import importlib
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import Any, Final, Literal

Tell = Callable[..., None]
"""How a part tells what it found: `tell("speed", n=4, rate=12.5)`."""
Fact = dict[str, Any]
Status = Literal["done", "failed", "out of time", "not run"]

SHORTEST: Final = 5.0
"""Seconds without which a part is not begun."""
_TO_START: Final = 120.0
"""Seconds in which a process starts; the first waits for what all of them import."""
_TO_END: Final = 5.0


@dataclass(frozen=True)
class Part:
    """One part of the work.

    Attributes:
        work: a function by its name, `benchmarks.gpu_parts:speed`; it gets a `Tell` and the options.
        limit: seconds that it may take.
    """

    name: str
    work: str
    limit: float
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a part ended, after how many seconds, and why where it did not end well."""

    part: str
    status: Status
    seconds: float
    reason: str = ""


class Guard:
    """Runs parts within a budget.

    Args:
        budget: seconds from now on for all parts together.
        log: file to which all that the parts print is appended.
        start: how processes start, as multiprocessing calls it.
        imported: modules that are imported once, where processes are forked.
    """

    def __init__(self, budget: float, log: Path, start: str = "forkserver", imported: Sequence[str] = ()) -> None:
        self.ends = time.monotonic() + budget
        self.log = log
        self.restart(start, imported)

    def restart(self, start: str, imported: Sequence[str] = ()) -> None:
        """Start processes in another way from now on."""
        self._context: Any = multiprocessing.get_context(start)
        if start == "forkserver":
            self._context.set_forkserver_preload(list(imported))

    @property
    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.ends - time.monotonic()

    def run(self, part: Part) -> Iterator[Fact | Outcome]:
        """What the part tells, as it tells it, and at last how it ended."""
        limit = min(part.limit, self.left)
        if limit < SHORTEST and limit < part.limit:
            yield Outcome(part.name, "not run", 0.0, f"{max(0, limit):.0f} s of the budget were left")
            return
        began = time.monotonic()
        receiving, sending = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_work, args=(part, str(self.log), sending))
        try:
            with _within(max(1.0, min(_TO_START, self.left))):
                process.start()
        except (OSError, EOFError, TimeoutError) as error:
            yield Outcome(part.name, "failed", time.monotonic() - began, f"no process could be started: {error}")
            return
        sending.close()
        # What all parts import is no part's own time.
        ends = min(time.monotonic() + part.limit, self.ends)
        failure: str | None = None
        for message in _messages(receiving, process, ends):
            if isinstance(message, str):
                failure = message
            else:
                yield {"part": part.name, **message}
        hung = process.is_alive()
        if hung:
            _show_where_it_is(process)
        _end(process)
        took = time.monotonic() - began
        if failure is not None:
            yield Outcome(part.name, "failed", took, failure)
        elif hung:
            yield Outcome(part.name, "out of time", took, f"ended after {part.limit:.0f} s or with the budget")
        elif process.exitcode:
            yield Outcome(part.name, "failed", took, _cause_of_death(process.exitcode))
        else:
            yield Outcome(part.name, "done", took)


def _messages(receiving: Connection, process: Any, ends: float) -> Iterator[Fact | str]:
    """What the process sends until it ends, or until the time is over: what it found, or why it failed."""
    open_ = True
    while True:
        alive = process.is_alive()
        while open_ and receiving.poll():
            try:
                yield receiving.recv()
            except (EOFError, OSError):
                open_ = False
        left = ends - time.monotonic()
        if not alive or left <= 0:
            return
        wait([process.sentinel, receiving] if open_ else [process.sentinel], left)


def _work(part: Part, log: str, told: Connection) -> None:
    """What the process does."""
    # A group of its own, so that what it starts ends with it.
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for stream in (1, 2):
        os.dup2(output, stream)
    print(f"\n=== {part.name} ===", flush=True)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    try:
        module, _, function = part.work.partition(":")
        work = getattr(importlib.import_module(module), function)
        work(lambda kind, **facts: told.send({"kind": kind, **facts}), **part.options)
    except BaseException as error:
        traceback.print_exc()
        first = next(iter(str(error).strip().splitlines()), "")
        told.send(f"{type(error).__name__}: {first}")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raises TimeoutError where this lasts longer; in the main thread."""

    def too_late(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"it took more than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, too_late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _show_where_it_is(process: Any) -> None:
    """Have the stacks of its threads written to the log."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGUSR1)
        process.join(0.5)


def _end(process: Any) -> None:
    """End the process and all that it started. One that hangs in a driver may outlive this."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.is_alive():
        process.kill()
    process.join(_TO_END)


def _cause_of_death(exitcode: int) -> str:
    if exitcode > 0:
        return f"its process ended with status {exitcode}"
    return f"its process was ended by {signal.Signals(-exitcode).name}"
