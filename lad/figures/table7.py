"""Table 7 (answers from logits, attention or both), table 8 (permutation averaging) and the unplanted model.

All are accuracies of a few methods by N and setting. Differs from the paper: table 8 has the columns where
permutation averaging was measured, and SoFA's row where that was; the tables of further baselines and of the unplanted
model are ours.
"""

from collections.abc import Sequence
from typing import Final

import duckdb

from lad.figures.content import Options, Table
from lad.figures.measures import Measures
from lad.figures.style import METHODS
from lad.figures.tabulate import Column, Row, lead_of, tabulate
from lad.figures.wording import Pair, comparison, known, listed, percent

READ_OUTS: Final = ("vanilla", "attention_readout", "purified_attention", "agd")
PERMUTATIONS: Final = (
    Row((METHODS["vanilla"].name,), {"method": "vanilla"}),
    Row((METHODS["sofa"].name,), {"method": "vanilla", "probe": "sofa"}, optional=True),
    Row((METHODS["permutation_average"].name,), {"method": "permutation_average"}),
    Row((METHODS["agd"].name,), {"method": "agd"}),
)


def draw_table7(connection: duckdb.DuckDBPyConnection, options: Options) -> Table:
    """Vanilla, raw attention, purified attention and AGD."""
    measures = Measures(connection, options)
    cells = [(n, setting) for n in options.ns for setting in options.settings]
    facts = {
        "purifying": _comparison(measures, cells, "purified_attention", "attention_readout"),
        "against_purified": _comparison(measures, cells, "agd", "purified_attention"),
    }
    return tabulate(measures, ("Method",), _rows(READ_OUTS), _columns(cells), facts)


def draw_table8(connection: duckdb.DuckDBPyConnection, options: Options) -> Table:
    """Permutation averaging, which needs N forward passes for each answer, beside AGD, which needs one."""
    measures = Measures(connection, options)
    cells = _measured(measures, options, "permutation_average")
    facts = {"against_permutation": _comparison(measures, cells, "agd", "permutation_average")}
    return tabulate(measures, ("Method",), PERMUTATIONS, _columns(cells), facts)


BASELINES: Final = (
    ("vanilla", "", 0),
    ("batch_calibration", "", 0),
    ("batch_calibration", "correction=ratio", 0),
    ("contextual_calibration", "", 0),
    ("pride", "", 0),
    ("majority_vote", "", 0),
    ("attention_readout", "", 1),
    ("attention_less_content_free", "", 1),
    ("chosen_heads", "", 1),
    ("purified_attention", "", 1),
    ("agd", "", 2),
)
"""Method, variant and block: answers from logits, from attention, from both."""


def draw_baselines(connection: duckdb.DuckDBPyConnection, options: Options) -> Table:
    """Methods beyond the paper's, that cost no forward pass more than AGD does, beside those they are like."""
    measures = Measures(connection, options)
    cells = _measured(measures, options, "batch_calibration")
    rows = [
        Row(
            (METHODS[method].name + (", by ratio" if variant else ""),),
            {"method": method, "variant": variant},
            optional=True,
            block=block,
        )
        for method, variant, block in BASELINES
    ]
    facts = {
        "purified": _comparison(measures, cells, "purified_attention", "attention_less_content_free"),
        "agd": _comparison(measures, cells, "agd", "chosen_heads"),
    }
    return tabulate(measures, ("Method",), rows, _columns(cells), facts)


def draw_unplanted(connection: duckdb.DuckDBPyConnection, options: Options) -> Table:
    """Table 7's rows for a model that was never taught a bias, at the N and settings where it was measured."""
    measures = Measures(connection, options)
    cells = _measured(measures, options, "vanilla")
    facts = {
        "accuracies": listed(
            [
                f"{percent(known(measures(n=n, setting=setting, method='vanilla')))} (N = {n}, {setting})"
                for n, setting in cells
            ]
        ),
        "reading_attention": _comparison(measures, cells, "purified_attention", "vanilla"),
        "against_purified": _comparison(measures, cells, "agd", "purified_attention"),
    }
    return tabulate(measures, ("Method",), _rows(READ_OUTS), _columns(cells), facts)


def _measured(measures: Measures, options: Options, method: str) -> list[tuple[int, str]]:
    """The N and settings for which that method was scored; an error, as for any missing score, where there is none."""
    cells = [(n, setting) for n in options.ns for setting in options.settings]
    measured = [(n, s) for n, s in cells if measures.condition(n=n, setting=s, method=method) in measures]
    if not measured:
        measures(n=options.n, setting=options.setting, method=method)
    return measured


def _rows(methods: Sequence[str]) -> list[Row]:
    return [Row((METHODS[method].name,), {"method": method}) for method in methods]


def _columns(cells: Sequence[tuple[int, str]]) -> list[Column]:
    columns = []
    for n, setting in cells:
        keys: dict[str, str | int] = {"n": n, "setting": setting}
        group = f"N = {n}, {setting}"
        columns += [Column(group, "accuracy", keys), lead_of("agd", group, keys, "AGD’s lead (points)")]
    return columns


def _comparison(measures: Measures, cells: Sequence[tuple[int, str]], ours: str, theirs: str) -> str:
    pairs = [
        Pair.measured(measures, f"at N = {n}, {setting}", ours, theirs, n=n, setting=setting) for n, setting in cells
    ]
    return comparison(pairs, ours, theirs)
