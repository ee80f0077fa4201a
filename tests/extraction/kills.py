"""Extractions in forked processes that a test kills."""

import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

# A forked child has the model at hand and can be killed within milliseconds of its start.
fork = multiprocessing.get_context("fork")


def extract_with_own_locks(run: Callable[[Path], object], finished: Path) -> None:
    # tqdm's lock is one for all forked processes: killed while it holds it, the child would stop its parent for ever.
    tqdm.set_lock(threading.RLock())
    run(finished)


def files(folder: Path) -> list[Path]:
    """The finished batches that are kept there."""
    return sorted(folder.glob("*/*.parquet"))
