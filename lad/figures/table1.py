"""Table 1 (N = 4) and table 6 (N = 8): every method in both settings.

Differs from the paper: rows appear for the methods that were measured; the greedy text, and PriDe and AGD as in the
released code, stand beside their namesakes where they were.
"""

from dataclasses import replace
from typing import Final

import duckdb

from lad.figures.content import Options, Table
from lad.figures.measures import Measures
from lad.figures.style import METHODS
from lad.figures.tabulate import Column, Row, lead_of, stack, tabulate
from lad.figures.wording import Pair, comparison, known, listed, percent

METRICS: Final = ("accuracy", "rstd", "consistency")

ROWS: Final = (
    Row((METHODS["vanilla"].name,), {"method": "vanilla"}),
    Row((METHODS["vanilla_parsed"].name,), {"method": "vanilla_parsed"}, optional=True),
    Row((METHODS["instruction"].name,), {"method": "vanilla", "probe": "instruction"}, optional=True),
    Row((METHODS["cot"].name,), {"method": "cot", "probe": "cot"}, optional=True),
    Row(
        (METHODS["self_consistency"].name,),
        {"method": "self_consistency", "probe": "self_consistency"},
        optional=True,
    ),
    Row((METHODS["pride"].name,), {"method": "pride"}),
    Row((METHODS["pride_released"].name,), {"method": "pride_released"}, optional=True),
    Row((METHODS["agd"].name,), {"method": "agd"}),
    Row(("AGD (released code)",), {"method": "agd", "variant": "formulation=released"}, optional=True),
)


def draw(connection: duckdb.DuckDBPyConnection, options: Options) -> Table:
    """The main results with `options.n` candidates, of one model or several; the sentence is about `options.model`."""
    facts = _facts(Measures(connection, options), options)
    if not options.models:
        return _results(connection, options, facts)
    parts = {model: _results(connection, replace(options, model=model), facts) for model in options.models}
    return stack("Model", parts)


def _results(connection: duckdb.DuckDBPyConnection, options: Options, facts: dict[str, str]) -> Table:
    columns = []
    for setting in options.settings:
        keys: dict[str, str | int] = {"setting": setting, "n": options.n}
        columns += [Column(setting.capitalize(), metric, keys) for metric in METRICS]
        columns.append(lead_of("agd", setting.capitalize(), keys, "AGD’s lead (points)"))
    return tabulate(Measures(connection, options), ("Method",), ROWS, columns, facts)


def _facts(measures: Measures, options: Options) -> dict[str, str]:
    def accuracies(method: str) -> str:
        values = [(known(measures(setting=s, n=options.n, method=method)), s) for s in options.settings]
        return listed([f"{percent(value)} ({setting})" for value, setting in values])

    pairs = [
        Pair.measured(measures, f"in the {setting} setting", "agd", "pride", setting=setting, n=options.n)
        for setting in options.settings
    ]
    return {
        "n": str(options.n),
        "vanilla": accuracies("vanilla"),
        "pride": accuracies("pride"),
        "agd": accuracies("agd"),
        "against_pride": comparison(pairs, "agd", "pride"),
    }
