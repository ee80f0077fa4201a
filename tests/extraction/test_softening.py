"""SoFA: image tokens see later images by sigma; without it the answer is vanilla's, with it another."""

from itertools import product

import numpy as np
import plain
import pytest
import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from lad.extraction.prompts import PROBES, Softening, get_probe
from lad.extraction.readout import SoftMask


def test_the_mask_lets_later_images_be_seen_by_sigma_and_text_by_nobody_before():
    # Two images of two tokens with their delimiters, and two tokens of text; N = 2.
    segments = torch.tensor([[4, 2, 0, 0, 2, 3, 1, 1, 3, 4]])
    causal = np.tril(np.ones((10, 10)))
    for scope in ("between", "all"):
        soft = SoftMask(segments, 2, Softening(sigma=0.25, scope=scope)).mask(0, None, torch.float32)
        expected = causal.copy()
        for seer, seen in product(range(10), range(10)):
            own, other = segments[0, seer].item(), segments[0, seen].item()
            pair = {own, other} == {0, 1} if scope == "between" else max(own, other) < 4
            if pair and not causal[seer, seen]:
                expected[seer, seen] = 0.25
        np.testing.assert_allclose(soft[0, 0].exp().numpy(), expected)


def test_layers_in_between_stay_causal():
    mask = SoftMask(torch.tensor([[0, 1, 4]]), 2, Softening(every=3))
    assert [mask.mask(layer, None, torch.float32) is None for layer in range(7)] == [False, True, True] * 2 + [False]


@pytest.fixture(scope="module")
def asked_with(extracted):
    def run(probe: str, n: int = 4) -> dict[str, np.ndarray]:
        signals, metadata = extracted(n, probe)
        assert metadata["probe"] == probe
        return {name: np.array(signals[name].to_pylist()) for name in ("identifier_logits", "candidate_attention")}

    return run


@pytest.mark.parametrize("n", [4, 12])
def test_without_sigma_it_is_vanilla(asked_with, n):
    vanilla, without = asked_with("vanilla", n), asked_with("sofa-sigma0-every1", n)
    for name, values in vanilla.items():
        np.testing.assert_allclose(without[name], values, atol=1e-4)


@pytest.mark.parametrize("probe", ["sofa", "sofa_released", "sofa-sigma0.5-every1", "sofa-sigma1"])
def test_sigma_changes_the_logits(asked_with, probe):
    """Under SDPA an unpadded batch has no mask: a patch of the mask alone would do nothing."""
    moved = np.abs(asked_with(probe)["identifier_logits"] - asked_with("vanilla")["identifier_logits"])
    assert moved.max() > 0.01


def test_a_larger_sigma_moves_further(asked_with):
    vanilla = asked_with("vanilla")["identifier_logits"]
    moved = [
        np.abs(asked_with(f"sofa-sigma{sigma}")["identifier_logits"] - vanilla).mean() for sigma in (0.01, 0.1, 0.5)
    ]
    assert moved[0] < moved[1] < moved[2]


@pytest.mark.parametrize("probe", ["sofa", "sofa_released", "sofa-sigma0.2-every1"])
def test_logits_equal_a_plain_softmax_with_the_mask_written_out(
    backbone, eager, extracted, asked, images, scenes, probe
):
    """The oracle weighs each attention by hand, presentation by presentation."""
    softening, n = get_probe(probe).softening, 4
    shown = plain.presentations(images, scenes / "images", *asked(n))
    signals, _ = extracted(n, probe)
    weights = {}

    def weighed_attention(module, query, key, value, attention_mask, scaling, **_):
        weight = weights["softened"] if module.layer_idx % softening.every == 0 else weights["causal"]
        scores = (query @ key.transpose(2, 3) * scaling).exp() * weight
        return (scores / scores.sum(-1, keepdim=True) @ value).transpose(1, 2).contiguous(), None

    AttentionInterface.register("weighed", weighed_attention)
    AttentionMaskInterface.register("weighed", eager_mask)
    eager.set_attn_implementation({"text_config": "weighed"})
    try:
        for row, presentation in list(zip(signals.to_pylist(), shown, strict=True))[:3]:
            inputs = plain.model_inputs(backbone, PROBES["vanilla"], presentation)
            length = inputs["input_ids"].shape[1]
            weights["causal"] = torch.ones(length, length, device=backbone.device).tril()
            weights["softened"] = weights["causal"].clone()
            spans = plain.image_spans(inputs, backbone.image_token_id, n)
            reach = [span if softening.scope == "between" else [span[0] - 1, *span, span[-1] + 1] for span in spans]
            for (a, own), (b, other) in product(enumerate(reach), enumerate(reach)):
                for seer, seen in product(own, other):
                    if seen > seer and (a != b or softening.scope == "all"):
                        weights["softened"][seer, seen] = softening.sigma
            with torch.inference_mode():
                logits = eager(**inputs).logits[0, -1].cpu()
            first = [
                backbone.processor.tokenizer(str(k), add_special_tokens=False)["input_ids"][0] for k in range(1, n + 1)
            ]
            np.testing.assert_allclose(row["identifier_logits"], logits[first], atol=1e-3)
    finally:
        eager.set_attn_implementation({"text_config": "eager"})


def test_settings_are_part_of_the_probes_name():
    assert get_probe("sofa-sigma0.3-every1").softening == Softening(sigma=0.3, every=1)
    assert get_probe("sofa_released-every4").softening == Softening(every=4, scope="all")
    for name in ("sofa-sigma1.5", "sofa-every0"):
        with pytest.raises(ValueError, match=rf"probe '{name}': sigma lies between 0 and 1, every is at least 1"):
            get_probe(name)
    with pytest.raises(
        ValueError, match=r"unknown probe 'sofa-tau3'; known: vanilla, .*, sofa_released, .*sofa-sigma0\.3"
    ):
        get_probe("sofa-tau3")
