"""Extraction: one forward pass per presentation, reduced to the signals contract.

Of every pass we keep the identifiers' logits (raw, and after the model's own logits processors), the candidates' joint
log-probabilities, and per layer the attention of the last prompt token to each image; of generating probes also the
texts that the model writes behind the prompt (`lad.extraction.texts`). Nothing after this stage needs the model.

Where we differ from the released code: one pass per presentation serves every method (there: one per method and one
more per two-digit prefix), images are encoded once, attention is read beside SDPA instead of eagerly, and what is
finished stays finished (`lad.extraction.finished`). While the device computes a batch, threads decode the images of the
next ones and write the signals of the last one.
"""

import platform
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from tqdm import tqdm

from lad import contracts, parquet
from lad.contracts import Keep
from lad.extraction import EXTRACTOR_VERSION, memory
from lad.extraction.backbone import Backbone, BackboneError, library_versions
from lad.extraction.batch import Batch, collate
from lad.extraction.candidates import IdentifierTrie
from lad.extraction.features import ImageFeatures
from lad.extraction.finished import FINGERPRINT, FinishedWork
from lad.extraction.forward import Signals, answer_trie, read_attention, read_batch
from lad.extraction.generation_config import forbidding_fields, refuse_other_ways
from lad.extraction.inputs import InputError
from lad.extraction.plan import (
    Asked,
    cannot_be_shown,
    count_beyond_context,
    fingerprint_presentations,
    join,
    plan,
    write_prompts,
)
from lad.extraction.prompt_tokens import Prompt
from lad.extraction.prompts import Generation, Probe, Softening, get_probe
from lad.extraction.texts import NotANumberError, Streams, noise_stream
from lad.refusal import Refusal

Result = TypeVar("Result")
Work = TypeVar("Work")

_UNWRITTEN: Final = 2
"""Batches that may wait to be written while the next one is computed."""


class ExtractionError(Refusal):
    """A presentation that could not be extracted; the message names it, and finished work stays."""


@dataclass(frozen=True)
class Extraction:
    """What an extraction yields.

    Attributes:
        signals: SIGNALS table, in the order of the presentations.
        generations: GENERATIONS table in the same order, of a generating probe; else None.
        metadata: facts about the run for the files' metadata.
    """

    signals: pa.Table
    generations: pa.Table | None
    metadata: dict[str, Any]


