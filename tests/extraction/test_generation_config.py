"""Processed logits and texts are those of transformers' `generate` for every field of a generation config, or refused.

The model is tiny, with random weights; the config is what the checkpoint's generation_config.json would say.
"""

from pathlib import Path
from typing import Any

import plain
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, GenerationConfig

from benchmarks import architectures
from lad.extraction.backbone import BackboneError, load_backbone
from lad.extraction.batch import collate
from lad.extraction.forward import answer_trie, read_batch
from lad.extraction.generation_config import forbidding_fields, logits_processor, refuse_other_ways
from lad.extraction.inputs import encode, prepare
from lad.extraction.prompt_tokens import PromptBuilder
from lad.extraction.prompts import PROBES, Generation

ASKED = PROBES["cot"]
CAPTION = "a red circle"
NEW_TOKENS = 8
TEXT = Generation(new_tokens=NEW_TOKENS)

HONOURED: dict[str, list[Any]] = {
    "bad_words_ids": [[[5], [17, 3]]],
    "begin_suppress_tokens": [[7, 9]],
    "exponential_decay_length_penalty": [(2, 1.5)],
    "forced_bos_token_id": [4],
    "forced_eos_token_id": [6],
    "max_length": [400],
    "max_new_tokens": [3],
    "min_length": [200],
    "min_new_tokens": [20],
    "no_repeat_ngram_size": [1, 2],
    "remove_invalid_values": [True],
    "renormalize_logits": [True],
    "repetition_penalty": [1.0, 1.5],
    "sequence_bias": [[[[5], -4.0], [[17, 3], 2.0]]],
    "suppress_tokens": [[11, 12, 13]],
    "watermarking_config": [{"greenlist_ratio": 0.5, "bias": 4.0, "seeding_scheme": "lefthash", "context_width": 1}],
}
REFUSED: dict[str, Any] = {
    "guidance_scale": 1.5,
    "encoder_repetition_penalty": 1.2,
    "encoder_no_repeat_ngram_size": 3,
}
REFUSED_OF_TEXTS: dict[str, Any] = {
    "num_beams": 4,
    "num_beam_groups": 2,
    "penalty_alpha": 0.6,
    "constraints": [1],
    "force_words_ids": [[3]],
    "dola_layers": "high",
    "prompt_lookup_num_tokens": 3,
    "assistant_early_exit": 2,
    "use_mtp": True,
    "stop_strings": ["stop"],
    "max_time": 3.0,
    "token_healing": True,
    "num_return_sequences": 2,
}
# `do_sample` and what only matters with it; here chance is drawn otherwise, and only by probes that ask for it.
OF_CHANCE = {
    *("do_sample", "temperature", "top_h", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"),
}
OF_REFUSED = {"diversity_penalty", "early_stopping", "length_penalty", "low_memory", "max_matching_ngram_size"}
OF_SPEED_AND_FORM = {
    *("_from_model_config", "assistant_confidence_threshold", "assistant_ensemble_weight", "assistant_lookbehind"),
    *("bos_token_id", "cache_config", "cache_implementation", "compile_config", "continuous_batching_config"),
    *("decoder_start_token_id", "disable_compile", "eos_token_id", "is_assistant", "max_cache_len"),
    *("num_assistant_tokens", "num_assistant_tokens_schedule", "output_attentions", "output_hidden_states"),
    *("output_logits", "output_scores", "pad_token_id", "prefill_chunk_size", "return_dict_in_generate"),
    *("speculation_type", "target_lookbehind", "transformers_version", "use_cache"),
}


class Model:
    """One presentation of two pictures, asked of our model and of transformers'."""

    def __init__(self, folder: Path):
        path = architectures.build("qwen2_5_vl", folder)
        self.backbone = load_backbone(path)
        self.eager = AutoModelForImageTextToText.from_pretrained(path, attn_implementation="eager").eval()
        pictures = [Image.effect_noise((56, 56), 90).convert("RGB") for _ in range(2)]
        for k, picture in enumerate(pictures):
            picture.save(folder / f"{k}.png")
        encoded = encode(self.backbone, [prepare(self.backbone, folder / f"{k}.png") for k in range(2)])
        prompt = PromptBuilder(self.backbone, ASKED)(CAPTION, [image.placeholder for image in encoded])
        self.batch = collate([prompt], [encoded])
        self.inputs = plain.model_inputs(self.backbone, ASKED, plain.Presentation(CAPTION, pictures, 2))

    def configure(self, monkeypatch, **fields):
        given = self.backbone.model.generation_config.to_dict() | fields
        for model in (self.backbone.model, self.eager):
            monkeypatch.setattr(model, "generation_config", GenerationConfig.from_dict(dict(given)))

    def written(self) -> str:
        trie = answer_trie(self.backbone, ASKED.identifiers(2))
        return read_batch(self.backbone, self.batch, trie, generation=TEXT).texts[0][0].text

    @torch.inference_mode()
    def generated(self, **options):
        return self.eager.generate(
            **self.inputs,
            do_sample=False,
            output_scores=True,
            output_logits=True,
            return_dict_in_generate=True,
            **options,
        )


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Model:
    return Model(tmp_path_factory.mktemp("model"))


def test_every_field_of_a_generation_config_is_honoured_refused_or_without_effect():
    groups = [HONOURED, REFUSED, REFUSED_OF_TEXTS, OF_CHANCE, OF_REFUSED, OF_SPEED_AND_FORM]
    assert sorted(field for group in groups for field in group) == sorted(GenerationConfig().to_dict())


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in HONOURED.items() for value in values])
def test_logits_and_texts_are_those_of_generate(model, monkeypatch, field, value):
    model.configure(monkeypatch, **{field: value})
    prompt = model.inputs["input_ids"]
    told = model.generated(max_new_tokens=NEW_TOKENS)
    answer = told.sequences[0, prompt.shape[1] :]
    assert model.written() == model.backbone.tokenizer.decode(answer, skip_special_tokens=True)
    process = logits_processor(model.backbone, prompt=prompt, generation=TEXT)
    for step in range(len(answer)):
        tokens = told.sequences[:, : prompt.shape[1] + step]
        assert torch.equal(process(tokens, told.logits[step].float().clone()), told.scores[step])
    # Where no text is written, the first logits are processed as `generate` does it without being told a length.
    alone = logits_processor(model.backbone, prompt=prompt, generation=None)
    assert torch.equal(alone(prompt, told.logits[0].float().clone()), model.generated().scores[0])


