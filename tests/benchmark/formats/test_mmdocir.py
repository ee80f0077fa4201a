"""MMDocIR's files become lists of pages; a page of another document, or one that is missing, is never taken for it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from stored_rows import picture, write

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.formats.mmdocir import Mmdocir

WORDS = ("solar panels", "wind farms", "tidal power", "coal mines", "gas fields", "nuclear plants")


def page(document: str, number: int, **changes: Any) -> dict[str, Any]:
    """A row of MMDocIR_pages.parquet: names without .pdf, every third page lies on its side."""
    size = (44, 34) if number % 3 == 2 else (34, 44)
    return {
        "doc_name": document,
        "domain": "Laws",
        "passage_id": str(number),
        "image_path": f"page_images/{document}_{number}.jpg",
        "image_binary": picture(number + len(document), size, "JPEG"),
        "ocr_text": f"page {number}",
        "vlm_text": f"A page about {WORDS[number]} in the year {2000 + number}.",
    } | changes


def annotated(name: str, domain: str, first: int, last: int, *questions: tuple[str, list[int]]) -> dict[str, Any]:
    """A line of MMDocIR_annotations.jsonl."""
    asked = [
        {"Q": text, "A": "none", "page_id": pages, "type": "['Chart']", "layout_mapping": []}
        for text, pages in questions
    ]
    indices = {"page_indices": [first, last], "layout_indices": [0, 9]}
    return {"doc_name": f"{name}.pdf", "domain": domain, **indices, "questions": asked}


LINES = (
    annotated("energy", "Laws", 4, 9, ("What of coal mines?", [3]), ("Where are gas fields and tidal power?", [2, 4])),
    annotated("guide", "Guidebook", 0, 3, ("Who builds wind farms?", [1])),
)
PAGES = (*(page("guide", k) for k in range(4)), *(page("energy", k) for k in range(6)))

Make = Callable[..., Mmdocir]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A dataset of these lines and rows; `run` is the text of a run."""

    def made(lines: Any = LINES, pages: Any = PAGES, run: str | None = None, **keys: Any) -> Mmdocir:
        text = lines if isinstance(lines, str) else "\n".join(map(json.dumps, lines))
        (tmp_path / "MMDocIR_annotations.jsonl").write_text(text)
        write(tmp_path / "MMDocIR_pages.parquet", pages, {"image_binary": pa.binary()})
        if run is not None:
            (tmp_path / "colqwen.run").write_text(run)
            keys["run"] = str(tmp_path / "colqwen.run")
        return Mmdocir(
            format="mmdocir",
            annotations=str(tmp_path / "MMDocIR_annotations.jsonl"),
            data=str(tmp_path / "MMDocIR_pages.parquet"),
            images=str(tmp_path / "images"),
            **keys,
        )

    return made


def order(files: tuple[str, ...]) -> list[int]:
    return [int(Path(file).stem) for file in files]


def test_a_question_is_a_list_of_its_documents_pages_the_likeliest_first(make):
    coal, gas, wind = make().read_lists("pages")
    assert (coal.id, coal.query, coal.group) == ("0", "What of coal mines?", "Laws")
    assert order(coal.candidates) == [3, 0, 1, 2, 4, 5]
    assert (coal.relevance, coal.ideal) == ((1, 0, 0, 0, 0, 0), (1,))
    assert set(order(gas.candidates)[:2]) == {2, 4}
    assert (gas.relevance, gas.ideal) == ((1, 1, 0, 0, 0, 0), (1, 1))
    assert (wind.group, len(wind.candidates), order(wind.candidates)[0]) == ("Guidebook", 4, 1)


def test_the_first_stage_may_read_other_texts_or_nothing_or_be_a_run(make):
    by_ocr = make(text="ocr_text").read_lists("pages")[0]
    in_order = make(first_stage="page_order", depth=3).read_lists("pages")[1]
    assert order(by_ocr.candidates) == [0, 1, 2, 3, 4, 5]
    assert (order(in_order.candidates), in_order.relevance, in_order.ideal) == ([0, 1, 2], (0, 0, 1), (1, 1))
    run = "0 Q0 5 1 0.5 colqwen\n0 Q0 3 2 0.7 colqwen\n2 Q0 0 1 9e1 colqwen\n7 Q0 0 1 1 colqwen\n"
    ranked = make(run=run)
    assert [order(one.candidates) for one in ranked.read_lists("pages")] == [[3, 5], [0]]
    assert ranked.read_images(["pages"]).refused == [
        {"question": 1, "document": "energy", "reason": "is not in the run"}
    ]


def test_pages_become_files_with_their_own_size(make, tmp_path):
    images = parquet.conform(make().read_images(["pages"]).table, contracts.IMAGES, "images").to_pylist()
    sizes = {row["file_name"]: (row["width"], row["height"]) for row in images}
    assert len(sizes) == 10
    assert (sizes["energy/001.jpg"], sizes["energy/002.jpg"]) == ((34, 44), (44, 34))
    assert (tmp_path / "images/energy/005.jpg").read_bytes() == PAGES[9]["image_binary"]


