"""Snakemake's scheduler is woken by one timer at a time, however many jobs have ended."""

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

from snakemake.scheduling.job_scheduler import JobScheduler

from lad.scheduler import wake_once

SNAKEFILE = """
from snakemake.scheduling.job_scheduler import JobScheduler
from lad.scheduler import wake_once

wake_once()
looks = []
select = JobScheduler.job_selector
JobScheduler.job_selector = lambda self, jobs: looks.append(len(jobs)) or select(self, jobs)

rule all:
    input:
        expand("slow/{k}", k=range(3)),

rule quick:
    output:
        "quick/{k}",
    shell:
        "touch {output}"

rule slow:
    input:
        expand("quick/{k}", k=range(12)),
    output:
        "slow/{k}",
    shell:
        "sleep 2; touch {output}"

onsuccess:
    print("looked", len(looks), "times", file=sys.stderr)
"""


def test_a_pipeline_looks_for_jobs_about_as_often_as_one_ends(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    (looks,) = re.findall(r"looked (\d+) times", run.stderr)
    # 16 jobs and 6 s of waiting; it would look some 80 times if each job left a timer behind.
    assert int(looks) < 16 + 25


class Waiting:
    """As much of a scheduler as a timer needs."""

    def __init__(self) -> None:
        self._open_jobs = threading.Semaphore(0)

    def woken(self) -> int:
        times = 0
        while self._open_jobs.acquire(blocking=False):
            times += 1
        return times


def test_who_asks_often_is_woken_once_and_then_may_ask_again(monkeypatch):
    monkeypatch.setattr(JobScheduler, "_schedule_reevalutation", JobScheduler._schedule_reevalutation)
    wake_once()
    one, other = Waiting(), Waiting()
    for _ in range(50):
        JobScheduler._schedule_reevalutation(one, 0.1)
    JobScheduler._schedule_reevalutation(other, 0.1)
    time.sleep(0.4)
    assert (one.woken(), other.woken()) == (1, 1)
    JobScheduler._schedule_reevalutation(one, 0.1)
    time.sleep(0.4)
    assert one.woken() == 1
