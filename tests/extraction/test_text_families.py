"""Models of texts alone, one for each way in which attention is told apart, as on docs/families.md."""

import re

import pytest
from transformers import AutoTokenizer

from benchmarks import architectures, families, text_families
from benchmarks.verdicts import ATTENTION_TOLERANCE, LOGITS_TOLERANCE
from lad.extraction.backbone import BackboneError, load_backbone
from lad.extraction.candidates import IdentifierTrie

WAYS = {
    "llama": "as most do",
    "gpt2": "learned positions",
    "mistral": "a window in every layer",
    "gemma3_text": "windows in some layers, queries and keys normalised",
    "llama4_text": "chunks; no positions in some layers, queries scaled by place",
    "smollm3": "no positions in some layers",
    "gemma2": "soft-capped scores",
    "gpt_oss": "sinks, windows",
    "granite_swa": "sinks that scale the output; scores, residuals and logits multiplied",
    "mimo_v2_flash": "sinks in some layers, other numbers of heads in others",
    "deepseek_v3": "latent attention",
    "qwen3_moe": "experts",
    "qwen3_next": "linear attention in some layers, gates",
    "jamba": "state-space models in some layers",
    "zaya": "convolved queries and keys in every layer",
}
"""What is special about each."""

REFUSED = {
    "bloom": "does not use transformers' AttentionInterface",
    "deepseek_v4": r"attends to several tokens at once \(compressed attention\)",
    "diffllama": "subtracts what one half of its heads attends to",
    "inkling_text": "its attention has a position bias",
    "mamba": "no layer of its language half has softmax attention",
    "minimax_m3_vl_text": r"chooses tokens for every query \(sparse attention\)",
    "moshi": "keeps only the last of them to continue from",
    "roberta": "does not count positions from 0",
    "zamba2": "a block of its attention serves several layers",
}


@pytest.mark.parametrize("name", WAYS)
def test_twelve_texts_are_read_as_eager_attention_has_them(name, tmp_path):
    """Rows of the last token, the query and the suffix, also for the null query; logits, and identifiers as a tree."""
    found = text_families.compare(architectures.build(name, tmp_path))
    assert found.attention < ATTENTION_TOLERANCE
    assert found.logits < LOGITS_TOLERANCE
    assert found.spread > 1e-3, "these weights do not tell texts apart: nothing was compared"


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_with_the_reason(name, tmp_path):
    with pytest.raises(BackboneError, match=REFUSED[name]):
        load_backbone(architectures.build(name, tmp_path))


def test_a_model_whose_tokens_see_later_ones_is_refused(tmp_path, monkeypatch):
    """BERT, as it is published."""
    monkeypatch.setitem(architectures.texts.OWN, "bert", {})
    with pytest.raises(BackboneError, match="its tokens see those that stand behind them"):
        load_backbone(architectures.build("bert", tmp_path))


def test_the_answers_are_a_tree_with_branches():
    tokenizer = AutoTokenizer.from_pretrained(architectures.DEMO)
    tokens = [tuple(tokenizer(answer, add_special_tokens=False)["input_ids"]) for answer in text_families.ANSWERS]
    one, two, three = (tokenizer(digit, add_special_tokens=False)["input_ids"][0] for digit in "123")
    trie = IdentifierTrie(tuple(tokens), tokenizer.eos_token_id)
    assert set(trie.open_prefixes) == {(one,), (two,), (three,), (one, one), (one, two)}


@pytest.fixture(scope="module")
def rows() -> dict[str, tuple[str, str]]:
    _, _, page = families.PAGE.read_text(encoding="utf-8").partition(families.OF_TEXTS)
    found = re.findall(r"^\| `([^`]+)` \| ([a-z ]+) \| (.*) \| (.*) \| (.*) \|$", page, re.MULTILINE)
    assert len(found) == len({kind for kind, *_ in found})
    return {kind: (verdict, reason) for kind, verdict, _, _, reason in found}


def test_the_page_lists_every_type_that_takes_no_images(rows):
    assert list(rows) == text_families.types()


def test_the_pages_verdicts_are_those_found_here(rows):
    assert {rows[name][0] for name in WAYS} == {"equal"}
    assert {rows[name][0] for name in REFUSED} == {"refused"}
    assert "differs" not in {verdict for verdict, _ in rows.values()}
    for verdict, reason in rows.values():
        assert bool(reason.strip()) == (verdict != "equal")
