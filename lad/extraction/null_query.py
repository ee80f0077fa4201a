"""The null query: the same candidates in the same order, but asked for "N/A".

What a model answers to it, and where it looks, is what it does whatever is asked of these very candidates. All
candidates stand before the query, so that both prompts share everything up to it: the null query's pass continues from
the keys and values of that part and feeds the rest, some ten tokens. That is exact (a test compares it with a pass of
its own), up to the rounding of other matrix shapes.

Where a layer has dropped a part of the cache (a sliding window shorter than the prompt), or keeps a state in place of
keys and values (hybrid models), the null query's prompt is read as a whole.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lad.contracts import Keep
from lad.extraction import readout
from lad.extraction.backbone import Backbone
from lad.extraction.batch import Batch
from lad.extraction.candidates import IdentifierTrie
from lad.extraction.passes import after_prefixes, continued, last_token, positions_behind, prefill
from lad.extraction.prompt_tokens import Prompt
from lad.extraction.prompts import Softening
from lad.extraction.rows import SUFFIX, rows_of


@dataclass(frozen=True)
class Continuation:
    """Prompts of a batch whose null prompts have one length, so that they are continued side by side.

    Attributes:
        members: their places in the batch.
        prefix: how many first tokens all of them share with their null prompts.
    """

    members: tuple[int, ...]
    prefix: int


def continuations(prompts: Sequence[Prompt]) -> list[Continuation]:
    """The prompts of a batch by the length of their null prompts."""
    by_length: dict[int, list[int]] = {}
    for k, prompt in enumerate(prompts):
        assert prompt.null is not None, "the builder was not asked to keep the null query"
        by_length.setdefault(len(prompt.null.token_ids), []).append(k)
    return [Continuation(tuple(members), min(_shared(prompts[k]) for k in members)) for members in by_length.values()]


def _shared(prompt: Prompt) -> int:
    """How many first tokens the prompt has in common with its null prompt; all candidates are among them."""
    null = prompt.null
    assert null is not None
    length = min(len(prompt.token_ids), len(null.token_ids))
    differs = (prompt.token_ids[:length] != null.token_ids[:length]).nonzero()
    # A prompt that asks for N/A itself has all in common, and one token at least is to be fed.
    shared = int(differs[0]) if len(differs) else length - 1
    if null.query is not None:
        shared = min(shared, int(null.query.nonzero()[0]))
    assert shared >= prompt.behind, "the query comes behind all candidates"
    return shared


@dataclass(frozen=True)
class NullSignals:
    """What the null query's pass over some prompts of a batch leaves behind; first axis: those prompts.

    Attributes:
        logprobs: (members, N) log-probability of each identifier; None where the pass ends before the last layer.
        attention: (members, layers, heads or key-value heads, 2, N) what the query's rows and the suffix's attend to,
            of the suffix only the rows behind what the prompts share; None where rows are not kept.
        token_sums: (members, T of the null prompts) the latter by token, summed over layers and heads; likewise.
    """

    logprobs: Tensor | None
    attention: Tensor | None
    token_sums: Tensor | None


def read_null_query(
    backbone: Backbone,
    batch: Batch,
    part: Continuation,
    cache: Any,
    trie: IdentifierTrie,
    *,
    keep: frozenset[Keep],
    softening: Softening | None,
    deepest: int | None = None,
) -> NullSignals:
    """The null query of some presentations of a batch, behind the cache of its prefill, which stays as it is.

    Args:
        deepest: as of `readout.Readout`.
    """
    nulls = Batch(
        tuple(null for k in part.members if (null := batch.prompts[k].null) is not None),
        tuple(image for k in part.members for image in batch.row(k).images),
    )
    beginning = continued(cache, part.prefix, part.members)
    token_ids = nulls.token_ids.to(backbone.device)
    segments = nulls.segments.to(backbone.device)
    rows = None
    if "rows" in keep:
        first = [max(part.prefix, prompt.behind) for prompt in nulls.prompts]
        rows = rows_of(nulls.prompts, first=first).to(backbone.device)
    with (
        _positions_kept(backbone),
        readout.softened(segments, nulls.n, softening),
        readout.reading(segments, 2 * nulls.n, heads="heads" in keep, rows=rows, deepest=deepest) as reading,
        suppress(readout.DeepEnoughError),
    ):
        if beginning is None:
            logits, beginning = prefill(backbone, nulls, keep_cache=bool(trie.fed_prefixes), rows=rows is not None)
        else:
            places = torch.arange(part.prefix, token_ids.shape[1], device=backbone.device).expand(len(token_ids), -1)
            output = backbone.model(
                input_ids=token_ids[:, part.prefix :],
                position_ids=positions_behind(backbone, places, part.members),
                past_key_values=beginning,
                use_cache=True,
                logits_to_keep=last_token(places.shape[1], backbone.device, rows=rows is not None),
            )
            logits = output.logits[:, -1]
    logprobs = None
    if deepest is None:
        after = {(): logits} | after_prefixes(backbone, beginning, trie, prompt=token_ids, members=part.members)
        logprobs = trie.log_probabilities(after)
    if rows is None or reading.token_sums is None:
        return NullSignals(logprobs, None, None)
    return NullSignals(
        logprobs=logprobs,
        attention=reading.rows_attention()[..., : nulls.n],
        token_sums=reading.token_sums[:, SUFFIX],
    )


@contextmanager
def _positions_kept(backbone: Backbone) -> Iterator[None]:
    """Models with three-dimensional positions keep something of the last prefill; the batch's own is needed again."""
    model = backbone.model.base_model
    deltas = getattr(model, "rope_deltas", None)
    try:
        yield
    finally:
        if deltas is not None:
            model.rope_deltas = deltas
