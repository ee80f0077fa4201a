"""Signals of one batch of the demo model against the straightforward way, and what a batch costs in passes."""

from typing import get_args

import plain
import pytest
import torch

from lad.contracts import Keep
from lad.extraction.batch import collate
from lad.extraction.candidates import IdentifierTrie
from lad.extraction.forward import answer_trie, read_batch
from lad.extraction.inputs import encode, prepare
from lad.extraction.prompt_tokens import PromptBuilder
from lad.extraction.prompts import PROBES, Generation

CAPTION = "a red circle"
EVERYTHING = frozenset(get_args(Keep))


@pytest.fixture(scope="module")
def paths(scenes) -> list:
    return sorted((scenes / "images").iterdir())[:14]


@pytest.fixture(scope="module")
def batch_of(backbone, paths):
    """A batch of two presentations of N images: `batch_of("vanilla", 4)`; `rows` selects presentations."""
    encoded = encode(backbone, [prepare(backbone, path) for path in paths])

    def build(probe: str, n: int, rows: tuple[int, ...] = (0, 1)):
        prompt = PromptBuilder(backbone, PROBES[probe], EVERYTHING)
        shown = [encoded[row : row + n] for row in rows]
        prompts = [prompt(CAPTION, [image.placeholder for image in images]) for images in shown]
        return collate(prompts, shown)

    return build


@pytest.fixture
def passes(backbone):
    """The number of tokens that each forward pass of the model fed."""
    fed = []
    hook = backbone.model.register_forward_pre_hook(
        lambda model, args, kwargs: fed.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    yield fed
    hook.remove()


@pytest.mark.parametrize(("probe", "n"), [("vanilla", 12), ("roman", 12), ("ordinal", 12), ("vanilla", 4)])
def test_candidate_probabilities_equal_full_passes(backbone, eager, batch_of, paths, probe, n):
    trie = answer_trie(backbone, PROBES[probe].identifiers(n))
    signals = read_batch(backbone, batch_of(probe, n), trie)
    for row in range(2):
        pictures = [plain.open_image(path, None) for path in paths[row : row + n]]
        shown = plain.Presentation(CAPTION, pictures, n)
        joint = plain.joint_log_probability(backbone, eager, PROBES[probe], shown)
        torch.testing.assert_close(signals.candidate_logprobs[row].cpu(), joint, atol=1e-3, rtol=0)


def test_one_digit_takes_one_pass_and_all_longer_identifiers_together_one_short_step_more(backbone, batch_of, passes):
    for n, answers, steps in [
        (9, None, []),
        (12, None, [1]),
        (4, ("1", "11", "111", "2"), [2]),
        (4, ("12", "13", "24", "25"), [2]),
        (4, ("123", "124", "215", "2"), [3]),
    ]:
        passes.clear()
        read_batch(backbone, batch_of("vanilla", n), answer_trie(backbone, answers or PROBES["vanilla"].identifiers(n)))
        assert passes[1:] == steps


def test_a_batch_gives_what_each_presentation_gives_alone(backbone, batch_of):
    trie = answer_trie(backbone, PROBES["vanilla"].identifiers(12))
    options = {"generation": Generation(new_tokens=4), "keep": EVERYTHING}
    together = read_batch(backbone, batch_of("vanilla", 12), trie, **options)
    for row in range(2):
        alone = read_batch(backbone, batch_of("vanilla", 12, (row,)), trie, **options)
        for name in ("identifier_logits", "processed_logits", "candidate_logprobs", "candidate_attention"):
            assert torch.allclose(getattr(together, name)[row], getattr(alone, name)[0], atol=1e-4), name
        for name, values in together.kept.items():
            assert torch.allclose(values[row], alone.kept[name][0], atol=1e-4), name
        assert together.generated_text[row] == alone.generated_text[0]


def test_heads_are_kept_where_asked_for_and_average_to_the_candidate_attention(backbone, batch_of):
    trie = answer_trie(backbone, PROBES["vanilla"].identifiers(4))
    signals = read_batch(backbone, batch_of("vanilla", 4), trie, keep=frozenset({"heads"}))
    assert signals.kept["head_attention"].shape == (2, 6, 4, 4)
    assert torch.allclose(signals.kept["head_attention"].mean(2), signals.candidate_attention, atol=1e-6)
    assert read_batch(backbone, batch_of("vanilla", 4), trie).kept == {}


def test_the_answer_does_not_change_with_what_is_read_before_it(backbone, batch_of):
    """The step for the prefixes leaves no trace in the cache that the answer continues from."""
    batch = batch_of("vanilla", 12)
    digits = answer_trie(backbone, PROBES["vanilla"].identifiers(12))
    letters = answer_trie(backbone, PROBES["uppercase"].identifiers(12))
    assert letters.fed_prefixes == []
    after_step, straight = (
        read_batch(backbone, batch, trie, generation=Generation(new_tokens=6)) for trie in (digits, letters)
    )
    assert after_step.generated_text == straight.generated_text


def test_a_failed_pass_leaves_the_model_as_it_was(backbone, batch_of, monkeypatch):
    """Without the argument for image features, the model's own method is exchanged for the time of a pass only."""
    accepted = backbone.forward_arguments
    monkeypatch.setitem(vars(backbone), "forward_arguments", accepted - {"mm_encoder_outputs"})
    broken = batch_of("vanilla", 4)
    broken.token_ids[0, 0] = backbone.image_token_id  # one image token more than there are features
    trie = answer_trie(backbone, PROBES["vanilla"].identifiers(4))
    with pytest.raises((ValueError, RuntimeError)):
        read_batch(backbone, broken, trie)
    assert not any("get_image_features" in vars(module) for module in backbone.model.modules())


def test_identifiers_that_share_a_token_share_its_logit(backbone, batch_of):
    trie = IdentifierTrie(((16,), (16, 15), (17,), (18,)), backbone.eos_token_ids[0])
    signals = read_batch(backbone, batch_of("vanilla", 4), trie)
    assert torch.equal(signals.identifier_logits[:, 0], signals.identifier_logits[:, 1])
    assert torch.allclose(signals.candidate_logprobs.exp().sum(-1), torch.ones(2, device=backbone.device), atol=1e-5)
