"""From a presentation to what the model takes: prompt tokens, the segment of each token, image features.

An image is decoded, preprocessed and sent through the vision tower once, whatever the number of presentations that
show it; a question's text is tokenised once per sequence of image sizes. Both give exactly what the processor and the
model would give for the presentation as a whole (tests compare them).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from lad.extraction.backbone import Backbone
from lad.extraction.prompts import Probe

FEATURE_BATCH = 32


class InputError(ValueError):
    """An image that cannot be shown; the message names the file."""


@dataclass(frozen=True)
class EncodedImage:
    """One image, seen by the vision tower.

    Attributes:
        placeholder: the text that stands for the image in the prompt, `<|image_pad|><|image_pad|>...`.
        geometry: what the language half needs beside the features, (1, ...) each: `image_grid_thw`, say.
        features: (tokens, hidden).
    """

    placeholder: str
    geometry: dict[str, Tensor]
    features: Tensor


@dataclass(frozen=True)
class Prompt:
    """Tokens of one presentation.

    Attributes:
        token_ids: (T,) int64.
        segments: (T,) int64; k for the tokens of the image at position k (0-based), N + k for its delimiters, 2N else.
        image_tokens: (N,) tokens of each image.
    """

    token_ids: Tensor
    segments: Tensor
    image_tokens: tuple[int, ...]


def open_image(path: Path, size: int | None) -> Image.Image:
    """The picture as a viewer would show it: EXIF rotation applied, RGB; resized to `size` x `size` (bicubic).

    Raises:
        InputError: missing, truncated or not an image.
    """
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file).convert("RGB")
    except FileNotFoundError:
        raise InputError(f"{path}: image missing") from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"{path}: cannot be decoded ({error})") from None
    return picture if size is None else picture.resize((size, size), Image.Resampling.BICUBIC)


def encode_images(backbone: Backbone, paths: Mapping[int, Path]) -> dict[int, EncodedImage]:
    """Every image of `paths` (image id -> file) through preprocessing and the vision tower, in batches."""
    encoded: dict[int, EncodedImage] = {}
    ids = list(paths)
    for start in range(0, len(ids), FEATURE_BATCH):
        batch = ids[start : start + FEATURE_BATCH]
        prepared = [_preprocess(backbone, paths[image_id]) for image_id in batch]
        inputs = {name: torch.cat([pixels[name] for _, pixels in prepared]) for name in prepared[0][1]}
        with torch.inference_mode():
            output = backbone.model.get_image_features(
                **{name: value.to(backbone.device) for name, value in inputs.items()}, return_dict=True
            )
        for (placeholder, pixels), image_id, features in zip(prepared, batch, output.pooler_output, strict=True):
            geometry = {name: value for name, value in pixels.items() if name != "pixel_values"}
            encoded[image_id] = EncodedImage(placeholder, geometry, features)
    return encoded


def _preprocess(backbone: Backbone, path: Path) -> tuple[str, dict[str, Tensor]]:
    picture = open_image(path, backbone.image_size)
    # The processor's own two steps for images, without its third (tokenising the text around them).
    pixels, (placeholder,) = backbone.processor._process_images([picture], return_tensors="pt")
    return placeholder, dict(pixels)


class PromptBuilder:
    """Builds the prompts of one probe; remembers those it has built."""

    def __init__(self, backbone: Backbone, probe: Probe) -> None:
        self.backbone = backbone
        self.probe = probe
        self._built: dict[tuple[str, tuple[str, ...]], Prompt] = {}

    def __call__(self, caption: str, images: Sequence[EncodedImage]) -> Prompt:
        """The prompt that shows `images` in this order and then asks for `caption`."""
        key = (caption, tuple(image.placeholder for image in images))
        if key not in self._built:
            self._built[key] = self._build(*key)
        return self._built[key]

    def _build(self, caption: str, placeholders: tuple[str, ...]) -> Prompt:
        processor = self.backbone.processor
        content: list[dict[str, Any]] = [{"type": "image"}] * len(placeholders)
        content = [*content, {"type": "text", "text": self.probe.text(len(placeholders), caption)}]
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        (text,), _ = processor.get_text_with_replacements([text], list(placeholders))
        token_ids = torch.tensor(processor.tokenizer(text)["input_ids"])
        counts = tuple(self._image_token_count(placeholder) for placeholder in placeholders)
        return Prompt(token_ids, self._segments(token_ids, counts), counts)

    def _image_token_count(self, placeholder: str) -> int:
        ids: list[int] = self.backbone.processor.tokenizer(placeholder, add_special_tokens=False)["input_ids"]
        return ids.count(self.backbone.image_token_id)

    def _segments(self, token_ids: Tensor, counts: Sequence[int]) -> Tensor:
        """Image tokens belong to the images in order; the special token on either side of an image delimits it."""
        n = len(counts)
        ids = token_ids.numpy()
        (places,) = np.nonzero(ids == self.backbone.image_token_id)
        if len(places) != sum(counts):
            raise InputError(f"the prompt has {len(places)} image tokens, its {n} images have {sum(counts)}")
        segments = np.full(len(ids), 2 * n, dtype=np.int64)
        special = set(self.backbone.processor.tokenizer.all_special_ids) - {self.backbone.image_token_id}
        for k, own in enumerate(np.split(places, np.cumsum(counts)[:-1])):
            segments[own] = k
            for beside in (own[0] - 1, own[-1] + 1):
                if int(ids[beside]) in special:
                    segments[beside] = n + k
        return torch.from_numpy(segments)


@dataclass(frozen=True)
class Batch:
    """Several prompts side by side, padded on the left where their lengths differ.

    Attributes:
        token_ids, segments: (batch, T).
        attention_mask: (batch, T), or None where nothing is padded, so that the fast causal kernels serve.
        images: the encoded images of all prompts, in order of appearance.
    """

    token_ids: Tensor
    segments: Tensor
    attention_mask: Tensor | None
    images: tuple[EncodedImage, ...]
    n: int

    def model_inputs(self, device: torch.device) -> dict[str, Any]:
        """Keyword arguments of the model's forward, with image features in place of pixels."""
        image_tokens = (self.segments < self.n).to(torch.int32)
        inputs: dict[str, Any] = {
            "input_ids": self.token_ids.to(device),
            "attention_mask": None if self.attention_mask is None else self.attention_mask.to(device),
            "mm_token_type_ids": image_tokens.to(device),
            "mm_encoder_outputs": {
                "image": BaseModelOutputWithPooling(pooler_output=tuple(image.features for image in self.images))
            },
        }
        for name in self.images[0].geometry:
            inputs[name] = torch.cat([image.geometry[name] for image in self.images]).to(device)
        return inputs


def collate(prompts: Sequence[Prompt], images: Iterable[Sequence[EncodedImage]], pad_token_id: int) -> Batch:
    """One batch of prompts that all show the same number of images."""
    n = len(prompts[0].image_tokens)
    lengths = [len(prompt.token_ids) for prompt in prompts]
    longest = max(lengths)
    token_ids = torch.full((len(prompts), longest), pad_token_id)
    segments = torch.full((len(prompts), longest), 2 * n)
    mask = torch.zeros((len(prompts), longest), dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        token_ids[row, longest - lengths[row] :] = prompt.token_ids
        segments[row, longest - lengths[row] :] = prompt.segments
        mask[row, longest - lengths[row] :] = 1
    shown = tuple(image for row in images for image in row)
    return Batch(token_ids, segments, None if mask.all() else mask, shown, n)
