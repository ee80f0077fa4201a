"""One process per GPU, each with a GPU of its own; here with names in place of GPUs, and real processes."""

import multiprocessing
import os
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from lad.extraction.devices import DeviceError, free_one, taken

# A fresh interpreter each, as jobs are.
spawn = multiprocessing.get_context("spawn")
GPUS = ["GPU-a", "GPU-b"]


def work(folder: Path, seconds: float, told) -> None:
    with free_one(GPUS, folder) as index:
        began = time.monotonic()
        told.put(("began", os.getpid(), index))
        time.sleep(seconds)
        told.put(("ended", os.getpid(), index, began, time.monotonic()))


@pytest.fixture
def start(tmp_path):
    """Start a process that computes for some seconds: `start(0.2)`."""
    told, processes = spawn.Queue(), []

    def run(seconds: float):
        process = spawn.Process(target=work, args=(tmp_path / "locks", seconds, told))
        process.start()
        processes.append(process)
        return process

    yield run, told
    for process in processes:
        process.kill()
        process.join()


def test_four_processes_share_two_gpus_and_are_never_two_on_one(start):
    run, told = start
    processes = [run(0.4) for _ in range(4)]
    messages = [told.get(timeout=600) for _ in range(8)]
    assert [process.join(timeout=600) or process.exitcode for process in processes] == [0] * 4
    spans = [(index, began, ended) for what, _, index, *span in messages if what == "ended" for began, ended in [span]]
    assert {index for index, _, _ in spans} == {0, 1}
    for gpu in (0, 1):
        busy = sorted((began, ended) for index, began, ended in spans if index == gpu)
        assert all(ended <= began for (_, ended), (began, _) in pairwise(busy))


def test_a_killed_process_gives_its_gpu_back_and_one_that_waits_gets_it(start):
    run, told = start
    taken_by = {}
    for process in (run(3600), run(3600)):
        _, pid, index = told.get(timeout=600)
        taken_by[index] = pid
        assert process.is_alive()
    assert set(taken_by) == {0, 1}
    run(0)
    time.sleep(0.5)
    assert told.empty(), "both are taken: it has to wait"
    os.kill(taken_by[1], signal.SIGKILL)
    assert told.get(timeout=600)[2] == 1


def test_waiting_is_told_once(tmp_path, caplog, monkeypatch):
    rounds = []

    def wait_and_set_free_at_the_third_time(_seconds: float) -> None:
        rounds.append(1)
        if len(rounds) == 3:
            other.__exit__(None, None, None)

    monkeypatch.setattr("lad.extraction.devices.time.sleep", wait_and_set_free_at_the_third_time)
    other = free_one(["GPU-a"], tmp_path)
    assert other.__enter__() == 0
    with free_one(["GPU-a"], tmp_path) as index:
        assert index == 0
    assert [record.message for record in caplog.records] == ["all of 1 GPUs are taken; waiting for one"]


def test_a_gpu_is_known_by_its_identity_not_by_its_number(tmp_path):
    with free_one(["GPU-a", "GPU-b"], tmp_path) as first, free_one(["GPU-a", "GPU-b"], tmp_path) as second:
        assert (first, second) == (0, 1)
    with free_one(["GPU-a"], tmp_path) as alone, free_one(["GPU-b", "GPU-a"], tmp_path) as renumbered:
        assert (alone, renumbered) == (0, 0)


def test_a_cpu_is_nobodys(tmp_path):
    with taken("cpu") as one, taken("cpu") as other:
        assert one == other == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_real_gpu_is_taken_and_named_ones_are_used_without_waiting():
    with taken("cuda") as device:
        assert torch.zeros(1, device="cuda").device == torch.device(device)
        with taken(device) as named:
            assert named == device
    with pytest.raises(DeviceError, match=r"there is no such GPU; this process sees cuda:0"), taken("cuda:99"):
        pass
