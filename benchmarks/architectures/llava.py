"""LLaVA's models and those with the same parts: a vision tower, a projector and an ordinary language half."""

from typing import Any

import transformers
from transformers import (
    InternVLConfig,
    LlavaConfig,
    LlavaNextConfig,
    LlavaNextVideoConfig,
    LlavaOnevisionConfig,
    PreTrainedConfig,
    QianfanOCRConfig,
    VideoLlavaConfig,
    VipLlavaConfig,
)

from benchmarks.architectures.family import (
    CHATML,
    HALF,
    LLAVA,
    MISTRAL,
    PINPOINTS,
    Family,
    Ids,
    clip,
    language,
    qwen2,
    siglip,
)

_INTERN_VISION = {
    **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48},
    **{"image_size": [56, 56], "patch_size": [14, 14]},
}


def _internvl(ids: Ids) -> PreTrainedConfig:
    return InternVLConfig(
        text_config=qwen2(), vision_config=_INTERN_VISION, image_token_id=ids["<IMG_CONTEXT>"], image_seq_length=4
    )


def _llava_onevision(ids: Ids) -> PreTrainedConfig:
    return LlavaOnevisionConfig(
        text_config=qwen2(),
        vision_config=siglip(28, 14),
        image_token_id=ids["<image>"],
        video_token_id=ids["<video>"],
        image_grid_pinpoints=PINPOINTS,
    )


def _llava_next(ids: Ids) -> PreTrainedConfig:
    return LlavaNextConfig(
        text_config=language(model_type="mistral", sliding_window=148),
        vision_config=clip(28, 14),
        image_token_id=ids["<image>"],
        image_grid_pinpoints=PINPOINTS,
        vision_feature_select_strategy="default",
    )


def _llava(ids: Ids) -> PreTrainedConfig:
    return LlavaConfig(
        text_config=language(model_type="llama"),
        vision_config=clip(42, 14),
        image_token_id=ids["<image>"],
        image_seq_length=9,
        vision_feature_select_strategy="default",
    )


def _vipllava(ids: Ids) -> PreTrainedConfig:
    return VipLlavaConfig(
        text_config=language(model_type="llama"),
        vision_config=clip(42, 14),
        image_token_index=ids["<image>"],
        vision_feature_layer=[-1, -2, 0],
        image_seq_length=9,
    )


def _llava_next_video(ids: Ids) -> PreTrainedConfig:
    return LlavaNextVideoConfig(
        text_config=language(model_type="llama"),
        vision_config=clip(28, 14),
        image_token_index=ids["<image>"],
        video_token_index=ids["<video>"],
        image_grid_pinpoints=PINPOINTS,
    )


def _video_llava(ids: Ids) -> PreTrainedConfig:
    return VideoLlavaConfig(
        text_config=language(model_type="llama"),
        vision_config=clip(42, 14),
        image_token_index=ids["<image>"],
        video_token_index=ids["<video>"],
    )


def _qianfan_ocr(ids: Ids) -> PreTrainedConfig:
    return QianfanOCRConfig(
        text_config=language(model_type="qwen3", head_dim=8),
        vision_config=_INTERN_VISION,
        image_token_id=ids["<IMG_CONTEXT>"],
        image_seq_length=4,
    )


def _hyperclovax(ids: Ids) -> PreTrainedConfig:
    vision = {
        **{"model_type": "qwen2_5_vl_vision", "depth": 2, "hidden_size": 32, "num_heads": 2},
        **{"intermediate_size": 48, "out_hidden_size": 32, "patch_size": 14},
        **{"window_size": 56, "fullatt_block_indexes": [1]},
    }
    return transformers.HyperCLOVAXVisionV2Config(
        text_config=language(model_type="hyperclovax", attention_multiplier=0.3, head_dim=8),
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
    )


_LLAVA_NEXT_PIXELS: dict[str, Any] = {
    **{"image_processor_type": "LlavaNextImageProcessor", "image_grid_pinpoints": PINPOINTS},
    **{"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}, **HALF},
}
_CLIP_PIXELS: dict[str, Any] = {
    **{"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 42}},
    **{"crop_size": {"height": 42, "width": 42}, **HALF},
}
_CLIP_PROCESSOR: dict[str, Any] = {
    **{"patch_size": 14, "num_additional_image_tokens": 1, "vision_feature_select_strategy": "default"},
}
_INTERN_TOKENS = ("<img>", "</img>", "<IMG_CONTEXT>", "<video>")
_INTERN_NAMES = {
    **{"start_image_token": "<img>", "end_image_token": "</img>"},
    **{"context_image_token": "<IMG_CONTEXT>", "video_token": "<video>"},
}
_INTERN_PIXELS: dict[str, Any] = {
    **{"image_processor_type": "GotOcr2ImageProcessor", "size": {"height": 56, "width": 56}},
    **{"min_patches": 1, "max_patches": 4},
}

FAMILIES: dict[str, Family] = {
    "internvl": Family(
        _internvl,
        CHATML.replace("IMAGE", "<IMG_CONTEXT>\n"),
        _INTERN_PIXELS,
        tokens=_INTERN_TOKENS,
        named_tokens=_INTERN_NAMES,
        processor={"image_seq_length": 4},
        delimiters=("<img>", "</img>"),
    ),
    "qianfan_ocr": Family(
        _qianfan_ocr,
        CHATML.replace("IMAGE", "<image>\n"),
        {**_INTERN_PIXELS, "crop_to_patches": True},
        tokens=(*_INTERN_TOKENS, "<image>"),
        named_tokens=_INTERN_NAMES,
        processor={"image_seq_length": 4},
        delimiters=("<img>", "</img>"),
    ),
    "llava_onevision": Family(
        _llava_onevision,
        CHATML.replace("IMAGE", "<image>\n"),
        {
            **{"image_processor_type": "LlavaOnevisionImageProcessor", "image_grid_pinpoints": PINPOINTS},
            **{"size": {"height": 28, "width": 28}, **HALF},
        },
        tokens=("<image>", "<video>"),
        processor={"num_image_tokens": 4, "vision_feature_select_strategy": "full"},
    ),
    "llava_next": Family(_llava_next, MISTRAL, _LLAVA_NEXT_PIXELS, tokens=("<image>",), processor=_CLIP_PROCESSOR),
    "llava_next_video": Family(
        _llava_next_video,
        LLAVA,
        _LLAVA_NEXT_PIXELS,
        tokens=("<image>", "<video>"),
        processor=_CLIP_PROCESSOR,
    ),
    "llava": Family(_llava, LLAVA, _CLIP_PIXELS, tokens=("<image>",), processor=_CLIP_PROCESSOR),
    "vipllava": Family(
        _vipllava,
        LLAVA,
        _CLIP_PIXELS,
        tokens=("<image>",),
        processor={"patch_size": 14, "num_additional_image_tokens": 0, "vision_feature_select_strategy": "full"},
    ),
    "video_llava": Family(
        _video_llava,
        LLAVA,
        {**_CLIP_PIXELS, "image_processor_type": "VideoLlavaImageProcessor"},
        tokens=("<image>", "<video>"),
        processor=_CLIP_PROCESSOR,
    ),
}

if hasattr(transformers, "HyperCLOVAXVisionV2Config"):  # transformers 5.17 has none.
    FAMILIES["hyperclovax_vision_v2"] = Family(
        _hyperclovax,
        CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"),
        {
            **{"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 14, "merge_size": 2},
            **{"size": {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}},
        },
        tokenizer={"add_prefix_space": False},
        delimiters=("<|vision_start|>", "<|vision_end|>"),
        margin=1,
    )
