"""The model's forward pass on packed batches: the same weights and the same result, only faster to train.

A test holds both functions equal to the library's own forward on the processor's inputs.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import Qwen2_5_VLForConditionalGeneration

from demo.packing import PackedBatch
from demo.processor import IMAGE_SIDE, MERGE, PATCH, TEMPORAL, build_image_processor

Rotation = tuple[torch.Tensor, torch.Tensor]
"""Cosine and sine of rotary angles, each [..., tokens, head width]."""


@dataclass(frozen=True)
class PackedStates:
    """What the decoder leaves behind on a `PackedBatch`.

    Attributes:
        hidden: [S, K, L, H], of the suffix after the final norm.
        of_images: per layer, [S, n, 4, H], of the image tokens after that layer.
        of_last: per layer, [S, K, H], of the last prompt token after that layer.
        image_attention: per layer asked for, [S, K, n]: equation 6, the head mean of the last prompt token's
            attention, summed over each image's tokens.
    """

    hidden: torch.Tensor
    of_images: dict[int, torch.Tensor]
    of_last: dict[int, torch.Tensor]
    image_attention: dict[int, torch.Tensor]


def patches(pixels: np.ndarray) -> torch.Tensor:
    """Images as the vision tower takes them, one frame of the two equal ones that Qwen's processor makes.

    Args:
        pixels: [images, 56, 56, 3], 8-bit RGB.

    Returns:
        [images, patches, 3 * 14 * 14], patches in the order in which 2 x 2 of them are merged.
    """
    processor = build_image_processor()
    mean, std = np.float32(processor.image_mean), np.float32(processor.image_std)
    grid, unit = IMAGE_SIDE // PATCH // MERGE, (MERGE, PATCH)
    normalised = torch.from_numpy((pixels / np.float32(255) - mean) / std)
    blocks = normalised.view(-1, grid, *unit, grid, *unit, 3)
    # image, (block row, block column), (patch row, patch column), channel, (pixel row, pixel column)
    return blocks.permute(0, 1, 4, 2, 5, 7, 3, 6).reshape(len(pixels), -1, 3 * PATCH * PATCH)


def image_features(model: Qwen2_5_VLForConditionalGeneration, frames: torch.Tensor) -> torch.Tensor:
    """The vision tower on equally large images, which need no windows and no padding.

    Args:
        model: the demo model.
        frames: what `patches` gives, [images, patches, 588].

    Returns:
        [images, 4, H].
    """
    tower = model.model.visual
    images, count, _ = frames.shape
    width, heads = tower.config.hidden_size, tower.config.num_heads
    # Both frames are equal, so that the kernels of the two time steps may be added.
    kernel = tower.patch_embed.proj.weight.view(width, 3, TEMPORAL, PATCH * PATCH).sum(2).view(width, -1)
    x = functional.linear(frames, kernel)
    rotation = _patch_rotation(model)
    for block in tower.blocks:
        qkv = block.attn.qkv(block.norm1(x)).view(images, count, 3, heads, width // heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(_rotate(q, rotation), _rotate(k, rotation), v)
        x = x + block.attn.proj(mixed.transpose(1, 2).reshape(images, count, width))
        x = x + block.mlp(block.norm2(x))
    merged = tower.merger.ln_q(x).view(images, count // MERGE**2, MERGE**2 * width)
    features: torch.Tensor = tower.merger.mlp(merged)
    return features


def _patch_rotation(model: Qwen2_5_VLForConditionalGeneration) -> Rotation:
    """Cosine and sine of every patch's rotary angles, [patches, head width], from its row and column."""
    side = IMAGE_SIDE // PATCH // MERGE
    row, column = torch.meshgrid(*2 * [torch.arange(side * MERGE)], indexing="ij")
    order = [grid.view(side, MERGE, side, MERGE).permute(0, 2, 1, 3).reshape(-1).float() for grid in (row, column)]
    frequencies = model.model.visual.rotary_pos_emb.inv_freq
    angles = torch.cat([torch.outer(places, frequencies) for places in order], dim=-1).repeat(1, 2)
    return angles.cos(), angles.sin()


def _rotate(x: torch.Tensor, rotation: Rotation) -> torch.Tensor:
    cosine, sine = rotation
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat([-second, first], dim=-1) * sine


