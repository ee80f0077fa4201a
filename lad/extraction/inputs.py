"""From a presentation to what the model takes: prompt tokens, the segment of each token, image features.

An image is decoded, preprocessed and sent through the vision tower once, whatever the number of presentations that
show it; a question's text is tokenised once per sequence of image sizes. Both give exactly what the processor and the
model would give for the presentation as a whole (tests compare them, for every architecture).
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from transformers.utils import ModelOutput

from lad.extraction.backbone import Backbone, BackboneError
from lad.extraction.prompts import Probe
from lad.pictures import as_shown

_ORIENTATION: Final = 0x0112
_TURNED: Final = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""

_PER_IMAGE: Final = "pooler_output"
_PER_LAYER: Final = "deepstack_features"
_UNUSED: Final = ("last_hidden_state", "hidden_states", "attentions")
"""Parts of the vision tower's output: those that the language half takes, and those that only take memory."""


class InputError(ValueError):
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
        return replace(self, features=_each_tensor(self.features, lambda own: own.to(device)))

    @property
    def nbytes(self) -> int:
        """Bytes that the image takes in memory."""
        return sum(tensor.nbytes for tensor in _tensors([*self.geometry.values(), *self.features.values()]))


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
    """The picture as a viewer would show it (see `lad.pictures`), resized to `size` x `size` (bicubic).

    Raises:
        InputError: missing, truncated or not an image.
    """
    try:
        with Image.open(path) as file:
            picture = as_shown(file)
    except FileNotFoundError:
        raise InputError(f"{path}: image missing", path) from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"{path}: cannot be decoded ({error})", path) from None
    return picture if size is None else picture.resize((size, size), Image.Resampling.BICUBIC)


def picture_size(path: Path, size: int | None) -> tuple[int, int]:
    """(width, height) of what `open_image` would give, from the file's header.

    Raises:
        InputError: missing or not an image.
    """
    try:
        with Image.open(path) as file:
            width, height = file.size
            # A square turned is a square. (Of a PNG, Pillow decodes the whole file to look for its EXIF data.)
            turned = size is None and width != height and file.getexif().get(_ORIENTATION) in _TURNED
    except FileNotFoundError:
        raise InputError(f"{path}: image missing", path) from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"{path}: cannot be decoded ({error})", path) from None
    if size is not None:
        return size, size
    return (height, width) if turned else (width, height)


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
    return backbone.model.get_image_features(
        **{
            name: value.to(backbone.device, backbone.model.dtype if value.is_floating_point() else None)
            for name, value in inputs.items()
        },
        return_dict=True,
    )


def _split_features(features: ModelOutput, n: int) -> list[ModelOutput]:
    """The output for `n` images of one shape as `n` outputs for one image each, which share no memory."""
    if unknown := features.keys() - {_PER_IMAGE, _PER_LAYER, *_UNUSED}:
        raise BackboneError(
            f"{type(features).__name__} has {', '.join(sorted(unknown))}, which cannot be told apart by image"
        )
    parts: list[dict[str, Any]] = [{_PER_IMAGE: own} for own in _split(features[_PER_IMAGE], n)]
    if _PER_LAYER in features:
        layers = [_split(layer, n) for layer in features[_PER_LAYER]]
        for part, own in zip(parts, zip(*layers, strict=True), strict=True):
            part[_PER_LAYER] = list(own)
    return [type(features)(**part) for part in parts]


def _split(value: Tensor | Sequence[Tensor], n: int) -> list[Tensor] | list[tuple[Tensor]]:
    """One tensor for all images, or a tensor for each: whichever it is, it stays so for one image."""
    if isinstance(value, Tensor):
        return [own.clone() for own in value.chunk(n)]
    return [(own.clone(),) for own in value]


def join_features(features: Sequence[ModelOutput]) -> ModelOutput:
    """The outputs for one image each as one output for all of them."""
    parts: dict[str, Any] = {_PER_IMAGE: _join([own[_PER_IMAGE] for own in features])}
    if _PER_LAYER in features[0]:
        layers = zip(*(own[_PER_LAYER] for own in features), strict=True)
        parts[_PER_LAYER] = [_join(layer) for layer in layers]
    return type(features[0])(**parts)


