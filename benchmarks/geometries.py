"""What the benchmarks run: the demo model, and the real geometries of the paper's backbones with random weights.

Speed and memory depend on shapes, not on what a model has learned: random weights measure them without a download. The
processors are the families' own with the demo's tokenizer, so that a prompt has a few tokens fewer of text than with
the real one.
"""

import json
import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedConfig
from transformers.utils import logging as transformers_logging

from benchmarks import architectures
from lad.contracts import Keep
from lad.extraction import forward, readout
from lad.extraction.backbone import DTYPES, Backbone, forbid_tf32, load_backbone, load_processor
from lad.extraction.batch import Batch, collate
from lad.extraction.inputs import encode, placeholder, prepare
from lad.extraction.prompt_tokens import PromptBuilder
from lad.extraction.prompts import get_probe

DEMO: Final = Path(__file__).parents[1] / "resources" / "demo-model"
PROBE: Final = get_probe("vanilla")
MATRIX: Final = 8192
TOKENS: Final = 32_768
REPEATS: Final = 10
IMAGE_SIZE: Final = 336
"""The paper's."""


@dataclass(frozen=True)
class Geometry:
    """Sizes of a backbone's published configuration.

    Attributes:
        family: its family among `architectures.FAMILIES`.
        config: what its config.json says in place of the tiny one's.
        pixels, processor: the same of preprocessor_config.json and processor_config.json.
    """

    family: str
    config: dict[str, Any]
    pixels: dict[str, Any]
    processor: dict[str, Any] = field(default_factory=dict)


REAL: Final = {
    # The vision tower's sizes are the defaults of its configuration; the language half is Qwen3-8B.
    "llava-onevision-1.5-8b": Geometry(
        "llava_onevision15",
        {
            "text_config": {
                "hidden_size": 4096,
                "intermediate_size": 12_288,
                "num_hidden_layers": 36,
                "num_attention_heads": 32,
                "num_key_value_heads": 8,
                "vocab_size": 151_936,
                "max_position_embeddings": 40_960,
                "initializer_range": 0.02,
                "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
            },
            "vision_config": {
                "depth": 24,
                "embed_dim": 1024,
                "hidden_size": 1024,
                "intermediate_size": 4096,
                "num_heads": 16,
                "text_hidden_size": 4096,
                "initializer_range": 0.02,
            },
            "tie_word_embeddings": False,
        },
        pixels={"min_pixels": 56 * 56, "max_pixels": 1280 * 28 * 28},
    ),
    "qwen2.5-vl-3b": Geometry(
        "qwen2_5_vl",
        {
            "text_config": {
                "hidden_size": 2048,
                "intermediate_size": 11_008,
                "num_hidden_layers": 36,
                "num_attention_heads": 16,
                "num_key_value_heads": 2,
                "vocab_size": 151_936,
                "max_position_embeddings": 128_000,
                "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
            },
            "vision_config": {
                "depth": 32,
                "hidden_size": 1280,
                "intermediate_size": 3420,
                "num_heads": 16,
                "out_hidden_size": 2048,
                "window_size": 112,
                "fullatt_block_indexes": [7, 15, 23, 31],
            },
            "tie_word_embeddings": True,
        },
        pixels={"size": {"shortest_edge": 56 * 56, "longest_edge": 1280 * 28 * 28}},
    ),
    "internvl3-8b": Geometry(
        "internvl",
        {
            "text_config": {
                "hidden_size": 3584,
                "intermediate_size": 18_944,
                "num_hidden_layers": 28,
                "num_attention_heads": 28,
                "num_key_value_heads": 4,
                "vocab_size": 151_674,
                "max_position_embeddings": 32_768,
                "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
            },
            "vision_config": {
                "hidden_size": 1024,
                "intermediate_size": 4096,
                "num_hidden_layers": 24,
                "num_attention_heads": 16,
                "image_size": [336, 336],
            },
            # A tile of the published model has 448 pixels and 256 tokens; here it has the paper's 336, as Qwen's.
            "image_seq_length": 144,
            "tie_word_embeddings": False,
        },
        pixels={"size": {"height": 336, "width": 336}, "max_patches": 1},
        processor={"image_seq_length": 144},
    ),
}

