"""What the package carries is where its users and those of a wheel find it."""

import tomllib
from pathlib import Path
from typing import get_args

import pytest
import yaml

import lad
from lad.shipped import PUBLISHED, Shipped, configuration_file, queries_folder

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_a_wheel_has_the_configurations_and_queries_beside_the_module_that_looks_for_them():
    placed = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    configurations = {f"config/{name}.yaml": f"lad/shipped/{name}.yaml" for name in sorted(get_args(Shipped))}
    assert placed == {**configurations, "queries": "lad/shipped/queries"}
    assert queries_folder() == ROOT / "queries"


@pytest.mark.parametrize("name", get_args(Shipped))
def test_a_configuration_is_found_by_its_name_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert configuration_file(name) == ROOT / "config" / f"{name}.yaml"


def test_a_file_comes_before_a_name_and_what_is_neither_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("paper").write_text("")
    assert configuration_file("paper") == Path("paper")
    with pytest.raises(FileNotFoundError, match="papers: no such configuration file; by name there are paper, table1"):
        configuration_file("papers")


def test_the_published_values_lie_in_the_package():
    assert PUBLISHED.is_relative_to(Path(lad.__file__).parent)
    assert len(PUBLISHED.read_text().splitlines()) == 1 + 332


def test_the_citation_says_what_the_project_says():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == lad.__version__
    assert citation["license"] == PROJECT["project"]["license"]
    assert [author["name"] for author in citation["authors"]] == [a["name"] for a in PROJECT["project"]["authors"]]
    assert citation["keywords"] == PROJECT["project"]["keywords"]
