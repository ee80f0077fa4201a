"""Candidate probabilities (appendix B): log P(c_k|x) over the tokens of each identifier.

Every factor is a softmax restricted to the tokens that are valid at that step: first the distinct first tokens of all
identifiers, then the tokens that can follow the prefix, with end-of-sequence where an identifier may end. Digits up to
9 need one step; of "10".."12" the prefix "1" needs a second one. All prefixes that need one are fed together as a tree
behind the prefill's cache.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

Prefix = tuple[int, ...]


@dataclass(frozen=True)
class IdentifierTrie:
    """The token sequences of the N identifiers and where they share prefixes.

    Attributes:
        identifiers: token ids of each identifier, without end-of-sequence.
        eos: the token that ends an answer.

    Raises:
        ValueError: if two identifiers have the same tokens, or one has none.
    """

    identifiers: tuple[Prefix, ...]
    eos: int

    def __post_init__(self) -> None:
        if len(set(self.identifiers)) < len(self.identifiers) or () in self.identifiers:
            raise ValueError(f"identifiers are not told apart by their tokens: {self.identifiers}")

    @cached_property
    def valid(self) -> dict[Prefix, list[int]]:
        """The valid next tokens after each prefix of an identifier, in order of first use."""
        following: dict[Prefix, dict[int, None]] = {}
        for tokens in self.identifiers:
            for step, token in enumerate((*tokens, self.eos)):
                following.setdefault(tokens[:step], {})[token] = None
        return {prefix: list(tokens) for prefix, tokens in following.items()}

    @cached_property
    def open_prefixes(self) -> list[Prefix]:
        """Prefixes other than the empty one after which there is a choice, hence a factor other than 1."""
        return [prefix for prefix, tokens in self.valid.items() if prefix and len(tokens) > 1]

    @cached_property
    def fed_prefixes(self) -> list[Prefix]:
        """The open prefixes and their beginnings, shortest first: the tree whose last tokens one cached step feeds."""
        beginnings = {prefix[:length] for prefix in self.open_prefixes for length in range(1, len(prefix) + 1)}
        return sorted(beginnings, key=lambda prefix: (len(prefix), prefix))

    @cached_property
    def first_tokens(self) -> list[int]:
        """First token of each identifier, by position."""
        return [tokens[0] for tokens in self.identifiers]

    def log_probabilities(self, logits: Mapping[Prefix, Tensor]) -> Tensor:
        """(batch, N) float32: log P(c_k|x); exp sums to 1 over the N identifiers.

        Args:
            logits: next-token logits (batch, vocabulary) after the empty prefix and after each open prefix.
        """
        factors: dict[tuple[Prefix, int], Tensor] = {}
        for prefix, tokens in self.valid.items():
            if len(tokens) > 1:
                restricted = logits[prefix][:, tokens].float().log_softmax(-1)
                factors |= {(prefix, token): restricted[:, i] for i, token in enumerate(tokens)}
        columns = []
        for identifier in self.identifiers:
            path = [(identifier[:step], token) for step, token in enumerate((*identifier, self.eos))]
            columns.append(torch.stack([factors[edge] for edge in path if edge in factors]).sum(0))
        return torch.stack(columns, dim=-1)
