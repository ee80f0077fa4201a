"""The ready queries: one `.sql` file for each, whose first line is the question that it answers."""

from dataclasses import dataclass
from functools import cache

from lad.refusal import Refusal
from lad.shipped import queries_folder
from lad.spelling import did_you_mean


class RecipeError(Refusal):
    """There is no such recipe; the message names those that there are."""


@dataclass(frozen=True)
class Recipe:
    """A ready query; its name is that of its file."""

    name: str
    question: str
    sql: str


@cache
def recipes() -> dict[str, Recipe]:
    """All recipes by name, in the order of their names."""
    texts = {file.stem: file.read_text(encoding="utf-8") for file in queries_folder().glob("*.sql")}
    return {
        name: Recipe(name, text.partition("\n")[0].removeprefix("-- "), text) for name, text in sorted(texts.items())
    }


def find(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        RecipeError: there is none.
    """
    known = recipes()
    if name not in known:
        raise RecipeError(f"no recipe '{name}'{did_you_mean(name, known)}; `lad sql --recipe` lists them")
    return known[name]


def overview() -> str:
    """The names with their questions, as text."""
    width = max(map(len, recipes()))
    return "\n".join(f"{recipe.name:{width}}  {recipe.question}" for recipe in recipes().values())


def page() -> str:
    """The same as a Markdown table, for docs/queries.md."""
    rows = [f"| [`{name}`](../queries/{name}.sql) | {recipe.question} |" for name, recipe in recipes().items()]
    return "\n".join(["| recipe | the question that it answers |", "|---|---|", *rows])
