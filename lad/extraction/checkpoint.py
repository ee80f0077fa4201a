"""What can be said of a checkpoint before its weights are read: its architecture, its files, whether memory suffices.

A model of 8 billion weights takes minutes to read and an hour to download. What is bound to fail is refused first, in
one line with the figures.
"""

import json
import math
from pathlib import Path
from typing import Any, Final

import torch
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, PreTrainedConfig
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file

from lad.extraction.main_memory import available_bytes
from lad.packaged import checkpoint_path
from lad.refusal import Refusal

_GIGABYTE: Final = 1e9
_OTHER_KINDS: Final = {
    "indexed_attention": "chooses tokens for every query (sparse attention)",
    "minimax_m3_sparse": "chooses tokens for every query (sparse attention)",
    "compressed_sparse_attention": "attends to several tokens at once (compressed attention)",
    "heavily_compressed_attention": "attends to several tokens at once (compressed attention)",
}
"""What layers of these kinds, by their name in a configuration, do that the read-out does not reproduce."""
_OWN_WAYS: Final = {
    "diffllama": "subtracts what one half of its heads attends to from what the other half does",
    "emu3": "pads the images of a prompt to one size before it encodes them, so that each depends on the others",
    "moshi": "lets every token see all before it, but keeps only the last of them to continue from",
    "paligemma": "lets all tokens of a prompt see each other, images the question too, and counts positions from 1",
}
"""Types of models that read images or prompts in ways that ours do not allow for, and which ways these are."""


class BackboneError(Refusal):
    """A checkpoint that cannot be loaded or cannot be read out; the message says why."""


def source_of(checkpoint: str | Path) -> tuple[str, dict[str, str]]:
    """What `from_pretrained` takes for a checkpoint: folder or hub id, and the file's name where it is a GGUF file.

    Raises:
        BackboneError: there is no such file.
        PackagedError: as of `checkpoint_path`.
    """
    file = Path(checkpoint_path(str(checkpoint)))
    if file.suffix != ".gguf":
        return str(checkpoint), {}
    if not file.is_file():
        raise BackboneError(f"checkpoint {checkpoint}: there is no such file")
    return str(file.parent), {"gguf_file": file.name}


def takes_images(config: PreTrainedConfig) -> bool:
    """Whether transformers knows models of this type that take images and write text."""
    return type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING


def refuse_wrong_architecture(checkpoint: str | Path, config: PreTrainedConfig) -> None:
    """A checkpoint must be of the model that would be loaded: one that takes text, perhaps images, and writes text.

    Raises:
        BackboneError: its model type has no such model, or its config.json names another architecture.
    """
    models = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING if takes_images(config) else MODEL_FOR_CAUSAL_LM_MAPPING
    kind = models.get(type(config), None)
    kinds = kind if isinstance(kind, tuple) else (kind,) if kind else ()
    loadable = [one.__name__ for one in kinds]
    named = config.architectures or loadable
    if not loadable:
        raise BackboneError(
            f"checkpoint {checkpoint}: model type '{config.model_type}' ({', '.join(named) or 'no architecture named'})"
            " writes no text; use a checkpoint of an LLM, for images of a multimodal one (Qwen2.5-VL, InternVL ...)"
        )
    if not set(named).intersection(loadable):
        raise BackboneError(
            f"checkpoint {checkpoint}: its config.json names architecture {', '.join(named)}; of model type"
            f" '{config.model_type}', {' or '.join(loadable)} is needed"
        )


def refuse_other_attention(checkpoint: str | Path, config: PreTrainedConfig) -> None:
    """What a configuration alone tells: attention that cannot be read as that of one causal sequence.

    Raises:
        BackboneError: an encoder and a decoder, tokens that are chosen or compressed, or a way of the type's own.
    """
    where = f"checkpoint {checkpoint}: model type '{config.model_type}'"
    advice = "use a model whose prompt is one causal sequence (Qwen2.5-VL, InternVL ...; of texts Llama, Qwen3 ...)"
    parts = [config, *(getattr(config, name) for name in config.sub_configs)]
    if any(getattr(part, "is_encoder_decoder", False) for part in parts):
        raise BackboneError(
            f"{where} has an encoder and a decoder, which looks at its input by cross-attention; {advice}"
        )
    kinds = getattr(config.get_text_config(), "layer_types", None) or []
    if other := next((_OTHER_KINDS[kind] for kind in kinds if kind in _OTHER_KINDS), None):
        raise BackboneError(f"{where} {other}, which the read-out does not reproduce; {advice}")
    if config.model_type in _OWN_WAYS:
        raise BackboneError(f"{where} {_OWN_WAYS[config.model_type]}; {advice}")


