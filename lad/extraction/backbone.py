"""Load a multimodal LLM with its processor, ready for the read-out.

A backbone is any transformers model that uses the AttentionInterface and marks images with placeholder tokens.
Its language half runs with the read-out attention (`lad.extraction.readout`), everything else with SDPA.
"""

import functools
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedModel, ProcessorMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES, processor_class_from_name
from transformers.utils import logging as transformers_logging

from lad.extraction import readout

logger = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class BackboneError(ValueError):
    """A checkpoint that cannot be loaded or cannot be read out; the message says why."""


@dataclass(frozen=True)
class Backbone:
    """A model on its device, its processor, and what the pipeline needs to know about both.

    Attributes:
        image_size: every image is resized to this many pixels squared before the processor sees it (the paper:
            336); None leaves the size to the processor.
    """

    checkpoint: str
    revision: str | None
    model: PreTrainedModel
    processor: ProcessorMixin
    image_size: int | None = None

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)

    @property
    def image_token_id(self) -> int:
        return int(self.processor.image_token_id)

    @property
    def layers(self) -> int:
        return int(self.model.config.get_text_config().num_hidden_layers)

    @functools.cached_property
    def eos_token_ids(self) -> list[int]:
        """Tokens that end an answer; the first one is the end-of-sequence of appendix B."""
        ids = self.model.generation_config.eos_token_id
        if ids is None:
            ids = self.processor.tokenizer.eos_token_id
        return ids if isinstance(ids, list) else [ids]

    def describe(self) -> dict[str, Any]:
        """Facts about the model that belong into the signals' metadata."""
        return {
            "model": self.checkpoint,
            "revision": self.revision,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "attention": f"{readout.NAME} (sdpa)",
            "image_size": self.image_size,
            "generation_config": self.model.generation_config.to_diff_dict(),
        }


def load_backbone(
    checkpoint: str | Path,
    *,
    revision: str | None = None,
    dtype: str = "float32",
    device: str = "cpu",
    image_size: int | None = None,
) -> Backbone:
    """Load a checkpoint from a folder or the hub.

    Raises:
        BackboneError: unknown dtype, absent device, unreadable checkpoint, or an architecture without the
            AttentionInterface.
    """
    if dtype not in DTYPES:
        raise BackboneError(f"unknown dtype '{dtype}'; known: {', '.join(DTYPES)}")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise BackboneError(f"device '{device}' asked for, but torch sees no GPU; use device: cpu")
    transformers_logging.disable_progress_bar()
    try:
        processor = load_processor(checkpoint, **({"revision": revision} if revision else {}))
        model = AutoModelForImageTextToText.from_pretrained(
            checkpoint, dtype=DTYPES[dtype], device_map=None, **({"revision": revision} if revision else {})
        )
    except (OSError, ValueError) as error:
        where = "" if Path(checkpoint).is_dir() else " is no folder, and the hub gave none by that name"
        raise BackboneError(f"checkpoint {checkpoint}{where}: {str(error).splitlines()[0]}") from error
    model = model.to(device).eval().requires_grad_(False)
    readout.install(model)
    return Backbone(str(checkpoint), revision, model, processor, image_size)


def load_processor(checkpoint: str | Path, **options: Any) -> ProcessorMixin:
    """The checkpoint's processor without its video part.

    Stock processors of models that also take video (Qwen2.5-VL, InternVL ...) build a video processor, which needs
    torchvision. We show images only, so the class is narrowed to the attributes we use; everything else is the
    library's.

    Raises:
        BackboneError: if the model type has no processor for images and text.
    """
    config = AutoConfig.from_pretrained(checkpoint, **options)
    if config.model_type not in PROCESSOR_MAPPING_NAMES:
        raise BackboneError(f"checkpoint {checkpoint}: model type '{config.model_type}' has no multimodal processor")
    stock = processor_class_from_name(PROCESSOR_MAPPING_NAMES[config.model_type])
    attributes = [name for name in stock.get_attributes() if "video" not in name]
    images_only: Any = type(stock.__name__, (stock,), {"get_attributes": classmethod(lambda cls: attributes)})
    return images_only.from_pretrained(checkpoint, **options)
