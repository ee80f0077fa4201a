"""The published numbers beside the measured ones."""

import csv
from pathlib import Path

import pytest

from lad.report.artifact import ArtifactError
from lad.report.drawing import draw
from lad.report.paper import read_published


@pytest.fixture(scope="module")
def rows(drawn: Path) -> list[dict[str, str]]:
    with (drawn / "published.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_all_332_published_values_are_read():
    assert len(read_published()) == 332
    assert {value.artifact for value in read_published()} == {f"table{k}" for k in range(1, 9)}


def test_a_value_stands_beside_its_counterpart_under_both_formulations(rows):
    def measured_as(**keys):
        return {
            (row["formulation"], row["measured_method"], row["measured_variant"], row["measured_probe"])
            for row in rows
            if all(row[key] == value for key, value in keys.items())
        }

    table1 = {"artifact": "table1", "setting": "random"}
    assert measured_as(**table1, method="agd") == {
        ("printed", "agd", "", "vanilla"),
        ("released", "agd", "formulation=released", "vanilla"),
    }
    assert measured_as(**table1, method="pride") == {("printed", "pride", "", "vanilla")}
    table4 = {"artifact": "table4", "method": "agd"}
    printed = {variant for how, _, variant, _ in measured_as(**table4) if how == "printed"}
    assert printed == {"", "prior=no", "layers=all", "k=1", "k=4"}
    assert measured_as(artifact="table4", method="attention_readout", variant="prior=yes;k=2") == {
        ("printed", "purified_attention", "", "vanilla")
    }
    assert measured_as(artifact="table7", method="raw_attention") == {("printed", "attention_readout", "", "vanilla")}
    assert measured_as(artifact="table8", method="sofa") == {("printed", "vanilla", "", "sofa")}
    sources = {row["calibration_setting"] for row in rows if row["artifact"] == "table3"}
    assert sources == {"adversarial", "random"}


def test_the_difference_is_measured_less_published_and_its_tolerance_is_wider_than_the_interval(rows):
    for row in rows:
        difference = float(row["measured"]) - float(row["value"])
        assert float(row["difference"]) == pytest.approx(difference)
        if row["low"]:
            half = (float(row["high"]) - float(row["low"])) / 2
            assert half <= float(row["tolerance"]) < 1.5 * half + 1e-9
            assert row["inside"] == str(abs(difference) <= float(row["tolerance"])).lower()


def test_a_stand_in_is_compared_in_shape_not_in_value(drawn):
    text = (drawn / "published.md").read_text(encoding="utf-8")
    assert "the comparison is of shape, not of value" in text
    assert "demo on scenes stands in for llava-onevision-1.5-8b on coco" in text
    assert "Inside" not in text.split("\n\n")[1]


def test_models_of_other_names_without_a_stand_in_have_nothing_to_be_compared_with(results, options, tmp_path):
    alone = {name: value for name, value in options("published").items() if name != "published_model"}
    with pytest.raises(
        ArtifactError, match="no published value has a counterpart in the results: name models and datasets"
    ):
        draw("published", results, alone, tmp_path)
