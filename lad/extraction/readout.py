"""Read the last prompt token's attention to each candidate, beside SDPA, without ever forming a T x T matrix.

Eager attention returns every layer's (heads x T x T) weights to use one row of them. The function registered here
computes that one row itself, in float32, reduced on the spot to one sum per candidate (eq. 6) and one per candidate's
delimiters, and lets SDPA compute the layer's output: O(T) extra work and memory per layer. Logits and attention thus
come from the same forward pass, which matters in bfloat16, where eager and SDPA differ.

Other rows are read the same way where they are asked for (`Rows`): those of the query's tokens, say. R rows take
O(R T) work and memory per layer, one key-value head at a time. The last row is read on its own all the same, so that
its numbers do not depend on what else is read.

The same function applies the mask of a tree of tokens (`branching`), with which one cached step continues a prompt in
several ways at once, and SoFA's softened mask (`softened`).

Soft caps and sinks, which some models add to their softmax, are read as the model computes with them
(`lad.extraction.softmax`). What else a model may add is refused.

Layers without softmax attention (linear attention, convolutions) do not call it, and have no place in what is read:
`try_out` says which layers do.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from lad.extraction.prompts import Softening
from lad.extraction.softmax import Softmax, capped_attention, with_sink

NAME: Final = "lad_readout"
_PLAIN: Final = Softmax()

_UNREADABLE: Final = {
    "sinks": "attention sinks that differ by query",
    "position_bias": "a position bias",
    # Such models mask what they do not choose for eager attention and SDPA only, and leave it to others to do so.
    "indices": "a choice of tokens for every query (sparse attention)",
    "block_indices": "a choice of tokens for every query (sparse attention)",
}
"""What some models add to the softmax of q k, by the name of the argument that brings it."""


@dataclass(frozen=True)
class Rows:
    """Rows of the attention besides the last token's, and how they are averaged.

    Attributes:
        places: (batch, R) int64; the place in its sequence, from 0, of each token whose row is read.
        weights: (batch, kinds, R) float32; what each row weighs in each kind of average.
    """

    places: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> "Rows":
        return Rows(self.places.to(device), self.weights.to(device))


class DeepEnoughError(Exception):
    """Ends a forward pass behind the last layer that is to be read."""


class Readout:
    """Collects, layer by layer, what the last token and other rows attend to.

    Args:
        segments: (batch, T) int64; the segment of every prompt token, 0 .. n_segments - 1 for those that are summed
            and n_segments for all others. Read-outs of candidate k use segment k, its delimiters segment N + k.
        n_segments: how many segments to sum.
        heads: keep the sums of every head, not only their mean.
        rows: other rows to read.
        deepest: the last layer that is read; `DeepEnoughError` ends the pass there. None for all of them.

    Attributes:
        token_sums: (batch, kinds, T) float32; what the rows of each kind attend to each token, summed over layers and
            heads. None without other rows.
        adds_masks: whether a layer's mask added to its scores so far, in place of saying what is visible.
    """

    def __init__(
        self,
        segments: Tensor,
        n_segments: int,
        heads: bool = False,
        rows: Rows | None = None,
        deepest: int | None = None,
    ) -> None:
        self.heads = heads
        self.rows = rows
        self.deepest = deepest
        self.token_sums: Tensor | None = None
        self.adds_masks = False
        # (batch, T, n_segments), 1 where a token belongs to a segment. A product with it sums by segment in the same
        # order every time, which scattering does not on a GPU.
        self._belongs = (segments[..., None] == torch.arange(n_segments, device=segments.device)).float()
        self.layers: dict[int, Tensor] = {}
        self._layers_of_rows: dict[int, Tensor] = {}

    def record(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        mask: Tensor | None,
        scaling: float,
        softmax: Softmax = _PLAIN,
    ) -> None:
        """Reduce one layer's attention rows to segments.

        Args:
            query: (batch, heads, fed, d); behind a cache only the last tokens are fed.
            key: (batch, key-value heads, T, d).
            mask: broadcastable to (batch, heads, fed, T), boolean (True = visible) or additive; None = causal.

        Raises:
            ValueError: the layer was recorded before.
        """
        if layer in self.layers:
            raise ValueError(
                "a block of its attention serves several layers, or one layer several times, so that attention cannot"
                " be told apart by layer"
            )
        self.adds_masks |= mask is not None and mask.dtype != torch.bool
        by_group = softmax.by_group(key.shape[1])
        self._record_last(layer, query, key, mask, scaling, by_group)
        if self.rows is not None:
            self._record_rows(layer, self.rows, query, key, mask, scaling, by_group)
        if layer == self.deepest:
            raise DeepEnoughError

    def _record_last(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        mask: Tensor | None,
        scaling: float,
        by_group: Sequence[Softmax],
    ) -> None:
        heads, groups = query.shape[1], key.shape[1]
        rows = (
            [None] * groups if mask is None else mask[:, :, -1, : key.shape[2]].expand(-1, heads, -1).chunk(groups, 1)
        )
        sums = []
        # One key-value head at a time: no float32 copy of all keys, and no copy at all of keys that are float32.
        for group, last in enumerate(query[:, :, -1].float().chunk(groups, dim=1)):
            scores = last @ key[:, group].float().transpose(1, 2) * scaling
            weights = by_group[group].weights(scores, rows[group])
            sums.append((weights if self.heads else weights.mean(1, keepdim=True)) @ self._belongs)
        self.layers[layer] = torch.cat(sums, dim=1)

    def _record_rows(
        self,
        layer: int,
        rows: Rows,
        query: Tensor,
        key: Tensor,
        mask: Tensor | None,
        scaling: float,
        by_group: Sequence[Softmax],
    ) -> None:
        (batch, heads, fed, _), (_, groups, keys, _) = query.shape, key.shape
        each, at = torch.arange(batch, device=query.device)[:, None], rows.places - (keys - fed)
        if mask is None:
            seen = torch.arange(keys, device=query.device) <= rows.places[..., None]
            masks = [seen[:, None]] * groups
        else:
            # (batch, R, heads, keys), then heads first.
            chosen = mask[..., :keys].expand(batch, heads, -1, -1)[each, :, at].transpose(1, 2)
            masks = list(chosen.chunk(groups, dim=1))
        asked = query[each, :, at].transpose(1, 2)
        sums = []
        for group, own in enumerate(asked.float().chunk(groups, dim=1)):
            scores = own @ key[:, group, None].float().transpose(2, 3) * scaling
            means = rows.weights[:, None] @ by_group[group].weights(scores, masks[group])
            by_token = means.sum(1)
            self.token_sums = by_token if self.token_sums is None else self.token_sums + by_token
            sums.append((means if self.heads else means.mean(1, keepdim=True)) @ self._belongs[:, None])
        self._layers_of_rows[layer] = torch.cat(sums, dim=1)

    def attention(self) -> Tensor:
        """(batch, layers read, n_segments) float32: head mean of the summed attention, eq. 6.

        Raises:
            RuntimeError: if the forward pass did not go through the read-out.
        """
        return self._of_last().mean(2)

    def head_attention(self) -> Tensor:
        """(batch, layers read, heads, n_segments) float32: the summed attention of every head.

        Raises:
            RuntimeError: if the forward pass did not go through the read-out, or heads were not asked for.
        """
        if not self.heads:
            raise RuntimeError("heads were not kept: ask for them with reading(..., heads=True)")
        return self._of_last()

    def rows_attention(self) -> Tensor:
        """(batch, layers read, heads, kinds, n_segments) float32: what the other rows attend to, by kind of average.

        Where heads are not kept, the axis of heads has fewer entries, whose mean is that of all heads.

        Raises:
            RuntimeError: no other rows were read.
        """
        if not self._layers_of_rows:
            raise RuntimeError("no other rows were read: ask for them with reading(..., rows=...)")
        return _stacked(self._layers_of_rows)

    def _of_last(self) -> Tensor:
        if not self.layers:
            raise RuntimeError("no layer was read out: the model does not use the read-out attention")
        return _stacked(self.layers)


def _stacked(by_layer: Mapping[int, Tensor]) -> Tensor:
    """(batch, layers read, heads or key-value heads, ...); the mean of these where layers have different numbers."""
    layers = [by_layer[layer] for layer in sorted(by_layer)]
    if len({len(own[0]) for own in layers}) > 1:
        layers = [own.mean(1, keepdim=True) for own in layers]
    return torch.stack(layers, dim=1)


class Tree:
    """Several continuations of a prompt, fed as one sequence behind its cache.

    Args:
        depth: (P,) int64; how many tokens of its continuation come before each token.
        visible: (P, P) boolean; [i, j] whether token j is token i itself or comes before it in its continuation.
    """

    def __init__(self, depth: Tensor, visible: Tensor) -> None:
        self.depth = depth
        self.visible = visible

    def mask(self, mask: Tensor | None, tokens: int, keys: int) -> Tensor:
        """(batch or 1, 1, tokens, keys) boolean: the model's own mask of a plain sequence, made that of the tree.

        A token sees of the prompt what the model would let any token at its depth see (sliding windows end there,
        say), and of the fed tokens its own continuation only.
        """
        if mask is None:
            mask = self.depth.new_ones(1, 1, tokens, keys, dtype=torch.bool).tril(keys - tokens)
        rows = mask[:, :, self.depth]
        prompt, fed = rows[..., :-tokens], rows[..., -tokens:][..., self.depth]
        return torch.cat([prompt, fed & self.visible], dim=-1)


class SoftMask:
    """SoFA's mask of a prompt: what causality hides between images is weighed by sigma instead.

    Args:
        segments: (batch, T) as of `Readout`.
        n: images of each prompt.
    """

    def __init__(self, segments: Tensor, n: int, softening: Softening) -> None:
        self.segments = segments
        self.n = n
        self.softening = softening

    def mask(self, layer: int, mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
        """(batch, 1, T, T) additive, from the model's own mask; that mask itself in layers that stay as they are."""
        if layer % self.softening.every:
            return mask
        length = self.segments.shape[1]
        if mask is None:
            mask = torch.ones(length, length, dtype=torch.bool, device=self.segments.device).tril()[None, None]
        if mask.dtype == torch.bool:
            mask = torch.where(mask, 0.0, -torch.inf)
        hidden = mask == -torch.inf
        softened = torch.tensor(self.softening.sigma, device=mask.device).log()
        return torch.where(hidden & self._softened_pairs(), softened, mask).to(dtype)

    def _softened_pairs(self) -> Tensor:
        """(batch, 1, T, T) boolean: pairs of tokens that may see each other softly."""
        seen, seer = self.segments[:, None, None, :], self.segments[:, None, :, None]
        if self.softening.scope == "all":
            return (seen < 2 * self.n) & (seer < 2 * self.n)
        return (seen < self.n) & (seer < self.n) & (seen != seer)


