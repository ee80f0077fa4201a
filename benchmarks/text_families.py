"""Every type of transformers' causal language models: is it read out as eager attention has it?

What `benchmarks.families` does for images, for candidates that are texts: twelve of them, in two orders. The answers
whose log-probabilities are compared have up to three digits, so that what is fed behind the prompt's cache is a tree
with branches. Besides the last token's attention, that of the query's tokens and of all behind the candidates is
compared, and all of it for the null query, which continues from the prompt's cache.
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor
from transformers import (
    CONFIG_MAPPING,
    AttentionInterface,
    AttentionMaskInterface,
    AutoModelForCausalLM,
    PreTrainedModel,
)
from transformers.masking_utils import eager_mask
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)
from transformers.models.gpt_oss.modeling_gpt_oss import eager_attention_forward

from benchmarks import architectures
from benchmarks.architectures.texts import NOT_BUILT
from benchmarks.verdicts import Differences, Verdict, largest, log_probabilities, reason_of
from lad.contracts import Keep
from lad.extraction.backbone import BackboneError, load_backbone
from lad.extraction.batch import collate
from lad.extraction.checkpoint import refuse_other_attention
from lad.extraction.forward import answer_trie, read_batch
from lad.extraction.prompt_tokens import Prompt, TextPromptBuilder
from lad.extraction.prompts import PROBES

QUERY: Final = "which is blue?"
TEXTS: Final = tuple(f"number {k} of {shape}s" for k, shape in enumerate(["circle", "square", "triangle"] * 4))
ORDERS: Final = (tuple(range(12)), (3, 4, 1, 0, 2, 11, 7, 5, 6, 10, 8, 9))
ANSWERS: Final = ("1", "2", "3", "5", "11", "12", "21", "22", "31", "111", "112", "121")
KEEP: Final = frozenset[Keep]({"rows", "null_query"})

_BY_LAYERS_OUTPUT: Final = {"granite_swa", "granitemoe_swa"}
"""Types whose eager attention leaves the sinks out of what it returns, and scales its output by them afterwards. They
are compared with gpt-oss's eager attention, which gives the same output."""


def compare(checkpoint: Path) -> Differences:
    """Ours, both orders in one batch, against eager attention over whole prompts, one at a time.

    Raises:
        BackboneError: the checkpoint is refused.
    """
    backbone, probe = load_backbone(checkpoint), PROBES["vanilla"]
    build = TextPromptBuilder(backbone, probe, KEEP)
    batch = collate([build(QUERY, [TEXTS[k] for k in order]) for order in ORDERS])
    trie = answer_trie(backbone, ANSWERS)
    signals, eager = read_batch(backbone, batch, trie, keep=KEEP), _eager(checkpoint)
    read = {"candidate_attention": signals.candidate_attention, **signals.kept}
    assert signals.identifier_logits is not None
    assert signals.candidate_logprobs is not None
    of_attention, of_logits = [], []
    for row, prompt in enumerate(batch.prompts):
        assert prompt.null is not None
        logits, last, query, suffix = _whole(eager, prompt)
        null_logits, _, null_query, null_suffix = _whole(eager, prompt.null)
        expected = {
            **{"candidate_attention": last, "query_attention": query, "suffix_attention": suffix},
            **{"null_query_attention": null_query, "null_suffix_attention": null_suffix},
        }
        of_attention += [read[name][row] - sums for name, sums in expected.items()]
        of_logits.append(signals.identifier_logits[row] - logits[0, trie.first_tokens])
        for found, asked, after in (
            (signals.candidate_logprobs, prompt, logits),
            (signals.kept["null_logprobs"], prompt.null, null_logits),
        ):
            of_logits.append(found[row] - log_probabilities(eager, _inputs(asked), after, trie))
    own = signals.candidate_attention
    spread = float((own[0] - own[1][..., list(ORDERS[1]).index(0)][..., None]).abs().max())
    return Differences(largest(of_attention), largest(of_logits), spread)


def _eager(checkpoint: Path) -> PreTrainedModel:
    name = "eager"
    if checkpoint.name in _BY_LAYERS_OUTPUT:
        name = "eager_with_sinks"
        AttentionInterface.register(name, eager_attention_forward)
        AttentionMaskInterface.register(name, eager_mask)
    eager = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32, attn_implementation=name)
    model: PreTrainedModel = eager.eval().requires_grad_(False)
    return model


def _inputs(prompt: Prompt) -> Mapping[str, Tensor]:
    return {"input_ids": prompt.token_ids[None]}


@torch.inference_mode()
def _whole(eager: PreTrainedModel, prompt: Prompt) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(1, vocabulary) logits, and (layers, N) what the last token, the query's and the suffix's attend to."""
    output = eager(**_inputs(prompt), output_attentions=True, use_cache=False)
    attention = torch.stack([layer[0].mean(0) for layer in output.attentions])
    sums = torch.stack([attention[..., prompt.segments == k].sum(-1) for k in range(prompt.n)], dim=-1)
    assert prompt.query is not None
    return output.logits[:, -1], sums[:, -1], sums[:, prompt.query].mean(1), sums[:, prompt.behind :].mean(1)


def types() -> list[str]:
    """Those of the mapping that take no images, in alphabetical order."""
    return sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.keys() - MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.keys())


def verdicts() -> Iterator[Verdict]:
    """One for each of `types`."""
    for kind in types():
        if kind in NOT_BUILT:
            yield Verdict(kind, "not built", reason=NOT_BUILT[kind])
            continue
        with tempfile.TemporaryDirectory() as folder:
            yield measured(kind, Path(folder))


def measured(kind: str, folder: Path) -> Verdict:
    """The verdict on a type's tiny checkpoint."""
    try:
        refuse_other_attention(kind, CONFIG_MAPPING[kind]())
        found = compare(architectures.build(kind, folder))
    except BackboneError as error:
        return Verdict(kind, "refused", reason=reason_of(error))
    return Verdict(kind, "equal" if found.equal else "differs", found)
