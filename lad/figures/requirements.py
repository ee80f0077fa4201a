"""What each artifact needs to have been measured: a report that cannot be drawn is refused before anything runs.

The rules are those by which the drawings refuse results, told from the runs of a configuration instead. Rows that
appear only where they were measured are not asked for, but a row that would be measured in part is refused as there.
Importing this takes no matplotlib, because Snakemake reads it with every configuration.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from lad.benchmark.formats.mmiu import PAPER_TASKS
from lad.config import Configuration
from lad.extraction.prompts import MAX_CANDIDATES, get_probe
from lad.figures import published, table1, table3, table5, table7, table_draws
from lad.figures.content import ArtifactError, Options
from lad.figures.measures import Condition, Key, own_condition
from lad.figures.tabulate import Row
from lad.grid import Cell, Grid
from lad.scoring.methods import parse_method

Place = tuple[str, int]
"""A setting and a number of candidates."""


class Planned:
    """All scores that a grid will have: what `Measures` is after the run, by model, dataset and condition."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        named = {
            specification: (method.name, variant)
            for specification in {each for specifications in grid.methods.values() for each in specifications}
            for method, _, variant in [parse_method(specification)]
        }
        self.conditions = {
            (
                scoring.cell.model,
                scoring.cell.dataset,
                Condition(
                    setting=scoring.cell.setting,
                    n=scoring.cell.n,
                    method=named[specification][0],
                    variant=named[specification][1],
                    probe=scoring.cell.probe,
                    calibrated_on=scoring.source,
                    calibration_questions=scoring.calibration_questions,
                ),
            ): None
            for scoring, specifications in grid.methods.items()
            for specification in specifications
        }

    def of(self, options: Options) -> list[Condition]:
        """The conditions of the model and dataset."""
        return [c for model, dataset, c in self.conditions if (model, dataset) == (options.model, options.dataset)]

    def has(self, options: Options, **keys: Key) -> bool:
        return (options.model, options.dataset, own_condition(options, **keys)) in self.conditions

    def require(self, options: Options, methods: Iterable[str], places: Iterable[Place], **keys: Key) -> None:
        """Each method, with its variant behind a semicolon, is measured in each of the places.

        Raises:
            ArtifactError: one is not; the message names the first thing that no run has, and what the runs have of it.
        """
        for setting, n in places:
            for method, _, variant in (specification.partition(";") for specification in methods):
                wanted = {"setting": setting, "n": n, "method": method, "variant": variant, **keys}
                if not self.has(options, **wanted):
                    self._refuse(options, own_condition(options, **wanted))

    def _refuse(self, options: Options, wanted: Condition) -> None:
        of_all = [{"model": model, "dataset": dataset, **_told(c)} for model, dataset, c in self.conditions]
        asked = {"model": options.model, "dataset": options.dataset, **_told(wanted)}
        there: list[str] = []
        for key, value in asked.items():
            left = [one for one in of_all if one[key] == value]
            if not left:
                known = ", ".join(dict.fromkeys(str(one[key]) for one in of_all))
                where = f" ({', '.join(there)})" if there else ""
                raise ArtifactError(f"no run measures {_NAMES.get(key, key)} {value}{where}; measured: {known}")
            there.append(f"{_NAMES.get(key, key)} {value}")
            of_all = left
        raise AssertionError(f"{wanted} is measured")


_NAMES: Final = {"n": "n =", "calibrated_on": "calibrated on", "calibration_questions": "calibration questions"}


def _told(condition: Condition) -> dict[str, Key]:
    """The keys in the order in which one looks for what is missing; the method last, with its variant."""
    told = {key.name: getattr(condition, key.name) for key in fields(condition)}
    variant = told.pop("variant")
    method = told.pop("method")
    return {**told, "method": f"{method};{variant}" if variant else method}


# --- what the drawings refuse ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Requirement:
    """The options of an artifact, and what it refuses.

    Attributes:
        options: those of `Options` that a configuration may set for it, besides model and dataset.
        refuse: raises an ArtifactError where what it shows will not be measured.
        defaults: options that this artifact has unless they are given.
    """

    options: tuple[str, ...]
    refuse: Callable[[Planned, Options], None]
    defaults: Mapping[str, Any] = field(default_factory=dict)


