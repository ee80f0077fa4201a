"""Sinks and soft caps, against their definitions on whole matrices in float64."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from lad.extraction import softmax
from lad.extraction.softmax import Softmax, capped_attention, with_sink

BATCH, HEADS, GROUPS, WIDTH, SCALING = 2, 4, 2, 8, 0.3
SINKS = torch.tensor([-1.0, 0.0, 0.5, 3.0])
FORMS = {"whole prompt": (9, 9), "one token behind a cache": (1, 9), "several behind a cache": (3, 9)}


@pytest.fixture(params=FORMS)
def states(request):
    generator = torch.Generator().manual_seed(0)
    fed, keys = FORMS[request.param]
    query = torch.randn(BATCH, HEADS, fed, WIDTH, generator=generator)
    key, value = (torch.randn(BATCH, GROUPS, keys, width, generator=generator) for width in (WIDTH, 5))
    return query, key, value


def causal(query, key) -> torch.Tensor:
    fed, keys = query.shape[2], key.shape[2]
    return torch.ones(fed, keys, dtype=torch.bool).tril(keys - fed)[None, None]


MASKS = {
    "none": lambda query, key: None,
    "boolean": lambda query, key: causal(query, key).index_fill(-1, torch.tensor([1, 4]), False),
    "additive": lambda query, key: torch.where(causal(query, key), 0.7, -torch.inf),
}


def defined(query, key, mask, *, softcap=None, sinks=None) -> torch.Tensor:
    """(batch, heads, fed, keys) weights, spelled out."""
    scores = query.double() @ key.double().repeat_interleave(HEADS // GROUPS, 1).transpose(2, 3) * SCALING
    if softcap:
        scores = softcap * (scores / softcap).tanh()
    mask = causal(query, key) if mask is None else mask
    scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    exponentials = scores.exp()
    beside = 0 if sinks is None else sinks.double().exp()[:, None, None]
    return exponentials / (exponentials.sum(-1, keepdim=True) + beside)


def output(weights, value) -> torch.Tensor:
    """(batch, fed, heads, width)"""
    return (weights @ value.double().repeat_interleave(HEADS // GROUPS, 1)).transpose(1, 2).float()


@pytest.mark.parametrize("mask", MASKS)
def test_sdpa_with_a_sink_in_front_divides_by_the_sinks_part_too(states, mask):
    query, key, value = states
    if mask == "none" and 1 < query.shape[2] < key.shape[2]:
        pytest.skip("transformers gives a mask there")
    own = MASKS[mask](query, key)
    given = with_sink(query, key, value, own, SCALING, SINKS)
    found = scaled_dot_product_attention(
        *given[:3],
        attn_mask=given.mask,
        scale=SCALING,
        is_causal=given.mask is None and query.shape[2] > 1,
        enable_gqa=True,
    ).transpose(1, 2)[:, given.lead :]
    torch.testing.assert_close(found, output(defined(query, key, own, sinks=SINKS), value), atol=1e-6, rtol=0)


@pytest.mark.parametrize("at_once", [1, 100, 2**24])
@pytest.mark.parametrize("sinks", [None, SINKS], ids=["no sinks", "sinks"])
@pytest.mark.parametrize("mask", MASKS)
def test_capped_attention_is_that_of_capped_scores_however_many_rows_are_held(
    states, mask, sinks, at_once, monkeypatch
):
    monkeypatch.setattr(softmax, "_SCORES_AT_ONCE", at_once)
    query, key, value = states
    own = MASKS[mask](query, key)
    found = capped_attention(query, key, value, own, SCALING, Softmax(0.8, sinks))
    expected = output(defined(query, key, own, softcap=0.8, sinks=sinks), value)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_what_a_token_attends_to_and_its_sink_sum_to_one():
    scores = torch.randn(BATCH, HEADS, 9)
    share = SINKS.exp() / (scores.exp().sum(-1) + SINKS.exp())
    torch.testing.assert_close(Softmax(sinks=SINKS).weights(scores, None).sum(-1) + share, torch.ones(BATCH, HEADS))


def test_query_heads_of_one_key_value_head_keep_their_sinks():
    assert [own.sinks.tolist() for own in Softmax(sinks=SINKS).by_group(2)] == [[-1.0, 0.0], [0.5, 3.0]]
