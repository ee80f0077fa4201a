"""docs/queries.md and the recipes: every query finds something in a results folder, and counts no method twice."""

import re
from collections.abc import Iterator
from pathlib import Path

import made_lists
import pyarrow as pa
import pytest
from signals_factory import random_signals

from lad import catalog, contracts, parquet
from lad.calibration.calibrate import calibrate
from lad.evaluation.differences import comparisons, differences
from lad.evaluation.metrics import evaluate
from lad.evaluation.rankings import rank_lists
from lad.methods import score
from lad.sql.recipes import recipes

PAGE = (Path(__file__).parents[2] / "docs" / "queries.md").read_text(encoding="utf-8")
QUERIES = dict(re.findall(r"^### ([^\n]+)\n(?:(?!^#).)*?^```sql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
METHODS = ("vanilla", "purified_attention", "pride", "agd")
SETTINGS = ("random", "adversarial")
WHAT = (
    *("model", "dataset", "setting", "n", "probe", "method", "variant", "first", "second", "layer"),
    *("target_position", "question_id", "presentation_id", "calibration_questions", "device", "dtype"),
)
"""Columns of recipes that say what a row is about."""
CALIBRATIONS = ((1, 5), (2, 5), (1, 10))
"""Set and number of the calibration questions."""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two settings at N = 8, each answered after its own calibrations and after one of the other setting."""
    folder = tmp_path_factory.mktemp("results")
    lists = made_lists.made_lists(10, 8)
    tables = made_lists.asked(lists, 8)
    said = made_lists.answers(tables, {one.id: list(one.relevance) for one in lists}, method="vanilla")
    ranked = rank_lists(said, **tables, resamples=20)
    for seed, setting in enumerate(SETTINGS):
        cell = {"model": "demo", "dataset": "scenes", "setting": setting, "n": 8, "probe": "vanilla"}
        shifts = random_signals(seed, 8, questions=10)
        shown = random_signals(seed, 8, questions=12, rounds=3, split="evaluation")
        made = {"seconds": 1.5, "presentations": len(shown), "device": "a GPU"}
        write(folder, "signals", shown, made, **cell, split="evaluation")
        write(folder, "questions", asked(shown), **{key: cell[key] for key in ("dataset", "setting", "n")})
        plain = pa.table({})
        for source, number, questions in sources(setting):
            fitted = calibrate(shifts, questions=questions, question_set=number)
            answers = pa.concat_tables(score(shown, fitted, method) for method in METHODS)
            calibration = {"calibration_set": number, "calibration_questions": questions}
            if source == setting:
                for name in ("position_bias", "attention_prior"):
                    write(folder, name, getattr(fitted, name), **cell, split="calibration", **calibration)
            place = {"calibration_dataset": "scenes", "calibration_setting": source, "calibration_split": "calibration"}
            tables_of = {
                "predictions": answers,
                "metrics": evaluate(answers, resamples=20),
                "differences": differences(answers, resamples=20),
            }
            if (source, number, questions) == (setting, 1, 5):
                plain = answers
            tables_of["rankings"] = ranked
            if source != setting:
                compare = {"reference_calibration_questions": 5, "resamples": 20}
                tables_of["comparisons"] = comparisons(answers, plain, **compare)
            for name, table in tables_of.items():
                write(folder, name, table, **cell, **place, **calibration)
    return catalog.connect(folder)


def sources(setting: str) -> Iterator[tuple[str, int, int]]:
    yield from ((setting, number, questions) for number, questions in CALIBRATIONS)
    yield from ((other, 1, 5) for other in SETTINGS if other != setting)


def asked(shown: pa.Table) -> pa.Table:
    """The questions that these presentations show."""
    ids = sorted(set(shown["question_id"].to_pylist()))
    common = {"role": "evaluation", "candidates": list(range(1, 9)), "target": 1, "n_candidates": 8}
    rows = [{"question_id": one, "rank": rank, "caption": f"caption {rank}", **common} for rank, one in enumerate(ids)]
    return parquet.from_rows(rows, contracts.QUESTIONS)


def write(folder: Path, name: str, table: pa.Table, metadata: dict | None = None, **keys: str | int) -> None:
    relation = catalog.RELATIONS[name]
    parquet.write(table, relation.path(folder, **keys), relation.contract, metadata)


def test_every_query_stands_under_a_question_of_its_own():
    assert PAGE.count("```sql") == len(QUERIES) >= 10
    assert all(question.endswith("?") for question in QUERIES)


@pytest.mark.parametrize("question", QUERIES)
def test_the_query_finds_an_answer(results, question):
    assert results.sql(QUERIES[question]).fetchall()


@pytest.mark.parametrize("name", recipes())
def test_the_recipe_asks_a_question_and_finds_an_answer_for_each_setting(results, name):
    recipe = recipes()[name]
    assert recipe.question.endswith("?")
    answer = results.sql(recipe.sql)
    rows = answer.fetchall()
    assert rows
    if "setting" in answer.columns and "limit" not in recipe.sql:
        assert {row[answer.columns.index("setting")] for row in rows} == set(SETTINGS)


@pytest.mark.parametrize("name", recipes())
def test_no_row_of_a_recipe_stands_there_twice(results, name):
    """A method that needs no calibration stands in the tables once for each calibration of its cell."""
    rows = results.sql(recipes()[name].sql).project(f"columns(lambda c: c in {WHAT})").fetchall()
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("question", [question for question, sql in QUERIES.items() if "from metrics" in sql])
def test_a_method_that_needs_no_calibration_is_counted_once(results, question):
    """It stands in `metrics` once for each calibration of its cell; an answer that is there twice says so."""
    names = ("model", "setting", "n", "method", "variant", "position", "calibration_questions")
    answer = results.sql(QUERIES[question])
    rows = answer.project(", ".join(name for name in names if name in answer.columns)).fetchall()
    assert len(rows) == len(set(rows))
