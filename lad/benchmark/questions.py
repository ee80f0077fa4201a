"""Questions: a caption and its N candidates, images or texts, in the random and the adversarial setting.

No target serves both calibration and evaluation, as the paper prints; the released code calibrates on the
first evaluation questions. Where categories are known, an image without any is neither target nor distractor, in
either setting: the authors' val2014 has 40,137 images, which are those with categories among its 40,504. Differs
from the paper: no random distractor has the very caption of its target, because such a question would have two right
answers (rare in COCO, not in small datasets). Of texts, none may be that of two candidates: the reader leaves them out.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lad import contracts, parquet
from lad.benchmark import SETTINGS, BenchmarkError, CategoryFilter
from lad.benchmark.negatives import nearest_allowed
from lad.extraction.prompts import MAX_CANDIDATES
from lad.seeded import number, shuffled


def build_questions(
    images: pa.Table,
    *,
    dataset: str,
    setting: str,
    n: int,
    evaluation: int,
    calibration: int,
    seed: int,
    pool: int | None = None,
    embeddings: pa.Table | None = None,
    category_filter: CategoryFilter = "printed",
    caption_threshold: float = 0.9,
) -> pa.Table:
    """A benchmark of `evaluation` + `calibration` questions with `n` candidates each.

    All images that may be asked about are ranked by a hash of the seed and their id (where some have categories,
    those without are left out); the first `pool` of them are the pool, from which targets and distractors come.
    Evaluation takes its targets from the top of the ranking, calibration from the bottom, so either may grow
    without changing an earlier question. A question depends on the seed, its target and the pool only: other
    settings, N or numbers of questions ask about the same targets, and the distractors of a smaller N are the first
    of those of a larger one. The target's place among the candidates is drawn per question.

    Args:
        images: an `images` table.
        dataset: name that the question ids begin with.
        setting: random (distractors drawn uniformly from the pool) or adversarial
            (the nearest ones that may stand beside the target, see `negatives`).
        n: candidates per question, 2 to 12.
        evaluation: number of evaluation questions.
        calibration: number of calibration questions.
        seed: all random choices follow from it.
        pool: number of images in the pool (20,000 in the paper); all that may be asked about if None.
        embeddings: an `embeddings` table of at least the pool; adversarial only.
        category_filter: printed or released; adversarial only.
        caption_threshold: adversarial distractors have captions of a smaller cosine with the target's.

    Returns:
        A `questions` table, evaluation questions first, each role by rank.

    Raises:
        BenchmarkError: an unknown setting, numbers that the images do not suffice for, a target with too few images
            that may stand beside it, or two candidates of the same text.
    """
    if setting not in SETTINGS:
        raise BenchmarkError(f"unknown setting '{setting}'; known: {', '.join(SETTINGS)}")
    _refuse_equal_texts(images)
    images, kind = _that_may_be_asked_about(images)
    _check_numbers(len(images), kind, n, evaluation, calibration, pool)
    captions = dict(zip(images["image_id"].to_pylist(), images["caption"].to_pylist(), strict=True))
    ranked = shuffled(captions, seed, "image")[:pool]
    targets = {"evaluation": ranked[:evaluation], "calibration": ranked[::-1][:calibration]}
    asked = [target for members in targets.values() for target in members]
    if setting == "random":
        distractors = _random_distractors(asked, ranked, captions, n - 1, seed)
    elif embeddings is None:
        raise BenchmarkError("the adversarial setting chooses distractors by embeddings; none were given")
    else:
        nearest = nearest_allowed(
            embeddings,
            images.filter(pc.is_in(images["image_id"], pa.array(ranked, pa.int64()))),
            np.array(asked, dtype=np.int64),
            n - 1,
            category_filter=category_filter,
            caption_threshold=caption_threshold,
        )
        distractors = dict(zip(asked, nearest.tolist(), strict=True))
    rows = [
        {
            "question_id": f"{dataset}-{setting}-n{n:02d}-{role[0]}{rank:05d}",
            "role": role,
            "rank": rank,
            "caption": captions[target],
            **_place(target, distractors[target], seed),
        }
        for role, members in targets.items()
        for rank, target in enumerate(members)
    ]
    return parquet.from_rows(rows, contracts.QUESTIONS)


def _refuse_equal_texts(images: pa.Table) -> None:
    """A candidate with the target's very text would be right as well."""
    if "text" not in images.column_names:
        return
    first: dict[str, int] = {}
    for image_id, text in zip(images["image_id"].to_pylist(), images["text"].to_pylist(), strict=True):
        if first.setdefault(text, image_id) != image_id:
            raise BenchmarkError(f"candidates {first[text]} and {image_id} have the same text, '{text}'; leave one out")


def _that_may_be_asked_about(images: pa.Table) -> tuple[pa.Table, str]:
    """The images with categories if there are any, else all of them; and what errors call them."""
    categorised = images.filter(pc.greater(pc.list_value_length(images["category_ids"]), 0))
    return (categorised, "images with categories") if len(categorised) else (images, "images")


def _check_numbers(images: int, kind: str, n: int, evaluation: int, calibration: int, pool: int | None) -> None:
    if not 2 <= n <= MAX_CANDIDATES:
        raise BenchmarkError(f"n = {n}: a question has 2 to {MAX_CANDIDATES} candidates")
    for name, questions in (("evaluation", evaluation), ("calibration", calibration)):
        if questions < 0:
            raise BenchmarkError(f"{name} = {questions}: the number of questions cannot be negative")
    if pool is not None and not 1 <= pool <= images:
        raise BenchmarkError(f"pool = {pool}: the dataset has {images} {kind}, choose from 1 to {images}")
    available, where = (images, "dataset") if pool is None else (pool, "pool")
    if n > available:
        raise BenchmarkError(f"n = {n}: the {where} has only {available} {kind}")
    if evaluation + calibration > available:
        raise BenchmarkError(
            f"evaluation + calibration = {evaluation} + {calibration} questions, each with a target of its own:"
            f" the {where} has only {available} {kind}"
        )


def _random_distractors(
    targets: Sequence[int], pool: Sequence[int], captions: Mapping[int, str], wanted: int, seed: int
) -> dict[int, list[int]]:
    """For each target the first `wanted` distinct images of an endless draw, none with the target's caption.

    Drawn one by one and not by ranking the pool, which would cost 20,000 hashes per question.
    """
    frequency = Counter(captions[image] for image in pool)
    distractors: dict[int, list[int]] = {}
    for target in targets:
        caption = captions[target]
        available = len(pool) - frequency[caption]
        if available < wanted:
            raise BenchmarkError(
                f"target image {target}: {wanted} distractors wanted, {available} images of the pool have another"
                f" caption than '{caption}'. Lower n or enlarge the pool"
            )
        drawn = (pool[number(seed, "distractor", target, attempt) % len(pool)] for attempt in count())
        different = (image for image in drawn if captions[image] != caption)
        distractors[target] = list(islice(_distinct(different), wanted))
    return distractors


def _distinct(images: Iterator[int]) -> Iterator[int]:
    seen: set[int] = set()
    for image in images:
        if image not in seen:
            seen.add(image)
            yield image


def _place(target: int, distractors: Sequence[int], seed: int) -> dict[str, object]:
    """The columns that say who the candidates are, the target at a place drawn for this question."""
    n = len(distractors) + 1
    place = number(seed, "place", n, target) % n
    return {
        "candidates": [*distractors[:place], target, *distractors[place:]],
        "target": place + 1,
        "n_candidates": n,
    }
