"""What tables of accuracies by N and setting share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lad.report.artifact import Table
from lad.report.needs import Available, Contest, Key, Needs
from lad.report.options import ArtifactOptions, Settings, Sizes
from lad.report.results import Results
from lad.report.style import METHODS
from lad.report.tabulate import Column, Layout, Row, lead_of
from lad.report.wording import outcome

Place = tuple[int, str]
"""A number of candidates and a setting."""

READ_OUTS: Final = tuple(
    Row((METHODS[method].name,), {"method": method})
    for method in ("vanilla", "attention_readout", "purified_attention", "agd")
)
"""Rows of answers from logits, from attention and from both."""


@dataclass(frozen=True, kw_only=True)
class PlacesOptions(ArtifactOptions):
    settings: Settings = ("random", "adversarial")
    ns: Sizes = (4, 8)


@dataclass(frozen=True, kw_only=True)
class PlacesTable:
    """Accuracies of a few methods, and AGD's lead over each, by N and setting.

    Attributes:
        where: shown are the places where this method is there; all where none is named.
        compared: by their name in the artifact's sentence, two methods that it compares in every place.
    """

    rows: Sequence[Row]
    where: str | None = None
    compared: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def needs(self, available: Available, options: PlacesOptions) -> Needs:
        places = self.places(available, options) if self.where else []
        chosen = [options.condition(n=n, setting=setting, method=self.where or "") for n, setting in places]
        contests = [contest for several in self._contests(available, options).values() for contest in several]
        return Needs(scores=tuple(chosen)) + self._layout(available, options).needs(available) + Needs.of(contests)

    def draw(self, results: Results, options: PlacesOptions) -> Table:
        compared = self._contests(results.available, options)
        facts = {name: outcome(results.measures, contests) for name, contests in compared.items()}
        return self._layout(results.available, options).table(results, facts)

    def places(self, available: Available, options: PlacesOptions) -> list[Place]:
        """What is shown; the first place, whose needs are then refused, where the method is nowhere."""
        places = [(n, setting) for n in options.ns for setting in options.settings]
        if self.where is None:
            return places
        conditions = [options.condition(n=n, setting=setting, method=self.where) for n, setting in places]
        found = [(condition.n, condition.setting) for condition in conditions if available.has(condition)]
        return found or places[:1]

    def _layout(self, available: Available, options: PlacesOptions) -> Layout:
        columns = []
        for n, setting in self.places(available, options):
            keys: dict[str, Key] = {"n": n, "setting": setting}
            group = f"N = {n}, {setting}"
            columns += [Column(group, "accuracy", keys), lead_of("agd", group, keys, "AGD’s lead (points)")]
        return Layout(options, ("Method",), self.rows, columns)

    def _contests(self, available: Available, options: PlacesOptions) -> dict[str, list[Contest]]:
        return {
            name: [
                Contest(
                    f"at N = {n}, {setting}",
                    options.condition(n=n, setting=setting, method=ours),
                    options.condition(n=n, setting=setting, method=theirs),
                )
                for n, setting in self.places(available, options)
            ]
            for name, (ours, theirs) in self.compared.items()
        }
