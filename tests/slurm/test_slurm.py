"""The pipeline on a real Slurm, undisturbed and disturbed: `make test-slurm`.

The grid is the demo's, reduced. Every disturbance meets the extraction of a cell of its own while presentations are
being read; `recorded/lad` counts what is read. At last the disturbed grid is completed and its tables are compared with
those of a run that nothing disturbed.

Nothing here is a matter of seconds. A job that is to be disturbed is held before its end, so that it is surely at work;
and a test waits for what it waits for, on a slow machine longer.
"""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cluster import Cluster, wait_until
from pipeline import PATIENCE, Pipeline, Run, Work

pytestmark = pytest.mark.slurm

N = (4, 5, 6)

DISTURBED = {
    "cancelled": (4, "evaluation"),
    "requeued": (5, "evaluation"),
    "controller": (6, "evaluation"),
    "drained": (4, "calibration"),
    "limited": (6, "calibration"),
}
"""The number of candidates and the split of the extraction that a disturbance meets."""

READ = 10
"""Presentations that a job has read, of 20 to 60, when it is disturbed."""


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
    pipeline, started = grid("local", [4]), time.monotonic()
    pipeline.run_locally()
    return pipeline, time.monotonic() - started


@pytest.fixture(scope="module")
def on_slurm(grid, cluster) -> tuple[Pipeline, float, dict[str, str]]:
    """With the seconds that it took, and the GPU that Slurm gave each job.

    Each of the two extractions waits, after its first presentations, until the other has read some, too.
    """
    pipeline, started = grid("on_slurm", [4], cluster=cluster), time.monotonic()
    extractions = [pipeline.signals(4, split) for split in ("evaluation", "calibration")]
    holds = [pipeline.hold(signals, after=READ) for signals in extractions]
    run = pipeline.start()
    for signals in extractions:
        run.wait_for_work(signals, READ)
    given = gpus_given(cluster)
    for hold in holds:
        hold.release()
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
    one, other = pipeline.work()
    assert {one.job: one.gpus, other.job: other.gpus} == given, "what Slurm gave is what the job sees"
    assert {one.gpus, other.gpus} == {"0", "1"}
    assert max(one.first, other.first) < min(one.last, other.last)
    told(f"jobs {one.job} and {other.job} read presentations at the same time, on GPUs {one.gpus} and {other.gpus}")


def test_a_second_run_has_nothing_to_do(on_slurm):
    assert "Nothing to be done" in on_slurm[0].start().wait()


@pytest.fixture(scope="module")
def undisturbed(grid) -> Pipeline:
    """The grid of the disturbances, run locally."""
    pipeline = grid("undisturbed", [*N])
    pipeline.run_locally()
    return pipeline


@pytest.fixture(scope="module")
def disturbed(grid, cluster) -> Pipeline:
    """The same grid with its benchmark built, ready to be extracted through Slurm."""
    pipeline = grid("disturbed", [*N], cluster=cluster)
    pipeline.run_locally("--until", "build_presentations")
    return pipeline


@pytest.fixture(scope="module")
def at_its_limit(disturbed) -> Iterator[Run]:
    """A job with a limit of one minute that pauses until it meets it, while others are disturbed."""
    signals = disturbed.signals(*DISTURBED["limited"])
    disturbed.hold(signals, after=READ)
    run = disturbed.start(str(signals), resources={"runtime": "attempt"})
    run.wait_for_work(signals, READ)
    yield run
    run.interrupt()


