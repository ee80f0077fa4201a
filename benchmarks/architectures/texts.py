"""Every type of transformers' causal language models as a tiny checkpoint.

Most of them need nothing but small numbers: `SIZES` gives them by the names that configurations have for them, and a
type's own configuration class works out the rest. `OWN` says what a type needs besides, mostly so that there are layers
of each of its kinds, and windows shorter than the prompt.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from transformers import CONFIG_MAPPING, PreTrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from benchmarks.architectures.family import VOCABULARY, Family, Ids, language

_TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

SIZES: Final[Mapping[str, Any]] = {
    **{**language(), "num_hidden_layers": 4, "head_dim": 8, "bos_token_id": 1, "eos_token_id": 2},
    # The same by older names.
    **{"d_model": 32, "n_embd": 32, "embedding_size": 32, "word_embed_proj_dim": 32, "ffn_dim": 48, "dim_ff": 48},
    **{"ffn_hidden_size": 48, "decoder_ffn_dim": 48, "encoder_ffn_dim": 48, "n_layer": 4, "n_layers": 4},
    **{"num_layers": 4, "decoder_layers": 4, "encoder_layers": 2, "n_head": 4, "n_heads": 4, "attention_heads": 4},
    **{"decoder_attention_heads": 4, "encoder_attention_heads": 4, "n_positions": 4096, "max_seq_len": 4096},
    **{"rotary_dim": 8, "kv_channels": 8},
    # Windows.
    **{"sliding_window": 64, "sliding_window_size": 64, "attention_chunk_size": 64, "attention_window_size": 64},
    # Latent attention.
    **{"qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8, "kv_lora_rank": 16, "q_lora_rank": 16},
    # Experts.
    **{"num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "moe_num_experts": 4, "num_experts_per_tok": 2},
    **{"num_experts_per_token": 2, "moe_topk": 2, "moe_k": 2, "n_group": 1, "num_expert_group": 1, "topk_group": 1},
    **{"moe_intermediate_size": 16, "expert_ffn_hidden_size": 16, "shared_expert_intermediate_size": 16},
    **{"shared_intermediate_size": 16, "dense_intermediate_size": 16, "intermediate_size_mlp": 16},
    **{"first_k_dense_replace": 1, "num_dense_layers": 1},
    # States.
    **{"mamba_n_heads": 4, "mamba_d_state": 8, "mamba_n_groups": 1, "mamba_d_head": 16, "mamba_dt_rank": 4},
    **{"mamba_num_heads": 4, "mamba_head_dim": 16, "ssm_state_size": 8, "state_size": 8, "n_groups": 1},
    **{"n_mamba_heads": 2, "mamba_ngroups": 1, "linear_num_value_heads": 2, "linear_num_key_heads": 2},
    **{"linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_head_dim": 8, "linear_num_heads": 4},
    **{"lru_width": 32},
    # Embeddings of each layer.
    **{"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": VOCABULARY},
}
"""Small numbers by the names of settings; a configuration gets those that it has."""

_LEFT_OUT: Final = object()
"""In place of a number: the setting stays as it is, for the configuration works it out."""
_WINDOWS: Final = {"layer_types": 2 * ["sliding_attention", "full_attention"]}
_LINEAR: Final = {"layer_types": 2 * ["linear_attention", "full_attention"]}
_CONVOLUTIONS: Final = {"layer_types": 2 * ["conv", "full_attention"]}
_LATENT: Final = {"num_key_value_heads": 4}
_DECODER: Final = {"is_decoder": True}
_ROPE: Final = {"rope_type": "default", "rope_theta": 10000.0}
_BY_KIND: Final = {"rope_parameters": {"full_attention": _ROPE, "sliding_attention": _ROPE}}
_TINY_VISION: Final = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}

OWN: Final[Mapping[str, Mapping[str, Any]]] = {
    "axk1": _LATENT,
    "bailing_hybrid": {**_LATENT, **_LINEAR},
    "bamba": {"attn_layer_indices": [1, 3]},
    "bert": _DECODER,
    "bert-generation": _DECODER,
    "big_bird": _DECODER,
    "camembert": _DECODER,
    "cohere_compass_text": {**_WINDOWS, **_BY_KIND},
    "data2vec-text": _DECODER,
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": 48, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "deepseek_v2": _LATENT,
    "deepseek_v3": _LATENT,
    "dots1": {"n_shared_experts": 1},
    "electra": _DECODER,
    "ernie": _DECODER,
    "falcon": {"num_kv_heads": 2, "new_decoder_architecture": True, "head_dim": _LEFT_OUT},
    "falcon_h1": {"mamba_d_ssm": 32, "mamba_d_head": 8},
    "gemma3_text": _WINDOWS,
    "gemma3n_text": {
        **{"num_hidden_layers": 8, "num_kv_shared_layers": 4, "activation_sparsity_pattern": None},
        "layer_types": 4 * ["sliding_attention", "full_attention"],
    },
    "gemma4_text": {
        **{**_WINDOWS, "global_head_dim": 16, "head_dim": _LEFT_OUT, "num_key_value_heads": _LEFT_OUT},
        "hidden_size_per_layer_input": 0,
    },
    "gemma4_unified_text": {
        **{**_WINDOWS, "global_head_dim": 16, "head_dim": _LEFT_OUT, "num_key_value_heads": _LEFT_OUT},
    },
    "glm4_moe_lite": _LATENT,
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "granitemoehybrid": _LINEAR,
    "hrm_text": {"num_layers_per_stack": 2},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "kimi_linear": {**_LATENT, **_LINEAR},
    "laguna": {**_WINDOWS, "num_attention_heads_per_layer": [4, 8, 4, 8]},
    "lfm2": {**_CONVOLUTIONS, "block_auto_adjust_ff_dim": False},
    "lfm2_moe": _CONVOLUTIONS,
    # Two blocks of attention in each.
    "longcat_flash": {**_LATENT, "num_layers": 2},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "megatron-bert": _DECODER,
    "minicpm3": _LATENT,
    "minimax": _LINEAR,
    "minimax_m3_vl_text": {"layer_types": 2 * ["full_attention", "minimax_m3_sparse"]},
    "moshi": _LATENT,
    "nemotron_h": {"layers_block_type": ["linear_attention", "full_attention", "moe", "full_attention"]},
    "olmo_hybrid": _LINEAR,
    "phi4_multimodal": {
        "vision_config": {**_TINY_VISION, "image_size": 28, "patch_size": 14, "crop_size": 28},
        "audio_config": {"hidden_size": 32, "intermediate_size": 48, "num_blocks": 1, "num_attention_heads": 2},
    },
    "qwen3_5_moe_text": _LINEAR,
    "qwen3_5_text": _LINEAR,
    "qwen3_next": _LINEAR,
    "reformer": {**_DECODER, "axial_pos_embds_dim": [16, 16], "axial_pos_shape": [64, 64]},
    "rembert": _DECODER,
    "roberta": _DECODER,
    "roberta-prelayernorm": _DECODER,
    "roc_bert": {**_DECODER, "pronunciation_vocab_size": 9, "shape_vocab_size": 9},
    "roformer": _DECODER,
    "xlm-roberta": _DECODER,
    "xlm-roberta-xl": _DECODER,
    "xlnet": {"max_position_embeddings": _LEFT_OUT},
    "xmod": {**_DECODER, "default_language": "en_XX"},
    "youtu": _LATENT,
    "zamba": {
        **{"num_hidden_layers": 6, "attn_layer_period": 2, "attn_layer_offset": 1, "num_key_value_heads": 4},
        **{"attention_hidden_size": 64, "attention_head_dim": 16},
    },
    "zamba2": {
        **{"layers_block_type": 2 * ["linear_attention", "hybrid"], "num_mem_blocks": 1, "adapter_rank": 8},
        **{"kv_channels": 16, "attention_head_dim": 16, "num_key_value_heads": 4, "mamba_headdim": 16},
        **{"n_mamba_heads": 4},
    },
    "zaya": {"num_experts_per_tok": 1, "router_hidden_size": 8},
}
"""What a type needs besides, or instead."""

NOT_BUILT: Final[Mapping[str, str]] = {
    "blt": "reads bytes, which it makes into patches, in place of tokens",
    "gemma4_assistant": "drafts for another model, whose keys and values it uses",
    "gemma4_unified_assistant": "drafts for another model, whose keys and values it uses",
    "moss_transcribe_diarize": "transcribes speech",
    "xlstm": "has no attention to be read",
}
"""Types that are no language models with attention and tokens of their own, and what they are."""


def _small(kind: str, ids: Ids) -> PreTrainedConfig:
    known = dir(CONFIG_MAPPING[kind]())
    settings = {name: value for name, value in SIZES.items() if name in known} | dict(OWN.get(kind, {}))
    return CONFIG_MAPPING[kind](**{name: value for name, value in settings.items() if value is not _LEFT_OUT})


FAMILIES: Final[dict[str, Family]] = {
    kind: Family(partial(_small, kind), _TEMPLATE, {})
    for kind in sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    if kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES and kind not in NOT_BUILT
}
"""Types that take images as well are described with those."""
