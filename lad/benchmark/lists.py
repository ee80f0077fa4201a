"""Lists: queries whose candidates a first stage has ranked, of which several may be right (reranking, page retrieval).

A list is longer than a prompt. So it is asked about in windows, which are the questions of the benchmark
(`lad.benchmark.windows`), and put together again from their scores (`lad.evaluation.rankings`). Not in the paper, whose
questions have one right image among a few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lad.benchmark import BenchmarkError
from lad.benchmark.captions import images_table, repeated, size_of

if TYPE_CHECKING:
    import pyarrow as pa


MAX_GRADE: Final = 2**31 - 1
"""Tables hold no larger one."""


@dataclass(frozen=True)
class RankedList:
    """A query and its candidates, as a first stage ranks them.

    Attributes:
        id: the query's, as the files have it.
        candidates: in first-stage order; texts, or paths of pictures below the image folder.
        relevance: the grade of each candidate, 0: not relevant.
        ideal: the grades above 0 of all that is relevant to the query, listed or not, the largest first. nDCG and
            recall are held against it.
        group: what macro averages are taken over, such as the document's domain; "" where there is none.

    Raises:
        BenchmarkError: no candidate or one twice, as many grades as candidates are not there, a grade below 0 or
            beyond what tables hold, or an ideal that is in another order or lacks what is listed.
    """

    id: str
    query: str
    candidates: tuple[str, ...]
    relevance: tuple[int, ...]
    ideal: tuple[int, ...]
    group: str = ""

    def __post_init__(self) -> None:
        if not self.candidates:
            self._refuse("has no candidates")
        if len(self.relevance) != len(self.candidates):
            self._refuse(f"has {len(self.candidates)} candidates and {len(self.relevance)} grades")
        if twice := repeated(list(self.candidates)):
            self._refuse(f"has the candidate {twice[0][:60]!r} twice")
        if outside := [grade for grade in (*self.relevance, *self.ideal) if not 0 <= grade <= MAX_GRADE]:
            self._refuse(f"has the grade {outside[0]}; grades are 0 (not relevant) to {MAX_GRADE}")
        if list(self.ideal) != sorted(self.ideal, reverse=True) or 0 in self.ideal:
            self._refuse(f"has ideal grades {list(self.ideal)}; expected are grades above 0, the largest first")
        if lacking := Counter(grade for grade in self.relevance if grade) - Counter(self.ideal):
            self._refuse(f"has a candidate of grade {max(lacking)} that is not counted among its ideal grades")

    def _refuse(self, fault: str) -> None:
        raise BenchmarkError(f"list {self.id}: {fault}")

    def cut(self, depth: int) -> RankedList:
        """The first `depth` candidates; what is relevant to the query stays the same."""
        return replace(self, candidates=self.candidates[:depth], relevance=self.relevance[:depth])


def candidates_of(lists: Sequence[RankedList], image_folder: Path | None) -> pa.Table:
    """The candidates of all lists as an `images` table, each once, numbered from 1 in the order of the lists.

    Args:
        image_folder: the folder of the pictures; None where candidates are texts.

    Raises:
        BenchmarkError: a picture that cannot be opened.
    """
    named = dict.fromkeys(candidate for one in lists for candidate in one.candidates)
    return images_table(
        {"image_id": number, **_facts(candidate, image_folder)} for number, candidate in enumerate(named, start=1)
    )


def _facts(candidate: str, image_folder: Path | None) -> dict[str, Any]:
    common: dict[str, Any] = {"caption": "", "category_ids": [], "license": None}
    if image_folder is None:
        return {"file_name": "", "width": 0, "height": 0, **common, "text": candidate}
    width, height = size_of(image_folder / candidate)
    return {"file_name": candidate, "width": width, "height": height, **common}


def summary(lists: Mapping[str, Sequence[RankedList]]) -> str:
    """What was read, by setting: a list that is shorter than a window is not asked about."""
    told = []
    for setting, ours in lists.items():
        lengths = [len(one.candidates) for one in ours] or [0]
        right = sum(any(one.relevance) for one in ours)
        listed = f"{len(ours)} lists of {min(lengths)} to {max(lengths)} candidates"
        told.append(f"{setting}: {listed}, {right} of them with a right one")
    return "; ".join(told)


def ids_of(images: pa.Table) -> dict[str, int]:
    """The id of each candidate in an `images` table, by its text or its path."""
    by = "text" if "text" in images.column_names else "file_name"
    return dict(zip(images[by].to_pylist(), images["image_id"].to_pylist(), strict=True))


def image_ids(one: RankedList, ids: dict[str, int]) -> list[int]:
    """The ids of a list's candidates.

    Raises:
        BenchmarkError: one that the images table lacks.
    """
    if absent := [candidate for candidate in one.candidates if candidate not in ids]:
        raise BenchmarkError(
            f"list {one.id}: candidate {absent[0][:60]!r} is not in the images table; read the lists of this setting"
            " into it"
        )
    return [ids[candidate] for candidate in one.candidates]


def lists_table(lists: Sequence[RankedList], images: pa.Table) -> pa.Table:
    """The lists as a `lists` table.

    Raises:
        BenchmarkError: a candidate that the images table lacks.
    """
    from lad import contracts, parquet

    ids = ids_of(images)
    rows = [
        {
            "list_id": one.id,
            "query": one.query,
            "candidates": image_ids(one, ids),
            "relevance": one.relevance,
            "ideal": one.ideal,
            "group": one.group,
            "listed": len(one.candidates),
        }
        for one in lists
    ]
    return parquet.from_rows(rows, contracts.LISTS)
