"""What the sections of a configuration are made of: their base, the types of their values, and errors for people.

Whatever takes part in the configuration - `lad.config`, the formats of datasets - builds on this and on nothing heavy.
"""

import json
import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, Tag
from pydantic_core import ErrorDetails, PydanticCustomError

from lad.spelling import did_you_mean


class Section(BaseModel):
    """A part of the configuration. Values are taken as they are: "4" is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


AnySection = TypeVar("AnySection", bound=Section)


def find_formats(package: str, folders: Iterable[str], kind: type[AnySection]) -> dict[str, type[AnySection]]:
    """The formats of a package's modules in these folders, by name: what each module exports as FORMAT.

    Args:
        kind: what all of them are.

    Raises:
        ImportError: a format whose key `format` is not the name of its module.
    """
    modules = {name: import_module(f"{package}.{name}") for _, name, _ in iter_modules(folders)}
    formats: dict[str, type[AnySection]] = {name: m.FORMAT for name, m in modules.items() if hasattr(m, "FORMAT")}
    for name, entry in formats.items():
        if get_args(entry.model_fields["format"].annotation) != (name,):
            raise ImportError(f"module {package}.{name} exports a format of another name: make it Literal['{name}']")
    return formats


def _without_braces(path: str) -> str:
    """Snakemake takes what stands in braces for a wildcard, and the cause is hard to see in what it says then."""
    if "{" in path or "}" in path:
        raise PydanticCustomError("braces", "a path cannot have braces, which Snakemake takes for wildcards; rename it")
    return path


FilePath = Annotated[str, StringConstraints(min_length=1), AfterValidator(_without_braces)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Setting = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
Device = Annotated[str, StringConstraints(pattern=r"^(cpu|cuda(:[0-9]+)?)$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^;]+$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]

PATTERNS: Final = {
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$": "letters, digits, '.', '_' and '-', first a letter or digit",
    r"^[A-Za-z0-9][A-Za-z0-9._+-]*$": "letters, digits, '.', '_', '+' and '-', first a letter or digit",
    r"^(cpu|cuda(:[0-9]+)?)$": "cpu, cuda, cuda:0 ...",
    r"^https?://[^;]+$": "an address that begins with http:// or https://, without ';'",
    r"^[0-9a-f]{64}$": "64 hexadecimal digits",
    r"^[0-9a-f]{32}$": "32 hexadecimal digits",
}
"""What the patterns allow, for people."""

_IN_WORDS: Final = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "string_type": "a text",
    "bool_type": "true or false",
    "list_type": "a list, [a, b]",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} of them",
    "string_too_short": "a text that is not empty",
}


def in_words(root: type[Section], errors: Sequence[ErrorDetails], top: str = "top level") -> str:
    """What is wrong, in one line: the place, the value and what is allowed.

    Of several errors the first; a key that is missing comes after the others, because it may be there misspelled.

    Args:
        root: the section that was read.
        errors: what pydantic found.
        top: what the section itself is called.
    """
    error = next((error for error in errors if error["type"] != "missing"), errors[0])
    path = [part for part in error["loc"] if not _is_member(part)]
    where = _place(path[:-1] if error["type"] in ("extra_forbidden", "missing") else path) or top
    context, value = error.get("ctx", {}), error["input"]
    match error["type"]:
        case "extra_forbidden":
            return f"{where}: {_unknown_key(root, error['loc'])}"
        case "missing":
            return f"{where}: the key {path[-1]} is missing"
        case "value_error":
            return f"{where}: {context['error']}"
        case "string_pattern_mismatch":
            allowed = PATTERNS[context["pattern"]]
        case "literal_error":
            allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        case "union_tag_invalid":
            where, value = f"{where}.format", name_in(context["tag"])
            allowed = ", ".join(name_in(tag) for tag in context["expected_tags"].split(", "))
        case kind if kind in _IN_WORDS:
            allowed = _IN_WORDS[kind].format(**context)
        case _:
            return f"{where}: {error['msg']}"
    hint = did_you_mean(value, allowed.split(", ")) if isinstance(value, str) else ""
    return f"{where}: cannot be {json.dumps(value, default=str)}{hint}; allowed: {allowed}"


def tag_of(name: str) -> str:
    """How errors name the member of a union of formats: no key looks like it."""
    return f"format({name})"


def name_in(tag: str) -> str:
    """The name that a tag was made of."""
    return tag.strip("'").removeprefix("format(").removesuffix(")")


def _place(path: list[int | str]) -> str:
    """Where in the configuration; runs are counted from 1, and of another list the value says which item it is."""
    if path[:1] == ["runs"] and len(path) > 1:
        path = [f"run {int(path[1]) + 1}", *path[2:]]
    return ".".join(part for part in path if isinstance(part, str))


def _is_member(part: int | str) -> bool:
    """Whether a part of an error's place names a member of a union or a check, not a key."""
    return isinstance(part, str) and bool(re.search(r"[\[(]|^(str|int|float|bool)$", part))


def _unknown_key(root: Any, place: tuple[int | str, ...]) -> str:
    """An unknown key at the end of this place, and the keys that are known there."""
    key, here, of = str(place[-1]), root, ""
    others: list[str] = []
    for part in place[:-1]:
        if part in (formats := members_by_tag(here)):
            here, of = formats[str(part)], f" of format {name_in(str(part))}"
            others = [name_in(tag) for tag, other in formats.items() if key in other.model_fields]
        elif not _is_member(part):
            # A key of a section leads to that field; an index or a name leads to a value of its list or dictionary.
            here, of, others = _plain(here), "", []
            here = here.model_fields[part].annotation if _is_section(here) else get_args(here)[-1]
    known = list(_plain(here).model_fields)
    hint = f", but of {', '.join(others)}" if others else did_you_mean(key, known)
    return f"unknown key '{key}'{of}{hint}; known: {', '.join(known)}"


def members_by_tag(annotation: Any) -> dict[str, type[Section]]:
    """The members of a tagged union; of any other type none."""
    members = get_args(get_args(annotation)[0]) if get_origin(annotation) is Annotated else ()
    return {tag.tag: get_args(member)[0] for member in members for tag in get_args(member) if isinstance(tag, Tag)}


def _plain(annotation: Any) -> Any:
    """The type itself, without what may stand around it: None as an alternative, bounds."""
    while not _is_section(annotation) and get_origin(annotation) not in (list, dict):
        annotation = next(inner for inner in get_args(annotation) if inner is not type(None))
    return annotation


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)
