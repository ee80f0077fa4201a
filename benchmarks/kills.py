"""Commands and the whole pipeline, killed at random moments: `python -m benchmarks.kills --kills 1000`.

A small run of the demo's configuration is made once, undisturbed. Then a command of it - each stage's in turn, and
every so often the pipeline itself - begins anew on the same inputs, is killed with all its children at a random moment,
and runs again to its end. Its files must then be those of the undisturbed run: tables equal row by row, everything else
byte for byte. What is not is a loss.

Each kill is a line of a file (`--out`), written at once: a run that is stopped has its counts there, and the next one
with the same file goes on behind them (after the undisturbed run anew). The first line tells the seed; the same seed
kills at the same shares of a command's time, however often the run was stopped.
"""

import argparse
import contextlib
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import yaml

from lad.warm import ONE_THREAD, forking

ROOT: Final = Path(__file__).parents[1]
STAGES: Final = ("extract", "calibrate", "score", "evaluate", "bundle")
"""Commands that are killed on their own; each tenth kill is the pipeline's."""

_SAME, _LATE = "same", "done before the kill"
_FINE: Final = (_SAME, _LATE)
_TRIES: Final = 3
"""How often a command is begun that ends before it is killed."""
_NOT_COMPARED: Final = ("logs", ".snakemake", "finished", "timings")
"""What tells times, or keeps what was begun."""


