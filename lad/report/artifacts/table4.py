"""Table 4: what each part of AGD is worth - the read-out, the attention prior, the choice of layers, K.

Differs from the paper: rows for other K appear for those that were scored, which a shallow model limits.
"""

import re
from dataclasses import dataclass
from typing import Final

from lad.report.artifact import Artifact, Table
from lad.report.needs import Available, Condition, Contest, Key, Needs
from lad.report.options import ArtifactOptions, Setting, Size, TopK
from lad.report.results import Results
from lad.report.tabulate import SCORES, Column, Layout, Row, lead_of
from lad.report.wording import outcome, percent

LAYER_COUNTS: Final = (1, 2, 3, 4, 8)
"""K of the paper, and 3, which a shallow model has room for."""


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    setting: Setting = "adversarial"
    n: Size = 4
    top_k: TopK = 2

    def answer(self, method: str, variant: str = "") -> Condition:
        return self.condition(setting=self.setting, n=self.n, method=method, variant=variant)


def needs(available: Available, options: Options) -> Needs:
    return _layout(available, options).needs(available) + Needs.of(_contests(options))


def _layout(available: Available, options: Options) -> Layout:
    where: dict[str, Key] = {"setting": options.setting, "n": options.n}
    columns = [Column("", metric, where) for metric in SCORES]
    columns.append(lead_of("agd", "", where, "AGD’s lead (points)"))
    return Layout(options, ("Answer from", "Attention prior", "Layers"), _rows(available, options), columns)


def _rows(available: Available, options: Options) -> list[Row]:
    chosen = f"K = {options.top_k}"
    rows = [
        Row(("attention alone", "no", chosen), {"method": "attention_readout"}),
        Row(("attention alone", "yes", chosen), {"method": "purified_attention"}),
        Row(("AGD", "no", chosen), {"method": "agd", "variant": "prior=no"}),
        Row(("AGD", "yes", "all"), {"method": "agd", "variant": "layers=all"}),
    ]
    for count in LAYER_COUNTS:
        variant = "" if count == options.top_k else f"k={count}"
        keys = {"method": "agd", "variant": variant}
        rows.append(Row(("AGD", "yes", f"K = {count}"), keys, optional=count != options.top_k))
    for first, last in _layer_ranges(available, options):
        keys = {"method": "agd", "variant": f"layers={first}-{last}"}
        rows.append(Row(("AGD", "yes", f"{chosen} of layers {first} to {last}"), keys, optional=True))
    return rows


def _layer_ranges(available: Available, options: Options) -> list[tuple[int, int]]:
    """The restrictions of eq. 9 that were scored, as first and last layer."""
    variants = [condition.variant for condition in available.along(options.answer("agd"), "variant")]
    matches = [re.fullmatch(r"layers=(\d+)-(\d+)", variant) for variant in variants]
    return sorted((int(match[1]), int(match[2])) for match in matches if match)


def _contests(options: Options) -> list[Contest]:
    where = f"at N = {options.n}, {options.setting}"
    return [Contest(where, options.answer("agd"), options.answer("purified_attention"))]


def draw(results: Results, options: Options) -> Table:
    """The ablation."""

    def accuracy(method: str, variant: str = "") -> str:
        return percent(results.measures.get(options.answer(method, variant)).value)

    facts = {
        "readout": accuracy("attention_readout"),
        "purified": accuracy("purified_attention"),
        "agd": accuracy("agd"),
        "without_prior": accuracy("agd", "prior=no"),
        "all_layers": accuracy("agd", "layers=all"),
        "against_purified": outcome(results.measures, _contests(options)),
    }
    return _layout(results.available, options).table(results, facts)


ARTIFACT: Final = Artifact(
    name="table4",
    kind="table",
    order=130,
    title="Table 4. What each part is worth",
    caption="Answering from attention alone or through AGD, with and without dividing by the attention prior,"
    " from the K layers that look at images most or from all; layers count from 0. Scores and differences"
    " as in table 1.",
    sentence="Attention alone is right in {readout}, {purified} once divided by its prior; AGD in {agd},"
    " {without_prior} without the prior and {all_layers} with all layers; {against_purified}.",
    in_runs="`attention_readout`, `purified_attention`, `agd`, `agd;prior=no`, `agd;layers=all`; other `k` and `layers`"
    " where measured",
    options=Options,
    needs=needs,
    draw=draw,
)
