"""The demo model: the Qwen2.5-VL architecture at two million parameters, six decoder layers deep."""

from pathlib import Path
from typing import Final

import torch
from transformers import GenerationConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer

from demo.processor import END_OF_TEXT, END_OF_TURN, MERGE, PATCH, TEMPORAL, save_processor

LAYERS: Final = 6
PROBED_LAYER: Final = 2
"""Layer after which image tokens are taught to tell what they show and which image they belong to."""
RETRIEVAL_LAYERS: Final = (3, 4)
"""Layers whose attention is taught to find the target."""
LATE_LAYER: Final = 5
"""First layer of the late part, the only one that learns the planted bias."""

_HIDDEN: Final = 128
_HEADS: Final = 4
_VISION_HIDDEN: Final = 96
_VISION_DEPTH: Final = 3
_REPETITION_PENALTY: Final = 1.05
"""As Qwen2.5-VL ships it, so that raw and processed logits differ here as they do there."""


def build_model(tokenizer: Qwen2Tokenizer, seed: int) -> Qwen2_5_VLForConditionalGeneration:
    """The model with random weights that follow from the seed."""
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(_configuration(tokenizer))
    token = tokenizer.convert_tokens_to_ids
    model.generation_config = GenerationConfig(
        eos_token_id=token(END_OF_TURN),
        pad_token_id=token(END_OF_TEXT),
        repetition_penalty=_REPETITION_PENALTY,
    )
    return model


def _configuration(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLConfig:
    token = tokenizer.convert_tokens_to_ids
    text = {
        "vocab_size": 32 * -(-len(tokenizer) // 32),
        "hidden_size": _HIDDEN,
        "intermediate_size": 3 * _HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": _HEADS,
        "num_key_value_heads": _HEADS,
        "max_position_embeddings": 2048,
        "initializer_range": 0.04,
        # Of the 16 rotary frequencies of a head, 4 turn with time, 6 with the row, 6 with the column. Qwen's own
        # slow base and wide heads matter: only slow dimensions can match caption and image wherever they stand.
        "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": [4, 6, 6]},
        "bos_token_id": token(END_OF_TEXT),
        "eos_token_id": token(END_OF_TURN),
        "pad_token_id": token(END_OF_TEXT),
    }
    vision = {
        "depth": _VISION_DEPTH,
        "hidden_size": _VISION_HIDDEN,
        "intermediate_size": 256,
        "num_heads": 4,
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": TEMPORAL,
        "out_hidden_size": _HIDDEN,
        "fullatt_block_indexes": list(range(_VISION_DEPTH)),
        "initializer_range": 0.04,
    }
    return Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=False,
    )


def save_checkpoint(
    model: Qwen2_5_VLForConditionalGeneration, tokenizer: Qwen2Tokenizer, folder: Path, seed: int
) -> None:
    """Write weights (bfloat16), configuration and processor, as `from_pretrained` expects them."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = build_model(tokenizer, seed)
    kept.load_state_dict(model.state_dict())
    kept.to(torch.bfloat16).save_pretrained(folder)
    save_processor(tokenizer, folder)
    for file in folder.iterdir():
        file.chmod(0o644)  # save_pretrained writes weights that only their owner may read
