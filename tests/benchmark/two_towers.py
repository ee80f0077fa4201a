"""Tiny CLIP and SigLIP checkpoints of random weights, with a tokenizer and image processor of their own."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
    SiglipProcessor,
)

WORDS = ("a", "red", "blue", "circle", "square", "left", "right", "of", "the", "one", "two", "three", "and", "above")
TEXT = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {**TEXT, "image_size": 32, "patch_size": 8}
PICTURES = {"size": {"height": 32, "width": 32}, "crop_size": {"height": 32, "width": 32}}


def write_clip(folder: Path, context: int = 12) -> Path:
    """A CLIP checkpoint: causal text tower that is read at the end token, projections to 8 dimensions."""
    tokenizer = _tokenizer(begins=True)
    text = {**TEXT, "vocab_size": len(tokenizer), "max_position_embeddings": context, "eos_token_id": 2}
    text |= {"bos_token_id": 1, "pad_token_id": 2}
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=VISION, projection_dim=8))
    model.save_pretrained(folder)
    images = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return folder


def write_siglip(folder: Path, context: int = 10) -> Path:
    """A SigLIP checkpoint: text tower that looks at its padding too and is read at the last token."""
    tokenizer = _tokenizer(begins=False)
    text = {**TEXT, "vocab_size": len(tokenizer), "max_position_embeddings": context, "projection_size": 16}
    torch.manual_seed(1)
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=VISION))
    model.save_pretrained(folder)
    SiglipProcessor(SiglipImageProcessorPil(size=PICTURES["size"]), tokenizer).save_pretrained(folder)
    return folder


def _tokenizer(begins: bool) -> PreTrainedTokenizerFast:
    specials = ("<unk>", "<begin>", "<end>")
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate((*specials, *WORDS))}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    single = "<begin> $A <end>" if begins else "$A <end>"
    tokenizer.post_processor = processors.TemplateProcessing(single, special_tokens=[("<begin>", 1), ("<end>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<begin>",
        eos_token="<end>",
        pad_token="<end>",
        model_input_names=["input_ids", "attention_mask"] if begins else ["input_ids"],
    )
