"""What `benchmarks.gpu` measures on a card: one function for each part, called in a process of its own.

Each tells its numbers as it has them, and raises where something is wrong: a difference that is too large, a test that
fails. Numbers that miss an aim are told, not raised.
"""

# mypy: disallow-untyped-calls=False

import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest import mock

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from benchmarks import extraction, geometries
from benchmarks.counted import LiveBytes
from benchmarks.guarded import Tell
from lad.contracts import Keep
from lad.demo.scenes import write_dataset
from lad.extraction import forward, inputs, passes, readout
from lad.extraction.backbone import Backbone
from lad.extraction.batch import Batch
from lad.extraction.candidates import IdentifierTrie
from lad.extraction.extract import extract
from lad.extraction.features import ImageFeatures

ROOT: Final = Path(__file__).parents[1]
SIZES: Final = (4, 8, 12)
ROUNDS: Final = 5
MOST_TIME: Final = 1.05
"""What a prefill that is read out may take of a plain one's time; its aim, like the next."""
MOST_MEMORY: Final = 1.02
LOGITS_APART: Final = 1e-3
"""How far float32 on a card may be from float32 on the CPU: kernels sum in other orders. Attention is a tenth of it."""
BETWEEN_COUNTS: Final = 20
"""Seconds after which the tests say how many they were so far."""
EVERYTHING: Final[tuple[Keep, ...]] = ("heads", "rows", "null_query")
_PACKAGES: Final = (
    *("torch", "transformers", "tokenizers", "pyarrow", "numpy", "pillow", "safetensors", "accelerate", "torchvision"),
    *("pytest", "pytest-xdist", "hypothesis", "typer", "pydantic", "duckdb", "snakemake"),
)


# --- the machine, the tests ------------------------------------------------------------------------------------


def machine(tell: Tell, device: str, **_: Any) -> None:
    """Versions, card, driver, memory; and whether the device computes at all."""
    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    facts: dict[str, Any] = {"python": platform.python_version(), **versions, "cores": len(os.sched_getaffinity(0))}
    if device != "cpu":
        if not torch.cuda.is_available():
            raise RuntimeError("torch sees no GPU; --device cpu --small tries the command without one")
        card = torch.cuda.get_device_properties(0)
        facts |= {"card": card.name, "capability": f"{card.major}.{card.minor}", "memory": card.total_memory}
        facts |= {"free": torch.cuda.mem_get_info(0)[0], "cuda": torch.version.cuda, "driver": _driver()}
        facts["cudnn"] = torch.backends.cudnn.version()
    else:
        facts["card"] = extraction.processor_name()
    ones = torch.ones(64, 64, device=device)
    if not torch.equal(ones @ ones, 64 * ones):
        raise RuntimeError("a product of matrices of ones is wrong")
    tell("machine", **facts)


def _driver() -> str:
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"not known ({type(error).__name__})"
    return answer.stdout.strip().splitlines()[0]


