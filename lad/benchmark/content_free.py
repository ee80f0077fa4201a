"""The question without content: N blank images and the caption "N/A".

What a model answers to it, and where it looks, is what it does whatever it is asked. Contextual calibration (Zhao et
al., arXiv 2102.09690) asks text models such a question once; here blank means an even grey.
"""

from pathlib import Path
from typing import Final

import pyarrow as pa
from PIL import Image

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.extraction.prompts import MAX_CANDIDATES

CAPTION: Final = "N/A"
_GREY: Final = (128, 128, 128)
_FILE: Final = "blank.png"


def write_content_free(images: pa.Table, n: int, folder: Path) -> None:
    """Write images/blank.png and the tables images, questions and presentations (one row each) that show it n times.

    Any position may pass for the target's, since all candidates are alike: the table says 1.

    Args:
        images: an `images` table, whose most frequent size (the larger of equally frequent ones) the blank image has.

    Raises:
        BenchmarkError: n outside 2..12, or no image.
    """
    if not 2 <= n <= MAX_CANDIDATES:
        raise BenchmarkError(f"n = {n}: a question has 2 to {MAX_CANDIDATES} candidates")
    if not len(images):
        raise BenchmarkError("the images table is empty: there is no size for the blank image")
    sizes = list(zip(images["width"].to_pylist(), images["height"].to_pylist(), strict=True))
    width, height = max(set(sizes), key=lambda size: (sizes.count(size), size))
    blank = {"image_id": 0, "file_name": _FILE, "width": width, "height": height, "caption": CAPTION}
    question = {"question_id": f"content-free-n{n:02d}", "caption": CAPTION, "target": 1, "n_candidates": n}
    presentation = {
        "presentation_id": f"{question['question_id']}-000",
        "question_id": question["question_id"],
        "split": "content_free",
        "round": 0,
        "order": list(range(1, n + 1)),
        "target_position": 1,
        "n_candidates": n,
    }
    (folder / "images").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), _GREY).save(folder / "images" / _FILE)
    for contract, row in (
        (contracts.IMAGES, {**blank, "category_ids": []}),
        (contracts.QUESTIONS, {**question, "role": "evaluation", "rank": 0, "candidates": [0] * n}),
        (contracts.PRESENTATIONS, presentation),
    ):
        parquet.write(parquet.from_rows([row], contract), folder / f"{contract.name}.parquet", contract)
