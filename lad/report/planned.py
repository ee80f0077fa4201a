"""What a configuration plans: a report that it would not fill is refused before anything runs.

Importing this takes no matplotlib, because Snakemake reads it with every configuration.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from lad.config import Configuration
from lad.grid import Grid, Scoring
from lad.methods import parse_method
from lad.report import headline
from lad.report.artifact import AnyArtifact, ArtifactError
from lad.report.artifacts import ARTIFACTS
from lad.report.explorer.choice import SPLIT, chosen_scorings, needs_of
from lad.report.needs import Available, Key, Needs, wanted_keys
from lad.report.options import ArtifactOptions, in_words, options_of, selectable


class Planned(Available):
    """All that a configuration's grid will have measured."""

    place = "a run"

    def __init__(self, config: Configuration, grid: Grid) -> None:
        self._config = config
        self._grid = grid

    @cached_property
    def _methods(self) -> dict[Scoring, dict[tuple[str, str], None]]:
        specifications = {each for several in self._grid.methods.values() for each in several}
        named = {each: (method.name, variant) for each in specifications for method, _, variant in [parse_method(each)]}
        return {scoring: dict.fromkeys(map(named.__getitem__, of)) for scoring, of in self._grid.methods.items()}

    def scorings(self, relation: str = "metrics") -> Collection[Scoring]:
        if relation == "rankings":
            return [s for s in self._methods if self._config.datasets[s.cell.dataset].has_lists]
        return self._methods

    def methods(self, scoring: Scoring, relation: str = "metrics") -> Collection[tuple[str, str]]:
        return self._methods.get(scoring, ())

    def refusal(self, what: str, *, run: str, command: str) -> ArtifactError:
        return ArtifactError(f"runs measure {what}; {run}")

    def check(self, needs: Needs) -> None:
        for condition in (*needs.scores, *needs.answers, *needs.timings):
            if not self.has(condition):
                raise self._unmeasured(wanted_keys(condition))
        for cell, split in needs.signals:
            if (cell, split) not in self._grid.signals:
                # Vanilla answers from the evaluation signals and asks for nothing else.
                raise self._unmeasured({**vars(cell), "method": "vanilla"})
        for cell in needs.choices:
            for split in ("calibration", "evaluation"):
                if (cell, split) not in self._grid.signals:
                    raise self._unmeasured({**vars(cell), "method": "agd"})
        for scoring, formulation in needs.priors:
            if formulation not in self._grid.formulations.get(scoring.calibration_cell, ["printed"]):
                raise ArtifactError(
                    f"no {formulation} formulation is calibrated on setting {scoring.calibration_cell.setting}, n ="
                    f" {scoring.cell.n}, whose attention prior is shown; name agd;formulation={formulation} in a run"
                )

    def _unmeasured(self, wanted: Mapping[str, Key]) -> ArtifactError:
        missing = self.first_missing(wanted)
        assert missing is not None, f"{wanted} is measured"
        where = f" ({', '.join(missing.found)})" if missing.found else ""
        return ArtifactError(f"no run measures {missing}{where}; measured: {', '.join(missing.known)}")


def configured_options(config: Configuration, name: str) -> dict[str, Any]:
    """What a configuration tells the drawing of an artifact: its own options over those of all."""
    everywhere = {
        "model": config.report.model,
        "dataset": config.report.dataset,
        "probe": config.report.probe,
        "label": config.label,
        "calibration_questions": config.calibration.questions,
        "top_k": config.scoring.top_k,
        "temperature": config.scoring.temperature,
    }
    known = {option.name for option in options_of(ARTIFACTS[name].options)}
    own = config.report.artifacts[name]
    return {**{option: value for option, value in everywhere.items() if option in known}, **own}


def planned_needs(config: Configuration, grid: Grid) -> dict[str, Needs]:
    """What each artifact of a configuration's report needs of the configuration's grid.

    Raises:
        ValueError: an artifact or option that does not exist, or something shown that no run measures. The message
            says where in the configuration, what there is, and what to do.
    """
    for key, known in (("model", config.models), ("dataset", config.datasets)):
        if (name := getattr(config.report, key)) not in known:
            raise ValueError(f"configuration, report.{key}: unknown {key} '{name}'; known: {', '.join(known)}")
    planned = Planned(config, grid)
    return {name: _needs(config, planned, name) for name in config.report.artifacts}


def headline_needs(config: Configuration, grid: Grid) -> Needs:
    """What the page's first lines need: they are about the model and dataset of the first artifact."""
    first = next(name for name in ARTIFACTS if name in config.report.artifacts)
    options = ARTIFACTS[first].options.read(configured_options(config, first))
    return headline.needs(Planned(config, grid), options)


def explorer_needs(config: Configuration, grid: Grid) -> Needs:
    """What the explorer reads: of every cell with evaluation signals, one scoring."""
    evaluated = [scoring for scoring in grid.methods if (scoring.cell, SPLIT) in grid.signals]
    chosen = chosen_scorings(evaluated, config.calibration.questions).values()
    needs = needs_of(Planned(config, grid), {scoring: grid.needs_calibration(scoring) for scoring in chosen})
    return needs if config.report.explorer.pictures != "none" else replace(needs, photographs=())


def _needs(config: Configuration, planned: Planned, name: str) -> Needs:
    where = f"configuration, report.artifacts.{name}"
    if name not in ARTIFACTS:
        raise ValueError(f"{where}: unknown artifact; known: {', '.join(ARTIFACTS)}")
    artifact = ARTIFACTS[name]
    allowed = [option.name for option in selectable(artifact.options)]
    for option in config.report.artifacts[name]:
        if option not in allowed:
            raise ValueError(f"{where}: has no option '{option}'; it has {', '.join(allowed)}")
    try:
        options = artifact.options.read(configured_options(config, name))
    except ArtifactError as error:
        raise ValueError(f"{where}: {error}") from None
    try:
        needs = artifact.needs(planned, options)
        planned.check(needs)
    except ArtifactError as error:
        raise ValueError(f"{where}: {error}. {_advice(artifact, options)}") from None
    return needs


def _advice(artifact: AnyArtifact, options: ArtifactOptions) -> str:
    values = {option.name: in_words(getattr(options, option.name)) for option in selectable(artifact.options)}
    shown = ", ".join(f"{option} {value}" for option, value in values.items() if value)
    return f"It shows {shown}: change these options, leave the artifact out, or add a run"
