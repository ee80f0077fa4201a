"""The straightforward way, the yardstick: what one gets by calling transformers as its documentation shows.

Eager attention, of which every layer's T x T matrix is kept for one row; one presentation at a time; each image
decoded, preprocessed and encoded for every presentation that shows it; the whole model once more for every prefix that
several identifiers share. The released code works like this, once per method; here one pass serves all methods.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel

from lad.extraction.backbone import TOKEN_TYPES, Backbone
from lad.extraction.candidates import IdentifierTrie, Prefix
from lad.extraction.inputs import open_image
from lad.extraction.plan import Asked
from lad.extraction.prompts import Probe


def signals(backbone: Backbone, probe: Probe, trie: IdentifierTrie, asked: Sequence[Asked]) -> Iterator[dict[str, Any]]:
    """The signals of each presentation that the benchmark compares.

    Args:
        backbone: its language half must use eager attention.
    """
    for one in asked:
        pictures = [open_image(file, backbone.image_size) for file in one.files]
        inputs = _moved(backbone, processed(backbone, probe, one.caption, pictures))
        logits, attention = last_row(backbone.model, inputs)
        after: dict[Prefix, Tensor] = {(): logits}
        for prefix in trie.open_prefixes:
            after[prefix], _ = last_row(backbone.model, extended(inputs, prefix))
        yield {
            "identifier_logits": logits[0, trie.first_tokens].tolist(),
            "candidate_logprobs": trie.log_probabilities(after)[0].tolist(),
            "candidate_attention": [
                [layer[places].sum().item() for places in _image_places(backbone, inputs, len(one.files))]
                for layer in attention
            ],
        }


def processed(backbone: Backbone, probe: Probe, caption: str, pictures: Sequence[Image.Image]) -> Mapping[str, Tensor]:
    """What the whole processor makes of the whole presentation, on the CPU."""
    content = [
        *({"type": "image", "image": picture} for picture in pictures),
        {"type": "text", "text": probe.text(len(pictures), caption)},
    ]
    inputs: Mapping[str, Tensor] = backbone.processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    return inputs


def _moved(backbone: Backbone, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    floats = {name for name, value in inputs.items() if value.is_floating_point()}
    dtype = backbone.model.dtype
    return {
        name: value.to(backbone.device, dtype) if name in floats else value.to(backbone.device)
        for name, value in inputs.items()
    }


@torch.inference_mode()
def last_row(model: PreTrainedModel, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """(1, vocabulary) logits of the next token and (layers, T) mean attention of the last one."""
    output = model(**inputs, output_attentions=True, use_cache=False)
    return output.logits[:, -1], torch.stack([layer[0, :, -1].float().mean(0) for layer in output.attentions])


def extended(inputs: Mapping[str, Tensor], prefix: Sequence[int]) -> dict[str, Tensor]:
    """The same presentation with the first tokens of an answer behind the prompt."""
    more = torch.tensor([list(prefix)], device=inputs["input_ids"].device)
    behind = {"input_ids": more, "attention_mask": torch.ones_like(more)}
    behind |= {name: torch.zeros_like(more) for name in inputs if name.endswith(TOKEN_TYPES)}
    return {**inputs, **{name: torch.cat([inputs[name], behind[name]], 1) for name in behind if name in inputs}}


def _image_places(backbone: Backbone, inputs: dict[str, Tensor], n: int) -> Sequence[Tensor]:
    """The image tokens of each image; all images here have the same size, hence as many tokens."""
    places = (inputs["input_ids"][0] == backbone.image_token_id).nonzero().flatten()
    return places.view(n, -1).unbind()
