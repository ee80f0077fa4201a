"""Embeddings of images and captions, by which hard negatives are chosen (adversarial setting).

The paper uses CLIP ViT-L/14: backend `clip`, with any CLIP or SigLIP checkpoint. `vision_tower` uses the multimodal LLM
itself instead, which needs no second model: what its language part is given to see of an image, averaged, and the mean
input embedding of a caption's tokens. A mean knows no word order: captions that differ only in the order of their words
have a cosine of one.

Both compute in single precision, whatever the checkpoint is stored in, so that an embedding does not depend on its
batch. CLIP's are kept in half precision, which moves a cosine by about 1e-5 and can exchange two distractors that are
as alike as that. Rendered scenes are so much alike that it would change up to 4 % of the demo's questions: those of
`vision_tower` stay as they are.
"""

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm
from transformers import AutoModel, AutoProcessor
from transformers.utils import logging as transformers_logging

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.extraction import memory
from lad.extraction.backbone import Backbone, BackboneError, forbid_tf32, library_versions, load_backbone
from lad.extraction.finished import FINGERPRINT, FinishedWork, fingerprint
from lad.extraction.inputs import open_image
from lad.pictures import refuse_undecodable

EMBEDDER_VERSION: Final = 2
"""Changes whenever the same checkpoint would give other embeddings (2: no TF32 on a GPU)."""

DEFAULT_CHECKPOINTS: Final = {"clip": "openai/clip-vit-large-patch14"}
"""The paper's, where it names one."""

_BATCH: Final = 32
_COLUMNS: Final = ("image_embedding", "caption_embedding")


class Embedder(Protocol):
    """A model that embeds images and captions.

    Attributes:
        backbone: the model on its device, with its processor.
        kept: the precision that embeddings are kept in.
    """

    backbone: Backbone
    kept: type[np.floating[Any]]

    def pictures(self, pictures: Sequence[Image.Image]) -> Tensor:
        """(pictures, d) embeddings of any length."""
        ...

    def captions(self, captions: Sequence[str]) -> Tensor:
        """(captions, e) embeddings of any length."""
        ...


def embed(
    images: pa.Table,
    image_folder: Path,
    backend: str,
    checkpoint: str | Path | None = None,
    *,
    revision: str | None = None,
    device: str = "cpu",
    finished: Path | None = None,
) -> tuple[pa.Table, dict[str, Any]]:
    """The l2-normalised embeddings of all images and their captions, and facts about the model for the file's metadata.

    Args:
        images: an `images` table.
        image_folder: where the files of `images` lie.
        backend: a name in `BACKENDS`.
        checkpoint: folder or hub name of the backend's model; None for the backend's own default.
        revision: revision of a hub checkpoint.
        device: cpu, cuda, cuda:1 ...
        finished: folder for finished work: what is found there is not computed again, what is computed is kept there.

    Returns:
        An `embeddings` table in the order of `images`: lists of fixed size, in the backend's precision.

    Raises:
        BenchmarkError: an unknown backend or one without a checkpoint, images that cannot be decoded or do not fit into
            memory, or embeddings that cannot be normalised.
        BackboneError: a checkpoint that cannot be loaded.
    """
    if backend not in BACKENDS:
        raise BenchmarkError(f"unknown embedding backend '{backend}'; known: {', '.join(BACKENDS)}")
    checkpoint = checkpoint or DEFAULT_CHECKPOINTS.get(backend)
    if checkpoint is None:
        raise BenchmarkError(f"embedding backend '{backend}' has no checkpoint of its own; name one")
    refuse_undecodable(images, image_folder)
    embedder = BACKENDS[backend](checkpoint, revision, device)
    recipe = _recipe(backend, embedder)
    shown = [
        _Shown(image_folder / name, caption)
        for name, caption in zip(images["file_name"].to_pylist(), images["caption"].to_pylist(), strict=True)
    ]
    fingerprints = [fingerprint(recipe, _digest(one.file), one.caption) for one in shown]
    work = FinishedWork(finished, recipe) if finished else None
    rows = work.find(fingerprints) if work else []
    done = {key for part in rows for key in part[FINGERPRINT].to_pylist()}
    with _progress(len(images), len(done)) as progress:
        for members in _batches(len(shown)):
            # A whole batch as soon as one of it is not done: a rerun computes the batches that an unbroken run would.
            if all(fingerprints[i] in done for i in members):
                continue
            part = _embed_batch(embedder, [shown[i] for i in members], [fingerprints[i] for i in members])
            if work:
                work.add(part)
            rows.append(part)
            progress.update(len(part))
    made = _in_order(rows, fingerprints)
    if work:
        work.merge(made)
    columns = [images["image_id"], *(made[name] for name in _COLUMNS)]
    table = pa.table(columns, names=["image_id", *_COLUMNS])
    return parquet.conform(table, contracts.EMBEDDINGS, "embeddings"), recipe


