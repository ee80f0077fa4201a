"""The runner of SQL files: what is wired wrongly is refused."""

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


def test_a_step_is_taken_once():
    steps, taken = query.Steps(), []
    for _ in range(2):
        assert steps.once("step", lambda: taken.append("step") or "result") == "result"
    assert steps.once(("step", 2), lambda: "another") == "another"
    assert taken == ["step"]


def test_a_step_that_fails_is_taken_again():
    steps = query.Steps()
    with pytest.raises(ZeroDivisionError):
        steps.once("step", lambda: 1 / 0)
    assert steps.once("step", lambda: 1) == 1


def test_a_step_that_was_there_already_counts_as_if_it_were_taken_now(monkeypatch):
    """Also where it is part of another step that was there already. By a clock that only this test moves."""
    steps, passed = query.Steps(), []
    monkeypatch.setattr(query.time, "perf_counter", lambda: float(sum(passed)))

    def inner() -> None:
        steps.once("inner", lambda: passed.append(20))

    def outer() -> None:
        inner()
        passed.append(10)

    assert steps.timed(inner)[1] == 20
    assert steps.timed(lambda: steps.once("outer", outer))[1] == 30
    assert steps.timed(lambda: steps.once("outer", outer))[1] == 30
    assert passed == [20, 10], "each was taken once"
