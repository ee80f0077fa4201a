"""LLaVA-OneVision-1.5: equal to outputs of the published code, and facts about its vision tower that need none.

The published code runs on transformers 4 only; what it gave for a tiny model with random weights lies outside of this
repository. Print the differences: `pytest -s tests/backbones -k published`.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.models.auto import modeling_auto, processing_auto

from benchmarks import architectures
from lad.backbones import LLaVAOneVision1_5_ForConditionalGeneration
from lad.extraction import readout
from lad.extraction.backbone import load_backbone, load_processor

SHARED = Path(os.environ.get("LAD_SHARED", Path(__file__).parents[3] / "shared"))
TOLERANCE = 1e-4


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def published() -> Path:
    folder = SHARED / "golden" / "llava_onevision15_tiny"
    if not folder.is_dir():
        pytest.skip(f"{folder} with outputs of the published code is absent; LAD_SHARED names another place")
    return folder


@pytest.fixture(scope="module")
def expected(published) -> dict[str, torch.Tensor]:
    with np.load(published / "expected.npz") as arrays:
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


@pytest.fixture(scope="module")
def pixels(expected):
    return {name: expected[name] for name in ("pixel_values", "image_grid_thw")}


@pytest.fixture(scope="module", params=["eager", "sdpa"])
def slipping(request, published):
    """The model that takes class tokens out as the published code does."""
    return AutoModelForImageTextToText.from_pretrained(
        published, dtype=torch.float32, attn_implementation=request.param, class_token_slip=True
    ).eval()


def close(found, expected, what: str) -> None:
    print(f"{what}: largest difference {(found - expected).abs().max():.1e}")
    torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=0)


@torch.inference_mode()
def test_image_features_equal_the_published_code(slipping, expected, pixels):
    features = slipping.get_image_features(**pixels)
    assert [len(own) for own in features.pooler_output] == [4, 6, 6]
    close(torch.cat(features.pooler_output), expected["image_features"], "image features")


@torch.inference_mode()
def test_logits_equal_the_published_code(slipping, expected, pixels):
    prompt = {"input_ids": expected["input_ids"], "attention_mask": expected["attention_mask"]}
    output = slipping(**prompt, **pixels, logits_to_keep=1)
    assert output.logits.shape[1] == 1
    close(output.logits[0, -1], expected["last_logits"], "logits")
    everywhere = slipping(**prompt, **pixels)
    close(everywhere.logits[0, -1], expected["last_logits"], "logits, all places kept")


@torch.inference_mode()
def test_a_left_padded_batch_equals_the_published_code(slipping, expected, pixels):
    twice = {name: torch.cat([value, value]) for name, value in pixels.items()}
    prompt = {"input_ids": expected["padded_input_ids"], "attention_mask": expected["padded_attention_mask"]}
    output = slipping(**prompt, **twice)
    close(output.logits[:, -1], expected["padded_last_logits"], "logits of the padded batch")


@torch.inference_mode()
def test_eager_attention_equals_the_published_code(published, expected, pixels):
    model = AutoModelForImageTextToText.from_pretrained(
        published, dtype=torch.float32, attn_implementation="eager", class_token_slip=True
    ).eval()
    output = model(input_ids=expected["input_ids"], **pixels, output_attentions=True)
    found = torch.stack([layer[0, :, -1] for layer in output.attentions])
    close(found, expected["last_token_attention"], "attention, eager")


@torch.inference_mode()
def test_the_read_out_equals_the_published_codes_attention(published, expected, pixels):
    """Every token is a segment of its own, and image features come precomputed, as in extraction."""
    model = AutoModelForImageTextToText.from_pretrained(published, dtype=torch.float32, class_token_slip=True).eval()
    readout.install(model)
    length = expected["input_ids"].shape[1]
    images = {"image": model.get_image_features(**pixels)}
    with readout.reading(torch.arange(length)[None], length, heads=True) as read:
        output = model(input_ids=expected["input_ids"], mm_encoder_outputs=images, logits_to_keep=1)
    close(read.head_attention()[0], expected["last_token_attention"], "attention, read out")
    close(output.logits[0, -1], expected["last_logits"], "logits beside the read-out")


@torch.inference_mode()
def test_without_the_slip_every_image_is_encoded_as_the_published_code_encodes_it_alone(slipping, published, pixels):
    ours = AutoModelForImageTextToText.from_pretrained(published, dtype=torch.float32).eval()
    together = ours.get_image_features(**pixels).pooler_output
    patches = pixels["pixel_values"].split(pixels["image_grid_thw"].prod(-1).tolist())
    for own, grid, features in zip(patches, pixels["image_grid_thw"], together, strict=True):
        (alone,) = slipping.get_image_features(own, grid[None]).pooler_output
        close(features, alone, "features of one image")
    slipped = slipping.get_image_features(**pixels).pooler_output
    assert (slipped[0] - together[0]).abs().max() < TOLERANCE
    assert min((slipped[k] - together[k]).abs().max() for k in (1, 2)) > 0.1


def test_the_published_files_load_without_their_remote_code(published, tmp_path):
    """Also when config.json points to code beside the weights, as the published one does; that code is not there."""
    folder = shutil.copytree(published, tmp_path / "published", copy_function=shutil.copyfile)
    folder.chmod(0o755)
    config = json.loads((folder / "config.json").read_text())
    classes = ("AutoModel", "AutoModelForCausalLM", "AutoModelForImageTextToText")
    config["auto_map"] = {
        "AutoConfig": "configuration_llavaonevision1_5.Llavaonevision1_5Config",
        **dict.fromkeys(classes, "modeling_llavaonevision1_5.LLaVAOneVision1_5_ForConditionalGeneration"),
    }
    (folder / "config.json").write_text(json.dumps(config))
    model = AutoModelForImageTextToText.from_pretrained(folder)
    assert type(model) is LLaVAOneVision1_5_ForConditionalGeneration
    assert not [name for name in sys.modules if name.endswith("modeling_llavaonevision1_5")]
    tensors = load_file(published / "model.safetensors")
    assert tensors.keys() == model.state_dict().keys()
    assert all(torch.equal(tensors[name], own) for name, own in model.state_dict().items())


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return architectures.build("llava_onevision15", tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="module")
def model(checkpoint):
    return AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32).eval()


GRIDS = torch.tensor([[1, 4, 6], [1, 2, 2], [1, 6, 4]])


@pytest.fixture
def patches() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(int(grid.prod()), 3 * 14 * 14, generator=generator) for grid in GRIDS]


def encode(model, patches) -> tuple[torch.Tensor, ...]:
    with torch.inference_mode():
        return model.get_image_features(torch.cat(patches), GRIDS).pooler_output


def test_an_image_sees_no_other(model, patches):
    before = encode(model, patches)
    after = encode(model, [patches[0], patches[1] + 1, patches[2]])
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[2], after[2])
    assert not torch.allclose(before[1], after[1], atol=1e-2)


def test_class_tokens_leave_no_feature_but_a_trace(model, patches):
    """One feature for every four patches, and another class token changes them."""
    before = encode(model, patches)
    assert [len(own) for own in before] == [6, 1, 6]
    kept = model.visual.class_embedding.data
    # Other directions: a constant would go in the LayerNorm.
    model.visual.class_embedding.data = kept.flip(0)
    after = encode(model, patches)
    model.visual.class_embedding.data = kept
    assert all((one - other).abs().max() > 1e-3 for one, other in zip(before, after, strict=True))


@pytest.fixture(scope="module")
def mixing_free(checkpoint):
    """The model with attention and MLPs that add nothing: a feature is a function of its own four patches."""
    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32).eval()
    for block in model.visual.blocks:
        for part in (block.attn.proj, block.mlp.fc2):
            part.weight.data.zero_()
            part.bias.data.zero_()
    return model


@pytest.mark.parametrize("feature", range(6))
def test_a_feature_is_a_square_of_two_by_two_patches_as_the_processor_orders_them(mixing_free, checkpoint, feature):
    """A picture of 2 x 3 such squares; one of them is lit."""
    row, column = divmod(feature, 3)
    dark = np.zeros((56, 84, 3), np.uint8)
    lit = dark.copy()
    lit[28 * row : 28 * (row + 1), 28 * column : 28 * (column + 1)] = 255
    processor = load_processor(checkpoint).image_processor
    found = []
    for pixels in (dark, lit):
        shown = processor([Image.fromarray(pixels)], return_tensors="pt")
        assert shown["image_grid_thw"].tolist() == [[1, 4, 6]]
        with torch.inference_mode():
            found += mixing_free.get_image_features(**shown).pooler_output
    changed = (found[0] - found[1]).abs().amax(1) > 1e-4
    assert changed.nonzero().flatten().tolist() == [feature]


def test_row_and_column_of_a_patch_turn_its_attention(model):
    """A picture and its mirror images have other features, in whatever order."""
    generator = torch.Generator().manual_seed(1)
    blocks = torch.randn(2, 2, 4, 3 * 14 * 14, generator=generator)
    seen = []
    for changed in (blocks, blocks.flip(0), blocks.flip(1)):
        with torch.inference_mode():
            (features,) = model.get_image_features(changed.flatten(0, 2), torch.tensor([[1, 4, 4]])).pooler_output
        seen.append(features.sum(0))
    assert (seen[0] - seen[1]).abs().max() > 1e-3
    assert (seen[0] - seen[2]).abs().max() > 1e-3
    assert (seen[1] - seen[2]).abs().max() > 1e-3


def prompt(model, counts) -> torch.Tensor:
    image = model.config.image_token_id
    return torch.tensor([[5, 6, *(token for n in counts for token in (7, *[image] * n, 8)), 9, 10]])


@torch.inference_mode()
def test_features_given_are_features_computed(model, patches):
    images = encode(model, patches)
    token_ids = prompt(model, [len(own) for own in images])
    computed = model(input_ids=token_ids, pixel_values=torch.cat(patches), image_grid_thw=GRIDS)
    features = model.get_image_features(torch.cat(patches), GRIDS)
    given = model(input_ids=token_ids, mm_encoder_outputs={"image": features})
    assert torch.equal(computed.logits, given.logits)


@torch.inference_mode()
def test_a_cached_step_equals_the_whole_prompt(model, patches):
    images = {"image": model.get_image_features(torch.cat(patches), GRIDS)}
    token_ids = prompt(model, [6, 1, 6])
    whole = model(input_ids=token_ids, mm_encoder_outputs=images)
    cache = model(input_ids=token_ids[:, :-2], mm_encoder_outputs=images, use_cache=True).past_key_values
    step = model(input_ids=token_ids[:, -2:], past_key_values=cache, logits_to_keep=torch.tensor([1]))
    torch.testing.assert_close(step.logits[:, 0], whole.logits[:, -1], atol=1e-5, rtol=0)


def test_as_many_features_as_image_tokens(model, patches):
    with pytest.raises(ValueError, match="the prompt has 5 image tokens, its images have 13 features"):
        model(input_ids=prompt(model, [5]), pixel_values=torch.cat(patches), image_grid_thw=GRIDS)


def test_a_video_is_refused(model, patches):
    with pytest.raises(ValueError, match="grids must have one frame"):
        model.get_image_features(torch.cat([patches[0], patches[0]]), torch.tensor([[2, 4, 6]]))


def test_saved_and_loaded_again_it_is_the_same(model, patches, tmp_path):
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model_type"] == "llavaonevision1_5"
    assert config["architectures"] == ["LLaVAOneVision1_5_ForConditionalGeneration"]
    assert config["text_config"]["model_type"] == "LLaVAOneVision1_5_text"
    again = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert again.config.to_dict() == AutoConfig.from_pretrained(tmp_path).to_dict()
    assert again.state_dict().keys() == load_file(tmp_path / "model.safetensors").keys()
    for one, other in zip(encode(model, patches), encode(again.eval(), patches), strict=True):
        assert torch.equal(one, other)


def test_fresh_weights_are_finite_and_not_all_alike(checkpoint):
    """Parameters of the tower's own get values of their own, not what memory held."""
    config = AutoConfig.from_pretrained(checkpoint)
    tower = AutoModelForImageTextToText.from_config(config).visual
    for weights in (tower.class_embedding, tower.class_pos_emb):
        assert 0.02 < weights.std() < 1


