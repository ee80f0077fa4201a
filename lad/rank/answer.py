"""What a ranker answers."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lad.rank.candidates import Candidate


@dataclass(frozen=True)
class Ranked:
    """A candidate in its place.

    Attributes:
        candidate: as it was given.
        number: which of the candidates given it is, from 1.
        score: the method's; the larger the better, comparable within one query only. None where the candidate did not
            stand in the last look at a long list.
        probability: how probable the model itself held it, in the order given; None likewise.
    """

    candidate: Candidate
    number: int
    score: float | None
    probability: float | None

    @property
    def name(self) -> str:
        """The path or text; of a picture in memory its number."""
        return str(self.candidate) if isinstance(self.candidate, str | Path) else f"candidate {self.number}"

    @property
    def told(self) -> str:
        """The name, with the model's probability where that is known."""
        return self.name if self.probability is None else f"{self.name} ({self.probability:.0%})"


@dataclass(frozen=True)
class Answer:
    """The ranking of one query's candidates.

    Attributes:
        ranking: all candidates, best first.
        plain: what the model itself says, without correction.
        method: by which the ranking was made.
        passes: how many presentations the model was asked.
    """

    query: str
    ranking: tuple[Ranked, ...]
    plain: Ranked
    method: str
    passes: int

    @property
    def best(self) -> Candidate:
        return self.ranking[0].candidate

    @property
    def warning(self) -> str | None:
        """What to know where the model itself names another candidate; None where both agree."""
        first = self.ranking[0]
        if first.number == self.plain.number:
            return None
        return f"the model itself says {self.plain.told}; corrected by {self.method} it is {first.told}"

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON has it; candidates by their names."""

        def shown(one: Ranked) -> dict[str, Any]:
            return {**asdict(one), "candidate": one.name}

        facts = {"method": self.method, "passes": self.passes, "warning": self.warning}
        return {"query": self.query, "ranking": [shown(r) for r in self.ranking], "plain": shown(self.plain), **facts}
