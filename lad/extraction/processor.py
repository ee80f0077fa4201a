"""A checkpoint's processor, without its video part and with settings of the image processor that are asked for."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

from huggingface_hub.errors import StrictDataclassError
from PIL import Image
from transformers import AutoConfig, ProcessorMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES, processor_class_from_name

import lad.backbones  # noqa: F401 (registers LLaVA-OneVision-1.5 with transformers' Auto classes)
from lad.extraction.checkpoint import BackboneError

ProcessorOption = str | int | float | bool
"""Value of a setting of an image processor."""

_NOT_OPTIONS = frozenset({"return_tensors", "device", "data_format", "input_data_format", "disable_grouping"})
"""Arguments of image processors that say how they hand over their work, not what it is."""


def load_processor(
    checkpoint: str | Path, image_options: Mapping[str, ProcessorOption] | None = None, **options: Any
) -> ProcessorMixin:
    """The checkpoint's processor without its video part.

    Stock processors of models that also take video (Qwen2.5-VL, InternVL ...) build a video processor, which needs
    torchvision. We show images only, so the class is narrowed to the attributes we use; everything else is the
    library's.

    Args:
        image_options: settings of the image processor; they win over the checkpoint's and the processor's own.
        options: as of `from_pretrained`.

    Raises:
        BackboneError: if the model type has no processor for images and text, or its image processor has no such
            setting.
    """
    config = AutoConfig.from_pretrained(checkpoint, **options)
    if config.model_type not in PROCESSOR_MAPPING_NAMES:
        raise BackboneError(
            f"checkpoint {checkpoint}: model type '{config.model_type}' has no multimodal processor; a model that takes"
            " images and text is needed"
        )
    stock = processor_class_from_name(PROCESSOR_MAPPING_NAMES[config.model_type])
    attributes = stock.get_attributes()

    class ImagesOnly(stock):  # type: ignore[misc, valid-type]
        # SmolVLM asks for these two to write any prompt.
        video_processor = SimpleNamespace(num_frames=None, fps=None)
        loads: ClassVar[bool] = False

        @classmethod
        def get_attributes(cls) -> list[str]:
            return [name for name in attributes if not cls.loads or "video" not in name]

        @classmethod
        def _get_arguments_from_pretrained(cls, *args: Any, **kwargs: Any) -> list[Any]:
            cls.loads = True
            try:
                loaded = iter(super()._get_arguments_from_pretrained(*args, **kwargs))
            finally:
                cls.loads = False
            # In its place all the same: some processors (LLaVA-NeXT-Video) name their parts by their order.
            return [None if "video" in name else next(loaded) for name in attributes]

        def check_argument_for_proper_class(self, name: str, argument: Any) -> Any:
            return None if "video" in name else super().check_argument_for_proper_class(name, argument)

        # Some processors have defaults of their own (InternVL's cuts into tiles), which win over the image processor's
        # settings, but not over an argument.
        image_arguments: ClassVar[dict[str, ProcessorOption]] = {}

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            if self.image_arguments:
                kwargs["images_kwargs"] = self.image_arguments | kwargs.get("images_kwargs", {})
            return super().__call__(*args, **kwargs)

    ImagesOnly.__name__ = stock.__name__
    processor: ProcessorMixin = ImagesOnly.from_pretrained(checkpoint, **options)
    vars(processor).pop("video_processor", None)
    if image_options:
        ImagesOnly.image_arguments = _set_image_options(checkpoint, processor, image_options)
    return processor


def _set_image_options(
    checkpoint: str | Path, processor: ProcessorMixin, image_options: Mapping[str, ProcessorOption]
) -> dict[str, ProcessorOption]:
    """Make the image processor anew with these settings over its own.

    Returns:
        Those of them that it takes as arguments as well (not Qwen's `max_pixels`, which becomes a part of `size`).

    Raises:
        BackboneError: it has no such setting, or does not take this value.
    """
    stock = processor.image_processor
    known = set(type(stock).valid_kwargs.__annotations__) - _NOT_OPTIONS
    where = f"checkpoint {checkpoint}: {type(stock).__name__}"
    if unknown := sorted(set(image_options) - known):
        raise BackboneError(f"{where} has no processor option '{unknown[0]}'; it has {', '.join(sorted(known))}")
    try:
        processor.image_processor = type(stock)(**{**stock.to_dict(), **image_options})
        arguments = {name: value for name, value in image_options.items() if hasattr(processor.image_processor, name)}
        processor.image_processor([Image.new("RGB", (64, 64))], **arguments)
    except (ValueError, TypeError, StrictDataclassError) as error:
        told = " ".join(str(error).split())
        raise BackboneError(f"{where} cannot work with processor options {dict(image_options)}: {told}") from error
    return arguments
