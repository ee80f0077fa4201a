"""Models that write rows or tiles of an image into the prompt: LightOnOCR, Aya Vision, Ovis 2 ..."""

from transformers import (
    AyaVisionConfig,
    Granite4VisionConfig,
    LightOnOcrConfig,
    Ovis2Config,
    PreTrainedConfig,
)

from benchmarks.architectures.family import CHATML, HALF, LLAVA, PINPOINTS, Family, Ids, clip, language, siglip

_PIXTRAL_VISION = {
    **{"model_type": "pixtral", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2},
    **{"num_attention_heads": 2, "head_dim": 16, "image_size": 112, "patch_size": 14},
}
_COHERE2 = {
    **{"model_type": "cohere2", "sliding_window": 80, "sliding_window_pattern": 3},
    **{"layer_types": ["sliding_attention", "sliding_attention", "full_attention"]},
}


def _lighton_ocr(ids: Ids) -> PreTrainedConfig:
    return LightOnOcrConfig(
        text_config=language(model_type="qwen3", head_dim=8),
        vision_config=_PIXTRAL_VISION,
        image_token_id=ids["[IMG]"],
    )


def _aya_vision(ids: Ids) -> PreTrainedConfig:
    return AyaVisionConfig(
        text_config=language(**_COHERE2),
        vision_config=siglip(56, 14),
        image_token_index=ids["<|IMG_PATCH|>"],
    )


def _ovis2(ids: Ids) -> PreTrainedConfig:
    vision = {
        **{"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2},
        **{"image_size": 56, "patch_size": 14, "vocab_size": 64, "hidden_stride": 2},
    }
    return Ovis2Config(
        text_config=language(model_type="qwen2"),
        vision_config=vision,
        image_token_id=ids["<IMG_ATOM>"],
        visual_indicator_token_ids=[ids[token] for token in _OVIS_TOKENS[2:]],
        vocab_size=800,
        hidden_size=32,
    )


def _granite4_vision(ids: Ids) -> PreTrainedConfig:
    vision = {**clip(56, 14), "hidden_size": 64}
    return Granite4VisionConfig(
        text_config={**language(num_hidden_layers=4), "embedding_multiplier": 2.0, "attention_multiplier": 0.3},
        vision_config=vision,
        image_token_index=ids["<image>"],
        image_grid_pinpoints=[[2 * side for side in sides] for sides in PINPOINTS],
        downsample_rate="1/2",
        deepstack_layer_map=[[-2, 0]],
        spatial_target_layers=[1, 2, 3, 0],
        qformer_config={
            **{"model_type": "blip_2_qformer", "num_hidden_layers": 1, "intermediate_size": 48},
            **{"cross_attention_frequency": 1, "use_qformer_text_input": False},
        },
        vision_feature_select_strategy="default",
    )


_PIXTRAL = {
    **{"image_processor_type": "PixtralImageProcessor", "size": {"longest_edge": 112}},
    **{"patch_size": {"height": 14, "width": 14}},
}
_PIXTRAL_TOKENS = ("[IMG]", "[IMG_BREAK]", "[IMG_END]")
_COHERE_TOKENS = (
    *("<image>", "<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_PATCH|>", "<|IMG_LINE_BREAK|>"),
    *("TILE_GLOBAL", *(f"TILE_{k}" for k in range(1, 6)), "TILE"),
)
_COHERE_PIXELS = {
    **{"size": {"height": 56, "width": 56}, "crop_to_patches": True, "min_patches": 1, "max_patches": 4},
    **HALF,
}
_OVIS_TOKENS = (
    *("<image>", "<IMG_ATOM>"),
    *("<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>"),
)

FAMILIES: dict[str, Family] = {
    "lighton_ocr": Family(
        _lighton_ocr,
        CHATML.replace("IMAGE", "[IMG]"),
        _PIXTRAL,
        tokens=_PIXTRAL_TOKENS,
        named_tokens={"image_token": "[IMG]", "image_break_token": "[IMG_BREAK]", "image_end_token": "[IMG_END]"},
        processor={"patch_size": 14, "spatial_merge_size": 2},
    ),
    "aya_vision": Family(
        _aya_vision,
        CHATML.replace("IMAGE", "<image>"),
        {"image_processor_type": "GotOcr2ImageProcessor", **_COHERE_PIXELS},
        tokens=_COHERE_TOKENS,
        processor={"patch_size": 14, "downsample_factor": 2, "img_size": 56},
        delimiters=_COHERE_TOKENS,
    ),
    "ovis2": Family(
        _ovis2,
        CHATML.replace("IMAGE", "<image>\n"),
        {
            **{"image_processor_type": "Ovis2ImageProcessor", "size": {"height": 56, "width": 56}},
            **{"crop_to_patches": True, "max_patches": 4},
        },
        tokens=_OVIS_TOKENS,
        processor={"image_seq_length": 4},
    ),
    "granite4_vision": Family(
        _granite4_vision,
        LLAVA,
        {
            **{"image_processor_type": "LlavaNextImageProcessor"},
            **{"image_grid_pinpoints": [[2 * side for side in sides] for sides in PINPOINTS]},
            **{"size": {"shortest_edge": 56}, "crop_size": {"height": 56, "width": 56}, **HALF},
        },
        tokens=("<image>",),
        processor={
            **{"patch_size": 14, "num_additional_image_tokens": 1, "vision_feature_select_strategy": "default"},
            **{"downsample_rate": "1/2"},
        },
    ),
}