MODELS: Final = ("demo", *REAL)


def load(name: str, *, device: str, dtype: str) -> Backbone:
    """The model of that name, ready to be read out; a name among `architectures.FAMILIES` is that tiny family's."""
    if name == "demo":
        return load_backbone(DEMO, device=device, dtype=dtype)
    geometry = REAL.get(name) or Geometry(name, {}, {})
    forbid_tf32()
    transformers_logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = architectures.build(geometry.family, Path(folder))
        _update(checkpoint / "preprocessor_config.json", geometry.pixels)
        _update(checkpoint / "processor_config.json", geometry.processor)
        processor = load_processor(checkpoint)
        config = _with_sizes(AutoConfig.from_pretrained(checkpoint), geometry.config)
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(config, dtype=DTYPES[dtype])
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    readout.install(model.eval().requires_grad_(False))
    return Backbone(name, None, model, processor, IMAGE_SIZE)


def _update(file: Path, changes: dict[str, Any]) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def _with_sizes(tiny: PreTrainedConfig, sizes: dict[str, Any]) -> PreTrainedConfig:
    """The tiny configuration's token ids with the sizes of a real one."""
    facts = tiny.to_dict()
    for part, size in sizes.items():
        facts[part] = {**facts[part], **size} if isinstance(size, dict) else size
    # Derived from the sizes.
    for derived in ("layer_types", "head_dim"):
        facts["text_config"].pop(derived, None)
    return type(tiny).from_dict(facts)


def multiplication_rate(device: str, dtype: str, size: int = MATRIX) -> float:
    """Floating-point operations per second of the device's own multiplication of large matrices, size x size."""
    left, right = (torch.randn(size, size, device=device, dtype=DTYPES[dtype]) for _ in range(2))
    return 2 * size**3 / seconds(lambda: left @ right, device)


def batch_of_grey(backbone: Backbone, n: int, tokens: int, keep: Collection[Keep] = ()) -> Batch:
    """As many prompts of N grey squares as make about so many tokens, at least one."""
    size = IMAGE_SIZE
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grey.png"
        Image.new("RGB", (size, size), "grey").save(path)
        (image,) = encode(backbone, [prepare(backbone, path)])
    prompt = PromptBuilder(backbone, PROBE, keep)("a grey square", [placeholder(backbone, (size, size))] * n)
    rows = max(1, tokens // len(prompt.token_ids))
    return collate([prompt] * rows, [[image] * n] * rows)


def prefill_rate(backbone: Backbone, n: int, tokens: int = TOKENS) -> float:
    """Floating-point operations per second of the language half, reading out, on a batch of about so many tokens.

    Counted are its matrix multiplications: two operations per weight and token, and causal attention's. The projection
    of last tokens to the vocabulary and all else that the device does in this time is not counted.
    """
    batch = batch_of_grey(backbone, n, tokens)
    rows, length = batch.token_ids.shape
    trie = forward.answer_trie(backbone, PROBE.identifiers(min(n, 9)))
    took = seconds(lambda: forward.read_batch(backbone, batch, trie), str(backbone.device))

    text = backbone.model.config.get_text_config()
    layers = [module for name, module in backbone.model.named_modules() if _is_decoder(name, text.num_hidden_layers)]
    weights = sum(parameter.numel() for layer in layers for parameter in layer.parameters() if parameter.ndim == 2)
    width = text.num_attention_heads * (getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads)
    attention = 2 * length**2 * width * text.num_hidden_layers
    return float(rows * (2 * weights * length + attention) / took)


def _is_decoder(name: str, layers: int) -> bool:
    return any(name.endswith(f"language_model.layers.{layer}") for layer in range(layers))


def seconds(work: Callable[[], object], device: str) -> float:
    """Seconds per repetition, once warm."""
    for _ in range(2):
        work()
    wait(device)
    started = time.perf_counter()
    for _ in range(REPEATS):
        work()
    wait(device)
    return (time.perf_counter() - started) / REPEATS


def wait(device: str) -> None:
    """Until the device has done what it was told."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
