"""From an image file to what the model takes of it: pixels, the place it takes in a prompt, features.

An image is decoded, preprocessed and sent through the vision tower once, whatever the number of presentations that
show it. That gives exactly what the processor and the model would give for the presentation as a whole (tests compare
them, for every architecture).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import ModelOutput

from lad.extraction.backbone import Backbone, BackboneError
from lad.pictures import PictureError, read_picture, shown_size
from lad.refusal import Refusal

_PER_IMAGE: Final = "pooler_output"
_PER_LAYER: Final = "deepstack_features"
_PER_MODEL: Final = "visual_indicator_features"
_UNUSED: Final = (
    *("last_hidden_state", "hidden_states", "attentions"),
    # Of images as words of a codebook (Chameleon, Emu 3), whose embeddings are what the language half takes.
    *("image_tokens", "quantized_last_hidden_state", "embedding_loss"),
)
"""Parts of the vision tower's output: those that the language half takes, and those that only take memory.

`_PER_MODEL` is the same for all images (what Ovis 2 puts between their tiles).
"""


class InputError(Refusal):
    """An image that cannot be shown; the message names the file, `path`."""

    def __init__(self, message: str, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True)
class PreparedImage:
    """One image, decoded and preprocessed.

    Attributes:
        placeholder: the text that stands for the image in the prompt, `<|image_pad|><|image_pad|>...`.
        tensors: what the vision tower takes, (1 or more, ...) each: `pixel_values`, `image_grid_thw` ...
    """

    placeholder: str
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class EncodedImage:
    """One image, seen by the vision tower.

    Attributes:
        placeholder: as of `PreparedImage`.
        geometry: what the language half needs beside the features, (1, ...) each: `image_grid_thw`, say. Always on the
            CPU: the layout of a prompt is worked out there.
        features: the output of the model's `get_image_features` for this image alone, as far as the language half
            takes it: `pooler_output`, and `deepstack_features` where the model has them.
    """

    placeholder: str
    geometry: dict[str, Tensor]
    features: ModelOutput

    def to(self, device: torch.device | str) -> "EncodedImage":
        device = torch.device(device)
        # Building the output anew takes longer than finding out that it can stay.
        if all(own.device == device for own in _tensors(self.features.values())):
            return self
        return replace(self, features=_each_tensor(self.features, lambda own: own.to(device)))

    @property
    def nbytes(self) -> int:
        """Bytes that the image takes in memory."""
        return sum(tensor.nbytes for tensor in _tensors([*self.geometry.values(), *self.features.values()]))


def open_image(path: Path, size: int | None) -> Image.Image:
    """The picture as a viewer would show it (see `lad.pictures`), resized to `size` x `size` (bicubic).

    Raises:
        InputError: missing, damaged or not an image.
    """
    try:
        picture = read_picture(path)
    except PictureError as error:
        raise InputError(str(error), path) from None
    return picture if size is None else picture.resize((size, size), Image.Resampling.BICUBIC)


def picture_size(path: Path, size: int | None) -> tuple[int, int]:
    """(width, height) of what `open_image` would give, from the file's header.

    Raises:
        InputError: missing or not an image.
    """
    try:
        shown = shown_size(path)
    except PictureError as error:
        raise InputError(str(error), path) from None
    return shown if size is None else (size, size)


def prepare(backbone: Backbone, path: Path) -> PreparedImage:
    """Decode and preprocess one image, on the CPU; several threads may do so at once.

    Raises:
        InputError: missing, truncated or not an image.
    """
    return _process(backbone, open_image(path, backbone.image_size))


def placeholder(backbone: Backbone, size: tuple[int, int]) -> str:
    """The text that stands in the prompt for a picture of that (width, height)."""
    if size not in backbone.placeholders:
        backbone.placeholders[size] = _process(backbone, Image.new("RGB", size)).placeholder
    return backbone.placeholders[size]


def placeholder_of(backbone: Backbone, path: Path) -> str:
    """The text that stands in the prompt for the picture in a file, of which only the header is read.

    Raises:
        InputError: missing, not an image, or of proportions that the processor refuses.
    """
    width, height = picture_size(path, backbone.image_size)
    try:
        return placeholder(backbone, (width, height))
    except ValueError as error:
        raise InputError(
            f"{path}: the processor takes no picture of {width} x {height} pixels ({error})", path
        ) from None


def _process(backbone: Backbone, picture: Image.Image) -> PreparedImage:
    """One picture as the processor shows it in a presentation, that is, among others."""
    copies = 2 if backbone.differs_in_company else 1
    processed = backbone.process([picture] * copies)
    tensors = {name: value.chunk(copies)[0] for name, value in processed.tensors.items()}
    return PreparedImage(processed.placeholders[0], tensors)


@torch.inference_mode()
def encode(backbone: Backbone, prepared: Sequence[PreparedImage]) -> list[EncodedImage]:
    """The images through the vision tower, those of one shape side by side. How many at once is up to the caller.

    Raises:
        BackboneError: the vision tower's output has parts that cannot be told apart by image.
    """
    alike: dict[Any, list[int]] = {}
    for index, image in enumerate(prepared):
        alike.setdefault(tuple((name, value.shape) for name, value in image.tensors.items()), []).append(index)
    encoded: dict[int, EncodedImage] = {}
    for members in alike.values():
        features = _image_features(backbone, [prepared[index].tensors for index in members])
        for index, own in zip(members, _split_features(features, len(members)), strict=True):
            geometry = {n: v for n, v in prepared[index].tensors.items() if not n.startswith("pixel")}
            encoded[index] = EncodedImage(prepared[index].placeholder, geometry, own)
    return [encoded[index] for index in range(len(prepared))]


def _image_features(backbone: Backbone, images: Sequence[dict[str, Tensor]]) -> ModelOutput:
    accepted = backbone.vision_arguments
    inputs = {name: torch.cat([image[name] for image in images]) for name in images[0] if name in accepted}
    output = backbone.image_encoder.get_image_features(
        **{
            name: value.to(backbone.device, backbone.model.dtype if value.is_floating_point() else None)
            for name, value in inputs.items()
        },
        return_dict=True,
    )
    # transformers 5.17 hangs them on outputs that have no such field (Idefics 3, Gemma 4 ...): no copy would take them.
    hung_on = getattr(output, _PER_IMAGE, None)
    return output if _PER_IMAGE in output or hung_on is None else BaseModelOutputWithPooling(pooler_output=hung_on)


def _split_features(features: ModelOutput, n: int) -> list[ModelOutput]:
    """The output for `n` images of one shape as `n` outputs for one image each, which share no memory."""
    if unknown := features.keys() - {_PER_IMAGE, _PER_LAYER, _PER_MODEL, *_UNUSED}:
        raise BackboneError(
            f"{type(features).__name__} has {', '.join(sorted(unknown))}, which cannot be told apart by image"
        )
    parts: list[dict[str, Any]] = [{} for _ in range(n)]
    if _PER_IMAGE in features:
        for part, own in zip(parts, _split(features[_PER_IMAGE], n), strict=True):
            part[_PER_IMAGE] = own
    if _PER_LAYER in features:
        layers = [_split_layer(layer, n) for layer in features[_PER_LAYER]]
        for part, own_layers in zip(parts, zip(*layers, strict=True), strict=True):
            part[_PER_LAYER] = list(own_layers)
    if _PER_MODEL in features:
        for part in parts:
            part[_PER_MODEL] = features[_PER_MODEL]
    return [type(features)(**part) for part in parts]


def _split_layer(layer: Any, n: int) -> list[Any]:
    """As `_split`; Granite 4 names the layer that takes the features: (layer, features)."""
    if isinstance(layer, tuple) and isinstance(layer[0], int):
        return [(layer[0], own) for own in _split(layer[1], n)]
    return list(_split(layer, n))


def _split(value: Tensor | Sequence[Tensor], n: int) -> list[Tensor] | list[tuple[Tensor]]:
    """One tensor for all images, or a tensor for each: whichever it is, it stays so for one image."""
    if isinstance(value, Tensor):
        return [own.clone() for own in value.chunk(n)]
    return [(own.clone(),) for own in value]


def join_features(features: Sequence[ModelOutput]) -> ModelOutput:
    """The outputs for one image each as one output for all of them."""
    first = features[0]
    parts: dict[str, Any] = {}
    if _PER_IMAGE in first:
        parts[_PER_IMAGE] = _join([own[_PER_IMAGE] for own in features])
    if _PER_LAYER in first:
        layers = zip(*(own[_PER_LAYER] for own in features), strict=True)
        parts[_PER_LAYER] = [_join_layer(layer) for layer in layers]
    if _PER_MODEL in first:
        parts[_PER_MODEL] = first[_PER_MODEL]
    return type(first)(**parts)


def _join_layer(values: Sequence[Any]) -> Any:
    if isinstance(values[0], tuple) and isinstance(values[0][0], int):
        return values[0][0], _join([own for _, own in values])
    return _join(values)


def _join(values: Sequence[Any]) -> Tensor | tuple[Tensor, ...]:
    if isinstance(values[0], Tensor):
        return torch.cat(tuple(values))
    return tuple(own for value in values for own in value)


def _each_tensor(features: ModelOutput, change: Callable[[Tensor], Tensor]) -> ModelOutput:
    def changed(value: Any) -> Any:
        if isinstance(value, int):
            return value
        return change(value) if isinstance(value, Tensor) else type(value)(changed(own) for own in value)

    return type(features)(**{name: changed(value) for name, value in features.items()})


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif not isinstance(value, int):
        for own in value:
            yield from _tensors(own)
