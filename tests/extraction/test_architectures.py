"""Core families, with random weights, against their own processors and eager attention on whole presentations.

Five images of three sizes, in two orders. Ours prepares and encodes each image on its own and reads both orders in one
batch; the oracle processes and runs each order as a whole, one at a time, and once more for every prefix of an answer.
"""

import itertools
import json
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import plain
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, Qwen2VLForConditionalGeneration, Qwen2VLProcessor
from transformers.models.qwen2_vl import modeling_qwen2_vl

from benchmarks import architectures
from benchmarks.architectures import CORE, FAMILIES
from lad import contracts
from lad.contracts import Keep
from lad.extraction.backbone import Backbone, BackboneError, load_backbone
from lad.extraction.batch import collate
from lad.extraction.candidates import IdentifierTrie
from lad.extraction.forward import answer_trie, read_batch
from lad.extraction.inputs import encode, join_features, placeholder, prepare
from lad.extraction.prompt_tokens import NULL_QUERY, PromptBuilder, TextPromptBuilder
from lad.extraction.prompts import PROBES, Generation
from lad.extraction.texts import noise_stream

PROBE = PROBES["vanilla"]
CAPTION = "a red circle"
SIZES = [(120, 60), (50, 64), (56, 56), (50, 64), (120, 60)]
ORDERS = [(0, 1, 2, 3, 4), (3, 4, 1, 0, 2)]
EVERYTHING = frozenset(get_args(Keep))
ANSWERS = ("1", "12", "121", "21", "22")
"""Identifiers whose open prefixes branch and are up to two tokens long: 1, 2 and 12."""


@dataclass
class Case:
    name: str
    backbone: Backbone
    eager: torch.nn.Module
    paths: list
    prepared: list
    encoded: list

    def presentation(self, order) -> plain.Presentation:
        return plain.Presentation(CAPTION, [Image.open(self.paths[k]) for k in order], len(order))

    def batch(self, keep=()):
        build = PromptBuilder(self.backbone, PROBE, keep)
        prompts = [build(CAPTION, [self.prepared[k].placeholder for k in order]) for order in ORDERS]
        return collate(prompts, [[self.encoded[k] for k in order] for order in ORDERS])

    @property
    def trie(self) -> IdentifierTrie:
        tokens = [self.backbone.processor.tokenizer(a, add_special_tokens=False)["input_ids"] for a in ANSWERS]
        trie = IdentifierTrie(tuple(map(tuple, tokens)), self.backbone.eos_token_ids[0])
        assert len(trie.open_prefixes) == 3
        return trie


