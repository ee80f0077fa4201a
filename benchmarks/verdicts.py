"""What is said of a type of models, and the numbers it rests on: the largest differences to eager attention."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from transformers import PreTrainedModel

from benchmarks.straightforward import extended, last_row
from lad.extraction.backbone import BackboneError
from lad.extraction.candidates import IdentifierTrie, Prefix

ATTENTION_TOLERANCE: Final = 1e-5
LOGITS_TOLERANCE: Final = 1e-4


@dataclass(frozen=True)
class Differences:
    """The largest differences between ours and eager attention.

    Attributes:
        attention: of the attention sums of candidates and, of images, their delimiters.
        logits: of the identifiers' logits, and of the log-probabilities of identifiers of several tokens.
        spread: by how much the attention to a candidate differs between the orders; with none, nothing was compared.
    """

    attention: float
    logits: float
    spread: float

    @property
    def equal(self) -> bool:
        return self.attention < ATTENTION_TOLERANCE and self.logits < LOGITS_TOLERANCE


def largest(differences: Sequence[Tensor]) -> float:
    # Unlike max(), this does not lose a NaN.
    return float(torch.cat([own.flatten() for own in differences]).abs().max())


def log_probabilities(
    eager: PreTrainedModel, inputs: Mapping[str, Tensor], logits: Tensor, trie: IdentifierTrie
) -> Tensor:
    """(N,) of the identifiers; a full pass for every open prefix."""
    after: dict[Prefix, Tensor] = {(): logits}
    for prefix in trie.fed_prefixes:
        after[prefix], _ = last_row(eager, extended(inputs, prefix))
    return trie.log_probabilities(after)[0]


@dataclass(frozen=True)
class Verdict:
    """What is said of a type: `equal`, `differs`, `refused` (with the reason of loading) or `not built`."""

    type: str
    verdict: str
    differences: Differences | None = None
    reason: str = ""

    @property
    def row(self) -> str:
        """A row of the page's table."""
        measured = ("", "")
        if self.differences is not None:
            measured = (below(self.differences.attention, least=-6), below(self.differences.logits, least=-5))
        return "|" + "|".join(f" {cell} " for cell in (f"`{self.type}`", self.verdict, *measured, self.reason)) + "|"


def below(difference: float, least: int) -> str:
    """The power of ten that a difference is below, `least` or more, so that another machine writes the same page."""
    power = least
    while power < 6 and not difference < 10.0**power:
        power += 1
    return f"below 1e{power}" if power < 6 else "not a number"


def reason_of(error: BackboneError) -> str:
    """The reason alone, as a cell of a table: without the checkpoint in front and the advice behind."""
    message = str(error)
    reason = message.split(": ", 1)[1] if message.startswith("checkpoint ") else message
    return reason.split("; use")[0].replace("|", "\\|").replace("<", "&lt;")
