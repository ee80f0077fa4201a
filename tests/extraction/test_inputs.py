"""Prompts and image features are exactly what the processor and the model would make of a whole presentation."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import plain
import pyarrow as pa
import pytest
import torch
from PIL import Image
from transformers.modeling_outputs import BaseModelOutput

from lad.extraction import inputs
from lad.extraction.batch import collate
from lad.extraction.extract import extract
from lad.extraction.inputs import (
    InputError,
    encode,
    open_image,
    picture_size,
    placeholder,
    prepare,
)
from lad.extraction.prompt_tokens import PromptBuilder
from lad.extraction.prompts import PROBES, get_probe


@pytest.fixture(scope="module")
def shown(backbone, images, scenes, asked):
    """Presentations of four images, and for each its encoded images."""
    questions, presentations = asked(4)
    plainly = plain.presentations(images, scenes / "images", questions, presentations)
    ids = images["image_id"].to_pylist()
    prepared = [prepare(backbone, scenes / "images" / name) for name in images["file_name"].to_pylist()]
    encoded = dict(zip(ids, encode(backbone, prepared), strict=True))
    candidates = dict(zip(questions["question_id"].to_pylist(), questions["candidates"].to_pylist(), strict=True))
    rows = [[encoded[candidates[row["question_id"]][k - 1]] for k in row["order"]] for row in presentations.to_pylist()]
    return plainly, rows


def placeholders(encoded) -> list[str]:
    return [image.placeholder for image in encoded]


@pytest.mark.parametrize("probe", PROBES)
def test_the_prompt_has_the_processors_tokens(backbone, shown, probe):
    build = PromptBuilder(backbone, PROBES[probe])
    for plainly, encoded in zip(*shown, strict=True):
        expected = plain.model_inputs(backbone, PROBES[probe], plainly)["input_ids"][0].cpu()
        assert build(plainly.caption, placeholders(encoded)).token_ids.equal(expected)


def test_every_image_has_its_tokens_and_two_delimiters(backbone, shown):
    plainly, encoded = shown[0][0], shown[1][0]
    prompt = PromptBuilder(backbone, PROBES["vanilla"])(plainly.caption, placeholders(encoded))
    inputs_ = plain.model_inputs(backbone, PROBES["vanilla"], plainly)
    config = backbone.model.config
    for k, span in enumerate(plain.image_spans(inputs_, backbone.image_token_id, 4)):
        assert (prompt.segments == k).nonzero().flatten().tolist() == span
        before, after = (prompt.segments == 4 + k).nonzero().flatten().tolist()
        assert (before, after) == (span[0] - 1, span[-1] + 1)
        assert prompt.token_ids[before] == config.vision_start_token_id
        assert prompt.token_ids[after] == config.vision_end_token_id
    assert prompt.candidate_tokens == (4, 4, 4, 4)


def test_a_caption_that_writes_an_image_token_is_named(backbone, shown):
    build = PromptBuilder(backbone, PROBES["vanilla"])
    with pytest.raises(InputError, match=r"caption 'an <\|image_pad\|> here' has 3 image tokens .* it shows 2 images"):
        build("an <|image_pad|> here", placeholders(shown[1][0])[:2])


def test_features_equal_those_of_the_whole_presentation(backbone, shown):
    plainly, encoded = shown[0][0], shown[1][0]
    whole = plain.model_inputs(backbone, PROBES["vanilla"], plainly)
    with torch.inference_mode():
        expected = backbone.model.get_image_features(
            whole["pixel_values"], whole["image_grid_thw"], return_dict=True
        ).pooler_output
    for image, features in zip(encoded, expected, strict=True):
        assert torch.allclose(image.features.pooler_output[0], features, atol=1e-5)


def test_an_encoded_image_holds_its_own_memory_and_no_more(shown):
    """Not a view into those it was encoded beside: to drop one image frees its memory."""
    image = shown[1][0][0]
    (features,) = image.features.pooler_output
    assert features.untyped_storage().nbytes() == features.nbytes == 4 * 128 * 4
    assert image.nbytes == features.nbytes + image.geometry["image_grid_thw"].nbytes
    assert image.geometry["image_grid_thw"].device.type == "cpu"
    moved = image.to(torch.device("cpu"))
    assert torch.equal(moved.features.pooler_output[0], features.cpu())
    assert moved.placeholder == image.placeholder


def test_each_image_is_decoded_once_however_often_it_is_shown(extracted, monkeypatch):
    opened = []
    monkeypatch.setattr(inputs, "open_image", lambda path, size: opened.append(path) or open_image(path, size))
    signals, metadata = extracted(4)
    assert len(opened) == len(set(opened)) == metadata["images"] < 4 * len(signals)


def test_images_prepared_by_several_threads_are_those_prepared_by_one(backbone, scenes, shown):
    """While another thread writes prompts with the same tokenizer."""
    paths = sorted((scenes / "images").iterdir()) * 4
    expected = [prepare(backbone, path) for path in paths[: len(paths) // 4]] * 4
    build = PromptBuilder(backbone, PROBES["vanilla"])
    with ThreadPoolExecutor(6) as pool:
        prepared = pool.map(lambda path: prepare(backbone, path), paths)
        written = [build(f"caption {k}", placeholders(shown[1][0])) for k in range(100)]
        for found, alone in zip(prepared, expected, strict=True):
            assert found.placeholder == alone.placeholder
            assert found.tensors.keys() == alone.tensors.keys()
            assert all(torch.equal(found.tensors[name], alone.tensors[name]) for name in alone.tensors)
    again = PromptBuilder(backbone, PROBES["vanilla"])
    for k, prompt in enumerate(written):
        assert prompt.token_ids.equal(again(f"caption {k}", placeholders(shown[1][0])).token_ids)


def test_prompts_of_different_lengths_or_numbers_of_images_do_not_share_a_batch(backbone, shown):
    build = PromptBuilder(backbone, PROBES["vanilla"])
    encoded = shown[1][0]
    short, long = (build(c, placeholders(encoded)) for c in ("a cat", "a cat beside a much longer caption"))
    with pytest.raises(ValueError, match="different lengths in one batch"):
        collate([short, long], [encoded, encoded])
    two = replace(short, candidate_tokens=short.candidate_tokens[:2])
    with pytest.raises(ValueError, match="different numbers of candidates in one batch"):
        collate([two, short], [encoded[:2], encoded])
    batch = collate([short, short], [encoded, encoded])
    assert batch.token_ids.shape == batch.segments.shape == (2, len(short.token_ids))
    assert len(batch.images) == 8


def pictures(folder) -> dict[str, tuple[int, int]]:
    """Files of many kinds, with the (width, height) that a viewer shows."""
    wide = Image.new("RGB", (40, 20), "white")
    wide.putpixel((0, 0), (255, 0, 0))
    sizes = {"wide.jpg": (40, 20), "wide.png": (40, 20), "grey.png": (9, 9), "cmyk.jpg": (9, 9)}
    wide.save(folder / "wide.jpg")
    wide.save(folder / "wide.png")
    Image.new("L", (9, 9)).save(folder / "grey.png")
    Image.new("CMYK", (9, 9)).save(folder / "cmyk.jpg")
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for name in (f"turned{orientation}.jpg", f"turned{orientation}.png"):
            wide.save(folder / name, exif=exif)
            sizes[name] = (20, 40) if orientation >= 5 else (40, 20)
    return sizes


def test_an_image_is_opened_as_a_viewer_shows_it(tmp_path):
    for name, size in pictures(tmp_path).items():
        picture = open_image(tmp_path / name, None)
        assert picture.size == size, name
        assert picture.mode == "RGB"
        assert open_image(tmp_path / name, 336).size == (336, 336)


def test_the_size_of_a_picture_is_known_before_it_is_decoded(tmp_path, monkeypatch):
    sizes = pictures(tmp_path)
    for name, size in sizes.items():
        assert picture_size(tmp_path / name, None) == size, name
        assert picture_size(tmp_path / name, 336) == (336, 336)
    monkeypatch.setattr(Image.Image, "convert", lambda *args: pytest.fail("converted"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *args: pytest.fail("decoded"))
    for name in sizes:
        if name.endswith(".jpg"):
            picture_size(tmp_path / name, None)


def test_the_placeholder_follows_from_the_size_alone(backbone, scenes):
    for path in sorted((scenes / "images").iterdir())[:3]:
        assert placeholder(backbone, picture_size(path, backbone.image_size)) == prepare(backbone, path).placeholder


def test_a_missing_or_truncated_image_is_named(tmp_path, scenes):
    for opened in (open_image, picture_size):
        with pytest.raises(InputError, match=r"absent\.png: image missing"):
            opened(tmp_path / "absent.png", None)
    whole = next((scenes / "images").iterdir()).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.png: cannot be decoded"):
        open_image(tmp_path / "cut.png", None)
    (tmp_path / "text.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"text\.png: cannot be decoded"):
        picture_size(tmp_path / "text.png", None)


def test_a_presentation_of_an_unknown_question_or_image_is_named(backbone, images, scenes, asked):
    questions, presentations = asked(4)
    common = {"backbone": backbone, "probe": get_probe("vanilla"), "image_folder": scenes / "images"}
    with pytest.raises(ValueError, match="question scenes-random-n04-e00000 is not in the table"):
        extract(**common, images=images, questions=questions.slice(1, 0), presentations=presentations)
    few: pa.Table = images.slice(0, 1)
    with pytest.raises(ValueError, match=r"image \d+ is not in the images table"):
        extract(**common, images=few, questions=questions, presentations=presentations)


def test_features_that_an_older_transformers_hangs_on_its_output_are_kept(cpu_backbone, scenes, monkeypatch):
    """As 5.17 does in Idefics 3 and others: an attribute of an output that has no such field."""
    prepared = [prepare(cpu_backbone, file) for file in sorted((scenes / "images").iterdir())[:2]]
    expected = encode(cpu_backbone, prepared)
    assert cpu_backbone.vision_arguments
    encoder = cpu_backbone.image_encoder
    own = encoder.get_image_features

    def hanging(**given):
        features = own(**given)
        output = BaseModelOutput(last_hidden_state=features.last_hidden_state)
        output.pooler_output = features.pooler_output
        return output

    monkeypatch.setattr(encoder, "get_image_features", hanging)
    for image, other in zip(encode(cpu_backbone, prepared), expected, strict=True):
        found, wanted = (torch.cat(tuple(features.pooler_output)) for features in (image.features, other.features))
        assert torch.equal(found, wanted)
