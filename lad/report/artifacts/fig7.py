"""Figure 7: questions as the model saw them, the target framed, with what three methods answered.

Differs from the paper: the questions are the first of each kind (corrected by AGD, both right, both wrong, spoilt by
AGD), so that the failures are shown as well, and each kind's share of all questions is written beside it. Where there
are no photographs (a signals bundle holds none), grey boxes with the file names stand in for them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import numpy as np

from lad.grid import Benchmark
from lad.pictures import PictureError, read_picture
from lad.report.artifact import Artifact, ArtifactError, Picture
from lad.report.needs import Available, Needs
from lad.report.options import CONFIGURED, ArtifactOptions, Setting, Size
from lad.report.results import Results
from lad.report.style import METHODS, TARGET_COLOUR, new_figure
from lad.report.wording import listed, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTIONS_SQL: Final = files("lad.report.artifacts") / "fig7.sql"
KINDS: Final = {"corrected by AGD": 2, "both right": 1, "both wrong": 1, "spoilt by AGD": 1}
"""How many questions of each kind are shown, where there are as many, in the order of the figure."""
PHRASES: Final = {
    "corrected by AGD": "AGD corrects {}",
    "both right": "vanilla and AGD both get {} right",
    "both wrong": "both get {} wrong",
    "spoilt by AGD": "AGD spoils {}",
}
ANSWERS: Final = ("vanilla", "purified_attention", "agd")
LARGEST_IMAGE: Final = (336, 336)
"""Pixels; photographs are drawn no larger than the paper shows them to its models."""
ROW_HEIGHT: Final = 1.6
"""Inches; more where a caption is long."""
LINE_HEIGHT: Final = 0.145
CAPTION_WIDTH: Final = 1.25
"""Width of the caption's column, in image widths."""

PLACEHOLDER_GREY: Final = 225

Rows = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Options(ArtifactOptions):
    setting: Setting = "adversarial"
    n: Size = 4
    images: Annotated[Path | None, "folder of the dataset's pictures; grey boxes without it", CONFIGURED] = None


def needs(available: Available, options: Options) -> Needs:
    answers = {
        method: options.condition(setting=options.setting, n=options.n, method=method)
        for method in ("vanilla", "agd", "purified_attention")
    }
    # What the attention alone answers is shown where it is there.
    if not available.has(answers["purified_attention"], "predictions"):
        del answers["purified_attention"]
    return Needs(
        answers=tuple(answers.values()),
        benchmarks=(Benchmark(options.dataset, options.setting, options.n),),
        photographs=(options.dataset,),
    )


def draw(results: Results, options: Options) -> Picture:
    """Sample questions, each in its first order."""
    questions = _read_questions(results)
    heights = [_row_height(question[0]) for question in questions]
    figure = new_figure(sum(heights))
    widths = [CAPTION_WIDTH, *[1] * options.n]
    grid = figure.subplots(len(questions), len(widths), squeeze=False, width_ratios=widths, height_ratios=heights)
    for line, question in zip(grid, questions, strict=True):
        _write_caption(line[0], question[0])
        for axes, candidate in zip(line[1:], question, strict=True):
            _draw_candidate(axes, candidate, options.images)
    return Picture(figure, _facts(questions, with_photographs=options.images is not None))


def _read_questions(results: Results) -> list[Rows]:
    """The questions to show, each as its N candidates in the order shown."""
    rows = results.ask(QUESTIONS_SQL, most=max(KINDS.values())).to_pylist()
    questions = [list(group) for _, group in groupby(rows, key=lambda row: (row["kind"], row["rank"]))]
    return [
        question
        for kind, most in KINDS.items()
        for question in questions
        if question[0]["kind"] == kind and question[0]["rank"] <= most
    ]


def _wrapped(caption: str) -> str:
    return textwrap.fill(f"“{caption}”", 24)


def _row_height(first: dict[str, Any]) -> float:
    """Inches: room for the caption, three lines of what the question is an example of, and space between the rows."""
    lines = _wrapped(first["caption"]).count("\n") + 1
    return max(ROW_HEIGHT, LINE_HEIGHT * (lines + 5))


def _write_caption(axes: Axes, first: dict[str, Any]) -> None:
    axes.set_axis_off()
    caption = axes.text(0, 0.98, _wrapped(first["caption"]), va="top", transform=axes.transAxes)
    axes.annotate(
        f"{first['kind']}\n({first['share']:.0f} % of questions)",
        (0, 0),
        xycoords=caption,
        xytext=(0, -8),
        textcoords="offset points",
        va="top",
        color="#555555",
        fontsize=7.5,
    )


def _draw_candidate(axes: Axes, candidate: dict[str, Any], images: Path | None) -> None:
    if images:
        axes.imshow(_read_pixels(images / candidate["file_name"]))
    else:
        _draw_placeholder(axes, candidate["file_name"])
    axes.set_xticks([])
    axes.set_yticks([])
    is_target = candidate["is_target"]
    for spine in axes.spines.values():
        spine.set(visible=True, color=TARGET_COLOUR if is_target else "#999999", linewidth=3 if is_target else 0.5)
    title = f"Position {candidate['position']}{', target' * is_target}"
    axes.set_title(title, fontsize=8, fontweight="bold" if is_target else "normal", pad=4)
    _list_answers(axes, [method for method in ANSWERS if method in candidate["answered"]])


def _read_pixels(path: Path) -> np.ndarray:
    try:
        picture = read_picture(path)
    except PictureError as error:
        raise ArtifactError(str(error)) from None
    picture.thumbnail(LARGEST_IMAGE)
    return np.asarray(picture)


def _draw_placeholder(axes: Axes, file_name: str) -> None:
    """A grey box as large as a square photograph, with the file's name, its long parts on lines of their own."""
    axes.imshow(np.full((1, 1, 3), PLACEHOLDER_GREY, dtype=np.uint8))
    name = textwrap.fill(file_name.replace("/", "/ ").replace("_", "_ "), 16).replace("_ ", "_").replace("/ ", "/")
    text = f"{name}\n(image not in\nthe bundle)"
    axes.text(
        *(0.5, 0.5, text),
        ha="center",
        va="center",
        transform=axes.transAxes,
        clip_on=True,
        fontsize=5.5,
        color="#555555",
    )


def _list_answers(axes: Axes, methods: Sequence[str]) -> None:
    """The methods that named this image, below it, each framed in its colour."""
    for line, method in enumerate(methods):
        axes.annotate(
            METHODS[method].name,
            (0.5, 0),
            xycoords="axes fraction",
            xytext=(0, -6 - 12.5 * line),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=7,
            bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": METHODS[method].colour},
        )


def _facts(questions: list[Rows], *, with_photographs: bool) -> dict[str, str]:
    shares = {question[0]["kind"]: question[0]["share"] for question in questions}
    return {
        "shares": listed([PHRASES[kind].format(percent(share, 0)) for kind, share in shares.items()]),
        "shown": str(len(questions)),
        "photographs": "" if with_photographs else ", with grey boxes for images that are not in the signals bundle",
    }


ARTIFACT: Final = Artifact(
    name="fig7",
    kind="figure",
    order=60,
    title="Figure 7. Questions as the model saw them",
    caption="Questions in the order shown, the target framed in green; below each image stand the methods that"
    " answered with it. The questions are the first of their kind, failures included.",
    sentence="Of all questions in their first order, {shares}; {shown} are shown{photographs}.",
    alt="Rows of candidate images with the caption on the left and the answers of three methods below them.",
    in_runs="`vanilla` and `agd`",
    options=Options,
    needs=needs,
    draw=draw,
)
