"""Appendix B on its own: tries over made-up tokens."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lad.extraction.candidates import IdentifierTrie

EOS = 0
identifiers = st.lists(
    st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple), min_size=2, max_size=12, unique=True
)


def random_logits(trie: IdentifierTrie, batch: int = 3) -> dict:
    generator = torch.Generator().manual_seed(0)
    return {prefix: torch.randn(batch, 6, generator=generator) * 4 for prefix in [(), *trie.open_prefixes]}


@settings(deadline=None)
@given(identifiers)
def test_the_probabilities_of_the_candidates_sum_to_one(tokens):
    trie = IdentifierTrie(tuple(tokens), EOS)
    total = trie.log_probabilities(random_logits(trie)).exp().sum(-1)
    assert torch.allclose(total, torch.ones(3), atol=1e-5)


@settings(deadline=None)
@given(identifiers)
def test_each_probability_is_the_product_of_restricted_softmaxes(tokens):
    """Read off appendix B directly: walk each identifier, restrict each step to what can follow."""
    trie = IdentifierTrie(tuple(tokens), EOS)
    logits = random_logits(trie)
    found = trie.log_probabilities(logits)
    answers = [(*identifier, EOS) for identifier in tokens]
    for k, answer in enumerate(answers):
        expected = torch.zeros(3)
        for step, token in enumerate(answer):
            valid = sorted({other[step] for other in answers if other[:step] == answer[:step] and len(other) > step})
            if len(valid) > 1:
                restricted = logits[answer[:step]][:, valid].softmax(-1)
                expected += restricted[:, valid.index(token)].log()
        assert torch.allclose(found[:, k], expected, atol=1e-4)


@settings(deadline=None)
@given(identifiers, st.floats(-50, 50))
def test_a_constant_added_to_all_logits_changes_nothing(tokens, constant):
    trie = IdentifierTrie(tuple(tokens), EOS)
    logits = random_logits(trie)
    shifted = {prefix: values + constant for prefix, values in logits.items()}
    assert torch.allclose(trie.log_probabilities(logits), trie.log_probabilities(shifted), atol=1e-4)


def test_single_digits_need_one_step_and_ten_to_twelve_a_second():
    digits = [(k,) for k in range(1, 10)]
    assert IdentifierTrie(tuple(digits), EOS).open_prefixes == []
    twelve = [*digits, (1, 10), (1, 1), (1, 2)]
    trie = IdentifierTrie(tuple(twelve), EOS)
    assert trie.open_prefixes == [(1,)]
    assert set(trie.valid[(1,)]) == {EOS, 10, 1, 2}


@settings(deadline=None)
@given(identifiers)
def test_the_tree_holds_every_open_prefix_and_its_beginnings_once_and_no_more(tokens):
    trie = IdentifierTrie(tuple(tokens), EOS)
    fed = trie.fed_prefixes
    assert len(set(fed)) == len(fed)
    assert set(trie.open_prefixes) <= set(fed)
    for place, prefix in enumerate(fed):
        assert any(longer[: len(prefix)] == prefix for longer in trie.open_prefixes)
        assert len(prefix) == 1 or prefix[:-1] in fed[:place]


def test_identifiers_that_tokens_do_not_tell_apart_are_refused():
    with pytest.raises(ValueError, match="not told apart"):
        IdentifierTrie(((1,), (1,)), EOS)
