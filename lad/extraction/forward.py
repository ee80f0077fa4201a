"""The forward passes of one batch of presentations, reduced to their signals.

One prefill gives the identifiers' logits and, read on the way, every layer's attention to each candidate. What stands
behind it continues from its cache (`lad.extraction.passes`): the open prefixes of identifiers, texts, the null query.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lad.contracts import Keep
from lad.extraction import readout
from lad.extraction.backbone import Backbone
from lad.extraction.batch import Batch
from lad.extraction.candidates import IdentifierTrie
from lad.extraction.generation_config import logits_processor
from lad.extraction.null_query import Continuation, continuations, read_null_query
from lad.extraction.passes import after_prefixes, empty_cache, prefill
from lad.extraction.prompts import Generation, Softening
from lad.extraction.rows import QUERY, SHARED, SUFFIX, filtered, rows_of
from lad.extraction.texts import Streams, Text, write_texts


@dataclass(frozen=True)
class Signals:
    """What the forward passes of one batch leave behind; first axis: presentation.

    Attributes:
        identifier_logits, processed_logits, candidate_logprobs: (batch, N) float32; None where the pass ended before
            the last layer.
        candidate_attention, delimiter_attention: (batch, layers read, N) float32, as of `Backbone.read_layers`.
        texts: for each presentation what the model wrote, as many samples as asked for; None where none were.
        kept: what was kept beyond the usual, by its name in the contract; (batch, ...) float32 as the contract has it,
            but of the layers read alone.
    """

    identifier_logits: Tensor | None
    processed_logits: Tensor | None
    candidate_logprobs: Tensor | None
    candidate_attention: Tensor
    delimiter_attention: Tensor
    texts: list[list[Text]] | None = None
    kept: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def generated_text(self) -> list[str | None]:
        """The first text of each presentation."""
        return [samples[0].text for samples in self.texts] if self.texts else [None] * len(self.candidate_attention)


def answer_trie(backbone: Backbone, identifiers: Sequence[str]) -> IdentifierTrie:
    """The identifiers' tokens as this model's tokenizer writes them at the start of an answer."""
    tokenizer = backbone.tokenizer
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
    parts = continuations(batch.prompts) if "null_query" in keep else []
    with _reading(backbone, batch, parts, keep=keep, softening=softening) as reading:
        needs_cache = bool(trie.fed_prefixes) or generation is not None or bool(parts)
        logits, cache = prefill(backbone, batch, keep_cache=needs_cache, rows=reading.rows is not None)
    attention = reading.attention()
    after = {(): logits} | after_prefixes(backbone, cache, trie, prompt=token_ids)
    kept = _kept(backbone, batch, reading, parts, cache, trie, keep=keep, softening=softening)
    process = logits_processor(backbone, prompt=token_ids, generation=generation)
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
        texts=texts,
        kept=kept,
    )


@torch.inference_mode()
def read_attention(
    backbone: Backbone,
    batch: Batch,
    trie: IdentifierTrie,
    *,
    deepest: int,
    keep: frozenset[Keep] = frozenset(),
    softening: Softening | None = None,
) -> Signals:
    """What `read_batch` reads of the layers up to `deepest`, behind which the pass ends: there are no logits."""
    parts = continuations(batch.prompts) if "null_query" in keep else []
    cache = empty_cache(backbone) if parts else None
    with (
        _reading(backbone, batch, parts, keep=keep, softening=softening, deepest=deepest) as reading,
        suppress(readout.DeepEnoughError),
    ):
        prefill(backbone, batch, keep_cache=bool(parts), rows=reading.rows is not None, cache=cache)
    attention = reading.attention()
    return Signals(
        identifier_logits=None,
        processed_logits=None,
        candidate_logprobs=None,
        candidate_attention=attention[:, :, : batch.n],
        delimiter_attention=attention[:, :, batch.n :],
        kept=_kept(backbone, batch, reading, parts, cache, trie, keep=keep, softening=softening),
    )


@contextmanager
def _reading(
    backbone: Backbone,
    batch: Batch,
    parts: Sequence[Continuation],
    *,
    keep: frozenset[Keep],
    softening: Softening | None,
    deepest: int | None = None,
) -> Iterator[readout.Readout]:
    """While active, forward passes over the batch are read out, as far as `keep` asks for it, and softened."""
    segments = batch.segments.to(backbone.device)
    rows = rows_of(batch.prompts, shared=_shared(parts)).to(backbone.device) if "rows" in keep else None
    with (
        readout.softened(segments, batch.n, softening),
        readout.reading(segments, 2 * batch.n, heads="heads" in keep, rows=rows, deepest=deepest) as reading,
    ):
        yield reading


def _shared(parts: Sequence[Continuation]) -> list[int] | None:
    """How many tokens each presentation shares with its null query, where that is asked."""
    prefixes = {k: part.prefix for part in parts for k in part.members}
    return [prefixes[k] for k in sorted(prefixes)] or None


def _kept(
    backbone: Backbone,
    batch: Batch,
    reading: readout.Readout,
    parts: Sequence[Continuation],
    cache: Any,
    trie: IdentifierTrie,
    *,
    keep: frozenset[Keep],
    softening: Softening | None,
) -> dict[str, Tensor]:
    """What is kept beyond the usual, as of `Signals.kept`; the null query is asked here."""
    n = batch.n
    kept: dict[str, Tensor] = {}
    if "heads" in keep:
        kept["head_attention"] = reading.head_attention()[..., :n]
    if "rows" in keep:
        own = reading.rows_attention()[..., :n]
        kept |= _by_layer_and_head("query_attention", own[..., QUERY, :], keep)
        kept |= _by_layer_and_head("suffix_attention", own[..., SUFFIX, :], keep)
    if not parts:
        return kept
    nulls = [
        read_null_query(backbone, batch, part, cache, trie, keep=keep, softening=softening, deepest=reading.deepest)
        for part in parts
    ]
    # From the order of the parts to that of the batch.
    places = torch.tensor([k for part in parts for k in part.members], device=backbone.device).argsort()
    if reading.deepest is None:
        kept["null_logprobs"] = torch.cat([null.logprobs for null in nulls if null.logprobs is not None])[places]
    if "rows" not in keep:
        return kept
    assert reading.token_sums is not None
    suffix_tokens = [len(p.null.token_ids) - p.null.behind for p in batch.prompts if p.null is not None]
    share = 1 / torch.tensor(suffix_tokens, device=backbone.device)
    read = torch.cat([null.attention for null in nulls if null.attention is not None])[places]
    null_suffix = read[..., SUFFIX, :] + own[..., SHARED, :] * share[:, None, None, None]
    kept |= _by_layer_and_head("null_query_attention", read[..., QUERY, :], keep)
    kept |= _by_layer_and_head("null_suffix_attention", null_suffix, keep)
    length = batch.token_ids.shape[1]
    sums = [_of_length(null.token_sums, length) for null in nulls if null.token_sums is not None]
    null_sums = torch.cat(sums)[places] + reading.token_sums[:, SHARED] * share[:, None]
    segments = batch.segments.to(backbone.device)
    kept["filtered_attention"] = filtered(reading.token_sums[:, SUFFIX] - null_sums, segments, n)
    return kept


def _by_layer_and_head(name: str, attention: Tensor, keep: frozenset[Keep]) -> dict[str, Tensor]:
    """The columns of one kind of row, from (batch, layers, heads or key-value heads, N)."""
    by_layer = {name: attention.mean(2)}
    return by_layer | {f"head_{name}": attention} if "heads" in keep else by_layer


def _of_length(sums: Tensor, length: int) -> Tensor:
    """(rows, length) of (rows, T): the candidates' tokens stand in front of what is cut off or filled up."""
    return torch.nn.functional.pad(sums[:, :length], (0, max(0, length - sums.shape[1])))
