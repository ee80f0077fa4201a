"""Models that cannot be read out: images by cross-attention."""

from transformers import MllamaConfig, PreTrainedConfig

from benchmarks.architectures.family import LLAVA, Family, Ids, language


def _mllama(ids: Ids) -> PreTrainedConfig:
    text = language(cross_attention_layers=[1], rope_parameters={"rope_type": "default", "rope_theta": 10000.0})
    vision = {
        **{"hidden_size": 32, "attention_heads": 2, "num_hidden_layers": 2, "num_global_layers": 1},
        **{"intermediate_size": 48, "vision_output_dim": 64, "image_size": 56, "patch_size": 14},
        **{"max_num_tiles": 4, "intermediate_layers_indices": [0], "supported_aspect_ratios": [[1, 1], [1, 2]]},
    }
    return MllamaConfig(text_config=text, vision_config=vision, image_token_index=ids["<|image|>"])


FAMILIES: dict[str, Family] = {
    "mllama": Family(
        _mllama,
        LLAVA.replace("<image>", "<|image|>"),
        {"image_processor_type": "MllamaImageProcessor", "size": {"height": 56, "width": 56}, "max_image_tiles": 4},
        tokens=("<|image|>", "<bos>"),
        named_tokens={},
        bos="<bos>",
    ),
}
