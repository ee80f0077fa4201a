"""GLM's models, and others with Qwen's way of showing images: one grid of patches, merged two by two."""

from typing import Any

from transformers import (
    Exaone4_5_Config,
    Glm4vConfig,
    Glm4vMoeConfig,
    Glm46VConfig,
    PaddleOCRVLConfig,
    PreTrainedConfig,
    VideoLlama3Config,
)

from benchmarks.architectures.family import CHATML, HALF, Family, Ids, language, mrope, qwen2

_VISION = {"depth": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "patch_size": 14}
_EXPERTS = {
    **{"moe_intermediate_size": 16, "num_experts_per_tok": 2, "n_routed_experts": 4, "n_shared_experts": 1},
    **{"n_group": 1, "topk_group": 1, "first_k_dense_replace": 1},
}


def _glm(kind: type[PreTrainedConfig], **changes: Any) -> Family:
    """One of GLM's, which differ in their language halves."""

    def config(ids: Ids) -> PreTrainedConfig:
        return kind(
            text_config=language(rope_parameters={**mrope([1, 1, 2]), "partial_rotary_factor": 1.0}, **changes),
            vision_config={**_VISION, "out_hidden_size": 32, "image_size": 56},
            image_token_id=ids["<|image|>"],
            video_token_id=ids["<|video|>"],
            image_start_token_id=ids["<|begin_of_image|>"],
            image_end_token_id=ids["<|end_of_image|>"],
            video_start_token_id=ids["<|begin_of_video|>"],
            video_end_token_id=ids["<|end_of_video|>"],
        )

    return Family(
        config,
        CHATML.replace("IMAGE", "<|begin_of_image|><|image|><|end_of_image|>"),
        {"image_processor_type": f"{'Glm46V' if kind is Glm46VConfig else 'Glm4v'}ImageProcessor", **_GLM_LIMITS},
        tokens=_GLM_TOKENS,
        delimiters=("<|begin_of_image|>", "<|end_of_image|>"),
        margin=1,
    )


def _video_llama_3(ids: Ids) -> PreTrainedConfig:
    vision = {
        **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48},
        **{"patch_size": 14},
    }
    return VideoLlama3Config(
        text_config=qwen2(),
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
    )


def _exaone4_5(ids: Ids) -> PreTrainedConfig:
    vision = {
        **{**_VISION, "num_key_value_heads": 1, "out_hidden_size": 32},
        **{"window_size": 56, "fullatt_block_indexes": [1]},
    }
    text = language(
        model_type="exaone4",
        sliding_window=80,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
    )
    return Exaone4_5_Config(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
    )


def _paddleocr_vl(ids: Ids) -> PreTrainedConfig:
    vision = {
        **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48},
        **{"image_size": 56, "patch_size": 14},
    }
    return PaddleOCRVLConfig(
        text_config=language(head_dim=8, rope_parameters=mrope([1, 1, 2])),
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )


_GLM_TOKENS = (
    *("<|begin_of_image|>", "<|image|>", "<|end_of_image|>"),
    *("<|begin_of_video|>", "<|video|>", "<|end_of_video|>"),
)
_GLM_LIMITS = {"patch_size": 14, "size": {"shortest_edge": 2 * 56 * 56, "longest_edge": 2 * 112 * 112}}
_LIMITS = {"size": {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}}
_QWEN = CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
_QWEN_DELIMITERS = ("<|vision_start|>", "<|vision_end|>")

FAMILIES: dict[str, Family] = {
    "glm4v": _glm(Glm4vConfig),
    "glm46v": _glm(Glm46VConfig, model_type="glm4v_text"),
    "glm4v_moe": _glm(Glm4vMoeConfig, **_EXPERTS),
    "video_llama_3": Family(
        _video_llama_3,
        CHATML.replace("IMAGE", "<|image_pad|>\n"),
        {
            **{"image_processor_type": "VideoLlama3ImageProcessor", "patch_size": 14, "merge_size": 1},
            **{"size": {"shortest_edge": 28 * 28, "longest_edge": 56 * 56}, **HALF},
        },
    ),
    "exaone4_5": Family(
        _exaone4_5,
        _QWEN,
        {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 14, "merge_size": 2, **_LIMITS},
        delimiters=_QWEN_DELIMITERS,
        margin=1,
    ),
    "paddleocr_vl": Family(
        _paddleocr_vl,
        _QWEN,
        {"image_processor_type": "PaddleOCRVLImageProcessor", "patch_size": 14, "merge_size": 2, **_LIMITS, **HALF},
        named_tokens={"image_token": "<|image_pad|>"},
        delimiters=_QWEN_DELIMITERS,
        margin=1,
    ),
}
