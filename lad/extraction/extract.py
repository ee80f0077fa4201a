"""Extraction: one forward pass per presentation, reduced to the signals contract.

Of every pass we keep the identifiers' logits (raw, and after the model's own logits processors), the candidates' joint
log-probabilities, and per layer the attention of the last prompt token to each image. Nothing after this stage needs
the model. Presentations of equal prompt length share a batch, so that nothing is padded and no mask is needed.

Where we differ from the released code: one pass per presentation serves every method (there: one per method and one
more per two-digit prefix), images are encoded once, and attention is read beside SDPA instead of eagerly.
"""

import copy
import importlib.metadata
import platform
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor
from tqdm import tqdm

from lad.extraction import EXTRACTOR_VERSION, readout
from lad.extraction.backbone import Backbone
from lad.extraction.candidates import IdentifierTrie, Prefix
from lad.extraction.inputs import Batch, Prompt, PromptBuilder, collate, encode_images
from lad.extraction.prompts import Probe


@dataclass(frozen=True)
class Signals:
    """What the forward passes of one batch leave behind; first axis: presentation."""

    identifier_logits: Tensor
    processed_logits: Tensor
    candidate_logprobs: Tensor
    image_attention: Tensor
    delimiter_attention: Tensor
    generated_text: list[str | None]


def extract(
    backbone: Backbone,
    probe: Probe,
    *,
    images: pa.Table,
    image_folder: Path,
    questions: pa.Table,
    presentations: pa.Table,
    batch_size: int = 64,
    answer_text: bool = False,
) -> tuple[pa.Table, dict[str, Any]]:
    """The signals of all presentations, in their order, and facts about the run for the file's metadata.

    Args:
        images: IMAGES table; files lie below `image_folder`.
        questions: QUESTIONS table with every question of `presentations`.
        answer_text: also decode the model's own greedy answer (a few cached steps more).

    Raises:
        InputError: an image is missing or cannot be decoded.
        ValueError: a presentation's question or image is in none of the tables.
    """
    started = time.perf_counter()
    asked = _join(images, questions, presentations)
    shown = {image_id: image_folder / name for row in asked for image_id, name in zip(*row.images, strict=True)}
    encoded = encode_images(backbone, shown)
    build = PromptBuilder(backbone, probe)
    prompts = [build(row.caption, [encoded[i] for i in row.images[0]]) for row in asked]
    trie = answer_trie(backbone, probe.identifiers(asked[0].n))
    answer_tokens = max(map(len, trie.identifiers)) + 2 if answer_text else 0

    rows: list[dict[str, Any]] = [{} for _ in asked]
    with tqdm(total=len(asked), unit="presentation", desc="extract", mininterval=5, disable=None) as progress:
        for members in batches(prompts, batch_size):
            batch = collate(
                [prompts[i] for i in members],
                ([encoded[image_id] for image_id in asked[i].images[0]] for i in members),
                pad_token_id=trie.eos,
            )
            signals = read_batch(backbone, batch, trie, answer_tokens)
            for row, i in enumerate(members):
                rows[i] = _row(signals, row, prompts[i])
            progress.update(len(members))

    table = pa.Table.from_pylist(rows)
    for name in presentations.column_names:
        table = table.append_column(name, presentations[name])
    return table, {
        **backbone.describe(),
        "probe": probe.name,
        "extractor_version": EXTRACTOR_VERSION,
        "identifiers": list(probe.identifiers(asked[0].n)),
        "identifier_tokens": [list(tokens) for tokens in trie.identifiers],
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "pyarrow")},
        "device": _device_name(backbone.device),
        "seconds": round(time.perf_counter() - started, 3),
        "peak_memory_bytes": _peak_memory(backbone.device),
        "presentations": len(asked),
        "images": len(shown),
    }


def answer_trie(backbone: Backbone, identifiers: Sequence[str]) -> IdentifierTrie:
    """The identifiers' tokens as this model's tokenizer writes them at the start of an answer."""
    tokenizer = backbone.processor.tokenizer
    # No space in front: an answer begins right after the generation prompt.
    tokens = (tokenizer(identifier, add_special_tokens=False)["input_ids"] for identifier in identifiers)
    return IdentifierTrie(tuple(map(tuple, tokens)), backbone.eos_token_ids[0])


def batches(prompts: Sequence[Prompt], batch_size: int) -> Iterator[list[int]]:
    """Indices of presentations with prompts of one length, at most `batch_size` at a time, longest first."""
    by_length: dict[int, list[int]] = {}
    for index, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt.token_ids), []).append(index)
    for length in sorted(by_length, reverse=True):
        members = by_length[length]
        for start in range(0, len(members), batch_size):
            yield members[start : start + batch_size]


@torch.inference_mode()
def read_batch(backbone: Backbone, batch: Batch, trie: IdentifierTrie, answer_tokens: int = 0) -> Signals:
    """One prefill, one cached step per open prefix of the identifiers, and the greedy answer if asked for.

    Args:
        answer_tokens: how many tokens of the greedy answer to decode; 0 for none.
    """
    model = backbone.model
    inputs = batch.model_inputs(backbone.device)
    with readout.reading(batch.segments.to(backbone.device), 2 * batch.n) as reading:
        output = model(**inputs, use_cache=bool(trie.open_prefixes) or answer_tokens > 0, logits_to_keep=1)
    logits = output.logits[:, -1]
    attention = reading.attention()

    after: dict[Prefix, Tensor] = {(): logits}
    for prefix in trie.open_prefixes:
        # Forked, not copied: the step appends to a view of its own and leaves the prefill's cache as it was.
        after[prefix] = _continue(model, batch, _fork(output.past_key_values), prefix)

    process = _logits_processor(backbone, batch)
    processed = process(inputs["input_ids"], logits.float())
    return Signals(
        identifier_logits=logits[:, trie.first_tokens].float(),
        processed_logits=processed[:, trie.first_tokens],
        candidate_logprobs=trie.log_probabilities(after),
        image_attention=attention[:, :, : batch.n],
        delimiter_attention=attention[:, :, batch.n :],
        generated_text=_greedy_text(backbone, batch, output.past_key_values, processed, process, answer_tokens),
    )


