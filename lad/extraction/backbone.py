"""Load an LLM, multimodal or not, with its processor, ready for the read-out.

A backbone is any transformers model that uses the AttentionInterface. One that takes images marks them with placeholder
tokens; one that takes texts alone is a causal language model, from a folder, the hub or a GGUF file. The language half
runs with the read-out attention (`lad.extraction.readout`), everything else as it was loaded. What cannot be read out
is refused here, before any image is opened, with the reason.
"""

import contextvars
import functools
import hashlib
import importlib.metadata
import inspect
import logging
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)
from transformers.utils import is_torchvision_available
from transformers.utils import logging as transformers_logging

import lad.backbones  # noqa: F401 (registers LLaVA-OneVision-1.5 with transformers' Auto classes)
from lad.extraction import readout
from lad.extraction.checkpoint import BackboneError as BackboneError
from lad.extraction.checkpoint import (
    refuse_other_attention,
    refuse_too_little_memory,
    refuse_wrong_architecture,
    source_of,
    takes_images,
)
from lad.extraction.processor import ProcessorOption as ProcessorOption
from lad.extraction.processor import load_processor as load_processor

logger = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

_OF_A_BROKEN_GGUF = (KeyError, IndexError, TypeError, AttributeError, struct.error, UnicodeDecodeError)
"""What reading a damaged GGUF file may end in, besides what any checkpoint may."""
_WITHOUT_ATTENTION = frozenset({"linear_attention", "mamba", "conv", "moe", "mlp"})
"""Kinds of layers, by their name in a configuration, that have no softmax attention to read."""
TEXT_INPUTS = ("input_ids", "attention_mask", "labels", "text_replacement_offsets")
"""What processors say of the text of a prompt, besides the types of its tokens."""
TOKEN_TYPES = "token_type_ids"
"""How the names end of what processors say of every token: `token_type_ids`, `mm_token_type_ids` ..."""


@dataclass(frozen=True)
class ProcessedPictures:
    """What the processor makes of pictures.

    Attributes:
        placeholders: for each picture, the text that stands for it in the prompt.
        tensors: what the vision tower takes, all pictures together: `pixel_values`, `image_grid_thw` ...
    """

    placeholders: list[str]
    tensors: dict[str, Tensor]

    @property
    def pixels(self) -> int:
        """How many pixel values the vision tower gets."""
        return sum(value.numel() for name, value in self.tensors.items() if name.startswith("pixel_values"))


