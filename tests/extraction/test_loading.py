"""What is bound to fail is refused before weights are read, in one line; and settings of image processors."""

import json
import shutil
import struct
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForImageTextToText, CLIPConfig

from benchmarks import architectures
from lad.cli.arguments import scalar
from lad.extraction import backbone as loading
from lad.extraction import checkpoint, main_memory
from lad.extraction.backbone import BackboneError, library_versions, load_backbone
from lad.extraction.inputs import prepare
from lad.extraction.prompt_tokens import PromptBuilder
from lad.extraction.prompts import PROBES


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    return architectures.build("qwen2_5_vl", tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture
def folder(built, tmp_path) -> Path:
    return shutil.copytree(built, tmp_path / "checkpoint")


@pytest.fixture(scope="module")
def several(built, tmp_path_factory) -> Path:
    """The same checkpoint in several weight files."""
    folder = shutil.copytree(built, tmp_path_factory.mktemp("several") / "checkpoint")
    (folder / "model.safetensors").unlink()
    AutoModelForImageTextToText.from_pretrained(built).save_pretrained(folder, max_shard_size="100KB")
    assert len(list(folder.glob("*.safetensors"))) > 2
    return folder


@pytest.fixture
def sharded(several, tmp_path) -> Path:
    return shutil.copytree(several, tmp_path / "sharded")


@pytest.fixture
def unread(monkeypatch):
    """Fails the test where weights are read all the same."""

    def read(*args, **kwargs):
        raise AssertionError("weights were read")

    monkeypatch.setattr(AutoModelForImageTextToText, "from_pretrained", read)


def refusal(folder: Path, **options) -> str:
    with pytest.raises(BackboneError) as caught:
        load_backbone(folder, **options)
    (line,) = str(caught.value).splitlines()
    return line


def change(folder: Path, **settings) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


def test_a_checkpoint_in_several_files_is_the_one_in_one_file(built, several):
    one, other = (load_backbone(folder).model.state_dict() for folder in (built, several))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.usefixtures("unread")
def test_a_missing_weight_file_is_refused_by_name(sharded):
    lost = sorted(sharded.glob("*.safetensors"))[1]
    lost.unlink()
    line = refusal(sharded)
    assert f"weight files are missing ({lost.name})" in line
    assert "model.safetensors.index.json names" in line


@pytest.mark.usefixtures("unread")
def test_a_weight_file_that_was_cut_short_is_refused_by_name(sharded):
    cut = sorted(sharded.glob("*.safetensors"))[1]
    cut.write_bytes(cut.read_bytes()[:-100])
    size = cut.stat().st_size
    assert f"{cut}: has {size} of {size + 100} bytes" in refusal(sharded)
    cut.write_text("<html>not found</html>")
    assert f"{cut}: is no safetensors file" in refusal(sharded)


@pytest.mark.usefixtures("unread")
def test_a_model_that_does_not_answer_in_text_is_refused(folder):
    """CLIP has a processor for images and text, and no words."""
    CLIPConfig(architectures=["CLIPModel"]).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": "CLIPImageProcessor"}))
    assert "model type 'clip' (CLIPModel) writes no text; use a checkpoint of an LLM" in refusal(folder)


@pytest.mark.usefixtures("unread")
def test_weights_of_another_architecture_are_refused(folder):
    change(folder, architectures=["Qwen2_5_VLForSequenceClassification"])
    line = refusal(folder)
    assert "names architecture Qwen2_5_VLForSequenceClassification" in line
    assert "Qwen2_5_VLForConditionalGeneration is needed" in line


def write_vast_tensor(file: Path, elements: int) -> None:
    """A safetensors file of one float32 tensor of that many elements, as a file that takes no room on the disk."""
    header = json.dumps({"vast": {"dtype": "F32", "shape": [elements], "data_offsets": [0, 4 * elements]}}).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header)
    with file.open("r+b") as data:
        data.truncate(8 + len(header) + 4 * elements)


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(("dtype", "figure"), [("float32", "4398.05 GB"), ("bfloat16", "2199.02 GB")])
def test_weights_that_do_not_fit_are_refused_with_both_figures(folder, dtype, figure):
    """Four tebibytes of weights, by their file's header."""
    try:
        write_vast_tensor(folder / "model.safetensors", 2**40)
    except OSError as error:
        pytest.skip(f"the file system takes no sparse file of 4 TiB ({error})")
    there = main_memory.available_bytes() / 1e9
    line = refusal(folder, dtype=dtype)
    assert f"its weights take {figure} in {dtype}, main memory has" in line
    told = float(line.split("main memory has ")[1].split(" GB")[0])
    assert told == pytest.approx(there, abs=0.5)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "llava_onevision15", "gemma3"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_bytes_foretold_are_those_of_the_weights_loaded(tmp_path, family, dtype):
    folder = architectures.build(family, tmp_path)
    kind = getattr(torch, dtype)
    foretold = checkpoint.weight_bytes(folder, AutoConfig.from_pretrained(folder), kind)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=kind)
    assert foretold == sum(weights.nbytes for weights in model.parameters())


