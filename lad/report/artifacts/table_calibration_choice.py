"""Whether it is worth to choose calibration questions: choosers that see no target, beside random draws.

The paper names adaptive calibration as future work; `lad.calibration.choice` says what the choosers and the rule are.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Any, Final

from lad.choosing import METHODS as METHODS_CHOSEN_FOR
from lad.grid import Cell as GridCell
from lad.report.artifact import Artifact, ArtifactError, Cell, Line, Table
from lad.report.needs import Available, Needs
from lad.report.options import ArtifactOptions, Setting, Sizes
from lad.report.results import Results
from lad.report.style import METHODS
from lad.report.wording import NO_BREAK, listed, numbers, percent, points, signed

SQL: Final = files("lad.report.artifacts") / "table_calibration_choice.sql"
CHOOSERS: Final = {
    "random": "at random, mean of draws",
    "first": "the first ones",
    "disagreement": "orders disagree most",
    "uncertainty": "one answer is least certain",
    "null": "null query is spread most",
}

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    setting: Setting = "adversarial"
    ns: Sizes = (4, 8)
    methods: Annotated[
        tuple[str, ...], "methods that are calibrated, with variants as `lad score --method` has them"
    ] = METHODS_CHOSEN_FOR
    at: Annotated[int, "number of questions that the stopping rule is compared with"] = 5


def needs(available: Available, options: Options) -> Needs:
    cells = [GridCell(options.model, options.dataset, options.setting, n, options.probe) for n in options.ns]
    return Needs(choices=tuple(cells))


def draw(results: Results, options: Options) -> Table:
    """A row per N, chooser and number of questions; the rule's rows last. A column per method."""
    table = results.ask(SQL)
    records: list[Record] = table.to_pylist()
    if not any(record["questions"] == options.at for record in records):
        raise ArtifactError(
            f"choices hold no choice of at = {options.at} questions; allowed are"
            f" {numbers(sorted({record['questions'] for record in records if not record['stopped']}))}"
        )
    methods = list(dict.fromkeys((record["method"], record["variant"]) for record in records))
    rows: dict[tuple[Any, ...], dict[tuple[str, str], Record]] = {}
    for record in records:
        key = tuple(record[name] for name in ("n_candidates", "stopped", "questions", "chooser", "passes"))
        rows.setdefault(key, {})[record["method"], record["variant"]] = record
    lines = [
        Line(
            (str(n), f"{count}, where the rule stops" if stopped else str(count), CHOOSERS[chooser], str(passes)),
            tuple(_cell(by_method[method]) for method in methods),
            block=n,
        )
        for (n, stopped, count, chooser, passes), by_method in rows.items()
    ]
    headings = tuple(f"{METHODS[name].name}{f' ({variant})' if variant else ''}" for name, variant in methods)
    stub = ("N", "Questions", "Chosen", "Passes")
    return Table(stub, (("", headings),), tuple(lines), table, _facts(records, options))


def _cell(record: Record) -> Cell:
    """A draw's mean and range; of a chooser its accuracy, and its lead over the draws with the interval."""
    if record["lead"] is None:
        return Cell(f"{record['accuracy']:.1f} ({record['low']:.1f} to {record['high']:.1f})")
    bounds = _bounds(record)
    return Cell(f"{record['accuracy']:.1f} [{signed(record['lead'])}{f', {bounds}' if bounds else ''}]")


def _bounds(record: Record) -> str:
    if record["lead_low"] is None:
        return ""
    return f"{signed(record['lead_low'])} to {signed(record['lead_high'])}"


def _facts(records: list[Record], options: Options) -> dict[str, str]:
    random = {_key(record): record for record in records if record["chooser"] == "random"}
    tallies = []
    for chooser in CHOOSERS:
        own = [r for r in records if r["chooser"] == chooser and not r["stopped"] and r["lead"] is not None]
        if own:
            better = sum(_is_clear(r, random[_key(r)], 1) for r in own)
            worse = sum(_is_clear(r, random[_key(r)], -1) for r in own)
            mean = sum(r["lead"] for r in own) / len(own)
            tallies.append(f"{chooser} better in {better}, worse in {worse} of {len(own)} ({points(mean)} on average)")
    stops = []
    for n in options.ns:
        first = [r for r in records if r["n_candidates"] == n and r["chooser"] == "first"]
        fixed = {(r["method"], r["variant"]): r["accuracy"] for r in first if r["questions"] == options.at}
        ended = [r for r in first if r["stopped"]]
        told = []
        for r in ended:
            change = points(r["accuracy"] - fixed[r["method"], r["variant"]])
            told.append(f"{METHODS[r['method']].name} {percent(r['accuracy'])} ({change})")
        stops.append(f"after {ended[0]['questions']} questions at N{NO_BREAK}={NO_BREAK}{n}, with {listed(told)}")
    return {
        "pool": str(records[0]["pool"]),
        "tallies": listed(tallies),
        "stops": listed(stops),
        "at": str(options.at),
    }


def _key(record: Record) -> tuple[Any, ...]:
    return tuple(record[name] for name in ("n_candidates", "method", "variant", "questions"))


def _is_clear(record: Record, random: Record, side: int) -> bool:
    """Whether accuracy lies beyond 95 % of the draws, and the lead's interval on that side of 0."""
    if record["lead_low"] is None:
        return False
    if side > 0:
        return bool(record["accuracy"] > random["high"] and round(record["lead_low"], 1) > 0)
    return bool(record["accuracy"] < random["low"] and round(record["lead_high"], 1) < 0)


ARTIFACT: Final = Artifact(
    name="table_calibration_choice",
    kind="table",
    order=195,
    title="Which calibration questions, and how many",
    caption="Accuracy after calibration on questions chosen from a pool of {pool} by choosers that see no target. At"
    " random: the mean of the draws, and 95 % of them. Choosers: accuracy, and in brackets the lead over that mean with"
    " its 95 % bootstrap interval over evaluation questions. Passes are those of choosing and of calibrating; the null"
    " query's, which continue from a cache, are not counted. The rule stops once a question moves the estimate of eq. 1"
    " by less than 0.05 in total variation.",
    sentence="Beyond 95 % of the random draws, and with an interval on one side of 0: {tallies}. The stopping rule ends"
    " {stops}, against {at} fixed questions.",
    in_runs="`agd` with `calibration_questions` of 10 or more; the pool is what calibration asks, 40 at most",
    options=Options,
    needs=needs,
    draw=draw,
)
