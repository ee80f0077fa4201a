"""Several prompts of one length side by side, with the images they show: what a forward pass takes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from lad.extraction.inputs import EncodedImage, join_features
from lad.extraction.prompt_tokens import Prompt


@dataclass(frozen=True)
class Batch:
    """Several prompts of one length side by side: nothing is padded, so that the fast causal kernels serve.

    Attributes:
        prompts: of one length and with the same number of candidates.
        images: the encoded images of all prompts, in order of appearance; none where candidates are texts.
    """

    prompts: tuple[Prompt, ...]
    images: tuple[EncodedImage, ...]

    @property
    def n(self) -> int:
        """Candidates of each prompt."""
        return self.prompts[0].n

    @cached_property
    def token_ids(self) -> Tensor:
        """(batch, T) int64."""
        return torch.stack([prompt.token_ids for prompt in self.prompts])

    @cached_property
    def segments(self) -> Tensor:
        """(batch, T) int64, as of `Prompt`."""
        return torch.stack([prompt.segments for prompt in self.prompts])

    def model_inputs(self, device: torch.device) -> dict[str, Any]:
        """Keyword arguments of a forward pass, with image features in place of pixels where images are shown.

        More than any one model takes: `lad.extraction.forward` passes on what its forward method names.
        """
        inputs = {name: value.to(device) for name, value in self.layout().items()}
        if not self.images:
            return inputs
        # An image that several prompts show is moved once.
        moved: dict[int, EncodedImage] = {}
        images = [moved.get(id(own)) or moved.setdefault(id(own), own.to(device)) for own in self.images]
        return {**inputs, "mm_encoder_outputs": {"image": join_features([image.features for image in images])}}

    def layout(self) -> dict[str, Tensor]:
        """Those arguments that say where the images lie and how large they are, on the CPU."""
        if not self.images:
            return {"input_ids": self.token_ids}
        image_tokens = (self.segments < self.n).to(torch.int32)
        geometry = {name: torch.cat([own.geometry[name] for own in self.images]) for name in self.images[0].geometry}
        return {
            "input_ids": self.token_ids,
            "mm_token_type_ids": image_tokens,
            **{name: torch.stack([prompt.types[name] for prompt in self.prompts]) for name in self.prompts[0].types},
            **geometry,
        }

    def row(self, k: int) -> "Batch":
        """The batch of prompt `k` (0-based) alone."""
        return Batch(self.prompts[k : k + 1], self.images[k * self.n : (k + 1) * self.n])


def collate(prompts: Sequence[Prompt], images: Iterable[Sequence[EncodedImage]] = ()) -> Batch:
    """One batch of prompts that have the same length and show the same number of candidates.

    Args:
        images: those of each prompt, where candidates are images.

    Raises:
        ValueError: lengths or numbers of candidates differ.
    """
    if len(lengths := {len(prompt.token_ids) for prompt in prompts}) > 1:
        raise ValueError(f"prompts of different lengths in one batch: {sorted(lengths)}; batches are not padded")
    if len(counts := {prompt.n for prompt in prompts}) > 1:
        raise ValueError(f"prompts with different numbers of candidates in one batch: {sorted(counts)}")
    return Batch(tuple(prompts), tuple(image for row in images for image in row))