def _one(options: Options) -> list[Place]:
    return [(options.setting, options.n)]


def _by_n(options: Options) -> list[Place]:
    return [(options.setting, n) for n in options.ns]


def _by_setting(options: Options) -> list[Place]:
    return [(setting, options.n) for setting in options.settings]


def _by_both(options: Options) -> list[Place]:
    return [(setting, n) for n in options.ns for setting in options.settings]


def _everywhere(places: Callable[[Options], list[Place]], *methods: str) -> Callable[[Planned, Options], None]:
    return lambda planned, options: planned.require(options, methods, places(options))


def _rows(planned: Planned, options: Options, rows: Iterable[Row], places: Sequence[Place]) -> None:
    """Rows that are not optional, and optional ones that are measured at all, are measured in all places."""
    for row in rows:
        keys = dict(row.keys)
        method = ";".join(str(keys.pop(key)) for key in ("method", "variant") if keys.get(key))
        keys.pop("variant", None)
        if not row.optional or any(planned.has(options, setting=s, n=n, **row.keys) for s, n in places):
            planned.require(options, [method], places, **keys)


def _measured(planned: Planned, options: Options, method: str) -> list[Place]:
    """The places where that method is measured.

    Raises:
        ArtifactError: there is none.
    """
    places = [(s, n) for s, n in _by_both(options) if planned.has(options, setting=s, n=n, method=method)]
    if not places:
        planned.require(options, [method], _by_both(options))
    return places


def _evaluation(planned: Planned, options: Options) -> None:
    """Figure 2 draws signals, whatever answered them."""
    cell = Cell(options.model, options.dataset, options.setting, options.n, "vanilla")
    if "evaluation" not in planned.grid.splits.get(cell, ()):
        planned.require(options, ["vanilla"], _one(options))


def _two_sizes(planned: Planned, options: Options) -> None:
    sizes = dict.fromkeys(condition.n for condition in planned.of(options))
    for setting in options.settings:
        for method in ("agd", "pride", "vanilla"):
            if sum(planned.has(options, setting=setting, n=n, method=method) for n in sizes) < 2:
                raise ArtifactError(
                    f"runs measure {method} at fewer than two n (model {options.model}, dataset {options.dataset},"
                    f" setting {setting})"
                )


def _two_values(planned: Planned, options: Options) -> None:
    planned.require(options, ["agd"], _by_n(options))
    for n in options.ns:
        agd = [
            condition
            for condition in planned.of(options)
            if condition
            == own_condition(
                options,
                setting=options.setting,
                n=n,
                method="agd",
                variant=condition.variant,
                calibration_questions=condition.calibration_questions,
            )
        ]
        configured = options.calibration_questions
        found = {
            "calibration_questions": sum(not condition.variant for condition in agd),
            "tau (agd;tau=...)": sum(
                condition.calibration_questions == configured
                and bool(re.fullmatch(r"(tau=[0-9.]+)?", condition.variant))
                for condition in agd
            ),
        }
        for parameter, values in found.items():
            if values < 2:
                raise ArtifactError(
                    f"runs measure agd with fewer than two values of {parameter} (model {options.model}, dataset"
                    f" {options.dataset}, setting {options.setting}, n = {n})"
                )


def _styles(planned: Planned, options: Options) -> None:
    for probe in options.probes:
        planned.require(options, ["vanilla", "agd"], _one(options), probe=probe)


def _layers(planned: Planned, options: Options) -> None:
    planned.require(options, ["vanilla", "agd"], _by_setting(options))
    for setting, n in _by_setting(options):
        cell = Cell(options.model, options.dataset, setting, n, "vanilla")
        if "printed" not in planned.grid.formulations.get(cell, ["printed"]):
            raise ArtifactError(
                f"no printed formulation is calibrated on setting {setting}, n = {n}, whose attention prior is shown;"
                " name agd;formulation=printed in a run"
            )


