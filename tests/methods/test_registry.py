"""The registry: every module that exports a method is one, and nothing else is."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest
from cases import evaluation_signals

from lad import methods
from lad.methods import METHODS, find_methods, score

FOLDER = Path(methods.__file__).parent
COIN = dedent(
    '''
    """Coin: an answer by chance.

        answer = 1
    """
    from pathlib import Path

    from lad import query
    from lad.methods.base import Method
    from lad.methods.options import Options
    from lad.methods.scores import best_positions


    def answers(inputs, options):
        return best_positions(query.run(Path(__file__).with_suffix(".sql"), {"signals": inputs.signals}))


    METHOD = Method(
        name="coin",
        display="Coin",
        colour="#000000",
        marker="o",
        description="always the first",
        answers=answers,
        options_type=Options,
    )
    '''
)
COIN_QUERY = """
select presentation_id, unnest(range(1, n_candidates + 1))::integer as position, -position::double as score
from signals
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder whose modules belong to the package."""
    known = set(sys.modules)
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def test_the_registry_holds_exactly_the_modules_that_export_a_method():
    modules = [path.stem for path in FOLDER.glob("*.py") if "\nMETHOD = Method(" in path.read_text()]
    assert sorted(METHODS) == sorted(modules)
    assert all(method.name == name for name, method in METHODS.items())


def test_methods_stand_in_the_order_of_their_ranks():
    ranks = [method.rank for method in METHODS.values()]
    assert ranks == sorted(set(ranks))
    assert list(METHODS) == list(find_methods(methods.__path__))


def test_every_query_lies_beside_the_method_that_runs_it_or_is_shared():
    source = "".join(path.read_text() for path in FOLDER.glob("*.py"))
    for query in FOLDER.glob("*.sql"):
        own = FOLDER / f"{query.stem}.py"
        beside = own.exists() and 'with_suffix(".sql")' in own.read_text()
        assert beside or f'"{query.name}"' in source, query.name


def test_no_two_methods_look_alike_or_take_one_place():
    looks = [(method.colour, method.marker) for method in METHODS.values()]
    names = [method.display for method in METHODS.values()]
    rows = [(row.table, row.rank) for method in METHODS.values() for row in method.rows]
    published = [(name.name, name.formulation) for method in METHODS.values() for name in method.published]
    for each in (looks, names, rows, published):
        assert len(set(each)) == len(each)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_what_it_is(name):
    method = METHODS[name]
    first, *rest = method.explanation.split("\n\n")
    assert first.endswith(".")
    assert "\n" not in method.description
    assert rest
    assert all(option.meaning and option.kind.allowed for option in method.options.values())


def test_a_module_and_its_query_are_all_that_a_new_method_takes(folder, monkeypatch):
    (folder / "coin.py").write_text(COIN)
    (folder / "coin.sql").write_text(COIN_QUERY)
    found = find_methods(methods.__path__)
    assert list(found) == [*METHODS, "coin"]
    monkeypatch.setattr(methods, "METHODS", found)
    assert set(score(evaluation_signals(0), None, "coin")["position"].to_pylist()) == {1}
    assert found["coin"].explanation.startswith("Coin: an answer by chance.")


def test_a_method_bears_the_name_of_its_module(folder):
    (folder / "toss.py").write_text(COIN)
    with pytest.raises(ImportError, match=r"module lad\.methods\.toss exports the method 'coin': call it toss"):
        find_methods(methods.__path__)
