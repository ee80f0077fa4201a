"""Prompts and image features are exactly what the processor and the model would make of a whole presentation."""

import plain
import pyarrow as pa
import pytest
import torch
from PIL import Image

from lad.extraction import inputs
from lad.extraction.extract import extract
from lad.extraction.inputs import InputError, PromptBuilder, collate, encode_images, open_image
from lad.extraction.prompts import PROBES, get_probe


@pytest.fixture(scope="module")
def shown(backbone, images, scenes, asked):
    questions, presentations = asked(4)
    plainly = plain.presentations(images, scenes / "images", questions, presentations)
    paths = {row["image_id"]: scenes / "images" / row["file_name"] for row in images.to_pylist()}
    encoded = encode_images(backbone, paths)
    candidates = dict(zip(questions["question_id"].to_pylist(), questions["candidates"].to_pylist(), strict=True))
    rows = [[encoded[candidates[row["question_id"]][k - 1]] for k in row["order"]] for row in presentations.to_pylist()]
    return plainly, rows


@pytest.mark.parametrize("probe", PROBES)
def test_the_prompt_has_the_processors_tokens(backbone, shown, probe):
    build = PromptBuilder(backbone, PROBES[probe])
    for plainly, encoded in zip(*shown, strict=True):
        expected = plain.model_inputs(backbone, PROBES[probe], plainly)["input_ids"][0].cpu()
        assert build(plainly.caption, encoded).token_ids.equal(expected)


def test_every_image_has_its_tokens_and_two_delimiters(backbone, shown):
    plainly, encoded = shown[0][0], shown[1][0]
    prompt = PromptBuilder(backbone, PROBES["vanilla"])(plainly.caption, encoded)
    inputs_ = plain.model_inputs(backbone, PROBES["vanilla"], plainly)
    config = backbone.model.config
    for k, span in enumerate(plain.image_spans(inputs_, backbone.image_token_id, 4)):
        assert (prompt.segments == k).nonzero().flatten().tolist() == span
        before, after = (prompt.segments == 4 + k).nonzero().flatten().tolist()
        assert (before, after) == (span[0] - 1, span[-1] + 1)
        assert prompt.token_ids[before] == config.vision_start_token_id
        assert prompt.token_ids[after] == config.vision_end_token_id
    assert prompt.image_tokens == (4, 4, 4, 4)


def test_features_equal_those_of_the_whole_presentation(backbone, shown):
    plainly, encoded = shown[0][0], shown[1][0]
    whole = plain.model_inputs(backbone, PROBES["vanilla"], plainly)
    with torch.inference_mode():
        expected = backbone.model.get_image_features(
            whole["pixel_values"], whole["image_grid_thw"], return_dict=True
        ).pooler_output
    for image, features in zip(encoded, expected, strict=True):
        assert torch.allclose(image.features, features, atol=1e-5)


def test_each_image_is_decoded_once_however_often_it_is_shown(extracted, monkeypatch):
    opened = []
    monkeypatch.setattr(inputs, "open_image", lambda path, size: opened.append(path) or open_image(path, size))
    signals, metadata = extracted(4)
    assert len(opened) == len(set(opened)) == metadata["images"] < 4 * len(signals)


def test_prompts_of_different_lengths_are_padded_on_the_left(backbone, shown):
    build = PromptBuilder(backbone, PROBES["vanilla"])
    short, long = build("a cat", shown[1][0]), build("a cat beside a much longer caption", shown[1][0])
    batch = collate([short, long], [shown[1][0], shown[1][0]], pad_token_id=5)
    padding = len(long.token_ids) - len(short.token_ids)
    assert batch.attention_mask[0, :padding].sum() == 0
    assert batch.token_ids[0, padding:].equal(short.token_ids)
    assert batch.segments[0, :padding].eq(8).all()
    assert collate([short, short], [shown[1][0]] * 2, pad_token_id=5).attention_mask is None


def test_an_image_is_opened_as_a_viewer_shows_it(tmp_path):
    picture = Image.new("RGB", (40, 20), "white")
    picture.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 270 degrees to show
    picture.save(tmp_path / "rotated.png", exif=exif)
    Image.new("L", (9, 9)).save(tmp_path / "grey.png")
    Image.new("CMYK", (9, 9)).save(tmp_path / "cmyk.jpg")
    assert open_image(tmp_path / "rotated.png", None).size == (20, 40)
    assert open_image(tmp_path / "grey.png", None).mode == "RGB"
    assert open_image(tmp_path / "cmyk.jpg", None).mode == "RGB"
    assert open_image(tmp_path / "grey.png", 336).size == (336, 336)


def test_a_missing_or_truncated_image_is_named(tmp_path, scenes):
    with pytest.raises(InputError, match=r"absent\.png: image missing"):
        open_image(tmp_path / "absent.png", None)
    whole = next((scenes / "images").iterdir()).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.png: cannot be decoded"):
        open_image(tmp_path / "cut.png", None)


def test_a_presentation_of_an_unknown_question_or_image_is_named(backbone, images, scenes, asked):
    questions, presentations = asked(4)
    common = {"backbone": backbone, "probe": get_probe("vanilla"), "image_folder": scenes / "images"}
    with pytest.raises(ValueError, match="question scenes-random-n04-e00000 is not in the table"):
        extract(**common, images=images, questions=questions.slice(1, 0), presentations=presentations)
    few: pa.Table = images.slice(0, 1)
    with pytest.raises(ValueError, match=r"image \d+ is not in the images table"):
        extract(**common, images=few, questions=questions, presentations=presentations)
