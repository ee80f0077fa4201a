"""Hybrid models: some layers have linear attention, a state-space model or convolutions, beside or in place of softmax.

Tiny models of texts with random weights, against eager attention on whole prompts, each prompt and each prefix of an
answer by a pass of its own. Qwen3.5, which takes images, is among the families of `test_architectures`.
"""

from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import plain
import pyarrow as pa
import pytest
import torch
from transformers import AutoModelForCausalLM

from benchmarks import architectures
from lad import contracts, parquet
from lad.calibration.observations import read_layers
from lad.contracts import Keep
from lad.extraction.backbone import Backbone, BackboneError, load_backbone
from lad.extraction.batch import Batch, collate
from lad.extraction.candidates import IdentifierTrie
from lad.extraction.extract import extract
from lad.extraction.forward import answer_trie, read_batch
from lad.extraction.prompt_tokens import NULL_QUERY, TextPromptBuilder
from lad.extraction.prompts import PROBES, Generation, get_probe
from lad.extraction.texts import noise_stream

EVERYTHING = frozenset(get_args(Keep))
TEXTS = tuple(f"number {k} of {shape}s" for k, shape in enumerate(["circle", "square", "triangle"] * 4))
QUERY = "which is blue?"
READ = {"lfm2": (1, 3), "bamba": (1, 3), "falcon_h1": (0, 1, 2, 3)}


@dataclass
class Case:
    name: str
    backbone: Backbone
    eager: torch.nn.Module
    trie: IdentifierTrie
    batch: Batch


@pytest.fixture(scope="module", params=READ)
def case(request, tmp_path_factory) -> Case:
    path = architectures.build(request.param, tmp_path_factory.mktemp("checkpoints"))
    backbone = load_backbone(path)
    eager = AutoModelForCausalLM.from_pretrained(path, attn_implementation="eager", dtype=torch.float32).eval()
    prompts = TextPromptBuilder(backbone, PROBES["vanilla"], EVERYTHING)
    batch = collate([prompts(QUERY, order) for order in (TEXTS, TEXTS[::-1])])
    trie = answer_trie(backbone, PROBES["vanilla"].identifiers(12))
    assert trie.open_prefixes
    return Case(request.param, backbone, eager, trie, batch)


def close(found, expected, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)


def test_the_layers_with_softmax_attention_are_read(case):
    assert case.backbone.read_layers == READ[case.name]
    assert case.backbone.layers == 4
    told = {"read_layers": [1, 3]} if len(READ[case.name]) < 4 else {}
    assert {name: fact for name, fact in case.backbone.describe().items() if name == "read_layers"} == told


def test_what_is_read_equals_eager_passes_over_the_whole_prompts(case):
    signals = read_batch(case.backbone, case.batch, case.trie, keep=EVERYTHING)
    for row, prompt in enumerate(case.batch.prompts):
        sums = {}
        for name, own, asked in (("", prompt, QUERY), ("null_", prompt.null, NULL_QUERY)):
            inputs = {"input_ids": own.token_ids[None]}
            attention = plain.whole_attention(case.eager, inputs)
            places = plain.places_of(case.backbone.tokenizer, own.token_ids, asked)
            read = plain.rows_read(attention, own.segments, places, 12)
            close(signals.kept[f"head_{name}query_attention"][row], read.query)
            close(signals.kept[f"head_{name}suffix_attention"][row], read.suffix)
            sums[name] = read.token_sums
            joint = plain.joint_log_probability_of(case.trie.identifiers, case.trie.eos, case.eager, inputs)
            close((signals.kept["null_logprobs"] if name else signals.candidate_logprobs)[row], joint, 1e-4)
            if not name:
                last = torch.stack([attention[:, :, -1, own.segments == k].sum(-1) for k in range(12)], -1)
                close(signals.kept["head_attention"][row], last)
                close(signals.candidate_attention[row], last.mean(1))
        width = min(map(len, sums.values()))
        scores = sums[""][:width] - sums["null_"][:width]
        expected = plain.filtered_sums(scores, prompt.segments[:width], 12)
        close(signals.kept["filtered_attention"][row], expected.float(), 1e-4)
    assert (signals.candidate_attention[0] - signals.candidate_attention[1]).abs().max() > 1e-3


def test_texts_are_those_of_generate_whatever_was_read_before(case):
    signals = read_batch(case.backbone, case.batch, case.trie, generation=Generation(new_tokens=6), keep=EVERYTHING)
    for row, prompt in enumerate(case.batch.prompts):
        told = case.eager.generate(prompt.token_ids[None], max_new_tokens=6, do_sample=False, use_cache=False)
        written = case.backbone.tokenizer.decode(told[0, len(prompt.token_ids) :], skip_special_tokens=True)
        assert signals.generated_text[row] == written


