"""Models of texts alone in which some layers have no softmax attention."""

from transformers import Lfm2Config, PreTrainedConfig

from benchmarks.architectures.family import Family, Ids, language

_OF_TEXTS = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _lfm2(ids: Ids) -> PreTrainedConfig:
    kinds = ["conv", "full_attention", "conv", "full_attention"]
    sizes = {"num_hidden_layers": len(kinds), "layer_types": kinds, "block_auto_adjust_ff_dim": False}
    return Lfm2Config(**language(**sizes))


FAMILIES: dict[str, Family] = {"lfm2": Family(_lfm2, _OF_TEXTS, {})}
