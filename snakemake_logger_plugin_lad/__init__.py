"""What `make` prints: one line of progress, each failure with the end of its log, and where the report is.

A logger plugin of Snakemake: `snakemake --logger lad`. Snakemake finds it by the name of this package and hands it each
record of its log, in a thread of its own. On a terminal, the line is redrawn in place. Elsewhere a line comes at every
tenth of the jobs and every half minute, without control characters. All that Snakemake itself says goes to
`.snakemake/log`.
"""

import io
import os
import re
import shutil
import sys
import time
from logging import WARNING, LogRecord
from pathlib import Path
from threading import Event, Thread
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_lad.progress import Job, Progress, clock

TAIL = 15  # lines of a failed job's log that are shown
REDRAWN, REPEATED = 0.5, 30.0  # seconds between two progress lines: on a terminal, elsewhere
EXIT = re.compile(r"returned non-zero (exit status \d+)|died with <Signals\.(\w+)")
KILLED = ("exit status 137", "SIGKILL")  # of the command, of the shell around it
LOST = re.compile(r"Job (\d+)\s+completed successfully, but")
# Where in its own code Snakemake met an error: of no use to those who have to mend a configuration.
PLACE = re.compile(r'(WorkflowError( in .*)?:|  File ".*", line \d+, in .*)$')
# What Snakemake says of every run, or beside what is said here in other words.
ROUTINE = re.compile(r"Exiting because a job|At least one job did not complete")


