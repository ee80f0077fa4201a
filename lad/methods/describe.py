"""The methods in words, for `lad methods`, `lad score --help` and the page about methods: all from the registry."""

from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import Any, Final

from lad.contracts import Keep
from lad.methods.base import Method
from lad.methods.options import Option, Signal, as_text


def names(methods: Iterable[Method[Any]]) -> str:
    """A line for each method: its name and its description."""
    return "\n".join(f"{method.name}: {method.description}" for method in methods)


def overview(methods: Sequence[Method[Any]]) -> str:
    """All methods with what they need and their options, then all options."""
    entries = [
        _entry(
            f"{method.name} ({method.display})",
            method.description,
            f"needs {_needs(method)}" if _needs(method) else "",
            f"options: {_labels(method)}" if method.options else "",
        )
        for method in methods
    ]
    return "\n".join(["Methods", "", *entries, "", "Options", "", *map(_option_entry, _options(methods))])


def in_full(method: Method[Any]) -> str:
    """One method: what its module says of it, what it needs and its options."""
    parts = [method.name, method.explanation, f"Needs: {_needs(method) or 'nothing but the signals'}."]
    return "\n\n".join([*parts, "\n".join(map(_option_entry, method.options.values()))]).rstrip()


def page(methods: Sequence[Method[Any]]) -> str:
    """Methods in Markdown: a table of them, one of their options, then what the module of each says."""
    options = [
        (
            f"`{option.label}`",
            f"`{option.name}`",
            _default(option),
            option.kind.allowed,
            option.meaning,
            ", ".join(f"`{method.name}`" for method in methods if option in method.options.values()),
        )
        for option in _options(methods)
    ]
    parts = [
        _table(
            ("method", "in figures", "answer", "answers from", "needs", "options"),
            [
                (f"`{m.name}`", m.display, m.description, _READ[_reads(m)], _needs(m) or "-", _labels(m) or "-")
                for m in methods
            ],
        ),
        _table(("option", "in full", "default", "allowed", "meaning", "methods"), options) if options else "",
        *(f"## `{method.name}`\n\n{method.explanation}" for method in methods),
    ]
    return "\n\n".join(filter(None, parts))


_KEPT: Final[dict[Keep, str]] = {
    "heads": "the attention of every head",
    "rows": "the attention of other rows",
    "null_query": "the null query",
}


_READ: Final[dict[Signal, str]] = {
    "answers": "answers",
    "logprobs": "log-probabilities",
    "attention": "attention",
    "texts": "texts",
}


def _reads(method: Method[Any]) -> Signal:
    return method.reads_for(method.options_type())


def _needs(method: Method[Any]) -> str:
    """What it reads besides the signals of the split evaluation."""
    needed = {
        f"the split {method.split}": method.split != "evaluation",
        "a calibration": method.needs_calibration,
        "the split content_free": method.needs_content_free,
        **{_KEPT[what]: what in method.keeps_for(method.options_type()) for what in _KEPT},
        "generated texts": method.needs_generations,
    }
    return ", ".join(what for what, is_needed in needed.items() if is_needed)


def _labels(method: Method[Any]) -> str:
    return ", ".join(option.label for option in method.options.values())


def _options(methods: Iterable[Method[Any]]) -> list[Option]:
    return list(dict.fromkeys(option for method in methods for option in method.options.values()))


def _default(option: Option) -> str:
    return "-" if option.default is None else as_text(option.default)


def _option_entry(option: Option) -> str:
    default = "" if option.default is None else f" = {_default(option)}"
    name = f"{option.label} ({option.name})" if option.short else option.name
    return _entry(name + default, option.meaning, f"allowed: {option.kind.allowed}")


def _entry(heading: str, *lines: str) -> str:
    indent = "    "
    return "\n".join(
        [heading, *(fill(line, 100, initial_indent=indent, subsequent_indent=indent) for line in lines if line)]
    )


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, ["---"] * len(headings), *escaped))
