"""Questions of one's own: captions and picture files or texts, with the right one where it is known.

What is known calibrates, what is to be found out is evaluated (docs/use.md). The paper has no such thing: its questions
are all built from captioned data sets.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.captions import images_table, size_of
from lad.extraction.prompts import MAX_CANDIDATES


class OwnQuestion(NamedTuple):
    """A caption, its candidates, and which of them fits, from 1; None where unknown.

    Candidates are pictures, as paths below the image folder, or texts.
    """

    caption: str
    candidates: Sequence[str]
    target: int | None = None


def own_questions(
    image_folder: Path | None, *, calibration: Sequence[OwnQuestion] = (), evaluation: Sequence[OwnQuestion] = ()
) -> tuple[pa.Table, pa.Table]:
    """Questions as the `images` and `questions` tables that `build_presentations` and `extract` read.

    Args:
        image_folder: the folder that the pictures' paths begin in; None where candidates are texts.
        calibration: questions to calibrate on, each with its target.
        evaluation: questions to be answered, with or without their targets.

    Returns:
        The images, by path or text and numbered from 1, without captions of their own; and the questions, those of
        calibration first, with ids own-c00000, own-e00000 and so on.

    Raises:
        BenchmarkError: no question, too few or too many candidates, a target that is none of them, a calibration
            question without one, a picture that cannot be opened.
    """
    asked = [(role, q) for role, qs in (("calibration", calibration), ("evaluation", evaluation)) for q in qs]
    questions = [(role, OwnQuestion(*question)) for role, question in asked]
    if not questions:
        raise BenchmarkError("no question given, neither for calibration nor for evaluation")
    for role, question in questions:
        _refuse_impossible(role, question)
    candidates = sorted({candidate for _, question in questions for candidate in question.candidates})
    ids = {candidate: image_id for image_id, candidate in enumerate(candidates, start=1)}
    images = [{"image_id": image_id, **_facts(image_folder, candidate)} for candidate, image_id in ids.items()]
    ranks = [*range(len(calibration)), *range(len(evaluation))]
    rows = [
        {
            "question_id": f"own-{role[0]}{rank:05d}",
            "role": role,
            "rank": rank,
            "caption": question.caption,
            "candidates": [ids[candidate] for candidate in question.candidates],
            "target": question.target,
            "n_candidates": len(question.candidates),
        }
        for rank, (role, question) in zip(ranks, questions, strict=True)
    ]
    return images_table(images), parquet.from_rows(rows, contracts.QUESTIONS)


def _facts(image_folder: Path | None, candidate: str) -> dict[str, Any]:
    """The columns of a candidate in the images table."""
    common: dict[str, Any] = {"caption": "", "category_ids": [], "license": None}
    if image_folder is None:
        return {"file_name": "", "width": 0, "height": 0, **common, "text": candidate}
    width, height = size_of(image_folder / candidate)
    return {"file_name": candidate, "width": width, "height": height, **common}


def _refuse_impossible(role: str, question: OwnQuestion) -> None:
    n, named = len(question.candidates), f"{role} question {question.caption!r}"
    if not 2 <= n <= MAX_CANDIDATES:
        raise BenchmarkError(f"{named} has {n} candidates; a question has 2 to {MAX_CANDIDATES}")
    if question.target is None and role == "calibration":
        raise BenchmarkError(f"{named} has no target; say which of its {n} candidates is right, from 1 to {n}")
    if question.target is not None and not 1 <= question.target <= n:
        raise BenchmarkError(f"{named}: target {question.target} is none of its {n} candidates; allowed are 1 to {n}")
