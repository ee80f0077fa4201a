"""The reference of the configuration, made from its models: a page for people, a JSON schema for editors."""

import json
import re
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import BeforeValidator, StringConstraints
from pydantic.fields import FieldInfo

from lad.config import Configuration
from lad.section import PATTERNS, Section, members_by_tag, name_in


def json_schema() -> str:
    """The JSON schema of a configuration file, which editors check and complete by."""
    return json.dumps(Configuration.model_json_schema(), indent=1) + "\n"


def markdown() -> str:
    """Every key with what it may be, its default and its meaning, as tables of a page."""
    tables: dict[type[Section], str] = {}
    for place, section in _sections("", Configuration):
        # Formats share sections, such as those of downloads, which belong to no single one.
        tables.setdefault(section, _table(re.sub(r" of format \w+(?=\.)", "", place), section))
    return "\n".join(tables.values())


def _sections(place: str, section: type[Section]) -> Iterator[tuple[str, type[Section]]]:
    """The section and those below it, in the order of the keys, each with its place: `models.<name>`."""
    yield place, section
    for name, field in section.model_fields.items():
        for inner, suffix in _inner(field.annotation):
            yield from _sections(f"{place}.{name}{suffix}".removeprefix("."), inner)


def _inner(annotation: Any) -> Iterator[tuple[type[Section], str]]:
    """The sections that a key may hold, each with how its place is written: `.<name>`, `[]`, ` of format coco`."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation, ""
    elif formats := members_by_tag(annotation):
        yield from ((entry, f" of format {name_in(tag)}") for tag, entry in formats.items())
    else:
        suffixes: dict[Any, str] = {dict: ".<name>", list: "[]"}
        suffix = suffixes.get(get_origin(annotation), "")
        for argument in get_args(annotation):
            yield from ((inner, f"{suffix}{after}") for inner, after in _inner(argument))


def _table(place: str, section: type[Section]) -> str:
    rows = [
        f"| `{name}` | {_allowed(field)} | {_default(field)} | {field.description or ''} |"
        for name, field in section.model_fields.items()
    ]
    heading = f"## `{place}`" if place else "## The file"
    return "\n".join([heading, "", "| key | value | default | meaning |", "|---|---|---|---|", *rows, ""])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, Section) or (isinstance(value, list) and isinstance(value[0], Section)):
        return "as below"
    return f"`{json.dumps(value)}`".replace('"', "")


def _allowed(field: FieldInfo) -> str:
    return _words(Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation)


def _words(annotation: Any) -> str:
    """What a value may be, for people."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _bounded(arguments[0], arguments[1:])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_words(inner) for inner in arguments if inner is not type(None)))
    if origin is Literal:
        return ", ".join(f"`{json.dumps(value)}`".replace('"', "") for value in arguments)
    if origin is list:
        return f"list: {_words(arguments[0])}"
    if origin is dict:
        return "keys with values"
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "see below"
    return {int: "whole number", float: "number", str: "text", bool: "true, false"}.get(annotation, "anything")


def _bounded(annotation: Any, rules: tuple[Any, ...]) -> str:
    words, bounds = _words(annotation), ""
    for rule in rules:
        # Pydantic keeps bounds bare, in a Field, or in constraints of a text.
        for one in (*getattr(rule, "metadata", ()), rule):
            match one:
                case Ge(ge=least):
                    bounds += f", {least} or more"
                case Gt(gt=least):
                    bounds += f", more than {least}"
                case Le(le=most):
                    bounds += f", at most {most}"
                case MinLen(min_length=1) if get_origin(annotation) in (list, dict):
                    bounds += ", not empty"
                case StringConstraints(pattern=str(pattern)):
                    return PATTERNS[pattern]
                case BeforeValidator():
                    return "a method with its options: `agd;k=4`, or `{method: agd, top_k: 4}`"
    return f"{words}{bounds}"
