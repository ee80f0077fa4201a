"""The pipeline in a folder of its own, run locally or through Slurm, and what was computed where."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from cluster import Cluster, wait_until

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
PROFILE = ROOT / "workflow" / "profiles" / "slurm" / "config.yaml"
CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
PATIENCE = 1200
"""Seconds after which a run counts as stuck. No test waits so long for what succeeds, even on a slow machine."""


@dataclass(frozen=True)
class Work:
    """What one process of `lad extract` did, as tests/slurm/recorded/lad wrote it down.

    Attributes:
        table: the signals that it writes.
        job: Slurm's id of the job.
        gpus: ids of the GPUs that the process sees (CUDA_VISIBLE_DEVICES).
        begun: presentations given to the model.
        done: presentations that the model has read.
        first, last: when the model began and last was done, seconds since the epoch.
    """

    table: Path
    job: str
    gpus: str
    begun: int
    done: int
    first: float
    last: float


@dataclass
class Pipeline:
    """One grid in a folder of its own, run locally or through Slurm.

    Args:
        folder: where the configuration, the results and what was recorded lie.
        config: what differs from the demo's configuration.
        cluster: needed to run through Slurm.
    """

    folder: Path
    config: dict
    cluster: Cluster | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.results = self.folder / "results"
        self.record = self.folder / "record"
        self.record.mkdir(exist_ok=True)
        self.config = {**CONFIG, **self.config, "results": str(self.results)}
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config))

    def signals(self, n: int, split: str = "evaluation") -> Path:
        keys = f"model=demo/dataset=scenes/setting=random/n={n}/probe=vanilla/split={split}"
        return self.results / "signals" / keys / "signals.parquet"

    def position_bias(self, n: int) -> Path:
        cell = f"model=demo/dataset=scenes/setting=random/n={n}/probe=vanilla"
        calibration = "split=calibration/calibration_set=1/calibration_questions=5"
        return self.results / "calibration" / cell / calibration / "position_bias.parquet"

    def run_locally(self, *targets: str) -> str:
        """What Snakemake says of a run on this machine's own cores that has to succeed."""
        environment = {**os.environ, "PATH": path_with(BIN, before=os.environ["PATH"])}
        return self._start([BIN / "snakemake", "--cores", "2"], environment, *targets).wait()

    def start(self, *targets: str, resources: dict | None = None, site: dict | None = None) -> "Run":
        """Start a run through Slurm, with the shipped profile as this site edits it.

        Args:
            targets: files or rules, else everything.
            resources: of extraction jobs, where they differ from the profile's.
            site: settings of the profile's first lines that differ from the right ones.
        """
        assert self.cluster is not None
        profile = yaml.safe_load(PROFILE.read_text())
        right = {"account": self.cluster.account, "partition": "cpu", "gpu_partition": "gpu", "gpu_model": "pretend"}
        assert profile["__variables__"].keys() == right.keys()
        profile["__variables__"] = {**right, **(site or {})}
        # The demo's device is the CPU, so its rules ask for no GPU.
        profile["set-resources"]["extract_signals"].update({"gpu": 1, **(resources or {})})
        # A site's setting too: how long a file may take to appear.
        profile.update({"latency-wait": 30})
        (self.folder / "profile").mkdir(exist_ok=True)
        (self.folder / "profile" / "config.yaml").write_text(yaml.safe_dump(profile, sort_keys=False))
        environment = {
            **self.cluster.environment,
            "PATH": path_with(Path(__file__).parent / "recorded", BIN, before=self.cluster.environment["PATH"]),
            "LAD_RECORD": str(self.record),
        }
        logs = f"--slurm-logdir={self.folder / 'slurm_logs'}"
        command = [sys.executable, Path(__file__).with_name("impatient.py")]
        return self._start(command, environment, "--workflow-profile", str(self.folder / "profile"), logs, *targets)

    def work(self, table: Path | None = None) -> list[Work]:
        """What each process of `lad extract` did, or of those that write this table, in the order of their start."""
        work = map(_read_record, self.record.glob("*.jsonl"))
        return sorted((one for one in work if table in (None, one.table)), key=lambda one: one.first)

    def hold(self, table: Path, after: int) -> "Hold":
        """Let the first process that writes this table pause once it has read so many presentations.

        To be said before a job may look for it, and released once one has read so many, or not at all.
        """
        file = self.record / f"{time.time_ns()}.hold"
        file.write_text(json.dumps({"table": str(table), "after": after}))
        return Hold(file)

    def _start(self, snakemake: list[str | Path], environment: dict[str, str], *arguments: str) -> "Run":
        said = self.folder / f"said-{time.time_ns()}.txt"
        with said.open("wb") as file:
            process = subprocess.Popen(
                [*snakemake, "--configfile", str(self.folder / "config.yaml"), "--nolock", *arguments],
                cwd=ROOT,
                env=environment,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        return Run(self, process, said)


@dataclass(frozen=True)
class Hold:
    """A process that pauses, or will, as `recorded/lad` reads it."""

    file: Path

    def release(self) -> None:
        self.file.with_suffix(".held").unlink()


@dataclass
class Run:
    """Snakemake under way."""

    pipeline: Pipeline
    process: "subprocess.Popen[bytes]"
    said: Path

    def wait(self) -> str:
        """What Snakemake said, once it has succeeded."""
        return self._end(succeeds=True)

    def fail(self) -> str:
        """What Snakemake said, once it has failed."""
        return self._end(succeeds=False)

    def wait_for_work(self, table: Path, presentations: int) -> Work:
        """The first process that writes this table, as soon as the model has read so many presentations in it."""

        def reached() -> bool:
            assert self.process.poll() is None, f"ended before it was disturbed: {self.said.read_text()[-3000:]}"
            return any(work.done >= presentations for work in self.pipeline.work(table))

        wait_until(reached, f"{presentations} presentations of {table}", seconds=PATIENCE)
        return self.pipeline.work(table)[0]

    def interrupt(self) -> None:
        """As Ctrl-C does: Snakemake cancels its jobs and ends."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
            self.process.wait(timeout=PATIENCE)

    def _end(self, succeeds: bool) -> str:
        try:
            self.process.wait(timeout=PATIENCE)
        finally:
            self.interrupt()
        said = self.said.read_text()
        assert (self.process.returncode == 0) == succeeds, said[-3000:]
        return said


def path_with(*folders: Path, before: str) -> str:
    return os.pathsep.join([*map(str, folders), before])


def _read_record(path: Path) -> Work:
    started, *events = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    counts = {kind: sum(event["presentations"] for event in events if event["event"] == kind) for kind in COUNTED}
    times = [event["time"] for event in events] or [started["time"]]
    return Work(Path(started["table"]), started["job"], started["gpus"], **counts, first=times[0], last=times[-1])


COUNTED = ("begun", "done")
