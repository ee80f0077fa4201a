"""The runner of SQL files: what is wired wrongly is refused."""

import time
import weakref
from pathlib import Path

import pyarrow as pa
import pytest

from lad import query

NUMBERS = pa.table({"x": [1, 2, 3]})


@pytest.fixture
def above(tmp_path: Path) -> Path:
    path = tmp_path / "above.sql"
    path.write_text("-- Relation above, of others.\nselect x from numbers where x > $least\n")
    return path


def test_a_query_sees_its_relations_and_parameters(above):
    assert query.run(above, {"numbers": NUMBERS}, {"least": 1}).to_pydict() == {"x": [2, 3]}


def test_a_relation_that_nobody_binds_is_refused_even_if_a_variable_has_its_name(above):
    numbers = NUMBERS
    assert len(numbers) == 3
    with pytest.raises(query.QueryError, match=r"above\.sql: .*numbers does not exist"):
        query.run(above, {}, {"least": 1})


def test_relations_of_one_query_are_unknown_to_the_next(above):
    query.run(above, {"numbers": NUMBERS}, {"least": 1})
    with pytest.raises(query.QueryError, match="numbers does not exist"):
        query.run(above, {}, {"least": 1})


def test_a_relation_named_in_a_comment_only_is_not_used(above):
    with pytest.raises(query.QueryError, match=r"above\.sql: relation others given but not used"):
        query.run(above, {"numbers": NUMBERS, "others": NUMBERS}, {"least": 1})


@pytest.mark.parametrize(
    ("parameters", "message"), [({}, "least not given"), ({"least": 1, "most": 2}, "most given but not used")]
)
def test_missing_and_unknown_parameters_are_refused(above, parameters, message):
    with pytest.raises(query.QueryError, match=rf"above\.sql: parameter {message}"):
        query.run(above, {"numbers": NUMBERS}, parameters)


def test_a_shared_step_is_run_once_for_the_same_table_and_parameters(above):
    shared = query.run_once(above, {"numbers": NUMBERS}, {"least": 1})
    assert shared.equals(query.run(above, {"numbers": NUMBERS}, {"least": 1}))
    assert query.run_once(above, {"numbers": NUMBERS}, {"least": 1}) is shared
    assert query.run_once(above, {"numbers": NUMBERS}, {"least": 2}).to_pydict() == {"x": [3]}


def test_a_shared_result_goes_with_its_table_and_what_was_made_of_it_goes_with_it(above):
    numbers = pa.table({"x": [1, 2, 3]})
    shared = query.run_once(above, {"numbers": numbers}, {"least": 1})
    results = [weakref.ref(shared), weakref.ref(query.run_once(above, {"numbers": shared}, {"least": 2}))]
    del shared
    assert all(result() is not None for result in results)
    del numbers
    assert all(result() is None for result in results)


def test_a_shared_result_never_answers_for_another_table(above):
    """Tables that come and go get the same place in memory again and again."""
    for x in range(100):
        assert query.run_once(above, {"numbers": pa.table({"x": [x]})}, {"least": -1}).to_pydict() == {"x": [x]}


def test_what_was_shared_is_timed_as_if_it_had_run(above):
    numbers = pa.table({"x": list(range(300_000))})
    _, first = query.timed(lambda: query.run_once(above, {"numbers": numbers}, {"least": 1}))
    started = time.perf_counter()
    _, again = query.timed(lambda: query.run_once(above, {"numbers": numbers}, {"least": 1}))
    assert time.perf_counter() - started < again
    assert again == pytest.approx(first, rel=0.5)
