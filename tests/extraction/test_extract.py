"""Signals against the straightforward way: eager attention, whole matrices, one presentation at a time."""

import subprocess
import sys

import numpy as np
import plain
import pytest
import torch

from lad import contracts, parquet
from lad.extraction import EXTRACTOR_VERSION
from lad.extraction.backbone import BackboneError
from lad.extraction.extract import ExtractionError
from lad.extraction.forward import answer_trie
from lad.extraction.inputs import InputError
from lad.extraction.prompts import PROBES


@pytest.fixture(scope="module")
def plainly(images, scenes, asked):
    """The same presentations, each on its own: `plainly(4)`."""

    def shown(n: int) -> list[plain.Presentation]:
        return plain.presentations(images, scenes / "images", *asked(n))

    return shown


@pytest.mark.parametrize(("probe", "n"), [("vanilla", 4), ("vanilla", 12), ("roman", 12), ("ordinal", 8)])
def test_logits_attention_and_probabilities_equal_eager(backbone, eager, extracted, plainly, probe, n):
    signals, _ = extracted(n, probe)
    first_tokens = answer_trie(backbone, PROBES[probe].identifiers(n)).first_tokens
    for row, shown in list(zip(signals.to_pylist(), plainly(n), strict=True))[::2]:
        inputs = plain.model_inputs(backbone, PROBES[probe], shown)
        logits, attention = plain.logits_and_attention(eager, inputs)
        spans = plain.image_spans(inputs, backbone.image_token_id, n)
        own = torch.stack([attention[:, span].sum(-1) for span in spans], -1)
        delimiters = torch.stack([attention[:, [span[0] - 1, span[-1] + 1]].sum(-1) for span in spans], -1)
        joint = plain.joint_log_probability(backbone, eager, PROBES[probe], shown)
        np.testing.assert_allclose(row["identifier_logits"], logits[first_tokens], atol=1e-4)
        np.testing.assert_allclose(row["candidate_attention"], own, atol=1e-5)
        np.testing.assert_allclose(row["delimiter_attention"], delimiters, atol=1e-5)
        np.testing.assert_allclose(row["candidate_logprobs"], joint, atol=1e-3)
        assert row["prompt_tokens"] == inputs["input_ids"].shape[1]


@pytest.mark.parametrize("n", [2, 9, 12])
def test_candidate_probabilities_sum_to_one(extracted, n):
    signals, _ = extracted(n)
    for logprobs in signals["candidate_logprobs"].to_pylist():
        assert np.exp(logprobs).sum() == pytest.approx(1, abs=1e-5)


def test_processed_logits_and_text_are_those_of_generate(backbone, eager, extracted, plainly):
    """The demo model ships a repetition penalty, as Qwen2.5-VL does: processed logits differ from raw ones."""
    signals, _ = extracted(4, answer_text=True)
    first_tokens = answer_trie(backbone, PROBES["vanilla"].identifiers(4)).first_tokens
    for row, shown in list(zip(signals.to_pylist(), plainly(4), strict=True))[::2]:
        inputs = plain.model_inputs(backbone, PROBES["vanilla"], shown)
        generated = eager.generate(
            **inputs, max_new_tokens=4, do_sample=False, output_scores=True, return_dict_in_generate=True
        )
        np.testing.assert_allclose(row["processed_logits"], generated.scores[0][0, first_tokens].cpu(), atol=1e-4)
        told = generated.sequences[0, inputs["input_ids"].shape[1] :]
        assert row["generated_text"] == backbone.processor.tokenizer.decode(told, skip_special_tokens=True)
        assert not np.allclose(row["processed_logits"], row["identifier_logits"], atol=1e-3)


def test_batch_size_and_order_of_work_change_no_number(extracted):
    one, _ = extracted(12, token_budget=1)
    many, _ = extracted(12)
    assert one["presentation_id"].equals(many["presentation_id"])
    for name in ("identifier_logits", "candidate_logprobs", "candidate_attention"):
        np.testing.assert_allclose(np.array(one[name].to_pylist()), np.array(many[name].to_pylist()), atol=1e-4)


def test_the_file_says_how_it_came_to_be(extracted, tmp_path):
    signals, metadata = extracted(2)
    parquet.write(signals, tmp_path / "signals.parquet", contracts.SIGNALS, metadata)
    stored = parquet.read_metadata(tmp_path / "signals.parquet")
    assert stored["extractor_version"] == EXTRACTOR_VERSION
    assert stored["dtype"] == "float32"
    assert stored["generation_config"]["repetition_penalty"] == 1.05
    assert stored["identifiers"] == ["1", "2"]
    assert stored["seconds"] > 0
    assert stored["peak_memory_bytes"] > 0
    assert set(stored["versions"]) - {"torchvision"} == {"torch", "transformers", "tokenizers", "pillow"}


def test_not_a_number_in_the_signals_names_the_presentation(backbone, extracted):
    weight = backbone.model.lm_head.weight
    before = weight.clone()
    with torch.no_grad():
        weight[answer_trie(backbone, ["1", "2"]).first_tokens[0]] = torch.nan
    try:
        with pytest.raises(ExtractionError, match=r"presentation scenes-random-n02-e\S+: identifier_logits holds nan"):
            extracted(2)
    finally:
        with torch.no_grad():
            weight.copy_(before)


def test_an_identifier_that_the_generation_config_forbids_is_told_with_the_field(backbone, extracted, monkeypatch):
    """In float32 too, where nothing overflows."""
    tokens = answer_trie(backbone, ["1", "2"]).first_tokens
    monkeypatch.setattr(backbone.model.generation_config, "suppress_tokens", [int(tokens[1])])
    with pytest.raises(
        ExtractionError, match=r"holds -inf; .*generation config forbids an identifier \(suppress_tokens\)"
    ):
        extracted(2)


def test_what_the_generation_config_asks_for_and_is_not_done_is_refused_before_anything_runs(
    backbone, extracted, monkeypatch
):
    monkeypatch.setattr(backbone.model.generation_config, "guidance_scale", 1.5)
    with pytest.raises(BackboneError, match=r"sets guidance_scale = 1\.5"):
        extracted(2)


def test_images_beyond_the_context_window_are_refused_unless_one_asks_all_the_same(backbone, extracted, monkeypatch):
    within, facts = extracted(12)
    tokens = within["prompt_tokens"][0].as_py()
    monkeypatch.setattr(backbone.model.config.get_text_config(), "max_position_embeddings", tokens - 1)
    with pytest.raises(
        InputError,
        match=rf"presentation scenes-random-n12-\S+ \(\d more are too long as well\): the prompt has \d+ tokens, 4"
        rf" of them of \S+, the model's context window {tokens - 1}; show fewer candidates, smaller images \(image_si",
    ):
        extracted(12)
    beyond, told = extracted(12, beyond_context=True)
    assert beyond["identifier_logits"].equals(within["identifier_logits"])
    assert told["beyond_context"] == sum(length > tokens - 1 for length in beyond["prompt_tokens"].to_pylist())
    assert "beyond_context" not in facts


def test_extraction_needs_neither_duckdb_nor_snakemake_nor_pydantic():
    """Machines with a GPU are often bare."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys("
        "('duckdb', 'snakemake', 'pydantic', 'pycocotools', 'matplotlib'))); import lad.cli, lad.extraction.cell"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
