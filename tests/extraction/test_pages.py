"""Pages of documents: pictures of any size and shape in one presentation, each with the tokens of its own size."""

from pathlib import Path

import numpy as np
import plain
import pyarrow as pa
import pytest
import torch
from PIL import Image

from lad import contracts, parquet
from lad.benchmark.captions import images_table
from lad.benchmark.presentations import build_presentations
from lad.extraction.backbone import Backbone, load_backbone
from lad.extraction.extract import extract
from lad.extraction.forward import answer_trie
from lad.extraction.inputs import InputError
from lad.extraction.prompts import PROBES

SIZES = {"portrait.png": (306, 396), "landscape.png": (396, 306), "tiny.png": (20, 12), "large.png": (1224, 1584)}
PROBE = PROBES["page"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """Pages with something on them, of the sizes above."""
    folder = tmp_path_factory.mktemp("pages")
    random = np.random.default_rng(0)
    for name, (width, height) in SIZES.items():
        page = Image.fromarray(random.integers(0, 255, (9, 7, 3), dtype=np.uint8)).resize((width, height))
        page.save(folder / name)
    return folder


def tables() -> dict[str, pa.Table]:
    rows = [{"image_id": k, "file_name": name} for k, name in enumerate(SIZES, start=1)]
    common = {"width": 1, "height": 1, "caption": "", "category_ids": [], "license": None}
    question = {"question_id": "q", "role": "evaluation", "rank": 0, "caption": "What is on the page?"}
    questions = parquet.from_rows(
        [question | {"candidates": [1, 2, 3, 4], "target": 3, "n_candidates": 4}], contracts.QUESTIONS
    )
    presentations = build_presentations(questions, "evaluation", rounds=4, seed=0)
    images = images_table(row | common for row in rows)
    return {"images": images, "questions": questions, "presentations": presentations}


def with_options(backbone: Backbone, **options: int) -> Backbone:
    return load_backbone(backbone.checkpoint, device=str(backbone.device), processor_options=options)


@pytest.fixture(scope="module")
def bounded(backbone):
    """The demo model with a bound of 128 tokens to an image, where it has 4 for all of them."""
    return with_options(backbone, min_pixels=3136, max_pixels=100352)


def test_pages_of_different_sizes_in_one_presentation_are_read_as_by_eager_attention(bounded, eager, pages):
    work = tables()
    signals = extract(bounded, PROBE, image_folder=pages, **work).signals.to_pylist()
    first_tokens = answer_trie(bounded, PROBE.identifiers(4)).first_tokens
    shown = plain.presentations(work["images"], pages, work["questions"], work["presentations"])
    assert len(signals) == len(shown) == 4
    for row, presentation in zip(signals, shown, strict=True):
        inputs = plain.model_inputs(bounded, PROBE, presentation)
        logits, attention = plain.logits_and_attention(eager, inputs)
        spans = plain.image_spans(inputs, bounded.image_token_id, 4)
        own = torch.stack([attention[:, span].sum(-1) for span in spans], -1)
        np.testing.assert_allclose(row["candidate_attention"], own, atol=1e-5)
        np.testing.assert_allclose(row["identifier_logits"], logits[first_tokens], atol=1e-4)
        assert row["candidate_tokens"] == [len(span) for span in spans]
    counts = {file: set() for file in SIZES}
    for row in signals:
        for candidate, tokens in zip(row["order"], row["candidate_tokens"], strict=True):
            counts[list(SIZES)[candidate - 1]].add(tokens)
    # A token is 28 x 28 pixels. 14 x 11 of them are more than the bound allows; the tiny page is enlarged.
    assert all(len(found) == 1 for found in counts.values())
    told = {file: found.pop() for file, found in counts.items()}
    assert told["portrait.png"] == told["landscape.png"]
    assert told["tiny.png"] < 10 < told["large.png"] <= 128


def test_a_page_that_is_too_large_for_the_model_is_named_with_what_can_be_done(backbone, pages):
    unbounded = with_options(backbone, max_pixels=10**8)
    with pytest.raises(InputError) as refused:
        extract(unbounded, PROBE, image_folder=pages, **tables())
    assert f"tokens, 2508 of them of {pages}/large.png, the model's context window 2048; show fewer" in str(
        refused.value
    )
    assert "smaller images (image_size, or max_pixels under processor)" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_page_prompt_asks_for_the_page_image_that_holds_the_answer():
    assert PROBE.text(8, "Who pays?") == (
        "Given 8 page images indexed from 1 to 8, identify the page image that holds the answer to the question."
        " Respond with the index number only and nothing else.\nQuestion: Who pays?\nAnswer: "
    )