@dataclass(frozen=True)
class _Shown:
    file: Path
    caption: str


def _digest(file: Path) -> str:
    return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()


def _recipe(backend: str, embedder: Embedder) -> dict[str, Any]:
    """All that determines the embedding of an image and its caption."""
    backbone = embedder.backbone
    return {
        "backend": backend,
        "model": backbone.checkpoint,
        "revision": backbone.revision,
        "weights": backbone.weights,
        "embedder_version": EMBEDDER_VERSION,
        "versions": library_versions(),
    }


@torch.inference_mode()
def _embed_batch(embedder: Embedder, shown: Sequence[_Shown], fingerprints: Sequence[str]) -> pa.Table:
    vectors = (
        _in_parts(lambda some: _pictures(embedder, some), shown),
        _in_parts(lambda some: embedder.captions([one.caption for one in some]), shown),
    )
    names = [one.file.name for one in shown]
    columns = {name: _unit_lists(own, embedder.kept, name, names) for name, own in zip(_COLUMNS, vectors, strict=True)}
    return pa.table({FINGERPRINT: pa.array(fingerprints, pa.string()), **columns})


def _pictures(embedder: Embedder, shown: Sequence[_Shown]) -> Tensor:
    pictures = [open_image(one.file, None) for one in shown]
    try:
        return embedder.pictures(pictures)
    except ValueError as error:
        # Processors refuse proportions (Qwen's: 200 to 1) without saying of which picture.
        if len(shown) > 1:
            return torch.cat([_pictures(embedder, [one]) for one in shown])
        width, height = pictures[0].size
        raise BenchmarkError(
            f"{shown[0].file}: the processor takes no picture of {width} x {height} pixels ({error})"
        ) from None


def _in_parts(embed_some: Callable[[Sequence[_Shown]], Tensor], shown: Sequence[_Shown]) -> Tensor:
    """The embeddings of all, in as many parts as memory asks for."""
    try:
        return torch.cat([vectors for _, vectors in memory.in_halves(embed_some, shown)])
    except memory.OutOfMemoryError as error:
        raise BenchmarkError(
            f"{error.item.file.name}: there is not enough memory to embed it and its caption ({error}); use a smaller"
            " checkpoint or another device"
        ) from None


def _unit_lists(
    vectors: Tensor, kept: type[np.floating[Any]], column: str, names: Sequence[str]
) -> pa.FixedSizeListArray:
    """One list per vector, of length one but for the rounding."""
    lengths = vectors.norm(dim=1, keepdim=True)
    if not (usable := (lengths.isfinite() & (lengths > 0)).flatten()).all():
        wrong = int(usable.int().argmin())
        raise BenchmarkError(f"{names[wrong]}: its {column} has length {lengths[wrong].item():.3g} and no direction")
    unit = (vectors / lengths).cpu().numpy().astype(kept)
    return pa.FixedSizeListArray.from_arrays(pa.array(unit.ravel()), unit.shape[1])


def _in_order(rows: Sequence[pa.Table], fingerprints: Sequence[str]) -> pa.Table:
    # Parquet names the elements of lists otherwise than we do.
    together = pa.concat_tables(part.cast(rows[-1].schema) for part in rows)
    place = {key: row for row, key in enumerate(together[FINGERPRINT].to_pylist())}
    return together.take([place[key] for key in fingerprints]).combine_chunks()


