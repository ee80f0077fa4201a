"""Figure 8: the bias does not belong to digits - confusion matrices for other identifier styles.

Vanilla stands above AGD, one column per style; the axes carry the identifiers that the model was asked with.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from lad.extraction.prompts import get_probe
from lad.report.artifact import Artifact, Picture
from lad.report.confusion import Confusion, draw_confusion
from lad.report.needs import Available, Condition, Needs
from lad.report.options import ArtifactOptions, Setting, Size
from lad.report.results import Results
from lad.report.style import METHODS, new_figure
from lad.report.wording import listed, percent

COMPARED: Final = ("vanilla", "agd")
HEIGHT: Final = 4.1
STYLE_NAMES: Final = {
    "vanilla": "Digits",
    "uppercase": "Upper case",
    "lowercase": "Lower case",
    "roman": "Roman",
    "ordinal": "Ordinal",
}


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    setting: Setting = "random"
    n: Size = 4
    probes: Annotated[tuple[str, ...], "probes of other identifiers, side by side"] = (
        *("uppercase", "lowercase", "roman", "ordinal"),
    )


def needs(available: Available, options: Options) -> Needs:
    return Needs(scores=tuple(_conditions(options).values()))


def _conditions(options: Options) -> dict[tuple[str, str], Condition]:
    """By (probe, method)."""
    return {
        (probe, method): options.condition(setting=options.setting, n=options.n, method=method, probe=probe)
        for probe in options.probes
        for method in COMPARED
    }


def draw(results: Results, options: Options) -> Picture:
    """Confusion matrices for each of the probes."""
    confusions = {key: Confusion.read(results.measures, one) for key, one in _conditions(options).items()}
    figure = new_figure(HEIGHT)
    grid = figure.subplots(len(COMPARED), len(options.probes), squeeze=False)
    for line, method in zip(grid, COMPARED, strict=True):
        for axes, probe in zip(line, options.probes, strict=True):
            confusion = confusions[probe, method]
            identifiers = get_probe(probe).identifiers(options.n)
            image = draw_confusion(axes, confusion.matrix, identifiers, digits_size=7)
            heading = f"{_name(probe)}\n" if method == COMPARED[0] else ""
            axes.set_title(f"{heading}{confusion.accuracy:.1f} % right", fontsize="medium")
            if probe == "ordinal":
                axes.tick_params(axis="x", rotation=90)
        line[0].set_ylabel(f"{METHODS[method].name}\nTarget", fontsize="medium")
    for axes in grid[0]:
        axes.tick_params(labelbottom=False)
    for axes in grid[-1]:
        axes.set_xlabel("Answer")
    figure.colorbar(image, ax=grid, label="Answers per target position (%)", shrink=0.8, pad=0.015)
    return Picture(figure, _facts(confusions, options))


def _name(probe: str) -> str:
    return STYLE_NAMES.get(probe, probe)


def _facts(confusions: dict[tuple[str, str], Confusion], options: Options) -> dict[str, str]:
    def accuracies(method: str) -> str:
        return listed([f"{percent(confusions[p, method].accuracy)} ({_name(p).lower()})" for p in options.probes])

    worse = [
        _name(probe).lower()
        for probe in options.probes
        if confusions[probe, "agd"].accuracy <= confusions[probe, "vanilla"].accuracy
    ]
    return {
        "vanilla": accuracies("vanilla"),
        "agd": accuracies("agd"),
        "exception": f"; AGD does not help with {listed(worse)} identifiers" if worse else "",
    }


ARTIFACT: Final = Artifact(
    name="fig8",
    kind="figure",
    order=70,
    title="Figure 8. Other names for the positions",
    caption="Confusion matrices as in figure 1 when positions are named by letters, Roman numerals or words;"
    " vanilla above, AGD below.",
    sentence="Vanilla is right in {vanilla}; AGD in {agd}{exception}.",
    alt="Heat maps of target position by answer for each identifier style, vanilla above AGD.",
    in_runs="`vanilla` and `agd` by each of the probes",
    options=Options,
    needs=needs,
    draw=draw,
)
