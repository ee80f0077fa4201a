"""Families of LLMs, each as a tiny checkpoint with random weights; multimodal ones with their own processor class.

`build("gemma3", folder)` writes what a download would have written: config, weights, processor, tokenizer (the demo
checkpoint's, with the family's special tokens added) and a short chat template of the family's form. Geometries are
small but not degenerate: grouped key-value heads, several layers, images of several tiles, sliding windows shorter than
the prompt.
"""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer

from benchmarks.architectures import deepseek, gemma, glm, idefics, llava, qwen, refused, texts, tiles
from benchmarks.architectures.family import VOCABULARY as VOCABULARY
from benchmarks.architectures.family import Family as Family
from benchmarks.architectures.family import Ids
from benchmarks.architectures.family import language as language

DEMO = Path(__file__).parents[2] / "resources" / "demo-model"

FAMILIES: dict[str, Family] = {
    **qwen.FAMILIES,
    **llava.FAMILIES,
    **idefics.FAMILIES,
    **gemma.FAMILIES,
    **glm.FAMILIES,
    **tiles.FAMILIES,
    **deepseek.FAMILIES,
}
"""Those that can be read out."""

CORE = (
    *("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5", "llava_onevision15", "internvl", "llava_onevision"),
    *("llava_next", "llava", "idefics3", "smolvlm", "gemma3"),
)
"""Those that every test is run with; the others have one comparison each."""

REFUSED: dict[str, Family] = {**deepseek.REFUSED, **refused.FAMILIES}
"""Those that cannot: images by cross-attention, prompts of another kind."""

TEXTS: dict[str, Family] = texts.FAMILIES
"""Models of texts alone, by their type; whether they can be read out, docs/families.md says."""


def build(name: str, folder: Path, *, seed: int = 0) -> Path:
    """Write a tiny checkpoint of that family to `folder / name`, and return that path."""
    family = {**FAMILIES, **REFUSED, **TEXTS}[name]
    path = folder / name
    ids = _write_tokenizer(family, path)
    torch.manual_seed(seed)
    config = family.config(ids)
    model = (AutoModelForCausalLM if not family.image_processor else AutoModelForImageTextToText).from_config(config)
    with torch.no_grad():
        for weights in model.parameters():
            # Some begin as all zeros or ones (Gemma 3's projector): nothing of them would be seen in a comparison.
            weights.add_(torch.randn_like(weights), alpha=0.1)
    model.generation_config.eos_token_id = ids["<|im_end|>"]
    model.generation_config.repetition_penalty = 1.3
    model.save_pretrained(path)
    (path / "preprocessor_config.json").write_text(json.dumps(family.image_processor))
    (path / "processor_config.json").write_text(json.dumps(family.processor))
    (path / "chat_template.jinja").write_text(family.template)
    return path


def _write_tokenizer(family: Family, path: Path) -> Ids:
    tokenizer = AutoTokenizer.from_pretrained(DEMO)
    tokenizer.add_special_tokens({"extra_special_tokens": list(family.tokens)}, replace_extra_special_tokens=False)
    tokenizer.save_pretrained(path)
    ids: Ids = tokenizer.get_vocab()
    settings = json.loads((path / "tokenizer_config.json").read_text())
    settings |= {"model_specific_special_tokens": family.named_tokens, "bos_token": family.bos} | family.named_tokens
    settings |= family.tokenizer
    (path / "tokenizer_config.json").write_text(json.dumps(settings))
    return ids