@pytest.fixture(scope="module", params=CORE)
def case(request, tmp_path_factory) -> Case:
    if request.param == "smolvlm":
        pytest.importorskip("num2words", reason="transformers' SmolVLM processor needs it")
    path = architectures.build(request.param, tmp_path_factory.mktemp("checkpoints"))
    folder = tmp_path_factory.mktemp("pictures")
    backbone = load_backbone(path)
    eager = AutoModelForImageTextToText.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    generator = torch.Generator().manual_seed(0)
    paths = []
    for k, (width, height) in enumerate(SIZES):
        pixels = torch.randint(0, 256, (height // 4, width // 4, 3), generator=generator, dtype=torch.uint8)
        paths.append(folder / f"{k}.png")
        Image.fromarray(pixels.numpy()).resize((width, height)).save(paths[-1])
    prepared = [prepare(backbone, file) for file in paths]
    return Case(request.param, backbone, eager, paths, prepared, encode(backbone, prepared))


@pytest.fixture(params=["as argument", "in place of the method"])
def images_given(request, case, monkeypatch):
    """The two ways in which image features enter a forward pass; transformers 5.17 has only the second."""
    accepted = case.backbone.forward_arguments
    if request.param == "in place of the method":
        monkeypatch.setitem(vars(case.backbone), "forward_arguments", accepted - {"mm_encoder_outputs"})
    elif "mm_encoder_outputs" not in accepted:
        pytest.skip("this transformers does not take image features as an argument")


def test_the_prompt_has_the_processors_tokens(case):
    for order, token_ids in zip(ORDERS, case.batch().token_ids, strict=True):
        whole = plain.model_inputs(case.backbone, PROBE, case.presentation(order))
        assert token_ids.equal(whole["input_ids"][0])


def test_every_image_has_its_own_tokens_and_delimiters(case):
    delimiters = FAMILIES[case.name].delimiters
    margin = FAMILIES[case.name].margin
    batch = case.batch()
    for order, token_ids, segments in zip(ORDERS, batch.token_ids, batch.segments, strict=True):
        tokens = case.backbone.processor.tokenizer.convert_ids_to_tokens(token_ids)
        for k, places in enumerate(plain.expansions(case.backbone, PROBE, case.presentation(order))):
            own = [place for place in places if token_ids[place] == case.backbone.image_token_id]
            around = [p for p in range(places[0] - margin, places[-1] + margin + 1) if tokens[p] in delimiters]
            assert (segments == k).nonzero().flatten().tolist() == own
            assert (segments == batch.n + k).nonzero().flatten().tolist() == around
            assert bool(delimiters) == bool(around)


def test_the_placeholder_of_a_size_is_that_of_every_picture_of_it(case):
    for size, prepared in zip(SIZES, case.prepared, strict=True):
        assert placeholder(case.backbone, size) == prepared.placeholder


def test_features_equal_those_of_the_whole_presentation(case):
    order = ORDERS[1]
    whole = plain.model_inputs(case.backbone, PROBE, case.presentation(order))
    taken = {name: value for name, value in whole.items() if name in case.backbone.vision_arguments}
    with torch.inference_mode():
        expected = case.backbone.model.get_image_features(**taken, return_dict=True)
    found = join_features([case.encoded[k].features for k in order])
    torch.testing.assert_close(flat(found.pooler_output), flat(expected.pooler_output), atol=1e-5, rtol=0)
    if "deepstack_features" in expected:
        for ours, theirs in zip(found.deepstack_features, expected.deepstack_features, strict=True):
            torch.testing.assert_close(flat(ours), flat(theirs), atol=1e-5, rtol=0)


def flat(features) -> torch.Tensor:
    """One row per image token, whether features come as a tensor or one tensor per image."""
    parts = [features] if isinstance(features, torch.Tensor) else list(features)
    return torch.cat([part.reshape(-1, part.shape[-1]) for part in parts])


@pytest.mark.usefixtures("images_given")
def test_logits_and_attention_equal_eager(case):
    batch, trie = case.batch(), case.trie
    signals = read_batch(case.backbone, batch, trie, keep=frozenset({"heads"}))
    for row, order in enumerate(ORDERS):
        whole = plain.model_inputs(case.backbone, PROBE, case.presentation(order))
        logits, attention = plain.logits_and_head_attention(case.eager, whole)
        sums = torch.stack([attention[..., batch.segments[row] == k].sum(-1) for k in range(2 * batch.n)], -1)
        own, delimiters = sums[..., : batch.n], sums[..., batch.n :]
        close(signals.identifier_logits[row], logits[trie.first_tokens], 1e-4)
        close(signals.kept["head_attention"][row], own, 1e-5)
        close(signals.candidate_attention[row], own.mean(1), 1e-5)
        close(signals.delimiter_attention[row], delimiters.mean(1), 1e-5)


@pytest.mark.usefixtures("images_given")
def test_other_rows_and_the_null_query_equal_eager_passes_of_their_own(case):
    batch, trie = case.batch(EVERYTHING), case.trie
    kept = read_batch(case.backbone, batch, trie, keep=EVERYTHING).kept
    assert kept.keys() == {column.name for column in contracts.SIGNALS.columns if column.kept}
    for row, order in enumerate(ORDERS):
        shown, asked = case.presentation(order), {}
        for name, caption in (("", CAPTION), ("null_", NULL_QUERY)):
            whole = plain.model_inputs(case.backbone, PROBE, replace(shown, caption=caption))
            prompt = batch.prompts[row] if name == "" else batch.prompts[row].null
            assert prompt.token_ids.equal(whole["input_ids"][0])
            places = plain.places_of(case.backbone.tokenizer, prompt.token_ids, caption)
            assert prompt.query.nonzero().flatten().tolist() == places
            attention = plain.whole_attention(case.eager, whole)
            asked[name] = read = plain.rows_read(attention, prompt.segments, places, batch.n)
            close(kept[f"head_{name}query_attention"][row], read.query, 1e-5)
            close(kept[f"head_{name}suffix_attention"][row], read.suffix, 1e-5)
            close(kept[f"{name}query_attention"][row], read.query.mean(1), 1e-5)
            close(kept[f"{name}suffix_attention"][row], read.suffix.mean(1), 1e-5)
        joint = plain.joint_log_probability_of(trie.identifiers, trie.eos, case.eager, whole)
        close(kept["null_logprobs"][row], joint, 1e-3)
        width = min(len(read.token_sums) for read in asked.values())
        scores = asked[""].token_sums[:width] - asked["null_"].token_sums[:width]
        expected = plain.filtered_sums(scores, batch.segments[row][:width], batch.n)
        close(kept["filtered_attention"][row], expected.float(), 1e-4)


def test_texts_as_candidates_are_read_as_eager_attention_has_them(case):
    texts = ("a red circle", "a blue square on white", "nothing at all")
    prompt = TextPromptBuilder(case.backbone, PROBE, EVERYTHING)(CAPTION, texts)
    for k, text in enumerate(texts):
        assert case.backbone.tokenizer.decode(prompt.token_ids[prompt.segments == k]).strip() == text
    trie = answer_trie(case.backbone, PROBE.identifiers(3))
    signals = read_batch(case.backbone, collate([prompt]), trie, keep=EVERYTHING)
    for name, own, asked in (("", prompt, CAPTION), ("null_", prompt.null, NULL_QUERY)):
        inputs = {"input_ids": own.token_ids[None]}
        attention = plain.whole_attention(case.eager, inputs)
        places = plain.places_of(case.backbone.tokenizer, own.token_ids, asked)
        read = plain.rows_read(attention, own.segments, places, 3)
        close(signals.kept[f"head_{name}query_attention"][0], read.query, 1e-5)
        close(signals.kept[f"head_{name}suffix_attention"][0], read.suffix, 1e-5)
        logits = case.eager(**inputs).logits[0, -1]
        if not name:
            close(signals.identifier_logits[0], logits[trie.first_tokens], 1e-4)


@pytest.mark.usefixtures("images_given")
def test_probabilities_of_identifiers_of_several_tokens_equal_full_passes(case):
    signals = read_batch(case.backbone, case.batch(), case.trie)
    for row, order in enumerate(ORDERS):
        whole = plain.model_inputs(case.backbone, PROBE, case.presentation(order))
        joint = plain.joint_log_probability_of(case.trie.identifiers, case.trie.eos, case.eager, whole)
        close(signals.candidate_logprobs[row], joint, 1e-3)


def test_random_weights_tell_images_orders_and_prefixes_apart(case):
    """The tests above compare numbers that differ: a read-out of the wrong image or prefix would show."""
    signals = read_batch(case.backbone, case.batch(), case.trie)
    for one, other in itertools.combinations(range(len(SIZES)), 2):
        assert (signals.candidate_attention[:, :, one] - signals.candidate_attention[:, :, other]).abs().max() > 1e-3
    assert (signals.candidate_attention[0] - signals.candidate_attention[1]).abs().max() > 1e-3
    assert signals.candidate_logprobs.std(1).min() > 1e-2


def close(found, expected, tolerance: float) -> None:
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)


def test_processed_logits_and_text_are_those_of_generate(case):
    """Behind the step for the prefixes: it leaves the cache as the prefill made it."""
    signals = read_batch(case.backbone, case.batch(), case.trie, generation=Generation(new_tokens=4))
    for row, order in enumerate(ORDERS):
        whole = plain.model_inputs(case.backbone, PROBE, case.presentation(order))
        generated = case.eager.generate(
            **whole, max_new_tokens=4, do_sample=False, output_scores=True, return_dict_in_generate=True
        )
        told = generated.sequences[0, whole["input_ids"].shape[1] :]
        close(signals.processed_logits[row], generated.scores[0][0, case.trie.first_tokens], 1e-4)
        assert (signals.processed_logits[row] - signals.identifier_logits[row]).abs().max() > 1e-3
        text = case.backbone.processor.tokenizer.decode(told, skip_special_tokens=True)
        assert signals.generated_text[row] == text


def test_texts_that_part_and_end_are_those_of_each_text_alone(case, monkeypatch):
    """Rows of the cache are copied where samples part and dropped where texts end; alone, neither happens."""
    monkeypatch.setitem(vars(case.backbone), "eos_token_ids", list(range(0, architectures.VOCABULARY, 7)))
    drawn = Generation(new_tokens=10, samples=3, temperature=1.0)
    streams = np.array([[noise_stream(0, "q", order, sample) for sample in range(3)] for order in ORDERS], np.uint64)
    batch = case.batch()
    together = read_batch(case.backbone, batch, case.trie, generation=drawn, streams=streams).texts
    assert len({text.text for texts in together for text in texts}) > 3
    assert len({text.tokens for texts in together for text in texts}) > 1
    alone = replace(drawn, samples=1)
    for row, sample in ((0, 0), (0, 2), (1, 1)):
        own = streams[row : row + 1, sample : sample + 1]
        ((text,),) = read_batch(case.backbone, batch.row(row), case.trie, generation=alone, streams=own).texts
        assert text == together[row][sample]


def test_a_model_that_shows_images_by_cross_attention_is_refused(tmp_path):
    with pytest.raises(BackboneError, match="shows images by cross-attention"):
        load_backbone(architectures.build("mllama", tmp_path))


def test_a_model_without_images_is_loaded_as_one_of_texts(tmp_path):
    assert not load_backbone(architectures.build("qwen2", tmp_path)).takes_images


def test_a_model_that_ignores_the_attention_interface_is_refused(tmp_path, monkeypatch):
    """It takes the setting and goes on with attention of its own, as remote code may."""

    class OwnAttention:
        @staticmethod
        def get_interface(implementation, default):
            return default

    monkeypatch.setattr(modeling_qwen2_vl, "ALL_ATTENTION_FUNCTIONS", OwnAttention)
    with pytest.raises(BackboneError, match=r"3 of 3 layers .* do not use transformers' AttentionInterface"):
        load_backbone(architectures.build("qwen2_vl", tmp_path))


def test_a_model_without_the_switch_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Qwen2VLForConditionalGeneration, "set_attn_implementation", lambda *args, **kwargs: None)
    with pytest.raises(BackboneError, match="does not use transformers' AttentionInterface"):
        load_backbone(architectures.build("qwen2_vl", tmp_path))