def forward(
    model: Qwen2_5_VLForConditionalGeneration,
    batch: PackedBatch,
    features: torch.Tensor,
    attention_layers: Collection[int],
) -> PackedStates:
    """The decoder on a packed batch.

    Args:
        model: the demo model.
        batch: what is asked.
        features: [S, n, 4, H], the image features of every set.
        attention_layers: layers whose attention on the images is wanted.
    """
    decoder = model.model.language_model
    sets, captions, length = batch.suffix_ids.shape
    prefix = decoder.embed_tokens(batch.prefix_ids).expand(sets, -1, -1).clone()
    prefix[:, batch.image_tokens] = features
    suffix = decoder.embed_tokens(batch.suffix_ids).flatten(0, 1)
    rotations = [
        decoder.rotary_emb(suffix, positions[:, None]) for positions in (batch.prefix_positions, batch.suffix_positions)
    ]
    rows = torch.arange(sets * captions)
    last = batch.last.flatten()
    image_attention, of_images, of_last = {}, {}, {}
    for index, layer in enumerate(decoder.layers):
        prefix_mixed, suffix_mixed, weights = _attend(layer, prefix, suffix, *rotations)
        if index in attention_layers:
            read = weights[rows, :, last][..., batch.image_tokens]  # [S * K, heads, n, 4]
            image_attention[index] = read.mean(1).sum(-1).view(sets, captions, -1)
        prefix = prefix + prefix_mixed
        prefix = prefix + layer.mlp(layer.post_attention_layernorm(prefix))
        suffix = suffix + suffix_mixed
        suffix = suffix + layer.mlp(layer.post_attention_layernorm(suffix))
        of_images[index] = prefix[:, batch.image_tokens]
        of_last[index] = suffix[rows, last].view(sets, captions, -1)
    return PackedStates(
        hidden=decoder.norm(suffix).view(sets, captions, length, -1),
        of_images=of_images,
        of_last=of_last,
        image_attention=image_attention,
    )


def _attend(
    layer: Any,
    prefix: torch.Tensor,
    suffix: torch.Tensor,
    prefix_rotation: Rotation,
    suffix_rotation: Rotation,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Self-attention of one layer.

    Args:
        layer: the decoder layer.
        prefix: [S, P, H].
        suffix: [S * K, L, H].
        prefix_rotation: cosine and sine, [1, P, head width].
        suffix_rotation: cosine and sine, [1, L, head width].

    Returns:
        What is added to prefix and suffix, and the suffix's attention weights, [S * K, heads, L, P + L].
    """
    sets, captions = len(prefix), len(suffix) // len(prefix)
    length = suffix.shape[1]
    q, k, v = _project(layer, prefix, prefix_rotation)
    seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    own_q, own_k, own_v = _project(layer, suffix, suffix_rotation)
    own_q = own_q * layer.self_attn.scaling
    heads = own_q.shape[1]

    def by_set(x: torch.Tensor) -> torch.Tensor:  # [S * K, heads, L, D] -> [S, heads, K * L, D]
        return x.view(sets, captions, heads, length, -1).transpose(1, 2).reshape(sets, heads, -1, x.shape[-1])

    def by_caption(x: torch.Tensor) -> torch.Tensor:  # [S, heads, K * L, D] -> [S * K, heads, L, D]
        return x.view(sets, heads, captions, length, -1).transpose(1, 2).flatten(0, 1)

    ahead = torch.ones(length, length, dtype=torch.bool).triu(1)
    on_prefix = by_caption(by_set(own_q) @ k.transpose(2, 3))
    on_itself = (own_q @ own_k.transpose(2, 3)).masked_fill(ahead, float("-inf"))
    weights = torch.cat([on_prefix, on_itself], dim=-1).softmax(-1)
    to_prefix, to_itself = weights[..., :-length], weights[..., -length:]
    mixed = by_caption(by_set(to_prefix) @ v) + to_itself @ own_v
    output = layer.self_attn.o_proj
    return output(seen.transpose(1, 2).flatten(2)), output(mixed.transpose(1, 2).flatten(2)), weights


def _project(layer: Any, x: torch.Tensor, rotation: Rotation) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Queries, keys and values, [rows, heads, tokens, head width], the first two rotated."""
    attention, normed = layer.self_attn, layer.input_layernorm(x)
    q, k, v = (
        project(normed).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
        for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    return _rotate(q, rotation), _rotate(k, rotation), v
