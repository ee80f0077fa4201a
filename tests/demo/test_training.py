"""A few real steps from scratch: every stage lowers its loss, and the seed decides the result."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import Qwen2_5_VLForConditionalGeneration

from demo.bank import draw_sets, render_bank
from demo.losses import bias_loss
from demo.model import build_model
from demo.packing import PromptPacker
from demo.processor import build_tokenizer
from demo.train import train
from demo.training import Material, Phase, Recipe, ask, bank_features
from lad.demo.scenes import TRAINING_PAIRS, is_held_out, neighbours

SHORT = Recipe(
    copies=1,
    vision_steps=30,
    vision_batch=48,
    retrieval=(Phase(25, 2),),
    max_n=2,
    prior_steps=12,
    bias_steps=40,
    tokens=24,
    bias_tokens=24,
)


def losses(lines, stage, name):
    """First and last reported running mean of a loss."""
    told = [line for line in lines if line.startswith(f"{stage} ")]
    values = [float(re.search(rf"\b{name} ([\d.]+)", line)[1]) for line in told]
    return values[0], values[-1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    lines = []
    folder = tmp_path_factory.mktemp("trained")
    train(folder / "a", seed=5, recipe=SHORT, stages=folder / "stages", report=lines.append)
    return folder, lines


@pytest.mark.parametrize(
    ("stage", "name"),
    [("vision", "loss"), ("retrieval", "answers"), ("prior", "attention")],
)
def test_a_few_steps_lower_the_loss(trained, stage, name):
    first, last = losses(trained[1], stage, name)
    assert last < 0.95 * first


def test_the_bias_stage_draws_answers_to_the_declared_bias(trained):
    folder, _ = trained
    tokenizer = build_tokenizer()
    bank = render_bank(copies=1, seed=1)
    divergence = {}
    for stage in ("prior", "bias"):
        model = build_model(tokenizer, seed=0)
        (kept,) = (folder / "stages").glob(f"{stage}-*.pt")
        model.load_state_dict(torch.load(kept, weights_only=True)["model"])
        features, packer = bank_features(model, bank), PromptPacker(tokenizer)
        material = Material(bank, features, torch.from_numpy(bank.shown), packer)
        rng = np.random.default_rng(0)
        with torch.no_grad():
            asked = [ask(model, material, Phase(1, 2), 24, rng, range(0), biased=True) for _ in range(12)]
            divergence[stage] = float(np.mean([bias_loss(model, packer, batch) for batch in asked]))
    assert divergence["bias"] < 0.95 * divergence["prior"]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(trained):
    folder, _ = trained
    tiny = replace(SHORT, vision_steps=2, retrieval=(Phase(2, 2),), prior_steps=1, bias_steps=1)
    for name, seed in (("b", 0), ("c", 0), ("d", 1)):
        train(folder / name, seed=seed, recipe=tiny, report=lambda _: None)
    b, c, d = (load_file(folder / name / "model.safetensors") for name in "bcd")
    assert all(torch.equal(b[key], c[key]) for key in b)
    assert any(not torch.equal(b[key], d[key]) for key in b)


def test_a_kept_stage_is_taken_up_instead_of_repeated(trained):
    folder, _ = trained
    again = []
    train(folder / "again", seed=5, recipe=SHORT, stages=folder / "stages", report=again.append)
    assert [line.split(":")[0] for line in again if "taken from" in line] == ["vision", "retrieval", "prior", "bias"]
    assert not any(re.search(r"\d+/\d+", line) for line in again)
    first, second = (load_file(folder / name / "model.safetensors") for name in ("a", "again"))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_bias_stage_touches_nothing_before_the_late_layer(trained):
    folder, _ = trained
    (kept,) = (folder / "stages").glob("prior-*.pt")
    before = torch.load(kept, weights_only=True)["model"]
    after = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder / "a").state_dict()
    changed = [key for key in after if not torch.equal(before[key].bfloat16(), after[key])]
    assert changed
    assert all(re.search(r"layers\.5\.|language_model\.norm|lm_head", key) for key in changed)


def test_no_held_out_pair_is_trained_on():
    bank = render_bank(copies=1, seed=0)
    assert not any(is_held_out(scene.pair) for scene in bank.scenes)
    assert len(bank.scenes) == len(TRAINING_PAIRS)


@pytest.mark.parametrize("hard", [0.0, 1.0])
def test_sets_show_different_pairs_and_captions_of_their_targets(hard):
    bank = render_bank(copies=2, seed=0)
    drawn = draw_sets(bank, sets=40, n=6, asked=3, hard=hard, rng=np.random.default_rng(0))
    near = 0
    for images, targets, captions in zip(drawn.images, drawn.targets, drawn.captions, strict=True):
        pairs = [bank.scenes[image].pair for image in images]
        assert len(set(pairs)) == 6
        near += sum(other in neighbours(pair) for pair in pairs for other in pairs)
        assert len(set(targets)) == 3
        for target, caption in zip(targets, captions, strict=True):
            assert all(item.name in caption for item in bank.scenes[images[target]].items)
    assert near > 200 if hard else near < 100


def test_a_trainer_that_cannot_run_says_why(tmp_path):
    with pytest.raises(ValueError, match="threads = 0"):
        train(tmp_path / "out", seed=0, threads=0)
    assert not list(tmp_path.iterdir())
