"""The question without content: N blank images, or N texts "N/A", and the caption "N/A".

What a model answers to it, and where it looks, is what it does whatever it is asked. Contextual calibration (Zhao et
al., arXiv 2102.09690) asks text models such a question once, with "N/A" in the content's place; of images blank means
an even grey.
"""

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from PIL import Image

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.captions import images_table
from lad.extraction.prompts import MAX_CANDIDATES

CAPTION: Final = "N/A"
_GREY: Final = (128, 128, 128)
_FILE: Final = "blank.png"


def write_content_free(images: pa.Table, n: int, folder: Path) -> None:
    """Write the tables images, questions and presentations (one row each) that show the same candidate n times.

    Of images also the blank one, images/blank.png. Any position may pass for the target's, since all candidates are
    alike: the table says 1.

    Args:
        images: an `images` table. Where it has texts, so has the question; else the blank image has the table's most
            frequent size (the larger of equally frequent ones).

    Raises:
        BenchmarkError: n outside 2..12, or no image.
    """
    if not 2 <= n <= MAX_CANDIDATES:
        raise BenchmarkError(f"n = {n}: a question has 2 to {MAX_CANDIDATES} candidates")
    if not len(images):
        raise BenchmarkError("the images table is empty: there is nothing to say what the candidates are")
    candidate: dict[str, Any] = {"image_id": 0, "caption": CAPTION, "category_ids": []}
    if "text" in images.column_names:
        candidate |= {"file_name": "", "width": 0, "height": 0, "text": CAPTION}
    else:
        width, height = _most_frequent_size(images)
        candidate |= {"file_name": _FILE, "width": width, "height": height}
        (folder / "images").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, height), _GREY).save(folder / "images" / _FILE)
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
    questions = [{**question, "role": "evaluation", "rank": 0, "candidates": [0] * n}]
    for contract, table in (
        (contracts.IMAGES, images_table([{**candidate, "license": None}])),
        (contracts.QUESTIONS, parquet.from_rows(questions, contracts.QUESTIONS)),
        (contracts.PRESENTATIONS, parquet.from_rows([presentation], contracts.PRESENTATIONS)),
    ):
        parquet.write(table, folder / f"{contract.name}.parquet", contract)


def _most_frequent_size(images: pa.Table) -> tuple[int, int]:
    sizes = list(zip(images["width"].to_pylist(), images["height"].to_pylist(), strict=True))
    return max(set(sizes), key=lambda size: (sizes.count(size), size))