def test_tensors_that_are_missing_or_of_another_shape_are_refused_by_name(folder):
    """Whatever the family: transformers would go on with random weights in their place."""
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("layers.1.mlp.up_proj.weight"))
    taken = tensors.pop(name)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    line = refusal(folder)
    assert "1 tensors are missing (" in line
    assert "layers.1.mlp.up_proj.weight" in line
    save_file(tensors | {name: taken[1:].contiguous()}, folder / "model.safetensors", {"format": "pt"})
    line = refusal(folder)
    assert "1 tensors have another shape (" in line
    assert "layers.1.mlp.up_proj.weight (47, 32) instead of (48, 32)" in line


def test_code_beside_the_weights_is_neither_run_nor_asked_about(folder):
    change(folder, model_type="of_their_own", auto_map={"AutoConfig": "theirs.Config"})
    (folder / "theirs.py").write_text("raise SystemExit('ran')")
    assert "contains custom code" in refusal(folder)


def test_float32_is_not_tf32_on_a_gpu(built):
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    load_backbone(built)
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


@pytest.fixture(scope="module")
def internvl(tmp_path_factory) -> Path:
    return architectures.build("internvl", tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("pictures") / "wide.png"
    Image.effect_noise((224, 112), 100).convert("RGB").save(file)
    return file


@pytest.mark.parametrize("options", [{"max_patches": 1}, {"crop_to_patches": False}])
def test_internvl_shows_a_wide_picture_in_tiles_or_as_one(internvl, wide, options):
    """Two tiles and a thumbnail of four tokens each, unless told otherwise; prompts follow."""
    tiled, whole = load_backbone(internvl), load_backbone(internvl, processor_options=options)
    lengths = []
    for backbone, tiles in ((tiled, 3), (whole, 1)):
        prepared = prepare(backbone, wide)
        assert len(prepared.tensors["pixel_values"]) == tiles
        prompt = PromptBuilder(backbone, PROBES["vanilla"])("a boat", [prepared.placeholder] * 2)
        assert prompt.candidate_tokens == (4 * tiles, 4 * tiles)
        lengths.append(len(prompt.token_ids))
    assert lengths[0] == lengths[1] + 2 * 4 * 2
    assert "processor_options" not in tiled.describe()
    assert whole.describe()["processor_options"] == options


def test_a_limit_of_pixels_shrinks_pictures(built, wide):
    """Qwen's processor keeps it as a part of `size`."""
    free, limited = load_backbone(built), load_backbone(built, processor_options={"max_pixels": 56 * 56})
    assert prepare(free, wide).tensors["image_grid_thw"].tolist() == [[1, 4, 10]]
    assert prepare(limited, wide).tensors["image_grid_thw"].tolist() == [[1, 2, 4]]


@pytest.mark.usefixtures("unread")
def test_an_unknown_setting_is_refused_with_those_there_are(internvl):
    line = refusal(internvl, processor_options={"tiles": 1})
    assert "has no processor option 'tiles'; it has" in line
    assert "crop_to_patches, " in line
    assert "max_patches, min_patches" in line


@pytest.mark.usefixtures("unread")
def test_a_setting_of_the_wrong_kind_is_refused(internvl):
    line = refusal(internvl, processor_options={"max_patches": "one"})
    assert "cannot work with processor options {'max_patches': 'one'}" in line
    assert "expected int" in line


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("0.5", 0.5), ("true", True), ("False", False), ("bilinear", "bilinear"), ("[1]", "[1]")],
)
def test_a_setting_on_the_command_line_is_what_it_spells(text, value):
    """The workflow writes Python's True and False."""
    found = scalar(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("there", [True, False])
def test_torchvision_is_told_where_it_is_there_as_pictures_are_resized_by_it(monkeypatch, there):
    """Finished work is found by these versions, and torchvision's pixels are not Pillow's."""
    monkeypatch.setattr(loading, "is_torchvision_available", lambda: there)
    monkeypatch.setattr(loading.importlib.metadata, "version", lambda name: f"{name} 1")
    assert (library_versions().get("torchvision") == "torchvision 1") is there
