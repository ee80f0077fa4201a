"""DeepSeek's models and others whose images take one fixed number of tokens."""

from transformers import (
    AriaConfig,
    ChameleonConfig,
    DeepseekVLConfig,
    Emu3Config,
    Ernie4_5_VLMoeConfig,
    GotOcr2Config,
    HunYuanVLConfig,
    JanusConfig,
    PreTrainedConfig,
)

from benchmarks.architectures.family import CHATML, HALF, LLAVA, Family, Ids, language, mrope, qwen2, siglip

_VQ = {"embed_dim": 8, "latent_channels": 16, "base_channels": 32, "num_res_blocks": 1, "num_embeddings": 64}


def _deepseek_vl(ids: Ids) -> PreTrainedConfig:
    return DeepseekVLConfig(
        text_config=language(model_type="llama"), vision_config=siglip(56, 14), image_token_id=ids["<image>"]
    )


def _janus(ids: Ids) -> PreTrainedConfig:
    vision = {
        **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2.0},
        **{"image_size": 56, "patch_size": 14, "projection_dim": 32, "num_image_tokens": 16},
    }
    vq = {
        **{**_VQ, "projection_dim": 32, "image_token_embed_dim": 32},
        **{"channel_multiplier": [1, 1], "num_hidden_layers": 1},
    }
    return JanusConfig(
        text_config=language(model_type="llama"),
        vision_config=vision,
        vq_config=vq,
        image_token_id=ids["<image>"],
    )


def _aria(ids: Ids) -> PreTrainedConfig:
    text = language(model_type="aria_text", moe_num_experts=4, moe_topk=2, moe_num_shared_experts=1)
    vision = {**siglip(980, 140), "model_type": "idefics3_vision"}
    return AriaConfig(
        text_config=text,
        vision_config=vision,
        image_token_index=ids["<image>"],
        projector_patch_to_query_dict={49: 8},
    )


def _got_ocr2(ids: Ids) -> PreTrainedConfig:
    vision = {
        **{"hidden_size": 32, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2},
        **{"image_size": 64, "patch_size": 16, "window_size": 2, "global_attn_indexes": [1], "mlp_dim": 48},
        **{"initializer_range": 0.02},
    }
    return GotOcr2Config(text_config=qwen2(), vision_config=vision, image_token_index=ids["<imgpad>"])


def _ernie4_5_vl_moe(ids: Ids) -> PreTrainedConfig:
    vision = {
        **{"depth": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "patch_size": 14},
    }
    text = language(
        rope_parameters=mrope([1, 1, 2]),
        moe_intermediate_size=[16, 16],
        moe_k=2,
        moe_num_experts=4,
        moe_num_shared_experts=1,
        mlp_layer_types=["dense", "sparse", "sparse"],
    )
    return Ernie4_5_VLMoeConfig(
        text_config=text,
        vision_config=vision,
        **{
            f"{kind}{part}_token_id": ids[f"<|{kind.upper()}{part.upper()}|>"]
            for kind in ("image", "video")
            for part in ("_start", "_end", "")
        },
    )


def _chameleon(ids: Ids) -> PreTrainedConfig:
    vq = {**_VQ, "resolution": 32, "channel_multiplier": [1, 2], "attn_resolutions": None}
    vocabulary = {token: number for token, number in ids.items() if token != "<image>"}
    vocabulary |= {"<image>": ids["<image>"]} | {f"IMGIMG{_letters(k)}Z": 700 + k for k in range(64)}
    return ChameleonConfig(
        **language(), vq_config=vq, vocabulary_map=vocabulary, image_token_id=ids["<image>"], qk_layernorm=True
    )


def _letters(number: int) -> str:
    """A number as Chameleon writes it in the names of its image tokens: 0 is A, 12 is BC."""
    return "".join(chr(ord("A") + int(digit)) for digit in str(number))


def _emu3(ids: Ids) -> PreTrainedConfig:
    vq = {
        **{"codebook_size": 64, "embed_dim": 8, "latent_channels": 8, "base_channels": 32},
        **{"channel_multiplier": [1, 1, 1, 1], "num_res_blocks": 1, "attn_resolutions": [], "hidden_size": 32},
        **{"num_attention_heads": 1, "temporal_downsample_factor": 1},
    }
    return Emu3Config(
        text_config=language(),
        vq_config=vq,
        vocabulary_map={"<image>": ids["<image>"]}
        | {"<|extra_200|>": ids["<|extra_200|>"]}
        | {f"<|visual token {k:06}|>": 700 + k for k in range(64)},
        image_token_id=ids["<image>"],
    )