class VisionTower:
    """Image: mean of the tokens that the vision tower hands on; caption: mean input embedding of its tokens."""

    kept = np.float32

    def __init__(self, checkpoint: str | Path, revision: str | None, device: str) -> None:
        self.backbone = load_backbone(checkpoint, revision=revision, dtype="float32", device=device)

    def pictures(self, pictures: Sequence[Image.Image]) -> Tensor:
        inputs = self.backbone.processor.image_processor(images=list(pictures), return_tensors="pt")
        features = self.backbone.model.get_image_features(**inputs.to(self.backbone.device)).pooler_output
        return torch.stack([tokens.mean(dim=0) for tokens in features])  # one (tokens, d) per image

    def captions(self, captions: Sequence[str]) -> Tensor:
        table = self.backbone.model.get_input_embeddings().weight
        token_ids = self.backbone.processor.tokenizer(list(captions), add_special_tokens=False)["input_ids"]
        return torch.stack([table[torch.tensor(ids, device=table.device)].mean(dim=0) for ids in token_ids])


class Clip:
    """The two towers of a CLIP or SigLIP checkpoint.

    Captions are cut to the text tower's context (77 tokens of CLIP, as the paper's, 64 of SigLIP) and padded to it:
    SigLIP was trained so, and CLIP's text tower looks at no token after the caption's end. (The tokenizers of SigLIP's
    first version need the library sentencepiece, which this project does not.)
    """

    kept = np.float16

    def __init__(self, checkpoint: str | Path, revision: str | None, device: str) -> None:
        self.backbone = _load_two_towers(checkpoint, revision, device)

    def pictures(self, pictures: Sequence[Image.Image]) -> Tensor:
        inputs = self.backbone.processor.image_processor(images=list(pictures), return_tensors="pt")
        return _pooled(self.backbone.model.get_image_features(**inputs.to(self.backbone.device)))

    def captions(self, captions: Sequence[str]) -> Tensor:
        context = self.backbone.model.config.text_config.max_position_embeddings
        inputs = self.backbone.processor.tokenizer(
            list(captions), padding="max_length", truncation=True, max_length=context, return_tensors="pt"
        )
        return _pooled(self.backbone.model.get_text_features(**inputs.to(self.backbone.device)))


def _pooled(features: Any) -> Tensor:
    """Older releases give the projected vectors themselves, newer ones an output that holds them."""
    vectors: Tensor = features if isinstance(features, Tensor) else features.pooler_output
    return vectors


def _load_two_towers(checkpoint: str | Path, revision: str | None, device: str) -> Backbone:
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise BackboneError(f"device '{device}' asked for, but torch sees no GPU; use device: cpu")
    forbid_tf32()
    transformers_logging.disable_progress_bar()
    options: dict[str, Any] = {"trust_remote_code": False} | ({"revision": revision} if revision else {})
    try:
        model = AutoModel.from_pretrained(checkpoint, dtype=torch.float32, **options)
        if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
            raise BackboneError(
                f"checkpoint {checkpoint}: {type(model).__name__} has no embeddings of images and texts to compare; the"
                f" clip backend takes CLIP and SigLIP checkpoints, {DEFAULT_CHECKPOINTS['clip']} say"
            )
        processor = AutoProcessor.from_pretrained(checkpoint, **options)
    except BackboneError:
        raise
    except (OSError, ValueError, ImportError) as error:
        where = "" if Path(checkpoint).is_dir() else " is no folder, and the hub gave none by that name"
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise BackboneError(f"checkpoint {checkpoint}{where}: {reason}") from error
    return Backbone(str(checkpoint), revision, model.to(device).eval().requires_grad_(False), processor)


BACKENDS: Final[Mapping[str, Callable[[str | Path, str | None, str], Embedder]]] = {
    "vision_tower": VisionTower,
    "clip": Clip,
}


def _batches(images: int) -> Iterator[range]:
    return (range(start, min(start + _BATCH, images)) for start in range(0, images, _BATCH))


def _progress(total: int, done: int) -> "tqdm[Any]":
    """A bar for people, a line every half minute for a log."""
    watched = sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=done,
        desc="embed",
        unit=" images",
        mininterval=0.5 if watched else 30,
        maxinterval=10 if watched else 60,
        ascii=not watched,
    )
