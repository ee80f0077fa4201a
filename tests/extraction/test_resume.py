"""Nothing is lost: kills, faults and a second process on the same presentations.

`python -m pytest tests/extraction/test_resume.py --kills 50` kills as often as you like.
"""

import os
import random
import resource
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from kills import extract_with_own_locks, files, fork
from signals_factory import of_an_earlier_version

from lad.extraction import extract as extraction
from lad.extraction import memory
from lad.extraction.extract import ExtractionError
from lad.extraction.features import ImageFeatures
from lad.extraction.inputs import InputError

SMALL_BATCHES = 400
"""A token budget of a few presentations per batch."""


@pytest.fixture
def run(cpu_extraction_of, tmp_path):
    """Extract on the CPU with finished work in a folder of this test: `run(evaluation=12)`."""

    def extract(finished: Path = tmp_path / "finished", **options):
        options = {"evaluation": 12, "token_budget": SMALL_BATCHES, **options}
        found = cpu_extraction_of(4, finished=finished, **options)
        return found.signals, found.metadata

    return extract


@pytest.fixture
def count_computed(monkeypatch):
    """How many presentations the model has read since: `count_computed()`."""
    sizes = []
    read = extraction.read_batch
    monkeypatch.setattr(
        extraction,
        "read_batch",
        lambda backbone, batch, *rest, **options: (
            sizes.append(len(batch.token_ids)) or read(backbone, batch, *rest, **options)
        ),
    )
    return lambda: sum(sizes)


def test_killed_at_any_moment_the_final_table_is_that_of_an_uninterrupted_run(run, tmp_path, request):
    started = time.perf_counter()
    whole, _ = run(tmp_path / "whole")
    seconds = time.perf_counter() - started
    for attempt in range(request.config.getoption("kills")):
        moment = random.Random(attempt).uniform(0, seconds)
        kill(run, tmp_path / f"killed-{attempt}", partial(time.sleep, moment))
        resume(run, tmp_path / f"killed-{attempt}", whole)


def test_killed_between_two_batches_the_final_table_is_that_of_an_uninterrupted_run(run, tmp_path):
    """The moment is not left to chance: some batches are kept, the last is not, and nothing is merged."""
    whole, _ = run(tmp_path / "whole")
    for attempt in range(20):
        finished = tmp_path / f"killed-{attempt}"
        kill(run, finished, partial(wait_for_files, finished, 2))
        kept = len(files(finished))
        resume(run, finished, whole)
        if kept > 1:
            return
    pytest.fail("no kill came while work was being done: the test shows nothing")


def kill(run, finished: Path, wait: Callable[[], None]) -> None:
    """Begin an extraction, wait, kill it."""
    child = fork.Process(target=extract_with_own_locks, args=(run, finished))
    child.start()
    wait()
    os.kill(child.pid, signal.SIGKILL)
    child.join()


def wait_for_files(finished: Path, count: int) -> None:
    """Or until a moment has passed by which an extraction that was not caught has merged its files."""
    deadline = time.monotonic() + 10
    while len(files(finished)) < count and time.monotonic() < deadline:
        time.sleep(0.0005)


def resume(run, finished: Path, whole) -> None:
    final, _ = run(finished)
    assert final.equals(whole)
    assert len(files(finished)) == 1


def test_finished_presentations_are_not_computed_again(run, count_computed):
    first, metadata = run()
    assert count_computed() == len(first) == 24
    second, again = run()
    assert count_computed() == 24
    assert second.equals(first)
    assert again["seconds"] == metadata["seconds"] > 0


def test_work_of_before_columns_were_renamed_is_found(run, count_computed, tmp_path):
    whole, _ = run(tmp_path / "whole")
    computed = count_computed()
    run(evaluation=6)
    for file in files(tmp_path / "finished"):
        of_an_earlier_version(file)
    assert run(evaluation=12)[0].equals(whole)
    assert count_computed() == computed + len(whole)


def test_work_outlives_a_longer_table_of_presentations(run, count_computed):
    run(evaluation=5)
    longer, _ = run(evaluation=12)
    assert count_computed() == len(longer)


def test_another_prompt_or_more_signals_is_other_work(run, count_computed):
    run(evaluation=1)
    run(evaluation=1, answer_text=True)
    run(evaluation=1, keep=["heads"])
    run(evaluation=1, probe="uppercase")
    assert count_computed() == 4 * 2


def test_an_unreadable_image_names_the_presentation_and_finished_work_stays(run, scenes, asked, images, tmp_path):
    run(evaluation=5)
    kept = count_finished(tmp_path / "finished")
    last = asked(4, 12)[0].to_pylist()[-1]
    name = next(row["file_name"] for row in images.to_pylist() if row["image_id"] == last["candidates"][0])
    path = scenes / "images" / name
    content = path.read_bytes()
    try:
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(InputError, match=rf"presentation scenes-\S+ cannot be shown: .*{name}: cannot be decoded"):
            run()
        path.unlink()
        with pytest.raises(InputError, match=rf"presentation scenes-\S+ cannot be shown: .*{name}: image missing"):
            run()
    finally:
        path.write_bytes(content)
    assert count_finished(tmp_path / "finished") == kept == 10


