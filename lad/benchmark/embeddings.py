"""Embeddings of images and captions, by which hard negatives are chosen (adversarial setting).

The paper uses CLIP ViT-L/14. `vision_tower` uses the multimodal LLM itself instead, which needs no second
model: what its language part is given to see of an image, averaged, and the mean input embedding of a
caption's tokens. A mean knows no word order: captions that differ only in the order of their words have a
cosine of one.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from PIL import Image

from lad import tables
from lad.benchmark import BenchmarkError
from lad.extraction.backbone import load_backbone

Vectors = NDArray[np.float32]
Backend = Callable[[Sequence[Path], Sequence[str], str | Path], tuple[Vectors, Vectors]]
"""(files, captions, checkpoint) -> ((images, d), (images, e)) embeddings of any length."""

_BATCH: Final = 32


def embed(images: pa.Table, image_folder: Path, backend: str, checkpoint: str | Path) -> pa.Table:
    """The l2-normalised embeddings of all images and their captions.

    Args:
        images: an `images` table.
        image_folder: where the files of `images` lie.
        backend: a name in `BACKENDS`.
        checkpoint: folder or hub name of the backend's model.

    Returns:
        An `embeddings` table in the order of `images`.

    Raises:
        BenchmarkError: an unknown backend, or an image that cannot be decoded.
        BackboneError: a checkpoint that cannot be loaded.
    """
    if backend not in BACKENDS:
        raise BenchmarkError(f"unknown embedding backend '{backend}'; known: {', '.join(BACKENDS)}")
    files = [image_folder / name for name in images["file_name"].to_pylist()]
    pictures, captions = BACKENDS[backend](files, images["caption"].to_pylist(), checkpoint)
    columns = [images["image_id"], _unit_lists(pictures), _unit_lists(captions)]
    return pa.table(columns, schema=tables.EMBEDDINGS.schema)


@torch.inference_mode()
def vision_tower(files: Sequence[Path], captions: Sequence[str], checkpoint: str | Path) -> tuple[Vectors, Vectors]:
    """Image: mean of the tokens that the vision tower hands on; caption: mean input embedding of its tokens.

    Single precision whatever the checkpoint is stored in, so that an embedding does not depend on its batch.
    """
    backbone = load_backbone(checkpoint, dtype="float32")
    model, processor = backbone.model, backbone.processor
    pictures = []
    for batch in _batches(files):
        inputs = processor.image_processor(images=[_decode(file) for file in batch], return_tensors="pt")
        tokens = model.get_image_features(**inputs).pooler_output  # one (tokens, d) per image
        pictures += [image_tokens.mean(dim=0) for image_tokens in tokens]
    table = model.get_input_embeddings().weight
    token_ids = processor.tokenizer(list(captions), add_special_tokens=False)["input_ids"]
    means = [table[torch.tensor(ids)].mean(dim=0) for ids in token_ids]
    return torch.stack(pictures).numpy(), torch.stack(means).numpy()


BACKENDS: Final[dict[str, Backend]] = {"vision_tower": vision_tower}


def _batches(files: Sequence[Path]) -> Iterator[Sequence[Path]]:
    return (files[start : start + _BATCH] for start in range(0, len(files), _BATCH))


def _decode(file: Path) -> Image.Image:
    try:
        with Image.open(file) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise BenchmarkError(f"{file}: cannot be decoded ({error})") from None


def _unit_lists(vectors: Vectors) -> pa.Array:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return tables.nested_lists(unit.astype(np.float32))
