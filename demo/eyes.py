"""Eyes for a real language model: a small vision tower and projector in front of SmolLM2, put together as a LLaVA.

    python -m demo.eyes LANGUAGE_MODEL OUT

writes a LLaVA checkpoint from a folder of SmolLM2-135M-Instruct (`lad convert` makes one of the GGUF file) and the
weights in `resources/smollm2-eyes`. The language model is as its authors left it: `demo.train_eyes` trains the eyes
alone, on captions of one picture at a time. What it answers about several pictures is a habit of its own.
"""

import argparse
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
    SiglipVisionModel,
)
from transformers.models.llava.modeling_llava import LlavaMultiModalProjector

from lad import whole

WEIGHTS: Final = Path("resources/smollm2-eyes/eyes.safetensors")
IMAGE_SIDE: Final = 56
PATCH: Final = 14
GRID: Final = IMAGE_SIDE // PATCH
"""Patches along a side; each is one token."""

IMAGE: Final = "<image>"
SYSTEM_TURN: Final = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
)
"""What SmolLM2's own chat template puts first where nobody says otherwise."""
USER_TURN: Final = "<|im_start|>user\n"
END_OF_TURN: Final = "<|im_end|>"
ANSWER_TURN: Final = "<|im_start|>assistant\n"
BEHIND_IMAGE: Final = "\n"

CHAT_TEMPLATE: Final = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}" + SYSTEM_TURN + "{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}" + IMAGE + BEHIND_IMAGE + "{% elif part['type'] == 'text' %}{{ part['text'] }}"
    "{% endif %}{% endfor %}{% endif %}" + END_OF_TURN + "\n{% endfor %}"
    "{% if add_generation_prompt %}" + ANSWER_TURN + "{% endif %}"
)
"""SmolLM2's own, and a line for each picture."""

_VISION: Final = {
    "image_size": IMAGE_SIDE,
    "patch_size": PATCH,
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "vision_use_head": False,
}


class Eyes(nn.Module):
    """The two parts of a LLaVA before its language model, under the names that they have there."""

    def __init__(self, config: LlavaConfig) -> None:
        super().__init__()
        self.vision_tower = SiglipVisionModel(config.vision_config)
        self.multi_modal_projector = LlavaMultiModalProjector(config)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """What the language model sees of each picture.

        Args:
            pixels: [images, 3, 56, 56], as the image processor makes them.

        Returns:
            [images, 16, width of the language model], patches row by row.
        """
        seen = self.vision_tower(pixels, output_hidden_states=True).hidden_states[-1]
        features: torch.Tensor = self.multi_modal_projector(seen)
        return features


def llava_config(language: LlamaConfig) -> LlavaConfig:
    """SmolLM2's configuration with the eyes' before it, and one token more, which stands for a patch."""
    text = language.to_dict() | {"vocab_size": language.vocab_size + 1}
    return LlavaConfig(
        vision_config=SiglipVisionConfig(**_VISION),
        text_config=LlamaConfig(**text),
        image_token_index=language.vocab_size,
        image_seq_length=GRID**2,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=language.tie_word_embeddings,
    )


def image_processor() -> SiglipImageProcessorPil:
    """Resize to 56 x 56 pixels, values from -1 to 1."""
    return SiglipImageProcessorPil(size={"height": IMAGE_SIDE, "width": IMAGE_SIDE})


def assemble(language_folder: Path, weights: Path, out: Path) -> None:
    """Write the LLaVA checkpoint: the language model's weights, the eyes', and a processor for both.

    Args:
        language_folder: SmolLM2 as transformers reads it.
        weights: file of the eyes (`demo.train_eyes`).
        out: folder to be made; one that is there already is replaced.
    """
    language = LlamaForCausalLM.from_pretrained(language_folder, dtype=torch.float32)
    eyes = Eyes(llava_config(language.config))
    eyes.load_state_dict({name: part.float() for name, part in load_file(weights).items()})
    model = join(language, eyes)
    tokenizer = AutoTokenizer.from_pretrained(language_folder)
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE]})
    processor = LlavaProcessor(
        image_processor(),
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        chat_template=CHAT_TEMPLATE,
        image_token=IMAGE,
    )
    with whole.folder(out) as partial:
        model.save_pretrained(partial)
        processor.save_pretrained(partial)
        for made in partial.iterdir():
            made.chmod(0o644)  # save_pretrained writes weights that only their owner may read


def join(language: LlamaForCausalLM, eyes: Eyes) -> LlavaForConditionalGeneration:
    """Both halves as one model, their weights as they are."""
    model = LlavaForConditionalGeneration(llava_config(language.config))
    model.model.vision_tower = eyes.vision_tower
    model.model.multi_modal_projector = eyes.multi_modal_projector
    model.model.language_model.load_state_dict(_with_row(language.model.state_dict()))
    model.tie_weights()
    model.generation_config = language.generation_config
    return model


def _with_row(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The language model's weights, with a row of zeros for the token that pictures take the place of."""
    words = state["embed_tokens.weight"]
    return state | {"embed_tokens.weight": torch.cat([words, words.new_zeros(1, words.shape[1])])}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language", type=Path, help="folder of SmolLM2-135M-Instruct")
    parser.add_argument("out", type=Path, help="folder to write")
    given = parser.parse_args()
    assemble(given.language, WEIGHTS, given.out)
