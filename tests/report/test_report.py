"""The report is one page that shows everything, needs nothing, and names whose numbers it shows."""

import base64
import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from lad import catalog
from lad.report.artifact import ArtifactError
from lad.report.artifacts import ARTIFACTS
from lad.report.page import report

VOID = {"meta", "img", "br", "hr", "link", "input"}
TITLE = "Results <of> a test"


class Page(HTMLParser):
    """Collects what the tests ask about, and refuses what a browser would have to mend."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.images, self.tags, self.text = [], [], [], [], [], ""
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "a":
            self.links.append(attributes["href"])
        if tag == "img":
            self.images.append(attributes)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def path(results, drawn, tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "report.html"
    report(results, drawn, out, TITLE, "made-up & labelled", {"Seed": "0"})
    return out


@pytest.fixture(scope="module")
def page(path):
    return Page(path.read_text(encoding="utf-8"))


def test_the_page_is_well_formed_and_its_ids_are_unique(path, page):
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("h1") == 1


def test_every_artifact_is_there_in_order_and_linked_from_the_contents(page):
    assert [identifier for identifier in page.ids if identifier in ARTIFACTS] == list(ARTIFACTS)
    assert [link[1:] for link in page.links if link[1:] in ARTIFACTS] == list(ARTIFACTS)
    assert all(link[1:] in page.ids for link in page.links)


def test_every_figure_is_inlined_and_described(page):
    figures = [artifact for artifact in ARTIFACTS.values() if artifact.kind == "figure"]
    assert [image["alt"] for image in page.images] == [artifact.alt for artifact in figures]
    for image in page.images:
        kind, data = image["src"].split(";base64,")
        assert kind == "data:image/svg+xml"
        assert b"<svg" in base64.b64decode(data)[:600]


def test_the_page_needs_no_network_and_no_script(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]|<script|@import|url\(", text)
    assert path.stat().st_size < 5_000_000


def test_the_title_and_the_label_stand_on_top_as_they_were_given(page):
    assert TITLE in page.text
    assert "made-up & labelled. No number on this page is taken from the paper" in " ".join(page.text.split())


def test_the_headline_is_what_was_measured_with_eight_random_candidates(results, page):
    with catalog.connect(results) as connection:
        measured = dict(
            connection.execute(
                "select method, value from metrics where model = 'demo' and n = 8 and setting = 'random' and metric ="
                " 'accuracy' and variant = '' and calibration_setting = 'random' and calibration_split = 'calibration'"
                " and calibration_set = 1 and calibration_questions = 5"
            ).fetchall()
        )
    start = page.text.index("Asked which of 8 candidates")
    lead = page.text[start : page.text.index("Contents")].replace("\u00a0", " ")
    for method in ("vanilla", "purified_attention", "agd"):
        assert f"{measured[method]:.1f} %" in lead


def test_the_headline_names_the_method_that_is_right_most_often(results, page):
    with catalog.connect(results) as connection:
        best = connection.execute(
            "select method, variant, value from metrics where model = 'demo' and dataset = 'scenes' and n = 8 and"
            " setting = 'random' and metric = 'accuracy' and probe = 'vanilla' and calibration_setting = 'random' and"
            " calibration_split = 'calibration' and calibration_set = 1 and calibration_questions = 5"
            " order by value desc limit 1"
        ).fetchone()
    start = page.text.index("methods and variants that were asked this")
    said = " ".join(page.text[start : page.text.index("Contents")].replace("\u00a0", " ").split())
    assert f"is right most often: {best[2]:.1f} %" in said
    assert best[1] in said


def test_the_headline_is_told_from_paired_differences(page):
    start = page.text.index("AGD beats purified attention in")
    verdict = page.text[start : page.text.index("Contents")].replace("\u00a0", " ")
    assert re.search(r"the worst is at N = \d, \w+ \(\S+ points, \S+ to \S+\)\.", verdict)


@pytest.mark.parametrize(("purified", "said"), [(0.0, "in 6 of 6 combinations"), (100.0, "does not beat it in 6")])
def test_the_headline_counts_where_agd_does_not_beat_purified_attention(edited, drawn, tmp_path, purified, said):
    def change(row):
        is_purified = row["method"] == "purified_attention" and row["metric"] == "accuracy"
        return row | {"value": purified, "low": purified, "high": purified} if is_purified else row

    report(edited(change), drawn, tmp_path / "report.html", TITLE, "label")
    assert said in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_every_sentence_and_every_table_cell_is_on_the_page(drawn, page):
    text = " ".join(page.text.split())
    for name in ARTIFACTS:
        description = json.loads((drawn / f"{name}.json").read_text(encoding="utf-8"))
        assert " ".join(description["sentence"].split()) in text
        for line in description.get("lines", []):
            assert " ".join([*line["labels"], *(cell["text"] for cell in line["cells"])]) in text


def test_what_was_not_drawn_is_said(results, drawn, tmp_path):
    some = tmp_path / "some"
    shutil.copytree(drawn, some)
    (some / "fig8.json").unlink()
    report(results, some, tmp_path / "report.html", TITLE, "label")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "fig8" not in page.ids
    assert ARTIFACTS["fig8"].title in page.text[page.text.index("Not drawn in this run") :]


def test_an_empty_folder_is_refused(results, tmp_path):
    with pytest.raises(ArtifactError, match="no artifact was drawn here"):
        report(results, tmp_path, tmp_path / "report.html", TITLE, "label")
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("method", ["vanilla", "purified_attention", "agd"])
def test_the_headline_is_left_out_where_one_of_its_methods_was_not_measured(edited, drawn, tmp_path, method):
    without = edited(lambda row: None if row["method"] == method else row)
    report(without, drawn, tmp_path / "report.html", TITLE, "label")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "In short" not in text
    assert "Figure 1" in text


def test_writing_the_page_again_gives_the_same_bytes(results, drawn, path, tmp_path):
    report(results, drawn, tmp_path / "report.html", TITLE, "made-up & labelled", {"Seed": "0"})
    assert (tmp_path / "report.html").read_bytes() == path.read_bytes()
