"""Are some positions answered more than others, and does another order change the answer?

Not in the paper: the statistics of its peers. Chi-squared and Cramer's V of the answers' positions against chance are
those of inspect_permute (arXiv 2607.20864), which finds that bias can be seen at accuracies of some 60 to 95 % only;
flips and preference fairness are those of judges of two candidates (arXiv 2406.07791). What each is exactly stands in
docs/metrics.md.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Final

from lad.report.artifact import Artifact, Cell, Line, Table
from lad.report.measures import Measure, Measures
from lad.report.needs import Available, Condition, Needs
from lad.report.options import ArtifactOptions, Settings, Sizes
from lad.report.results import Results
from lad.report.style import METHODS
from lad.report.tabulate import ABSENT
from lad.report.wording import known, name, signed

SHOWS_BIAS: Final = (60.0, 95.0)
"""Accuracies in percent between which arXiv 2607.20864 finds that bias can be seen."""

FEWEST_EXPECTED: Final = 5
"""Answers to expect at each position for chi-squared to be near its distribution (the rule of thumb)."""

FEWEST_FLIPS: Final = 6
"""Questions that have to flip, at N = 2, to tell a preference: five all go one way in 6 % of cases by chance. The
bootstrap does not see that, because it draws from these few."""

METRICS: Final = ("chi_squared", "cramers_v", "flip_rate", "preference_fairness", "accuracy")


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    settings: Settings = ("random", "adversarial")
    ns: Sizes = (2, 4, 8, 12)
    methods: Annotated[tuple[str, ...], "methods one below the other, where measured"] = (
        *("vanilla", "attention_readout", "purified_attention"),
        *("pride", "agd"),
    )


def needs(available: Available, options: Options) -> Needs:
    return Needs(scores=tuple(_conditions(available, options)))


def _conditions(available: Available, options: Options) -> list[Condition]:
    """Rows by N, setting and method, as far as there are; the first, which is then refused, where none is."""
    places = [options.condition(n=n, setting=setting, method="") for n in options.ns for setting in options.settings]
    rows = [replace(place, method=method) for place in places for method in options.methods]
    return [row for row in rows if available.has(row)] or rows[:1]


def draw(results: Results, options: Options) -> Table:
    """A block of methods for each N and setting."""
    measures = results.measures
    rows = _conditions(results.available, options)
    lines = [_line(measures, row, (options.ns.index(row.n), options.settings.index(row.setting))) for row in rows]
    chosen = [(row, metric) for row in rows for metric in METRICS if metric != "preference_fairness" or row.n == 2]
    outside = [row for row in rows if _outside(known(measures.get(row)))]
    unseen = [row for row in outside if not _is_seen(measures, row)]
    facts = {
        "seen": "; ".join(_seen(measures, rows, method) for method in options.methods if _of(rows, method)),
        "rows": str(len(rows)),
        "outside": str(len(outside)),
        "unseen": str(len(unseen)),
    }
    headings = ("χ²", "Cramér’s V", "Flips (%)", "Fairness (points)", "Accuracy (%)", "Note")
    return Table(("N", "Setting", "Method"), (("", headings),), tuple(lines), measures.select(chosen), facts)


def _line(measures: Measures, row: Condition, place: tuple[int, int]) -> Line:
    chi_squared, v, flips = (measures.get(row, metric) for metric in ("chi_squared", "cramers_v", "flip_rate"))
    fairness = measures.get(row, "preference_fairness") if row.n == 2 else None
    accuracy = measures.get(row)
    notes = [_outside(known(accuracy))] if _outside(known(accuracy)) else []
    if accuracy.presentations < FEWEST_EXPECTED * row.n:
        notes.append(f"fewer than {FEWEST_EXPECTED} answers expected at a position")
    if _flips_too_few(measures, row):
        notes.append(f"fewer than {FEWEST_FLIPS} flips")
    cells = (
        _bounded(chi_squared, "{:.1f}"),
        _bounded(v, "{:.2f}"),
        _bounded(flips, "{:.1f}"),
        ABSENT if fairness is None or fairness.value is None else signed(fairness.value),
        _bounded(accuracy, "{:.1f}"),
        "; ".join(notes),
    )
    labels = (str(row.n), row.setting, METHODS[row.method].name)
    return Line(labels, tuple(Cell(text) for text in cells), place[0] * 100 + place[1])


def _bounded(measure: Measure, form: str) -> str:
    """The value with its interval, where it has one."""
    if measure.value is None:
        return ABSENT
    value = form.format(measure.value)
    if measure.low is None or measure.high is None:
        return value
    return f"{value} ({form.format(measure.low)} to {form.format(measure.high)})"


def _outside(accuracy: float) -> str:
    """What is to be said of an accuracy at which a bias may not show."""
    low, high = SHOWS_BIAS
    if accuracy < low:
        return f"accuracy below {low:.0f} %"
    return f"accuracy above {high:.0f} %" if accuracy > high else ""


def _is_seen(measures: Measures, row: Condition) -> bool:
    """Whether the interval of V lies above 0, as it is printed."""
    low = measures.get(row, "cramers_v").low
    return low is not None and round(low, 2) > 0 and not _flips_too_few(measures, row)


def _flips_too_few(measures: Measures, row: Condition) -> bool:
    """Whether there are flips between two candidates, but too few to prefer one side."""
    flips = measures.get(row, "flip_rate")
    return row.n == 2 and flips.value is not None and 0 < flips.value * flips.questions / 100 < FEWEST_FLIPS - 0.5


def _of(rows: list[Condition], method: str) -> list[Condition]:
    return [row for row in rows if row.method == method]


def _seen(measures: Measures, rows: list[Condition], method: str) -> str:
    """In how many of its places a method prefers positions, and by what V it does."""
    own = _of(rows, method)
    values = [measures.get(row, "cramers_v").value for row in own]
    sizes = sorted({f"{value:.2f}" for value in values if value is not None})
    spread = f"V {sizes[0]}" + (f" to {sizes[-1]}" if len(sizes) > 1 else "") if sizes else "V unknown"
    return f"{name(method)} in {sum(_is_seen(measures, row) for row in own)} of {len(own)} places ({spread})"


ARTIFACT: Final = Artifact(
    name="table_position_tests",
    kind="table",
    order=215,
    title="Are positions answered evenly?",
    caption="χ² of the answers' positions against chance (N − 1 degrees of freedom) and Cramér's V: 0 where all"
    " positions are answered equally often, 1 where one always is. Both are taken as if the target had stood everywhere"
    " equally often. Flips: share of the pairs of orders of a question whose answers are two candidates. Fairness, at"
    " N = 2: share of the questions answered with the second position in both orders, minus that of the first. In"
    " brackets, 95 % bootstrap intervals over questions. The orders of a question are not independent, so χ² has no"
    " p-value: a preference is seen where the interval of V lies above 0. Where accuracy is outside 60 to 95 %, a"
    " preference that is seen is one, but none that is seen says little (arXiv 2607.20864).",
    sentence="Some positions are preferred by {seen}. Accuracy is outside 60 to 95 % in {outside} of {rows} rows; in"
    " {unseen} of these no preference is seen, which says little there.",
    in_runs="any of its methods at any N and setting",
    options=Options,
    needs=needs,
    draw=draw,
)
