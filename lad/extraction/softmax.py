"""Softmax attention of models that add something to it: soft-capped scores (Gemma 2), sinks (gpt-oss).

A soft cap c turns a score s into c tanh(s / c). A sink is one more score of each head, whose key has no value: it takes
its part of the sum that all are divided by, so that what a token attends to sums to less than one. SDPA knows neither.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.integrations.sdpa_attention import repeat_kv

_SCORES_AT_ONCE: Final = 2**24
"""How many scores `capped_attention` holds: 64 MiB in float32."""
_ROOM: Final = 8
"""By how much queries and keys are widened: fast kernels want widths that are multiples of it."""


@dataclass(frozen=True)
class Softmax:
    """From scaled scores to weights.

    Attributes:
        softcap: None for scores as they are.
        sinks: (heads,) the score of each head's sink; None for none.
    """

    softcap: float | None = None
    sinks: Tensor | None = None

    def weights(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, heads, ..., keys) float32, as the scores are.

        Args:
            mask: broadcastable to the scores, boolean (True = visible) or additive; None where all is visible.
        """
        if self.softcap is not None:
            scores = self.softcap * torch.tanh(scores / self.softcap)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
        if self.sinks is None:
            return scores.softmax(-1)
        sinks = self.sinks.float().view(-1, *[1] * (scores.dim() - 2)).expand(*scores.shape[:-1], 1)
        return torch.cat([scores, sinks], dim=-1).softmax(-1)[..., :-1]

    def by_group(self, groups: int) -> list["Softmax"]:
        """That of the query heads of each key-value head."""
        if self.sinks is None:
            return [self] * groups
        return [Softmax(self.softcap, sinks) for sinks in self.sinks.chunk(groups)]


class WithSink(NamedTuple):
    """What SDPA takes; of its output the first `lead` tokens are to be dropped."""

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    lead: int


def with_sink(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, sinks: Tensor
) -> WithSink:
    """The same with a sink as one more key in front, so that SDPA's fast kernels serve.

    Queries and keys get one more number: the head's sink in a query, 1 / scaling in the sink's key, 0 in other keys. So
    the product is the sink in the one place and what it was elsewhere. The sink's value is nothing.

    Args:
        query, key, value, mask: as of `capped_attention`.
        sinks: (heads,).
    """
    batch, heads, fed, width = query.shape
    # Without a mask SDPA is causal, and takes queries and keys for one sequence: the sink's key needs a query beside.
    lead = int(mask is None and fed > 1)
    own = sinks.to(query.dtype)[:, None, None].expand(batch, heads, fed, 1)
    query = pad(torch.cat([query, own], dim=-1), (0, _ROOM - 1, lead, 0))
    key = pad(key, (0, _ROOM, 1, 0))
    key[:, :, 0, width] = 1 / scaling
    if mask is not None:
        mask = pad(mask, (1, 0), value=mask.dtype == torch.bool)
    return WithSink(query, key, pad(value, (0, 0, 1, 0)), mask, lead)


def capped_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, softmax: Softmax
) -> Tensor:
    """(batch, fed, heads, width of values) output of a layer with soft-capped scores, some rows at a time.

    Args:
        query: (batch, heads, fed, d).
        key, value: (batch, key-value heads, keys, d).
        mask: broadcastable to (batch, heads, fed, keys), boolean or additive; None = causal.
    """
    batch, heads, fed, _ = query.shape
    keys = key.shape[2]
    key, value = (repeat_kv(states, heads // states.shape[1]) for states in (key, value))
    at_once = max(1, _SCORES_AT_ONCE // (batch * heads * keys))
    places = torch.arange(keys, device=query.device)
    rows = []
    for first in range(0, fed, at_once):
        own = query[:, :, first : first + at_once]
        if mask is None:
            seen = places <= (places[keys - fed :][first : first + at_once, None])
        else:
            seen = mask[:, :, first : first + at_once, :keys]
        scores = (own * scaling @ key.transpose(2, 3)).float()
        rows.append(softmax.weights(scores, seen).to(value.dtype) @ value)
    return torch.cat(rows, dim=2).transpose(1, 2).contiguous()
