"""The method as the paper prints it and as its authors' code runs it, one field per divergence.

A formulation is data, not a second implementation: each field is a parameter of one of the SQL files, so that
every divergence can be switched on its own. `get_formulation("printed+mixture=logs")` is the printed method
but for the mixture of eq. 13. Two divergences are not here, because other words express them: the released
code's range of layers (21..35) is the option `layers`, and its calibration on the first five evaluation
questions is `calibrate` on the symmetrized signals with `questions=5`.
"""

from dataclasses import dataclass, fields, replace
from typing import Final, Literal, get_args

from lad.refusal import Refusal

Base = Literal["printed", "released"]
"""The formulations that have a name of their own."""

Scores = Literal["candidate_logprobs", "identifier_logits", "processed_logits"]
Average = Literal["probabilities", "logs"]
Mixture = Literal["probabilities", "logs"]
Aggregation = Literal["mean_of_logs", "log_of_mean"]
Span = Literal["image", "delimited"]

LONGEST_LOGITS: Final = 9
"""Largest N at which the logits of first tokens tell all positions apart: "10" begins like "1"."""


class FormulationError(Refusal):
    """A formulation that does not exist; the message says which do."""


@dataclass(frozen=True)
class Formulation:
    """How the equations are read.

    Attributes:
        scores: signals column that stands for log P(c_j|x) in eq. 1 and 14; logits up to N = 9 only, beyond
            which candidate_logprobs take their place, as in the released code.
        average: what is averaged over presentations in eq. 1. With logs, eq. 5 becomes O - ideal, which but for
            a constant is the same correction of the diagonal.
        mixture: domain of the sum over target positions in eq. 13.
        aggregation: order of mean over layers and logarithm in eq. 11.
        span: tokens whose attention is summed in eq. 6: the image's own, or its two delimiters as well.
    """

    name: str
    scores: Scores
    average: Average
    mixture: Mixture
    aggregation: Aggregation
    span: Span

    def scores_column(self, n_candidates: int) -> Scores:
        """The signals column that is read for questions of `n_candidates`."""
        return self.scores if n_candidates <= LONGEST_LOGITS else "candidate_logprobs"


PRINTED: Final = Formulation(
    name="printed",
    scores="candidate_logprobs",
    average="probabilities",
    mixture="probabilities",
    aggregation="mean_of_logs",
    span="image",
)
RELEASED: Final = Formulation(
    name="released",
    scores="identifier_logits",
    average="logs",
    mixture="logs",
    aggregation="log_of_mean",
    span="delimited",
)
FORMULATIONS: Final = {formulation.name: formulation for formulation in (PRINTED, RELEASED)}

_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "scores": get_args(Scores),
    "average": get_args(Average),
    "mixture": get_args(Mixture),
    "aggregation": get_args(Aggregation),
    "span": get_args(Span),
}
assert list(_CHOICES) == [field.name for field in fields(Formulation)][1:]


def get_formulation(name: str) -> Formulation:
    """The formulation of that name: `printed`, `released`, or one of them with single fields changed.

    Args:
        name: a base, then any number of `+field=value`, e.g. `released+span=image+mixture=probabilities`.

    Raises:
        FormulationError: unknown base, field or value.
    """
    base, *changes = name.split("+")
    if base not in FORMULATIONS:
        raise FormulationError(
            f"unknown formulation '{base}'; known: {', '.join(FORMULATIONS)}, and either with fields changed such as"
            " printed+mixture=logs"
        )
    changed: dict[str, str] = {}
    for change in changes:
        field, _, value = change.partition("=")
        if field not in _CHOICES:
            raise FormulationError(f"formulation '{name}': no field '{field}'; fields: {', '.join(_CHOICES)}")
        if value not in _CHOICES[field]:
            raise FormulationError(
                f"formulation '{name}': {field} cannot be '{value}'; allowed: {', '.join(_CHOICES[field])}"
            )
        changed[field] = value
    return replace(FORMULATIONS[base], name=name, **changed)  # type: ignore[arg-type]
