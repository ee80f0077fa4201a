"""Gemma's models, whose images are seen in both directions."""

from transformers import Gemma3Config, PreTrainedConfig

from benchmarks.architectures.family import HALF, Family, Ids, language, siglip

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
}
