"""The forward passes of one batch of presentations, reduced to their signals.

One prefill gives the identifiers' logits and, read on the way, every layer's attention to each image. Where identifiers
have several tokens, one short step behind the prefill's cache gives the logits after all their open prefixes: the
prefixes are fed together as a tree, each seeing the prompt and its own beginning only. The released code runs the whole
model once more for every such prefix.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lad.contracts import Keep
from lad.extraction import readout
from lad.extraction.backbone import Backbone
from lad.extraction.candidates import IdentifierTrie, Prefix
from lad.extraction.inputs import Batch
from lad.extraction.prompts import Generation, Softening
from lad.extraction.texts import LogitsProcessor, Streams, Text, write_texts


@dataclass(frozen=True)
class Signals:
    """What the forward passes of one batch leave behind; first axis: presentation.

    Attributes:
        identifier_logits, processed_logits, candidate_logprobs: (batch, N) float32.
        candidate_attention, delimiter_attention: (batch, layers, N) float32.
        head_attention: (batch, layers, heads, N) float32, images only; None where it was not asked for.
        texts: for each presentation what the model wrote, as many samples as asked for; None where none were.
    """

    identifier_logits: Tensor
    processed_logits: Tensor
    candidate_logprobs: Tensor
    candidate_attention: Tensor
    delimiter_attention: Tensor
    head_attention: Tensor | None
    texts: list[list[Text]] | None

    @property
    def generated_text(self) -> list[str | None]:
        """The first text of each presentation."""
        return [samples[0].text for samples in self.texts] if self.texts else [None] * len(self.identifier_logits)


def answer_trie(backbone: Backbone, identifiers: Sequence[str]) -> IdentifierTrie:
    """The identifiers' tokens as this model's tokenizer writes them at the start of an answer."""
    tokenizer = backbone.processor.tokenizer
    # No space in front: an answer begins right after the generation prompt.
    tokens = (tokenizer(identifier, add_special_tokens=False)["input_ids"] for identifier in identifiers)
    return IdentifierTrie(tuple(map(tuple, tokens)), backbone.eos_token_ids[0])


@torch.inference_mode()
def read_batch(
    backbone: Backbone,
    batch: Batch,
    trie: IdentifierTrie,
    *,
    generation: Generation | None = None,
    streams: Streams | None = None,
    keep: frozenset[Keep] = frozenset(),
    softening: Softening | None = None,
) -> Signals:
    """One prefill, one cached step for the open prefixes of the identifiers, and texts behind the prompt if asked for.

    Args:
        generation: how texts are written; None for none.
        streams: (batch, samples) noise of drawn texts, as of `lad.extraction.texts.noise_stream`.
        keep: what is kept beyond the usual.
        softening: read the prompt with SoFA's mask.

    Raises:
        NotANumberError: the model overflows while it writes.
    """
    token_ids = batch.token_ids.to(backbone.device)
    segments = batch.segments.to(backbone.device)
    with (
        readout.softened(segments, batch.n, softening),
        readout.reading(segments, 2 * batch.n, heads="heads" in keep) as reading,
    ):
        logits, cache = _prefill(backbone, batch, keep_cache=bool(trie.fed_prefixes) or generation is not None)
    attention = reading.attention()
    after = {(): logits} | _after_prefixes(backbone, cache, trie, prompt=token_ids)
    process = _logits_processor(backbone, prompt=token_ids)
    processed = process(token_ids, logits.float())
    texts = None
    if generation is not None:
        texts = write_texts(
            backbone,
            cache,
            prompt=token_ids,
            scores=processed,
            process=process,
            generation=generation,
            streams=streams,
        )
    return Signals(
        identifier_logits=logits[:, trie.first_tokens].float(),
        processed_logits=processed[:, trie.first_tokens],
        candidate_logprobs=trie.log_probabilities(after),
        candidate_attention=attention[:, :, : batch.n],
        delimiter_attention=attention[:, :, batch.n :],
        head_attention=reading.head_attention()[..., : batch.n] if "heads" in keep else None,
        texts=texts,
    )


def _prefill(backbone: Backbone, batch: Batch, *, keep_cache: bool) -> tuple[Tensor, Any]:
    """(batch, vocabulary) logits after the prompts, and the cache if it is to be kept."""
    with prefill_inputs(backbone, batch) as inputs:
        output = backbone.model(**inputs, use_cache=keep_cache, logits_to_keep=1)
    return output.logits[:, -1], output.past_key_values if keep_cache else None


@contextmanager
def prefill_inputs(backbone: Backbone, batch: Batch) -> Iterator[dict[str, Any]]:
    """Keyword arguments of a forward pass over the prompts, good for as long as this lasts."""
    inputs = batch.model_inputs(backbone.device)
    encoder_outputs = inputs.pop("mm_encoder_outputs")
    inputs = {name: value for name, value in inputs.items() if name in backbone.forward_arguments}
    inputs |= _image_positions(backbone, batch)
    with _images_given(backbone, encoder_outputs) as images:
        yield {**inputs, **images}


@contextmanager
def _images_given(backbone: Backbone, encoder_outputs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Arguments that make a forward pass use these image features in place of pixels.

    transformers 5.23 takes them as an argument. Of an earlier one (5.17), or of a model without that argument, the
    methods that would compute them return them for as long as this lasts, and a stand-in takes the pixels' place.
    """
    if "mm_encoder_outputs" in backbone.forward_arguments:
        yield {"mm_encoder_outputs": encoder_outputs}
        return
    owners = [module for module in backbone.model.modules() if hasattr(type(module), "get_image_features")]
    for owner in owners:
        owner.get_image_features = lambda *args, **kwargs: encoder_outputs["image"]
    try:
        yield {"pixel_values": torch.zeros(1, device=backbone.device)}
    finally:
        for owner in owners:
            del owner.get_image_features


