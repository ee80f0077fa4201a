"""Draws docs/concepts.svg, the picture of docs/concepts.md: `python docs/concepts.py`.

One column, wide enough for a phone. Words and files are those of the pages; tests/docs checks that the picture is the
one that this script draws.
"""

from html import escape
from pathlib import Path
from typing import Final

WIDTH: Final = 480
HEIGHT: Final = 949
LANE: Final = 218
RIGHT: Final = WIDTH - LANE - 5
INK: Final = "#1f2933"
SOFT: Final = "#52606d"
LINE: Final = "#9aa5b1"
PLAIN: Final = "#f5f7fa"
COSTLY: Final = "#fde8d7"
FITTED: Final = "#e3ecfb"
ANSWERED: Final = "#e3f4e8"
TARGET: Final = "#1b8a4b"
LOOK: Final = "#d9660f"
SAID: Final = (0.35, 0.5, 0.45, 0.95)
SEEN: Final = ((0.5, 0.1, 0.2, 0.3), (0.4, 0.8, 0.2, 0.4), (0.5, 0.95, 0.3, 0.5), (0.6, 0.3, 0.2, 0.4))


def text(
    x: float, y: float, words: str, *, size: int = 14, bold: bool = False, fill: str = INK, at: str = "start"
) -> str:
    look = f'font-size="{size}" fill="{fill}" text-anchor="{at}"' + (' font-weight="700"' if bold else "")
    return f'<text x="{x:g}" y="{y:g}" {look}>{escape(words)}</text>'


def bar(x: float, y: float, width: float, height: float, fill: str, opacity: float = 1) -> str:
    where = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
    return f'<rect {where} fill="{fill}" fill-opacity="{opacity:g}"/>'


def box(x: float, y: float, width: float, height: float, fill: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8" fill="{fill}" stroke="{LINE}"/>'


def stage(x: float, y: float, width: float, height: float, fill: str, title: str, *lines: str) -> str:
    """A box with its word in bold and what it is below."""
    said = [text(x + 12, y + 44 + 18 * number, line, fill=SOFT) for number, line in enumerate(lines)]
    return "".join([box(x, y, width, height, fill), text(x + 12, y + 24, title, size=16, bold=True), *said])


def arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<path d="M{x:g} {y:g} L{to_x:g} {to_y:g}" stroke="{SOFT}" stroke-width="2" marker-end="url(#tip)"/>'


def candidate(x: float, y: float, name: str, size: int = 24) -> str:
    """A candidate as a tile with its name; the target, B, is green."""
    fill, ink = (TARGET, "#ffffff") if name == "B" else ("#ffffff", INK)
    tile = f'<rect x="{x:g}" y="{y:g}" width="{size}" height="{size}" rx="4" fill="{fill}" stroke="{LINE}"/>'
    return tile + text(x + size / 2, y + size / 2 + 5, name, bold=True, fill=ink, at="middle")


def orders(x: float, y: float, shown: tuple[str, ...]) -> str:
    """One row of tiles per order."""
    places = [(row, place, name) for row, order in enumerate(shown) for place, name in enumerate(order)]
    return "".join(candidate(x + 29 * place, y + 29 * row, name) for row, place, name in places)


def numbers(x: float, y: float) -> str:
    """The positions, below what stands over them."""
    return "".join(text(x + 29 * k + 13, y, str(k + 1), size=13, fill=SOFT, at="middle") for k in range(4))


def logits(x: float, y: float) -> str:
    """A bar per identifier: position 4 is favoured, whatever stands there."""
    bars = [bar(x + 29 * k, y + 60 - 60 * height, 27, 60 * height, "#6b7a90") for k, height in enumerate(SAID)]
    return "".join([*bars, numbers(x, y + 76)])


def attention(x: float, y: float) -> str:
    """Layers by positions: the middle layers look at position 2, where the target stands."""
    cells = [
        bar(x + 29 * k, y + 15 * layer, 27, 13, LOOK, much)
        for layer, row in enumerate(SEEN)
        for k, much in enumerate(row)
    ]
    return "".join([*cells, numbers(x, y + 76)])


def picture() -> str:
    """The whole drawing."""
    middle, left, right = WIDTH / 2, 5 + LANE / 2, RIGHT + LANE / 2
    parts = [
        stage(5, 5, 470, 112, PLAIN, "Question", "a caption and N candidates; the green one is the target"),
        text(17, 99, "“a red circle on white”", size=15),
        orders(WIDTH - 150, 76, ("ABCD",)),
        arrow(left, 119, left, 140),
        arrow(right, 119, right, 140),
        stage(5, 144, LANE, 190, PLAIN, "Presentations", "calibration questions,", "in N cyclic shifts"),
        orders(52, 214, ("ABCD", "BCDA", "CDAB", "DABC")),
        stage(RIGHT, 144, LANE, 190, PLAIN, "Presentations", "evaluation questions,", "in T random orders"),
        orders(RIGHT + 47, 214, ("CBAD", "DACB", "ABDC")),
        text(right, 321, "…", size=18, fill=SOFT, at="middle"),
        arrow(left, 336, left, 357),
        arrow(right, 336, right, 357),
        box(5, 361, 470, 40, COSTLY),
        text(middle, 387, "The model: one forward pass for each presentation", size=15, bold=True, at="middle"),
        arrow(middle, 403, middle, 424),
        stage(5, 428, 470, 156, PLAIN, "Signals", "what the model says,", "by position"),
        text(RIGHT + 12, 472, "where it looks,", fill=SOFT),
        text(RIGHT + 12, 490, "by layer and position", fill=SOFT),
        logits(50, 502),
        attention(RIGHT + 42, 502),
        arrow(left, 586, left, 607),
        arrow(right, 586, right, 607),
        stage(5, 611, LANE, 78, FITTED, "Calibration", "what positions do to", "answers and attention"),
        stage(RIGHT, 611, LANE, 78, FITTED, "Method", "scores every position:", "vanilla, PriDe, AGD …"),
        arrow(5 + LANE + 1, 645, RIGHT - 3, 645),
        arrow(right, 691, right, 712),
        stage(5, 716, 470, 58, ANSWERED, "Predictions", "one answer per method and presentation"),
        arrow(middle, 776, middle, 797),
        stage(5, 801, 470, 58, ANSWERED, "Metrics", "accuracy, RStd, consistency …, with intervals"),
        arrow(middle, 861, middle, 882),
        stage(5, 886, 470, 58, ANSWERED, "Artifacts", "the figures, the tables and the report"),
    ]
    tip = (
        f'<marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
        f'<path d="M0 0 L8 4 L0 8 z" fill="{SOFT}"/></marker>'
    )
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        ' font-family="Helvetica, Arial, DejaVu Sans, sans-serif">'
    )
    ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    return "\n".join([head, f"<defs>{tip}</defs>", ground, *parts, "</svg>", ""])


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(picture(), encoding="utf-8")
