"""Extraction, from image files to Parquet: the straightforward way, ours, and ours with each saving switched off.

    python -m benchmarks.extraction                                  # the demo model, on this machine's CPU
    python -m benchmarks.extraction --model qwen2.5-vl-3b --device cuda --dtype bfloat16
    python -m benchmarks.extraction --model internvl3-8b --device cuda --dtype bfloat16

Every variant sees the same presentations: the calibration split and T = 5 orders of rendered scenes. The slow ones see
the first of them only; rates are per presentation. Loading the model is not counted, everything else is. On a CPU every
measurement has a process of its own, so that its peak memory is its own.
"""

import contextlib
import functools
import json
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
import typer

from benchmarks import geometries, straightforward
from lad import contracts, parquet
from lad.benchmark.presentations import build_presentations
from lad.benchmark.questions import build_questions
from lad.demo.scenes import write_dataset
from lad.extraction import extract as extraction
from lad.extraction import forward, memory, passes
from lad.extraction.backbone import Backbone
from lad.extraction.batch import Batch
from lad.extraction.candidates import IdentifierTrie, Prefix
from lad.extraction.features import ImageFeatures
from lad.extraction.plan import join
from lad.extraction.prompts import get_probe

PROBE: Final = get_probe("vanilla")
NOT_READ: Final = "ours, attention not read"
SPLITS: Final = ("calibration", "evaluation")
SCENES: Final = 400


@dataclass(frozen=True)
class Setup:
    """What is measured on.

    Attributes:
        questions: evaluation questions; each is shown in 5 orders, and 5 others in all cyclic shifts.
        slow: how many presentations the slow variants see.
        part, parts: of the questions, every so many are asked, beginning with this one.
    """

    model: str
    device: str
    dtype: str
    threads: int
    questions: int
    slow: int
    scenes: Path
    part: int = 0
    parts: int = 1

    def backbone(self) -> Backbone:
        torch.set_num_threads(self.threads)
        return geometries.load(self.model, device=self.device, dtype=self.dtype)


@dataclass(frozen=True)
class Measurement:
    """One variant at one N; rate in presentations per second, memory in bytes at the peak."""

    variant: str
    n: int
    presentations: int
    seconds: float
    rate: float
    peak_memory: int


def measure(setup: Setup, variant: str, n: int, backbone: Backbone | None = None) -> Measurement:
    """Run one variant from image files to Parquet."""
    backbone = backbone or setup.backbone()
    work = work_of(setup, n)
    run = VARIANTS[variant]
    if variant not in ("ours", NOT_READ):
        work = [(questions, presentations.slice(0, setup.slow)) for questions, presentations in work[-1:]]
    if backbone.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    images = scenes_table(setup.scenes)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        for number, (questions, presentations) in enumerate(work):
            run(
                backbone,
                Path(folder) / f"{number}.parquet",
                images=images,
                image_folder=setup.scenes / "images",
                questions=questions,
                presentations=presentations,
            )
        seconds = time.perf_counter() - started
    shown = sum(len(presentations) for _, presentations in work)
    return Measurement(variant, n, shown, seconds, shown / seconds, memory.peak_bytes(backbone.device))


def scenes_table(scenes: Path) -> pa.Table:
    """The images table of rendered scenes, without pycocotools: machines with a GPU are often bare."""
    described = json.loads((scenes / "captions.json").read_text())
    captions = {annotation["image_id"]: annotation["caption"] for annotation in described["annotations"]}
    rows = (
        {
            "image_id": image["id"],
            "caption": captions[image["id"]],
            "category_ids": [],
            **{name: image[name] for name in ("file_name", "width", "height")},
        }
        for image in described["images"]
    )
    return parquet.from_rows(rows, contracts.IMAGES)


def work_of(setup: Setup, n: int) -> list[tuple[pa.Table, pa.Table]]:
    """Questions and presentations of each split."""
    questions = build_questions(
        scenes_table(setup.scenes),
        dataset="scenes",
        setting="random",
        n=n,
        evaluation=setup.questions,
        calibration=5,
        seed=0,
    )
    ids = pa.array(sorted(questions["question_id"].to_pylist())[setup.part :: setup.parts])
    splits = (build_presentations(questions, split, rounds=5, seed=0) for split in SPLITS)
    return [(questions, shown.filter(pc.is_in(shown["question_id"], value_set=ids))) for shown in splits]


