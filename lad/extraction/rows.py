"""Which rows of the attention are read besides the last token's, and what becomes of them.

All rows stand behind the candidates: earlier tokens have not seen them all. `query` is the mean over the query's
tokens, `suffix` the mean over all tokens behind the candidates (the query, the task's words, the chat template's end),
as in ICR (arXiv 2410.02642). Where the null query is asked as well, the part of the suffix that both prompts share is
summed on its own, so that the null query need not read it again.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from lad.extraction.prompt_tokens import Prompt
from lad.extraction.readout import Rows

QUERY: Final = 0
SUFFIX: Final = 1
SHARED: Final = 2
"""The kinds of averages, by their place in `Rows.weights`."""


def rows_of(
    prompts: Sequence[Prompt], *, first: Sequence[int] | None = None, shared: Sequence[int] | None = None
) -> Rows:
    """The rows of prompts of one length, on the CPU.

    Args:
        first: the place of the first row that is read of each prompt; by default that behind the candidates. Rows
            before it are left out of the averages, which stay divided by the number of all.
        shared: how many of its first tokens each prompt shares with that of the null query; None for no third kind.
    """
    length = len(prompts[0].token_ids)
    begins = [prompt.behind for prompt in prompts] if first is None else list(first)
    most = length - min(begins)
    places = torch.full((len(prompts), most), length - 1)
    weights = torch.zeros(len(prompts), 2 if shared is None else 3, most)
    for k, (prompt, begin) in enumerate(zip(prompts, begins, strict=True)):
        read = slice(length - begin)
        places[k, read] = torch.arange(begin, length)
        assert prompt.query is not None, "the builder was not asked to keep rows"
        weights[k, QUERY, read] = prompt.query[begin:] / prompt.query.sum()
        weights[k, SUFFIX, read] = 1 / (length - prompt.behind)
        if shared is not None:
            weights[k, SHARED, : max(0, shared[k] - begin)] = 1.0
    return Rows(places, weights)


def filtered(scores: Tensor, segments: Tensor, n: int) -> Tensor:
    """(batch, n) ICR's score of each candidate: the sum over its tokens, those left out that fall far below the others.

    A token falls far below if it is more than two sample standard deviations under the mean of its candidate's tokens.
    (The authors drop it at two as well, which would leave nothing of a candidate whose tokens are all alike.)

    Args:
        scores: (batch, T) of each token: what the query's prompt attends to it, less what the null query's does.
        segments: (batch, T) as of `Prompt`.
    """
    belongs = (segments[..., None] == torch.arange(n, device=segments.device)).to(scores.dtype)
    tokens = belongs.sum(1)
    mean = (scores[:, None] @ belongs)[:, 0] / tokens
    from_mean = scores - (belongs @ mean[..., None])[..., 0]
    spread = ((from_mean.square()[:, None] @ belongs)[:, 0] / (tokens - 1).clamp(min=1)).sqrt()
    stays = from_mean >= -2 * (belongs @ spread[..., None])[..., 0]
    return ((scores * stays)[:, None] @ belongs)[:, 0]
