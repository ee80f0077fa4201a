"""Idefics' models, which cut an image into rows and columns of tiles with a token before each."""

from transformers import Idefics3Config, PreTrainedConfig, SmolVLMConfig

from benchmarks.architectures.family import HALF, Family, Ids, language, siglip

_IDEFICS = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}:{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
_TILE_TOKENS = tuple(f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5))

_IDEFICS_TOKENS = ("<image>", "<fake_token_around_image>", "<end_of_utterance>", "<global-img>", *_TILE_TOKENS)
_IDEFICS_PIXELS = {"size": {"longest_edge": 112}, "max_image_size": {"longest_edge": 56}, **HALF}


def _idefics(kind: type[PreTrainedConfig], image_processor: str) -> Family:
    """Idefics3 or SmolVLM, which have the same parts under other names."""

    def config(ids: Ids) -> PreTrainedConfig:
        vision = {**siglip(56, 14), "model_type": f"{kind.model_type}_vision"}
        return kind(
            text_config=language(model_type="llama"),
            vision_config=vision,
            image_token_id=ids["<image>"],
            scale_factor=2,
        )

    return Family(
        config,
        _IDEFICS,
        {"image_processor_type": image_processor, **_IDEFICS_PIXELS},
        tokens=_IDEFICS_TOKENS,
        processor={"image_seq_len": 4},
        delimiters=("<fake_token_around_image>", "<global-img>", *_TILE_TOKENS),
    )


FAMILIES: dict[str, Family] = {
    "idefics3": _idefics(Idefics3Config, "Idefics3ImageProcessor"),
    "smolvlm": _idefics(SmolVLMConfig, "SmolVLMImageProcessor"),
}