def _fork(cache: Any) -> Any:
    forked = copy.copy(cache)
    forked.layers = [copy.copy(layer) for layer in cache.layers]
    return forked


def _continue(model: Any, batch: Batch, cache: Any, tokens: Prefix | Tensor) -> Tensor:
    """Next-token logits (batch, vocabulary) after `tokens`, fed behind what the cache holds.

    Args:
        tokens: the same tokens for all, or (batch, steps).
    """
    rows = len(batch.token_ids)
    fed = torch.as_tensor(tokens, device=model.device)
    fed = fed.expand(rows, -1) if fed.ndim == 1 else fed
    padded: dict[str, Tensor] = {}
    if batch.attention_mask is not None:
        held = cache.get_seq_length()
        mask = torch.ones(rows, held + fed.shape[1], dtype=torch.int64, device=model.device)
        mask[:, : batch.attention_mask.shape[1]] = batch.attention_mask
        padded["attention_mask"] = mask
        # Models with multimodal rotary positions count a row's own tokens, and cannot infer them from a padded cache.
        if (deltas := getattr(model.model, "rope_deltas", None)) is not None:
            positions = mask.cumsum(-1)[:, held:] - 1 + deltas.to(mask)
            padded["position_ids"] = positions.expand(3, -1, -1)
    output = model(input_ids=fed, past_key_values=cache, use_cache=True, logits_to_keep=1, **padded)
    logits: Tensor = output.logits[:, -1]
    return logits


def _logits_processor(backbone: Backbone, batch: Batch) -> Any:
    """What the model's own generation config does to logits before greedy choice (repetition penalty ...)."""
    config = copy.deepcopy(backbone.model.generation_config)
    config.do_sample = False
    mask = batch.attention_mask
    return backbone.model._get_logits_processor(
        generation_config=config,
        input_ids_seq_length=batch.token_ids.shape[1],
        device=str(backbone.device),
        model_kwargs={} if mask is None else {"attention_mask": mask.to(backbone.device)},
    )


def _greedy_text(
    backbone: Backbone, batch: Batch, cache: Any, scores: Tensor, process: Any, answer_tokens: int
) -> list[str | None]:
    """The text that `generate` without sampling would give, at most `answer_tokens` tokens of it."""
    rows = len(batch.token_ids)
    if not answer_tokens:
        return [None] * rows
    eos = torch.tensor(backbone.eos_token_ids, device=backbone.device)
    context = batch.token_ids.to(backbone.device)
    answer = context.new_empty(rows, 0)
    finished = torch.zeros(rows, dtype=torch.bool, device=backbone.device)
    for step in range(answer_tokens):
        if step:
            scores = process(torch.cat([context, answer], 1), _continue(backbone.model, batch, cache, answer[:, -1:]))
        token = scores.argmax(-1).masked_fill(finished, int(eos[0]))
        answer = torch.cat([answer, token[:, None]], 1)
        finished |= torch.isin(token, eos)
        if finished.all():
            break
    texts: list[str | None] = list(backbone.processor.tokenizer.batch_decode(answer, skip_special_tokens=True))
    return texts


@dataclass(frozen=True)
class _Asked:
    """A presentation with what it shows: image ids and files by position, and the caption."""

    caption: str
    images: tuple[list[int], list[str]]
    n: int


def _join(images: pa.Table, questions: pa.Table, presentations: pa.Table) -> list[_Asked]:
    files = dict(zip(images["image_id"].to_pylist(), images["file_name"].to_pylist(), strict=True))
    known = {row["question_id"]: row for row in questions.to_pylist()}
    asked = []
    for row in presentations.to_pylist():
        question = known.get(row["question_id"])
        if question is None:
            raise ValueError(
                f"presentation {row['presentation_id']}: question {row['question_id']} is not in the table"
            )
        shown = [question["candidates"][candidate - 1] for candidate in row["order"]]
        if missing := [image_id for image_id in shown if image_id not in files]:
            raise ValueError(f"presentation {row['presentation_id']}: image {missing[0]} is not in the images table")
        asked.append(_Asked(question["caption"], (shown, [files[i] for i in shown]), row["n_candidates"]))
    if not asked:
        raise ValueError("no presentations to extract")
    if len(sizes := {row.n for row in asked}) > 1:
        raise ValueError(f"presentations with different N in one table: {sorted(sizes)}")
    return asked


def _row(signals: Signals, row: int, prompt: Prompt) -> dict[str, Any]:
    return {
        "identifier_logits": signals.identifier_logits[row].tolist(),
        "processed_logits": signals.processed_logits[row].tolist(),
        "candidate_logprobs": signals.candidate_logprobs[row].tolist(),
        "image_attention": signals.image_attention[row].tolist(),
        "delimiter_attention": signals.delimiter_attention[row].tolist(),
        "image_tokens": list(prompt.image_tokens),
        "prompt_tokens": len(prompt.token_ids),
        "generated_text": signals.generated_text[row],
    }


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def _peak_memory(device: torch.device) -> int:
    """Bytes: the device's peak allocation, or this process's peak resident size on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