@pytest.fixture(scope="module")
def hit(disturbed, cluster, at_its_limit) -> dict[str, str]:
    """The job that each disturbance hit, as soon as it had read some presentations; all are at work in one run."""
    signals = {name: disturbed.signals(*DISTURBED[name]) for name in ("cancelled", "requeued", "controller")}
    holds = {name: disturbed.hold(table, after=50) for name, table in signals.items()}

    def restart_controller(job: str) -> None:
        cluster.kill_controller()
        run.wait_for_work(signals["controller"], 50)
        cluster.start_controller()
        holds["controller"].release()

    disturb: dict[str, Callable[[str], object]] = {
        "cancelled": lambda job: cluster.run("scancel", job),
        "requeued": lambda job: cluster.run("scontrol", "requeue", job),
        "controller": restart_controller,
    }
    hit: dict[str, str] = {}
    run = disturbed.start(*map(str, signals.values()))
    while hit.keys() != disturb.keys():
        assert run.process.poll() is None, f"only {list(hit)} were disturbed: {run.said.read_text()[-3000:]}"
        for name in disturb.keys() - hit.keys():
            if (work := disturbed.work(signals[name])) and work[0].done >= READ:
                disturb[name](work[0].job)
                hit[name] = work[0].job
        time.sleep(0.05)
    run.wait()
    return hit


def test_a_cancelled_job_goes_on_where_it_stopped(disturbed, hit, cluster, told):
    signals = disturbed.signals(*DISTURBED["cancelled"])
    first, second = disturbed.work(signals)
    assert first.job == hit["cancelled"] != second.job
    assert state(cluster, first.job).startswith("CANCELLED")
    told(f"scancel: {account_for(signals, [first, second])}")


def test_a_requeued_job_goes_on_where_it_stopped(disturbed, hit, told):
    """What Slurm does to a job that it preempts, or whose node fails."""
    signals = disturbed.signals(*DISTURBED["requeued"])
    first, second = disturbed.work(signals)
    assert first.job == hit["requeued"] == second.job
    told(f"requeue: {account_for(signals, [first, second])}")


def test_jobs_outlive_a_controller_that_is_killed_and_started_again(disturbed, hit, told):
    signals = disturbed.signals(*DISTURBED["controller"])
    (only,) = disturbed.work(signals)
    assert only.job == hit["controller"]
    assert only.done == rows(signals)
    told(f"controller killed and started again: {account_for(signals, [only])}")


def test_a_drained_node_ends_its_jobs_and_the_next_wait_until_it_is_resumed(disturbed, hit, cluster, told):
    """Calibration follows the extraction of its own split, and so is submitted to a drained node."""
    signals = disturbed.signals(*DISTURBED["drained"])
    hold = disturbed.hold(signals, after=1)
    run = disturbed.start("--until", "calibrate", "--", str(disturbed.position_bias(DISTURBED["drained"][0])))
    run.wait_for_work(signals, 1)
    cluster.run("scontrol", "update", f"NodeName={cluster.host}", "State=DRAIN", "Reason=test")
    hold.release()
    reasons = ("squeue", "--noheader", "--states=PENDING", "--format=%r")
    wait_until(lambda: "DRAINED" in cluster.run(*reasons), "a job that waits for the drained node", PATIENCE)
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
    signals = disturbed.signals(5, "calibration")
    said = disturbed.start(str(signals), site=site, resources=resources).fail()
    assert message in said
    assert not signals.exists()
    told(f"'{message}' is said {said.count(message)} times")


def test_a_job_at_its_time_limit_gets_a_longer_one_and_goes_on_where_it_stopped(disturbed, at_its_limit, cluster, told):
    """A machine may be so slow that a job meets its limit before it reads anything; then it is the next that counts."""
    at_its_limit.wait()
    signals = disturbed.signals(*DISTURBED["limited"])
    first, second = (one for one in disturbed.work(signals) if one.begun)
    assert [state(cluster, one.job) for one in (first, second)] == ["TIMEOUT", "COMPLETED"]
    limits = [minutes_allowed(cluster, one.job) for one in (first, second)]
    assert limits[1] == limits[0] + 1
    told(f"time limits of {limits} min: {account_for(signals, [first, second])}")


def test_after_all_that_every_table_equals_that_of_an_undisturbed_run(undisturbed, disturbed):
    disturbed.run_locally()
    assert differing(undisturbed, disturbed) == []


def state(cluster: Cluster, job: str) -> str:
    return cluster.run("sacct", "-X", "-n", "-P", "-o", "state", "-j", job).strip()


def minutes_allowed(cluster: Cluster, job: str) -> int:
    return int(cluster.run("sacct", "-X", "-n", "-P", "-o", "timelimitraw", "-j", job))


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