def _softened(planned: Planned, options: Options) -> None:
    planned.require(options, ["vanilla", "agd"], _by_n(options))
    for n in options.ns:
        probes = {c.probe for c in planned.of(options) if c.probe.startswith("sofa")}
        softenings = {probe: get_probe(probe).softening for probe in probes}
        if not any(
            softening is not None
            and (softening.scope, softening.every) == ("between", 2)
            and softening.sigma > 0
            and planned.has(options, setting=options.setting, n=n, method="vanilla", probe=probe)
            for probe, softening in softenings.items()
        ):
            planned.require(options, ["vanilla"], [(options.setting, n)], probe="sofa")


def _main_results(planned: Planned, options: Options) -> None:
    planned.require(options, ["vanilla", "pride", "agd"], _by_setting(options))
    for model in options.models or (options.model,):
        _rows(planned, replace(options, model=model), table1.ROWS, _by_setting(options))


def _transfers(planned: Planned, options: Options) -> None:
    elsewhere = False
    for dataset in options.datasets or (options.dataset,):
        tested = replace(options, dataset=dataset)
        for setting in options.settings:
            sources = [
                source
                for source in dict.fromkeys(condition.calibrated_on for condition in planned.of(tested))
                if source is not None
                and source.is_first_of_its_kind
                and planned.has(tested, setting=setting, n=options.n, method="agd", calibrated_on=source)
            ]
            elsewhere |= len(sources) > 1
            for source in sources:
                required = [method for method in table3.METHOD_ROWS if method != "purified_attention"]
                planned.require(tested, required, [(setting, options.n)], calibrated_on=source)
    if not elsewhere:
        planned.require(options, ["agd"], _by_setting(options)[:1])
        raise ArtifactError(
            f"no run measures agd after two calibrations (model {options.model}, dataset {options.dataset}, n ="
            f" {options.n}); say calibrated_on in a run"
        )


def _tasks(planned: Planned, options: Options) -> None:
    probe = options.probes[0]
    for task in options.settings:
        sizes = [n for n in options.ns if planned.has(options, setting=task, n=n, method="vanilla", probe=probe)]
        places = [(task, n) for n in sizes or options.ns[:1]]
        planned.require(options, table5.METHOD_COLUMNS, places, probe=probe)


def _permutations(planned: Planned, options: Options) -> None:
    _rows(planned, options, table7.PERMUTATIONS, _measured(planned, options, "permutation_average"))


def _baselines(planned: Planned, options: Options) -> None:
    places = _measured(planned, options, "batch_calibration")
    compared = ("purified_attention", "attention_less_content_free", "agd", "chosen_heads")
    planned.require(options, compared, places)
    rows = [Row((), {"method": method, "variant": variant}, optional=True) for method, variant, _ in table7.BASELINES]
    _rows(planned, options, rows, places)


def _read_outs(planned: Planned, options: Options) -> None:
    planned.require(options, table7.READ_OUTS, _measured(planned, options, "vanilla"))


def _two_draws(planned: Planned, options: Options) -> None:
    for source in (options.calibrated_on, replace(options.calibrated_on, set=2)):
        planned.require(options, table_draws.CALIBRATED, _by_n(options), calibrated_on=source)


def _counterpart(planned: Planned, options: Options) -> None:
    models = dict.fromkeys(value.model for value in published.read_published())
    if options.published_model is not None and options.published_model not in models:
        raise ArtifactError(f"unknown published_model {options.published_model}; published are {', '.join(models)}")
    for _, _, (model, dataset), keys in published.counterparts(options):
        if planned.has(replace(options, model=model, dataset=dataset), **keys):
            return
    raise ArtifactError(
        "no published value has a counterpart in a run: name models and datasets as the paper's tables do"
        f" ({', '.join(models)} on coco ...), or say whose place they take by published_model and published_dataset"
    )


_PLACE: Final = ("setting", "n")
_PLACES: Final = ("settings", "ns")

