"""The table of divergences: what each difference between the paper and its authors' code does to the scores.

Not in the paper. The rows of the second block change one thing of AGD as printed; what a formulation's fields mean
stands in lad.calibration.formulation.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from lad.report.artifact import Artifact, Table
from lad.report.needs import Available, Condition, Key, Needs
from lad.report.options import ArtifactOptions, Setting, Size
from lad.report.results import Results
from lad.report.style import METHODS
from lad.report.tabulate import SCORES, Column, Layout, Row, lead_of
from lad.report.wording import known, listed, percent, points

SWITCHES: Final = {
    "formulation=printed+average=logs": "eq. 1 averages logs",
    "formulation=printed+mixture=logs": "eq. 13 mixes logs",
    "formulation=printed+aggregation=log_of_mean": "eq. 11 takes the log of the mean over layers",
    "formulation=printed+span=delimited": "eq. 6 counts the images’ delimiters",
    "formulation=printed+scores=identifier_logits": "raw logits of first tokens stand for log P",
    "formulation=printed+scores=processed_logits": "logits after the model’s own processors stand for log P",
}
"""Variants of AGD that change one field, and what that means; the last is neither printed nor released."""


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    setting: Setting = "adversarial"
    n: Size = 8

    def answer(self, **keys: Key) -> Condition:
        return self.condition(setting=self.setting, n=self.n, **keys)


def needs(available: Available, options: Options) -> Needs:
    changes = _changes(available, options)
    return _layout(available, options).needs(available) + Needs(leads=tuple(changes.values()))


def _layout(available: Available, options: Options) -> Layout:
    where: dict[str, Key] = {"setting": options.setting, "n": options.n}
    columns = [Column("", metric, where) for metric in SCORES]
    columns.append(lead_of("agd", "", where, "Lead of AGD as printed (points)"))
    return Layout(options, ("Method", "What differs from print"), _rows(available, options), columns)


def _rows(available: Available, options: Options) -> list[Row]:
    reused = replace(options.answer(method="agd").source, split="symmetrized")
    calibrated_on_evaluation = "calibrated on the first evaluation questions"

    def row(block: int, method: str, difference: str, **keys: Key) -> Row:
        return Row((METHODS[method].name, difference), {"method": method, **keys}, optional=block > 0, block=block)

    rows = [row(0, "agd", "nothing"), row(1, "agd", calibrated_on_evaluation, source=reused)]
    rows += [row(1, "agd", meaning, variant=variant) for variant, meaning in SWITCHES.items()]
    for variant in _variants(available, options.answer(method="agd"), r"layers=\d+-\d+"):
        rows.append(row(1, "agd", f"eq. 9 chooses among {_layers(variant)}", variant=variant))
    rows.append(row(2, "agd", "the released formulation", variant="formulation=released"))
    everything = options.answer(method="agd", source=reused)
    for variant in _variants(available, everything, r"formulation=released;layers=\d+-\d+"):
        meaning = f"the released formulation, {_layers(variant)}, {calibrated_on_evaluation}"
        rows.append(row(2, "agd", meaning, variant=variant, source=reused))
    released, average = "the released code’s estimate", "permutation_average"
    return [
        *rows,
        row(3, "pride", "its authors’ estimate"),
        row(3, "pride_released", released),
        row(3, "pride_released", f"{released}, {calibrated_on_evaluation}", source=reused),
        row(4, average, "cyclic shifts, probabilities"),
        row(4, average, "random orders, probabilities", variant="orders=random"),
        row(4, average, "random orders, log-domain scores", variant="formulation=released;orders=random"),
    ]


def _variants(available: Available, condition: Condition, pattern: str) -> list[str]:
    variants = [one.variant for one in available.along(condition, "variant")]
    return sorted(variant for variant in variants if re.fullmatch(pattern, variant))


def _layers(variant: str) -> str:
    first, last = re.findall(r"\d+", variant.rpartition("layers=")[2])
    return f"layers {first} to {last}"


def _changes(available: Available, options: Options) -> dict[str, tuple[Condition, Condition]]:
    """By what it changes, each variant of AGD that changes one thing, and AGD as printed."""
    printed = options.answer(method="agd")
    varied = {row.labels[1]: options.answer(**row.keys) for row in _rows(available, options) if row.block == 1}
    return {meaning: (one, printed) for meaning, one in varied.items() if available.has(one)}


def draw(results: Results, options: Options) -> Table:
    """Accuracy, RStd and consistency."""
    printed = results.measures.get(options.answer(method="agd"))
    compared = {
        meaning: results.measures.difference(*pair) for meaning, pair in _changes(results.available, options).items()
    }
    leads = {meaning: lead for meaning, lead in compared.items() if lead is not None}
    clear = {meaning: lead for meaning, lead in leads.items() if lead.side}
    ranked = sorted(clear.items(), key=lambda item: -abs(item[1].value))
    largest = listed([f"{meaning} ({points(lead.value)})" for meaning, lead in ranked[:3]]) if ranked else "none"
    facts = {
        "printed": percent(known(printed)),
        "count": str(len(clear)),
        "of": str(len(leads)),
        "largest": largest,
    }
    return _layout(results.available, options).table(results, facts)


ARTIFACT: Final = Artifact(
    name="table_divergences",
    kind="table",
    order=200,
    title="Printed against released",
    caption="What each difference between the paper's text and its authors' code does, one at a time, then all"
    " together; below, the variants of PriDe and of permutation averaging. Leads are paired differences on the"
    " same questions with their 95 % bootstrap interval.",
    sentence="AGD as printed is right in {printed}; {count} of {of} divergences move it clearly; the largest:"
    " {largest}.",
    in_runs="`agd`; its variants and other calibrations where measured",
    options=Options,
    needs=needs,
    draw=draw,
)
