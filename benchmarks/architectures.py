"""Families of multimodal LLMs, each as a tiny checkpoint with random weights and its own processor class.

`build("gemma3", folder)` writes what a download would have written: config, weights, processor, tokenizer (the demo
checkpoint's, with the family's special tokens added) and a short chat template of the family's form. Geometries are
small but not degenerate: grouped key-value heads, several layers, images of several tiles, sliding windows shorter than
the prompt.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    CLIPVisionConfig,
    Gemma3Config,
    Idefics3Config,
    InternVLConfig,
    Lfm2Config,
    LlavaConfig,
    LlavaNextConfig,
    LlavaOnevisionConfig,
    MllamaConfig,
    PreTrainedConfig,
    Qwen2_5_VLConfig,
    Qwen2Config,
    Qwen2VLConfig,
    Qwen3_5Config,
    Qwen3VLConfig,
    SiglipVisionConfig,
    SmolVLMConfig,
)

from lad.backbones import LlavaOnevision15Config

DEMO = Path(__file__).parents[1] / "resources" / "demo-model"
VOCABULARY = 800

_CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_OF_TEXTS = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_LLAVA = (
    "{% for message in messages %}{{ message['role'] | upper }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
_MISTRAL = (
    "{% for message in messages %}[INST] {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %} [/INST]{% endfor %}"
)
_IDEFICS = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}:{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
_GEMMA = (
    "<bos>{% for message in messages %}<start_of_turn>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<start_of_image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)

_TILE_TOKENS = tuple(f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5))

Ids = dict[str, int]


@dataclass(frozen=True)
class Family:
    """One family.

    Attributes:
        config: the model's configuration, given the token ids by token.
        image_processor: what its preprocessor_config.json says.
        tokens: special tokens added to the demo's tokenizer.
        named_tokens: attributes by which the processor asks the tokenizer for tokens.
        processor: other settings of its processor_config.json.
        delimiters: tokens that delimit an image or its parts.
        margin: how many of them lie on either side of what the processor writes for an image.
    """

    config: Callable[[Ids], PreTrainedConfig]
    template: str
    image_processor: dict[str, Any]
    tokens: tuple[str, ...] = ()
    named_tokens: dict[str, str] = field(default_factory=dict)
    processor: dict[str, Any] = field(default_factory=dict)
    bos: str | None = None
    delimiters: tuple[str, ...] = ()
    margin: int = 0


def _text(**changes: Any) -> dict[str, Any]:
    """A tiny language half with grouped key-value heads."""
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        # Larger than usual, so that random weights attend to some tokens more than to others.
        "initializer_range": 0.15,
        "pad_token_id": 0,
        **changes,
    }


def _qwen2(**changes: Any) -> dict[str, Any]:
    return _text(model_type="qwen2", **changes)


def _mrope(section: list[int]) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": section}


def _siglip(image_size: int, patch_size: int) -> dict[str, Any]:
    config = SiglipVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=image_size,
        patch_size=patch_size,
        vision_use_head=False,
    )
    return dict(config.to_dict())


def _clip(image_size: int, patch_size: int) -> dict[str, Any]:
    config = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=image_size,
        patch_size=patch_size,
    )
    return dict(config.to_dict())


def _qwen_tokens(ids: Ids) -> dict[str, int]:
    return {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
    }


def _qwen2_vl(ids: Ids) -> PreTrainedConfig:
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2, "patch_size": 14}
    text = _text(rope_parameters=_mrope([1, 1, 2]))
    return Qwen2VLConfig(text_config=text, vision_config=vision, **_qwen_tokens(ids))


def _qwen2_5_vl(ids: Ids) -> PreTrainedConfig:
    vision = {
        **{"depth": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "out_hidden_size": 32},
        **{"patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]},
    }
    text = _text(rope_parameters=_mrope([1, 1, 2]))
    return Qwen2_5_VLConfig(text_config=text, vision_config=vision, **_qwen_tokens(ids))


def _qwen3_vl(ids: Ids) -> PreTrainedConfig:
    vision = {
        **{"depth": 3, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "out_hidden_size": 32},
        **{"patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1]},
    }
    text = _text(head_dim=8, rope_parameters={**_mrope([2, 1, 1]), "mrope_interleaved": True})
    return Qwen3VLConfig(text_config=text, vision_config=vision, **_qwen_tokens(ids))


def _internvl(ids: Ids) -> PreTrainedConfig:
    vision = {
        **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48},
        **{"image_size": [56, 56], "patch_size": [14, 14]},
    }
    return InternVLConfig(
        text_config=_qwen2(), vision_config=vision, image_token_id=ids["<IMG_CONTEXT>"], image_seq_length=4
    )


def _llava_onevision(ids: Ids) -> PreTrainedConfig:
    return LlavaOnevisionConfig(
        text_config=_qwen2(),
        vision_config=_siglip(28, 14),
        image_token_id=ids["<image>"],
        video_token_id=ids["<video>"],
        image_grid_pinpoints=_PINPOINTS,
    )


def _llava_onevision15(ids: Ids) -> PreTrainedConfig:
    vision = {
        **{"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48},
        **{"text_hidden_size": 32, "initializer_range": 0.15},
    }
    return LlavaOnevision15Config(text_config=_text(head_dim=8), vision_config=vision, **_qwen_tokens(ids))


def _llava_next(ids: Ids) -> PreTrainedConfig:
    return LlavaNextConfig(
        text_config=_text(model_type="mistral", sliding_window=148),
        vision_config=_clip(28, 14),
        image_token_id=ids["<image>"],
        image_grid_pinpoints=_PINPOINTS,
        vision_feature_select_strategy="default",
    )


def _llava(ids: Ids) -> PreTrainedConfig:
    return LlavaConfig(
        text_config=_text(model_type="llama"),
        vision_config=_clip(42, 14),
        image_token_id=ids["<image>"],
        image_seq_length=9,
        vision_feature_select_strategy="default",
    )


def _idefics(kind: type[PreTrainedConfig], image_processor: str) -> Family:
    """Idefics3 or SmolVLM, which have the same parts under other names."""

    def config(ids: Ids) -> PreTrainedConfig:
        vision = {**_siglip(56, 14), "model_type": f"{kind.model_type}_vision"}
        return kind(
            text_config=_text(model_type="llama"), vision_config=vision, image_token_id=ids["<image>"], scale_factor=2
        )

    return Family(
        config,
        _IDEFICS,
        {"image_processor_type": image_processor, **_IDEFICS_PIXELS},
        tokens=_IDEFICS_TOKENS,
        processor={"image_seq_len": 4},
        delimiters=("<fake_token_around_image>", "<global-img>", *_TILE_TOKENS),
    )


def _gemma3(ids: Ids) -> PreTrainedConfig:
    layers = ["sliding_attention", "sliding_attention", "full_attention"]
    text = _text(head_dim=8, query_pre_attn_scalar=8, sliding_window=80, layer_types=layers)
    return Gemma3Config(
        text_config=text,
        vision_config=_siglip(56, 14),
        mm_tokens_per_image=4,
        boi_token_index=ids["<start_of_image>"],
        eoi_token_index=ids["<end_of_image>"],
        image_token_index=ids["<image_soft_token>"],
    )


def _qwen3_5(ids: Ids) -> PreTrainedConfig:
    vision = {
        **{"depth": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "out_hidden_size": 32},
        **{"patch_size": 16, "num_position_embeddings": 64},
    }
    text = _text(
        head_dim=8,
        rope_parameters={**_mrope([1, 1, 0]), "mrope_interleaved": True, "partial_rotary_factor": 0.5},
        num_hidden_layers=4,
        layer_types=2 * ["linear_attention", "full_attention"],
        linear_num_value_heads=2,
        linear_num_key_heads=2,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
    )
    return Qwen3_5Config(text_config=text, vision_config=vision, **_qwen_tokens(ids))


def _lfm2(ids: Ids) -> PreTrainedConfig:
    kinds = ["conv", "full_attention", "conv", "full_attention"]
    sizes = {"num_hidden_layers": len(kinds), "layer_types": kinds, "block_auto_adjust_ff_dim": False}
    return Lfm2Config(**_text(**sizes))


def _mllama(ids: Ids) -> PreTrainedConfig:
    text = _text(cross_attention_layers=[1], rope_parameters={"rope_type": "default", "rope_theta": 10000.0})
    vision = {
        **{"hidden_size": 32, "attention_heads": 2, "num_hidden_layers": 2, "num_global_layers": 1},
        **{"intermediate_size": 48, "vision_output_dim": 64, "image_size": 56, "patch_size": 14},
        **{"max_num_tiles": 4, "intermediate_layers_indices": [0], "supported_aspect_ratios": [[1, 1], [1, 2]]},
    }
    return MllamaConfig(text_config=text, vision_config=vision, image_token_index=ids["<|image|>"])


_PINPOINTS = [[28, 56], [56, 28], [56, 56]]
_HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
_QWEN_PIXELS = {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 14, "merge_size": 2}
_LIMITS = {"size": {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}}
_SQUARE_28 = {"size": {"height": 28, "width": 28}, "crop_size": {"height": 28, "width": 28}, **_HALF}
_IDEFICS_TOKENS = ("<image>", "<fake_token_around_image>", "<end_of_utterance>", "<global-img>", *_TILE_TOKENS)
_IDEFICS_PIXELS = {"size": {"longest_edge": 112}, "max_image_size": {"longest_edge": 56}, **_HALF}

_QWEN = _CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
_QWEN_DELIMITERS = ("<|vision_start|>", "<|vision_end|>")

FAMILIES: dict[str, Family] = {
    "qwen2_vl": Family(_qwen2_vl, _QWEN, {**_QWEN_PIXELS, **_LIMITS}, delimiters=_QWEN_DELIMITERS, margin=1),
    "qwen2_5_vl": Family(_qwen2_5_vl, _QWEN, {**_QWEN_PIXELS, **_LIMITS}, delimiters=_QWEN_DELIMITERS, margin=1),
    "qwen3_vl": Family(
        _qwen3_vl,
        _QWEN,
        {**_QWEN_PIXELS, "patch_size": 16, "size": {"shortest_edge": 64 * 64, "longest_edge": 128 * 128}, **_HALF},
        delimiters=_QWEN_DELIMITERS,
        margin=1,
    ),
    "qwen3_5": Family(
        _qwen3_5,
        _QWEN,
        {**_QWEN_PIXELS, "patch_size": 16, "size": {"shortest_edge": 64 * 64, "longest_edge": 128 * 128}, **_HALF},
        delimiters=_QWEN_DELIMITERS,
        margin=1,
    ),
    "internvl": Family(
        _internvl,
        _CHATML.replace("IMAGE", "<IMG_CONTEXT>\n"),
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
        _CHATML.replace("IMAGE", "<image>\n"),
        {
            **{"image_processor_type": "LlavaOnevisionImageProcessor", "image_grid_pinpoints": _PINPOINTS},
            **{"size": {"height": 28, "width": 28}, **_HALF},
        },
        tokens=("<image>", "<video>"),
        processor={"num_image_tokens": 4, "vision_feature_select_strategy": "full"},
    ),
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
    "llava_next": Family(
        _llava_next,
        _MISTRAL,
        {
            **{"image_processor_type": "LlavaNextImageProcessor", "image_grid_pinpoints": _PINPOINTS},
            **{"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}, **_HALF},
        },
        tokens=("<image>",),
        processor={"patch_size": 14, "num_additional_image_tokens": 1, "vision_feature_select_strategy": "default"},
    ),
    "llava": Family(
        _llava,
        _LLAVA,
        {
            **{"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 42}},
            **{"crop_size": {"height": 42, "width": 42}, **_HALF},
        },
        tokens=("<image>",),
        processor={"patch_size": 14, "num_additional_image_tokens": 1, "vision_feature_select_strategy": "default"},
    ),
    "idefics3": _idefics(Idefics3Config, "Idefics3ImageProcessor"),
    "smolvlm": _idefics(SmolVLMConfig, "SmolVLMImageProcessor"),
    "gemma3": Family(
        _gemma3,
        _GEMMA,
        {"image_processor_type": "Gemma3ImageProcessor", "size": {"height": 56, "width": 56}, **_HALF},
        tokens=(
            "<bos>",
            "<start_of_turn>",
            "<end_of_turn>",
            "<start_of_image>",
            "<end_of_image>",
            "<image_soft_token>",
        ),
        named_tokens={
            **{"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"},
            **{"image_token": "<image_soft_token>"},
        },
        processor={"image_seq_length": 4},
        bos="<bos>",
        delimiters=("<start_of_image>", "<end_of_image>"),
    ),
}

"""Those that can be read out."""

REFUSED: dict[str, Family] = {
    "mllama": Family(
        _mllama,
        _LLAVA.replace("<image>", "<|image|>"),
        {"image_processor_type": "MllamaImageProcessor", "size": {"height": 56, "width": 56}, "max_image_tiles": 4},
        tokens=("<|image|>", "<bos>"),
        named_tokens={},
        bos="<bos>",
    ),
    "qwen2": Family(lambda ids: Qwen2Config(**_text()), _CHATML, {}),
}
"""Those that cannot: images by cross-attention, no images at all."""

HYBRID_OF_TEXTS: dict[str, Family] = {"lfm2": Family(_lfm2, _OF_TEXTS, {})}
"""Models of texts alone in which some layers have no softmax attention."""


def build(name: str, folder: Path, *, seed: int = 0) -> Path:
    """Write a tiny checkpoint of that family to `folder / name`, and return that path."""
    family = {**FAMILIES, **REFUSED, **HYBRID_OF_TEXTS}[name]
    path = folder / name
    ids = _write_tokenizer(family, path)
    torch.manual_seed(seed)
    config = family.config(ids)
    model = (AutoModelForCausalLM if not family.image_processor else AutoModelForImageTextToText).from_config(config)
    with torch.no_grad():
        for weights in model.parameters():
            # Some begin as all zeros or ones (Gemma 3's projector): nothing of them would be seen in a comparison.
            weights.add_(torch.randn_like(weights), alpha=0.1)
    model.generation_config.eos_token_id = ids["<|im_end|>"]
    model.generation_config.repetition_penalty = 1.3
    model.save_pretrained(path)
    (path / "preprocessor_config.json").write_text(json.dumps(family.image_processor))
    (path / "processor_config.json").write_text(json.dumps(family.processor))
    (path / "chat_template.jinja").write_text(family.template)
    return path


def _write_tokenizer(family: Family, path: Path) -> Ids:
    tokenizer = AutoTokenizer.from_pretrained(DEMO)
    tokenizer.add_special_tokens({"extra_special_tokens": list(family.tokens)}, replace_extra_special_tokens=False)
    tokenizer.save_pretrained(path)
    ids: Ids = tokenizer.get_vocab()
    settings = json.loads((path / "tokenizer_config.json").read_text())
    settings |= {"model_specific_special_tokens": family.named_tokens, "bos_token": family.bos} | family.named_tokens
    (path / "tokenizer_config.json").write_text(json.dumps(settings))
    return ids
