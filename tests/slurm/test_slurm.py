"""The pipeline on a real Slurm, undisturbed and disturbed: `make test-slurm`.

The grid is the demo's, reduced. Every disturbance meets the extraction of a cell of its own while presentations are
being read; `recorded/lad` counts what is read. At last the disturbed grid is completed and its tables are compared with
those of a run that nothing disturbed.
"""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from cluster import Cluster, wait_until
from pipeline import Pipeline, Run, Work

pytestmark = pytest.mark.slurm

DISTURBED = {"cancelled": 4, "requeued": 5, "controller": 6, "drained": 7}
"""Which number of candidates which disturbance meets."""

AT_A_TIME = {"extraction": {"device": "cpu", "dtype": "float32", "threads": 1, "token_budget": 1}}
"""One presentation per batch: slow, so that there is time to disturb, and honest, as more presentations would be."""


def tables(pipeline: Pipeline) -> dict[str, bytes | pa.Table]:
    """Content of every final table: Parquet as rows, table 1 as bytes."""
    found: dict[str, bytes | pa.Table] = {}
    for relation in ("signals", "predictions", "metrics"):
        for path in sorted((pipeline.results / relation).rglob("*.parquet")):
            found[str(path.relative_to(pipeline.results))] = content(path)
    for path in sorted((pipeline.results / "artifacts").glob("table1.*")):
        found[path.name] = path.read_bytes()
    return found


def content(path: Path) -> pa.Table:
    """The rows, without the facts about the run that the file keeps beside them."""
    return pq.ParquetFile(path).read().replace_schema_metadata()


def differing(one: Pipeline, other: Pipeline) -> list[str]:
    first, second = tables(one), tables(other)
    assert first
    assert first.keys() == second.keys()
    return [name for name in first if first[name] != second[name]]


def rows(path: Path) -> int:
    return pq.ParquetFile(path).metadata.num_rows


UNDER_WAY = 3
"""Presentations that a kill may cost: one that was just read, and two that wait to be written."""


@pytest.fixture(scope="module")
def local(grid) -> tuple[Pipeline, float]:
    pipeline, started = grid("local", [3, 4], questions=150), time.monotonic()
    pipeline.run_locally()
    return pipeline, time.monotonic() - started


@pytest.fixture(scope="module")
def on_slurm(grid, cluster) -> tuple[Pipeline, float, dict[str, str]]:
    """With the seconds that it took, and the GPU that Slurm gave each job."""
    pipeline, started, given = grid("on_slurm", [3, 4], questions=150, cluster=cluster), time.monotonic(), {}
    run = pipeline.start()
    while run.process.poll() is None:
        given.update(gpus_given(cluster))
        time.sleep(0.5)
    run.wait()
    return pipeline, time.monotonic() - started, given


def gpus_given(cluster: Cluster) -> dict[str, str]:
    """Which GPU Slurm has given each running job, by its own records."""
    jobs = cluster.run("scontrol", "show", "job", "--details").split("JobId=")
    return {job.split()[0]: gpu[1] for job in jobs if (gpu := re.search(r"GRES=gpu:pretend:1\(IDX:(\d)\)", job))}


def test_every_table_equals_that_of_a_local_run(local, on_slurm, told):
    assert differing(local[0], on_slurm[0]) == []
    told(f"the reduced demo takes {local[1]:.0f} s locally and {on_slurm[1]:.0f} s through Slurm")


def test_two_jobs_run_at_once_each_with_a_gpu_of_its_own(on_slurm, told):
    pipeline, _, given = on_slurm
    work = pipeline.work()
    assert {one.job: one.gpus for one in work} == given, "what Slurm gave is what the job sees"
    pairs = [(a, b) for a in work for b in work if a.gpus == "0" and b.gpus == "1"]
    together = [(a, b) for a, b in pairs if max(a.first, b.first) < min(a.last, b.last)]
    assert together
    told(f"jobs on GPU 0 and GPU 1 read presentations at the same time: {[(a.job, b.job) for a, b in together]}")


def test_a_second_run_has_nothing_to_do(on_slurm):
    assert "Nothing to be done" in on_slurm[0].start().wait()


@pytest.fixture(scope="module")
def undisturbed(grid) -> Pipeline:
    """The grid of the disturbances, run locally with large batches."""
    pipeline = grid("undisturbed", [*DISTURBED.values()], questions=100)
    pipeline.run_locally()
    return pipeline


@pytest.fixture(scope="module")
def disturbed(grid, cluster, at_its_limit) -> Pipeline:
    """The same grid with its benchmark built, ready to be extracted through Slurm."""
    pipeline = grid("disturbed", [*DISTURBED.values()], questions=100, cluster=cluster, **AT_A_TIME)
    pipeline.run_locally("--until", "build_presentations")
    return pipeline


@pytest.fixture(scope="module")
def at_its_limit(grid, cluster) -> Iterator[tuple[Pipeline, Run]]:
    """A job of minutes with a limit of one minute, under way while others are disturbed."""
    pipeline = grid("at_its_limit", [12], questions=160, orders=40, cluster=cluster, **AT_A_TIME)
    pipeline.run_locally("--until", "build_presentations")
    run = pipeline.start(str(pipeline.signals(12)), resources={"runtime": "attempt"})
    yield pipeline, run
    run.interrupt()