# --- variants --------------------------------------------------------------------------------------------------


def _ours(backbone: Backbone, out: Path, **work: Any) -> None:
    extracted = extraction.extract(backbone, PROBE, finished=out.with_suffix(".finished"), **work)
    parquet.write(extracted.signals, out, contracts.SIGNALS, extracted.metadata)


def _not_read(backbone: Backbone, out: Path, **work: Any) -> None:
    # What the model is, is found out by a pass that is read.
    assert backbone.trial
    with attending(backbone, "sdpa"), mock.patch.object(extraction, "read_batch", _prefill_alone):
        _ours(backbone, out, **work)


def _prefill_alone(backbone: Backbone, batch: Batch, trie: IdentifierTrie, **_options: Any) -> forward.Signals:
    """The batch's prefill and no more: no attention, and after an identifier's first token nothing."""
    with torch.inference_mode():
        logits, _ = passes.prefill(backbone, batch, keep_cache=False)
    answers = logits[:, trie.first_tokens].float()
    nothing = answers.new_zeros(len(answers), backbone.layers, batch.n)
    return forward.Signals(answers, answers, answers.log_softmax(-1), nothing, nothing)


def _one_at_a_time(backbone: Backbone, out: Path, **work: Any) -> None:
    _ours(backbone, out, token_budget=1, **work)


def _features_not_kept(backbone: Backbone, out: Path, **work: Any) -> None:
    # No plan either: each batch encodes what it shows, once.
    with ImageFeatures(backbone, device_bytes=0, host_bytes=0) as features, mock.patch.object(features, "expect"):
        _ours(backbone, out, features=features, **work)


def _nothing_overlaps(backbone: Backbone, out: Path, **work: Any) -> None:
    with (
        ImageFeatures(backbone, workers=1) as features,
        mock.patch.object(features, "_prepare_ahead"),
        mock.patch.object(extraction, "overlapped", lambda results, work: map(work, results)),
    ):
        _ours(backbone, out, features=features, **work)


def _full_second_pass(backbone: Backbone, out: Path, **work: Any) -> None:
    with mock.patch.object(extraction, "read_batch", _read_with_full_passes):
        _ours(backbone, out, **work)


def _read_with_full_passes(backbone: Backbone, batch: Batch, trie: IdentifierTrie, **options: Any) -> forward.Signals:
    """One prefill for the prompt and one for each open prefix of the identifiers, as long as the prompt."""
    first_tokens = IdentifierTrie(tuple((token,) for token in dict.fromkeys(trie.first_tokens)), trie.eos)
    signals = forward.read_batch(backbone, batch, first_tokens, **options)
    for prefix in trie.open_prefixes:
        forward.read_batch(backbone, extended(batch, prefix), first_tokens, **options)
    # The read-out and the logits are the first pass's; the joint probabilities are left to the tests.
    wide = torch.zeros(len(batch.token_ids), batch.n)
    return replace(signals, identifier_logits=wide, processed_logits=wide, candidate_logprobs=wide)


def extended(batch: Batch, prefix: Prefix) -> Batch:
    """The same presentations with the first tokens of an answer behind the prompt."""
    more = torch.tensor(prefix)
    elsewhere = torch.full_like(more, 2 * batch.n)
    prompts = (
        replace(
            own,
            token_ids=torch.cat([own.token_ids, more]),
            segments=torch.cat([own.segments, elsewhere]),
            types={name: torch.cat([types, more.new_zeros(len(more))]) for name, types in own.types.items()},
        )
        for own in batch.prompts
    )
    return replace(batch, prompts=tuple(prompts))


def _eager_attention(backbone: Backbone, out: Path, **work: Any) -> None:
    with attending(backbone, "eager"), mock.patch.object(extraction, "read_batch", _read_eagerly):
        _ours(backbone, out, **work)


