"""What a ranker answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Ranked(Generic[T]):
    """A candidate in its place.

    Attributes:
        candidate: as it was given.
        number: which of the candidates given it is, from 1.
        score: the method's; the larger the better, comparable within one query only. None where the candidate did not
            stand in the last look at a long list.
        probability: how probable the model itself held it, in the order given; None likewise, and where that is not
            known.
    """

    candidate: T
    number: int
    score: float | None
    probability: float | None

    @property
    def name(self) -> str:
        """The path or text; of anything else its number."""
        return str(self.candidate) if isinstance(self.candidate, str | Path) else f"candidate {self.number}"

    @property
    def told(self) -> str:
        """The name, with the model's probability where that is known."""
        return self.name if self.probability is None else f"{self.name} ({self.probability:.0%})"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; the candidate by its name."""
        facts = {"number": self.number, "score": self.score, "probability": self.probability}
        return {"candidate": self.name, **facts}


@dataclass(frozen=True)
class Answer(Generic[T]):
    """The ranking of one query's candidates.

    Attributes:
        ranking: all candidates, best first.
        plain: what the model itself says, without correction; None where it named no candidate, or was not asked.
        method: by which the ranking was made.
        passes: how many presentations the model was asked.
        asked_plain: whether the model was asked what it says itself.
    """

    query: str
    ranking: tuple[Ranked[T], ...]
    plain: Ranked[T] | None
    method: str
    passes: int
    asked_plain: bool = True

    @property
    def best(self) -> T:
        return self.ranking[0].candidate

    @property
    def warning(self) -> str | None:
        """What to know where the model itself names another candidate, or none; None where both agree."""
        first = self.ranking[0]
        if not self.asked_plain:
            return None
        if self.plain is None:
            return f"the model itself names no candidate; by {self.method} it is {first.told}"
        if first.number == self.plain.number:
            return None
        return f"the model itself says {self.plain.told}; corrected by {self.method} it is {first.told}"

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON has it; candidates by their names."""
        return {
            "query": self.query,
            "ranking": [one.to_dict() for one in self.ranking],
            "plain": self.plain and self.plain.to_dict(),
            "method": self.method,
            "passes": self.passes,
            "warning": self.warning,
        }
