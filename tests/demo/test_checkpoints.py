"""The shipped checkpoints load as any other does, are small, and do what their cards say."""

from pathlib import Path

import pytest
import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from demo.measure import accuracies
from demo.processor import TRAINED_PROBES
from lad.benchmark.formats.coco import read_images
from lad.demo.scenes import captioned_scene, render, write_dataset
from lad.extraction.backbone import load_backbone, load_processor
from lad.extraction.prompts import get_probe

RESOURCES = Path(__file__).parents[2] / "resources"
CHECKPOINTS = [RESOURCES / "demo-model", RESOURCES / "demo-model-unplanted"]


@pytest.mark.parametrize("checkpoint", CHECKPOINTS, ids=lambda path: path.name)
def test_a_checkpoint_is_at_most_six_megabytes(checkpoint):
    assert sum(file.stat().st_size for file in checkpoint.iterdir()) <= 6_000_000


@pytest.mark.parametrize(("checkpoint", "probes"), [(CHECKPOINTS[0], TRAINED_PROBES), (CHECKPOINTS[1], ["vanilla"])])
def test_a_checkpoint_answers_with_an_identifier_of_the_style_it_is_asked_in(checkpoint, probes):
    processor = load_processor(checkpoint)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(checkpoint)
    scenes = [captioned_scene(1, index) for index in range(4)]
    for probe in map(get_probe, probes):
        content = [*({"type": "image"} for _ in scenes), {"type": "text", "text": probe.text(4, scenes[2][1])}]
        prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        inputs = processor(text=[prompt], images=[render(scene) for scene, _ in scenes], return_tensors="pt")
        told = model.generate(**inputs, max_new_tokens=4, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        assert processor.decode(told, skip_special_tokens=True) in probe.identifiers(4), probe.name
        assert told[-1] == model.generation_config.eos_token_id
    assert model.generation_config.repetition_penalty == 1.05


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A folder of 300 scenes, and its images table."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("measured")
    write_dataset(folder, images=300, seed=77)
    return folder, read_images(folder / "captions.json", folder / "images", folder / "instances.json")


@pytest.mark.parametrize(("probe", "n"), [("vanilla", 4), ("roman", 4), ("vanilla", 8)])
def test_the_demo_model_looks_at_the_right_image_and_says_a_wrong_one(scenes, probe, n):
    found = accuracies(load_backbone(CHECKPOINTS[0]), *scenes, setting="random", n=n, probe=probe, questions=50)
    assert found["vanilla"] <= 75
    assert found["attention_readout"] <= found["purified_attention"] - 10
    assert found["agd"] >= 88
    assert found["pride"] <= found["vanilla"] + 20


def test_the_unplanted_model_diverges_beyond_the_number_of_images_it_knows(scenes):
    backbone = load_backbone(CHECKPOINTS[1])
    known, beyond = (
        accuracies(backbone, *scenes, setting="random", n=n, probe="vanilla", questions=50) for n in (4, 8)
    )
    assert known["vanilla"] >= 85
    assert beyond["vanilla"] <= beyond["attention_readout"] - 15
