"""Single forward passes: over a batch of prompts, and behind its cache.

Where identifiers have several tokens, one short step behind the prefill's cache gives the logits after all their open
prefixes: the prefixes are fed together as a tree, each seeing the prompt and its own beginning only. The released code
runs the whole model once more for every such prefix.

That takes a cache of keys and values alone. Layers with linear attention or convolutions keep a state of all that they
have read instead (hybrid models: Qwen3.5, LFM2 ...): it knows no masks, and cannot be taken back to an earlier token.
Behind such a cache each prefix is fed by itself, token by token, to a copy; what needs an earlier token is read anew.
Prefixes are fed by themselves as well where a model's masks are numbers that it adds to scores (Doge).
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from lad.extraction import readout
from lad.extraction.backbone import Backbone
from lad.extraction.batch import Batch
from lad.extraction.candidates import IdentifierTrie, Prefix


def prefill(
    backbone: Backbone, batch: Batch, *, keep_cache: bool, rows: bool = False, cache: DynamicCache | None = None
) -> tuple[Tensor, Any]:
    """(batch, vocabulary) logits after the prompts, and the cache if it is to be kept.

    Args:
        rows: other rows than the last one are read.
        cache: an empty one to fill; by default the model's own.

    Raises:
        DeepEnoughError: the read-out ends the pass; the cache that was given holds what was run until then.
    """
    if keep_cache and cache is None and not backbone.trial.makes_cache:
        cache = empty_cache(backbone)
    begun = {} if cache is None else {"past_key_values": cache}
    with prefill_inputs(backbone, batch) as inputs:
        last = last_token(batch.token_ids.shape[1], backbone.device, rows=rows)
        output = backbone.model(**inputs, **begun, use_cache=keep_cache, logits_to_keep=last)
    return output.logits[:, -1], output.past_key_values if keep_cache else None


def empty_cache(backbone: Backbone) -> DynamicCache:
    """A cache for this model's layers, to be filled."""
    return DynamicCache(config=backbone.model.config.get_text_config())


def last_token(fed: int, device: torch.device, *, rows: bool) -> int | Tensor:
    """The `logits_to_keep` of a pass of which the last token's logits are needed.

    Told a number, Gemma 4's small models compute their last layers for so many tokens only. Where other rows are read,
    all must be there.
    """
    return torch.tensor([fed - 1], device=device) if rows else 1


@contextmanager
def prefill_inputs(backbone: Backbone, batch: Batch) -> Iterator[dict[str, Any]]:
    """Keyword arguments of a forward pass over the prompts, good for as long as this lasts."""
    inputs = batch.model_inputs(backbone.device)
    encoder_outputs = inputs.pop("mm_encoder_outputs", None)
    inputs = {name: value for name, value in inputs.items() if name in backbone.forward_arguments}
    inputs |= _image_positions(backbone, batch)
    with _images_given(backbone, encoder_outputs) as images:
        yield {**inputs, **images}


