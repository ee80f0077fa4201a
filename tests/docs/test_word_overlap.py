"""docs/texts.md: its query finds how often the words alone lead to the target, as plain numpy does."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lad import catalog, contracts, parquet
from lad.benchmark.captions import images_table
from lad.benchmark.questions import build_questions
from lad.benchmark.tfidf import embed_texts

PAGE = (Path(__file__).parents[2] / "docs" / "texts.md").read_text(encoding="utf-8")
(QUERY,) = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
WORDS = [f"word{k}" for k in range(60)]


@pytest.fixture(scope="module")
def texts() -> pa.Table:
    """Candidates that share some of their query's words, and no two of whose cosines are equal."""
    random = np.random.default_rng(0)
    often = 1 / np.arange(1, 61)
    drawn = [[" ".join(random.choice(WORDS, size, p=often / often.sum())) for size in (14, 11)] for _ in range(40)]
    common = {"file_name": "", "width": 0, "height": 0, "category_ids": [], "license": None}
    return images_table(
        {"image_id": k, **common, "caption": query, "text": text} for k, (query, text) in enumerate(drawn)
    )


def test_the_query_counts_the_targets_that_have_the_largest_cosine(texts, tmp_path):
    embeddings, _ = embed_texts(texts)
    of_text, of_query = (np.array(embeddings[name].to_pylist()) for name in ("image_embedding", "caption_embedding"))
    expected = {}
    for setting in ("random", "adversarial"):
        asked = {"dataset": "captions", "setting": setting, "n": 3, "evaluation": 20, "calibration": 0, "seed": 0}
        questions = build_questions(texts, **asked, embeddings=embeddings, caption_threshold=1.1)
        keys = {"dataset": "captions", "setting": setting, "n": 3}
        parquet.write(questions, catalog.RELATIONS["questions"].path(tmp_path, **keys), contracts.QUESTIONS)
        found = [
            np.argmax(of_text[row["candidates"]] @ of_query[row["candidates"][row["target"] - 1]]) == row["target"] - 1
            for row in questions.to_pylist()
        ]
        assert 0 < sum(found) < len(found)
        expected[setting, 3] = round(100 * np.mean(found), 1)
    embedded = catalog.RELATIONS["embeddings"].path(tmp_path, dataset="captions")
    parquet.write(embeddings, embedded, contracts.EMBEDDINGS)
    counted = catalog.connect(tmp_path).execute(QUERY).fetchall()
    assert {(setting, n): found for setting, n, found in counted} == expected