REQUIREMENTS: Final = {
    "fig1": Requirement(_PLACE, _everywhere(_one, "vanilla", "agd"), {"n": 8}),
    "fig2": Requirement(_PLACE, _evaluation, {"n": 8}),
    "fig3": Requirement(_PLACE, _everywhere(_one, "attention_readout", "purified_attention"), {"n": 8}),
    "fig5": Requirement(("settings",), _two_sizes),
    "fig6": Requirement(("setting", "ns"), _two_values),
    "fig7": Requirement(_PLACE, _everywhere(_one, "vanilla", "agd"), {"n": 4, "setting": "adversarial"}),
    "fig8": Requirement((*_PLACE, "probes"), _styles, {"n": 4}),
    "fig_layers": Requirement(("settings", "n"), _layers, {"n": 8}),
    "fig_sofa": Requirement(("setting", "ns"), _softened),
    "table1": Requirement(("settings", "n", "models"), _main_results, {"n": 4}),
    "table2": Requirement(("setting", "ns"), _everywhere(_by_n, "vanilla", "pride", "agd"), {"ns": (4, 8, 12)}),
    "table3": Requirement(("settings", "n", "datasets"), _transfers, {"n": 4}),
    "table4": Requirement(
        _PLACE,
        _everywhere(_one, "attention_readout", "purified_attention", "agd;prior=no", "agd;layers=all", "agd"),
        {"n": 4, "setting": "adversarial"},
    ),
    "table5": Requirement(
        (*_PLACES, "probes"),
        _tasks,
        {"settings": tuple(PAPER_TASKS), "ns": tuple(range(2, MAX_CANDIDATES + 1)), "probes": ("question",)},
    ),
    "table6": Requirement(("settings", "n", "models"), _main_results, {"n": 8}),
    "table7": Requirement(_PLACES, _everywhere(_by_both, *table7.READ_OUTS)),
    "table8": Requirement(_PLACES, _permutations),
    "table_baselines": Requirement(_PLACES, _baselines),
    "table_draws": Requirement(("setting", "ns"), _two_draws, {"setting": "adversarial"}),
    "table_divergences": Requirement(_PLACE, _everywhere(_one, "agd"), {"n": 8, "setting": "adversarial"}),
    "published": Requirement(("published_model", "published_dataset"), _counterpart),
    "table_unplanted": Requirement(_PLACES, _read_outs),
}


def configured_options(config: Configuration, artifact: str) -> dict[str, Any]:
    """What a configuration tells the drawing of an artifact: its own options over those of all."""
    return {
        "model": config.report.model,
        "dataset": config.report.dataset,
        "label": config.label,
        "calibration_questions": config.calibration.questions,
        "top_k": config.scoring.top_k,
        "temperature": config.scoring.temperature,
        "resamples": config.evaluation.resamples,
        "seed": config.seed,
        **config.report.artifacts[artifact],
    }


def check_report(config: Configuration, grid: Grid) -> None:
    """Refuse a report that the results of a configuration's grid would not fill.

    Raises:
        ValueError: an artifact or option that does not exist, or something shown that no run measures; the message
            says where in the configuration, what there is, and what to do.
    """
    for key, known in (("model", config.models), ("dataset", config.datasets)):
        if (name := getattr(config.report, key)) not in known:
            raise ValueError(f"configuration, report.{key}: unknown {key} '{name}'; known: {', '.join(known)}")
    planned = Planned(grid)
    for name in config.report.artifacts:
        _check_artifact(config, planned, name)


def _check_artifact(config: Configuration, planned: Planned, name: str) -> None:
    where = f"configuration, report.artifacts.{name}"
    if name not in REQUIREMENTS:
        raise ValueError(f"{where}: unknown artifact; known: {', '.join(REQUIREMENTS)}")
    requirement = REQUIREMENTS[name]
    allowed = ("model", "dataset", *requirement.options)
    for option in config.report.artifacts[name]:
        if option not in allowed:
            raise ValueError(f"{where}: has no option '{option}'; it has {', '.join(allowed)}")
    options = Options.from_mapping({**requirement.defaults, **configured_options(config, name)})
    try:
        requirement.refuse(planned, options)
    except ArtifactError as error:
        values = {option: _worded(getattr(options, option)) for option in allowed}
        shown = ", ".join(f"{option} {value}" for option, value in values.items() if value)
        raise ValueError(
            f"{where}: {error}. It shows {shown}: change these options, leave the artifact out, or add a run"
        ) from None


def _worded(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if value and isinstance(value, tuple) else str(value or "")