_active: ContextVar[Readout | None] = ContextVar("readout", default=None)
_tree: ContextVar[Tree | None] = ContextVar("tree", default=None)
_soft: ContextVar[SoftMask | None] = ContextVar("soft", default=None)


@contextmanager
def reading(
    segments: Tensor, n_segments: int, heads: bool = False, rows: Rows | None = None, deepest: int | None = None
) -> Iterator[Readout]:
    """While active, every forward pass of a model with `install` applied is read out (arguments as of `Readout`)."""
    readout = Readout(segments, n_segments, heads, rows, deepest)
    token = _active.set(readout)
    try:
        yield readout
    finally:
        _active.reset(token)


@contextmanager
def branching(depth: Tensor, visible: Tensor) -> Iterator[None]:
    """While active, the tokens fed behind a cache are those of a tree (arguments as of `Tree`)."""
    token = _tree.set(Tree(depth, visible))
    try:
        yield
    finally:
        _tree.reset(token)


@contextmanager
def softened(segments: Tensor, n: int, softening: Softening | None) -> Iterator[None]:
    """While active, prompts are read with SoFA's mask (arguments as of `SoftMask`); with None as they are."""
    token = _soft.set(SoftMask(segments, n, softening) if softening else None)
    try:
        yield
    finally:
        _soft.reset(token)


