"""Ranking by a model that only answers: no probabilities, no attention, as behind most interfaces.

Known questions tell how much an answer at each position is worth; then the candidates of a query are shown in several
orders, each chosen by what was answered so far (gold panning, `lad.panning`).
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Generic, Self, TypeVar

import numpy as np

from lad.benchmark.own import OwnQuestion
from lad.benchmark.presentations import cyclic_shifts
from lad.panning import Belief, Rates, fit_rates, next_order
from lad.rank.answer import Answer, Ranked
from lad.rank.candidates import RankError
from lad.rank.known import at_size, refuse_impossible

T = TypeVar("T")
Ask = Callable[[str, Sequence[T]], int | None]
"""A model: shown a query and candidates in an order, it names a position, from 1; None where it names none."""


class BlackBoxRanker(Generic[T]):
    """Ranks candidates by the answers of any model.

    Args:
        ask: the model. Called with a query and its candidates in the order to be shown.
        passes: in how many orders a query is shown, at most. The first is the order given.
        sure: show no further order once a candidate has this probability; None for all passes.

    Attributes:
        known_: the known questions, with names in place of candidates.
        rates_: what an answer at each position is worth, by N.
    """

    def __init__(self, ask: Ask[T], *, passes: int = 4, sure: float | None = None) -> None:
        if passes < 1:
            raise RankError(f"passes = {passes}: a query is shown in at least 1 order")
        if sure is not None and not 0 < sure <= 1:
            raise RankError(f"sure = {sure}: allowed is a probability, above 0 and up to 1")
        self.ask = ask
        self.passes = passes
        self.sure = sure
        self.known_: tuple[OwnQuestion, ...] = ()
        self.rates_: dict[int, Rates] = {}
        self._candidates: dict[str, T] = {}

    def fit(self, known: Iterable[tuple[str, Sequence[T], int]]) -> Self:
        """Learn from questions whose right candidate is known, from 1: each is asked in its N cyclic shifts.

        Raises:
            RankError: no question, fewer than two candidates, an impossible target.
        """
        questions = list(known)
        refuse_impossible(questions)
        self._candidates = {}
        self.known_ = tuple(
            OwnQuestion(query, [self._name(candidate) for candidate in candidates], target)
            for query, candidates, target in questions
        )
        self.rates_ = {}
        for n in sorted({len(question.candidates) for question in self.known_}):
            self._rates(n)
        return self

    def rank(self, query: str, candidates: Sequence[T]) -> Answer[T]:
        """All candidates, best first. Scores are log-odds, the best has 0; the model's own probabilities are not known.

        Raises:
            RankError: fewer than two candidates, no known questions, an answer that is no position.
        """
        n = len(candidates)
        if n < 2:
            raise RankError(f"query {query!r} has {n} candidates; at least 2 can be ranked")
        rates = self._rates(n)
        belief, shown, answers = Belief.even(n), [tuple(range(1, n + 1))], list[int | None]()
        while True:
            answers.append(self._answer(query, [candidates[number - 1] for number in shown[-1]]))
            belief = belief.update(shown[-1], answers[-1], rates)
            is_sure = self.sure is not None and belief.probabilities.max() >= self.sure
            order = None if is_sure or len(shown) == self.passes else next_order(belief, rates, shown)
            if order is None:
                break
            shown.append(order)
        ranked = [
            Ranked(candidates[at], int(at) + 1, float(belief.log_odds[at]), None)
            for at in np.argsort(-belief.log_odds, kind="stable")
        ]
        plain = next((one for one in ranked if one.number == answers[0]), None)
        return Answer(query, tuple(ranked), plain, "gold_panning", len(shown))

    def rank_many(self, queries: Iterable[tuple[str, Sequence[T]]]) -> list[Answer[T]]:
        """The answers to several queries, one after another."""
        return [self.rank(query, candidates) for query, candidates in queries]

    def _rates(self, n: int) -> Rates:
        if n not in self.rates_:
            if not self.known_:
                raise RankError("what an answer is worth is not known yet: give known questions to fit")
            answers, targets = list[int | None](), list[int]()
            for question in at_size(self.known_, n):
                for order in cyclic_shifts(n, (question.caption, *question.candidates)):
                    names = [question.candidates[number - 1] for number in order]
                    answers.append(self._answer(question.caption, [self._candidates[name] for name in names]))
                    targets.append(order.index(question.target) + 1)
            self.rates_[n] = fit_rates(answers, targets, n)
        return self.rates_[n]

    def _answer(self, query: str, shown: Sequence[T]) -> int | None:
        answer = self.ask(query, shown)
        if answer is not None and (not isinstance(answer, int) or not 1 <= answer <= len(shown)):
            raise RankError(
                f"the model answered {answer!r}; expected is a position, 1 to {len(shown)}, or None where it names none"
            )
        return answer

    def _name(self, candidate: T) -> str:
        """What says that two candidates are the same: their text or path; of other things, that they are one object."""
        name = str(candidate) if isinstance(candidate, str | Path) else f"object {id(candidate)}"
        self._candidates[name] = candidate
        return name
