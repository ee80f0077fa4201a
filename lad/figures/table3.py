"""Table 3: calibrate on one kind of question, test on another.

Kinds are datasets and settings. Differs from the paper: the rows where both are the same are there for comparison.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import duckdb

from lad.figures.content import ArtifactError, Options, Table
from lad.figures.measures import Key, Measures
from lad.figures.style import METHODS
from lad.figures.table1 import METRICS
from lad.figures.tabulate import Column, Row, lead_of, stack, tabulate
from lad.figures.wording import Pair, comparison, known, listed, percent
from lad.grid import CalibrationSource

METHOD_ROWS: Final = ("vanilla", "pride", "purified_attention", "agd")


def draw(connection: duckdb.DuckDBPyConnection, options: Options) -> Table:
    """Every calibration that AGD was scored with, for each kind of test question, with `options.n`."""
    datasets = options.datasets or (options.dataset,)
    parts = {dataset: Measures(connection, replace(options, dataset=dataset)) for dataset in datasets}
    tables = {dataset: _transfers(measures, options) for dataset, measures in parts.items()}
    facts = _facts(parts, options)
    if len(tables) == 1:
        return replace(tables[options.dataset], facts=facts)
    return replace(stack("Dataset", tables), facts=facts)


def _transfers(measures: Measures, options: Options) -> Table:
    pairs = [(source, test) for test in options.settings for source in _sources(measures, test, options.n)]
    rows = [
        Row(
            (str(source), test, METHODS[method].name),
            {"setting": test, "method": method, "calibrated_on": source},
            optional=method == "purified_attention",
            block=block,
        )
        for block, (source, test) in enumerate(pairs)
        for method in METHOD_ROWS
    ]
    columns = [Column("", metric, {"n": options.n}) for metric in METRICS]
    columns.append(lead_of("agd", "", {"n": options.n}, "Lead of AGD calibrated on its own kind (points)"))
    return tabulate(measures, ("Calibrated on", "Tested on", "Method"), rows, columns, {})


def _sources(measures: Measures, test: str, n: int) -> list[CalibrationSource]:
    """The kinds of question that AGD was calibrated on for this test, its own first.

    Evaluation questions are none, nor are further questions of a kind.
    """
    own = CalibrationSource(measures.options.dataset, test)
    conditions = {
        source: measures.condition(setting=test, n=n, method="agd", calibrated_on=source)
        for source in measures.sources
        if source.is_first_of_its_kind
    }
    return sorted((s for s, c in conditions.items() if c in measures), key=lambda source: (source != own, source))


def _facts(parts: Mapping[str, Measures], options: Options) -> dict[str, str]:
    changes, pairs = [], []
    for dataset, measures in parts.items():
        for test in options.settings:
            sources = _sources(measures, test, options.n)
            for source in sources[1:]:
                keys: dict[str, Key] = {"setting": test, "n": options.n, "calibrated_on": source}
                kind = f"on {test} questions" + (f" of {dataset}" if len(parts) > 1 else "")
                abroad = measures(**keys, method="agd")
                home = measures(**{**keys, "calibrated_on": sources[0]}, method="agd")
                changes.append(f"{percent(known(abroad))} {kind} instead of {percent(known(home))}")
                pairs.append(Pair.measured(measures, f"{kind} after calibration on {source}", "agd", "pride", **keys))
    if not pairs:
        raise ArtifactError(
            "agd was scored after one calibration only; `lad score` with the calibration of other questions, then"
            " `lad evaluate`, produce the rest"
        )
    return {"n": str(options.n), "changes": listed(changes), "against_pride": comparison(pairs, "agd", "pride")}
