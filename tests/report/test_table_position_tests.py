"""The table of positions: its numbers, its notes and its sentence are those of the metrics."""

import shutil

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lad.report.artifact import ArtifactError
from lad.report.artifacts.table_position_tests import METRICS, Options, draw, needs
from lad.report.results import opened

OPTIONS = Options(model="demo", dataset="scenes", label="made up", ns=(2, 4), methods=("vanilla", "agd"))


@pytest.fixture(scope="module")
def table(results):
    with opened(results, lambda available: needs(available, OPTIONS)) as part:
        return draw(part, OPTIONS), part.measures.records.to_pylist()


def test_each_row_shows_the_metrics_of_its_method_and_fairness_for_two_candidates_alone(table):
    drawn, _ = table
    records = {
        (str(row["n_candidates"]), row["setting"], row["method"], row["metric"]): row
        for row in drawn.records.to_pylist()
    }
    assert len(records) == 8 * 4 + 4
    for line in drawn.lines:
        place = (*line.labels[:2], line.labels[2].lower())
        shown = dict(zip(METRICS, (cell.text for cell in line.cells), strict=False))
        for metric, text in shown.items():
            if metric == "preference_fairness" and place[0] != "2":
                assert text == "–"
                continue
            found = records[*place, metric]
            digits = 2 if metric == "cramers_v" else 1
            assert float(text.split()[0].replace("−", "-")) == pytest.approx(found["value"], abs=0.51 * 10**-digits)
            if "(" in text:
                assert text.split("(")[1] == f"{found['low']:.{digits}f} to {found['high']:.{digits}f})"


def test_the_note_says_where_accuracy_hides_a_bias(table):
    drawn, _ = table
    accuracies = [float(line.cells[4].text.split()[0]) for line in drawn.lines]
    expected = ["below 60 %" if a < 60 else "above 95 %" if a > 95 else "" for a in accuracies]
    notes = [line.cells[5].text.split("; ") for line in drawn.lines]
    assert ["".join(n.removeprefix("accuracy ") for n in note if "accuracy" in n) for note in notes] == expected
    assert drawn.facts["outside"] == str(sum(map(bool, expected)))
    assert drawn.facts["rows"] == "8"


def test_a_preference_is_seen_where_the_printed_interval_of_v_lies_above_0(table):
    drawn, _ = table
    for method, label in (("vanilla", "Vanilla"), ("AGD", "AGD")):
        lines = [line for line in drawn.lines if line.labels[2] == label]
        seen = sum(float(line.cells[1].text.split("(")[1].split()[0]) > 0 for line in lines)
        assert f"{method} in {seen} of 4 places" in drawn.facts["seen"]


def test_metrics_of_an_earlier_version_are_refused_with_what_makes_them_anew(results, tmp_path):
    old = tmp_path / "results"
    shutil.copytree(results / "metrics", old / "metrics")
    for file in old.rglob("metrics.parquet"):
        table = pq.read_table(file, partitioning=None)
        pq.write_table(table.filter(pc.field("metric") != "cramers_v"), file)
    with (
        pytest.raises(ArtifactError, match="have no cramers_v; `lad evaluate` makes them anew"),
        opened(old, lambda available: needs(available, OPTIONS)) as part,
    ):
        draw(part, OPTIONS)
