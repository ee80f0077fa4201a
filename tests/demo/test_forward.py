"""The packed forward pass is the library's own, only shared: same features, logits and attention."""

import numpy as np
import pytest
import torch

from demo.forward import forward, image_features, patches
from demo.model import LAYERS, build_model, save_checkpoint
from demo.packing import IGNORED, PromptPacker
from demo.processor import IMAGE_SIDE, build_tokenizer
from lad.demo.scenes import captioned_scene, render
from lad.extraction.backbone import load_processor
from lad.extraction.prompts import PROBES


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer):
    # Four times the usual weights: attention must be far from uniform for a comparison to say anything.
    model = build_model(tokenizer, seed=3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "proj" in name or "qkv" in name:
                weight.mul_(4)
    return model.eval()


@pytest.fixture(scope="module")
def processor(model, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    save_checkpoint(model, tokenizer, folder, seed=3)
    return load_processor(folder)


@pytest.fixture(scope="module")
def scenes():
    return [captioned_scene(seed=7, index=index) for index in range(12)]


def pixels_of(scenes):
    side = (IMAGE_SIDE, IMAGE_SIDE)
    return np.stack([np.asarray(render(scene).resize(side, resample=3)) for scene, _ in scenes])


def library_forward(model, processor, images, text):
    """Logits of the last prompt token and the image attention of every layer, from the library alone."""
    content = [*({"type": "image"} for _ in images), {"type": "text", "text": text}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = processor(text=[prompt], images=images, return_tensors="pt")
    model.set_attn_implementation("eager")
    with torch.no_grad():
        output = model(**inputs, output_attentions=True)
    of_images = (inputs["input_ids"][0] == model.config.image_token_id).nonzero().view(len(images), -1)
    attention = [layer[0].mean(0)[-1][of_images].sum(-1) for layer in output.attentions]
    return output.logits[0, -1], torch.stack(attention)


@pytest.mark.parametrize(("probe", "n"), [("vanilla", 4), ("roman", 3), ("instruction", 12)])
def test_packed_prompts_give_the_logits_and_attention_of_separate_ones(model, tokenizer, processor, scenes, probe, n):
    answers = np.array([[0, n - 1]])
    captions = [scenes[position][1] for position in answers[0]]
    batch = PromptPacker(tokenizer).pack(PROBES[probe], n, [captions], answers)
    with torch.no_grad():
        features = image_features(model, patches(pixels_of(scenes[:n])))[None]
        states = forward(model, batch, features, range(LAYERS))
        logits = model.lm_head(states.hidden)
    for k, caption in enumerate(captions):
        images = [render(scene) for scene, _ in scenes[:n]]
        expected, attention = library_forward(model, processor, images, PROBES[probe].text(n, caption))
        assert attention.std() > 0.02
        torch.testing.assert_close(logits[0, k, batch.last[0, k]], expected, atol=1e-4, rtol=1e-4)
        packed = torch.stack([states.image_attention[layer][0, k] for layer in range(LAYERS)])
        torch.testing.assert_close(packed, attention, atol=1e-4, rtol=0)


def test_patches_are_the_image_processors(processor, scenes):
    images = [render(scene) for scene, _ in scenes]
    frames = patches(pixels_of(scenes)).view(-1, 3, 1, 14 * 14)
    expected = processor.image_processor(images, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(frames.expand(-1, -1, 2, -1).flatten(1), expected, atol=1e-5, rtol=0)


def test_labels_are_the_identifiers_tokens_and_the_end_of_the_turn(tokenizer):
    answers = np.array([[9, 1]])
    batch = PromptPacker(tokenizer).pack(PROBES["vanilla"], 12, [["a cat", "a red dog"]], answers)
    told = [row[row != IGNORED].tolist() for row in batch.labels[0]]
    assert [tokenizer.decode(row) for row in told] == ["10<|im_end|>", "2<|im_end|>"]
    assert batch.labels[0, 0, batch.last[0, 0]] == told[0][0]