def test_pages_without_a_word_stand_in_their_order(make):
    silent = [row | {"vlm_text": None} for row in PAGES]
    assert order(make(pages=silent).read_lists("pages")[0].candidates) == [0, 1, 2, 3, 4, 5]


def test_a_question_without_a_gold_page_is_left_out_and_counted(make):
    lines = [annotated("energy", "Laws", 4, 9, ("Who?", []), ("What of coal mines?", [3]))]
    dataset = make(lines)
    assert [one.id for one in dataset.read_lists("pages")] == ["1"]
    assert dataset.read_images(["pages"]).summary.endswith("left out: question 0 has no gold page")


def test_windows_of_a_made_sample_keep_their_contracts(make):
    dataset = make()
    images = dataset.read_images(["pages"]).table
    numbers = {"n": 4, "evaluation": 9, "calibration": 1, "seed": 0}
    table = dataset.build_questions(images, dataset="mmdocir", setting="pages", **numbers)
    assert len(parquet.conform(table, contracts.QUESTIONS, "questions")) > 2
    assert len(parquet.conform(dataset.build_lists(images, setting="pages"), contracts.LISTS, "lists")) == 3


BROKEN_LINES = {
    "[1]": r"line 1 is \[1\], expected is an object",
    '{"doc_name": 3}': "line 1 has doc_name 3, expected is a text",
    '{"doc_name": "../a.pdf"}': "line 1 has doc_name '../a', which cannot be the name of a folder",
    '{"doc_name": "a.pdf"}': "line 1 has no page_indices; its keys are: doc_name",
    '{"doc_name": "a", "page_indices": [3, 1]}': r"has page_indices \[3, 1\], expected are its first and last row",
    '{"doc_name": "a", "page_indices": [0, 3], "questions": {}}': "has questions .*, expected is a list of questions",
    '{"doc_name": "a", "page_indices": [0, 3], "questions": [{"A": "b"}]}': "has question 0 without a text Q",
    '{"doc_name": "a", "page_indices": [0, 3], "questions": [{"Q": "b", "page_id": "3"}]}': "with page_id '3', expec",
    '{"doc_name": "a", "page_indices": [0, 3], "questions": [{"Q": "b", "page_id": [4]}]}': "its pages are 0 to 3",
    '{"doc_name": "a", "page_indices": [0, 3], "questions": []}': "has no domain; its keys are",
    "": "has no entry",
}


@pytest.mark.parametrize("line", BROKEN_LINES)
def test_a_line_that_is_no_document_is_one_clear_error(make, line):
    with pytest.raises(BenchmarkError, match=rf"MMDocIR_annotations\.jsonl: .*{BROKEN_LINES[line]}") as refused:
        make(line).read_lists("pages")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (PAGES[:-1], "has 9 rows, but energy ends in row 9"),
        ((*PAGES[:4], page("guide", 0), *PAGES[5:]), "row 4: is a page of guide, expected is page 0 of energy"),
        ((*PAGES[:5], page("energy", 3), *PAGES[6:]), "row 5: passage_id is 3, expected is 1, its place in energy"),
        ([{k: v for k, v in row.items() if k != "vlm_text"} for row in PAGES], "has no column vlm_text; needed are"),
        ([{k: v for k, v in row.items() if k != "image_binary"} for row in PAGES], "has no column image_binary"),
    ],
)
def test_pages_that_are_not_those_of_the_documents_are_one_clear_error(make, changed, message):
    with pytest.raises(BenchmarkError, match=rf"MMDocIR_pages\.parquet.*{message}"):
        make(pages=changed).read_lists("pages")


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("0 Q0 3 1 0.5", "line 1 is .*, expected are query Q0 document rank score name"),
        ("0 Q0 3 first 0.5 colqwen", "line 1 is .*, expected are query Q0 document rank score name"),
        ("0 Q0 6 1 0.5 colqwen", "line 1 names document 6, which its question's document lacks"),
        ("0 Q0 3 1 0.5 c\n0 Q0 3 2 0.4 c", "line 2 names document 3 for query 0 a second time"),
        ("17 Q0 3 1 0.5 colqwen", "has none of the 3 queries, such as 0"),
        ("", "has none of the 3 queries"),
    ],
)
def test_a_run_of_another_form_is_one_clear_error(make, run, message):
    with pytest.raises(BenchmarkError, match=rf"colqwen\.run: {message}"):
        make(run=run).read_lists("pages")


def test_a_page_that_is_no_picture_and_another_setting_are_named(make, tmp_path):
    broken = [row | {"image_binary": b"no picture"} if k == 6 else row for k, row in enumerate(PAGES)]
    with pytest.raises(BenchmarkError, match=r"energy/002\.jpg: cannot be decoded"):
        make(pages=broken).read_images(["pages"])
    with pytest.raises(BenchmarkError, match="has no task 'layouts'; it has: pages"):
        make().read_lists("layouts")
