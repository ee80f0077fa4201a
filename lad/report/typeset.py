"""A table as Markdown and as LaTeX (with booktabs), the best values bold."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from lad.report.artifact import Cell, Line, Table

_LATEX_ESCAPES: Final = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "τ": r"$\tau$",
    "−": "$-$",
    "–": "--",
    "\u00a0": "~",
}


def markdown(table: Table, title: str, caption: str, sentence: str, label: str) -> str:
    """The table with a flat heading, its title above, caption, sentence and origin below."""
    headings = [*table.stub, *table.headings]
    ruler = ["---"] * len(table.stub) + ["---:"] * len(table.headings)
    lines = [[*line.labels, *(f"**{c.text}**" if c.best else c.text for c in line.cells)] for line in table.lines]
    rows = "\n".join(f"| {' | '.join(row)} |" for row in [headings, ruler, *lines])
    return f"**{title}**\n\n{rows}\n\n{caption}\n\n{sentence}\n\n*{label}*\n"


def latex(table: Table, name: str, title: str, caption: str, sentence: str, label: str) -> str:
    """A LaTeX `table` environment for a document that loads booktabs."""
    # LaTeX numbers its tables itself.
    heading = title.split(". ", 1)[-1]
    caption = " ".join(f"{heading}. {caption} {sentence} ({label})".split(" "))
    grouped = any(group for group, _ in table.groups)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(caption)}}}",
        rf"\label{{tab:{name}}}",
        rf"\begin{{tabular}}{{{'l' * len(table.stub)}{'r' * len(table.headings)}}}",
        r"\toprule",
        *(_latex_groups(table) if grouped else []),
        _latex_row([*map(escape, table.stub), *(escape(h) for _, group in table.groups for h in group)]),
        r"\midrule",
        *_latex_body(table.lines),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """The text with LaTeX's own characters made harmless."""
    return "".join(_LATEX_ESCAPES.get(character, character) for character in text)


def _latex_groups(table: Table) -> list[str]:
    cells, rules, first = [""] * len(table.stub), [], len(table.stub) + 1
    for group, headings in table.groups:
        cells.append(rf"\multicolumn{{{len(headings)}}}{{c}}{{{escape(group)}}}")
        rules.append(rf"\cmidrule(lr){{{first}-{first + len(headings) - 1}}}")
        first += len(headings)
    return [_latex_row(cells), " ".join(rules)]


def _latex_body(lines: Sequence[Line]) -> list[str]:
    blocks = [
        [_latex_row([*map(escape, line.labels), *map(_latex_cell, line.cells)]) for line in block]
        for _, block in groupby(lines, key=lambda line: line.block)
    ]
    return [row for number, block in enumerate(blocks) for row in ([r"\midrule"] * (number > 0) + block)]


def _latex_cell(cell: Cell) -> str:
    return rf"\textbf{{{escape(cell.text)}}}" if cell.best else escape(cell.text)


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
