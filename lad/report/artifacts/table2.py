"""Table 2: what 1,000 presentations cost, in seconds and memory, with vanilla, PriDe and AGD.

Differs from the paper: one forward pass leaves the signals that all methods answer from, so the methods share its
seconds and its memory, and vanilla pays for reading out the attention as well. What differs between methods is the
queries over the signals and the calibration, which comes once and is therefore a column of its own. Queries have a
fixed cost of some ten milliseconds, which weighs more where fewer presentations were scored. Peak memory on a CPU is
that of the whole process; on a GPU it grows with what is free, by the size of batches and the image features that are
kept, and cannot be held against the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import pyarrow as pa

from lad.report.artifact import Artifact, ArtifactError, Cell, Line, Table
from lad.report.needs import Available, Needs
from lad.report.options import ArtifactOptions, Setting, Sizes
from lad.report.results import Results
from lad.report.style import METHODS
from lad.report.tabulate import ABSENT
from lad.report.wording import NO_BREAK, listed

COSTS_SQL: Final = files("lad.report.artifacts") / "table2.sql"
TIMED: Final = ("vanilla", "pride", "agd")
GROUPS: Final = (
    ("Per 1,000 presentations", ("latency (s)", "forward passes (s)", "queries (s)")),
    ("Calibration, once", ("forward passes", "seconds")),
    ("Memory", ("peak (MiB)",)),
)
METRICS: Final = ("latency_s", "forward_s", "queries_s", "calibration_passes", "calibration_s", "peak_memory_mib")

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    setting: Setting = "random"
    ns: Sizes = (4, 8, 12)


def needs(available: Available, options: Options) -> Needs:
    timed = [options.condition(setting=options.setting, n=n, method=method) for n in options.ns for method in TIMED]
    cells = dict.fromkeys(condition.cell for condition in timed)
    return Needs(
        timings=tuple(timed),
        signals=tuple((cell, split) for cell in cells for split in ("evaluation", "calibration")),
    )


def draw(results: Results, options: Options) -> Table:
    """The cost at each N, from what extraction, calibration and scoring recorded."""
    costs = _read_costs(results, options)
    lines = tuple(
        Line(
            (f"{row['n']}", METHODS[row["method"]].name),
            tuple(Cell(_text(row, metric)) for metric in METRICS),
            row["n"],
        )
        for row in costs
    )
    return Table(("N", "Method"), GROUPS, lines, _records(costs, options), _facts(costs, options))


def _read_costs(results: Results, options: Options) -> list[Row]:
    """One row per N and method.

    Raises:
        ArtifactError: seconds that were not recorded.
    """
    asked = {"calibration_questions": options.calibration_questions}
    rows: list[Row] = results.ask(COSTS_SQL, **asked).to_pylist()
    writers = {"forward_s": "lad extract", "calibration_s": "lad calibrate", "queries_s": "lad score"}
    for row in rows:
        for metric, writer in writers.items():
            if row[metric] is None:
                raise ArtifactError(
                    f"no seconds of {METHODS[row['method']].name} recorded for model {options.model} on dataset"
                    f" {options.dataset} (setting {options.setting}, n = {row['n']}); `{writer}` records them with its"
                    " tables, or leave that n out of the option ns"
                )
        row["latency_s"] = row["forward_s"] + row["queries_s"]
    return rows


def _text(row: Row, metric: str) -> str:
    """Seconds to a tenth from 10 on, else to a hundredth; counts and MiB whole."""
    value = row[metric]
    if metric in ("calibration_passes", "calibration_s") and not row["calibration_passes"]:
        return ABSENT
    if metric in ("calibration_passes", "peak_memory_mib"):
        return f"{value:.0f}"
    return _seconds(value)


def _seconds(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _records(costs: list[Row], options: Options) -> pa.Table:
    """One row per value, in the layout of the published results."""
    return pa.Table.from_pylist(
        [
            {
                "model": options.model,
                "dataset": options.dataset,
                "setting": options.setting,
                "n_candidates": row["n"],
                "probe": options.probe,
                "method": row["method"],
                "metric": metric,
                "value": float(row[metric]),
                "device": row["device"],
            }
            for row in costs
            for metric in METRICS
        ]
    )


def _facts(costs: list[Row], options: Options) -> dict[str, str]:
    def of_agd(metric: str) -> str:
        return listed([f"{_seconds(r[metric])}{NO_BREAK}s (N = {r['n']})" for r in costs if r["method"] == "agd"])

    return {
        "device": listed(sorted({row["device"] for row in costs})),
        "setting": options.setting,
        "calibration_questions": str(options.calibration_questions),
        "forward": of_agd("forward_s"),
        "queries": of_agd("queries_s"),
        "calibration": of_agd("calibration_s"),
    }


ARTIFACT: Final = Artifact(
    name="table2",
    kind="table",
    order=110,
    title="Table 2. What an answer costs",
    caption="Seconds per 1,000 presentations, and peak memory; {setting} setting. Forward passes ran on"
    " {device}; one pass leaves the signals of all methods, so vanilla's includes reading out the attention,"
    " and passes and memory are the same in every row. Queries are the scoring of the signals, one thread, each"
    " method as if it ran alone. Calibration comes once: {calibration_questions} questions in N cyclic shifts,"
    " and the fit, which serves all methods. On a CPU, memory is that of the whole process. On a GPU it is the"
    " most that was allocated there; batches and kept image features, which grow with the memory that is free,"
    " are part of it: the model needs less, and it cannot be held against the paper's figures.",
    sentence="1,000 presentations take {forward} of forward passes; AGD's queries over them take {queries}, and its"
    " calibration, once, {calibration}.",
    in_runs="`vanilla`, `pride` and `agd`",
    options=Options,
    needs=needs,
    draw=draw,
)
