"""What the report's page says first: how often the model is right, by itself, by where it looks, and corrected."""

from pathlib import Path
from typing import Final

from lad.report.needs import Available, Condition, Contest, Needs
from lad.report.options import ArtifactOptions
from lad.report.results import opened
from lad.report.wording import Pair, known, listed, name, numbers, percent, start, tally

HEADLINE: Final = ("vanilla", "purified_attention", "agd")

Place = tuple[int, str]
"""A number of candidates and a setting."""


def needs(available: Available, options: ArtifactOptions) -> Needs:
    """What the page's first lines are about: their methods at every N in every setting, so far as they are there."""
    places = _places(available, options).values()
    scores = Needs(scores=tuple(condition for methods in places for condition in methods.values()))
    return scores + Needs.of(_contests(available, options)) + Needs(scores=tuple(_first_place(available, options)))


def _places(available: Available, options: ArtifactOptions) -> dict[Place, dict[str, Condition]]:
    """By N and setting what is there of the methods, the place nearest to eight random candidates first."""
    cells = [scoring.cell for scoring in available.scorings()]
    places = {
        (cell.n, cell.setting) for cell in cells if (cell.model, cell.dataset) == (options.model, options.dataset)
    }
    conditions = {
        (n, setting): {method: options.condition(n=n, setting=setting, method=method) for method in HEADLINE}
        for n, setting in sorted(places, key=lambda place: (place[1] != "random", abs(place[0] - 8), place))
    }
    found = {
        place: {method: condition for method, condition in methods.items() if available.has(condition)}
        for place, methods in conditions.items()
    }
    return {place: methods for place, methods in found.items() if methods}


def _first_place(available: Available, options: ArtifactOptions) -> list[Condition]:
    """All that answers the questions which the page tells of first, whichever method and variant."""
    for methods in _places(available, options).values():
        if len(methods) == len(HEADLINE):
            scoring = methods["vanilla"].scoring
            return [Condition.of(scoring, *named) for named in available.methods(scoring)]
    return []


def _contests(available: Available, options: ArtifactOptions) -> list[Contest]:
    """Whether AGD is worth more than the attention it uses, over all N and settings: the reader should know."""
    return [
        Contest(f"at N = {n}, {setting}", methods["agd"], methods["purified_attention"])
        for (n, setting), methods in _places(available, options).items()
        if {"agd", "purified_attention"} <= methods.keys()
    ]


def read(results: Path, options: ArtifactOptions) -> dict[str, str] | None:
    """What the page says first, in numbers of the options' model; None if these are not there."""
    with opened(results, lambda available: needs(available, options)) as needed:
        places = _places(needed.available, options)
        complete = [(place, methods) for place, methods in places.items() if len(methods) == len(HEADLINE)]
        if not complete:
            return None
        measures = needed.measures
        pairs = [Pair.measured(measures, contest) for contest in _contests(needed.available, options)]
        answering = _first_place(needed.available, options)
    (n, setting), answers = complete[0]
    best = max(answering, key=lambda condition: known(measures.get(condition)))
    vanilla = {place: measures.get(methods["vanilla"]) for place, methods in places.items() if "vanilla" in methods}
    return {
        "model": options.model,
        "dataset": options.dataset,
        "n": str(n),
        "setting": setting,
        **{method: percent(measures.get(condition).value) for method, condition in answers.items()},
        "methods": str(len(answering)),
        "best": percent(known(measures.get(best))),
        "best_name": f"{name(best.method)} ({best.variant})" if best.variant else name(best.method),
        "verdict": start(tally(pairs, "agd", "purified_attention")),
        "questions": str(max(measure.questions for measure in vanilla.values())),
        "presentations": f"{sum(measure.presentations for measure in vanilla.values()):,}",
        "ns": numbers(sorted({n for n, _ in vanilla})),
        "settings": listed(sorted({setting for _, setting in vanilla}, reverse=True)),
        "calibration_questions": str(options.calibration_questions),
    }