def _configuration() -> dict[str, Any]:
    """The demo's, cut down to one setting of four candidates and a dozen questions, with absolute paths."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    checkpoint = str(ROOT / config["models"]["demo"]["checkpoint"])
    scenes = {**config["datasets"]["scenes"], "count": 60}
    scenes["embeddings"] = {**scenes["embeddings"], "checkpoint": checkpoint}
    once = {"models": ["demo"], "datasets": ["scenes"], "settings": ["random"], "n": [4], "probes": ["vanilla"]}
    return {
        **config,
        "results": "results",
        "models": {"demo": {"checkpoint": checkpoint}},
        "datasets": {"scenes": scenes},
        "benchmark": {**config["benchmark"], "questions": 12, "orders": 3},
        "scoring": {**config["scoring"], "methods": ["vanilla", "pride", "agd"]},
        "evaluation": {"resamples": 100},
        "runs": [once],
        "report": {"model": "demo", "dataset": "scenes", "artifacts": {"fig1": {"n": 4}}},
    }


@dataclass
class Run:
    """One command in a folder.

    Attributes:
        words: of the command.
        outputs: what it makes, relative to the folder; removed before it begins.
        seconds: how long it takes undisturbed, the last time that it was.
    """

    words: list[str]
    outputs: list[Path]
    seconds: float


class Kills:
    """An undisturbed run in `whole`, and folders beside it in which commands are killed."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.whole, self.folder, self.environment = folder / "whole", folder, environment
        self.whole.mkdir()
        (self.whole / "config.yaml").write_text(yaml.safe_dump(_configuration()))
        self.pipeline = self._timed(list(_SNAKEMAKE), [Path("results")])
        commands = self._commands()
        self.stages = {stage: self._timed(*commands[stage]) for stage in STAGES}

    def _commands(self) -> dict[str, tuple[list[str], list[Path]]]:
        """One command of each stage as Snakemake starts it, and the files that it makes."""
        said = self._finish(self.whole, [*_SNAKEMAKE, "--forceall", "--dry-run", "--printshellcmds"])
        found = {}
        for line in said.splitlines():
            command = line.removeprefix("Shell command:").strip().partition(" > ")[0]
            words = shlex.split(command) if command.startswith("lad ") else []
            if len(words) > 1 and words[1] in STAGES and words[1] not in found:
                out = Path(words[words.index("--out") + 1])
                # What extraction has finished is kept elsewhere: a rerun may look there, the first run may not.
                more = [Path(words[words.index("--finished") + 1])] if "--finished" in words else []
                found[words[1]] = (words, [out, *more])
        archive = Path("signals.tar")
        return {**found, "bundle": (["lad", "bundle", "--results", "results", "--out", str(archive)], [archive])}

    def _timed(self, words: list[str], outputs: list[Path]) -> Run:
        _remove(self.whole, outputs)
        began = time.perf_counter()
        self._finish(self.whole, words)
        return Run(words, outputs, time.perf_counter() - began)

    def _finish(self, folder: Path, words: list[str]) -> str:
        done = subprocess.run(words, cwd=folder, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(
                f"{shlex.join(words)} ended with {done.returncode}: {(done.stdout + done.stderr)[-800:]}"
            )
        return done.stdout + done.stderr

    def kill(self, run: Run, share: float) -> str:
        """Begin, kill after that share of the command's time, run again; as of `Kill.found`.

        A command that ended before its moment is begun anew: it tells how long it takes at the moment.
        """
        for _ in range(_TRIES):
            found = self._once(run, share)
            if found != _LATE:
                break
        return found

    def _once(self, run: Run, share: float) -> str:
        work = Path(tempfile.mkdtemp(dir=self.folder))
        shutil.copytree(self.whole, work, dirs_exist_ok=True, symlinks=True)
        _remove(work, run.outputs)
        child = subprocess.Popen(
            run.words,
            cwd=work,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        began = time.perf_counter()
        try:
            child.wait(share * run.seconds)
            run.seconds, found = time.perf_counter() - began, _LATE
        except subprocess.TimeoutExpired:
            found = _SAME
        finally:
            # Also where this very program is stopped.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        try:
            self._finish(work, run.words)
        except RuntimeError as error:
            return str(error)
        if differing := _differing(self.whole, work):
            return f"differ after a kill of {shlex.join(run.words[:2])}: {', '.join(differing[:5])}"
        shutil.rmtree(work)
        return found


_SNAKEMAKE: Final = [
    *("snakemake", "--snakefile", str(ROOT / "workflow" / "Snakefile"), "--configfile", "config.yaml", "--cores", "2"),
    *("--nolock", "--rerun-incomplete"),
]


def _remove(folder: Path, outputs: list[Path]) -> None:
    for output in (folder / one for one in outputs):
        if output.is_dir():
            shutil.rmtree(output)
        else:
            output.unlink(missing_ok=True)


def _differing(whole: Path, other: Path) -> list[str]:
    """The files that are not the same in both folders, or in one of them only."""
    ours, theirs = (_compared(folder) for folder in (whole, other))
    return sorted(
        str(path)
        for path in ours | theirs
        if path not in ours or path not in theirs or not _same(whole / path, other / path)
    )


def _compared(folder: Path) -> set[Path]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    # What a writer was killed over stays, hidden, and nobody reads it.
    return {
        path
        for path in files
        if path.suffix != ".partial" and not any(part.startswith(_NOT_COMPARED) for part in path.parts)
    }


def _same(one: Path, other: Path) -> bool:
    if one.suffix == ".parquet":
        # The metadata tell seconds.
        return bool(pq.read_table(one).equals(pq.read_table(other)))
    return one.suffix in _TELLS_TIMES or one.read_bytes() == other.read_bytes()


_TELLS_TIMES: Final = (".html", ".tar")
"""The report says how long things took, and a bundle holds the tables with their metadata; both must be there."""


@dataclass(frozen=True)
class Kill:
    """What came of one.

    Attributes:
        number: from 0.
        command: a stage, or the pipeline.
        share: of the command's time, after which it was killed.
        found: `same`, `done before the kill`, or what was lost.
        seconds: that it took, with the run to its end and the comparison.
    """

    number: int
    command: str
    share: float
    found: str
    seconds: float


class Record:
    """The kills so far, in a file of JSON lines."""

    def __init__(self, file: Path, seed: int) -> None:
        self.file = file
        self.kills: list[Kill] = []
        head = json.dumps({"seed": seed, "commit": _commit()})
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(head + "\n")
            return
        first, *lines = file.read_text().splitlines()
        if first != head:
            raise SystemExit(f"{file} is of another run: {first}, not {head}; name another file")
        # The last line may have been cut when the machine went down.
        self.kills = [Kill(**json.loads(line)) for line in lines if line.endswith("}")]

    def add(self, kill: Kill) -> None:
        self.kills.append(kill)
        with self.file.open("a") as lines:
            lines.write(json.dumps(asdict(kill)) + "\n")

    @property
    def lost(self) -> int:
        return sum(kill.found not in _FINE for kill in self.kills)

    def summary(self) -> str:
        """A line for each kind of command and what came of it."""
        told = Counter((kill.command, kill.found) for kill in self.kills)
        lines = [f"{command}: {times} x {found}" for (command, found), times in sorted(told.items())]
        return "\n".join([*lines, f"{len(self.kills)} kills, {self.lost} lost"])


def _commit() -> str:
    words = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


def main(kills: int, seed: int, file: Path, only: str | None = None) -> int:
    """Print progress, and a line for each kind of command; how many kills lost something."""
    record = Record(file, seed)
    print(f"{kills} kills, seed {seed}, {len(record.kills)} of them in {file} already", flush=True)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    try:
        with tempfile.TemporaryDirectory() as folder, forking() as warm:
            environment = {**os.environ, **ONE_THREAD, "PATH": path, **warm}
            runs = Kills(Path(folder), environment)
            for number in range(len(record.kills), kills):
                record.add(_one(runs, number, seed, only))
                if number % 20 == 19:
                    mean = sum(kill.seconds for kill in record.kills[-20:]) / 20
                    print(f"{number + 1} kills, {record.lost} lost, {mean:.1f} s each", flush=True)
    except KeyboardInterrupt:
        print("stopped; the same command goes on", flush=True)
    print(record.summary(), flush=True)
    return record.lost


def _one(runs: Kills, number: int, seed: int, only: str | None) -> Kill:
    command = only or ("pipeline" if number % 10 == 9 else STAGES[number % len(STAGES)])
    share, began = random.Random(f"{seed}/{number}").random(), time.perf_counter()
    found = runs.kill(runs.pipeline if command == "pipeline" else runs.stages[command], share)
    return Kill(number, command, round(share, 4), found, round(time.perf_counter() - began, 2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build/kills.jsonl"), help="where each kill is written")
    parser.add_argument("--only", choices=[*STAGES, "pipeline"], help="kill nothing else")
    given = parser.parse_args()
    # As an interrupt, so that what it showed so far is told.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(given.kills, given.seed, given.out, given.only) > 0)