def attention_with_readout(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """SDPA, plus the read-out and the mask of a tree where one is active.

    Args:
        s_aux: (heads,) sinks, by transformers' name for them.

    Raises:
        ValueError: the model adds something to its scores that the read-out would leave out.
    """
    if added := [what for name, what in _UNREADABLE.items() if kwargs.get(name) is not None]:
        raise ValueError(f"its attention has {' and '.join(added)}, which the read-out does not reproduce")
    causal = kwargs.get("is_causal")
    if attention_mask is None and not (getattr(module, "is_causal", True) if causal is None else causal):
        attention_mask = query.new_ones(1, 1, query.shape[2], key.shape[2], dtype=torch.bool)
    scaling, softmax = query.shape[-1] ** -0.5 if scaling is None else scaling, Softmax(softcap, s_aux)
    # Before SDPA, so that the row's memory is free again when SDPA takes its own.
    if (readout := _active.get()) is not None:
        readout.record(module.layer_idx, query, key, attention_mask, scaling, softmax)
    if (soft := _soft.get()) is not None and query.shape[2] == key.shape[2] == soft.segments.shape[1]:
        attention_mask = soft.mask(module.layer_idx, attention_mask, query.dtype)
    if (tree := _tree.get()) is not None and query.shape[2] > 1:
        attention_mask = tree.mask(attention_mask, query.shape[2], key.shape[2])
    if softcap is not None:
        return capped_attention(query, key, value, attention_mask, scaling, softmax), None
    lead = 0
    if s_aux is not None:
        query, key, value, attention_mask, lead = with_sink(query, key, value, attention_mask, scaling, s_aux)
    if _no_kernel_takes_groups(query, key):
        key, value = (repeat_kv(states, query.shape[1] // states.shape[1]) for states in (key, value))
        module = SimpleNamespace(is_causal=getattr(module, "is_causal", True))
    output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    return output[:, lead:], None


def _no_kernel_takes_groups(query: Tensor, key: Tensor) -> bool:
    """Whether SDPA would form T x T matrices only because several query heads share a key-value head.

    Of CUDA's kernels that form none, only flash takes shared heads, and it takes neither float32 nor a GPU before
    Ampere. The memory-efficient one serves there once keys and values are repeated, which transformers leaves out.
    """
    if not query.is_cuda or query.shape[1] == key.shape[1] or query.shape[2] == 1:
        return False
    return query.dtype == torch.float32 or torch.cuda.get_device_capability(query.device) < (8, 0)


def install(model: PreTrainedModel) -> None:
    """Let the model's language half use the read-out attention; its other parts keep theirs.

    Registering the mask function as well is essential: without it, models with masks of their own (sliding windows,
    images seen in both directions) and trees give silently wrong logits.

    Raises:
        ValueError: if the model has no such switch.
    """
    AttentionInterface.register(NAME, attention_with_readout)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    text = model.config.get_text_config()
    parts = [name for name in model.config.sub_configs if getattr(model.config, name) is text]
    model.set_attn_implementation({parts[0]: NAME} if parts else NAME)
    if text._attn_implementation != NAME:
        raise ValueError("it does not use transformers' AttentionInterface")


@dataclass(frozen=True)
class Trial:
    """What forward passes of two tokens tell of a model.

    Attributes:
        heads: how many query heads each layer of the language half has that passes through the read-out, by its number
            from 0, ascending.
        makes_cache: whether the model begins a cache by itself; Granite 4's leaves that to the caller.
        adds_masks: whether its masks add to scores, by numbers of its own (Doge): they cannot be made those of a tree.
    """

    heads: Mapping[int, int]
    makes_cache: bool
    adds_masks: bool


def try_out(model: PreTrainedModel, token: int) -> Trial:
    """Run two tokens through the read-out.

    Args:
        model: one with `install` applied.
        token: any token of its vocabulary.

    Raises:
        ValueError: the model adds something to its scores that the read-out would leave out; its tokens see what stands
            behind them; its positions are not those of the tokens' places; or its forward pass gives no cache, or one
            that is not known to be continued rightly.
    """
    tokens, places = torch.full((1, 2), token, device=model.device), torch.arange(2, device=model.device)[None]
    first = Rows(places[:, :1], torch.ones(1, 1, 1, device=model.device))
    with torch.inference_mode(), reading(places, 2, heads=True, rows=first) as read:
        output = model(input_ids=tokens, use_cache=True)
    if any(own[..., 1].any() for own in read._layers_of_rows.values()):
        raise ValueError("its tokens see those that stand behind them, so that a prompt cannot be continued")
    own = getattr(output, "past_key_values", None)
    cache = _filled_cache(model, tokens) if own is None else own
    if type(cache) is not DynamicCache:
        given = "no cache" if cache is None else f"a {type(cache).__name__}"
        raise ValueError(f"its forward pass gives {given} to continue from, not transformers' DynamicCache")
    # Models with three-dimensional positions work them out from the places all the same.
    if not hasattr(model.base_model, "get_rope_index"):
        with torch.inference_mode():
            placed = model(input_ids=tokens, position_ids=places, use_cache=False)
        if (placed.logits - output.logits).abs().max() > 1e-3 * (output.logits.max() - output.logits.min()):
            raise ValueError("it does not count positions from 0, so that a prompt would be continued at other places")
    heads = {layer: read.layers[layer].shape[1] for layer in sorted(read.layers)}
    return Trial(heads, makes_cache=own is not None, adds_masks=read.adds_masks)


def _filled_cache(model: PreTrainedModel, tokens: Tensor) -> DynamicCache | None:
    """The cache of these tokens of a model that leaves it to the caller to begin one; None if it fills none either."""
    begun = DynamicCache(config=model.config.get_text_config())
    with torch.inference_mode():
        output = model(input_ids=tokens, past_key_values=begun, use_cache=True)
    # Recurrent Gemma fills it as well, but keeps its states elsewhere and hands nothing back.
    handed_back = getattr(output, "past_key_values", None) is begun
    return begun if handed_back and begun.get_seq_length() == tokens.shape[1] else None
