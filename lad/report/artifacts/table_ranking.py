"""How lists are ranked: the first stage, and what methods make of it, beside what others have published.

Not in the paper, whose questions have one right image. How a list is put together from its windows, and what the
metrics are, says `lad.evaluation.rankings`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final

from lad.evaluation.rankings import FIRST_STAGE, MACRO, METRICS
from lad.report.artifact import Artifact, ArtifactError, Cell, Line, Table
from lad.report.explorer.choice import chosen_scorings
from lad.report.needs import Available, Needs
from lad.report.options import ArtifactOptions
from lad.report.results import Results
from lad.report.style import METHODS as STYLES
from lad.report.tabulate import ABSENT
from lad.report.wording import listed, name, signed

SQL: Final = files("lad.report.artifacts") / "table_ranking.sql"
COLUMNS: Final = ("method", "setting", "group", "metric", "value", "source")
"""Of a file of published numbers."""

STUB: Final = ("Setting", "N", "Probe", "Average", "Method")
"""Headings of the labels; one that is the same everywhere is not shown."""

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    settings: Annotated[tuple[str, ...], "settings one below the other; by default all that are ranked"] = ()
    ns: Annotated[tuple[int, ...], "sizes of windows; by default all"] = ()
    probes: Annotated[tuple[str, ...], "how it was asked; by default in all ways"] = ()
    metrics: Annotated[
        tuple[str, ...], f"of {', '.join(METRICS)}; the lead over the first stage is that of the first"
    ] = (
        *("ndcg_at_10", "mrr_at_10", "hit_at_1"),
        *("recall_at_1", "recall_at_5", "recall_at_10"),
    )
    published: Annotated[Path | None, f"CSV file of what others report, in percent: {', '.join(COLUMNS)}"] = None


def needs(available: Available, options: Options) -> Needs:
    scorings = [
        scoring
        for scoring in available.scorings("rankings")
        if (scoring.cell.model, scoring.cell.dataset) == (options.model, options.dataset)
        and all(
            not wanted or value in wanted
            for value, wanted in (
                (scoring.cell.setting, options.settings),
                (scoring.cell.n, options.ns),
                (scoring.cell.probe, options.probes),
            )
        )
    ]
    if not scorings:
        raise available.refusal(
            f"no ranked lists of model {options.model} on dataset {options.dataset} with these settings, ns and probes",
            run="only datasets of lists are ranked, which have the key depth: add a run with one",
            command="only datasets of lists are ranked: `lad rankings` does it",
        )
    return Needs(rankings=tuple(chosen_scorings(scorings, options.calibration_questions).values()))


def draw(results: Results, options: Options) -> Table:
    """A block of methods for each setting, N, probe and average; published numbers below those of their setting."""
    if unknown := [metric for metric in options.metrics if metric not in METRICS]:
        raise ArtifactError(f"option metrics: unknown {unknown[0]}; known: {', '.join(METRICS)}")
    table = results.ask(SQL)
    shown = [record for record in table.to_pylist() if record["group"] in ("", MACRO)]
    rows: dict[tuple[Any, ...], dict[str, Record]] = {}
    for record in shown:
        key = tuple(record[column] for column in ("setting", "n_candidates", "probe", "group", "method", "variant"))
        rows.setdefault(key, {})[record["metric"]] = record
    blocks = list(dict.fromkeys(key[:4] for key in rows))
    lines = [
        _line(key, of_metric, _best(rows, key[:4], options.metrics), options, blocks.index(key[:4]))
        for key, of_metric in rows.items()
    ]
    told = [
        at for at, heading in enumerate(STUB) if heading == "Method" or len({line.labels[at] for line in lines}) > 1
    ]
    published = read_published(options.published, {key[0] for key in rows}) if options.published else []
    lines += _published_lines(published, options, len(blocks))
    lines = [replace(line, labels=tuple(line.labels[at] for at in told)) for line in lines]
    headings = (*map(_heading, options.metrics), f"Lead in {_heading(options.metrics[0]).removesuffix(' (%)')}")
    stub = tuple(STUB[at] for at in told)
    return Table(stub, (("", headings),), tuple(lines), table, _facts(rows, published, options))


def _line(
    key: tuple[Any, ...], of_metric: Mapping[str, Record], best: Mapping[str, float], options: Options, block: int
) -> Line:
    setting, n, probe, group, method, variant = key
    cells = [
        Cell(
            _value(of_metric[metric], with_interval=metric == options.metrics[0]),
            round(of_metric[metric]["value"], 1) == best[metric],
        )
        for metric in options.metrics
    ]
    lead = Cell(_lead(of_metric[options.metrics[0]]))
    return Line((setting, str(n), probe, group or "micro", _named(method, variant)), (*cells, lead), block)


def _best(
    rows: Mapping[tuple[Any, ...], Mapping[str, Record]], block: tuple[Any, ...], metrics: Iterable[str]
) -> dict[str, float]:
    own = [of_metric for key, of_metric in rows.items() if key[:4] == block]
    return {metric: max(round(of_metric[metric]["value"], 1) for of_metric in own) for metric in metrics}


def read_published(path: Path, settings: set[str]) -> list[dict[str, str]]:
    """The rows of a file of published numbers that are of these settings; an empty setting is any.

    Raises:
        ArtifactError: it cannot be read, lacks a column, has no row, or a metric or value that is none.
    """
    try:
        # A spreadsheet writes a mark in front.
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ArtifactError(f"option published: {path} cannot be read ({error})") from None
    for number, row in enumerate(rows, start=2):
        if lacking := [column for column in COLUMNS if row.get(column) is None]:
            raise ArtifactError(f"{path}: line {number} has no {lacking[0]}; its columns are {', '.join(COLUMNS)}")
        if row["metric"] not in METRICS:
            raise ArtifactError(f"{path}: line {number} has metric {row['metric']}; known: {', '.join(METRICS)}")
        try:
            known = math.isfinite(float(row["value"]))
        except ValueError:
            known = False
        if not known:
            raise ArtifactError(f"{path}: line {number} has value {row['value']!r}, expected is a number")
    if not rows:
        raise ArtifactError(f"{path}: has no numbers; its columns are {', '.join(COLUMNS)}")
    return [row for row in rows if row["setting"] in ("", *settings) and row["group"] in ("", MACRO)]


def _published_lines(published: list[dict[str, str]], options: Options, block: int) -> list[Line]:
    """A line for each method, below what is measured."""
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in published:
        rows.setdefault((row["setting"], row["group"], row["method"]), {})[row["metric"]] = row["value"]
    return [
        Line(
            (setting or "any", ABSENT, ABSENT, group or "micro", f"{method} (published)"),
            (*(Cell(f"{float(of[m]):.1f}" if m in of else ABSENT) for m in options.metrics), Cell(ABSENT)),
            block,
        )
        for (setting, group, method), of in rows.items()
    ]


def _value(record: Record, *, with_interval: bool) -> str:
    value = f"{record['value']:.1f}"
    return (
        value
        if record["low"] is None or not with_interval
        else f"{value} ({record['low']:.1f} to {record['high']:.1f})"
    )


def _lead(record: Record) -> str:
    """Points over the first stage, with the interval of the paired difference."""
    if record["lead"] is None:
        return ABSENT
    value = f"{'+' * (round(record['lead'], 1) > 0)}{signed(record['lead'])}"
    if record["lead_low"] is None:
        return value
    return f"{value} ({signed(record['lead_low'])} to {signed(record['lead_high'])})"


def _named(method: str, variant: str) -> str:
    if method == FIRST_STAGE:
        return "First stage"
    display = STYLES[method].name if method in STYLES else method
    return f"{display} ({variant})" if variant else display


def _heading(metric: str) -> str:
    """`ndcg_at_10` as it is written: nDCG@10 (%)."""
    kind, _, depth = metric.partition("_at_")
    return f"{ {'ndcg': 'nDCG', 'mrr': 'MRR', 'hit': 'Hit', 'recall': 'Recall'}[kind] }@{depth} (%)"


def _facts(
    rows: Mapping[tuple[Any, ...], Mapping[str, Record]], published: list[dict[str, str]], options: Options
) -> dict[str, str]:
    first = options.metrics[0]
    told = []
    for block in dict.fromkeys(key[:4] for key in rows if key[3] == ""):
        own = {key[4:]: of_metric[first] for key, of_metric in rows.items() if key[:4] == block}
        stage = own.pop((FIRST_STAGE, ""))
        (method, variant), best = max(own.items(), key=lambda pair: pair[1]["value"])
        ahead = sum(record["lead_low"] is not None and round(record["lead_low"], 1) > 0 for record in own.values())
        behind = sum(record["lead_high"] is not None and round(record["lead_high"], 1) < 0 for record in own.values())
        told.append(
            f"{block[0]}, windows of {block[1]}: the first stage has {stage['value']:.1f}, the best method,"
            f" {name(method)}{f' with {variant}' if variant else ''}, {best['value']:.1f}, a lead of {_lead(best)};"
            f" {ahead} of {len(own)} methods are ahead of the first stage with the whole interval, {behind} behind"
        )
    counts = sorted({of_metric[first]["lists"] for of_metric in rows.values()})
    sources = list(dict.fromkeys(row["source"] for row in published))
    return {
        "metric": _heading(first).removesuffix(" (%)"),
        "told": "; ".join(told),
        "lists": " to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))),
        "published": f" Published numbers are those of {listed(sources)}." if sources else "",
    }


ARTIFACT: Final = Artifact(
    name="table_ranking",
    kind="table",
    order=205,
    title="How lists are ranked",
    caption="Lists of candidates, of which several may be right, put together from the scores in all their windows"
    " ({lists} lists). Percent, in brackets 95 % bootstrap intervals over lists. First stage: the order in which the"
    " lists came. Lead: points over the first stage on the same lists, with the interval of the paired difference."
    " Micro: the mean over lists; macro: over groups. nDCG's gain is the grade itself, and recall and nDCG count what"
    " is relevant but not listed.{published}",
    sentence="Measured by {metric}: {told}.",
    in_runs="a dataset of lists (key `depth`) and any methods",
    options=Options,
    needs=needs,
    draw=draw,
)