class _Heard:
    """A plugin of pytest that tells what fails as it fails, and counts the rest."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self._told = time.monotonic()

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.tell("not imported", file=report.nodeid, reason=_reason(report))

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.outcome != "passed":
            # An error while a test is set up or cleared away is a failure too.
            self.counts[report.outcome] += 1
        if report.failed:
            self.tell("test failed", test=report.nodeid, reason=_reason(report))
        if time.monotonic() > self._told + BETWEEN_COUNTS:
            # Should time run out, so much is known.
            self._told = time.monotonic()
            self.tell("tests", **self.counts)


def _reason(report: Any) -> str:
    lines = str(report.longrepr).strip().splitlines()
    told = [line.removeprefix("E").strip() for line in lines if line.startswith("E ")]
    return (told or lines or [""])[0][:300]


def tests(tell: Tell, device: str, small: bool) -> None:
    """The tests of extraction on the device: those that can be imported here."""
    try:
        import pytest
    except ImportError:
        raise RuntimeError("pytest is not installed here, so that the tests of extraction were not run") from None

    os.environ["LAD_TEST_DEVICE"] = device
    os.chdir(ROOT)
    files = ["tests/extraction/test_candidates.py", "tests/extraction/test_features.py"]
    options = ["-q", "--continue-on-collection-errors", "-p", "no:cacheprovider", "--tb=short", "-rf"]
    if not small:
        files = ["tests/extraction"]
        processes = min(6, len(os.sched_getaffinity(0)) // 2)
        if processes > 1 and importlib.util.find_spec("xdist") is not None:
            options += [f"--numprocesses={processes}", "--dist=loadfile"]
    heard = _Heard(tell)
    with tempfile.TemporaryDirectory() as folder:
        # A folder of its own: in the usual one pytest waits for what other runs left to be removed.
        status = int(pytest.main([*options, f"--basetemp={folder}/pytest", *files], plugins=[heard]))
    tell("tests", **heard.counts)
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED):
        raise RuntimeError(f"pytest ended with status {status}")
    if heard.counts["failed"] or not heard.counts["passed"]:
        raise AssertionError(f"{heard.counts['failed']} tests failed, {heard.counts['passed']} passed")


# --- numbers ---------------------------------------------------------------------------------------------------


def parity(tell: Tell, device: str, small: bool) -> None:
    """Every signal of the demo model in float32, on the CPU and on the device."""
    apart: list[str] = []
    with _setup("demo", "cpu", "float32", small) as setup:
        backbones = [replace(setup, device=where).backbone() for where in ("cpu", device)]
        for n in SIZES:
            one, other = (_extract(backbone, setup, n, keep=EVERYTHING) for backbone in backbones)
            for name, largest in _differences(one, other).items():
                tell("parity", n=n, signal=name, largest=largest)
                most = LOGITS_APART if name.endswith(("logits", "logprobs")) else LOGITS_APART / 10
                # Attention by head is stored in half precision.
                most += 1e-3 if name.startswith("head_") else 0
                if not largest <= most:
                    apart.append(f"{name} at N = {n} by {largest:.2g}")
    if apart:
        raise AssertionError("the CPU and the device differ: " + ", ".join(apart))


def _differences(one: pa.Table, other: pa.Table) -> dict[str, float]:
    """The largest difference in each column that holds lists of floats."""

    def is_of_floats(kind: pa.DataType) -> bool:
        while pa.types.is_list(kind):
            kind = kind.value_type
        return bool(pa.types.is_floating(kind))

    def flat(column: pa.ChunkedArray) -> Any:
        values = column.combine_chunks()
        while pa.types.is_list(values.type):
            values = values.flatten()
        return values.to_numpy(zero_copy_only=False).astype(np.float64)

    columns = [field.name for field in one.schema if pa.types.is_list(field.type) and is_of_floats(field.type)]
    return {name: float(np.abs(flat(one[name]) - flat(other[name])).max()) for name in columns}


def speed(tell: Tell, model: str, device: str, small: bool) -> None:
    """From image files to Parquet: plain prefill, ours, the straightforward way; and the share of the card's rate."""
    dtype = "float32" if small else "bfloat16"
    with _setup(model, device, dtype, small) as setup:
        backbone = setup.backbone()
        card = geometries.multiplication_rate(device, dtype, 256 if small else geometries.MATRIX)
        for n in SIZES:
            # First, as it warms the shapes that come.
            rate = geometries.prefill_rate(backbone, n, _tokens(small))
            tell("share", model=model, n=n, prefill=rate, card=card, share=rate / card)
            for variant in (extraction.NOT_READ, "ours", "straightforward"):
                with _memory_told(tell, model=model, n=n, variant=variant):
                    one = extraction.measure(setup, variant, n, backbone)
                    tell("speed", **asdict(one) | {"model": model})


@contextlib.contextmanager
def _memory_told(tell: Tell, **where: Any) -> Iterator[None]:
    """A lack of memory is a result, behind which the next measurement can go on."""
    try:
        yield
        return
    except torch.OutOfMemoryError as error:
        reason = str(error).splitlines()[0]
    tell("out of memory", **where, reason=reason)
    torch.cuda.empty_cache()


