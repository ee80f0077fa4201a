"""Table 1 (N = 4) and table 6 (N = 8): every method in both settings.

Differs from the paper: rows appear for the methods that were measured; the greedy text, and PriDe and AGD as in the
released code, stand beside their namesakes where they were.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from lad.report.artifact import PAIRED, Artifact, Table
from lad.report.needs import Available, Contest, Key, Needs
from lad.report.options import ArtifactOptions, Settings, Size
from lad.report.results import Results
from lad.report.tabulate import SCORES, Column, Layout, Row, lead_of, rows_of_methods
from lad.report.wording import known, listed, outcome, percent

NAMED: Final = ("vanilla", "pride", "agd")
"""The methods that the sentence names."""


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    settings: Settings = ("random", "adversarial")
    n: Size = 4
    models: Annotated[tuple[str, ...], "models one below the other; the model alone if none is named"] = ()


@dataclass(frozen=True, kw_only=True)
class Table6Options(Options):
    n: Size = 8


def needs(available: Available, options: Options) -> Needs:
    named = [options.condition(**where, method=method) for where in _places(options) for method in NAMED]
    return Needs(scores=tuple(named)) + _layout(options).needs(available) + Needs.of(_contests(options))


def _places(options: Options) -> list[Mapping[str, Key]]:
    return [{"setting": setting, "n": options.n} for setting in options.settings]


def _layout(options: Options) -> Layout:
    columns = []
    for where in _places(options):
        group = str(where["setting"]).capitalize()
        columns += [Column(group, metric, where) for metric in SCORES]
        columns.append(lead_of("agd", group, where, "AGD’s lead (points)"))
    if not options.models:
        return Layout(options, ("Method",), rows_of_methods("main"), columns)
    rows = [
        Row((model, *row.labels), {**row.keys, "model": model}, row.optional, block)
        for block, model in enumerate(options.models)
        for row in rows_of_methods("main")
    ]
    return Layout(options, ("Model", "Method"), rows, columns)


def _contests(options: Options) -> list[Contest]:
    return [
        Contest(
            f"in the {where['setting']} setting",
            options.condition(**where, method="agd"),
            options.condition(**where, method="pride"),
        )
        for where in _places(options)
    ]


def draw(results: Results, options: Options) -> Table:
    """The main results, of one model or several; the sentence is about `options.model`."""

    def accuracies(method: str) -> str:
        measured = [
            (known(results.measures.get(options.condition(**where, method=method))), where["setting"])
            for where in _places(options)
        ]
        return listed([f"{percent(value)} ({setting})" for value, setting in measured])

    facts = {
        "n": str(options.n),
        **{method: accuracies(method) for method in NAMED},
        "against_pride": outcome(results.measures, _contests(options)),
    }
    return _layout(options).table(results, facts)


SENTENCE: Final = "With {n} candidates vanilla is right in {vanilla}, PriDe in {pride}, AGD in {agd}; {against_pride}."

ARTIFACTS: Final = (
    Artifact(
        name="table1",
        kind="table",
        order=100,
        title="Table 1. Main results with 4 candidates",
        caption="Accuracy ± sample standard deviation over the orders; RStd, the standard deviation of recall over"
        " positions (lower is better); consistency, the share of questions answered alike in all orders." + PAIRED,
        sentence=SENTENCE,
        in_runs="`vanilla`, `pride` and `agd` of each model; the rows of other methods where measured",
        options=Options,
        needs=needs,
        draw=draw,
    ),
    Artifact(
        name="table6",
        kind="table",
        order=150,
        title="Table 6. Main results with 8 candidates",
        caption="As table 1, with eight candidates.",
        sentence=SENTENCE,
        in_runs="`vanilla`, `pride` and `agd` of each model; the rows of other methods where measured",
        options=Table6Options,
        needs=needs,
        draw=draw,
    ),
)