def _image_positions(backbone: Backbone, batch: Batch) -> dict[str, Tensor]:
    """The position ids of models with three-dimensional rotary positions; nothing for all others.

    Such a model would work them out for every row and image, waiting for the device each time. Rows whose images have
    the same sizes and places have the same positions: they are worked out once, on the CPU.
    """
    if not backbone.position_arguments:
        return {}
    model = backbone.model.base_model
    known: dict[bytes, tuple[Tensor, Tensor]] = {}
    rows = []
    for layout in (batch.row(k).layout() for k in range(len(batch.token_ids))):
        arguments = {name: value for name, value in layout.items() if name in backbone.position_arguments}
        key = b"".join(value.numpy().tobytes() for name, value in arguments.items() if name != "input_ids")
        if key not in known:
            known[key] = model.get_rope_index(**arguments)
        rows.append(known[key])
    # The model keeps by how much positions fall behind places, for the steps after the prefill.
    model.rope_deltas = torch.cat([deltas for _, deltas in rows]).to(backbone.device)
    return {"position_ids": torch.cat([positions for positions, _ in rows], dim=1).to(backbone.device)}


def _after_prefixes(backbone: Backbone, cache: Any, trie: IdentifierTrie, *, prompt: Tensor) -> dict[Prefix, Tensor]:
    """(batch, vocabulary) logits after the prompt and each open prefix, in one step; the cache stays as it is."""
    fed = trie.fed_prefixes
    if not fed:
        return {}
    rows, length = prompt.shape
    device = backbone.device
    depth = torch.tensor([len(prefix) - 1 for prefix in fed], device=device)
    visible = torch.tensor([[later[: len(first)] == first for first in fed] for later in fed], device=device)
    with readout.branching(depth, visible):
        output = backbone.model(
            input_ids=torch.tensor([prefix[-1] for prefix in fed], device=device).expand(rows, -1),
            position_ids=_positions(backbone, (length + depth).expand(rows, -1)),
            past_key_values=_unchanged(cache),
            use_cache=True,
            logits_to_keep=torch.tensor([fed.index(prefix) for prefix in trie.open_prefixes], device=device),
        )
    return dict(zip(trie.open_prefixes, output.logits.unbind(1), strict=True))


def _positions(backbone: Backbone, places: Tensor) -> Tensor:
    """Position ids of tokens at these places (batch, tokens) of their sequences, behind a prefill.

    Models with three-dimensional rotary positions give an image fewer positions than tokens; they keep the difference.
    """
    deltas = getattr(backbone.model.base_model, "rope_deltas", None)
    return places if deltas is None else (places + deltas.to(places)).expand(3, -1, -1)


def _unchanged(cache: Any) -> Any:
    """A view of `cache` that a step may update without a trace, and without the memory of a second cache."""

    def view_of(layer: Any) -> Any:
        view = copy.copy(layer)
        view.update = lambda *args, **kwargs: copy.copy(layer).update(*args, **kwargs)
        return view

    view = copy.copy(cache)
    view.layers = [view_of(layer) for layer in cache.layers]
    return view


def _logits_processor(backbone: Backbone, *, prompt: Tensor) -> LogitsProcessor:
    """What the model's own generation config does to logits before any choice (repetition penalty ...)."""
    config = copy.deepcopy(backbone.model.generation_config)
    config.do_sample = False
    processors: LogitsProcessor = backbone.model._get_logits_processor(
        generation_config=config, input_ids_seq_length=prompt.shape[1], device=str(backbone.device), model_kwargs={}
    )
    return processors
