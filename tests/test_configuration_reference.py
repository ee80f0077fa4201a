"""config/README.md names every key, method, option and artifact that there is, and none that there is not."""

import re
from pathlib import Path

import pytest
import yaml

from lad.benchmark.formats.mmiu import PAPER_TASKS
from lad.calibration.formulation import _CHOICES as FIELDS
from lad.figures.artifacts import ARTIFACTS
from lad.figures.requirements import REQUIREMENTS
from lad.grid import SCHEMA
from lad.scoring.methods import _OPTIONS, METHODS

TEXT = (Path(__file__).parents[1] / "config" / "README.md").read_text()
PROPERTIES = yaml.safe_load(SCHEMA.read_text())["properties"]


def table(heading: str) -> list[list[str]]:
    """The cells of the table whose first heading is that."""
    lines = TEXT[TEXT.index(f"| {heading} |") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_key_of_the_schema_has_its_row():
    named = {key for cell, *_ in table("key") for key in code(cell)}
    written = {key.split(".")[-1] for key in named}
    for section, schema in PROPERTIES.items():
        assert section in {key.split(".")[0] for key in named}
        if section in ("benchmark", "extraction", "calibration", "scoring", "evaluation"):
            assert {key.split(".")[1] for key in named if key.startswith(f"{section}.")} == set(schema["properties"])
    words = set(re.findall(r"\w+", TEXT))
    for section in ("models", "datasets"):
        for key in PROPERTIES[section]["additionalProperties"]["properties"]:
            assert key in written | words, f"{section}.<name>.{key}"
    for key in PROPERTIES["runs"]["items"]["properties"]:
        assert f"`{key}`" in TEXT


def test_every_method_has_its_row():
    assert [name for cell, *_ in table("method") for name in code(cell)] == list(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_needs_stands_in_its_row(name):
    (needs,) = (cell for names, _, cell in table("method") if name in code(names))
    method = METHODS[name]
    assert ("calibration questions" in needs) == method.needs_calibration
    assert ("`content_free`" in needs) == method.needs_content_free
    assert ("every head" in needs) == method.needs_heads
    assert ("probe" in needs) == method.needs_generations
    assert ("`symmetrized`" in needs) == (method.split == "symmetrized")


def test_every_option_has_its_row_with_the_methods_that_take_it():
    told = {code(option)[0]: set(methods.split(", ")) for option, _, methods in table("option")}
    assert told == {option: {m.name for m in METHODS.values() if option in m.options} for option in _OPTIONS}


def test_the_words_that_an_option_may_be_stand_in_its_row():
    meanings = {code(option)[0]: code(meaning) for option, meaning, _ in table("option")}
    for option, (_, read, allowed) in _OPTIONS.items():
        words = [word for word in allowed.split(", ") if re.fullmatch(r"\w+", word)]
        assert set(words) <= set(meanings[option]), option
        for word in meanings[option]:
            if "." not in word:
                read(word)


def test_every_field_of_a_formulation_has_its_row_with_its_values():
    assert {code(name)[0]: tuple(code(values)) for name, values, _ in table("field")} == FIELDS


def test_every_split_is_explained():
    for split in ("evaluation", "calibration", "symmetrized", "permuted", "content_free"):
        assert f"`{split}`," in TEXT.split("What is extracted follows", 1)[1].split("\n\n")[0]


def test_every_artifact_has_its_row_with_its_options_and_their_defaults():
    told = {code(name)[0]: options for name, options, _ in table("artifact")}
    assert list(told) == list(ARTIFACTS) == list(REQUIREMENTS)
    for name, requirement in REQUIREMENTS.items():
        assert tuple(code(told[name])) == requirement.options
        given = dict(re.findall(r"`(\w+)` \(([^)]+)\)", told[name]))
        for option, value in requirement.defaults.items():
            if value not in (4, "random", tuple(PAPER_TASKS)) or option in given:
                words = value if isinstance(value, tuple) else (value,)
                joined = "2 to 12" if words == tuple(range(2, 13)) else ", ".join(map(str, words))
                assert given[option] == joined, f"{name}: {option}"


def test_an_option_of_an_artifact_is_one_that_the_schema_lets_through():
    allowed = PROPERTIES["report"]["properties"]["artifacts"]["patternProperties"]
    (options,) = (entry["properties"] for entry in allowed.values())
    assert set(options) == {"model", "dataset", *(o for needed in REQUIREMENTS.values() for o in needed.options)}
