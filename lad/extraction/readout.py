"""Read the last prompt token's attention to each image, beside SDPA, without ever forming a T x T matrix.

Eager attention returns every layer's (heads x T x T) weights to use one row of them. The function registered here lets
SDPA compute the layer's output and computes that one row itself, in float32, reduced on the spot to one sum per image
(eq. 6) and one per image's delimiters: O(T) extra work and memory per layer. Logits and attention thus come from the
same forward pass, which matters in bfloat16, where eager and SDPA differ.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME: Final = "lad_readout"


class Readout:
    """Collects, layer by layer, what the last token attends to.

    Args:
        segments: (batch, T) int64; the segment of every prompt token, 0 .. n_segments - 1 for those that are summed
            and n_segments for all others. Read-outs of image k use segment k, its delimiters segment N + k.
        n_segments: how many segments to sum.
    """

    def __init__(self, segments: Tensor, n_segments: int) -> None:
        self.segments = segments
        self.n_segments = n_segments
        self.layers: dict[int, Tensor] = {}

    def record(self, layer: int, query: Tensor, key: Tensor, mask: Tensor | None, scaling: float) -> None:
        """Reduce one layer's attention row to segments.

        Args:
            query: (batch, heads, T, d).
            key: (batch, key-value heads, T, d).
            mask: broadcastable to (batch, heads, T, T), boolean (True = visible) or additive; None = causal.
        """
        batch, heads, _, d = query.shape
        groups = key.shape[1]
        last = query[:, :, -1].view(batch, groups, heads // groups, d)
        scores = torch.einsum("bghd,bgtd->bght", last.float(), key.float()) * scaling
        if mask is not None:
            row = mask[:, :, -1:, : key.shape[2]]
            scores = scores.masked_fill(~row, -torch.inf) if row.dtype == torch.bool else scores + row
        weights = scores.softmax(-1).mean(dim=(1, 2))
        sums = weights.new_zeros(batch, self.n_segments + 1).scatter_add_(1, self.segments, weights)
        self.layers[layer] = sums[:, : self.n_segments]

    def attention(self) -> Tensor:
        """(batch, layers, n_segments) float32: head mean of the summed attention, eq. 6.

        Raises:
            RuntimeError: if the forward pass did not go through the read-out.
        """
        if not self.layers:
            raise RuntimeError("no layer was read out: the model does not use the read-out attention")
        return torch.stack([self.layers[layer] for layer in sorted(self.layers)], dim=1)


_active: ContextVar[Readout | None] = ContextVar("readout", default=None)


@contextmanager
def reading(segments: Tensor, n_segments: int) -> Iterator[Readout]:
    """While active, every forward pass of a model with `install` applied is read out."""
    readout = Readout(segments, n_segments)
    token = _active.set(readout)
    try:
        yield readout
    finally:
        _active.reset(token)


def attention_with_readout(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """SDPA, plus the read-out of the last row where one is active."""
    output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    readout = _active.get()
    if readout is not None:
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        readout.record(module.layer_idx, query, key, attention_mask, scale)
    return output, None


def install(model: PreTrainedModel) -> None:
    """Let the model's language half use the read-out attention, and all other parts SDPA.

    Registering the mask function as well is essential: without it, left-padded batches give silently wrong logits.
    """
    AttentionInterface.register(NAME, attention_with_readout)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    text = model.config.get_text_config()
    parts = {name: getattr(model.config, name) for name in model.config.sub_configs}
    model.set_attn_implementation({name: NAME if part is text else "sdpa" for name, part in parts.items() if part})
    if text._attn_implementation != NAME:
        raise ValueError(
            f"{type(model).__name__} does not use transformers' AttentionInterface: its attention cannot be read"
        )