def price(tell: Tell, model: str, device: str, small: bool) -> None:
    """The same batch through the model with and without the read-out, in turn."""
    backbone = _backbone(model, device, small)
    for n in SIZES:
        batch = geometries.batch_of_grey(backbone, n, _tokens(small))
        ways: dict[str, Callable[[], Any]] = {name: partial(way, backbone, batch) for name, way in PREFILLS.items()}
        took, peaks = _in_turn(backbone, ways)
        time_ratio = statistics.median(read / plain for plain, read in zip(took["plain"], took["read"], strict=True))
        memory_ratio = peaks["read"] / peaks["plain"]
        tell(
            "price",
            model=model,
            n=n,
            tokens=batch.token_ids.numel(),
            plain_seconds=statistics.median(took["plain"]),
            read_seconds=statistics.median(took["read"]),
            time=time_ratio,
            spread=max(took["plain"]) / min(took["plain"]),
            plain_bytes=peaks["plain"],
            read_bytes=peaks["read"],
            memory=memory_ratio,
            met=time_ratio <= MOST_TIME and memory_ratio <= MOST_MEMORY,
        )


@torch.inference_mode()
def _plain(backbone: Backbone, batch: Batch) -> Tensor:
    with extraction.attending(backbone, "sdpa"):
        return passes.prefill(backbone, batch, keep_cache=False)[0]


@torch.inference_mode()
def _read(backbone: Backbone, batch: Batch) -> Tensor:
    with readout.reading(batch.segments.to(backbone.device), 2 * batch.n) as reading:
        logits, _ = passes.prefill(backbone, batch, keep_cache=False)
    reading.attention()
    return logits


PREFILLS: Final = {"plain": _plain, "read": _read}


def _in_turn(backbone: Backbone, ways: dict[str, Callable[[], Any]]) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Seconds of each way, in rounds, and the bytes it takes at its peak besides the weights."""
    device = str(backbone.device)
    peaks = {}
    for name, work in ways.items():
        # Warm before its memory is looked at: libraries allocate workspaces when they are first used.
        work()
        peaks[name] = _bytes_taken(backbone, work)
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, work in ways.items():
            geometries.wait(device)
            began = time.perf_counter()
            work()
            geometries.wait(device)
            took[name].append(time.perf_counter() - began)
    return took, peaks


def _bytes_taken(backbone: Backbone, work: Callable[[], Any]) -> int:
    if backbone.device.type == "cpu":
        live = LiveBytes(backbone.model)
        with live:
            work()
        return live.peak
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return int(torch.cuda.max_memory_allocated() - before)


def tower(tell: Tell, model: str, device: str, small: bool) -> None:
    """How often images go through the vision tower."""
    with _setup(model, device, "float32" if small else "bfloat16", small) as setup:
        backbone = setup.backbone()
        calls: list[int] = []
        encode_all = inputs._image_features

        def counted(backbone: Backbone, images: Any) -> Any:
            calls.append(len(images))
            return encode_all(backbone, images)

        _extract(backbone, setup, 4)
        geometries.wait(device)
        began = time.perf_counter()
        with mock.patch.object(inputs, "_image_features", counted), ImageFeatures(backbone) as features:
            made = _extract(backbone, setup, 8, features=features)
            encoded = features.encoded
        took = time.perf_counter() - began
        distinct = _distinct_images(setup, 8)
        facts = {"images": distinct, "encoded": encoded, "calls": len(calls), "straightforward": 8 * len(made)}
        tell("vision tower", model=model, presentations=len(made), **facts, seconds=took)
        if encoded != distinct or sum(calls) != encoded:
            raise AssertionError(f"{distinct} images went {encoded} times through the vision tower")


def null_query(tell: Tell, model: str, device: str, small: bool) -> None:
    """What it costs to ask for "N/A" behind each prompt's cache, and to keep the rows of the query."""
    backbone = _backbone(model, device, small)
    for n in SIZES:
        ways: dict[str, Callable[[], Any]] = {}
        trie = forward.answer_trie(backbone, geometries.PROBE.identifiers(n))
        for name, keep in {"alone": (), "null query": ("null_query",), "rows": ("rows", "null_query")}.items():
            kept = frozenset[Keep](keep)  # type: ignore[arg-type]
            batch = geometries.batch_of_grey(backbone, n, _tokens(small), kept)
            ways[name] = partial(forward.read_batch, backbone, batch, trie, keep=kept)
        took, peaks = _in_turn(backbone, ways)
        alone = statistics.median(took["alone"])
        for name in ("null query", "rows"):
            time_ratio, memory_ratio = statistics.median(took[name]) / alone, peaks[name] / peaks["alone"]
            tell("null query", model=model, n=n, kept=name, alone_seconds=alone, time=time_ratio, memory=memory_ratio)


