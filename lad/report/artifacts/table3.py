"""Table 3: calibrate on one kind of question, test on another.

Kinds are datasets and settings. Differs from the paper: the rows where both are the same are there for comparison.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Final

from lad.grid import CalibrationSource
from lad.report.artifact import Artifact, Table
from lad.report.needs import Available, Condition, Contest, Needs
from lad.report.options import ArtifactOptions, Settings, Size
from lad.report.results import Results
from lad.report.style import METHODS
from lad.report.tabulate import SCORES, Column, Layout, Row, lead_of
from lad.report.wording import known, listed, outcome, percent

METHOD_ROWS: Final = ("vanilla", "pride", "purified_attention", "agd")


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    settings: Settings = ("random", "adversarial")
    n: Size = 4
    datasets: Annotated[
        tuple[str, ...], "datasets of the test questions, one below the other; the dataset alone if none is named"
    ] = ()

    @property
    def tested(self) -> list[tuple[str, str]]:
        """The kinds of test question: datasets and settings."""
        return [(dataset, setting) for dataset in self.datasets or (self.dataset,) for setting in self.settings]


def needs(available: Available, options: Options) -> Needs:
    transfers = _transfers(available, options)
    if not transfers:
        dataset, setting = options.tested[0]
        first = options.condition(dataset=dataset, setting=setting, n=options.n, method="agd")
        if available.has(first):
            raise available.refusal(
                f"agd after fewer than two calibrations (model {options.model}, dataset {options.dataset}, n ="
                f" {options.n})",
                run="say calibrated_on in a run",
                command="`lad score` with the calibration of other questions, then `lad evaluate`, produce the rest",
            )
        return Needs(scores=(first,))
    homes = Needs(scores=tuple(home for _, home in transfers))
    return _layout(available, options).needs(available) + homes + Needs.of(_contests(transfers, options))


def _sources(available: Available, options: Options, dataset: str, setting: str) -> list[CalibrationSource]:
    """The kinds of question that AGD was calibrated on for this kind of test question, its own first.

    Evaluation questions are none, nor are further questions of a kind.
    """
    own = options.condition(dataset=dataset, setting=setting, n=options.n, method="agd")
    sources = {condition.source for condition in available.along(own, "source")}
    return sorted(
        (source for source in sources if source.is_first_of_its_kind),
        key=lambda source: (source != own.source, source),
    )


def _transfers(available: Available, options: Options) -> list[tuple[Condition, Condition]]:
    """AGD calibrated on each other kind of question, and on the first."""
    transfers = []
    for dataset, setting in options.tested:
        own = options.condition(dataset=dataset, setting=setting, n=options.n, method="agd")
        home, *others = _sources(available, options, dataset, setting) or [own.source]
        transfers += [(replace(own, source=source), replace(own, source=home)) for source in others]
    return transfers


def _layout(available: Available, options: Options) -> Layout:
    kinds = [
        (source, dataset, test)
        for dataset, test in options.tested
        for source in _sources(available, options, dataset, test)
    ]
    several = len(options.datasets) > 1
    rows = [
        Row(
            (*((dataset,) if several else ()), str(source), test, METHODS[method].name),
            {"dataset": dataset, "setting": test, "method": method, "source": source},
            optional=method == "purified_attention",
            block=block,
        )
        for block, (source, dataset, test) in enumerate(kinds)
        for method in METHOD_ROWS
    ]
    columns = [Column("", metric, {"n": options.n}) for metric in SCORES]
    columns.append(lead_of("agd", "", {"n": options.n}, "Lead of AGD calibrated on its own kind (points)"))
    stub = ("Calibrated on", "Tested on", "Method")
    return Layout(options, ("Dataset", *stub) if several else stub, rows, columns)


def _contests(transfers: list[tuple[Condition, Condition]], options: Options) -> list[Contest]:
    return [
        Contest(
            f"{_kind(abroad, options)} after calibration on {abroad.source}", abroad, replace(abroad, method="pride")
        )
        for abroad, _ in transfers
    ]


def _kind(condition: Condition, options: Options) -> str:
    of_dataset = f" of {condition.dataset}" if len(options.datasets) > 1 else ""
    return f"on {condition.setting} questions{of_dataset}"


def draw(results: Results, options: Options) -> Table:
    """Every calibration that AGD was scored with, for each kind of test question."""
    transfers = _transfers(results.available, options)
    changes = [
        f"{percent(known(results.measures.get(abroad)))} {_kind(abroad, options)} instead of"
        f" {percent(known(results.measures.get(home)))}"
        for abroad, home in transfers
    ]
    facts = {
        "n": str(options.n),
        "changes": listed(changes),
        "against_pride": outcome(results.measures, _contests(transfers, options)),
    }
    return _layout(results.available, options).table(results, facts)


ARTIFACT: Final = Artifact(
    name="table3",
    kind="table",
    order=120,
    title="Table 3. Calibrate on one kind of question, test on another",
    caption="Both calibrations of each kind of test question. Scores and differences as in table 1.",
    sentence="Calibrated on the other kind of question, AGD reaches {changes}; {against_pride}.",
    in_runs="`vanilla`, `pride` and `agd` after two or more calibrations (`calibrated_on`) of one kind of question",
    options=Options,
    needs=needs,
    draw=draw,
)
