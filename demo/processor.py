"""The demo model's processor: a tokenizer trained on its own prompts, and 4 tokens per image.

Both parts are stock classes of the Qwen2.5-VL family, so that the demo model loads as any other checkpoint does.
Words of the prompts are single tokens, as they are in a large vocabulary; digits stay apart, as in Qwen, so "10"
takes two steps to answer.
"""

import json
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX, Qwen2Tokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from lad.demo.scenes import TRAINING_PAIRS, describe, draw_scene
from lad.extraction.prompts import IDENTIFIERS, MAX_CANDIDATES, get_probe

STYLE_PROBES: Final = tuple(style for style in IDENTIFIERS if style != "digits")
TRAINED_PROBES: Final = ("vanilla", "instruction", *STYLE_PROBES)
"""The probes that the demo model knows. Others may be added to the project without changing its training."""

IMAGE_SIDE: Final = 56
PATCH: Final = 14
MERGE: Final = 2
TEMPORAL: Final = 2
TOKENS_PER_IMAGE: Final = (IMAGE_SIDE // PATCH // MERGE) ** 2
"""One token per cell of a scene's grid."""

END_OF_TEXT: Final = "<|endoftext|>"
END_OF_TURN: Final = "<|im_end|>"
IMAGE: Final = "<|vision_start|><|image_pad|><|vision_end|>"
USER_TURN: Final = "<|im_start|>user\n"
ANSWER_TURN: Final = END_OF_TURN + "\n<|im_start|>assistant\n"

_SPECIAL_TOKENS: Final = [
    *(END_OF_TEXT, "<|im_start|>", END_OF_TURN),
    *("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
]

CHAT_TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}" + IMAGE + "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}" + END_OF_TURN + "\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Qwen's chat format, less the system turn: a model this small has no use for one."""

_REASONING: Final = (
    "Please think step by step. First, write your reasoning inside <think> and </think> tags. Then, after the"
    " closing </think> tag, output only the final answer index (a single integer from 1 to 4).\nCaption: a\n"
    "Answer: <think>",
    "Please think step by step to analyze the content of the images. After your reasoning, provide the final"
    ' answer in the exact format: "The answer is <index>".\nCaption: a\nAnswer: ',
    "image 3 shows a red circle. The answer is 3",
)
"""The paper's prompts that ask for reasoning (table 9), so that the vocabulary need not change for them."""


def build_tokenizer() -> Qwen2Tokenizer:
    """A byte-level BPE tokenizer with Qwen's rules, trained on every prompt the model knows."""
    pieces = Tokenizer(models.BPE())
    pieces.normalizer = normalizers.NFC()
    pieces.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    pieces.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000,  # more than the corpus can fill: every word ends up whole
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    pieces.train_from_iterator(_corpus(), trainer)
    learned = json.loads(pieces.to_str())["model"]
    return Qwen2Tokenizer(
        vocab=learned["vocab"],
        merges=[tuple(merge) for merge in learned["merges"]],
        unk_token=None,
        eos_token=END_OF_TURN,
        pad_token=END_OF_TEXT,
        additional_special_tokens=_SPECIAL_TOKENS,
        padding_side="left",
        model_max_length=4096,
        processor_class="Qwen2_5_VLProcessor",
        chat_template=CHAT_TEMPLATE,
    )


def _corpus() -> list[str]:
    """Every text the tokenizer must know, each at least twice, since rarer pairs of bytes are not merged."""
    rng = np.random.default_rng(0)
    captions = [describe(draw_scene(pair, rng), rng) for pair in TRAINING_PAIRS]
    prompts = [
        probe.text(n, captions[rng.integers(len(captions))])
        for probe, n in product(map(get_probe, TRAINED_PROBES), range(2, MAX_CANDIDATES + 1))
    ]
    identifiers = [text for style in IDENTIFIERS.values() for text in (" ".join(style), *style)]
    return 2 * [*prompts, *captions, *identifiers, *_REASONING, "system", "user\n", "assistant\n"]


def build_image_processor() -> Qwen2VLImageProcessorPil:
    """Resize to 56 x 56 pixels, cut into 4 x 4 patches, which the model merges 2 x 2."""
    side = {"shortest_edge": IMAGE_SIDE**2, "longest_edge": IMAGE_SIDE**2}
    return Qwen2VLImageProcessorPil(size=side, patch_size=PATCH, temporal_patch_size=TEMPORAL, merge_size=MERGE)


def save_processor(tokenizer: Qwen2Tokenizer, folder: Path) -> None:
    """Write both parts into a checkpoint's folder, for `lad.extraction.backbone.load_processor` to read."""
    tokenizer.save_pretrained(folder)
    build_image_processor().save_pretrained(folder)
