"""How measured numbers are put into words, so that no sentence claims more than its numbers do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from lad.report.artifact import ArtifactError
from lad.report.measures import Difference, Measure, Measures
from lad.report.needs import Contest
from lad.report.style import METHODS

NO_BREAK: Final = "\u00a0"


def known(measure: Measure) -> float:
    """The measure's value, where a sentence cannot do without it.

    Raises:
        ArtifactError: the value is undefined, as the consistency of a single order is.
    """
    if measure.value is None:
        raise ArtifactError("a score that the sentence compares is undefined; too few orders or questions?")
    return measure.value


@dataclass(frozen=True)
class Pair:
    """The accuracies of two methods under one condition; `where` names it with its preposition.

    Attributes:
        difference: the paired difference in points, ours minus theirs; None where the methods did not answer the same
            questions.
    """

    where: str
    ours: Measure
    theirs: Measure
    difference: Difference | None = None

    @classmethod
    def measured(cls, measures: Measures, contest: Contest) -> "Pair":
        """What a contest came out as."""
        ours, theirs = contest.ours, contest.theirs
        return cls(contest.where, measures.get(ours), measures.get(theirs), measures.difference(ours, theirs))

    @property
    def lead(self) -> float:
        """Points by which ours is ahead, as they are printed: a lead that rounds away is none."""
        if self.difference:
            return round(self.difference.value, 1)
        return round(round(known(self.ours), 1) - round(known(self.theirs), 1), 1)

    @property
    def standing(self) -> Literal["ahead", "open", "behind"]:
        """Ahead with the whole 95 % interval of the paired difference, ahead within it (open), or not ahead at all.

        Without a paired difference the two methods' own intervals must not overlap, which asks for more: however the
        answers are correlated, a difference varies no more than both together.
        """
        if self.lead <= 0:
            return "behind"
        if self.difference:
            return "ahead" if self.difference.side > 0 else "open"
        if self.ours.low is None or self.theirs.high is None or self.ours.low <= self.theirs.high:
            return "open"
        return "ahead"

    def __str__(self) -> str:
        """The lead with its interval: +0.4 points, −0.3 to 1.2."""
        if self.difference is None:
            return f"{points(self.lead)}, unpaired"
        return f"{points(self.lead)}, {interval(self.difference)}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share in percent: 97.8 %."""
    return "undefined" if value is None else f"{value:.{digits}f}{NO_BREAK}%"


def points(value: float) -> str:
    """A difference of two percentages: +4.2 points, −0.3 points."""
    return f"{'+' * (round(value, 1) > 0)}{signed(value)}{NO_BREAK}points"


def signed(value: float) -> str:
    """A number that may be negative: 1.2, 0.0, −0.3."""
    return f"{round(value, 1) or 0.0:.1f}".replace("-", "\u2212")  # `or` makes 0.0 of -0.0


def interval(difference: Difference) -> str:
    """The interval of a difference, −0.3 to 1.2; few questions have none."""
    if difference.low is None or difference.high is None:
        return "no interval"
    return f"{signed(difference.low)} to {signed(difference.high)}"


def numbers(values: Sequence[int]) -> str:
    """Ascending whole numbers: 2 to 12 where none is left out, else 2, 4 and 8."""
    if len(values) > 2 and list(values) == list(range(values[0], values[-1] + 1)):
        return f"{values[0]} to {values[-1]}"
    return listed([str(value) for value in values])


def between(low: float, high: float) -> str:
    """A range in percent: between 12.0 % and 97.8 %."""
    ends = percent(low), percent(high)
    return ends[0] if ends[0] == ends[1] else f"between {ends[0]} and {ends[1]}"


def listed(items: Sequence[str]) -> str:
    """One list in words: a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def name(method: str) -> str:
    """A method's name within a sentence: "raw attention", but "AGD"."""
    display = METHODS[method].name
    is_acronym = sum(letter.isupper() for letter in display.split()[0]) > 1
    return display if is_acronym else display[0].lower() + display[1:]


def start(sentence: str) -> str:
    """The sentence with a capital first letter."""
    return sentence[0].upper() + sentence[1:]


def comparison(pairs: Sequence[Pair], ours: str, theirs: str) -> str:
    """Where the method `ours` beats `theirs` in accuracy and where it does not; what it loses comes first.

    Args:
        pairs: both methods, condition by condition.
        ours: a method.
        theirs: the method it is compared with.
    """
    verbs = {
        "behind": f"does not beat {name(theirs)}",
        "open": f"is ahead of {name(theirs)}, but not clearly,",
        "ahead": f"beats {name(theirs)}",
    }
    places = {standing: [_place(pair) for pair in pairs if pair.standing == standing] for standing in verbs}
    clauses = [f"{name(ours)} {verb} {listed(places[s])}" for s, verb in verbs.items() if places[s]]
    return "; ".join(clauses)


def outcome(measures: Measures, contests: Sequence[Contest]) -> str:
    """The same of contests between two methods."""
    pairs = [Pair.measured(measures, contest) for contest in contests]
    return comparison(pairs, contests[0].ours.method, contests[0].theirs.method)


def tally(pairs: Sequence[Pair], ours: str, theirs: str) -> str:
    """The same over many conditions: counts, and the worst of them."""
    count = {standing: sum(pair.standing == standing for pair in pairs) for standing in ("ahead", "open", "behind")}
    worst = min(pairs, key=lambda pair: pair.lead)
    return (
        f"{name(ours)} beats {name(theirs)} in {count['ahead']} of {len(pairs)} combinations of N and setting, is"
        f" ahead, but not clearly, in {count['open']}, and does not beat it in {count['behind']}; the worst is"
        f" {worst.where} ({worst})"
    )


def _place(pair: Pair) -> str:
    return f"{pair.where} ({pair})"
