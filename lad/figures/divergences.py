"""The table of divergences: what each difference between the paper and its authors' code does to the scores.

Not in the paper. The rows of the second block change one thing of AGD as printed; what a formulation's fields mean
stands in lad.calibration.formulation.
"""

import re
from dataclasses import replace
from typing import Final

import duckdb

from lad.figures.content import Options, Table
from lad.figures.measures import Key, Measures
from lad.figures.style import METHODS
from lad.figures.table1 import METRICS
from lad.figures.tabulate import Column, Row, lead_of, tabulate
from lad.figures.wording import known, listed, percent, points

SWITCHES: Final = {
    "formulation=printed+average=logs": "eq. 1 averages logs",
    "formulation=printed+mixture=logs": "eq. 13 mixes logs",
    "formulation=printed+aggregation=log_of_mean": "eq. 11 takes the log of the mean over layers",
    "formulation=printed+span=delimited": "eq. 6 counts the images’ delimiters",
    "formulation=printed+scores=identifier_logits": "raw logits of first tokens stand for log P",
    "formulation=printed+scores=processed_logits": "logits after the model’s own processors stand for log P",
}
"""Variants of AGD that change one field, and what that means; the last is neither printed nor released."""


def draw(connection: duckdb.DuckDBPyConnection, options: Options) -> Table:
    """Accuracy, RStd and consistency at `options.n` and `options.setting`."""
    measures = Measures(connection, options)
    keys: dict[str, str | int] = {"setting": options.setting, "n": options.n}
    columns = [Column("", metric, keys) for metric in METRICS]
    columns.append(lead_of("agd", "", keys, "Lead of AGD as printed (points)"))
    rows = _rows(measures, options)
    return tabulate(measures, ("Method", "What differs from print"), rows, columns, _facts(measures, options, rows))


def _rows(measures: Measures, options: Options) -> list[Row]:
    reused = replace(options.calibrated_on, split="symmetrized")
    calibrated_on_evaluation = "calibrated on the first evaluation questions"

    def row(block: int, method: str, difference: str, **keys: Key) -> Row:
        return Row((METHODS[method].name, difference), {"method": method, **keys}, optional=block > 0, block=block)

    rows = [row(0, "agd", "nothing"), row(1, "agd", calibrated_on_evaluation, calibrated_on=reused)]
    rows += [row(1, "agd", meaning, variant=variant) for variant, meaning in SWITCHES.items()]
    for variant in _variants(measures, r"layers=\d+-\d+"):
        rows.append(row(1, "agd", f"eq. 9 chooses among {_layers(variant)}", variant=variant))
    rows.append(row(2, "agd", "the released formulation", variant="formulation=released"))
    for variant in _variants(measures, r"formulation=released;layers=\d+-\d+"):
        everything = f"the released formulation, {_layers(variant)}, {calibrated_on_evaluation}"
        rows.append(row(2, "agd", everything, variant=variant, calibrated_on=reused))
    released, average = "the released code’s estimate", "permutation_average"
    return [
        *rows,
        row(3, "pride", "its authors’ estimate"),
        row(3, "pride_released", released),
        row(3, "pride_released", f"{released}, {calibrated_on_evaluation}", calibrated_on=reused),
        row(4, average, "cyclic shifts, probabilities"),
        row(4, average, "random orders, probabilities", variant="orders=random"),
        row(4, average, "random orders, log-domain scores", variant="formulation=released;orders=random"),
    ]


def _variants(measures: Measures, pattern: str) -> list[str]:
    return sorted({v for v in measures.records["variant"].to_pylist() if re.fullmatch(pattern, v)})


def _layers(variant: str) -> str:
    first, last = re.findall(r"\d+", variant.rpartition("layers=")[2])
    return f"layers {first} to {last}"


def _facts(measures: Measures, options: Options, rows: list[Row]) -> dict[str, str]:
    """The divergences of one thing that move accuracy most, either way."""
    keys: dict[str, str | int] = {"setting": options.setting, "n": options.n}
    printed = measures.condition(**keys, method="agd")
    leads = {}
    for row in rows:
        condition = measures.condition(**keys, **row.keys)
        lead = measures.difference(condition, printed) if row.block == 1 and condition in measures else None
        if lead is not None:
            leads[row.labels[1]] = lead
    clear = {meaning: lead for meaning, lead in leads.items() if lead.side}
    ranked = sorted(clear.items(), key=lambda item: -abs(item[1].value))
    told = listed([f"{meaning} ({points(lead.value)})" for meaning, lead in ranked[:3]]) if ranked else "none"
    return {
        "printed": percent(known(measures.get(printed))),
        "count": str(len(clear)),
        "of": str(len(leads)),
        "largest": told,
    }