@contextmanager
def _images_given(backbone: Backbone, encoder_outputs: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """Arguments that make a forward pass use these image features in place of pixels.

    transformers 5.23 takes them as an argument. Of an earlier one (5.17), or of a model without that argument, the
    methods that would compute them return them for as long as this lasts, and a stand-in takes the pixels' place.
    """
    if encoder_outputs is None:
        yield {}
        return
    if "mm_encoder_outputs" in backbone.forward_arguments:
        yield {"mm_encoder_outputs": encoder_outputs}
        return
    owners = [module for module in backbone.model.modules() if hasattr(type(module), "get_image_features")]
    for owner in owners:
        owner.get_image_features = lambda *args, **kwargs: encoder_outputs["image"]
    # Video-LLaVA's has another name.
    pixels = "pixel_values" if "pixel_values" in backbone.forward_arguments else "pixel_values_images"
    try:
        yield {pixels: torch.zeros(1, device=backbone.device)}
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
    if not batch.images:
        # Texts alone have the positions of their places, whatever the model keeps of images that it was shown before.
        prompts, length = batch.token_ids.shape
        model.rope_deltas = torch.zeros(prompts, 1, dtype=torch.int64, device=backbone.device)
        return {"position_ids": torch.arange(length, device=backbone.device).expand(3, prompts, -1)}
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


def after_prefixes(
    backbone: Backbone, cache: Any, trie: IdentifierTrie, *, prompt: Tensor, members: Sequence[int] | None = None
) -> dict[Prefix, Tensor]:
    """(batch, vocabulary) logits after the prompt and each open prefix, in one step if the cache allows it.

    The cache stays as it is.

    Args:
        prompt: (batch, T) tokens that the cache holds.
        members: which prompts of the last prefill these are; None for all.
    """
    fed = trie.fed_prefixes
    if not fed:
        return {}
    if backbone.trial.adds_masks or not _has_keys_and_values_alone(cache):
        return {
            prefix: _after(backbone, copy.deepcopy(cache), prefix, prompt=prompt, members=members)
            for prefix in trie.open_prefixes
        }
    rows, length = prompt.shape
    device = backbone.device
    depth = torch.tensor([len(prefix) - 1 for prefix in fed], device=device)
    visible = torch.tensor([[later[: len(first)] == first for first in fed] for later in fed], device=device)
    with readout.branching(depth, visible):
        output = backbone.model(
            input_ids=torch.tensor([prefix[-1] for prefix in fed], device=device).expand(rows, -1),
            position_ids=positions_behind(backbone, (length + depth).expand(rows, -1), members),
            past_key_values=_unchanged(cache),
            use_cache=True,
            logits_to_keep=torch.tensor([fed.index(prefix) for prefix in trie.open_prefixes], device=device),
        )
    return dict(zip(trie.open_prefixes, output.logits.unbind(1), strict=True))


def _after(backbone: Backbone, cache: Any, prefix: Prefix, *, prompt: Tensor, members: Sequence[int] | None) -> Tensor:
    """(batch, vocabulary) logits after the prompt and one prefix, as `after_prefixes` has them; uses up the cache."""
    rows, length = prompt.shape
    for place, token in enumerate(prefix, length):
        output = backbone.model(
            input_ids=prompt.new_full((rows, 1), token),
            position_ids=positions_behind(backbone, prompt.new_full((rows, 1), place), members),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
    logits: Tensor = output.logits[:, -1]
    return logits


def _has_keys_and_values_alone(cache: Any) -> bool:
    """Whether a step behind the cache may be a tree, and its first tokens be continued otherwise.

    By the very classes: those derived from them keep more.
    """
    plain = (DynamicLayer, DynamicSlidingWindowLayer)
    return all(type(layer) in plain for layer in cache.layers)


def positions_behind(backbone: Backbone, places: Tensor, members: Sequence[int] | None = None) -> Tensor:
    """Position ids of tokens at these places (batch, tokens) of their sequences, behind a prefill.

    Models with three-dimensional rotary positions give an image fewer positions than tokens; they keep the difference.

    Args:
        members: as of `after_prefixes`.
    """
    deltas = getattr(backbone.model.base_model, "rope_deltas", None)
    if deltas is None:
        return places
    chosen: Tensor = deltas if members is None else deltas[list(members)]
    return (places + chosen.to(places)).expand(3, -1, -1)


def continued(cache: Any, tokens: int, members: Sequence[int]) -> Any | None:
    """A cache of the first `tokens` tokens of these prompts, to be continued otherwise; the given one stays as it is.

    Returns:
        None where the cache does not hold all of them any more (layers with a window that is shorter than the prompts),
        or holds a state of all tokens.
    """
    if not _has_keys_and_values_alone(cache):
        return None
    # Layers that use the keys of another one (Gemma 4's last ones) hold none.
    if {layer.keys.shape[-2] for layer in cache.layers if layer.keys is not None} != {cache.get_seq_length()}:
        return None
    other = copy.copy(cache)
    other.layers = [_first_tokens_of(layer, tokens, members) for layer in cache.layers]
    return other


def _first_tokens_of(layer: Any, tokens: int, members: Sequence[int]) -> Any:
    other = copy.copy(layer)
    if layer.keys is None:
        return other
    every = len(members) == len(layer.keys)
    for name in ("keys", "values"):
        states = getattr(layer, name)
        setattr(other, name, (states if every else states[list(members)])[:, :, :tokens])
    if hasattr(layer, "cumulative_length"):
        other.cumulative_length = tokens
    return other


def _unchanged(cache: Any) -> Any:
    """A view of `cache` that a step may update without a trace, and without the memory of a second cache."""

    def view_of(layer: Any) -> Any:
        view = copy.copy(layer)
        view.update = lambda *args, **kwargs: copy.copy(layer).update(*args, **kwargs)
        return view

    view = copy.copy(cache)
    view.layers = [view_of(layer) for layer in cache.layers]
    return view