def test_most_of_these_fields_change_the_logits_or_the_text(model, monkeypatch):
    """Otherwise the test above says little."""

    def outcome():
        told = model.generated(max_new_tokens=NEW_TOKENS)
        return [*told.scores, told.sequences]

    usual, without_effect = outcome(), set()
    for field, values in HONOURED.items():
        for value in values:
            with monkeypatch.context() as patch:
                model.configure(patch, **{field: value})
                changed = outcome()
            if len(changed) == len(usual) and all(map(torch.equal, changed, usual)):
                without_effect.add(field)
    # Lengths are set by who asks; a prompt is longer than the one token behind which a first one is forced; no logit
    # is invalid.
    assert without_effect == {"max_length", "max_new_tokens", "forced_bos_token_id", "remove_invalid_values"}


@pytest.mark.parametrize("field", [*REFUSED, *REFUSED_OF_TEXTS])
def test_what_generate_would_do_otherwise_is_refused_by_name(model, monkeypatch, field):
    value = (REFUSED | REFUSED_OF_TEXTS)[field]
    refuse_other_ways(model.backbone, TEXT)
    monkeypatch.setattr(model.backbone.model.generation_config, field, value, raising=False)
    with pytest.raises(BackboneError, match=rf"its generation config sets {field} = .*take {field} out of its"):
        refuse_other_ways(model.backbone, TEXT)
    if field in REFUSED:
        with pytest.raises(BackboneError, match=rf"its generation config sets {field}"):
            refuse_other_ways(model.backbone, None)
    else:
        refuse_other_ways(model.backbone, None)


@pytest.mark.parametrize(("field", "value"), [("guidance_scale", 1), ("num_beams", 1), ("max_time", None)])
def test_a_value_that_means_nothing_is_no_reason_to_refuse(model, monkeypatch, field, value):
    monkeypatch.setattr(model.backbone.model.generation_config, field, value, raising=False)
    refuse_other_ways(model.backbone, TEXT)


def test_the_fields_that_can_forbid_an_identifier_are_known(model, monkeypatch):
    assert forbidding_fields(model.backbone) == []
    model.configure(monkeypatch, suppress_tokens=[3], no_repeat_ngram_size=2)
    assert forbidding_fields(model.backbone) == ["no_repeat_ngram_size", "suppress_tokens"]
