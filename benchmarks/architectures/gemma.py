"""Gemma's models, whose images are seen in both directions."""

from collections.abc import Callable
from typing import Any

from transformers import Gemma3Config, Gemma4Config, PreTrainedConfig

from benchmarks.architectures.family import CHATML, HALF, VOCABULARY, Family, Ids, language, siglip

_GEMMA = (
    "<bos>{% for message in messages %}<start_of_turn>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<start_of_image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def _gemma3(ids: Ids) -> PreTrainedConfig:
    layers = ["sliding_attention", "sliding_attention", "full_attention"]
    text = language(head_dim=8, query_pre_attn_scalar=8, sliding_window=80, layer_types=layers)
    return Gemma3Config(
        text_config=text,
        vision_config=siglip(56, 14),
        mm_tokens_per_image=4,
        boi_token_index=ids["<start_of_image>"],
        eoi_token_index=ids["<end_of_image>"],
        image_token_index=ids["<image_soft_token>"],
    )


def _gemma4(**changes: Any) -> Callable[[Ids], PreTrainedConfig]:
    def config(ids: Ids) -> PreTrainedConfig:
        layers = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]
        text = language(
            num_hidden_layers=4,
            head_dim=8,
            global_head_dim=16,
            sliding_window=80,
            layer_types=layers,
            vocab_size_per_layer_input=VOCABULARY,
            hidden_size_per_layer_input=8,
            **changes,
        )
        vision = {
            **{"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2},
            **{"num_key_value_heads": 2, "head_dim": 16, "patch_size": 4, "position_embedding_size": 64},
        }
        return Gemma4Config(
            text_config=text,
            vision_config=vision,
            audio_config=None,
            image_token_id=ids["<|image|>"],
            video_token_id=ids["<|video|>"],
            audio_token_id=ids["<|audio|>"],
            boi_token_id=ids["<|image>"],
            eoi_token_id=ids["<image|>"],
            boa_token_id=ids["<|audio>"],
            eoa_token_index=ids["<audio|>"],
            tie_word_embeddings=False,
        )

    return config


_GEMMA4_TOKENS = ("<bos>", "<|image|>", "<|image>", "<image|>", "<|video|>", "<|audio|>", "<|audio>", "<audio|>")


def _gemma4_family(**changes: Any) -> Family:
    return Family(
        _gemma4(**changes),
        "<bos>" + CHATML.replace("IMAGE", "<|image|>"),
        {
            **{"image_processor_type": "Gemma4ImageProcessor", "patch_size": 4, "max_soft_tokens": 70},
        },
        tokens=_GEMMA4_TOKENS,
        named_tokens={
            **{"image_token": "<|image|>", "boi_token": "<|image>", "eoi_token": "<image|>"},
            **{"audio_token": "<|audio|>", "boa_token": "<|audio>", "eoa_token": "<audio|>"},
        },
        processor={
            "feature_extractor": {"feature_extractor_type": "Gemma4AudioFeatureExtractor"},
        },
        bos="<bos>",
        delimiters=("<|image>", "<image|>"),
        type="gemma4",
    )


FAMILIES: dict[str, Family] = {
    "gemma3": Family(
        _gemma3,
        _GEMMA,
        {"image_processor_type": "Gemma3ImageProcessor", "size": {"height": 56, "width": 56}, **HALF},
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
    "gemma4": _gemma4_family(use_bidirectional_attention="vision"),
    # As the small ones of Gemma 4: the last layers use the keys and values of earlier ones, images are causal.
    "gemma4_small": _gemma4_family(num_kv_shared_layers=2),
}
