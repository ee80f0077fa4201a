"""What a tiny family is, and the parts that several of them share: templates, language halves, vision towers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from transformers import CLIPVisionConfig, PreTrainedConfig, SiglipVisionConfig

VOCABULARY = 800

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAVA = (
    "{% for message in messages %}{{ message['role'] | upper }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
MISTRAL = (
    "{% for message in messages %}[INST] {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %} [/INST]{% endfor %}"
)

HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
PINPOINTS = [[28, 56], [56, 28], [56, 56]]

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
        tokenizer: other settings of its tokenizer_config.json.
        delimiters: tokens that delimit an image or its parts.
        type: the model type, where several families are of one.
        margin: how many of them lie on either side of what the processor writes for an image.
    """

    config: Callable[[Ids], PreTrainedConfig]
    template: str
    image_processor: dict[str, Any]
    tokens: tuple[str, ...] = ()
    named_tokens: dict[str, str] = field(default_factory=dict)
    processor: dict[str, Any] = field(default_factory=dict)
    tokenizer: dict[str, Any] = field(default_factory=dict)
    bos: str | None = None
    delimiters: tuple[str, ...] = ()
    margin: int = 0
    type: str | None = None


def language(**changes: Any) -> dict[str, Any]:
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


def qwen2(**changes: Any) -> dict[str, Any]:
    return language(model_type="qwen2", **changes)


def mrope(section: list[int]) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": section}


def siglip(image_size: int, patch_size: int) -> dict[str, Any]:
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


def clip(image_size: int, patch_size: int) -> dict[str, Any]:
    config = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=image_size,
        patch_size=patch_size,
    )
    return dict(config.to_dict())