def refuse_too_little_memory(
    checkpoint: str | Path, config: PreTrainedConfig, dtype: torch.dtype, device: str, **options: Any
) -> None:
    """Weights must fit into main memory, through which they are read, and into the device's.

    Raises:
        BackboneError: they do not, or files of the checkpoint are missing or cannot be read.
    """
    needed = weight_bytes(checkpoint, config, dtype, **options)
    if needed is None:
        return
    places = {"main memory": available_bytes()}
    if device.startswith("cuda"):
        places[device] = torch.cuda.mem_get_info(device)[0]
    for place, there in places.items():
        if needed > there:
            raise BackboneError(
                f"checkpoint {checkpoint}: its weights take {needed / _GIGABYTE:.2f} GB in"
                f" {str(dtype).removeprefix('torch.')}, {place} has {there / _GIGABYTE:.2f} GB free; use bfloat16 if"
                " this is float32, a smaller model or a larger machine"
            )


def weight_bytes(checkpoint: str | Path, config: PreTrainedConfig, dtype: torch.dtype, **options: Any) -> int | None:
    """Bytes of all weights in `dtype`; None where that is not known beforehand (no safetensors).

    Of a folder, the files' own headers are counted; of a hub's checkpoint in several files, the index's total, so that
    nothing need be downloaded to refuse it.

    Raises:
        BackboneError: the index names files that are not there, or a file is no whole safetensors file.
    """
    folder = Path(checkpoint_path(str(checkpoint)))
    if folder.is_file():
        return None
    if folder.is_dir():
        files = weight_files(folder)
        return sum(_tensor_bytes(file, dtype) for file in files) if files else None
    if index := _hub_file(checkpoint, SAFE_WEIGHTS_INDEX_NAME, **options):
        stored = config.dtype or torch.float32
        total = json.loads(index.read_text()).get("metadata", {}).get("total_size")
        return None if total is None else int(total * dtype.itemsize / stored.itemsize)
    whole = _hub_file(checkpoint, SAFE_WEIGHTS_NAME, **options)
    return _tensor_bytes(whole, dtype) if whole else None


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint folder that transformers would read; none if it has others.

    Raises:
        BackboneError: the index names files that are not there.
    """
    whole, index = folder / SAFE_WEIGHTS_NAME, folder / SAFE_WEIGHTS_INDEX_NAME
    if whole.is_file():
        return [whole]
    if not index.is_file():
        return []
    names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    if absent := [name for name in names if not (folder / name).is_file()]:
        raise BackboneError(
            f"checkpoint {folder}: {len(absent)} of {len(names)} weight files are missing ({', '.join(absent[:5])}"
            f"{' ...' if len(absent) > 5 else ''}), which {index.name} names; download the checkpoint again"
        )
    return [folder / name for name in names]


def _tensor_bytes(file: Path, dtype: torch.dtype) -> int:
    """Bytes of a file's tensors, those of floating point in `dtype`; only the file's header is read."""
    total = 0
    for tensor in _header(file).values():
        begin, end = tensor["data_offsets"]
        # F32, BF16 ... but not I64, U8 or BOOL, which stay as they are.
        total += math.prod(tensor["shape"]) * dtype.itemsize if "F" in tensor["dtype"] else end - begin
    return total


def _header(file: Path) -> dict[str, dict[str, Any]]:
    """What a safetensors file says of its tensors, by name: dtype, shape, data_offsets.

    The library's own reader maps the whole file first, which fails where memory is short: the very case to be told.

    Raises:
        BackboneError: the file is cut short or none of safetensors.
    """
    size = file.stat().st_size
    with file.open("rb") as data:
        length = int.from_bytes(data.read(8), "little")
        try:
            tensors: dict[str, dict[str, Any]] = json.loads(data.read(length)) if length < size else {}
        except ValueError:
            tensors = {}
    tensors.pop("__metadata__", None)
    if not tensors:
        raise BackboneError(f"{file}: is no safetensors file; download the checkpoint again")
    whole = 8 + length + max(tensor["data_offsets"][1] for tensor in tensors.values())
    if size < whole:
        raise BackboneError(f"{file}: has {size} of {whole} bytes; download the checkpoint again")
    return tensors


def _hub_file(checkpoint: str | Path, name: str, **options: Any) -> Path | None:
    found = cached_file(
        str(checkpoint),
        name,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        **options,
    )
    return Path(found) if found else None