def test_infinity_names_the_presentation_and_finished_work_stays(run, monkeypatch, tmp_path):
    read = extraction.read_batch
    calls = []

    def overflow_in_the_third_batch(*args, **options):
        signals = read(*args, **options)
        calls.append(signals)
        if len(calls) == 3:
            with torch.inference_mode():
                signals.identifier_logits[1, 0] = torch.inf
        return signals

    monkeypatch.setattr(extraction, "read_batch", overflow_in_the_third_batch)
    with pytest.raises(ExtractionError, match=r"presentation scenes-random-n04-e\S+: identifier_logits holds inf"):
        run()
    assert len(files(tmp_path / "finished")) >= 2
    monkeypatch.setattr(extraction, "read_batch", read)
    kept = count_finished(tmp_path / "finished")
    table, _ = run()
    assert 0 < kept < len(table)


def test_a_full_disk_names_the_presentation_and_finished_work_stays(run, tmp_path):
    """A limit on the size of files stands for the disk: the kernel refuses the write half-way, as it does there."""
    whole, _ = run(tmp_path / "whole", evaluation=4)
    told = fork.Queue()

    def extract_on_a_full_disk():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = min(path.stat().st_size for path in files(tmp_path / "whole"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))
        try:
            run(evaluation=4)
        except ExtractionError as error:
            told.put(str(error))

    child = fork.Process(target=extract_on_a_full_disk)
    child.start()
    message = told.get(timeout=600)
    child.join()
    assert "the signals of presentation scenes-random-n04-e" in message
    assert "File too large" in message
    assert not list((tmp_path / "finished").rglob("*.partial"))
    assert run(evaluation=4)[0].equals(whole)


def test_two_processes_on_the_same_presentations_do_not_corrupt_each_other(run, tmp_path):
    whole, _ = run(tmp_path / "whole")
    told = fork.Queue()
    children = [fork.Process(target=lambda: told.put(run()[0].equals(whole))) for _ in range(2)]
    for child in children:
        child.start()
    assert [told.get(timeout=600) for _ in children] == [True, True]
    for child in children:
        child.join()
    assert run()[0].equals(whole)


def test_a_batch_that_memory_has_no_room_for_is_halved_and_later_ones_stay_small(extracted, monkeypatch):
    whole, _ = extracted(4, evaluation=6)
    read = extraction.read_batch
    sizes = []

    def need_a_petabyte_for_more_than_two(backbone, batch, *rest, **options):
        sizes.append(len(batch.token_ids))
        torch.empty(2**50 if len(batch.token_ids) > 2 else 1, dtype=torch.uint8)
        return read(backbone, batch, *rest, **options)

    monkeypatch.setattr(extraction, "read_batch", need_a_petabyte_for_more_than_two)
    halved, _ = extracted(4, evaluation=6)
    assert halved["presentation_id"].equals(whole["presentation_id"])
    assert sum(size > 2 for size in sizes) <= 2 < len(sizes)


def test_a_presentation_that_fits_only_without_the_kept_features_is_read(extracted, backbone, monkeypatch):
    whole, _ = extracted(4, evaluation=3)
    read = extraction.read_batch
    with ImageFeatures(backbone) as features:

        def need_a_petabyte_beside_kept_features(*args, **options):
            torch.empty(2**50 if features._tiers[0].used else 1, dtype=torch.uint8)
            return read(*args, **options)

        monkeypatch.setattr(extraction, "read_batch", need_a_petabyte_beside_kept_features)
        squeezed, _ = extracted(4, evaluation=3, features=features)
    assert squeezed["presentation_id"].equals(whole["presentation_id"])
    for name in ("identifier_logits", "candidate_attention"):
        np.testing.assert_allclose(np.array(squeezed[name].to_pylist()), np.array(whole[name].to_pylist()), atol=1e-4)


def test_a_presentation_that_does_not_fit_alone_is_named(extracted, monkeypatch):
    monkeypatch.setattr(extraction, "read_batch", lambda *_, **__: torch.empty(2**50, dtype=torch.uint8))
    with pytest.raises(
        ExtractionError, match=r"presentation scenes-random-n04-e\S+: there is not enough memory for one"
    ):
        extracted(4, evaluation=1)


def count_finished(folder: Path) -> int:
    import pyarrow.parquet as pq

    return sum(pq.ParquetFile(path).metadata.num_rows for path in files(folder))


def test_work_is_divided_until_it_fits():
    parts = memory.in_halves(lambda items: torch.empty(2**50 if len(items) > 2 else 1) is None or list(items), range(7))
    assert [part for _, part in parts] == [[0], [1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be reported later"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ],
)
def test_a_lack_of_memory_is_known_in_every_form(error):
    def fail_for_more_than(most):
        def work(items):
            if len(items) > most:
                raise error

        return work

    assert [part for part, _ in memory.in_halves(fail_for_more_than(1), [1, 2])] == [[1], [2]]
    with pytest.raises(memory.OutOfMemoryError) as caught:
        list(memory.in_halves(fail_for_more_than(0), [1, 2]))
    assert caught.value.item == 1
    assert str(caught.value) == (str(error).partition("\n")[0] or "MemoryError")


def test_a_single_item_is_tried_again_where_room_was_made():
    rooms = [0, 1, 2]
    tried = []

    def work(items):
        tried.append(items)
        torch.empty(2**50 if rooms else 1, dtype=torch.uint8)

    assert [part for part, _ in memory.in_halves(work, [1], lambda: bool(rooms) and rooms.pop() >= 0)] == [[1]]
    assert tried == [[1]] * 4


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    with pytest.raises(RuntimeError, match="inconsistent tensor size"):
        list(memory.in_halves(lambda items: torch.zeros(2) @ torch.zeros(3), [1, 2]))
