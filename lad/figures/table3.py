"""Table 3: calibrate on one kind of question, test on another.

Differs from the paper: settings of one dataset take the place of two datasets; the rows where both are the same are
there for comparison.
"""

from typing import Final

import duckdb

from lad.figures.content import Options, Table, own_calibration
from lad.figures.measures import Measures
from lad.figures.style import METHODS
from lad.figures.table1 import METRICS
from lad.figures.tabulate import Column, Row, lead_of, tabulate
from lad.figures.wording import Pair, comparison, known, listed, percent

METHOD_ROWS: Final = ("vanilla", "pride", "purified_attention", "agd")


def draw(connection: duckdb.DuckDBPyConnection, options: Options) -> Table:
    """Every pair of settings, questions of the first calibrating answers to the second, with `options.n`."""
    measures = Measures(connection, options)
    pairs = [(source, test) for test in options.settings for source in options.settings]
    rows = [
        Row(
            (source, test, METHODS[method].name),
            {"setting": test, "method": method, "calibrated_on": own_calibration(options.dataset, source)},
            optional=method == "purified_attention",
            block=block,
        )
        for block, (source, test) in enumerate(pairs)
        for method in METHOD_ROWS
    ]
    columns = [Column("", metric, {"n": options.n}) for metric in METRICS]
    columns.append(lead_of("agd", "", {"n": options.n}, "Lead of AGD calibrated on its own kind (points)"))
    stub = ("Calibrated on", "Tested on", "Method")
    return tabulate(measures, stub, rows, columns, _facts(measures, options))


def _facts(measures: Measures, options: Options) -> dict[str, str]:
    transfers = [(source, test) for test in options.settings for source in options.settings if source != test]
    changes, pairs = [], []
    for source, test in transfers:
        keys: dict[str, str | int] = {
            "setting": test,
            "n": options.n,
            "calibrated_on": own_calibration(options.dataset, source),
        }
        abroad, home = measures(**keys, method="agd"), measures(setting=test, n=options.n, method="agd")
        changes.append(f"{percent(known(abroad))} on {test} questions instead of {percent(known(home))}")
        pairs.append(Pair.measured(measures, f"on {test} questions", "agd", "pride", **keys))
    return {"n": str(options.n), "changes": listed(changes), "against_pride": comparison(pairs, "agd", "pride")}