class LogHandler(LogHandlerBase):
    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self.stream = sys.stdout if self.common_settings.stdout else sys.stderr
        self.terminal = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self.progress = Progress()
        self.opened = time.time()
        self.here = Path.cwd()  # of the shell; `--directory` has the run elsewhere
        self.shown = (0.0, 0)  # elsewhere than on a terminal: when a line was last shown, and the tenths done by then
        self.verb = "at work"
        self.exit = self.report = self.full_log = ""
        self.interrupted = self.stopping = self.nothing = False
        self.closing = Event()
        self.clockwork = Thread(target=self._keep_time, daemon=True)
        self.clockwork.start()

    def emit(self, record: LogRecord) -> None:
        try:
            self._take(record, getattr(record, "event", None))
            self._draw(record.created)
        except Exception:  # as all handlers do: a fault of the log must not stop the run
            self.handleError(record)

    def _take(self, record: LogRecord, event: LogEvent | None) -> None:
        message, told = record.getMessage(), record.__dict__
        match event:
            case LogEvent.RUN_INFO if not self.progress.total:
                self._plan(dict(told["stats"]))
            case LogEvent.RESOURCES_INFO if "nodes" in told:
                self.verb = "submitted"
            case LogEvent.JOB_INFO:
                words = told["rule_msg"] or " ".join([told["rule_name"], *map(str, told["wildcards"].values())])
                self.progress.start(told["jobid"], Job(told["rule_name"], " ".join(words.split()), record.created))
            case LogEvent.JOB_FINISHED:
                self.progress.finish(told["job_id"], record.created)
            case LogEvent.PROGRESS:
                self.progress.done, self.progress.total = told["done"], told["total"]
            case LogEvent.JOB_ERROR:
                self._fail(told)
            case LogEvent.ERROR if ended := EXIT.search(message):  # of the job whose JOB_ERROR comes next
                how = ended[1] or ended[2]
                self.exit = f", {how}{': killed, as when memory runs out' if how in KILLED else ''}"
            case LogEvent.ERROR if told["exception"] == "LockException":
                self._say(f"Another run is at work in {Path.cwd()}.")
                self._say("If there is none, one was cut off: run `snakemake --unlock`, then the same command again.")
            case LogEvent.ERROR if told["exception"] == "WorkflowError":
                message = "\n".join(line for line in message.strip().split("\n") if not PLACE.match(line))
                self._note(record, message)
            case LogEvent.ERROR if lost := LOST.search(message):  # no JOB_ERROR follows
                self.progress.running.pop(int(lost[1]), None)
                self.progress.failed += 1
                self._say(f"\n{message}")
            case LogEvent.ERROR | None:
                self._note(record, message)

    def _note(self, record: LogRecord, message: str) -> None:
        """Takes up what Snakemake says in mere words, and passes on warnings and errors."""
        self.report = getattr(record, "report", self.report)  # the Snakefile's own record
        if message.startswith("Complete log"):
            self.full_log = message.partition(": ")[2]
        elif message.startswith("Nothing to be done"):
            self.nothing = True
        elif message.startswith(("Terminating processes on user request", "Cancelling snakemake on user request")):
            self.interrupted = True
        elif message.startswith("Will exit after finishing") and not self.stopping:
            self.stopping = True
            self._say("Stopping. The jobs that run now are finished first.")
        elif message.startswith("Trying to restart job"):
            self.progress.failed -= 1
            self._say("  It is tried again.")
        elif message.startswith("Unlocked") or (record.levelno >= WARNING and not ROUTINE.match(message)):
            self._say(message)

    def _plan(self, stats: dict[str, int]) -> None:
        self.progress.total, self.progress.planned = stats.pop("total"), stats
        if self.common_settings.dryrun:
            self._say(f"{self.progress.total} jobs would run:")
            self._say("\n".join(f"{count:7}  {rule}" for rule, count in stats.items()))
            self._say("Without --logger lad, Snakemake lists each job and says why it would run.")

    def _fail(self, told: dict[str, Any]) -> None:
        job = self.progress.running.pop(told["jobid"], None)
        if self.interrupted:
            return
        self.progress.failed += 1
        self._say(f"\nFailed: {job.words if job else told['rule_name']} (rule {told['rule_name']}{self.exit})")
        self.exit = ""
        if told["rule_msg"]:  # what the cluster says
            self._say(f"  {told['rule_msg'].partition('For further error details')[0]}")
        logs = {log: tail(Path(log)) for log in told["log"]}
        for lines in [lines for lines in logs.values() if lines][:1]:
            self._say("\n".join(f"  | {line}" for line in lines))
        for log, lines in logs.items():
            self._say(f"  {'The whole log' if lines else 'A log without a word'}: {self._from_here(log)}")

    def _draw(self, now: float) -> None:
        """The progress line: on a terminal in place of the last, elsewhere if there has been none for a while."""
        if self.common_settings.dryrun or not self.progress.total or self.closing.is_set():
            return
        line = self.progress.line(now, self.opened, self.verb)
        tenths = 10 * self.progress.done // self.progress.total
        if self.terminal:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r{line if len(line) <= width else line[: width - 3] + '...'}\x1b[K")
        elif self.progress.running and (tenths > self.shown[1] or now - self.shown[0] >= REPEATED):
            self.shown = (now, tenths)
            self._write(line + "\n")

    def _say(self, text: str) -> None:
        self._write(("\r\x1b[K" if self.terminal else "") + text + "\n")

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except BrokenPipeError:  # `| head`: who reads has enough, the run goes on
            self.stream = io.StringIO()

    def _from_here(self, path: str) -> Path:
        absolute = Path(path).absolute()
        return absolute.relative_to(self.here) if absolute.is_relative_to(self.here) else absolute

    def _keep_time(self) -> None:
        while not self.closing.wait(REDRAWN):
            self.acquire()
            try:
                self._draw(time.time())
            finally:
                self.release()

    def close(self) -> None:
        """The last words: what came of it, and where to look."""
        if self.closing.is_set():
            return
        self.closing.set()
        self.clockwork.join()
        done, total, failed = self.progress.done, self.progress.total, self.progress.failed
        well = self.nothing or 0 < total == done
        if self.nothing:
            self._say("Nothing to be done: all files that were asked for are there and up to date.")
        elif well:
            self._say(f"{total} jobs in {clock(time.time() - self.opened)}.")
        elif total and not self.common_settings.dryrun:
            word = "Interrupted" if self.interrupted else "Stopped"
            self._say(f"\n{word}: {done} of {total} jobs are done" + (f", {failed} failed." if failed else "."))
            self._say("The same command goes on from there.")
            self._say(f"Snakemake's full log: {self.full_log}")
        if well and self.report and Path(self.report).is_file():
            self._say(f"The report: {self._from_here(self.report)}")
        super().close()


def tail(path: Path) -> list[str]:
    """The last lines of a log, a redrawn line in its last state; none where the log is missing or empty."""
    text = path.read_bytes().decode(errors="replace").rstrip() if path.is_file() else ""
    return [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")[-TAIL:] if text]
