"""Embeddings from a checkpoint's own vision tower and token embeddings, and from CLIP and SigLIP."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor
from two_towers import write_clip, write_siglip

from lad import contracts, parquet
from lad.benchmark import BenchmarkError, embeddings
from lad.benchmark.embeddings import embed
from lad.benchmark.formats.coco import read_images
from lad.benchmark.negatives import nearest_allowed
from lad.extraction.backbone import BackboneError, load_processor
from lad.pictures import PictureError


def vectors(embeddings, column):
    return np.array(embeddings[column].to_pylist())


def test_every_image_and_caption_has_a_vector_of_length_one(scene_images, scene_embeddings):
    parquet.conform(scene_embeddings, contracts.EMBEDDINGS, "embeddings")
    assert scene_embeddings["image_id"].to_pylist() == scene_images["image_id"].to_pylist()
    for column in ("image_embedding", "caption_embedding"):
        assert np.linalg.norm(vectors(scene_embeddings, column), axis=1) == pytest.approx(1, abs=1e-6)


def test_an_embedding_is_the_mean_of_what_the_model_makes_of_that_image_and_caption_alone(
    scene_folder, scene_images, scene_embeddings, checkpoint
):
    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32)
    processor = load_processor(checkpoint)
    row = scene_images.to_pylist()[37]
    picture = Image.open(scene_folder / "images" / row["file_name"])
    with torch.no_grad():
        inputs = processor.image_processor(images=[picture], return_tensors="pt")
        tokens = model.get_image_features(**inputs).pooler_output[0].numpy()
        ids = processor.tokenizer(row["caption"], add_special_tokens=False, return_tensors="pt")["input_ids"]
        words = model.get_input_embeddings()(ids)[0].numpy()
    for column, parts in (("image_embedding", tokens), ("caption_embedding", words)):
        expected = parts.mean(axis=0) / np.linalg.norm(parts.mean(axis=0))
        assert vectors(scene_embeddings, column)[37] == pytest.approx(expected, abs=1e-5)


def test_an_embedding_does_not_depend_on_the_other_images(scene_folder, scene_images, scene_embeddings, checkpoint):
    some, _facts = embed(scene_images.slice(30, 5), scene_folder / "images", "vision_tower", checkpoint)
    for column in ("image_embedding", "caption_embedding"):
        assert vectors(some, column) == pytest.approx(vectors(scene_embeddings, column)[30:35], abs=1e-5)


def test_pictures_of_shared_objects_are_nearer_than_others(scene_images, scene_embeddings):
    categories = [set(own) for own in scene_images["category_ids"].to_pylist()]
    shared = np.array([[len(a & b) for b in categories] for a in categories])
    cosines = vectors(scene_embeddings, "image_embedding") @ vectors(scene_embeddings, "image_embedding").T
    assert cosines[shared == 1].mean() > cosines[shared == 0].mean()


def test_photographs_of_any_size_are_embedded(real_coco, checkpoint):
    images = read_images(real_coco / "captions_val2014_subset.json", real_coco / "images").slice(0, 5)
    embedded, _facts = embed(images, real_coco / "images", "vision_tower", checkpoint)
    assert len(parquet.conform(embedded, contracts.EMBEDDINGS, "embeddings")) == 5


def test_an_unknown_backend_lists_those_there_are(scene_images, scene_folder):
    with pytest.raises(BenchmarkError, match="unknown embedding backend 'clap'; known: vision_tower, clip"):
        embed(scene_images, scene_folder / "images", "clap", "anywhere")


def test_a_checkpoint_that_does_not_exist_is_named(scene_images, scene_folder, tmp_path):
    with pytest.raises(BackboneError, match="no-model"):
        embed(scene_images, scene_folder / "images", "vision_tower", tmp_path / "no-model")


def test_a_picture_that_cannot_be_decoded_is_named(write_coco, checkpoint):
    captions, folder = write_coco({1: ["one"], 2: ["two"]})
    (folder / "2.png").write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"1 images cannot be decoded: 2\.png: not a picture"):
        embed(read_images(captions, folder), folder, "vision_tower", checkpoint)


def test_a_picture_of_proportions_that_the_processor_refuses_is_named(write_coco, checkpoint):
    captions, folder = write_coco({1: ["one"], 2: ["two"], 3: ["three"]})
    Image.new("RGB", (3000, 10)).save(folder / "2.png")
    with pytest.raises(BenchmarkError, match=r"2\.png: the processor takes no picture of 3000 x 10 pixels \(.*ratio"):
        embed(read_images(captions, folder), folder, "vision_tower", checkpoint)


@pytest.fixture(scope="module", params=[write_clip, write_siglip], ids=["clip", "siglip"])
def two_towers(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("two_towers"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def pictures(write_coco):
    """Seventy pictures, three batches: an images table and its folder; the text tower knows some of the words."""
    words = ("red circle", "blue square left of a red one", "two of three", "the square above")
    captions, folder = write_coco({k: [f"{words[k % 4]} {words[k // 4 % 4]}"] for k in range(1, 71)})
    for k in range(1, 71):
        noise = np.random.default_rng(k).integers(0, 256, (12, 8 + k % 5, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((40, 30)).save(folder / f"{k}.png")
    return read_images(captions, folder), folder


def test_an_embedding_of_two_towers_is_that_of_a_plain_loop(two_towers, pictures):
    images, folder = pictures
    embedded, _facts = embed(images, folder, "clip", two_towers)
    model, processor = AutoModel.from_pretrained(two_towers), AutoProcessor.from_pretrained(two_towers)
    context = model.config.text_config.max_position_embeddings
    for k, row in enumerate(images.to_pylist()):
        with torch.no_grad(), Image.open(folder / row["file_name"]) as picture:
            seen = model.get_image_features(**processor.image_processor(picture, return_tensors="pt")).pooler_output
            text = {"padding": "max_length", "truncation": True, "max_length": context, "return_tensors": "pt"}
            read = model.get_text_features(**processor.tokenizer(row["caption"], **text)).pooler_output
        for column, own in (("image_embedding", seen[0]), ("caption_embedding", read[0])):
            assert vectors(embedded, column)[k] == pytest.approx((own / own.norm()).numpy(), abs=5e-4)


def test_embeddings_of_two_towers_are_lists_of_fixed_size_in_half_precision_and_stay_so(two_towers, pictures, tmp_path):
    embedded, facts = embed(*pictures, "clip", two_towers, revision="r1")
    parquet.write(embedded, tmp_path / "e.parquet", contracts.EMBEDDINGS, facts)
    again = parquet.read(tmp_path / "e.parquet", contracts.EMBEDDINGS)
    assert again.equals(embedded)
    width = {"clip": 8, "siglip": 16}[AutoModel.from_pretrained(two_towers).config.model_type]
    for column in ("image_embedding", "caption_embedding"):
        assert pa.types.is_fixed_size_list(again[column].type)
        assert (again[column].type.value_type, again[column].type.list_size) == (pa.float16(), width)
    stored = parquet.read_metadata(tmp_path / "e.parquet")
    assert (stored["backend"], stored["model"], stored["revision"]) == ("clip", str(two_towers), "r1")
    assert stored["weights"]


def test_a_caption_is_read_up_to_the_end_of_the_context(clip, write_coco):
    words = "a red circle left of the blue square and one"
    captions, folder = write_coco({1: [words], 2: [f"{words} two three above"], 3: ["two three above"]})
    embedded, _facts = embed(read_images(captions, folder), folder, "clip", clip)
    cut, long, other = vectors(embedded, "caption_embedding")
    assert (cut == long).all()
    assert not np.allclose(cut, other, atol=1e-2)


def test_a_photograph_is_embedded_as_a_viewer_shows_it(clip, write_coco):
    captions, folder = write_coco({1: ["a"], 2: ["a"]})
    upright = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    upright.save(folder / "1.png")
    exif = Image.Exif()
    exif[0x0112] = 8  # shown turned by 90 degrees against the clock
    upright.transpose(Image.Transpose.ROTATE_270).save(folder / "2.png", exif=exif)
    embedded, _facts = embed(read_images(captions, folder), folder, "clip", clip)
    one, other = vectors(embedded, "image_embedding")
    assert (one == other).all()


def test_embedding_goes_on_where_it_was_killed(clip, pictures, tmp_path, monkeypatch):
    images, folder = pictures
    whole, _facts = embed(images, folder, "clip", clip)
    finished = tmp_path / "finished"
    seen = []
    once = embeddings.Clip.pictures

    def counted(self, shown, most):
        if len(seen) == most:
            raise KeyboardInterrupt
        seen.append(len(shown))
        return once(self, shown)

    monkeypatch.setattr(embeddings.Clip, "pictures", lambda self, shown: counted(self, shown, 2))
    with pytest.raises(KeyboardInterrupt):
        embed(images, folder, "clip", clip, finished=finished)
    assert seen == [32, 32]
    seen.clear()
    again, _facts = embed(images, folder, "clip", clip, finished=finished)
    assert seen == [6]
    assert again.equals(whole)
    seen.clear()
    assert embed(images, folder, "clip", clip, finished=finished)[0].equals(whole)
    assert seen == []


def test_a_picture_that_has_changed_is_embedded_again(clip, pictures, tmp_path):
    images, folder = pictures
    before, _facts = embed(images, folder, "clip", clip, finished=tmp_path / "finished")
    Image.new("RGB", (40, 30), "red").save(folder / "3.png")
    after, _facts = embed(images, folder, "clip", clip, finished=tmp_path / "finished")
    moved = (vectors(before, "image_embedding") != vectors(after, "image_embedding")).any(axis=1)
    assert [k + 1 for k in np.flatnonzero(moved)] == [3]


def test_a_batch_that_memory_has_no_room_for_is_embedded_in_parts(clip, pictures, monkeypatch):
    whole, _facts = embed(*pictures, "clip", clip)
    once, sizes = embeddings.Clip.pictures, []

    def need_a_petabyte_for_more_than(most, embedder, shown):
        torch.empty(2**50 if len(shown) > most else 1, dtype=torch.uint8)
        sizes.append(len(shown))
        return once(embedder, shown)

    monkeypatch.setattr(embeddings.Clip, "pictures", lambda *asked: need_a_petabyte_for_more_than(8, *asked))
    halved, _facts = embed(*pictures, "clip", clip)
    assert sizes == [8] * 8 + [6]
    for column in ("image_embedding", "caption_embedding"):
        assert vectors(halved, column) == pytest.approx(vectors(whole, column), abs=1e-3)
    monkeypatch.setattr(embeddings.Clip, "pictures", lambda *asked: need_a_petabyte_for_more_than(0, *asked))
    with pytest.raises(BenchmarkError, match=r"1\.png: there is not enough memory to embed it"):
        embed(*pictures, "clip", clip)


def test_code_beside_two_towers_is_neither_run_nor_asked_about(clip, pictures, tmp_path, monkeypatch):
    folder = shutil.copytree(clip, tmp_path / "checkpoint")
    config = json.loads((folder / "config.json").read_text())
    theirs = {"model_type": "of_their_own", "auto_map": {"AutoConfig": "theirs.Config"}}
    (folder / "config.json").write_text(json.dumps(config | theirs))
    (folder / "theirs.py").write_text("raise SystemExit('ran')")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    with pytest.raises(BackboneError, match="contains custom code"):
        embed(*pictures, "clip", folder)


def test_two_towers_compute_no_tf32_on_a_gpu(clip, pictures):
    torch.backends.cudnn.allow_tf32 = True
    images, folder = pictures
    embed(images.slice(0, 1), folder, "clip", clip)
    assert not torch.backends.cudnn.allow_tf32


def test_undecodable_pictures_are_reported_together_before_the_model_is_loaded(pictures, tmp_path):
    images, folder = pictures
    (folder / "7.png").write_bytes(b"no picture")
    (folder / "9.png").write_bytes((folder / "9.png").read_bytes()[:200])
    with pytest.raises(PictureError, match=r"2 images cannot be decoded: 7\.png: not a picture.*; 9\.png: "):
        embed(images, folder, "clip", tmp_path / "no-model")


def test_a_model_without_two_towers_is_refused(pictures, checkpoint):
    with pytest.raises(BackboneError, match="Qwen2_5_VLModel has no embeddings of images and texts to compare"):
        embed(*pictures, "clip", checkpoint)


def test_a_backend_without_a_checkpoint_of_its_own_asks_for_one(pictures):
    with pytest.raises(BenchmarkError, match="'vision_tower' has no checkpoint of its own; name one"):
        embed(*pictures, "vision_tower")


def test_hard_negatives_are_chosen_from_halves_as_from_the_same_numbers_in_single_precision(clip, pictures):
    images, folder = pictures
    halves, _facts = embed(images, folder, "clip", clip)
    singles = parquet.conform(
        pa.table(
            {
                "image_id": halves["image_id"],
                **{name: pa.array(halves[name].to_pylist()) for name in ("image_embedding", "caption_embedding")},
            }
        ),
        contracts.EMBEDDINGS,
        "singles",
    )
    assert singles["image_embedding"].type == pa.list_(pa.float32())
    chosen = [
        nearest_allowed(own, images, np.arange(1, 71), 3, category_filter="printed", caption_threshold=1.1)
        for own in (halves, singles)
    ]
    assert (chosen[0] == chosen[1]).all()


def test_two_towers_need_no_torchvision(clip, pictures, tmp_path):
    images, folder = pictures
    parquet.write(images.slice(0, 3), tmp_path / "images.parquet", contracts.IMAGES)
    code = (
        "import sys; sys.modules['torchvision'] = None; from lad.cli import main; sys.argv = ['lad', 'embed',"
        f" '--images', '{tmp_path}/images.parquet', '--image-folder', '{folder}', '--backend', 'clip',"
        f" '--checkpoint', '{clip}', '--threads', '1', '--out', '{tmp_path}/e.parquet']; main()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert len(parquet.read(tmp_path / "e.parquet", contracts.EMBEDDINGS)) == 3
