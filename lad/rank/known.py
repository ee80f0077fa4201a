"""Known questions: those whose right candidate is known, from which a ranker learns."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lad.benchmark.lines import read_lines
from lad.benchmark.own import OwnQuestion
from lad.rank.candidates import Candidate, Kind, RankError, kind_of
from lad.seeded import shuffled

Known = tuple[str, Sequence[Candidate], int]
"""A query, its candidates, and which of them is right, from 1."""


def read_known(file: Path | str, kind: Kind | None = None) -> list[Known]:
    """The questions of a file that has one JSON object per line (`lad.benchmark.lines`).

        {"query": "a dog on a beach", "candidates": ["a.jpg", "b.jpg"], "target": 2}

    Args:
        kind: whether candidates are images, whose paths begin in the file's folder, or texts; as of `kind_of`.

    Raises:
        BenchmarkError: as `read_lines`.
        RankError: as `kind_of`.
    """
    file = Path(file)
    questions: list[Known] = []
    for line in read_lines(file):
        images = kind_of(line.candidates, kind, file.parent) == "images"
        candidates = [file.parent / candidate for candidate in line.candidates] if images else line.candidates
        questions.append((line.query, candidates, line.target))
    return questions


def refuse_impossible(known: Sequence[tuple[str, Sequence[Any], int]]) -> None:
    """Refuse known questions that nothing can be learnt from.

    Raises:
        RankError: no question, one with fewer than two candidates, or with a target that is none of them.
    """
    if not known:
        raise RankError("no known question given: a query, its candidates, and which of them is right, from 1")
    for at, (query, candidates, target) in enumerate(known, start=1):
        n = len(candidates)
        if n < 2:
            raise RankError(f"known question {at} ({query!r}) has {n} candidates; at least 2 are needed")
        if not isinstance(target, int) or not 1 <= target <= n:
            raise RankError(
                f"known question {at} ({query!r}) has target {target!r}; say which of its {n} candidates is right"
            )


def at_size(known: Sequence[OwnQuestion], n: int) -> list[OwnQuestion]:
    """The questions with `n` candidates each: the target, and the first n - 1 others.

    A question that has too few is given candidates of other questions, drawn at random for it. These may be easier to
    tell from the target than its own.

    Raises:
        RankError: all questions together have too few candidates.
    """
    return [_at_size(question, known, n) for question in known]


def _at_size(question: OwnQuestion, known: Sequence[OwnQuestion], n: int) -> OwnQuestion:
    assert question.target is not None, "the ranker refuses known questions without a target"
    own, target = question.candidates, question.candidates[question.target - 1]
    others = [candidate for candidate in own if candidate != target][: n - 1]
    if (missing := n - 1 - len(others)) > 0:
        of_all = {candidate for each in known for candidate in each.candidates}.difference(own)
        if len(of_all) < missing:
            raise RankError(
                f"the known questions have {len(own) + len(of_all)} different candidates, and {n} are to be ranked at"
                " once; give more known questions, or such with more candidates"
            )
        others += shuffled(of_all, "known", question.caption, *own)[:missing]
    # The target keeps its place where it can: orders are drawn afterwards, so that the place is of no meaning.
    place = min(question.target - 1, n - 1)
    shown = [*others[:place], target, *others[place:]]
    return OwnQuestion(question.caption, shown, place + 1)
