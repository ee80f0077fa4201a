"""One cell from its tables: what `lad extract` does between reading them and writing the signals."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lad.extraction import devices, memory, shards
from lad.extraction.backbone import load_backbone
from lad.extraction.extract import Extraction, extract
from lad.extraction.plan import folder_of
from lad.extraction.prompts import Probe
from lad.pictures import refuse_undecodable


def extract_cell(
    checkpoint: str,
    probe: Probe,
    *,
    images: pa.Table,
    image_folder: Path | None,
    questions: pa.Table,
    presentations: pa.Table,
    first_questions: int | None = None,
    shard: str | None = None,
    revision: str | None = None,
    dtype: str = "float32",
    device: str = "cpu",
    image_size: int | None = None,
    processor_options: Mapping[str, Any] | None = None,
    **how: Any,
) -> Extraction:
    """The signals of the presentations, or of a part of them, by a model that is loaded for them.

    The images that are shown are all decoded before a model is loaded: a damaged one is found within seconds.

    Args:
        images, image_folder, questions, presentations: as of `extract`.
        first_questions: only the presentations of so many questions, by id.
        shard: only this part of the presentations, '3/7' say; the metadata names it.
        checkpoint, revision, dtype, image_size, processor_options: as of `load_backbone`.
        device: as of `devices.taken`; it is held until the signals are there.
        how: as of `extract`.

    Raises:
        ValueError: as of `extract`, `load_backbone` and `devices.taken`; no such shard; images that cannot be decoded.
    """
    if first_questions is not None:
        kept = sorted(set(presentations["question_id"].to_pylist()))[:first_questions]
        presentations = presentations.filter(pc.field("question_id").isin(kept))
    part = shards.Shard.parse(shard) if shard is not None else None
    if part:
        presentations = part.of(presentations)
    if folder := folder_of(images, image_folder):
        refuse_undecodable(_shown(images, questions, presentations), folder)
    with devices.taken(device) as own_device:
        if own_device == "cpu":
            memory.keep_what_is_freed()
        backbone = load_backbone(
            checkpoint,
            revision=revision,
            dtype=dtype,
            device=own_device,
            image_size=image_size,
            processor_options=processor_options,
        )
        extracted = extract(
            backbone,
            probe,
            images=images,
            image_folder=image_folder,
            questions=questions,
            presentations=presentations,
            **how,
        )
    return replace(extracted, metadata={**extracted.metadata, shards.FACT: str(part)}) if part else extracted


def _shown(images: pa.Table, questions: pa.Table, presentations: pa.Table) -> pa.Table:
    """The images that are candidates of the presented questions."""
    presented = pc.is_in(questions["question_id"], value_set=presentations["question_id"].combine_chunks())
    candidates = pc.unique(pc.list_flatten(questions["candidates"].filter(presented)))
    return images.filter(pc.is_in(images["image_id"], value_set=candidates))
