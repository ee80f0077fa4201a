"""Texts: what the model writes behind a prompt, for probes that ask for reasoning before the answer.

All texts of a batch are decoded together behind the prefill's cache: one prefill serves every sample of a presentation,
and samples that have written the same so far share a row of the cache until they part. The released code prefills once
per sample and decodes one text at a time.

A drawn token depends on the logits and on noise that belongs to the question, order, sample, step and token alone: the
same text comes out whatever batch, shard or resumed run it is drawn in. (Logits differ in their last digits between
batches: a text changes where two tokens come as near to each other as that, in float32 next to never, in bfloat16 at
times.)
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lad.extraction.backbone import Backbone
from lad.extraction.generation_config import LogitsProcessor
from lad.extraction.passes import positions_behind
from lad.extraction.prompts import Generation

Streams = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_IDLE: Final = 1 / 4
"""Share of a cache's rows that may be idle, their texts finished: dropping them copies all the others.

Measured on a CPU with texts of very different lengths, a share up to a half takes a third of the time of never dropping
any, and which share makes little difference.
"""


class NotANumberError(ArithmeticError):
    """Logits that are no numbers; `row` says of which presentation of the batch."""

    def __init__(self, row: int, step: int) -> None:
        super().__init__(f"the logits are no numbers after {step} generated tokens")
        self.row = row


@dataclass(frozen=True)
class Text:
    """One text, as a row of the generations contract."""

    text: str
    tokens: int
    finished: bool


def noise_stream(seed: int, question_id: str, order: Sequence[int], sample: int) -> int:
    """The 64-bit number from which all randomness of one text follows."""
    facts = json.dumps([seed, question_id, list(order), sample]).encode()
    return int.from_bytes(hashlib.blake2b(facts, digest_size=8).digest(), "little")


def write_texts(
    backbone: Backbone,
    cache: Any,
    *,
    prompt: Tensor,
    scores: Tensor,
    process: LogitsProcessor,
    generation: Generation,
    streams: Streams | None = None,
) -> list[list[Text]]:
    """The texts of every presentation of a batch. Uses up the cache.

    Greedy, they are those of transformers' `generate` without sampling. Drawn, the model's own logits processors come
    first, then temperature and top-k; nothing else of its sampling settings (top-p, say) is applied.

    Args:
        cache: of the prompts.
        prompt: (batch, T) tokens, of one length each.
        scores: (batch, vocabulary) processed logits after the prompts.
        process: from tokens (rows, t) and the logits behind them to processed logits.
        streams: (batch, samples), as of `noise_stream`; needed where there is a temperature.

    Returns:
        For each presentation its samples.

    Raises:
        NotANumberError: the model overflows.
    """
    texts = len(prompt) * generation.samples
    rows = _CacheRows(backbone, cache, prompt, generation.samples)
    tokens = np.zeros((texts, generation.new_tokens), dtype=np.int64)
    lengths, finished = np.full(texts, generation.new_tokens), np.zeros(texts, dtype=bool)
    writing = np.arange(texts)
    for step in range(generation.new_tokens):
        if step:
            rows.append(writing, tokens[writing, step - 1])
            scores = process(rows.tokens, rows.logits())
        if (wrong := scores.isnan().any(-1).cpu().numpy()[rows.of_text[writing]]).any():
            raise NotANumberError(int(writing[wrong.argmax()]) // generation.samples, step)
        noise = None if streams is None else streams.ravel()[writing]
        chosen = next_tokens(scores, rows.of_text[writing], generation, step, noise)
        tokens[writing, step] = chosen
        ended = writing[np.isin(chosen, backbone.eos_token_ids)]
        finished[ended], lengths[ended] = True, step
        writing = writing[~finished[writing]]
        if not len(writing):
            break
    decoded = backbone.tokenizer.batch_decode(
        [written[:length] for written, length in zip(tokens, lengths, strict=True)], skip_special_tokens=True
    )
    each = [Text(*facts) for facts in zip(decoded, lengths.tolist(), finished.tolist(), strict=True)]
    return [each[start : start + generation.samples] for start in range(0, texts, generation.samples)]


class _CacheRows:
    """The rows of a cache, each of which holds a prompt and what one or several texts have written behind it.

    A row is copied when its texts part. Rows whose texts are finished stay, idle, until they are worth dropping.

    Attributes:
        tokens: (rows, t) prompt and written tokens; the cache holds all but the last of each row.
        of_text: (batch * samples,) the row of every text; of finished ones it means nothing.
    """

    def __init__(self, backbone: Backbone, cache: Any, prompt: Tensor, samples: int) -> None:
        self.tokens = prompt
        self.of_text: Ints = np.repeat(np.arange(len(prompt)), samples)
        self._backbone = backbone
        self._cache = cache

    def append(self, writing: Ints, chosen: Ints) -> None:
        """Write the chosen tokens behind the texts that are still being written."""
        vocabulary = int(chosen.max()) + 1
        distinct, row_of_text = np.unique(self.of_text[writing] * vocabulary + chosen, return_inverse=True)
        parents, following = np.divmod(distinct, vocabulary)
        rows = len(self.tokens)
        parted = len(np.unique(parents)) < len(parents)
        if parted or rows - len(parents) > _IDLE * rows:
            self._select(parents)
            self.of_text[writing] = row_of_text
        else:
            # What stands in idle rows nobody reads.
            of_rows = np.zeros(rows, dtype=np.int64)
            of_rows[parents] = following
            following = of_rows
        self.tokens = torch.cat([self.tokens, torch.from_numpy(following).to(self.tokens)[:, None]], dim=1)

    def _select(self, rows: Ints) -> None:
        """Keep these rows, one that is named several times as often."""
        kept = torch.from_numpy(rows).to(self.tokens.device)
        self.tokens = self.tokens[kept]
        # Not `batch_select_indices`: of layers with states it selects nothing, or keys and values alone.
        self._cache.reorder_cache(kept)
        model = self._backbone.model.base_model
        if getattr(model, "rope_deltas", None) is not None:
            # By how much positions fall behind places; see lad.extraction.forward.
            model.rope_deltas = model.rope_deltas[kept]

    def logits(self) -> Tensor:
        """(rows, vocabulary) float32 logits behind all tokens."""
        rows, length = self.tokens.shape
        output = self._backbone.model(
            input_ids=self.tokens[:, -1:],
            # Some models (Bamba) take a token without a position for the first.
            position_ids=positions_behind(self._backbone, self.tokens.new_full((rows, 1), length - 1)),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1].float()
        return logits


def next_tokens(scores: Tensor, rows: Ints, generation: Generation, step: int, streams: Streams | None) -> Ints:
    """The next token of every text: the likeliest, or drawn from softmax(scores / temperature) among the top k.

    Drawn as the argmax of score / temperature + Gumbel noise. The noise belongs to the token, not to its rank, so that
    two tokens that change ranks by a rounding error do not change the draw.

    Args:
        scores: (rows, vocabulary).
        rows: (texts,) the row of each text.
        streams: (texts,) as of `noise_stream`; None only for greedy texts.
    """
    if generation.temperature is None:
        likeliest: Ints = scores.argmax(-1).cpu().numpy()
        return likeliest[rows]
    assert streams is not None, "texts are drawn from streams of noise"
    # As in transformers, all tokens that tie with the k-th are among the top k.
    least = scores.topk(min(generation.top_k or scores.shape[-1], scores.shape[-1])).values[:, -1:]
    top, tokens = scores.topk(int((scores >= least).sum(-1).max()))
    top = top.masked_fill(top < least, -torch.inf)
    values: Floats = top.double().cpu().numpy()[rows] / generation.temperature
    candidates: Ints = tokens.cpu().numpy()[rows]
    best = (values + gumbel_noise(streams[:, None], step, candidates)).argmax(-1, keepdims=True)
    return np.take_along_axis(candidates, best, axis=-1)[:, 0]


def gumbel_noise(streams: Streams, step: int, tokens: Ints) -> Floats:
    """Standard Gumbel noise of each token at this step, any of it without the rest (shapes broadcast).

    Entry step * 2^32 + token of the stream's SplitMix64 sequence (Steele, Lea and Flood, OOPSLA 2014), whose entries
    can be had one by one.
    """
    entry = np.uint64(step << 32) + tokens.astype(np.uint64) + np.uint64(1)
    bits = streams + entry * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    # 52 bits and a half: neither 0 nor 1, exactly.
    uniform = ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    noise: Floats = -np.log(-np.log(uniform))
    return noise
