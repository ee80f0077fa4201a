"""Qwen's models, and one that borrows their vision tower and processor."""

from typing import Any

from transformers import (
    PreTrainedConfig,
    Qwen2_5_VLConfig,
    Qwen2VLConfig,
    Qwen3_5Config,
    Qwen3_5MoeConfig,
    Qwen3VLConfig,
    Qwen3VLMoeConfig,
)

from benchmarks.architectures.family import CHATML, HALF, Family, Ids, language, mrope
from lad.backbones import LlavaOnevision15Config


def _qwen_tokens(ids: Ids) -> dict[str, int]:
    return {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
    }


def _qwen2_vl(ids: Ids) -> PreTrainedConfig:
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2, "patch_size": 14}
    text = language(rope_parameters=mrope([1, 1, 2]))
    return Qwen2VLConfig(text_config=text, vision_config=vision, **_qwen_tokens(ids))


def _qwen2_5_vl(ids: Ids) -> PreTrainedConfig:
    vision = {
        **{"depth": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "out_hidden_size": 32},
        **{"patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]},
    }
    text = language(rope_parameters=mrope([1, 1, 2]))
    return Qwen2_5_VLConfig(text_config=text, vision_config=vision, **_qwen_tokens(ids))


def _qwen3_vl(ids: Ids) -> PreTrainedConfig:
    return Qwen3VLConfig(text_config=language(**_QWEN3_TEXT), vision_config=_QWEN3_VISION, **_qwen_tokens(ids))


def _qwen3_vl_moe(ids: Ids) -> PreTrainedConfig:
    text = language(**_QWEN3_TEXT, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16)
    return Qwen3VLMoeConfig(text_config=text, vision_config=_QWEN3_VISION, **_qwen_tokens(ids))


def _llava_onevision15(ids: Ids) -> PreTrainedConfig:
    vision = {
        **{"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48},
        **{"text_hidden_size": 32, "initializer_range": 0.15},
    }
    return LlavaOnevision15Config(text_config=language(head_dim=8), vision_config=vision, **_qwen_tokens(ids))


def _qwen3_5(ids: Ids) -> PreTrainedConfig:
    return Qwen3_5Config(text_config=_qwen3_5_text(), vision_config=_QWEN3_5_VISION, **_qwen_tokens(ids))


def _qwen3_5_moe(ids: Ids) -> PreTrainedConfig:
    text = {**_qwen3_5_text(), "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    text["shared_expert_intermediate_size"] = 16
    return Qwen3_5MoeConfig(text_config=text, vision_config=_QWEN3_5_VISION, **_qwen_tokens(ids))


def _qwen3_5_text() -> dict[str, Any]:
    return language(
        head_dim=8,
        rope_parameters={**mrope([1, 1, 0]), "mrope_interleaved": True, "partial_rotary_factor": 0.5},
        num_hidden_layers=4,
        layer_types=2 * ["linear_attention", "full_attention"],
        linear_num_value_heads=2,
        linear_num_key_heads=2,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
    )


_QWEN3_5_VISION = {
    **{"depth": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "out_hidden_size": 32},
    **{"patch_size": 16, "num_position_embeddings": 64},
}
_QWEN3_TEXT: dict[str, Any] = {"head_dim": 8, "rope_parameters": {**mrope([2, 1, 1]), "mrope_interleaved": True}}
_QWEN3_VISION = {
    **{"depth": 3, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "out_hidden_size": 32},
    **{"patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1]},
}
_QWEN_PIXELS = {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 14, "merge_size": 2}
_QWEN3_PIXELS = {
    **_QWEN_PIXELS,
    "patch_size": 16,
    "size": {"shortest_edge": 64 * 64, "longest_edge": 128 * 128},
    **HALF,
}
_LIMITS = {"size": {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}}

_QWEN = CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
_QWEN_DELIMITERS = ("<|vision_start|>", "<|vision_end|>")

FAMILIES: dict[str, Family] = {
    "qwen2_vl": Family(_qwen2_vl, _QWEN, {**_QWEN_PIXELS, **_LIMITS}, delimiters=_QWEN_DELIMITERS, margin=1),
    "qwen2_5_vl": Family(_qwen2_5_vl, _QWEN, {**_QWEN_PIXELS, **_LIMITS}, delimiters=_QWEN_DELIMITERS, margin=1),
    "qwen3_vl": Family(_qwen3_vl, _QWEN, _QWEN3_PIXELS, delimiters=_QWEN_DELIMITERS, margin=1),
    "qwen3_vl_moe": Family(_qwen3_vl_moe, _QWEN, _QWEN3_PIXELS, delimiters=_QWEN_DELIMITERS, margin=1),
    "qwen3_5": Family(_qwen3_5, _QWEN, _QWEN3_PIXELS, delimiters=_QWEN_DELIMITERS, margin=1),
    "qwen3_5_moe": Family(_qwen3_5_moe, _QWEN, _QWEN3_PIXELS, delimiters=_QWEN_DELIMITERS, margin=1),
    # As published, but for smaller limits; size and max_pixels contradict each other there as well (max_pixels wins).
    # https://huggingface.co/lmms-lab/LLaVA-OneVision-1.5-4B-Base/blob/main/preprocessor_config.json
    "llava_onevision15": Family(
        _llava_onevision15,
        _QWEN,
        {
            **{**_QWEN_PIXELS, "temporal_patch_size": 1, "processor_class": "Qwen2_5_VLProcessor"},
            **{"min_pixels": 56 * 56, "max_pixels": 112 * 112},
            **{"size": {"shortest_edge": 56 * 56, "longest_edge": 12845056}},
        },
        delimiters=_QWEN_DELIMITERS,
        margin=1,
    ),
}
