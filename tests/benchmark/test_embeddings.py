"""Embeddings from a checkpoint's own vision tower and token embeddings."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText

from lad import tables
from lad.benchmark import BenchmarkError
from lad.benchmark.coco import read_images
from lad.benchmark.embeddings import embed
from lad.extraction.backbone import BackboneError, load_processor


def vectors(embeddings, column):
    return np.array(embeddings[column].to_pylist())


def test_every_image_and_caption_has_a_vector_of_length_one(scene_images, scene_embeddings):
    tables.conform(scene_embeddings, tables.EMBEDDINGS, "embeddings")
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
    some = embed(scene_images.slice(30, 5), scene_folder / "images", "vision_tower", checkpoint)
    for column in ("image_embedding", "caption_embedding"):
        assert vectors(some, column) == pytest.approx(vectors(scene_embeddings, column)[30:35], abs=1e-5)


def test_pictures_of_shared_objects_are_nearer_than_others(scene_images, scene_embeddings):
    categories = [set(own) for own in scene_images["category_ids"].to_pylist()]
    shared = np.array([[len(a & b) for b in categories] for a in categories])
    cosines = vectors(scene_embeddings, "image_embedding") @ vectors(scene_embeddings, "image_embedding").T
    assert cosines[shared == 1].mean() > cosines[shared == 0].mean()


def test_photographs_of_any_size_are_embedded(real_coco, checkpoint):
    images = read_images(real_coco / "captions_val2014_subset.json", real_coco / "images").slice(0, 5)
    embeddings = embed(images, real_coco / "images", "vision_tower", checkpoint)
    assert len(tables.conform(embeddings, tables.EMBEDDINGS, "embeddings")) == 5


def test_an_unknown_backend_lists_those_there_are(scene_images, scene_folder):
    with pytest.raises(BenchmarkError, match="unknown embedding backend 'clap'; known: vision_tower"):
        embed(scene_images, scene_folder / "images", "clap", "anywhere")


def test_a_checkpoint_that_does_not_exist_is_named(scene_images, scene_folder, tmp_path):
    with pytest.raises(BackboneError, match="no-model"):
        embed(scene_images, scene_folder / "images", "vision_tower", tmp_path / "no-model")


def test_a_picture_that_cannot_be_decoded_is_named(write_coco, checkpoint):
    captions, folder = write_coco({1: ["one"], 2: ["two"]})
    (folder / "2.png").write_bytes(b"no picture")
    with pytest.raises(BenchmarkError, match=r"2\.png: cannot be decoded"):
        embed(read_images(captions, folder), folder, "vision_tower", checkpoint)
