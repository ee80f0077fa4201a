"""The families beside the core ones: one comparison each with processor and eager attention, as on docs/families.md."""

import importlib.metadata
import re

import plain
import pytest
import torch
from packaging.version import Version
from transformers import CONFIG_MAPPING, AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as TYPES

from benchmarks import architectures, families
from benchmarks.architectures import CORE, FAMILIES, REFUSED
from benchmarks.verdicts import ATTENTION_TOLERANCE, LOGITS_TOLERANCE
from lad.extraction.backbone import BackboneError, load_backbone
from lad.extraction.batch import collate
from lad.extraction.checkpoint import refuse_other_attention
from lad.extraction.forward import answer_trie, read_batch
from lad.extraction.prompt_tokens import TextPromptBuilder
from lad.extraction.prompts import PROBES

OTHERS = [name for name in FAMILIES if name not in CORE]
OLDER = Version(importlib.metadata.version("transformers")) < Version("5.23")
of_the_page = pytest.mark.skipif(OLDER, reason="docs/families.md is about a later transformers")
FAIL_IN_OLDER = ("vipllava", "granite4_vision")
"""Their vision towers fail in transformers 5.17 itself, with these tiny sizes."""
ROW = re.compile(r"^\| `([^`]+)` \| ([a-z ]+) \| (.*) \| (.*) \| (.*) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, ...]]:
    of_images, _, _ = families.PAGE.read_text(encoding="utf-8").partition(families.OF_TEXTS)
    return ROW.findall(of_images)


@pytest.mark.parametrize("name", OTHERS)
def test_twelve_images_are_read_as_processor_and_eager_attention_have_them(name, tmp_path):
    """Prompts token by token, attention sums of all layers, logits, and identifiers of two tokens."""
    if OLDER and name in FAIL_IN_OLDER:
        pytest.skip("this transformers does not encode its images")
    found = families.compare(architectures.build(name, tmp_path))
    assert found.attention < ATTENTION_TOLERANCE
    assert found.logits < LOGITS_TOLERANCE
    assert found.spread > 1e-3, "these weights do not tell images apart: nothing was compared"


def test_other_rows_are_read_where_the_last_layers_would_compute_one_row_only(tmp_path):
    """Gemma 4's small models, whose last layers use the keys of earlier ones and have none in the cache."""
    path, probe, keep = (
        architectures.build("gemma4_small", tmp_path),
        PROBES["vanilla"],
        frozenset({"rows", "null_query"}),
    )
    backbone = load_backbone(path)
    eager = AutoModelForImageTextToText.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    prompt = TextPromptBuilder(backbone, probe, keep)("a red circle", ("a red circle", "a blue square", "nothing"))
    kept = read_batch(backbone, collate([prompt]), answer_trie(backbone, probe.identifiers(3)), keep=keep).kept
    for name, own, asked in (("", prompt, "a red circle"), ("null_", prompt.null, "N/A")):
        attention = plain.whole_attention(eager, {"input_ids": own.token_ids[None]})
        places = plain.places_of(backbone.tokenizer, own.token_ids, asked)
        expected = plain.rows_read(attention, own.segments, places, 3)
        assert (kept[f"{name}query_attention"][0] - expected.query.mean(1)).abs().max() < ATTENTION_TOLERANCE
        assert (kept[f"{name}suffix_attention"][0] - expected.suffix.mean(1)).abs().max() < ATTENTION_TOLERANCE


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("got_ocr2", "cannot show a single image: Nested images are only supported"),
        ("chameleon", "has no chat template"),
        ("emu3", "pads the images of a prompt to one size"),
        ("hunyuan_vl", "cannot show a single image: HunYuanVL image placeholders must be formatted"),
    ],
)
def test_a_family_with_prompts_of_another_kind_is_refused_with_the_reason(name, reason, tmp_path):
    with pytest.raises(BackboneError, match=reason):
        load_backbone(architectures.build(name, tmp_path))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("florence2", "has an encoder and a decoder"),
        pytest.param("mistral_large4", r"chooses tokens for every query \(sparse attention\)", marks=of_the_page),
        ("paligemma", "lets all tokens of a prompt see each other"),
    ],
)
def test_a_configuration_that_tells_of_other_attention_is_refused_before_weights_are_read(kind, reason):
    with pytest.raises(BackboneError, match=reason):
        refuse_other_attention("folder", CONFIG_MAPPING[kind]())


@of_the_page
def test_the_page_lists_every_type_of_the_mapping_once(rows):
    assert [kind for kind, *_ in rows] == sorted(TYPES)


@of_the_page
def test_the_pages_verdicts_are_those_of_the_families(rows):
    verdicts = {kind: verdict for kind, verdict, *_ in rows}
    names = families.described()
    for kind, verdict in verdicts.items():
        if kind not in names:
            assert verdict in ("refused", "not built")
        else:
            assert verdict == ("equal" if set(names[kind]) <= FAMILIES.keys() else "refused")
    assert {kind for kind, own in names.items() if set(own) <= REFUSED.keys() and kind in TYPES} <= verdicts.keys()


def test_the_page_gives_differences_where_it_says_equal_and_reasons_elsewhere(rows):
    for kind, verdict, attention, logits, reason in rows:
        assert bool(attention.strip()) == bool(logits.strip()) == (verdict == "equal"), kind
        assert bool(reason.strip()) == (verdict != "equal"), kind