def test_texts_that_part_and_end_are_those_of_each_text_alone(case, monkeypatch):
    monkeypatch.setitem(vars(case.backbone), "eos_token_ids", list(range(0, architectures.VOCABULARY, 7)))
    drawn = Generation(new_tokens=8, samples=3, temperature=1.0)
    streams = np.array([[noise_stream(0, "q", [row], k) for k in range(3)] for row in range(2)], np.uint64)
    together = read_batch(case.backbone, case.batch, case.trie, generation=drawn, streams=streams).texts
    assert len({text.text for texts in together for text in texts}) > 3
    for row, sample in ((0, 0), (0, 2), (1, 1)):
        own = streams[row : row + 1, sample : sample + 1]
        alone = replace(drawn, samples=1)
        ((text,),) = read_batch(case.backbone, case.batch.row(row), case.trie, generation=alone, streams=own).texts
        assert text == together[row][sample]


def tables() -> dict[str, pa.Table]:
    entries = [
        {"image_id": k, "file_name": "", "width": 0, "height": 0, "caption": "", "category_ids": []} for k in range(12)
    ]
    images = parquet.from_rows(entries, contracts.IMAGES).append_column("text", pa.array(TEXTS))
    question = {"question_id": "q", "role": "evaluation", "rank": 0, "caption": QUERY, "candidates": list(range(12))}
    row = {"presentation_id": "q-0", "question_id": "q", "split": "evaluation", "round": 0}
    row |= {"order": list(range(1, 13)), "target_position": 2, "n_candidates": 12}
    return {
        "images": images,
        "questions": parquet.from_rows([{**question, "target": 2, "n_candidates": 12}], contracts.QUESTIONS),
        "presentations": parquet.from_rows([row], contracts.PRESENTATIONS),
    }


@pytest.mark.parametrize("case", ["lfm2", "falcon_h1"], indirect=True)
def test_the_table_has_the_attention_at_the_models_own_layers(case, tmp_path):
    made = extract(case.backbone, **tables(), keep=sorted(EVERYTHING), finished=tmp_path)
    assert read_layers(made.signals) == READ[case.name]
    expected = read_batch(case.backbone, case.batch.row(0), case.trie, keep=EVERYTHING)
    by_name = {"candidate_attention": expected.candidate_attention, **expected.kept}
    for name in set(contracts.BY_LAYER) - {"delimiter_attention"}:
        (layers,) = made.signals[name].to_pylist()
        assert [place for place, layer in enumerate(layers) if layer] == list(READ[case.name])
        close(torch.tensor([layer for layer in layers if layer]), by_name[name][0], 1e-3 if "head" in name else 1e-5)
    assert made.metadata.get("read_layers", [0, 1, 2, 3]) == list(READ[case.name])
    again = extract(case.backbone, **tables(), keep=sorted(EVERYTHING), finished=tmp_path)
    assert again.signals.equals(made.signals)
    assert again.metadata["seconds"] == made.metadata["seconds"], "nothing was computed again"


@pytest.mark.parametrize("case", ["lfm2"], indirect=True)
def test_a_probe_that_softens_the_mask_is_refused(case):
    with pytest.raises(BackboneError, match="the probe sofa softens a mask that 2 of 4 layers do not have"):
        extract(case.backbone, get_probe("sofa"), **tables())


def test_heads_of_layers_that_have_other_numbers_of_them_are_not_kept(tmp_path):
    backbone = load_backbone(architectures.build("laguna", tmp_path))
    with pytest.raises(BackboneError, match="its layers have 4 and 8 heads, so that heads cannot be kept in one table"):
        extract(backbone, **tables(), keep=["heads", "rows"])
    assert read_layers(extract(backbone, **tables(), keep=["rows"]).signals) == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mamba", "no layer of its language half has softmax attention to be read"),
        ("recurrent_gemma", "its forward pass gives no cache to continue from, not transformers' DynamicCache"),
        ("minimax", "its forward pass gives a MiniMaxCache to continue from, not transformers' DynamicCache"),
    ],
)
def test_a_model_that_cannot_be_read_or_continued_is_refused(tmp_path, name, reason):
    with pytest.raises(BackboneError, match=reason):
        load_backbone(architectures.build(name, tmp_path))


def test_a_model_whose_linear_layers_are_all_it_has_is_refused(tmp_path, monkeypatch):
    family = architectures.TEXTS["lfm2"]

    def without_attention(ids):
        config = family.config(ids)
        config.layer_types = ["conv"] * 4
        return config

    monkeypatch.setitem(architectures.TEXTS, "lfm2", replace(family, config=without_attention))
    with pytest.raises(BackboneError, match="no layer of its language half has softmax attention to be read"):
        load_backbone(architectures.build("lfm2", tmp_path))