def _join(values: Sequence[Any]) -> Tensor | tuple[Tensor, ...]:
    if isinstance(values[0], Tensor):
        return torch.cat(tuple(values))
    return tuple(own for value in values for own in value)


def _each_tensor(features: ModelOutput, change: Callable[[Tensor], Tensor]) -> ModelOutput:
    def changed(value: Any) -> Any:
        return change(value) if isinstance(value, Tensor) else type(value)(changed(own) for own in value)

    return type(features)(**{name: changed(value) for name, value in features.items()})


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    else:
        for own in value:
            yield from _tensors(own)


class PromptBuilder:
    """Builds the prompts of one probe; remembers those it has built.

    Raises:
        BackboneError: the processor itself would make another prompt of a whole presentation.
    """

    def __init__(self, backbone: Backbone, probe: Probe) -> None:
        self.backbone = backbone
        self.probe = probe
        self._built: dict[tuple[str, tuple[str, ...]], Prompt] = {}
        self._layouts: dict[str, _Layout] = {}
        self._refuse_other_prompts()

    def __call__(self, caption: str, placeholders: Sequence[str]) -> Prompt:
        """The prompt that shows images with these placeholders in this order and then asks for `caption`.

        Raises:
            InputError: the caption holds the processor's image token.
        """
        key = (caption, tuple(placeholders))
        if key not in self._built:
            self._built[key] = self._build(*key)
        return self._built[key]

    def _build(self, caption: str, placeholders: tuple[str, ...]) -> Prompt:
        processor, n = self.backbone.processor, len(placeholders)
        content = [*({"type": "image"} for _ in range(n)), {"type": "text", "text": self.probe.text(n, caption)}]
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        between = text.split(processor.image_token)
        if len(between) != n + 1:
            raise InputError(
                f"the prompt for caption {caption!r} has {len(between) - 1} image tokens {processor.image_token}, it"
                f" shows {n} images; neither caption nor chat template may write others"
            )
        text = between[0] + "".join(image + after for image, after in zip(placeholders, between[1:], strict=True))
        # As the processor itself does: a template that begins with the first special token writes all of them.
        bos = processor.tokenizer.bos_token
        plain = bos is not None and text.startswith(bos)
        token_ids = torch.tensor(processor.tokenizer(text, add_special_tokens=not plain)["input_ids"])
        layouts = [self._layout(image) for image in placeholders]
        segments = _segments(self.backbone, token_ids, layouts)
        return Prompt(token_ids, segments, tuple(layout.image_tokens for layout in layouts))

    def _refuse_other_prompts(self) -> None:
        """Try one prompt that shows two blank pictures: it must be the processor's own, token by token."""
        caption, square = "a picture", self.backbone.image_size
        pictures = [Image.new("RGB", (square, square) if square else size) for size in ((96, 64), (64, 96))]
        content = [{"type": "image", "image": picture} for picture in pictures]
        question = {"type": "text", "text": self.probe.text(len(pictures), caption)}
        whole = self.backbone.processor.apply_chat_template(
            [{"role": "user", "content": [*content, question]}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        prompt = self(caption, [placeholder(self.backbone, picture.size) for picture in pictures])
        if not prompt.token_ids.equal(whole["input_ids"][0]):
            raise BackboneError(
                f"checkpoint {self.backbone.checkpoint}: {type(self.backbone.processor).__name__} writes another prompt"
                " for two pictures together than for each on its own; its images cannot be prepared one by one"
            )

    def _layout(self, placeholder: str) -> "_Layout":
        if placeholder not in self._layouts:
            self._layouts[placeholder] = _layout(self.backbone, placeholder)
        return self._layouts[placeholder]


@dataclass(frozen=True)
class _Layout:
    """Tokens of what the processor writes for one image.

    Attributes:
        image_tokens: how many there are.
        before, after: how many special tokens stand directly before the first and after the last of them.
    """

    image_tokens: int
    before: int
    after: int


def _layout(backbone: Backbone, placeholder: str) -> _Layout:
    ids = backbone.processor.tokenizer(placeholder, add_special_tokens=False)["input_ids"]
    places = [place for place, token in enumerate(ids) if token == backbone.image_token_id]
    special = [token in backbone.delimiter_token_ids for token in ids]
    return _Layout(
        image_tokens=len(places),
        before=len(list(itertools.takewhile(bool, reversed(special[: places[0]])))),
        after=len(list(itertools.takewhile(bool, special[places[-1] + 1 :]))),
    )


def _segments(backbone: Backbone, token_ids: Tensor, layouts: Sequence[_Layout]) -> Tensor:
    """(T,) int64, as of `Prompt`: image tokens belong to the images in order, special tokens around them delimit them.

    Special tokens within an image (rows of tiles, say) count as its delimiters as well.
    """
    n, counts = len(layouts), [layout.image_tokens for layout in layouts]
    ids = token_ids.numpy()
    (places,) = np.nonzero(ids == backbone.image_token_id)
    if len(places) != sum(counts):
        raise InputError(f"the prompt has {len(places)} image tokens, its {n} images have {sum(counts)}")
    images = np.split(places, np.cumsum(counts)[:-1])
    special = np.isin(ids, list(backbone.delimiter_token_ids))
    margins = [(layout.before, layout.after) for layout in layouts]
    if not any(map(any, margins)):
        # The processor writes none. The chat template may: then all images have the same one on that side.
        beside = [own[0] - 1 for own in images], [own[-1] + 1 for own in images]
        template = tuple(int(special[side].all() and len(set(ids[side])) == 1) for side in beside)
        margins = [(template[0], template[1])] * n
    segments = np.full(len(ids), 2 * n, dtype=np.int64)
    for k, (own, (before, after)) in enumerate(zip(images, margins, strict=True)):
        extent = slice(own[0] - before, own[-1] + after + 1)
        segments[extent][special[extent]] = n + k
        segments[own] = k
    return torch.from_numpy(segments)


@dataclass(frozen=True)
class Batch:
    """Several prompts of one length side by side: nothing is padded, so that the fast causal kernels serve.

    Attributes:
        token_ids, segments: (batch, T).
        images: the encoded images of all prompts, in order of appearance.
        n: images of each prompt.
    """

    token_ids: Tensor
    segments: Tensor
    images: tuple[EncodedImage, ...]
    n: int

    def model_inputs(self, device: torch.device) -> dict[str, Any]:
        """Keyword arguments of a forward pass, with image features in place of pixels.

        More than any one model takes: `lad.extraction.forward` passes on what its forward method names.
        """
        # An image that several prompts show is moved once.
        moved: dict[int, EncodedImage] = {}
        images = [moved.get(id(own)) or moved.setdefault(id(own), own.to(device)) for own in self.images]
        return {
            **{name: value.to(device) for name, value in self.layout().items()},
            "mm_encoder_outputs": {"image": join_features([image.features for image in images])},
        }

    def layout(self) -> dict[str, Tensor]:
        """Those arguments that say where the images lie and how large they are, on the CPU."""
        image_tokens = (self.segments < self.n).to(torch.int32)
        geometry = {name: torch.cat([own.geometry[name] for own in self.images]) for name in self.images[0].geometry}
        return {
            "input_ids": self.token_ids,
            "mm_token_type_ids": image_tokens,
            "token_type_ids": image_tokens,
            **geometry,
        }

    def row(self, k: int) -> "Batch":
        """The batch of prompt `k` (0-based) alone."""
        images = self.images[k * self.n : (k + 1) * self.n]
        return Batch(self.token_ids[k : k + 1], self.segments[k : k + 1], images, self.n)


def collate(prompts: Sequence[Prompt], images: Iterable[Sequence[EncodedImage]]) -> Batch:
    """One batch of prompts that have the same length and show the same number of images.

    Raises:
        ValueError: lengths or numbers of images differ.
    """
    if len(lengths := {len(prompt.token_ids) for prompt in prompts}) > 1:
        raise ValueError(f"prompts of different lengths in one batch: {sorted(lengths)}; batches are not padded")
    if len(counts := {len(prompt.image_tokens) for prompt in prompts}) > 1:
        raise ValueError(f"prompts with different numbers of images in one batch: {sorted(counts)}")
    return Batch(
        token_ids=torch.stack([prompt.token_ids for prompt in prompts]),
        segments=torch.stack([prompt.segments for prompt in prompts]),
        images=tuple(image for row in images for image in row),
        n=counts.pop(),
    )