def two_digits(tell: Tell, model: str, device: str, small: bool) -> None:
    """The step that tells 10, 11 and 12 apart: its time, and how far it is from a whole pass of its own."""
    backbone = _backbone(model, device, small)
    batch = geometries.batch_of_grey(backbone, 12, _tokens(small))
    trie = forward.answer_trie(backbone, geometries.PROBE.identifiers(12))
    first = IdentifierTrie(tuple((token,) for token in dict.fromkeys(trie.first_tokens)), trie.eos)
    took, peaks = _in_turn(
        backbone,
        {
            "first digits": partial(forward.read_batch, backbone, batch, first),
            "both": partial(forward.read_batch, backbone, batch, trie),
        },
    )
    alone, both = (statistics.median(took[name]) for name in ("first digits", "both"))
    one = replace(batch, prompts=batch.prompts[:1], images=batch.images[: batch.n])
    memory_ratio, apart = peaks["both"] / peaks["first digits"], _step_apart(backbone, one, trie)
    facts = {"first_seconds": alone, "both_seconds": both, "time": both / alone, "memory": memory_ratio, "apart": apart}
    tell("two digits", model=model, n=12, steps=len(trie.fed_prefixes), **facts)


@torch.inference_mode()
def _step_apart(backbone: Backbone, batch: Batch, trie: IdentifierTrie) -> float:
    """The largest difference of the identifiers' log-probabilities between the cached step and passes of their own."""
    logits, cache = passes.prefill(backbone, batch, keep_cache=True)
    behind = {(): logits} | passes.after_prefixes(backbone, cache, trie, prompt=batch.token_ids.to(backbone.device))
    whole = {
        prefix: passes.prefill(backbone, extraction.extended(batch, prefix) if prefix else batch, keep_cache=False)[0]
        for prefix in behind
    }
    return float((trie.log_probabilities(behind) - trie.log_probabilities(whole)).abs().max())


def ties(tell: Tell, model: str, device: str, small: bool) -> None:
    """How often two identifiers share the first place in bfloat16, and how many answers differ from float32's."""
    for n in SIZES:
        logits = {}
        for dtype in ("float32", "bfloat16"):
            with _setup(model, device, dtype, small) as setup:
                table = _extract(setup.backbone(), setup, n)
            logits[dtype] = np.array(table["candidate_logprobs"].to_pylist())
            best = np.sort(logits[dtype], axis=1)[:, ::-1]
            tied = float((best[:, 0] == best[:, 1]).mean())
            tell("ties", model=model, n=n, dtype=dtype, presentations=len(table), tied=tied)
        changed = float((logits["float32"].argmax(1) != logits["bfloat16"].argmax(1)).mean())
        tell("ties", model=model, n=n, dtype="bfloat16 against float32", presentations=len(table), changed=changed)


# --- what they share -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _setup(model: str, device: str, dtype: str, small: bool) -> Iterator[extraction.Setup]:
    """Rendered scenes, and few enough presentations that every part fits in."""
    scenes, questions, slow = (30, 2, 3) if small else (200, 20, 12)
    threads = 1 if small else len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder) / "scenes", images=scenes, seed=1)
        yield extraction.Setup(model, device, dtype, threads, questions, slow, Path(folder) / "scenes")


def _backbone(model: str, device: str, small: bool) -> Backbone:
    if small:
        torch.set_num_threads(1)
    return geometries.load(model, device=device, dtype="float32" if small else "bfloat16")


def _tokens(small: bool) -> int:
    return 256 if small else geometries.TOKENS


def _extract(backbone: Backbone, setup: extraction.Setup, n: int, **options: Any) -> pa.Table:
    """The signals of the evaluation split."""
    questions, presentations = extraction.work_of(setup, n)[1]
    return extract(
        backbone,
        geometries.PROBE,
        images=extraction.scenes_table(setup.scenes),
        image_folder=setup.scenes / "images",
        questions=questions,
        presentations=presentations,
        progress=False,
        **options,
    ).signals


def _distinct_images(setup: extraction.Setup, n: int) -> int:
    questions, presentations = extraction.work_of(setup, n)[1]
    asked = set(presentations["question_id"].to_pylist())
    shown = (row["candidates"] for row in questions.to_pylist() if row["question_id"] in asked)
    return len({image for candidates in shown for image in candidates})