@dataclass(frozen=True)
class Backbone:
    """A model on its device, its processor, and what the pipeline needs to know about both.

    Attributes:
        processor: of a model that takes texts alone its tokenizer.
        image_size: every image is resized to this many pixels squared before the processor sees it (the paper:
            336); None leaves the size to the processor.
        processor_options: settings of the image processor that differ from the checkpoint's.
        placeholders: the texts that stand for pictures in a prompt, by (width, height), as far as they are known.
    """

    checkpoint: str
    revision: str | None
    model: PreTrainedModel
    processor: ProcessorMixin | PreTrainedTokenizerBase
    image_size: int | None = None
    processor_options: dict[str, ProcessorOption] = field(default_factory=dict)
    placeholders: dict[tuple[int, int], str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer if self.takes_images else self.processor

    @property
    def takes_images(self) -> bool:
        return isinstance(self.processor, ProcessorMixin)

    @property
    def image_token_id(self) -> int:
        """The token whose embedding the model replaces by image features.

        The model's, not the processor's: of Gemma 3's processor it is the token that begins an image.
        """
        return int(self.model.config.image_token_id)

    @property
    def layers(self) -> int:
        return int(self.model.config.get_text_config().num_hidden_layers)

    @functools.cached_property
    def trial(self) -> readout.Trial:
        """What forward passes of two tokens tell."""
        # In a context of its own: it may be asked for while something else is being read.
        return contextvars.Context().run(readout.try_out, self.model, self.eos_token_ids[0])

    @property
    def read_layers(self) -> tuple[int, ...]:
        """The layers whose attention is read, ascending, from 0: all, but of a hybrid model those that have softmax
        attention.
        """
        return tuple(self.trial.heads)

    @property
    def is_hybrid(self) -> bool:
        """Whether some layers have no softmax attention."""
        return len(self.read_layers) < self.layers

    @property
    def context_window(self) -> int | None:
        """Tokens that the model was made for; None where its configuration does not say."""
        most = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return None if most is None else int(most)

    @property
    def placeholder_token(self) -> str:
        """What a chat template writes for an image and the processor replaces: its image token, but for Qianfan-OCR."""
        return str(getattr(self.processor, "image_placeholder_token", self.processor.image_token))

    @functools.cached_property
    def eos_token_ids(self) -> list[int]:
        """Tokens that end an answer; the first one is the end-of-sequence of appendix B."""
        ids = self.model.generation_config.eos_token_id
        if ids is None:
            ids = self.tokenizer.eos_token_id
        return ids if isinstance(ids, list) else [ids]

    @functools.cached_property
    def forward_arguments(self) -> frozenset[str]:
        """Names of the arguments of the model's forward method."""
        return frozenset(inspect.signature(self.model.forward).parameters)

    @property
    def image_encoder(self) -> Any:
        """The part of the model that has `get_image_features`: in some families only the one below the LM head."""
        return self.model if hasattr(self.model, "get_image_features") else self.model.base_model

    @functools.cached_property
    def vision_arguments(self) -> frozenset[str]:
        """Names of the arguments of the model's `get_image_features`, those that it hands on unnamed among them."""
        owners = [self.image_encoder]
        if "kwargs" in inspect.signature(self.image_encoder.get_image_features).parameters:
            owners += [self.model.base_model] if hasattr(self.model.base_model, "get_image_features") else []
        return frozenset(name for owner in owners for name in inspect.signature(owner.get_image_features).parameters)

    @functools.cached_property
    def position_arguments(self) -> frozenset[str]:
        """Names of the arguments of `get_rope_index`, which models with three-dimensional positions have; else none."""
        work_out = getattr(self.model.base_model, "get_rope_index", None)
        return frozenset(inspect.signature(work_out).parameters) if work_out else frozenset()

    @functools.cached_property
    def delimiter_token_ids(self) -> frozenset[int]:
        """Special tokens other than the image token: those beside an image delimit it."""
        tokenizer = self.tokenizer
        added = {token_id for token_id, token in tokenizer.added_tokens_decoder.items() if token.special}
        return frozenset(added.union(tokenizer.all_special_ids) - {self.image_token_id})

    @functools.cached_property
    def differs_in_company(self) -> bool:
        """Whether the processor shows a picture otherwise when the prompt has others.

        LLaVA-OneVision cuts a lone picture into tiles and shows one of several whole. Tried with a wide picture: a
        square one may have one tile either way.
        """
        picture = Image.new("RGB", (640, 320))
        alone, together = self.process([picture]), self.process([picture, picture])
        return together.placeholders != 2 * alone.placeholders or together.pixels != 2 * alone.pixels

    def process(self, pictures: Sequence[Image.Image]) -> ProcessedPictures:
        """The processor's work on the pictures of one prompt; safe to call from several threads.

        Raises:
            BackboneError: the processor does not tell what it writes for each picture.
        """
        output = self.processor(
            text=[self.placeholder_token * len(pictures)],
            images=[list(pictures)],
            return_text_replacement_offsets=True,
            return_tensors="pt",
        )
        expansions = output.get("text_replacement_offsets", [[]])[0]
        if len(expansions) != len(pictures):
            raise BackboneError(
                f"checkpoint {self.checkpoint}: {type(self.processor).__name__} does not tell what it writes for an"
                " image; use a model whose processor expands image tokens as transformers' ProcessorMixin does"
            )
        placeholders = [expansion["replacement"] for expansion in expansions]
        tensors = {n: v for n, v in output.items() if n not in TEXT_INPUTS and not n.endswith(TOKEN_TYPES)}
        return ProcessedPictures(placeholders, tensors)

    @functools.cached_property
    def weights(self) -> str | None:
        """What tells these weights from others of the same name: the hub's commit, or sizes and times of the files."""
        local = Path(self.checkpoint)
        if not local.exists():
            return getattr(self.model.config, "_commit_hash", None)
        files = sorted(local.iterdir()) if local.is_dir() else [local]
        facts = [(file.name, (state := file.stat()).st_size, state.st_mtime_ns) for file in files]
        return hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest()

    def describe(self) -> dict[str, Any]:
        """Facts about the model that belong into the signals' metadata."""
        # Only where there are any: finished work of before keeps its recipe.
        options: dict[str, Any] = {"processor_options": self.processor_options} if self.processor_options else {}
        if self.is_hybrid:
            options["read_layers"] = list(self.read_layers)
        return {
            **options,
            "model": self.checkpoint,
            "revision": self.revision,
            "weights": self.weights,
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
    processor_options: Mapping[str, ProcessorOption] | None = None,
) -> Backbone:
    """Load a checkpoint from a folder, a GGUF file or the hub.

    Args:
        processor_options: settings of the image processor, such as `max_patches: 1` (one tile per image) for InternVL.

    Raises:
        BackboneError: unknown dtype, absent device, unreadable or incomplete checkpoint, too little memory, unknown
            processor option, or a model that cannot be read out: no processor, no image tokens in its sequence, no
            chat template, or attention that is not transformers' AttentionInterface.
    """
    if dtype not in DTYPES:
        raise BackboneError(f"unknown dtype '{dtype}'; known: {', '.join(DTYPES)}")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise BackboneError(f"device '{device}' asked for, but torch sees no GPU; use device: cpu")
    forbid_tf32()
    transformers_logging.disable_progress_bar()
    options = {"revision": revision} if revision else {}
    source, packed = source_of(checkpoint)
    # Code that lies beside weights is never run, and not asked about either.
    trusted = {**options, **packed, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(source, **trusted)
        refuse_other_attention(checkpoint, config)
        with_images = takes_images(config)
        if with_images:
            processor = load_processor(source, processor_options, **trusted)
        else:
            _refuse_settings_of_images(checkpoint, config, image_size, processor_options)
            processor = AutoTokenizer.from_pretrained(source, **trusted)
        refuse_wrong_architecture(checkpoint, config)
        refuse_too_little_memory(checkpoint, config, DTYPES[dtype], device, **options)
        kind = AutoModelForImageTextToText if with_images else AutoModelForCausalLM
        model, loading = kind.from_pretrained(
            source,
            dtype=DTYPES[dtype],
            device_map=None,
            output_loading_info=True,
            # Reported below, with names, instead of as a RuntimeError with a table.
            ignore_mismatched_sizes=True,
            **trusted,
        )
    except BackboneError:
        raise
    except (OSError, ValueError, ImportError, SafetensorError, *_OF_A_BROKEN_GGUF) as error:
        if packed:
            raise BackboneError(
                f"checkpoint {checkpoint}: transformers cannot read this GGUF file ({_first_line(error)})"
            ) from error
        where = "" if Path(checkpoint).is_dir() else " is no folder, and the hub gave none by that name"
        raise BackboneError(f"checkpoint {checkpoint}{where}: {_first_line(error)}") from error
    _refuse_random_weights(checkpoint, loading)
    model = model.to(device).eval().requires_grad_(False)
    backbone = Backbone(str(checkpoint), revision, model, processor, image_size, dict(processor_options or {}))
    if with_images:
        _refuse_without_image_tokens(backbone)
    _refuse_without_chat_template(backbone)
    _refuse_without_readout(backbone)
    return backbone


def forbid_tf32() -> None:
    """Let float32 be float32 on a GPU.

    torch convolves in TF32 there unless told otherwise, with 10 bits in place of 23, and vision towers embed patches by
    a convolution. Matrix products are exact by default, but for containers that set it otherwise.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def library_versions() -> dict[str, str]:
    """Of the libraries that make numbers of files and prompts: decoding and resizing, tokens, the model, arithmetic.

    Where torchvision is installed, transformers resizes by it in place of Pillow: pixels differ by a step of 255 or so,
    and finished work of either kind is not the other's.
    """
    names = ["pillow", "tokenizers", "torch", "transformers"]
    if is_torchvision_available():
        names.append("torchvision")
    return {name: importlib.metadata.version(name) for name in names}


def _refuse_random_weights(checkpoint: str | Path, loading: Mapping[str, Any]) -> None:
    """Weights that transformers does not find it makes random, with a warning; signals of such weights are noise.

    Raises:
        BackboneError: tensors are missing or have another shape; the message names them.
    """
    wrong = [f"{name} {tuple(found)} instead of {tuple(needed)}" for name, found, needed in loading["mismatched_keys"]]
    faults = {"have another shape": wrong, "are missing": loading["missing_keys"]}
    for fault, names in faults.items():
        if names:
            raise BackboneError(
                f"checkpoint {checkpoint}: {len(names)} tensors {fault} ({', '.join(sorted(names)[:5])}"
                f"{' ...' if len(names) > 5 else ''}); weights and config.json are not of one checkpoint"
            )


def _refuse_without_image_tokens(backbone: Backbone) -> None:
    """The read-out sums attention over the tokens of an image: there must be such tokens.

    Raises:
        BackboneError: the model shows images in another way, or its processor does not mark them.
    """
    model, processor = backbone.model, backbone.processor
    where = f"checkpoint {backbone.checkpoint}: {type(model).__name__}"
    text = model.config.get_text_config()
    if getattr(text, "cross_attention_layers", None):
        raise BackboneError(
            f"{where} shows images by cross-attention, not as tokens of its sequence, so that attention to an image"
            " cannot be read; use a model with image tokens (Qwen2.5-VL, InternVL, LLaVA ...)"
        )
    if not hasattr(backbone.image_encoder, "get_image_features"):
        raise BackboneError(
            f"{where} has no get_image_features, so that images cannot be encoded on their own; use a model with image"
            " tokens (Qwen2.5-VL, InternVL, LLaVA ...)"
        )
    if getattr(processor, "image_token", None) is None or getattr(model.config, "image_token_id", None) is None:
        raise BackboneError(
            f"{where} or its {type(processor).__name__} names no image token; use a checkpoint whose processor marks"
            " images with placeholder tokens"
        )
    try:
        (placeholder,) = backbone.process([Image.new("RGB", (64, 64))]).placeholders
    except BackboneError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BackboneError(
            f"{where}: {type(processor).__name__} cannot show a single image: {_first_line(error)}; use a checkpoint"
            " with transformers' own processor"
        ) from error
    if backbone.image_token_id not in processor.tokenizer(placeholder, add_special_tokens=False)["input_ids"]:
        raise BackboneError(
            f"{where} expects image token {backbone.image_token_id}, which {type(processor).__name__} does not write"
            f" for an image ({placeholder[:60]!r}); processor and model are not of one checkpoint"
        )


def _refuse_settings_of_images(
    checkpoint: str | Path,
    config: PreTrainedConfig,
    image_size: int | None,
    processor_options: Mapping[str, ProcessorOption] | None,
) -> None:
    if image_size is not None or processor_options:
        raise BackboneError(
            f"checkpoint {checkpoint}: a model of type '{config.model_type}' takes no images; leave image_size and"
            " processor options out"
        )


def _refuse_without_chat_template(backbone: Backbone) -> None:
    if not backbone.processor.chat_template:
        raise BackboneError(
            f"checkpoint {backbone.checkpoint}: {type(backbone.model).__name__} has no chat template to ask with; use"
            " an instruction-tuned checkpoint"
        )


def _refuse_without_readout(backbone: Backbone) -> None:
    """Every layer of the language half must pass through the read-out, or have no softmax attention by configuration.

    Raises:
        BackboneError: the model does not use the AttentionInterface, in all or some of the layers that have attention,
            or none of its layers has.
    """
    model = backbone.model
    where = f"checkpoint {backbone.checkpoint}: {type(model).__name__}"
    advice = "use one of transformers' own models with softmax attention"
    kinds = _kinds_of_layers(model.config.get_text_config())
    with_attention = {layer for layer in range(backbone.layers) if kinds.get(layer) not in _WITHOUT_ATTENTION}
    if not with_attention:
        raise BackboneError(f"{where}: no layer of its language half has softmax attention to be read; {advice}")
    try:
        readout.install(model)
        read = backbone.read_layers
    except (ValueError, TypeError, RuntimeError) as error:
        raise BackboneError(f"{where} cannot be read out: {_first_line(error)}; {advice}") from error
    if unread := sorted(with_attention.difference(read)):
        raise BackboneError(
            f"{where}: {len(unread)} of {backbone.layers} layers of its language half (first: {unread[0]}) do not use"
            f" transformers' AttentionInterface, so that their attention cannot be read; {advice}"
        )


def _kinds_of_layers(text: PreTrainedConfig) -> dict[int, str]:
    """What the configuration calls each layer; empty where it does not say."""
    named = getattr(text, "layer_types", None) or getattr(text, "layers_block_type", None) or ()
    return dict(enumerate(named))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
