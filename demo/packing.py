"""Training batches that share their images: one prefix, several captions.

A question's images and instructions come before its caption, and a causal model cannot look ahead. So K
captions asked of the same images share the work on that prefix, and each adds a short suffix that sees the
prefix and itself. `forward.py` runs the decoder on such a batch, at a third of the cost of K separate prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import torch
from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer

from demo.processor import (
    ANSWER_TURN,
    IMAGE,
    IMAGE_SIDE,
    MERGE,
    PATCH,
    TOKENS_PER_IMAGE,
    USER_TURN,
)
from lad.extraction.prompts import Probe

IGNORED: Final = -100
"""Label of a token that is no answer, as in torch's cross-entropy."""

_CAPTION_MARK: Final = "\nCaption:"


@dataclass(frozen=True)
class PackedBatch:
    """S sets of n images, each asked about K times.

    Attributes:
        prefix_ids: [P], the same for every set: images, then the text up to the caption.
        prefix_positions: [3, P], rotary positions (time, row, column).
        suffix_ids: [S, K, L], caption, answer turn and answer; padded on the right, where nothing looks.
        suffix_positions: [3, L].
        labels: [S, K, L], the token that follows, for the tokens of the answer; IGNORED elsewhere.
        last: [S, K], index in the suffix of the last prompt token, the one whose attention is read.
        image_tokens: [n, 4], index in the prefix of every image's tokens.
    """

    prefix_ids: torch.Tensor
    prefix_positions: torch.Tensor
    suffix_ids: torch.Tensor
    suffix_positions: torch.Tensor
    labels: torch.Tensor
    last: torch.Tensor
    image_tokens: torch.Tensor


class PromptPacker:
    """Turns captions and answers into packed batches, token for token what the chat template gives."""

    def __init__(self, tokenizer: Qwen2Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.end_of_turn: int = tokenizer.eos_token_id
        self._prefix = cache(self._build_prefix)

    def answer(self, probe: Probe, n: int, position: int) -> list[int]:
        """Tokens of the identifier of `position` (0-based) and the end of the turn."""
        return [*self._encode(probe.identifiers(n)[position]), self.end_of_turn]

    def pack(self, probe: Probe, n: int, captions: Sequence[Sequence[str]], answers: np.ndarray) -> PackedBatch:
        """A batch for S sets of `n` images.

        Args:
            probe: how all of them are asked.
            n: images per set.
            captions: S lists of K captions.
            answers: [S, K], the position (0-based) to be answered.
        """
        prefix, positions, image_tokens = self._prefix(probe, n)
        prompts = [self._suffix(probe, n, caption) for row in captions for caption in row]
        replies = [self.answer(probe, n, int(position)) for position in answers.ravel()]
        length = max(len(p) + len(a) for p, a in zip(prompts, replies, strict=True)) - 1
        ids = np.full((len(prompts), length), self.tokenizer.pad_token_id)
        labels = np.full((len(prompts), length), IGNORED)
        for row, (prompt, reply) in enumerate(zip(prompts, replies, strict=True)):
            last = len(prompt) - 1
            ids[row, : last + len(reply)] = prompt + reply[:-1]
            labels[row, last : last + len(reply)] = reply
        shape = answers.shape
        first = int(positions.max()) + 1
        return PackedBatch(
            prefix_ids=prefix,
            prefix_positions=positions,
            suffix_ids=torch.from_numpy(ids).view(*shape, length),
            suffix_positions=torch.arange(first, first + length).expand(3, -1),
            labels=torch.from_numpy(labels).view(*shape, length),
            last=torch.tensor([len(prompt) - 1 for prompt in prompts]).view(*shape),
            image_tokens=image_tokens,
        )

    def _build_prefix(self, probe: Probe, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        opening, image = self._encode(USER_TURN), self._encode(IMAGE)
        start, pad, end = image
        instructions = self._encode(probe.text(n, "").split(_CAPTION_MARK)[0] + _CAPTION_MARK)
        ids = [*opening, *(n * [start, *TOKENS_PER_IMAGE * [pad], end]), *instructions]
        stride = TOKENS_PER_IMAGE + 2
        image_tokens = len(opening) + 1 + stride * torch.arange(n)[:, None] + torch.arange(TOKENS_PER_IMAGE)
        return torch.tensor(ids), _prefix_positions(len(opening), n, len(instructions)), image_tokens

    def _suffix(self, probe: Probe, n: int, caption: str) -> list[int]:
        return self._encode(probe.text(n, caption).split(_CAPTION_MARK)[1] + ANSWER_TURN)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids


def _prefix_positions(opening: int, n: int, instructions: int) -> torch.Tensor:
    """Qwen2-VL's rotary positions: an image's tokens share a time and count rows and columns from it."""
    side = IMAGE_SIDE // PATCH // MERGE
    cells = [(0, row, column) for row in range(side) for column in range(side)]
    positions = [(t, t, t) for t in range(opening)]
    for _ in range(n):
        start = positions[-1][0] + 1
        positions.append((start,) * 3)
        positions += [(start + 1 + t, start + 1 + row, start + 1 + column) for t, row, column in cells]
        positions.append((start + 1 + side,) * 3)
    after = positions[-1][0] + 1
    positions += [(t, t, t) for t in range(after, after + instructions)]
    return torch.tensor(positions).T
