"""Which GPU a process takes: `cuda` is one that no other process of this user has taken, `cuda:1` is that one.

A scheduler on a workstation counts GPUs (Snakemake: `--resources gpu=2`) but does not say which is whose. So each
process takes one by itself: it locks a file that stands for the GPU and keeps it locked for as long as it lives. The
kernel drops the lock when the process ends, however it ends; no list of who has what can go stale.

Where a scheduler does assign (Slurm sets CUDA_VISIBLE_DEVICES), the choice is among what it has assigned. GPUs are
told apart by their own identity, not by their number, which may mean another GPU in another process.
"""

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lad.refusal import Refusal

logger = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 0.5


class DeviceError(Refusal):
    """A GPU that is not there; the message says which are."""


@contextmanager
def taken(device: str) -> Iterator[str]:
    """The device to compute on, as torch names it, for the time of the context: of `cuda` one that is free.

    With a number, the user's word counts: that GPU is used whether or not it is taken. `cuda` waits while none is free.

    Raises:
        DeviceError: there is no GPU of that number.
        OSError: as of `free_one`.
    """
    import torch

    if not device.startswith("cuda") or not torch.cuda.is_available():
        # That there is no GPU is told where the model is loaded.
        yield device
        return
    identities = [_identity(index) for index in range(torch.cuda.device_count())]
    _, _, number = device.partition(":")
    if number:
        if int(number) >= len(identities):
            there = ", ".join(f"cuda:{index}" for index in range(len(identities)))
            raise DeviceError(f"device '{device}': there is no such GPU; this process sees {there}")
        # Locked all the same, if it can be, so that others leave it alone.
        lock = _lock(lock_folder(), identities[int(number)])
        try:
            torch.cuda.set_device(int(number))
            yield device
        finally:
            _unlock(lock)
        return
    with free_one(identities, lock_folder()) as index:
        # Else what asks torch for "the" GPU gets the first, and leaves memory there.
        torch.cuda.set_device(index)
        yield f"cuda:{index}"


def lock_folder() -> Path:
    """The folder of the locks: this user's, and the same for all processes of the machine."""
    return Path(tempfile.gettempdir()) / f"lad-gpus-{os.getuid()}"


@contextmanager
def free_one(identities: Sequence[str], folder: Path) -> Iterator[int]:
    """The index of an identity that no other process has, kept until the context ends; waits while there is none.

    Args:
        identities: what the GPUs are told apart by, in every process alike.
        folder: of the locks.

    Raises:
        OSError: the folder or a lock in it cannot be written.
    """
    lock, index = _first_free(identities, folder)
    if lock is None:
        logger.warning("all of %d GPUs are taken; waiting for one", len(identities))
    while lock is None:
        time.sleep(_PAUSE_SECONDS)
        lock, index = _first_free(identities, folder)
    try:
        yield index
    finally:
        _unlock(lock)


def _first_free(identities: Sequence[str], folder: Path) -> tuple[int | None, int]:
    for index, identity in enumerate(identities):
        if (lock := _lock(folder, identity)) is not None:
            return lock, index
    return None, -1


def _lock(folder: Path, identity: str) -> int | None:
    """The open lock, which closing or the process's end gives back; None if another process has it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / f"{identity}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _identity(index: int) -> str:
    """What is the same for this GPU in every process, whatever its number there."""
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    # Parts of one GPU may have the identity of the whole.
    if index < len(visible) and visible[index].strip().startswith("MIG-"):
        return visible[index].strip().replace("/", "-")
    return f"GPU-{torch.cuda.get_device_properties(index).uuid}"