@pytest.fixture(scope="module")
def hit(disturbed, cluster) -> dict[str, str]:
    """The job that each disturbance hit, as soon as it had read 100 presentations; all are at work in one run."""

    def restart_controller(job: str) -> None:
        cluster.kill_controller()
        time.sleep(3)
        cluster.start_controller()

    disturb: dict[str, Callable[[str], object]] = {
        "cancelled": lambda job: cluster.run("scancel", job),
        "requeued": lambda job: cluster.run("scontrol", "requeue", job),
        "controller": restart_controller,
    }
    signals = {name: disturbed.signals(DISTURBED[name]) for name in disturb}
    hit: dict[str, str] = {}
    run = disturbed.start(*map(str, signals.values()))
    while hit.keys() != disturb.keys():
        assert run.process.poll() is None, f"only {list(hit)} were disturbed: {run.said.read_text()[-3000:]}"
        for name in disturb.keys() - hit.keys():
            if (work := disturbed.work(signals[name])) and work[0].done >= 100:
                disturb[name](work[0].job)
                hit[name] = work[0].job
        time.sleep(0.05)
    run.wait()
    return hit


def test_a_cancelled_job_goes_on_where_it_stopped(disturbed, hit, cluster, told):
    signals = disturbed.signals(DISTURBED["cancelled"])
    first, second = disturbed.work(signals)
    assert first.job == hit["cancelled"] != second.job
    assert state(cluster, first.job).startswith("CANCELLED")
    told(f"scancel: {account_for(signals, [first, second])}")


def test_a_requeued_job_goes_on_where_it_stopped(disturbed, hit, told):
    """What Slurm does to a job that it preempts, or whose node fails."""
    signals = disturbed.signals(DISTURBED["requeued"])
    first, second = disturbed.work(signals)
    assert first.job == hit["requeued"] == second.job
    told(f"requeue: {account_for(signals, [first, second])}")


def test_jobs_outlive_a_controller_that_is_killed_and_started_again(disturbed, hit, told):
    signals = disturbed.signals(DISTURBED["controller"])
    (only,) = disturbed.work(signals)
    assert only.job == hit["controller"]
    assert only.done == rows(signals)
    told(f"controller killed for 3 s: {account_for(signals, [only])}")


def test_a_drained_node_ends_its_jobs_and_the_next_wait_until_it_is_resumed(disturbed, hit, cluster, told):
    """Calibration follows the extraction of its own split, and so is submitted to a drained node."""
    signals = disturbed.signals(DISTURBED["drained"], "calibration")
    run = disturbed.start("--until", "calibrate", "--", str(disturbed.position_bias(DISTURBED["drained"])))
    run.wait_for_work(signals, 1)
    cluster.run("scontrol", "update", f"NodeName={cluster.host}", "State=DRAIN", "Reason=test")
    reasons = ("squeue", "--noheader", "--states=PENDING", "--format=%r")
    wait_until(lambda: "DRAINED" in cluster.run(*reasons), "a job that waits for the drained node")
    cluster.run("scontrol", "update", f"NodeName={cluster.host}", "State=RESUME")
    run.wait()
    (only,) = disturbed.work(signals)
    assert only.done == rows(signals)
    told(f"drained and resumed: {account_for(signals, [only])}")


@pytest.mark.parametrize(
    ("site", "resources", "message"),
    [
        ({"gpu_partition": "nowhere"}, {}, "invalid partition specified: nowhere"),
        ({"account": "nobody"}, {}, "The given account nobody appears to be invalid. Available accounts"),
        ({}, {"gpu": 3}, "Requested node configuration is not available"),
    ],
    ids=["partition", "account", "GPUs"],
)
def test_what_slurm_cannot_give_is_an_error_that_says_so(disturbed, told, site, resources, message):
    signals = disturbed.signals(DISTURBED["cancelled"], "calibration")
    said = disturbed.start(str(signals), site=site, resources=resources).fail()
    assert message in said
    assert not signals.exists()
    told(f"'{message}' is said {said.count(message)} times")


def test_a_job_at_its_time_limit_gets_a_longer_one_and_goes_on_where_it_stopped(grid, at_its_limit, cluster, told):
    """Compared with an undisturbed run of the first four of its forty orders, else the test would take too long."""
    whole = grid("within_its_limit", [12], questions=160, orders=4, **AT_A_TIME)
    whole.run_locally(str(whole.signals(12)))
    pipeline, run = at_its_limit
    run.wait()
    signals = pipeline.signals(12)
    work = pipeline.work(signals)
    states = [state(cluster, one.job) for one in work]
    assert states[0] == "TIMEOUT"
    assert states[-1] == "COMPLETED"
    limits = [cluster.run("sacct", "-X", "-n", "-P", "-o", "timelimit", "-j", one.job).strip() for one in work]
    assert limits[:2] == ["00:01:00", "00:02:00"]
    assert rows(signals) == 160 * 40
    first_orders = content(signals).filter(pc.field("round") < 4)
    assert first_orders.sort_by("presentation_id") == content(whole.signals(12)).sort_by("presentation_id")
    told(f"time limits {', '.join(limits)}: {account_for(signals, work)}")


def test_after_all_that_every_table_equals_that_of_an_undisturbed_run(undisturbed, disturbed):
    disturbed.run_locally()
    assert differing(undisturbed, disturbed) == []


def state(cluster: Cluster, job: str) -> str:
    return cluster.run("sacct", "-X", "-n", "-P", "-o", "state", "-j", job).strip()


def account_for(signals: Path, work: list[Work]) -> str:
    """What was read, in how many processes and how much of it twice: at most what was under way at each end."""
    presentations, read = rows(signals), sum(one.done for one in work)
    lost = sum(one.begun - one.done for one in work)
    assert 0 <= read - presentations <= UNDER_WAY * (len(work) - 1)
    assert lost <= len(work) - 1
    return (
        f"{presentations} presentations, read in {len(work)} processes ({', '.join(str(one.done) for one in work)});"
        f" {read - presentations} read twice, {lost} begun and lost"
    )