def extract(
    backbone: Backbone,
    probe: Probe | str = "vanilla",
    *,
    images: pa.Table,
    image_folder: Path | None = None,
    questions: pa.Table,
    presentations: pa.Table,
    finished: Path | None = None,
    features: ImageFeatures | None = None,
    token_budget: int | None = None,
    answer_text: bool = False,
    keep: Collection[Keep] = (),
    beyond_context: bool = False,
    progress: bool = True,
    seed: int = 0,
    deepest: int | None = None,
) -> Extraction:
    """The signals of all presentations and, of a generating probe, its texts.

    Args:
        probe: how to ask, or its name.
        images: IMAGES table; files lie below `image_folder`, which there has to be unless candidates are texts.
        questions: QUESTIONS table with every question of `presentations`.
        finished: folder for finished work: what is found there is not computed again, what is computed is kept there.
        features: image features to share with other calls; by default those of this call alone.
        token_budget: tokens per batch; by default what the device's free memory admits.
        answer_text: also decode the model's own greedy answer (a few cached steps more); a generating probe has its
            texts anyway.
        keep: what is kept beyond the usual.
        beyond_context: also ask presentations that are longer than the model's context window; the metadata count them.
        progress: say on stderr how far it is.
        seed: of drawn texts; every question, order and sample draws from its own stream below it.
        deepest: the last decoder layer that is wanted, from 0: forward passes end there. The signals then have no
            logits, and no attention of the layers behind it.

    Raises:
        InputError: an image is missing or cannot be decoded, a presentation is longer than the model's context window.
        BackboneError: texts are asked for and the pass ends early, or no layer is left; the model's generation config,
            the probe of a hybrid model, or `keep` of a model whose layers have different numbers of heads, asks for
            what is not done here.
        ExtractionError: signals that are no finite numbers, work that cannot be written, a presentation that does not
            fit into memory.
        ValueError: a presentation's question or image is in none of the tables; an unknown probe.
    """
    if isinstance(probe, str):
        probe = get_probe(probe)
    asked = join(images, image_folder, questions, presentations)
    trie = answer_trie(backbone, probe.identifiers(len(asked[0].order)))
    generation = probe.generation
    if generation is None and answer_text:
        generation = Generation(new_tokens=max(map(len, trie.identifiers)) + 2)
    refuse_other_ways(backbone, generation)
    _refuse_to_soften_states(backbone, probe)
    _refuse_heads_that_differ_in_number(backbone, keep)
    layers = _layers_up_to(backbone, deepest, generation)
    reading = _Reading(backbone, trie, generation, seed, frozenset(keep), probe.softening, layers)
    recipe = _recipe(reading, probe, len(asked[0].order))
    fingerprints = fingerprint_presentations(asked, probe, recipe)
    prompts = write_prompts(backbone, probe, asked, keep)
    beyond = count_beyond_context(backbone, probe, asked, prompts, allowed=beyond_context)

    work = FinishedWork(finished, recipe) if finished else None
    # Neither the recipe nor a fingerprint names columns: work of before they were renamed is found, by its old names.
    found = work.find(fingerprints) if work else []
    rows = [parquet.with_present_names(part, contracts.SIGNALS) for part in found]
    done = {key for part in rows for key in part[FINGERPRINT].to_pylist()}
    lengths = [len(prompt.token_ids) for prompt in prompts]
    budget = token_budget or memory.token_budget(backbone, generation, min(lengths))
    planned = list(plan(lengths, budget))
    batches = [left for members in planned if (left := [i for i in members if fingerprints[i] not in done])]

    with ExitStack() as stack:
        features = features or stack.enter_context(ImageFeatures(backbone))
        features.expect(planned=_shown(asked, planned), needed=_shown(asked, batches))
        bar = stack.enter_context(_progress(len(asked), len(asked) - sum(map(len, batches)), shown=progress))
        keeper = _Keeper(asked, prompts, fingerprints, backbone, work, layers)
        for part in overlapped(_compute(reading, asked, prompts, batches, features), keeper):
            rows.append(part)
            bar.update(len(part))

    # Parquet names the elements of lists otherwise than we do.
    made = _in_order(pa.concat_tables(part.cast(rows[-1].schema) for part in rows), fingerprints)
    if work:
        work.merge(made)
    metadata = {
        **recipe,
        "device": ", ".join(sorted(set(made["device"].to_pylist()))),
        "seconds": round(sum(made["seconds"].to_pylist()), 3),
        "peak_memory_bytes": max(made["peak_memory_bytes"].to_pylist()),
        "token_budget": budget,
        "presentations": len(asked),
        "images": len({file for one in asked for file in one.files}),
        **({"beyond_context": beyond} if beyond else {}),
    }
    if not probe.generation:
        return Extraction(_signals_table(made, presentations), None, metadata)
    generations = _generations_table(made, asked)
    metadata["generated_tokens"] = pc.sum(generations["tokens"]).as_py()
    return Extraction(_signals_table(made, presentations), generations, metadata)


def _refuse_to_soften_states(backbone: Backbone, probe: Probe) -> None:
    """SoFA's mask lets images see later ones, which a state of what was read so far cannot.

    Raises:
        BackboneError: the probe softens, and some layers have no softmax attention.
    """
    if probe.softening and backbone.is_hybrid:
        without = backbone.layers - len(backbone.read_layers)
        raise BackboneError(
            f"checkpoint {backbone.checkpoint}: the probe {probe.name} softens a mask that {without} of"
            f" {backbone.layers} layers do not have, as they have no softmax attention; ask this model by other probes"
        )


