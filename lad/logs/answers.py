"""The general table: one row per question and order, with an answer, log-probabilities, or both. CSV, TSV or JSONL.

    {"question_id": "q1", "order": [2, 1, 3], "target": 1, "logprobs": [-0.2, -1.9, -4.0]}
    {"question_id": "q1", "choices": ["blue", "red", "green"], "target": "red", "answer": "The answer is A."}

Each row says what was shown: `order`, the number of the candidate at each position, from 1, or `choices`, the texts. It
may say which of these is the target: `target` (a number of the order, or one of the choices) or `target_position`. And
it says what came back: `position` (which was answered), `candidate` (the same as a number of the order, or one of the
choices) or `answer` (what the model wrote), and `logprobs`, of the identifier at each position. What a row does not
know is left out, empty or null. A log-probability is null where the tool tells only of the most probable tokens.

In a CSV or TSV file lists are written as in JSON; an order may also be numbers with spaces between. Other columns are
refused: one that is misspelt would be missed by nobody.
"""

import json
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from lad.logs.base import (
    Log,
    Shown,
    Style,
    brief,
    json_lines,
    refuse,
    refuse_impossible,
    shown_by,
    table_rows,
)
from lad.section import Section, in_words

_LISTS: Final = ("order", "choices", "logprobs")
_NUMBERS: Final = ("target_position", "position")
_OF_THE_ORDER: Final = ("target", "candidate")


class Row(Section):
    question_id: str = Field(min_length=1)
    order: list[int] | None = None
    choices: list[str] | None = None
    target: int | str | None = None
    target_position: int | None = None
    position: int | None = None
    candidate: int | str | None = None
    answer: str | None = None
    logprobs: list[float | None] | None = None


class Answers(Log):
    format: Literal["answers"] = Field(description="A table of your own: CSV, TSV or JSONL.")
    identifiers: Style = Field(
        "uppercase", description="How the prompts called the positions; answers that are texts are read by it."
    )

    @property
    def named(self) -> Style:
        return self.identifiers

    def read(self, path: Path) -> list[Shown]:
        tabular = path.suffix in (".csv", ".tsv")
        return shown_by(path, table_rows(path) if tabular else json_lines(path), _from_cells if tabular else _shown)


FORMAT = Answers


def _from_cells(where: str, cells: dict[str, str]) -> list[Shown]:
    """A row whose cells are texts."""
    record: dict[str, Any] = dict(cells)
    numbered = "order" in cells
    for name in {*_LISTS, *_NUMBERS, *(_OF_THE_ORDER if numbered else ())} & set(cells):
        text = cells[name].strip()
        try:
            record[name] = (
                [int(part) for part in text.split()] if name == "order" and text[0] != "[" else json.loads(text)
            )
        except ValueError:
            refuse(
                f"has {name} {brief(text)}, expected is {'a list as in JSON' if name in _LISTS else 'a whole number'}"
            )
    return _shown(where, record)


def _shown(where: str, record: Any) -> list[Shown]:
    if not isinstance(record, dict):
        refuse(f"is not an object but {brief(record)}")
    try:
        row = Row.model_validate(record)
    except ValidationError as error:
        refuse(f"is wrong: {in_words(Row, error.errors(include_url=False), 'the row')}")
    if (row.order is None) == (row.choices is None):
        refuse("has both order and choices; give one of them" if row.order else "has neither order nor choices")
    candidates: list[Any] = row.order or row.choices or []
    n = len(candidates)
    refuse_impossible(candidates)
    if row.order and sorted(row.order) != list(range(1, n + 1)):
        refuse(f"has order {row.order}; it shows each of the candidates 1 to {n} once")
    if row.logprobs is not None:
        _refuse_impossible_logprobs(row.logprobs, n)
    return [
        Shown(
            where=where,
            question_id=row.question_id,
            candidates=tuple(candidates),
            target_position=_place(row, "target", "target_position", candidates),
            position=_place(row, "candidate", "position", candidates),
            text=row.answer,
            logprobs=None if row.logprobs is None else tuple(row.logprobs),
        )
    ]


def _place(row: Row, named: str, placed: str, candidates: list[Any]) -> int | None:
    """The position that the row names by one of two columns."""
    candidate, position = getattr(row, named), getattr(row, placed)
    if candidate is not None and position is not None:
        refuse(f"has both {named} and {placed}; give one of them")
    if candidate is not None and candidate not in candidates:
        refuse(f"has {named} {brief(candidate)}, which is not among those shown: {brief(candidates)}")
    if position is not None and not 1 <= position <= len(candidates):
        refuse(f"has {placed} {position}; allowed are 1 to {len(candidates)}")
    return position if candidate is None else candidates.index(candidate) + 1


def _refuse_impossible_logprobs(logprobs: list[float | None], n: int) -> None:
    if len(logprobs) != n:
        refuse(f"has {len(logprobs)} logprobs for {n} positions; null stands for one that is not known")
    # NaN and the infinities are not between these either; rounding may leave a little more than 0.
    if wrong := [value for value in logprobs if value is not None and not -1e30 < value < 1e-3]:
        refuse(f"has logprob {wrong[0]}; the logarithm of a probability is 0 or less, and null where it is not known")