def _read_eagerly(backbone: Backbone, batch: Batch, trie: IdentifierTrie, **_options: Any) -> forward.Signals:
    """The same batch, but every layer's matrix of attention is made and kept."""
    with torch.inference_mode(), passes.prefill_inputs(backbone, batch) as inputs:
        output = backbone.model(**inputs, output_attentions=True, logits_to_keep=1, use_cache=False)
    rows = torch.stack([layer[:, :, -1].float().mean(1) for layer in output.attentions], 1)
    segments = batch.segments.to(backbone.device)[:, None].expand_as(rows)
    sums = rows.new_zeros(*rows.shape[:2], 2 * batch.n + 1).scatter_add_(2, segments, rows)
    logits = output.logits[:, -1].float()
    return forward.Signals(
        identifier_logits=logits[:, trie.first_tokens],
        processed_logits=logits[:, trie.first_tokens],
        candidate_logprobs=logits[:, trie.first_tokens].log_softmax(-1),
        candidate_attention=sums[..., : batch.n],
        delimiter_attention=sums[..., batch.n : 2 * batch.n],
        texts=None,
    )


def _straightforward(backbone: Backbone, out: Path, **work: Any) -> None:
    asked = join(work["images"], work["image_folder"], work["questions"], work["presentations"])
    trie = forward.answer_trie(backbone, PROBE.identifiers(len(asked[0].files)))
    with attending(backbone, "eager"):
        pq.write_table(pa.Table.from_pylist(list(straightforward.signals(backbone, PROBE, trie, asked))), out)


@contextlib.contextmanager
def attending(backbone: Backbone, attention: str) -> Iterator[None]:
    """The language half with another attention (`eager`, `sdpa`), as long as this lasts."""
    text = backbone.model.config.get_text_config()
    (part,) = [name for name in backbone.model.config.sub_configs if getattr(backbone.model.config, name) is text]
    read_out = text._attn_implementation
    backbone.model.set_attn_implementation({part: attention})
    try:
        yield
    finally:
        backbone.model.set_attn_implementation({part: read_out})


def _pass_per_method(backbone: Backbone, out: Path, **work: Any) -> None:
    """As the released code goes about its three methods: vanilla, PriDe and AGD each run the model again."""
    for method in ("vanilla", "pride", "agd"):
        _straightforward(backbone, out.with_suffix(f".{method}.parquet"), **work)


VARIANTS: Final[dict[str, Callable[..., None]]] = {
    "straightforward": _straightforward,
    "straightforward, a pass per method": _pass_per_method,
    "ours": _ours,
    NOT_READ: _not_read,
    "ours, one presentation per batch": _one_at_a_time,
    "ours, eager attention": _eager_attention,
    "ours, features not kept": _features_not_kept,
    "ours, full pass per prefix": _full_second_pass,
    "ours, nothing overlaps": _nothing_overlaps,
}


PER_CORE: Final = ", a process per core"
SIDE_BY_SIDE: Final = tuple(variant + PER_CORE for variant in ("straightforward", "ours"))


def batching_changes(setup: Setup, backbone: Backbone, n: int) -> dict[str, float]:
    """How far batches are from one presentation at a time: largest differences, and answers that differ in percent."""
    questions, presentations = work_of(setup, n)[1]
    together, alone = (
        extraction.extract(
            backbone,
            PROBE,
            images=scenes_table(setup.scenes),
            image_folder=setup.scenes / "images",
            questions=questions,
            presentations=presentations.slice(0, setup.slow),
            token_budget=budget,
        ).signals
        for budget in (None, 1)
    )
    columns = ("candidate_logprobs", "identifier_logits", "candidate_attention")
    (answers, logits, attention) = (
        [np.array(table[name].to_pylist()) for table in (together, alone)] for name in columns
    )
    return {
        "logits": float(np.abs(logits[0] - logits[1]).max()),
        "attention": float(np.abs(attention[0] - attention[1]).max()),
        "answers, %": 100 * float((answers[0].argmax(1) != answers[1].argmax(1)).mean()),
    }


# --- the command -----------------------------------------------------------------------------------------------


