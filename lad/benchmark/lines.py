"""Questions of one's own as lines of a file: one JSON object each, with a query, its candidates and the target.

    {"query": "Who wrote Faust?", "candidates": ["Schiller", "Goethe", "Heine"], "target": 2}

`target` counts from 1. A dataset of lists (its key depth is set) has a grade of each candidate in place of the target,
0 for what is not relevant, and as many candidates as a first stage has ranked, best first:

    {"query": "Who wrote Faust?", "candidates": ["Schiller", "Goethe", "Heine"], "relevance": [0, 2, 0]}

There `ideal` may name the grades of all that is relevant, where not all is listed, and `group` what macro averages are
taken over. `id` names the question in results (a text or a whole number; by default the line's number), and
`task` the setting that it belongs to (`questions` by default). Other keys are not looked at. Empty lines are skipped.

Every line is checked before anything is made of the file, and all faults are told together: a question that is left
out silently would change what is measured. Texts lose white space at either end and line breaks, so that a candidate
stays on its line of the prompt. Not in the paper, whose candidates are images.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol, TypeVar

from lad.benchmark import BenchmarkError
from lad.benchmark.among_texts import Question, shown
from lad.benchmark.captions import few
from lad.benchmark.entries import json_of, read_text
from lad.benchmark.lists import RankedList
from lad.extraction.prompts import MAX_CANDIDATES

DEFAULT_TASK: Final = "questions"
"""The setting of lines that name no task."""

_TASK: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class _FaultError(Exception):
    """What is wrong with a line."""


@dataclass(frozen=True)
class ListLine:
    """A line of a file of lists."""

    id: str
    task: str
    list: RankedList


class _Line(Protocol):
    @property
    def id(self) -> str: ...


Line = TypeVar("Line", bound=_Line)


def read_lines(path: Path) -> list[Question]:
    """All questions of a file, in its order.

    Raises:
        BenchmarkError: a file that cannot be read or has no question, or lines that are none; one line that names each
            of them (the first three) with its number and what is wrong.
    """
    return _read(path, _question, _EXAMPLE)


def read_list_lines(path: Path) -> list[ListLine]:
    """All lists of a file, in its order, however long they are.

    Raises:
        BenchmarkError: as `read_lines`.
    """
    return _read(path, _list_line, _LIST_EXAMPLE)


def _read(path: Path, parse: Callable[[int, dict[str, Any]], Line], example: str) -> list[Line]:
    found: list[Line] = []
    faults: list[str] = []
    line_of: dict[str, int] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            parsed = parse(number, _entry(line, example))
            if parsed.id in line_of:
                _refuse(f"has id {parsed.id!r}, as line {line_of[parsed.id]} has")
        except _FaultError as fault:
            faults.append(f"line {number} {fault}")
            continue
        line_of[parsed.id] = number
        found.append(parsed)
    if faults:
        raise BenchmarkError(f"{path}: {few(faults, '; ')}")
    if not found:
        raise BenchmarkError(f"{path}: has no question; a line is {example}")
    return found


_EXAMPLE: Final = '{"query": "...", "candidates": ["...", "..."], "target": 2}'
_LIST_EXAMPLE: Final = '{"query": "...", "candidates": ["...", "..."], "relevance": [0, 1]}'


def _entry(line: str, example: str) -> dict[str, Any]:
    try:
        entry = json_of(line)
    except ValueError as error:
        _refuse(str(error))
    if not isinstance(entry, dict):
        _refuse(f"is not an object; a line is {example}")
    return entry


def _question(number: int, entry: dict[str, Any]) -> Question:
    if "relevance" in entry:
        _refuse("has relevance, as lists have: set the key depth of the dataset, or name the target")
    candidates = _candidates(entry, range(2, MAX_CANDIDATES + 1))
    return Question(
        number=number,
        id=_id(entry, number),
        task=_task(entry),
        query=_text(entry.get("query"), "query"),
        candidates=candidates,
        target=_target(entry, len(candidates)),
    )


def _list_line(number: int, entry: dict[str, Any]) -> ListLine:
    candidates = _candidates(entry)
    name, query = _id(entry, number), _text(entry.get("query"), "query")
    if "relevance" in entry:
        relevance = _grades(entry, "relevance")
    else:
        target = _target(entry, len(candidates))
        relevance = tuple(int(place == target) for place in range(1, len(candidates) + 1))
    ideal = _grades(entry, "ideal") if "ideal" in entry else tuple(grade for grade in relevance if grade > 0)
    group = entry.get("group", "")
    if not isinstance(group, str):
        _refuse(f"has group {shown(group)}, expected is a text")
    try:
        ranked = RankedList(name, query, candidates, relevance, tuple(sorted(ideal, reverse=True)), group)
    except BenchmarkError as error:
        _refuse(str(error).partition(": ")[2])
    return ListLine(name, _task(entry), ranked)


def _grades(entry: dict[str, Any], key: str) -> tuple[int, ...]:
    given = entry[key]
    if not isinstance(given, list) or not all(type(grade) is int for grade in given):
        _refuse(f"has {key} {shown(given)}, expected is a list of whole numbers")
    return tuple(given)


def _candidates(entry: dict[str, Any], allowed: range | None = None) -> tuple[str, ...]:
    """The texts, each on one line, no two alike; of an allowed number, where there are limits."""
    given = entry.get("candidates")
    if not isinstance(given, list):
        _refuse("has no candidates" if given is None else f"has candidates {shown(given)}, expected is a list of texts")
    if allowed and len(given) not in allowed:
        _refuse(f"has {len(given)} candidates; allowed are {allowed[0]} to {allowed[-1]}")
    candidates = tuple(_text(text, f"candidate {at}") for at, text in enumerate(given, start=1))
    for at, text in enumerate(candidates):
        if (first := candidates.index(text)) < at:
            _refuse(f"has the same text as candidates {first + 1} and {at + 1}: {shown(text)}")
    return candidates


def on_one_line(text: str) -> str:
    """The text without line breaks and without white space at either end."""
    return " ".join(text.split())


def _text(value: object, name: str) -> str:
    """The text on one line."""
    if not isinstance(value, str):
        _refuse(f"has no {name}" if value is None else f"has {name} {shown(value)}, expected is a text")
    text = on_one_line(value)
    if not text:
        _refuse(f"has an empty {name}")
    return text


def _target(entry: dict[str, Any], n: int) -> int:
    target = entry.get("target")
    if target is None:
        _refuse(f"has no target: which candidate is right, 1 to {n}?")
    if not isinstance(target, int) or isinstance(target, bool) or not 1 <= target <= n:
        _refuse(f"has target {shown(target)}; allowed are 1 to {n}")
    return target


def _id(entry: dict[str, Any], number: int) -> str:
    given = entry.get("id", f"line{number}")
    if isinstance(given, bool) or not isinstance(given, str | int) or not str(given).strip():
        _refuse(f"has id {shown(given)}, expected is a text or a whole number")
    return str(given).strip()


def _task(entry: dict[str, Any]) -> str:
    task = entry.get("task", DEFAULT_TASK)
    if not isinstance(task, str) or not _TASK.fullmatch(task):
        _refuse(f"has task {shown(task)}, expected are letters, digits, '.', '_', '+' and '-'")
    return task


def _refuse(fault: str) -> NoReturn:
    raise _FaultError(fault)