def _refuse_heads_that_differ_in_number(backbone: Backbone, keep: Collection[Keep]) -> None:
    """The signals hold as many heads of each layer.

    Raises:
        BackboneError: heads are to be kept, and layers have different numbers of them.
    """
    if "heads" in keep and len(numbers := set(backbone.trial.heads.values())) > 1:
        raise BackboneError(
            f"checkpoint {backbone.checkpoint}: its layers have {' and '.join(map(str, sorted(numbers)))} heads, so"
            " that heads cannot be kept in one table; leave 'heads' out of what is kept"
        )


def _layers_up_to(backbone: Backbone, deepest: int | None, generation: Generation | None) -> tuple[int, ...]:
    """The layers that are read.

    Raises:
        BackboneError: texts are asked for as well, or there is no such layer.
    """
    layers = backbone.read_layers
    if deepest is None:
        return layers
    if generation is not None:
        raise BackboneError("a pass that ends before the last layer writes no texts: leave out `deepest`, or the texts")
    if chosen := tuple(layer for layer in layers if layer <= deepest):
        return chosen
    raise BackboneError(
        f"checkpoint {backbone.checkpoint}: no layer up to {deepest} has attention that is read; these have:"
        f" {', '.join(map(str, layers))}"
    )


def _shown(asked: Sequence[Asked], batches: Iterable[Sequence[int]]) -> list[Path]:
    return [file for members in batches for i in members for file in asked[i].files]


@dataclass(frozen=True)
class _Reading:
    """How presentations are read."""

    backbone: Backbone
    trie: IdentifierTrie
    generation: Generation | None
    seed: int
    keep: frozenset[Keep]
    softening: Softening | None
    layers: tuple[int, ...]

    @property
    def deepest(self) -> int | None:
        """The layer behind which passes end; None where they run to their end."""
        return self.layers[-1] if self.layers != self.backbone.read_layers else None

    def __call__(self, batch: Batch, members: Sequence[Asked]) -> Signals:
        if self.deepest is not None:
            return read_attention(
                self.backbone, batch, self.trie, deepest=self.deepest, keep=self.keep, softening=self.softening
            )
        return read_batch(
            self.backbone,
            batch,
            self.trie,
            generation=self.generation,
            streams=self.streams(members),
            keep=self.keep,
            softening=self.softening,
        )

    def streams(self, members: Sequence[Asked]) -> Streams | None:
        """(presentations, samples) noise of the texts, where they are drawn."""
        if self.generation is None or not self.generation.drawn:
            return None
        samples = range(self.generation.samples)
        return np.array(
            [[noise_stream(self.seed, one.question_id, one.order, sample) for sample in samples] for one in members],
            dtype=np.uint64,
        )


def _recipe(reading: _Reading, probe: Probe, n: int) -> dict[str, Any]:
    """All that determines the signals, but for the presentations themselves."""
    return {
        **reading.backbone.describe(),
        "probe": probe.name,
        "extractor_version": EXTRACTOR_VERSION,
        "identifiers": list(probe.identifiers(n)),
        "identifier_tokens": [list(tokens) for tokens in reading.trie.identifiers],
        "generation": asdict(reading.generation) if reading.generation else None,
        "seed": reading.seed if reading.generation and reading.generation.drawn else None,
        "head_attention": "heads" in reading.keep,
        "softening": asdict(reading.softening) if reading.softening else None,
        # Only where there is more: finished work of before keeps its recipe.
        **({"keep": sorted(more)} if (more := reading.keep - {"heads"}) else {}),
        **({} if reading.deepest is None else {"deepest": reading.deepest}),
        "versions": library_versions(),
    }


