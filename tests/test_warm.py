"""Commands that are forked behave as commands that start on their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from signals_factory import random_signals

from lad import contracts, parquet, warm

LAD = str(Path(sys.executable).parent / "lad")


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """That of a job of one thread, in which commands are forked."""
    with warm.forking() as added:
        yield {**os.environ, **warm.ONE_THREAD, **added}


@pytest.fixture
def plain(environment) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name != warm.ADDRESS}


def run(environment: dict[str, str], *words: str, **how) -> tuple[int, str, str]:
    ended = subprocess.run([LAD, *words], env=environment, capture_output=True, text=True, check=False, **how)
    return ended.returncode, ended.stdout, ended.stderr


def forks() -> list[Path]:
    """Processes that were forked for a command of these tests: children of a process that forks, which is ours."""

    def parent(process: Path) -> str:
        return (process / "stat").read_text().rpartition(")")[2].split()[1]

    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if "lad.warm" in (process / "cmdline").read_text():
                found += [process] if parent(process.with_name(parent(process))) == str(os.getpid()) else []
        except OSError:
            continue
    return found


def until(condition) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.mark.parametrize(
    "words",
    [
        ("methods",),
        ("--help",),
        ("plan", "--config", "nowhere.yaml"),
        ("extract", "--probe"),
        ("sql", "SELECT 1", "--results", "nowhere"),
    ],
)
def test_a_fork_prints_and_ends_as_a_command_on_its_own(environment, plain, words, tmp_path):
    assert run(environment, *words, cwd=tmp_path) == run(plain, *words, cwd=tmp_path)


def asked(environment: dict[str, str], patch: pytest.MonkeyPatch, **changed: str) -> int | None:
    """How a command ended that was to be forked; None if it is left to run on its own."""
    for name in set(os.environ) - set(environment):
        patch.delenv(name)
    for name, value in {**environment, **changed}.items():
        patch.setenv(name, value)
    patch.setattr(sys, "argv", ["lad", "artifacts"])
    return warm._forked(environment[warm.ADDRESS])


@pytest.mark.parametrize("changed", [{"TMPDIR": "/"}, {"PATH": "/bin"}, {"PWD": "/"}])
def test_what_no_library_reads_when_it_is_imported_may_differ(environment, changed, monkeypatch, capfd):
    assert asked(environment, monkeypatch, **changed) == 0
    assert "fig1" in capfd.readouterr().out


@pytest.mark.parametrize("changed", [{"OMP_NUM_THREADS": "2"}, {"HF_HOME": "/elsewhere"}, {"SOMETHING": "new"}])
def test_in_another_environment_a_command_runs_on_its_own(environment, changed, monkeypatch):
    assert asked(environment, monkeypatch, **changed) is None


def test_with_another_checkout_a_command_runs_on_its_own(environment, monkeypatch):
    monkeypatch.setattr(warm, "__file__", "/elsewhere/lad/warm.py")
    assert asked(environment, monkeypatch) is None


@pytest.mark.parametrize("there", [False, True])
def test_where_nobody_forks_a_command_runs_on_its_own(plain, there, tmp_path):
    if there:
        (tmp_path / "socket").touch()
    outcome = run({**plain, warm.ADDRESS: str(tmp_path / "socket")}, "artifacts")
    assert outcome == run(plain, "artifacts")
    assert outcome[0] == 0


@pytest.mark.parametrize(
    ("words", "needs"),
    [
        (["extract", "--device", "cuda"], True),
        (["extract", "--device=cuda:1"], True),
        (["extract", "--device", "cpu"], False),
        (["extract", "--device=cpu"], False),
        (["score"], False),
    ],
)
def test_a_command_on_a_gpu_runs_on_its_own(words, needs):
    assert warm._needs_gpu(words) is needs


def test_a_fork_does_not_outlive_its_command(environment, tmp_path):
    os.mkfifo(tmp_path / "configuration.yaml")
    command = subprocess.Popen([LAD, "plan", "--config", str(tmp_path / "configuration.yaml")], env=environment)
    until(forks)
    command.kill()
    command.wait()
    until(lambda: not forks())


def test_a_command_ends_by_the_signal_that_ended_its_fork(environment, tmp_path):
    os.mkfifo(tmp_path / "configuration.yaml")
    command = subprocess.Popen([LAD, "plan", "--config", str(tmp_path / "configuration.yaml")], env=environment)
    until(forks)
    (fork,) = forks()
    os.kill(int(fork.name), 9)
    assert command.wait() == -9


def test_lad_warm_runs_a_command_and_ends_as_it_ends(plain, tmp_path):
    code, said, _ = run(plain, "warm", "sh", "-c", 'test -S "$LAD_WARM" && echo "$1"; exit 7', "sh", "--config")
    assert (code, said) == (7, "--config\n")
    assert run(plain, "warm")[0] == 2


@pytest.mark.parametrize("sent", ["INT", "TERM"])
def test_an_interrupted_command_ends_in_its_own_way(plain, tmp_path, sent):
    """As Snakemake does, which lets running jobs end and unlocks its folder."""
    script = f"trap 'sleep 2; exit 7' {sent}; touch begun; while :; do sleep 0.1; done"
    command = subprocess.Popen(
        [LAD, "warm", "sh", "-c", script],
        env=plain,
        cwd=tmp_path,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until((tmp_path / "begun").exists)
    if sent == "INT":
        os.killpg(command.pid, signal.SIGINT)  # as a terminal does
    else:
        command.terminate()
    assert command.wait() == 7


def test_what_a_fork_runs_is_imported_before(tmp_path):
    """Pyarrow imports pandas when it first hands over an array: half the time of a small command."""
    for split, rounds in (("calibration", None), ("evaluation", 3)):
        signals = random_signals(1, questions=12, rounds=rounds, split=split, heads=2)
        parquet.write(signals, tmp_path / f"{split}.parquet", contracts.SIGNALS)
    commands = [
        ["calibrate", "--signals", "calibration.parquet", "--out", "calibration"],
        [
            "score",
            "--signals",
            "evaluation.parquet",
            "--calibration",
            "calibration",
            "--method=agd",
            "--out",
            "p.parquet",
        ],
        ["evaluate", "--predictions", "p.parquet", "--out", "m.parquet", "--differences", "d.parquet"],
    ]
    program = (
        "import contextlib, sys\n"
        "from importlib import import_module\n"
        "from lad import warm\n"
        "for module in warm._IMPORTED: import_module(module)\n"
        "before = set(sys.modules)\n"
        f"for words in {commands}:\n"
        "    sys.argv = ['lad', *words]\n"
        "    with contextlib.suppress(SystemExit): import_module(warm._IMPORTED[0]).main()\n"
        "print(*{module.partition('.')[0] for module in set(sys.modules) - before} - {'typer'})\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.strip()) == (0, ""), ran.stderr
    assert (tmp_path / "d.parquet").exists()
