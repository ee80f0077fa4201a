"""A method and its options as people write them.

As text, `agd;k=4;prior=no`, or in YAML as a mapping, `{method: agd, top_k: 4, prior: false}`. Both say the same.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from lad.methods.base import Method
from lad.methods.options import Option, Options, ScoringError, as_text
from lad.spelling import did_you_mean

Specification = str | Mapping[str, object]


class Specified(NamedTuple):
    """A method, told what to do.

    Attributes:
        options: those that were named; the others as configured, or else by default.
        variant: the named options, `k=4;prior=no`, sorted, so that `prior=no;k=4` is no other variant; '' for none.
    """

    method: Method[Any]
    options: Options
    variant: str

    @property
    def text(self) -> str:
        """The specification as text, in the one form that all spellings of it have."""
        return ";".join(filter(None, (self.method.name, self.variant)))


def parse_method(specification: Specification, defaults: Mapping[str, object] | None = None) -> Specified:
    """Read a method and its options.

    Args:
        specification: `method;option=value;...`, or a mapping with the key `method` and a key for each option. An
            option goes by its full name or by the paper's symbol; `lad methods` lists them.
        defaults: values, by full names, of options that the specification does not name. Each holds for the methods
            that have such an option.

    Raises:
        ScoringError: neither form, an unknown method, an option that the method does not have, an option that is given
            twice, an impossible value, or values that do not go together; the message says what is allowed.
    """
    # The registry imports every module of this package, this one among them.
    from lad.methods import METHODS

    name, settings = _split(specification)
    if name not in METHODS:
        raise ScoringError(f"unknown method '{name}'{did_you_mean(name, METHODS)}; known: {', '.join(METHODS)}")
    method = METHODS[name]
    for default in defaults or ():
        if not any(default in each.options for each in METHODS.values()):
            raise ScoringError(f"defaults of options: no method has an option '{default}'")
    configured = _configured(method, defaults or {})
    try:
        named = _named(method, settings)
        options = method.options_type(**{**configured, **{option.name: value for option, (value, _) in named.items()}})
    except ScoringError as error:
        raise ScoringError(f"{_shown(specification)}: {error}") from None
    variant = sorted(f"{option.label}={text}" for option, (_, text) in named.items())
    return Specified(method, options, ";".join(variant))


def _split(specification: Specification) -> tuple[str, list[tuple[str, object]]]:
    """The name of the method, and the names and values of options as they are given."""
    if isinstance(specification, str):
        name, *parts = (part.strip() for part in specification.split(";"))
        return name, [(given, value) for given, _, value in (part.partition("=") for part in parts)]
    settings = dict(specification) if isinstance(specification, Mapping) else {}
    method = settings.pop("method", None)
    if not isinstance(method, str):
        raise ScoringError(
            f"{_shown(specification)} names no method: write text such as 'agd;k=4', or a mapping such as"
            " {method: agd, top_k: 4}"
        )
    return method, list(settings.items())


def _named(method: Method[Any], settings: Iterable[tuple[str, object]]) -> dict[Option, tuple[Any, str]]:
    """The value of each option that is given, and its text."""
    by_name = {name: option for option in method.options.values() for name in (option.label, option.name)}
    named: dict[Option, tuple[Any, str]] = {}
    for given, value in settings:
        if given not in by_name:
            labels = [option.label for option in method.options.values()]
            has = f"it has {', '.join(labels) or 'none'}"
            raise ScoringError(f"{method.name} has no option '{given}'{did_you_mean(given, by_name)}; {has}")
        if by_name[given] in named:
            raise ScoringError(f"option {given} is given twice")
        named[by_name[given]] = by_name[given].read(value, given), as_text(value)
    return named


def _configured(method: Method[Any], defaults: Mapping[str, object]) -> dict[str, Any]:
    """The defaults that are options of the method."""
    try:
        return {name: option.read(defaults[name], name) for name, option in method.options.items() if name in defaults}
    except ScoringError as error:
        raise ScoringError(f"defaults of options: {error}") from None


def _shown(specification: object) -> str:
    if isinstance(specification, Mapping):
        return f"{{{', '.join(f'{key}: {value}' for key, value in specification.items())}}}"
    return str(specification)