def _compute(
    reading: _Reading,
    asked: Sequence[Asked],
    prompts: Sequence[Prompt],
    batches: Iterable[Sequence[int]],
    features: ImageFeatures,
) -> Iterator[tuple[Sequence[int], Signals]]:
    """The signals of all batches. One that memory has no room for comes in parts, and so do those as long after it."""

    def read(members: Sequence[int]) -> Signals:
        shown = features.get(file for i in members for file in asked[i].files)
        images = [[shown[file] for file in asked[i].files] for i in members]
        batch = collate([prompts[i] for i in members], images)
        try:
            return reading(batch, [asked[i] for i in members])
        except NotANumberError as error:
            raise ExtractionError(
                f"presentation {asked[members[error.row]].presentation_id}: {error}; a model that overflows in float16"
                " may not in bfloat16"
            ) from None

    most_tokens = sys.maxsize
    for members in batches:
        length = len(prompts[members[0]].token_ids)
        at_once = max(1, min(len(members), most_tokens // length))
        for start in range(0, len(members), at_once):
            piece = members[start : start + at_once]
            try:
                for part, signals in memory.in_halves(read, piece, features.make_room):
                    if len(part) < len(piece):
                        most_tokens = min(most_tokens, len(part) * length)
                    yield part, signals
            except InputError as fault:
                raise cannot_be_shown(asked, fault) from None
            except memory.OutOfMemoryError as error:
                raise ExtractionError(
                    f"presentation {asked[error.item].presentation_id}: there is not enough memory for one"
                    f" presentation of {length} tokens{_and_its_texts(reading.generation)} ({error})"
                ) from None


def _and_its_texts(generation: Generation | None) -> str:
    if generation is None:
        return ""
    return f" and {generation.samples} text{'s' * (generation.samples > 1)} of up to {generation.new_tokens}"


def overlapped(results: Iterable[Result], work: Callable[[Result], Work], waiting: int = _UNWRITTEN) -> Iterator[Work]:
    """`work` on each result in turn, in a thread of its own, while the next results are computed.

    Whatever goes wrong in either, the work that was begun is completed first.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="keep") as thread:
        begun: deque[Future[Work]] = deque()
        for result in results:
            begun.append(thread.submit(work, result))
            while len(begun) > waiting or (begun and begun[0].done()):
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


@dataclass
class _Keeper:
    """Makes rows of a batch's signals and keeps them; called in a thread beside the one that computes."""

    asked: Sequence[Asked]
    prompts: Sequence[Prompt]
    fingerprints: Sequence[str]
    backbone: Backbone
    work: FinishedWork | None
    layers: tuple[int, ...]
    _last: float = field(default_factory=time.perf_counter)

    def __call__(self, computed: tuple[Sequence[int], Signals]) -> pa.Table:
        members, signals = computed
        columns = self._columns(members, signals)
        # The arrays above waited for the device: for this batch, and for what of the next was queued behind it by then.
        # A batch may bear seconds of its neighbour; their sum is right.
        now = time.perf_counter()
        columns |= {
            FINGERPRINT: pa.array([self.fingerprints[i] for i in members]),
            "seconds": pa.array([(now - self._last) / len(members)] * len(members)),
            "peak_memory_bytes": pa.array([memory.peak_bytes(self.backbone.device)] * len(members)),
            "device": pa.array([_device_name(self.backbone.device)] * len(members)),
        }
        self._last = now
        rows = pa.table(columns)
        if self.work:
            try:
                self.work.add(rows)
            except OSError as error:
                raise ExtractionError(
                    f"the signals of presentation {self.asked[members[0]].presentation_id} and of"
                    f" {len(members) - 1} more could not be written ({error}); what was finished before is kept in"
                    f" {self.work.folder}"
                ) from None
        return rows

    def _columns(self, members: Sequence[int], signals: Signals) -> dict[str, pa.Array]:
        """The signals as columns of the contract.

        Raises:
            ExtractionError: a value that is no finite number.
        """
        columns = {}
        numbers_by_name = {name: getattr(signals, name) for name in NUMBERS} | dict(signals.kept)
        for name, values in numbers_by_name.items():
            if values is None:
                columns[name] = pa.nulls(len(members), contracts.SIGNALS.schema.field(name).type)
                continue
            numbers = values.cpu().numpy()
            if not (finite := np.isfinite(numbers)).all():
                wrong = int(np.argmin(finite.reshape(len(members), -1).all(axis=1)))
                number = numbers[wrong][~finite[wrong]][0]
                raise ExtractionError(
                    f"presentation {self.asked[members[wrong]].presentation_id}: {name} holds {number};"
                    f" {self._cause(name, number)}"
                )
            lists = parquet.nested_lists(numbers.astype(np.float16) if name in contracts.BY_HEAD else numbers)
            if name in contracts.BY_LAYER and len(self.layers) < self.backbone.layers:
                lists = parquet.with_empty_lists(lists, self.layers, self.backbone.layers)
            columns[name] = lists
        prompts = [self.prompts[i] for i in members]
        if signals.texts is not None:
            columns["texts"] = pa.array([[asdict(text) for text in samples] for samples in signals.texts], TEXTS)
        return columns | {
            "candidate_tokens": pa.array([list(prompt.candidate_tokens) for prompt in prompts], pa.list_(pa.int32())),
            "prompt_tokens": pa.array([len(prompt.token_ids) for prompt in prompts], pa.int32()),
            "generated_text": pa.array(signals.generated_text, pa.string()),
        }

    def _cause(self, name: str, number: np.floating[Any]) -> str:
        # The logits themselves were looked at before, and are finite.
        if name == "processed_logits" and np.isneginf(number) and (fields := forbidding_fields(self.backbone)):
            return (
                f"the model's generation config forbids an identifier ({', '.join(fields)}), so that it cannot be"
                " answered: take that out of its generation_config.json"
            )
        return "a model that overflows in float16 may not in bfloat16"


NUMBERS: Final = (
    *("identifier_logits", "processed_logits", "candidate_logprobs"),
    *("candidate_attention", "delimiter_attention"),
)
"""The signals that are numbers; logits are None where the pass ended before the last layer."""

TEXTS: Final = pa.list_(pa.struct([("text", pa.string()), ("tokens", pa.int32()), ("finished", pa.bool_())]))
"""The texts of a presentation, sample by sample: kept in its row, so that finished work holds both or neither."""


def _in_order(rows: pa.Table, fingerprints: Sequence[str]) -> pa.Table:
    place = {key: row for row, key in enumerate(rows[FINGERPRINT].to_pylist())}
    return rows.take([place[key] for key in fingerprints]).combine_chunks()


def _signals_table(made: pa.Table, presentations: pa.Table) -> pa.Table:
    """The columns of the contract: what says how a row was made is left out."""
    for name in presentations.column_names:
        made = made.append_column(name, presentations[name])
    return parquet.conform(made, contracts.SIGNALS, "signals")


def _generations_table(made: pa.Table, asked: Sequence[Asked]) -> pa.Table:
    """One row per text."""
    rows = (
        {"presentation_id": one.presentation_id, "sample": sample, **text}
        for one, texts in zip(asked, made["texts"].to_pylist(), strict=True)
        for sample, text in enumerate(texts)
    )
    return parquet.conform(parquet.from_rows(rows, contracts.GENERATIONS), contracts.GENERATIONS, "generations")


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{platform.machine()} CPU, {threads} thread{'s' * (threads > 1)}"


def _progress(total: int, done: int, *, shown: bool) -> "tqdm[Any]":
    """Presentations per second and time left: a bar for people, a line every half minute for a log."""
    watched = sys.stderr.isatty()
    line = "{desc}: {n_fmt} of {total_fmt} presentations, {rate_fmt}, {remaining} left"
    return tqdm(
        total=total,
        initial=done,
        # Left out where it is shown: TQDM_DISABLE then still has its say.
        **({} if shown else {"disable": True}),
        desc="extract",
        unit=" presentations",
        bar_format=None if watched else line + "\n",
        mininterval=0.5 if watched else 30,
        maxinterval=10 if watched else 60,
        ascii=not watched,
    )
