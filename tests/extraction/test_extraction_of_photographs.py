"""A model with random weights reads real photographs as eager attention on the whole presentation does.

From the files to the table, by `lad extract`: photographs resized to the paper's 336 x 336 and in their own sizes, and
one photograph in every kind of file.
"""

import json
from collections.abc import Callable
from pathlib import Path

import plain
import pyarrow as pa
import pytest
import torch
from photographs import write_kinds
from PIL import Image
from transformers import AutoModelForImageTextToText

from benchmarks import architectures
from lad import contracts, parquet
from lad.benchmark.formats.coco import read_images
from lad.benchmark.presentations import build_presentations
from lad.benchmark.questions import build_questions
from lad.cli.measurement import extract
from lad.extraction.backbone import load_backbone
from lad.extraction.inputs import open_image
from lad.extraction.prompts import PROBES

PROBE = PROBES["vanilla"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """Qwen2.5-VL with random weights, and the published limits to an image's pixels."""
    path = architectures.build("qwen2_5_vl", tmp_path_factory.mktemp("checkpoint"))
    settings = json.loads((path / "preprocessor_config.json").read_text())
    settings["size"] = {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 1280}
    (path / "preprocessor_config.json").write_text(json.dumps(settings))
    return path


@pytest.fixture(scope="module")
def eager(checkpoint):
    return AutoModelForImageTextToText.from_pretrained(
        checkpoint, dtype=torch.float32, attn_implementation="eager"
    ).eval()


@pytest.fixture
def compare(checkpoint, eager, tmp_path) -> Callable[..., pa.Table]:
    """Extract one order of each of a few questions, compare every row with the oracle, and return the table."""

    def run(images: pa.Table, image_folder: Path, n: int, evaluation: int, image_size: int | None) -> pa.Table:
        questions = build_questions(
            images, dataset="coco", setting="random", n=n, evaluation=evaluation, calibration=0, seed=1
        )
        presentations = build_presentations(questions, "evaluation", rounds=1, seed=1)
        files = {"images": images, "questions": questions, "presentations": presentations}
        for name, table in files.items():
            parquet.write(table, tmp_path / f"{name}.parquet", contracts.CONTRACTS[name])
        extract(
            checkpoint=str(checkpoint),
            image_folder=image_folder,
            out=tmp_path / "signals.parquet",
            image_size=image_size,
            **{name: tmp_path / f"{name}.parquet" for name in files},
        )
        signals = parquet.read(tmp_path / "signals.parquet", contracts.SIGNALS)
        rows = {row["presentation_id"]: row for row in signals.to_pylist()}
        whole = plain.presentations(images, image_folder, questions, presentations)
        assert len(rows) == len(whole) == evaluation
        for presentation_id, shown in zip(presentations["presentation_id"].to_pylist(), whole, strict=True):
            if image_size:
                square = (image_size, image_size)
                shown.pictures = [picture.resize(square, Image.Resampling.BICUBIC) for picture in shown.pictures]
            assert_equal_to_eager(load_backbone(checkpoint), eager, shown, rows[presentation_id])
        return signals

    return run


def assert_equal_to_eager(backbone, eager, shown: plain.Presentation, row: dict) -> None:
    inputs = plain.model_inputs(backbone, PROBE, shown)
    logits, attention = plain.logits_and_attention(eager, inputs)
    spans = plain.image_spans(inputs, backbone.image_token_id, shown.n)
    first = [backbone.processor.tokenizer(str(k + 1))["input_ids"][0] for k in range(shown.n)]
    expected = {
        "prompt_tokens": torch.tensor(inputs["input_ids"].shape[1]),
        "candidate_tokens": torch.tensor([len(span) for span in spans]),
        "identifier_logits": logits[first],
        "candidate_logprobs": logits[first].log_softmax(-1),
        "candidate_attention": torch.stack([attention[:, span].sum(-1) for span in spans], -1),
        "delimiter_attention": torch.stack([attention[:, [s[0] - 1, s[-1] + 1]].sum(-1) for s in spans], -1),
    }
    for name, values in expected.items():
        found = torch.tensor(row[name])
        torch.testing.assert_close(found, values.to(found.dtype), atol=1e-4, rtol=0, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("image_size", [336, None])
def test_photographs_are_read_as_by_eager_attention(photographs, compare, image_size):
    images = read_images(photographs / "captions_val2014_subset.json", photographs / "images")
    signals = compare(images, photographs / "images", 4, 3, image_size)
    tokens = {count for row in signals["candidate_tokens"].to_pylist() for count in row}
    # 336 / 14 patches per side, merged two by two.
    assert tokens == {144} if image_size else len(tokens) > 1


@pytest.mark.parametrize("image_size", [336, None])
def test_every_kind_of_file_is_read_as_by_eager_attention(photographs, compare, tmp_path, image_size):
    """Grey, CMYK, palette, transparent and turned pictures, and strips of 80 and 29 to 1."""
    with Image.open(photographs / "images" / "COCO_val2014_000000161044.jpg") as photograph:
        sizes = write_kinds(photograph.convert("RGB"), tmp_path)
    left_out = ("plain.jpg", "plain.png", *(f"orientation{k}.png" for k in (2, 3, 4, 5)))
    names = [name for name in sizes if name not in left_out]
    assert len(names) == 9  # identifiers of one token each, for the oracle's sake
    rows = [
        {"image_id": k, "file_name": name, "width": 1, "height": 1, "caption": f"file {k}", "category_ids": []}
        for k, name in enumerate(names)
    ]
    signals = compare(parquet.from_rows(rows, contracts.IMAGES), tmp_path, len(names), 1, image_size)
    counts = dict(zip(signals["order"].to_pylist()[0], signals["candidate_tokens"].to_pylist()[0], strict=True))
    # In their own sizes: the whole photograph and the two strips.
    assert len(set(counts.values())) == (1 if image_size else 3)


def test_a_strip_that_the_processor_refuses_is_named_with_its_presentation(photographs, checkpoint, tmp_path):
    with Image.open(photographs / "images" / "COCO_val2014_000000161044.jpg") as photograph:
        photograph.crop((0, 0, 640, 3)).save(tmp_path / "strip.jpg")
        photograph.save(tmp_path / "plain.jpg")
    rows = [
        {"image_id": k, "file_name": name, "width": 1, "height": 1, "caption": f"file {k}", "category_ids": []}
        for k, name in enumerate(["strip.jpg", "plain.jpg"])
    ]
    images = parquet.from_rows(rows, contracts.IMAGES)
    options = {"dataset": "coco", "setting": "random", "evaluation": 1, "calibration": 0, "seed": 0}
    questions = build_questions(images, n=2, **options)
    files = {
        "images": images,
        "questions": questions,
        "presentations": build_presentations(questions, "evaluation", rounds=1, seed=0),
    }
    for name, table in files.items():
        parquet.write(table, tmp_path / f"{name}.parquet", contracts.CONTRACTS[name])
    paths = {name: tmp_path / f"{name}.parquet" for name in files}
    message = r"presentation coco-\S+ cannot be shown: \S+strip\.jpg: the processor takes no picture of 640 x 3 pixels"
    with pytest.raises(ValueError, match=message):
        extract(checkpoint=str(checkpoint), image_folder=tmp_path, out=tmp_path / "signals.parquet", **paths)
    assert open_image(tmp_path / "strip.jpg", 336).size == (336, 336)
