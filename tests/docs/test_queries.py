"""docs/queries.md: every query runs on a results folder, finds something in it, and counts no method twice."""

import re
from pathlib import Path

import pytest
from figures.synthetic_results import build_results

from lad import catalog

PAGE = (Path(__file__).parents[2] / "docs" / "queries.md").read_text(encoding="utf-8")
QUERIES = dict(re.findall(r"^### ([^\n]+)\n(?:(?!^#).)*?^```sql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return catalog.connect(build_results(tmp_path_factory.mktemp("results"), ns=(8,)))


def test_every_query_stands_under_a_question_of_its_own():
    assert PAGE.count("```sql") == len(QUERIES) >= 10
    assert all(question.endswith("?") for question in QUERIES)


@pytest.mark.parametrize("question", QUERIES)
def test_the_query_finds_an_answer(results, question):
    assert results.sql(QUERIES[question]).fetchall()


@pytest.mark.parametrize("question", [question for question, sql in QUERIES.items() if "from metrics" in sql])
def test_no_row_of_the_answer_is_there_twice(results, question):
    """A method that needs no calibration stands in `metrics` once for each calibration of its cell."""
    answer = results.sql(QUERIES[question])
    said = [c for c in answer.columns if c in ("model", "setting", "n", "method", "variant", "position")]
    said += [c for c in answer.columns if c == "calibration_questions"]
    rows = answer.project(", ".join(said)).fetchall()
    assert len(rows) == len(set(rows))