def main(
    model: Annotated[str, typer.Option(help=f"One of {', '.join(geometries.MODELS)}.")] = "demo",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    n: Annotated[list[int], typer.Option(help="Candidates per question.")] = [4, 8, 12],  # noqa: B006
    questions: Annotated[int, typer.Option(help="Evaluation questions, each in 5 orders.")] = 160,
    slow: Annotated[int, typer.Option(help="Presentations that the slow variants see.")] = 100,
    threads: Annotated[int, typer.Option(help="CPU threads of torch.")] = len(os.sched_getaffinity(0)),
    variant: Annotated[list[str] | None, typer.Option(help="Only these variants.")] = None,
    out: Annotated[Path | None, typer.Option(help="Also write the measurements as JSON.")] = None,
) -> None:
    """Print presentations per second, peak memory and the ratio to the straightforward way."""
    with tempfile.TemporaryDirectory() as folder:
        scenes = Path(folder) / "scenes"
        write_dataset(scenes, images=SCENES, seed=1)
        setup = Setup(model, device, dtype, threads, questions, slow, scenes)
        facts = _machine(setup)
        found = []
        for size in n:
            for name in variant or (*VARIANTS, *(SIDE_BY_SIDE if device == "cpu" else ())):
                found.append(_measured(setup, name, size))
                print(_line(found[-1]), flush=True)
        if device != "cpu":
            facts["matrix multiplication, FLOP/s"] = rate = geometries.multiplication_rate(device, dtype)
            facts["prefill, share of it"] = {size: geometries.prefill_rate(_held(setup), size) / rate for size in n}
        facts["batched against one at a time"] = {size: batching_changes(setup, _held(setup), size) for size in n}
    print(json.dumps(facts, indent=1))
    if out:
        out.write_text(json.dumps({**facts, "measurements": [asdict(one) for one in found]}, indent=1) + "\n")
    print(_table(facts, found))


def _measured(setup: Setup, variant: str, n: int) -> Measurement:
    if variant.endswith(PER_CORE):
        return _measured_side_by_side(setup, variant.removesuffix(PER_CORE), n)
    if setup.device != "cpu":
        return measure(setup, variant, n, _held(setup))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(measure, setup, variant, n).result()


def _measured_side_by_side(setup: Setup, variant: str, n: int) -> Measurement:
    """The work divided among one process per core, each with one thread: as the pipeline runs its jobs."""
    context = multiprocessing.get_context("spawn")
    begin, told = context.Barrier(setup.threads), context.Queue()
    setups = [replace(setup, threads=1, part=part, parts=setup.threads) for part in range(setup.threads)]
    processes = [context.Process(target=_work_on_part, args=(one, variant, n, begin, told)) for one in setups]
    for process in processes:
        process.start()
    found: list[Measurement] = [told.get() for _ in processes]
    for process in processes:
        process.join()
    shown, seconds = sum(one.presentations for one in found), max(one.seconds for one in found)
    return Measurement(variant + PER_CORE, n, shown, seconds, shown / seconds, sum(one.peak_memory for one in found))


def _work_on_part(setup: Setup, variant: str, n: int, begin: Any, told: Any) -> None:
    backbone = setup.backbone()
    begin.wait()
    told.put(measure(setup, variant, n, backbone))


@functools.cache
def _held(setup: Setup) -> Backbone:
    """One model for all measurements of this process."""
    return setup.backbone()


def _machine(setup: Setup) -> dict[str, Any]:
    on_gpu = setup.device != "cpu"
    return {
        "model": setup.model,
        "dtype": setup.dtype,
        "device": torch.cuda.get_device_name() if on_gpu else f"{processor_name()}, {setup.threads} threads",
        "torch": torch.__version__,
        "questions": setup.questions,
    }


def processor_name() -> str:
    described = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":")[1].strip() for line in described.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _line(one: Measurement) -> str:
    return f"N = {one.n}, {one.variant}: {one.presentations} in {one.seconds:.1f} s, {one.rate:.2f} a second"


def _table(facts: dict[str, Any], found: list[Measurement]) -> str:
    """The measurements as a Markdown table: one line per variant, one group of columns per N."""
    sizes = sorted({one.n for one in found})
    by = {(one.variant, one.n): one for one in found}
    lines = [
        f"{facts['model']}, {facts['dtype']}, {facts['device']}, torch {facts['torch']}",
        "",
        "| | " + " | ".join(f"N = {n}: a second | ratio | peak GB" for n in sizes) + " |",
        "|---" * (1 + 3 * len(sizes)) + "|",
    ]
    for variant in dict.fromkeys(one.variant for one in found):
        cells = []
        for n in sizes:
            one, plain = by[variant, n], by.get(("straightforward", n))
            ratio = f"{one.rate / plain.rate:.1f}" if plain else ""
            cells += [f"{one.rate:.1f}", ratio, f"{one.peak_memory / 1e9:.2f}"]
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
