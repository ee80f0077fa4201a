"""Windows: a list that is longer than a prompt, asked about in parts of N candidates, which are ordinary questions.

Every list is shuffled round by round and cut into windows of exactly N. Each candidate stands in several windows beside
others, and the windows of a list hang together, so that scores which compare candidates within a window alone order the
whole list (`lad.evaluation.rankings`). With N = 2 the windows are a tournament of pairs. Not in the paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.captions import repeated
from lad.benchmark.lists import RankedList, ids_of, image_ids
from lad.extraction.prompts import MAX_CANDIDATES
from lad.seeded import shuffled

if TYPE_CHECKING:
    import pyarrow as pa

Window = tuple[int, ...]
"""Places of a list's candidates in first-stage order, from 0, ascending."""


def number_of_windows(listed: int, n: int, appearances: int) -> int:
    """How many windows a list of that many candidates has; none where it is shorter than a window."""
    if listed <= n:
        return int(listed == n)
    return -(-listed * appearances // n)


def cut_windows(listed: int, n: int, appearances: int, key: tuple[object, ...]) -> list[Window]:
    """The windows of a list of `listed` candidates, as drawn for `key`.

    A window takes the candidates that were shown least so far, in random order: so no two ever differ by more than one
    appearance, and there are no more windows than it takes. They are drawn anew until they hang together: from each
    to each other leads a chain of windows that share a candidate.

    Args:
        listed: number of candidates, N or more.
        n: N, candidates of a window.
        appearances: in at least so many windows each candidate stands, 2 or more, where the list is longer than N. A
            list of N candidates is one window.
    """
    if listed <= n:
        return [tuple(range(listed))]
    for attempt in count():
        windows = _drawn(listed, n, appearances, (*key, attempt))
        if _hang_together(windows, listed):
            break
    return windows


def _drawn(listed: int, n: int, appearances: int, key: tuple[object, ...]) -> list[Window]:
    orders = [shuffled(range(listed), *key, times) for times in range(appearances + 1)]
    turn = [{place: at for at, place in enumerate(order)} for order in orders]
    shown = [0] * listed
    windows = []
    for _ in range(number_of_windows(listed, n, appearances)):
        waiting = sorted(range(listed), key=lambda place: (shown[place], turn[shown[place]][place]))
        windows.append(tuple(sorted(waiting[:n])))
        for place in windows[-1]:
            shown[place] += 1
    return windows


def _hang_together(windows: Sequence[Window], listed: int) -> bool:
    """Whether all candidates are in one piece, where those of a window are."""
    piece = list(range(listed))
    for window in windows:
        joined = {piece[place] for place in window}
        piece = [min(joined) if one in joined else one for one in piece]
    return len(set(piece)) == 1


def build_questions(
    lists: Sequence[RankedList],
    images: pa.Table,
    *,
    dataset: str,
    setting: str,
    n: int,
    evaluation: int,
    calibration: int,
    seed: int,
    appearances: int,
) -> pa.Table:
    """A benchmark of windows: all those of `evaluation` lists at most, and one of each of `calibration` other lists.

    Lists are ranked by a hash of the seed and their id. As in `lad.benchmark.roles`, evaluation takes the top of the
    ranking and calibration the bottom, so that either may grow without changing an earlier question. Lists that are
    shorter than N are left out.

    A calibration window has one right candidate, the best of its list and of these the first, and N - 1 that are not
    relevant; lists that have these alone can calibrate. Candidates stand in first-stage order: presentations shuffle
    them.

    Args:
        lists: those of the setting.
        images: an `images` table with at least their candidates.
        dataset: name that the question ids begin with.
        n: candidates of a window.
        appearances: as of `cut_windows`.
        seed: all random choices follow from it.

    Returns:
        A `questions` table with list_id and relevance, evaluation questions first, each role by rank.

    Raises:
        BenchmarkError: too few lists, two of one id, or a candidate that the table lacks.
    """
    if not 2 <= n <= MAX_CANDIDATES:
        raise BenchmarkError(f"n = {n}: a window has 2 to {MAX_CANDIDATES} candidates")
    if twice := repeated([one.id for one in lists]):
        raise BenchmarkError(f"setting {setting}: two lists have the id {twice[0]}")
    by_id = {one.id: one for one in lists}
    ranked = [one for key in shuffled(by_id, seed, "list") if len((one := by_id[key]).candidates) >= n]
    fitting = [one for one in reversed(ranked) if _can_calibrate(one, n)][:calibration]
    spent = {one.id for one in fitting}
    asked = [one for one in ranked if one.id not in spent][:evaluation]
    if len(fitting) < calibration or not asked:
        able = sum(_can_calibrate(one, n) for one in ranked)
        raise BenchmarkError(
            f"setting {setting}: {calibration} calibration lists and at least one other of {n} candidates or more"
            f" wanted; of its {len(lists)} lists {len(ranked)} are so long, and {able} of these have a right candidate"
            f" and {n - 1} wrong ones, to calibrate on"
        )
    ids = ids_of(images)
    parts = [
        ("evaluation", one, window)
        for one in asked
        for window in cut_windows(len(one.candidates), n, appearances, (seed, "windows", one.id))
    ]
    parts += [("calibration", one, _calibration_window(one, n, seed)) for one in fitting]
    ranks: Mapping[str, Any] = {role: count() for role in ("evaluation", "calibration")}
    rows = [
        _question(one, window, role, next(ranks[role]), ids, f"{dataset}-{setting}-n{n:02d}")
        for role, one, window in parts
    ]
    return parquet.from_rows(rows, contracts.QUESTIONS)


def _question(one: RankedList, window: Window, role: str, rank: int, ids: dict[str, int], name: str) -> dict[str, Any]:
    candidates = image_ids(one, ids)
    relevance = [one.relevance[place] for place in window]
    return {
        "question_id": f"{name}-{role[0]}{rank:05d}-{one.id}",
        "role": role,
        "rank": rank,
        "caption": one.query,
        "candidates": [candidates[place] for place in window],
        "target": relevance.index(max(relevance)) + 1 if any(relevance) else None,
        "n_candidates": len(window),
        "list_id": one.id,
        "relevance": relevance,
    }


def _can_calibrate(one: RankedList, n: int) -> bool:
    return any(one.relevance) and one.relevance.count(0) >= n - 1


def _calibration_window(one: RankedList, n: int, seed: int) -> Window:
    target = one.relevance.index(max(one.relevance))
    wrong = [place for place, grade in enumerate(one.relevance) if grade == 0]
    return tuple(sorted([target, *shuffled(wrong, seed, "calibration", one.id)[: n - 1]]))