def _hunyuan_vl(ids: Ids) -> PreTrainedConfig:
    vision = {
        **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48},
        **{"out_hidden_size": 32, "patch_size": 14, "image_size": 56, "max_image_size": 112},
    }
    return HunYuanVLConfig(
        text_config=language(head_dim=8),
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        image_start_token_id=ids["<|vision_start|>"],
        image_end_token_id=ids["<|vision_end|>"],
    )


_ERNIE_TOKENS = tuple(f"<|{kind}{part}|>" for kind in ("IMAGE", "VIDEO") for part in ("_START", "_END", ""))
_SQUARE = {"size": {"height": 56, "width": 56}}
_LIMITS = {"size": {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}}

FAMILIES: dict[str, Family] = {
    "deepseek_vl": Family(
        _deepseek_vl,
        LLAVA,
        {"image_processor_type": "DeepseekVLImageProcessor", **_SQUARE},
        tokens=("<image>",),
        named_tokens={"image_token": "<image>"},
        processor={"num_image_tokens": 16},
    ),
    "janus": Family(
        _janus,
        LLAVA,
        {"image_processor_type": "JanusImageProcessor", **_SQUARE},
        tokens=("<image>", "<begin_of_image>", "<end_of_image>"),
        named_tokens={"image_token": "<image>", "boi_token": "<begin_of_image>", "eoi_token": "<end_of_image>"},
        processor={"num_image_tokens": 16},
        delimiters=("<begin_of_image>", "<end_of_image>"),
    ),
    "aria": Family(
        _aria,
        LLAVA,
        {"image_processor_type": "AriaImageProcessor", "max_image_size": 980, "min_image_size": 336},
        tokens=("<image>",),
        named_tokens={"image_token": "<image>"},
        processor={"size_conversion": {980: 8}},
    ),
    "ernie4_5_vl_moe": Family(
        _ernie4_5_vl_moe,
        CHATML.replace("IMAGE", "<|IMAGE_START|><|IMAGE|><|IMAGE_END|>"),
        {"image_processor_type": "Ernie4_5_VLMoeImageProcessor", **_LIMITS},
        tokens=_ERNIE_TOKENS,
        named_tokens={
            f"{token.strip('<|>').lower().split('_')[0]}{token.strip('<|>').lower()[5:]}_token": token
            for token in _ERNIE_TOKENS
        },
        delimiters=("<|IMAGE_START|>", "<|IMAGE_END|>"),
        margin=1,
    ),
}

REFUSED: dict[str, Family] = {
    "got_ocr2": Family(
        _got_ocr2,
        CHATML.replace("IMAGE", "<img><imgpad></img>"),
        {"image_processor_type": "GotOcr2ImageProcessor", "size": {"height": 64, "width": 64}},
        tokens=("<img>", "</img>", "<imgpad>"),
    ),
    "chameleon": Family(
        _chameleon,
        LLAVA,
        {
            **{"image_processor_type": "ChameleonImageProcessor", "size": {"shortest_edge": 32}},
            **{"crop_size": {"height": 32, "width": 32}},
        },
        tokens=("<image>", "<boi>", "<eoi>"),
        named_tokens={"image_token": "<image>", "boi_token": "<boi>", "eoi_token": "<eoi>"},
        processor={"image_seq_length": 256},
        delimiters=("<boi>", "<eoi>"),
    ),
    "emu3": Family(
        _emu3,
        "<bos>" + LLAVA,
        {"image_processor_type": "Emu3ImageProcessor", "min_pixels": 32 * 32, "max_pixels": 64 * 64},
        tokens=("<bos>", "<image>", "<boi>", "<eoi>", "<|image token|>", "<|extra_200|>", "<|extra_201|>"),
        bos="<bos>",
        named_tokens={
            **{"image_token": "<image>", "boi_token": "<boi>", "eoi_token": "<eoi>"},
            **{"image_wrapper_token": "<|image token|>", "eof_token": "<|extra_201|>"},
        },
    ),
    "hunyuan_vl": Family(
        _hunyuan_vl,
        CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"),
        {"image_processor_type": "HunYuanVLImageProcessor", **HALF, **_LIMITS},
        named_tokens={
            **{"image_token": "<|image_pad|>", "image_start_token": "<|vision_start|>"},
            **{"image_end_token": "<|vision_end|>"},
        },
    ),
}