@pytest.mark.parametrize(
    ("name", "renamed", "reason"),
    [
        ("visual.class_pos_emb", None, r"1 tensors of the checkpoint are missing \(visual\.class_pos_emb\)"),
        ("lm_head.weight", None, r"1 tensors of the checkpoint are missing \(lm_head\.weight\)"),
        ("visual.pre_layernorm.bias", "visual.norm.bias", r"are missing \(visual\.pre_layernorm\.bias\)"),
        (None, "visual.extra", r"1 tensors of the checkpoint are unexpected \(visual\.extra\)"),
    ],
)
def test_tensors_that_are_not_the_models_are_refused_by_name(checkpoint, tmp_path, name, renamed, reason):
    """Transformers itself would warn and go on with random weights."""
    folder = shutil.copytree(checkpoint, tmp_path / "incomplete")
    tensors = load_file(folder / "model.safetensors")
    taken = tensors.pop(name) if name else torch.zeros(2)
    if renamed:
        tensors[renamed] = taken
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=reason):
        AutoModelForImageTextToText.from_pretrained(folder)


def test_the_processor_is_qwens_with_a_temporal_patch_of_one(checkpoint):
    """As the published preprocessor_config.json says; its max_pixels win over its size."""
    processor = load_processor(checkpoint)
    assert type(processor).__name__ == "Qwen2_5_VLProcessor"
    assert processor.image_processor.temporal_patch_size == 1
    assert processor.image_processor.size["longest_edge"] == 112 * 112
    shown = processor(text=[processor.image_token], images=[[Image.new("RGB", (56, 56))]], return_tensors="pt")
    assert shown["pixel_values"].shape == (16, 3 * 14 * 14)
    assert shown["image_grid_thw"].tolist() == [[1, 4, 4]]


def test_positions_are_places_whether_text_or_image(checkpoint):
    """No multimodal positions: extraction hands over none, and a cached step counts on from the prompt's length."""
    backbone = load_backbone(checkpoint)
    assert backbone.position_arguments == frozenset()
    assert not hasattr(backbone.model.base_model, "rope_deltas")


def test_importing_registers_the_model_type():
    config = AutoConfig.for_model("llavaonevision1_5")
    assert (
        modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING[type(config)] is LLaVAOneVision1_5_ForConditionalGeneration
    )
    assert processing_auto.PROCESSOR_MAPPING[type(config)].__name__ == "Qwen2_5_VLProcessor"
