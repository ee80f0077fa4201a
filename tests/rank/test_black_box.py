"""A model that only answers is ranked by, too: its answers in several orders, weighed by what they are worth."""

import random

import pytest

from lad.rank.black_box import BlackBoxRanker
from lad.rank.candidates import RankError


class Habitual:
    """Somebody who names the first position in half of all cases, and otherwise the right candidate."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.asked = 0

    def __call__(self, query: str, shown: list[str]) -> int:
        self.asked += 1
        return 1 if self.random.random() < 0.5 else shown.index(f"right for {query}") + 1


def questions(first: int, count: int, n: int = 4):
    for number in range(first, first + count):
        query, at = f"q{number}", number % n
        candidates = [f"{query} wrong {place}" for place in range(n)]
        candidates[at] = f"right for {query}"
        yield query, candidates, at + 1


def test_more_passes_find_more_targets_than_the_first_answer():
    model = Habitual(0)
    found = {}
    for passes in (1, 4):
        ranker = BlackBoxRanker(model, passes=passes).fit(questions(0, 8))
        answers = ranker.rank_many((query, candidates) for query, candidates, _ in questions(100, 200))
        found[passes] = sum(answer.best == f"right for {answer.query}" for answer in answers)
        plain = sum(answer.plain.candidate == f"right for {answer.query}" for answer in answers)
        assert {answer.passes for answer in answers} == {passes}
    assert found[4] > 165 > 145 > plain
    assert found[4] > found[1]


def test_known_questions_are_asked_in_their_shifts_once_per_n():
    model = Habitual(1)
    ranker = BlackBoxRanker(model, passes=2).fit(questions(0, 5))
    assert model.asked == 5 * 4
    ranker.rank("q9", ["right for q9", "other", "third"])
    assert model.asked == 5 * 4 + 5 * 3 + 2
    assert sorted(ranker.rates_) == [3, 4]
    assert ranker.rates_[4].false_alarms[0] > ranker.rates_[4].false_alarms[1:].max()


def test_who_is_sure_asks_no_further():
    ranker = BlackBoxRanker(lambda query, shown: shown.index(f"right for {query}") + 1, passes=9, sure=0.9)
    ranker.fit(questions(0, 20))
    answer = ranker.rank("q3", ["no", "right for q3", "never", "nothing"])
    assert answer.best == "right for q3"
    assert answer.passes < 4


def test_without_an_answer_nothing_is_believed():
    ranker = BlackBoxRanker(Habitual(2)).fit(questions(0, 5))
    ranker.ask = lambda query, shown: None
    answer = ranker.rank("q", ["a", "b", "c", "d"])
    assert answer.plain is None
    assert [one.number for one in answer.ranking] == [1, 2, 3, 4]
    assert "the model itself names no candidate" in answer.warning
    assert answer.to_dict()["plain"] is None


@pytest.mark.parametrize("answer", [0, 5, "2", 1.0])
def test_an_answer_that_is_no_position_is_refused(answer):
    with pytest.raises(RankError, match="expected is a position, 1 to 4"):
        BlackBoxRanker(lambda query, shown: answer).fit(questions(0, 2))


def test_what_cannot_be_is_refused():
    with pytest.raises(RankError, match="passes = 0"):
        BlackBoxRanker(Habitual(0), passes=0)
    with pytest.raises(RankError, match="sure = 2"):
        BlackBoxRanker(Habitual(0), sure=2)
    with pytest.raises(RankError, match="not known yet: give known questions to fit"):
        BlackBoxRanker(Habitual(0)).rank("q", ["a", "b"])
    with pytest.raises(RankError, match="has 1 candidates"):
        BlackBoxRanker(Habitual(0)).rank("q", ["a"])