def test_a_processor_of_another_checkpoint_is_refused(tmp_path):
    path = architectures.build("qwen2_vl", tmp_path)
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"image_token_id": 5}))
    with pytest.raises(BackboneError, match="expects image token 5, which Qwen2VLProcessor does not write"):
        load_backbone(path)


def test_a_checkpoint_without_a_processor_or_chat_template_is_refused(tmp_path):
    path = architectures.build("qwen2_vl", tmp_path)
    (path / "chat_template.jinja").unlink()
    with pytest.raises(BackboneError, match="has no chat template"):
        load_backbone(path)
    (path / "preprocessor_config.json").unlink()
    with pytest.raises(BackboneError, match=r"preprocessor_config\.json"):
        load_backbone(path)


@pytest.mark.parametrize(
    ("silent", "reason"),
    [("keys", "does not tell what it writes for an image"), ("fails", "cannot show a single image: two at least")],
)
def test_a_processor_that_shows_images_in_a_way_of_its_own_is_refused(tmp_path, monkeypatch, silent, reason):
    """As processors of remote code may: no word on what it writes, or an error."""
    stock = Qwen2VLProcessor.__call__

    def call(self, *args, return_text_replacement_offsets=False, **kwargs):
        if silent == "fails":
            raise ValueError("two at least")
        return stock(self, *args, **kwargs)

    monkeypatch.setattr(Qwen2VLProcessor, "__call__", call)
    with pytest.raises(BackboneError, match=reason):
        load_backbone(architectures.build("qwen2_vl", tmp_path))


def test_a_processor_that_writes_other_prompts_in_company_is_refused(tmp_path, monkeypatch):
    """What cannot be prepared image by image must not be prepared so."""
    backbone = load_backbone(architectures.build("internvl", tmp_path))
    stock = type(backbone.processor).replace_image_token

    def numbered(self, image_inputs, image_idx, **kwargs):
        return f"Image-{image_idx + 1}: {stock(self, image_inputs, image_idx, **kwargs)}"

    monkeypatch.setattr(type(backbone.processor), "replace_image_token", numbered)
    with pytest.raises(BackboneError, match="writes another prompt for two pictures together"):
        PromptBuilder(backbone, PROBE)
