"""What `lad methods` and `lad score --help` tell comes from the registry and leaves nothing out."""

import pytest
from typer.testing import CliRunner

from lad.cli import app
from lad.methods import METHODS

OPTIONS = {option for method in METHODS.values() for option in method.options.values()}


def told(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments])
    assert result.exit_code == 0, result.output
    return result.output


def joined(text: str) -> str:
    """The text without line breaks and frames."""
    return " ".join(text.replace("│", " ").split())


def test_the_list_has_every_method_and_every_option_with_its_default():
    text = joined(told("methods"))
    for method in METHODS.values():
        assert f"{method.name} ({method.display}) {method.description}" in text
    for option in OPTIONS:
        assert f"{option.meaning} allowed: {option.kind.allowed}" in text
    for default in ("k (top_k) = 2", "tau (temperature) = 5", "prior = yes", "heads = 8", "formulation = printed"):
        assert default in text


def test_options_that_methods_share_are_listed_once():
    assert len({option.name for option in OPTIONS}) == len(OPTIONS)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_in_full_is_what_its_module_says_with_its_own_options(name):
    text, method = told("methods", name), METHODS[name]
    assert method.explanation in text
    assert ("a calibration" in text.split("Needs: ")[1].splitlines()[0]) == method.needs_calibration
    for option in OPTIONS:
        assert (option.meaning in joined(text)) == (option in method.options.values())


def test_the_page_has_a_row_for_each_method_and_option_and_a_section_for_each_method():
    text = told("methods", "--format", "markdown")
    for method in METHODS.values():
        assert f"| `{method.name}` | {method.display} |" in text
        assert f"## `{method.name}`\n\n{method.explanation}" in text
    for option in OPTIONS:
        users = ", ".join(f"`{name}`" for name, method in METHODS.items() if option in method.options.values())
        assert f"| {option.meaning} | {users} |" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {7}


def test_the_help_of_score_lists_every_method():
    text = joined(told("score", "--help"))
    for method in METHODS.values():
        assert f"{method.name}: {method.description}" in text
