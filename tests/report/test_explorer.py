"""The explorer holds what the results say, in few bytes, and only the pictures that may be shown."""

import json
import re
import shutil
import zlib
from base64 import b64decode

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lad import contracts, parquet
from lad.catalog import RELATIONS
from lad.grid import CalibrationSource, Cell, Scoring
from lad.report.explorer.cells import read_shape
from lad.report.explorer.choice import chosen_scorings
from lad.report.explorer.packed import ATTENTION_DECADES, packed_attention
from lad.report.explorer.page import ExplorerError, explorer

CELL = Cell("demo", "scenes", "random", 4, "vanilla")
SCORING = Scoring(CELL, CalibrationSource("scenes", "random"), 5)


def write(results, out, **settings):
    return explorer(results, out, "A <title>", "made-up & labelled", **{"calibration_questions": 5, **settings})


def blocks(page):
    """The page's blocks of data: the JSON of each."""
    found = {}
    for name, text in re.findall(r'id="block-([\w-]+)">([^<]*)<', page.read_text(encoding="utf-8")):
        content = zlib.decompress(b64decode(text))
        length = int.from_bytes(content[:4], "little")
        found[name] = json.loads(content[4 : 4 + length])
    return found


@pytest.fixture
def images(few_results):
    return {"scenes": few_results / "datasets" / "scenes" / "images"}


def with_licences(results, folder, licence):
    """The results with a licence for every second picture."""
    shutil.copytree(results, folder)
    path = RELATIONS["images"].path(folder, dataset="scenes")
    rows = parquet.read(path, contracts.IMAGES).to_pylist()
    changed = [row | {"license": licence if row["image_id"] % 2 else None} for row in rows]
    parquet.write(parquet.from_rows(changed, contracts.IMAGES), path, contracts.IMAGES)
    return folder


@given(st.lists(st.floats(1e-6, 1), min_size=1))
def test_attention_in_one_byte_is_within_three_percent(values):
    packed = packed_attention(np.array(values)).astype(float)
    back = 10 ** (((packed - 1) / 254 - 1) * ATTENTION_DECADES)
    assert np.allclose(back, values, rtol=0.03)


def test_missing_attention_is_no_attention_that_is_small():
    assert packed_attention(np.array([np.nan, 0.0, 1e-9, 1.0])).tolist() == [0, 1, 1, 255]


def test_the_same_results_give_the_same_bytes(few_results, images, tmp_path):
    for name in ("a.html", "b.html"):
        write(few_results, tmp_path / name, image_folders=images, pictures="all")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_every_cell_is_answered_after_the_usual_calibration_or_else_the_first_one():
    other = Scoring(CELL, CalibrationSource("scenes", "adversarial"), 5)
    more = Scoring(CELL, CalibrationSource("scenes", "random"), 10)
    assert chosen_scorings([other, more, SCORING], 5) == {CELL: SCORING}
    assert chosen_scorings([other, more, SCORING], 10) == {CELL: more}
    assert chosen_scorings([other, more], 5) == {CELL: other}


def test_pictures_without_a_licence_are_withheld(few_results, images, tmp_path):
    some = with_licences(few_results, tmp_path / "results", "CC BY 2.0")
    write(some, tmp_path / "page.html", image_folders=images)
    found = blocks(tmp_path / "page.html")
    files = found["dataset-0"]["files"]
    shown = {file for file, webp in zip(files, found["pictures-0"]["webp"], strict=True) if webp}
    assert shown == {file for file in files if int(file.removesuffix(".png")) % 2}
    assert found["pictures-0"]["withheld"] == len(files) - len(shown)
    assert found["dataset-0"]["licences"] == ["CC BY 2.0"]


@pytest.mark.parametrize(("pictures", "share"), [("licensed", 0), ("all", 1), ("none", 0)])
def test_all_pictures_are_shown_where_that_is_said(few_results, images, tmp_path, pictures, share):
    write(few_results, tmp_path / "page.html", image_folders=images, pictures=pictures)
    webp = blocks(tmp_path / "page.html")["pictures-0"]["webp"]
    assert sum(map(bool, webp)) == share * len(webp)


def test_thumbnails_keep_to_their_budget(few_results, images, tmp_path):
    budget = 4_000
    written = write(few_results, tmp_path / "page.html", image_folders=images, pictures="all", picture_bytes=budget)
    found = blocks(tmp_path / "page.html")["pictures-0"]
    assert 0 < sum(map(len, found["webp"])) == written.picture_bytes <= budget
    assert found["beyond"] == found["webp"].count("") > 0


def test_results_without_pictures_make_a_page_without(few_results, tmp_path):
    assert write(few_results, tmp_path / "page.html").pictures == 0


def test_the_attention_budget_is_spent_on_layers_first_and_on_first_questions(few_results, tmp_path):
    cells = {}
    for budget in (10**9, 20_000, 5_000, 0):
        written = write(few_results, tmp_path / "page.html", attention_bytes=budget)
        cells[budget] = written
    assert cells[10**9].with_heads == cells[10**9].with_layers == cells[10**9].questions
    assert 0 < cells[20_000].with_heads < cells[20_000].with_layers == cells[20_000].questions
    assert 0 == cells[5_000].with_heads < cells[5_000].with_layers < cells[5_000].questions
    assert cells[0].with_layers == 0


def test_layers_without_attention_keep_their_numbers(few_results, tmp_path):
    hybrid = shutil.copytree(few_results, tmp_path / "results")
    path = RELATIONS["signals"].path(hybrid, **vars(CELL), split="evaluation")
    table = parquet.read(path, contracts.SIGNALS)
    for column in contracts.BY_LAYER:
        if column in table.column_names:
            lists = [[[], *layers[1:3], [], layers[4]] if layers else None for layers in table[column].to_pylist()]
            at = table.column_names.index(column)
            table = table.set_column(at, table.schema.field(column), pa.array(lists, table.schema.field(column).type))
    parquet.write(table, path, contracts.SIGNALS)
    shape = read_shape(hybrid, SCORING)
    assert shape.layers == (1, 2, 4)
    assert shape.heads == {"last": 2, "query": 2}


def test_pictures_of_an_unknown_dataset_are_refused(few_results, tmp_path):
    with pytest.raises(ExplorerError, match="pictures of dataset coco: the results hold scenes"):
        write(few_results, tmp_path / "page.html", image_folders={"coco": tmp_path})


def test_results_without_answers_are_refused(few_results, tmp_path):
    unanswered = shutil.copytree(few_results, tmp_path / "results")
    shutil.rmtree(unanswered / "predictions")
    with pytest.raises(ExplorerError, match="holds no predictions of the split evaluation; `lad score` makes them"):
        write(unanswered, tmp_path / "page.html")
