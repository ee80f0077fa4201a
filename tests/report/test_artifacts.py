"""Every artifact becomes files that say what the results say."""

import csv
import json
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic_results import build_results

from lad import catalog, contracts, parquet
from lad.catalog import RELATIONS
from lad.grid import CalibrationSource
from lad.report.artifact import ArtifactError
from lad.report.artifacts import ARTIFACTS
from lad.report.artifacts.table2 import METRICS as COST_METRICS
from lad.report.drawing import draw
from lad.report.style import METHODS
from lad.report.wording import signed

FIGURES = [name for name, artifact in ARTIFACTS.items() if artifact.kind == "figure"]
TABLES = [name for name, artifact in ARTIFACTS.items() if artifact.kind == "table"]
SOURCE = ("calibration_dataset", "calibration_setting", "calibration_split", "calibration_set")
OPTIONAL = ("published", "table_position_tests", "table_ranking")
"""What shows the methods that there are, and misses none."""
SCORES = [name for name in TABLES if name not in ("table2", "table5", "table_calibration_choice", *OPTIONAL)]
"""Tables of scores and leads; the others have tests of their own."""


def read_sentence(folder: Path, name: str) -> str:
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["sentence"].replace("\u00a0", " ")


def markdown_rows(path: Path) -> list[list[str]]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_registry_holds_the_papers_artifacts_in_its_order():
    paper = ["fig1", "fig2", "fig3", "fig5", "fig6", "fig7", "fig8"]
    paper += [f"table{k}" for k in range(1, 9)]
    assert [name for name in ARTIFACTS if "_" not in name and name != "published"] == paper


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_a_readable_pdf_svg_and_png_of_page_width(drawn, name):
    assert (drawn / f"{name}.pdf").read_bytes().startswith(b"%PDF-")
    assert ElementTree.parse(drawn / f"{name}.svg").getroot().tag.endswith("svg")
    with Image.open(drawn / f"{name}.png") as image:
        assert image.width == 1380
        assert image.convert("L").getextrema() != (255, 255)


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_drawn_is_cut_off_at_the_edge(drawn, name):
    """The outermost pixels are the white of the page."""
    with Image.open(drawn / f"{name}.png") as image:
        grey = image.convert("L")
        width, height = grey.size
        for edge in (
            (0, 0, width, 1),
            (0, height - 1, width, height),
            (0, 0, 1, height),
            (width - 1, 0, width, height),
        ):
            assert grey.crop(edge).getextrema() == (255, 255)


def test_a_figure_carries_its_label(results, options, drawn, tmp_path):
    draw("fig1", results, options("fig1") | {"label": "something else"}, tmp_path)
    assert (tmp_path / "fig1.svg").read_bytes() != (drawn / "fig1.svg").read_bytes()


@pytest.mark.parametrize("name", ["fig2", "fig7", "fig8", "table4", "table_unplanted", "published"])
def test_drawing_again_gives_the_same_bytes(results, options, drawn, tmp_path, name):
    for path in draw(name, results, options(name), tmp_path):
        assert path.read_bytes() == (drawn / path.name).read_bytes(), path.suffix


@pytest.mark.parametrize("name", list(ARTIFACTS))
def test_a_sentence_is_filled_from_the_data(drawn, name):
    sentence = read_sentence(drawn, name)
    assert sentence.endswith(".")
    assert not set("{}") & set(sentence)
    assert "undefined" not in sentence
    assert any(character.isdigit() for character in sentence)


