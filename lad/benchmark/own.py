"""Questions of one's own: captions and picture files, with the right one where it is known.

What is known calibrates, what is to be found out is evaluated (docs/use.md). The paper has no such thing: its questions
are all built from captioned data sets.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.captions import size_of
from lad.extraction.prompts import MAX_CANDIDATES


class OwnQuestion(NamedTuple):
    """A caption, the candidate pictures as paths below the image folder, and which fits, from 1; None where unknown."""

    caption: str
    files: Sequence[str]
    target: int | None = None


def own_questions(
    image_folder: Path, *, calibration: Sequence[OwnQuestion] = (), evaluation: Sequence[OwnQuestion] = ()
) -> tuple[pa.Table, pa.Table]:
    """Questions as the `images` and `questions` tables that `build_presentations` and `extract` read.

    Args:
        image_folder: the folder that the files' paths begin in.
        calibration: questions to calibrate on, each with its target.
        evaluation: questions to be answered, with or without their targets.

    Returns:
        The images, by path and numbered from 1, without captions of their own; and the questions, those of calibration
        first, with ids own-c00000, own-e00000 and so on.

    Raises:
        BenchmarkError: no question, too few or too many pictures, a target that is none of them, a calibration question
            without one, a picture that cannot be opened.
    """
    asked = [(role, q) for role, qs in (("calibration", calibration), ("evaluation", evaluation)) for q in qs]
    questions = [(role, OwnQuestion(*question)) for role, question in asked]
    if not questions:
        raise BenchmarkError("no question given, neither for calibration nor for evaluation")
    for role, question in questions:
        _refuse_impossible(role, question)
    files = sorted({file for _, question in questions for file in question.files})
    ids = {file: image_id for image_id, file in enumerate(files, start=1)}
    images = []
    for file, image_id in ids.items():
        width, height = size_of(image_folder / file)
        size = {"width": width, "height": height}
        images.append({"image_id": image_id, "file_name": file, **size, "caption": "", "category_ids": []})
    ranks = [*range(len(calibration)), *range(len(evaluation))]
    rows = [
        {
            "question_id": f"own-{role[0]}{rank:05d}",
            "role": role,
            "rank": rank,
            "caption": question.caption,
            "candidates": [ids[file] for file in question.files],
            "target": question.target,
            "n_candidates": len(question.files),
        }
        for rank, (role, question) in zip(ranks, questions, strict=True)
    ]
    return parquet.from_rows(images, contracts.IMAGES), parquet.from_rows(rows, contracts.QUESTIONS)


def _refuse_impossible(role: str, question: OwnQuestion) -> None:
    n, named = len(question.files), f"{role} question {question.caption!r}"
    if not 2 <= n <= MAX_CANDIDATES:
        raise BenchmarkError(f"{named} has {n} pictures; a question has 2 to {MAX_CANDIDATES}")
    if question.target is None and role == "calibration":
        raise BenchmarkError(f"{named} has no target; say which of its {n} pictures is right, from 1 to {n}")
    if question.target is not None and not 1 <= question.target <= n:
        raise BenchmarkError(f"{named}: target {question.target} is none of its {n} pictures; allowed are 1 to {n}")
