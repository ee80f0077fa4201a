"""LLaVA's models and those with the same parts: a vision tower, a projector and an ordinary language half."""

from transformers import InternVLConfig, LlavaConfig, LlavaNextConfig, LlavaOnevisionConfig, PreTrainedConfig

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


def _internvl(ids: Ids) -> PreTrainedConfig:
    vision = {
        **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48},
        **{"image_size": [56, 56], "patch_size": [14, 14]},
    }
    return InternVLConfig(
        text_config=qwen2(), vision_config=vision, image_token_id=ids["<IMG_CONTEXT>"], image_seq_length=4
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


FAMILIES: dict[str, Family] = {
    "internvl": Family(
        _internvl,
        CHATML.replace("IMAGE", "<IMG_CONTEXT>\n"),
        {
            **{"image_processor_type": "GotOcr2ImageProcessor", "size": {"height": 56, "width": 56}},
            **{"min_patches": 1, "max_patches": 4},
        },
        tokens=("<img>", "</img>", "<IMG_CONTEXT>", "<video>"),
        named_tokens={
            **{"start_image_token": "<img>", "end_image_token": "</img>"},
            **{"context_image_token": "<IMG_CONTEXT>", "video_token": "<video>"},
        },
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
    "llava_next": Family(
        _llava_next,
        MISTRAL,
        {
            **{"image_processor_type": "LlavaNextImageProcessor", "image_grid_pinpoints": PINPOINTS},
            **{"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}, **HALF},
        },
        tokens=("<image>",),
        processor={"patch_size": 14, "num_additional_image_tokens": 1, "vision_feature_select_strategy": "default"},
    ),
    "llava": Family(
        _llava,
        LLAVA,
        {
            **{"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 42}},
            **{"crop_size": {"height": 42, "width": 42}, **HALF},
        },
        tokens=("<image>",),
        processor={"patch_size": 14, "num_additional_image_tokens": 1, "vision_feature_select_strategy": "default"},
    ),
}