@pytest.mark.parametrize("name", SCORES)
def test_the_values_of_a_table_are_the_metrics(results, drawn, name):
    with (drawn / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    with catalog.connect(results) as connection:
        for row in rows:
            if row["metric"].startswith("lead_of_"):
                continue
            (measured,) = connection.execute(
                "select value, std, low, high from metrics where model = ? and dataset = ? and setting = ? and n = ?"
                " and probe = ? and method = ? and variant = ? and calibration_dataset = ? and calibration_setting = ?"
                " and calibration_split = ? and calibration_set = ?"
                " and calibration_questions = ?"
                " and metric = ?",
                [
                    *(row[key] for key in ("model", "dataset", "setting", "n_candidates", "probe", "method")),
                    *(row[key] for key in ("variant", *SOURCE, "calibration_questions", "metric")),
                ],
            ).fetchall()
            printed = [row[key] for key in ("value", "std", "low", "high")]
            assert [float(value) if value else None for value in printed] == list(measured)


@pytest.mark.parametrize("name", ["table1", "table4", "table7"])
def test_a_lead_is_the_paired_difference_of_the_reference_and_the_row(results, drawn, name):
    with (drawn / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        leads = [row for row in csv.DictReader(file) if row["metric"] == "lead_of_agd"]
    compared = 0
    with catalog.connect(results) as connection:
        for row in leads:
            measured = connection.execute(
                "select value, low, high from differences where model = ? and dataset = ? and setting = ? and n = ?"
                " and probe = ? and calibration_dataset = ? and calibration_setting = ?"
                " and calibration_split = ? and calibration_set = ?"
                " and calibration_questions = ? and method = 'agd' and variant = ''"
                " and against = ? and against_variant = ?",
                [
                    *(row[key] for key in ("model", "dataset", "setting", "n_candidates", "probe", *SOURCE)),
                    *(row[key] for key in ("calibration_questions", "method", "variant")),
                ],
            ).fetchall()
            if (row["method"], row["variant"]) == ("agd", ""):
                assert not row["value"]
            else:
                assert [(float(row["value"]), float(row["low"]), float(row["high"]))] == measured
                compared += 1
    assert compared >= 4


def test_leads_are_paired_across_probes_and_calibrations_as_well(results, drawn):
    """SoFA asks differently, the reused calibration corrects differently; the questions are the same."""
    for name, row_is in (
        ("table8", lambda row: row["probe"] == "sofa"),
        ("table_divergences", lambda row: row["calibration_split"] == "symmetrized"),
    ):
        with (drawn / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row_is(row)]
        accuracies = [float(row["value"]) for row in rows if row["metric"] == "accuracy"]
        leads = [row for row in rows if row["metric"] == "lead_of_agd"]
        assert len(leads) == len(accuracies) > 0
        for accuracy, lead in zip(accuracies, leads, strict=True):
            with catalog.connect(results) as connection:
                ((reference,),) = connection.execute(
                    "select value from metrics where model = 'demo' and setting = ? and n = ? and probe = 'vanilla' and"
                    " calibration_setting = setting and calibration_split = 'calibration' and calibration_set = 1"
                    " and calibration_questions = 5 and method = 'agd' and"
                    " variant = '' and metric = 'accuracy'",
                    [lead["setting"], lead["n_candidates"]],
                ).fetchall()
            assert float(lead["value"]) == pytest.approx(reference - accuracy)
            assert float(lead["low"]) <= float(lead["value"]) <= float(lead["high"])


def test_the_spread_over_sets_of_calibration_questions_is_that_of_their_accuracies(drawn):
    with (drawn / "table_calibration_sets.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    keys = dict.fromkeys((row["n_candidates"], METHODS[row["method"]].name) for row in rows)
    for (n, method), shown in zip(keys, markdown_rows(drawn / "table_calibration_sets.md"), strict=True):
        of = [row for row in rows if (row["n_candidates"], METHODS[row["method"]].name) == (n, method)]
        assert [row["calibration_set"] for row in of] == ["1", "2"]
        found = [float(row["value"]) for row in of]
        spread = [np.mean(found), np.std(found, ddof=1), min(found), max(found)]
        interval = f"{float(of[0]['low']):.1f} to {float(of[0]['high']):.1f}"
        assert shown == [n, method, "2", *(f"{value:.1f}" for value in spread), interval]


def test_choices_of_calibration_questions_are_shown_as_they_were_measured(drawn):
    with (drawn / "table_calibration_choice.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    shown = markdown_rows(drawn / "table_calibration_choice.md")
    assert len(rows) == 2 * len(shown), "two methods stand side by side"
    assert [cell.split(" ")[0] for row in shown for cell in row[4:]] == [
        f"{float(row['accuracy']):.1f}" for row in rows
    ]
    at_random = [row for row in shown if row[2] == "at random, mean of draws"]
    assert [row[:2] for row in at_random] == [[n, count] for n in ("4", "8") for count in ("1", "5")]
    assert all("[" not in cell for row in at_random for cell in row)
    assert "against 5 fixed questions" in read_sentence(drawn, "table_calibration_choice")


@pytest.mark.parametrize("name", [name for name in SCORES if name != "table_calibration_sets"])
def test_markdown_shows_the_values_of_the_csv_in_its_order(drawn, name):
    with (drawn / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        values = [signed(float(row["value"])) if row["value"] else "–" for row in csv.DictReader(file)]
    stub = len(json.loads((drawn / f"{name}.json").read_text(encoding="utf-8"))["stub"])
    cells = [cell for row in markdown_rows(drawn / f"{name}.md") for cell in row[stub:]]
    shown = [cell.strip("*").split(" ± ")[0].split(" (")[0] for cell in cells]
    assert [cell.lstrip("+") for cell in shown] == values


def test_the_best_value_of_each_column_is_bold_and_small_rstd_is_best(drawn):
    rows = markdown_rows(drawn / "table6.md")
    for column, best in zip((1, 2, 3, 5, 6, 7), [max, min, max] * 2, strict=True):
        values = [float(row[column].strip("*").split(" ± ")[0]) for row in rows]
        bold = [row[column].startswith("**") for row in rows]
        assert bold == [value == best(values) for value in values]


def test_latex_escapes_percent_and_ampersand(drawn):
    tex = (drawn / "table1.tex").read_text(encoding="utf-8")
    assert r"made-up signals \& 100 \% real code" in tex
    assert tex.count(r"\\") == 2 + len(markdown_rows(drawn / "table1.md"))


def test_the_main_results_have_rows_for_the_methods_that_were_scored(drawn):
    assert [row[0] for row in markdown_rows(drawn / "table1.md")] == ["Vanilla", "PriDe", "AGD", "AGD (released code)"]


def test_the_table_of_transfers_has_every_pair_of_settings(drawn):
    pairs = {tuple(row[:2]) for row in markdown_rows(drawn / "table3.md")}
    assert pairs == {(f"scenes-{a}", b) for a in ("random", "adversarial") for b in ("random", "adversarial")}


def test_several_models_stand_one_below_the_other_in_table_1(results, options, tmp_path):
    """The unplanted model was asked with random candidates only."""
    chosen = options("table1") | {"models": "demo,demo-unplanted", "settings": "random"}
    draw("table1", results, chosen, tmp_path)
    rows = markdown_rows(tmp_path / "table1.md")
    assert {row[0] for row in rows} == {"demo", "demo-unplanted"}
    blocks = [line["block"] for line in json.loads((tmp_path / "table1.json").read_text())["lines"]]
    assert blocks == sorted(blocks)
    assert len(set(blocks)) == 2


def test_the_ablation_has_a_row_for_each_variant_that_was_scored(drawn):
    layers = [row[2] for row in markdown_rows(drawn / "table4.md")]
    assert layers == ["K = 2", "K = 2", "K = 2", "all", "K = 1", "K = 2", "K = 4", "K = 2 of layers 2 to 4"]


def test_the_unplanted_table_has_the_settings_that_were_measured(drawn):
    assert json.loads((drawn / "table_unplanted.json").read_text())["groups"] == [
        ["N = 4, random", ["Accuracy (%)", "AGD\u2019s lead (points)"]],
        ["N = 8, random", ["Accuracy (%)", "AGD\u2019s lead (points)"]],
    ]


def test_an_unknown_artifact_is_refused_with_those_there_are(results, options, tmp_path):
    with pytest.raises(ArtifactError, match="unknown artifact 'fig4'; known: fig1, fig2"):
        draw("fig4", results, options("fig4"), tmp_path)


def test_an_unknown_option_is_refused_with_those_there_are(results, options, tmp_path):
    with pytest.raises(ArtifactError, match="fig1: unknown option candidates; known: model, dataset, probe, label"):
        draw("fig1", results, options("fig1") | {"candidates": 4}, tmp_path)


def test_options_may_come_as_text(results, options, drawn, tmp_path):
    """As a command line gives them."""
    draw("table7", results, options("table7") | {"ns": "4,8", "settings": "random,adversarial"}, tmp_path)
    assert (tmp_path / "table7.csv").read_bytes() == (drawn / "table7.csv").read_bytes()
    with pytest.raises(ArtifactError, match="option n = 'four': expected a number"):
        draw("fig1", results, options("fig1") | {"n": "four"}, tmp_path)


OF_NO_METRICS = ("fig2", "fig3", "fig7", "fig_heads", "table2", "table_calibration_choice", *OPTIONAL)


@pytest.mark.parametrize("name", [name for name in ARTIFACTS if name not in OF_NO_METRICS])
def test_a_method_that_was_not_scored_is_one_clear_error(edited, options, tmp_path, name):
    without_agd = edited(lambda row: None if row["method"] == "agd" else row)
    with pytest.raises(ArtifactError, match=rf"^{name}: .*\bagd\b.*`lad ") as error:
        draw(name, without_agd, options(name), tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "missing"), [("fig2", "signals"), ("fig3", "predictions"), ("fig7", "predictions")])
def test_a_cell_that_was_not_extracted_is_one_clear_error(results, options, tmp_path, name, missing):
    with pytest.raises(ArtifactError, match=rf"^{name}: .*{missing}.*n = 11.*`lad "):
        draw(name, results, options(name) | {"n": 11}, tmp_path)


def test_fewer_than_ten_questions_are_drawn_without_intervals_and_beat_nothing(options, tmp_path):
    few = build_results(tmp_path / "few", ns=(4, 8), questions=8)
    for name in ("fig5", "table1", "table7", "table_calibration_sets", "table_divergences"):
        draw(name, few, options(name), tmp_path)
    sentence = read_sentence(tmp_path, "table7")
    assert "but not clearly" in sentence
    assert "points, no interval)" in sentence
    assert "beats" not in sentence
    assert [row[-1] for row in markdown_rows(tmp_path / "table_calibration_sets.md")] == ["–"] * 6
    assert read_sentence(tmp_path, "table_divergences").endswith(
        "0 of 4 divergences move it clearly; the largest: none."
    )


def test_an_image_that_is_missing_is_named(results, options, tmp_path):
    with pytest.raises(ArtifactError, match=r"fig7: .*\.png: image missing"):
        draw("fig7", results, options("fig7") | {"images": tmp_path}, tmp_path)


def test_without_photographs_figure_7_says_so_and_all_else_stays(results, options, drawn, tmp_path):
    draw("fig7", results, options("fig7") | {"images": None}, tmp_path)
    sentence = read_sentence(tmp_path, "fig7")
    assert sentence.endswith("are shown, with grey boxes for images that are not in the signals bundle.")
    assert sentence.startswith(read_sentence(drawn, "fig7").removesuffix("."))
    with Image.open(tmp_path / "fig7.png") as without, Image.open(drawn / "fig7.png") as image:
        assert without.size == image.size


def read_costs(folder: Path) -> dict[tuple[int, str, str], float]:
    with (folder / "table2.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {(int(row["n_candidates"]), row["method"], row["metric"]): float(row["value"]) for row in rows}


def test_costs_are_those_that_were_recorded_with_the_tables(results, drawn):
    """Made up are 10 ms of forward pass per candidate, and 100 MiB plus 10 per candidate."""
    costs = read_costs(drawn)
    keys = {"model": "demo", "dataset": "scenes", "setting": "random", "probe": "vanilla"}
    for n in (4, 8):
        scored = RELATIONS["predictions"].path(
            results, **keys, n=n, **CalibrationSource("scenes", "random").keys, calibration_questions=5
        )
        fitted = RELATIONS["position_bias"].path(
            results, **keys, n=n, split="calibration", calibration_set=1, calibration_questions=5
        )
        for method in ("vanilla", "pride", "agd"):
            assert costs[n, method, "forward_s"] == pytest.approx(10 * n)
            queries = parquet.read_metadata(scored)["seconds"][method] / (16 * 5) * 1000
            assert costs[n, method, "queries_s"] == pytest.approx(queries)
            assert costs[n, method, "latency_s"] == pytest.approx(10 * n + queries)
            assert costs[n, method, "peak_memory_mib"] == pytest.approx(100 + 10 * n)
            once = 0 if method == "vanilla" else 0.01 * n * 5 * n + parquet.read_metadata(fitted)["seconds"]
            assert costs[n, method, "calibration_s"] == pytest.approx(once)
            assert costs[n, method, "calibration_passes"] == (0 if method == "vanilla" else 5 * n)


def test_the_table_of_costs_names_the_device_and_prints_what_its_csv_holds(drawn):
    description = json.loads((drawn / "table2.json").read_text(encoding="utf-8"))
    assert "Forward passes ran on Made-up GPU;" in description["caption"]
    costs = read_costs(drawn)
    rows = markdown_rows(drawn / "table2.md")
    assert [row[:2] for row in rows] == [[n, method] for n in ("4", "8") for method in ("Vanilla", "PriDe", "AGD")]
    for (n, method, metric), value in costs.items():
        row = next(row for row in rows if row[:2] == [str(n), METHODS[method].name])
        printed = row[2 + COST_METRICS.index(metric)]
        if method == "vanilla" and metric.startswith("calibration"):
            assert (printed, value) == ("–", 0)
        else:
            assert float(printed) == pytest.approx(value, abs=0.051)


def test_costs_that_were_not_recorded_are_one_clear_error(results, options, tmp_path):
    with pytest.raises(ArtifactError, match=r"table2: predictions of .* have no vanilla .* n = 11, .*`lad extract`"):
        draw("table2", results, options("table2") | {"ns": (4, 11)}, tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(results, copy)
    for path in copy.glob("predictions/**/predictions.parquet"):
        parquet.write(parquet.read(path, contracts.PREDICTIONS), path, contracts.PREDICTIONS)
    with pytest.raises(ArtifactError, match=r"table2: no seconds of Vanilla recorded.* n = 4\).*`lad score`"):
        draw("table2", copy, options("table2"), tmp_path)
