"""The methods: what each answers on each presentation, from signals and, where it has one, a calibration.

A method is one module of this package, with its SQL beside it: it opens with its equation and source and exports
METHOD, which says all that anyone needs to know of it (see `base`). Whatever lists methods - the command line, the
documentation, tables of the report - reads METHODS, which is found here by walking the package. What several methods
share stands in `options` and in the read-outs `scores`, `attention`, `orders` and `texts`; `scoring` asks a method and
refuses what does not suffice for it.

A method turns signals into scores by position; the answer is the position with the largest score (the lowest of
several). Where the paper and the released code differ, the option `formulation` chooses (see
`lad.calibration.formulation`).
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Final

from lad.methods.base import Inputs, Method, PublishedName, TableRow
from lad.methods.options import Options, ScoringError, parse_layers
from lad.methods.scoring import Session, score
from lad.methods.specification import Specification, Specified, parse_method

__all__ = [
    "METHODS",
    "Inputs",
    "Method",
    "Options",
    "PublishedName",
    "ScoringError",
    "Session",
    "Specification",
    "Specified",
    "TableRow",
    "find_methods",
    "parse_layers",
    "parse_method",
    "score",
]


def find_methods(folders: Iterable[str]) -> dict[str, Method[Any]]:
    """The methods of this package's modules in these folders, by name, in the order of their ranks.

    Raises:
        ImportError: a method that does not bear the name of its module.
    """
    modules = {name: import_module(f"{__name__}.{name}") for _, name, _ in iter_modules(folders)}
    methods: dict[str, Method[Any]] = {name: m.METHOD for name, m in modules.items() if hasattr(m, "METHOD")}
    for name, method in methods.items():
        if method.name != name:
            raise ImportError(f"module {__name__}.{name} exports the method '{method.name}': call it {name}")
    return dict(sorted(methods.items(), key=lambda item: (item[1].rank, item[0])))


METHODS: Final[Mapping[str, Method[Any]]] = find_methods(__path__)
"""All methods by name."""
