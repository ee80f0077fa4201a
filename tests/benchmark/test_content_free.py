"""The question without content."""

import pyarrow.parquet as pq
import pytest
from PIL import Image

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.captions import images_table
from lad.benchmark.content_free import write_content_free


def sized(*sizes):
    rows = [
        {"image_id": k, "file_name": f"{k}.png", "width": w, "height": h, "caption": "c", "category_ids": []}
        for k, (w, h) in enumerate(sizes)
    ]
    return parquet.from_rows(rows, contracts.IMAGES)


def test_it_shows_one_even_image_n_times_of_the_most_frequent_size(tmp_path):
    write_content_free(sized((64, 48), (80, 60), (64, 48), (200, 200)), 5, tmp_path)
    blank = Image.open(tmp_path / "images" / "blank.png")
    assert blank.size == (64, 48)
    assert len(blank.getcolors()) == 1
    (question,) = parquet.read(tmp_path / "questions.parquet", contracts.QUESTIONS).to_pylist()
    assert question["caption"] == "N/A"
    assert question["candidates"] == [0] * 5
    (presentation,) = parquet.read(tmp_path / "presentations.parquet", contracts.PRESENTATIONS).to_pylist()
    assert presentation["split"] == "content_free"
    assert pq.read_table(tmp_path / "images.parquet")["file_name"].to_pylist() == ["blank.png"]


def test_of_texts_it_shows_the_text_without_content_n_times_and_no_image(tmp_path):
    common = {"file_name": "", "width": 0, "height": 0, "category_ids": [], "license": None}
    write_content_free(images_table([{"image_id": 4, **common, "caption": "q", "text": "t"}]), 3, tmp_path)
    (shown,) = parquet.read(tmp_path / "images.parquet", contracts.IMAGES).to_pylist()
    assert (shown["image_id"], shown["text"], shown["file_name"]) == (0, "N/A", "")
    (question,) = parquet.read(tmp_path / "questions.parquet", contracts.QUESTIONS).to_pylist()
    assert (question["caption"], question["candidates"]) == ("N/A", [0, 0, 0])
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize("n", [1, 13])
def test_it_has_as_many_images_as_a_question_may_have(n, tmp_path):
    with pytest.raises(BenchmarkError, match="2 to 12"):
        write_content_free(sized((8, 8)), n, tmp_path)
    assert not list(tmp_path.iterdir())
