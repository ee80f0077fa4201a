"""Table 4: what each part of AGD is worth - the read-out, the attention prior, the choice of layers, K.

Differs from the paper: rows for other K appear for those that were scored, which a shallow model limits.
"""

import re
from typing import Final

import duckdb

from lad.figures.content import Options, Table
from lad.figures.measures import Measure, Measures
from lad.figures.table1 import METRICS
from lad.figures.tabulate import Column, Row, lead_of, tabulate
from lad.figures.wording import Pair, comparison, percent

LAYER_COUNTS: Final = (1, 2, 3, 4, 8)
"""K of the paper, and 3, which a shallow model has room for."""


def draw(connection: duckdb.DuckDBPyConnection, options: Options) -> Table:
    """The ablation at `options.n` and `options.setting`."""
    measures = Measures(connection, options)
    keys: dict[str, str | int] = {"setting": options.setting, "n": options.n}
    columns = [Column("", metric, keys) for metric in METRICS]
    columns.append(lead_of("agd", "", keys, "AGD’s lead (points)"))
    stub = ("Answer from", "Attention prior", "Layers")
    return tabulate(measures, stub, _rows(measures, options), columns, _facts(measures, options))


def _rows(measures: Measures, options: Options) -> list[Row]:
    chosen = f"K = {options.top_k}"
    rows = [
        Row(("attention alone", "no", chosen), {"method": "attention_readout"}),
        Row(("attention alone", "yes", chosen), {"method": "purified_attention"}),
        Row(("AGD", "no", chosen), {"method": "agd", "variant": "prior=no"}),
        Row(("AGD", "yes", "all"), {"method": "agd", "variant": "layers=all"}),
    ]
    for count in LAYER_COUNTS:
        variant = "" if count == options.top_k else f"k={count}"
        keys = {"method": "agd", "variant": variant}
        rows.append(Row(("AGD", "yes", f"K = {count}"), keys, optional=count != options.top_k))
    for first, last in _layer_ranges(measures):
        keys = {"method": "agd", "variant": f"layers={first}-{last}"}
        rows.append(Row(("AGD", "yes", f"{chosen} of layers {first} to {last}"), keys, optional=True))
    return rows


def _layer_ranges(measures: Measures) -> list[tuple[int, int]]:
    """The restrictions of eq. 9 that were scored, as first and last layer."""
    variants = measures.records["variant"].unique().to_pylist()
    matches = [re.fullmatch(r"layers=(\d+)-(\d+)", variant) for variant in variants]
    return sorted((int(match[1]), int(match[2])) for match in matches if match)


def _facts(measures: Measures, options: Options) -> dict[str, str]:
    def measure(method: str, variant: str = "") -> Measure:
        return measures(setting=options.setting, n=options.n, method=method, variant=variant)

    where = f"at N = {options.n}, {options.setting}"
    pair = Pair.measured(measures, where, "agd", "purified_attention", setting=options.setting, n=options.n)
    return {
        "readout": percent(measure("attention_readout").value),
        "purified": percent(measure("purified_attention").value),
        "agd": percent(measure("agd").value),
        "without_prior": percent(measure("agd", "prior=no").value),
        "all_layers": percent(measure("agd", "layers=all").value),
        "against_purified": comparison([pair], "agd", "purified_attention"),
    }
