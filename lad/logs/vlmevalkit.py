"""Prediction tables of VLMEvalKit: TSV (PRED_FORMAT=tsv), JSON, CSV or XLSX, one row per question and order.

As its code has it (vlmeval/dataset/image_mcq.py, dataset/utils/multiple_choice.py and tools.py, read at commit
e8e78f0): columns index, question, A, B, C ... (the options as shown), answer (a letter) and prediction (the model's
text), besides others. CircularEval shows a question with its options shifted: the copy of shift i has the index of the
question plus i times 1,000,000. Where indices were that large already, a column g_index says which question a row
belongs to; it counts where it is there. The tool writes XLSX unless it is told otherwise, which openpyxl reads here.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Final, Literal

from pydantic import Field

from lad.logs.base import Log, LogError, Shown, brief, place_among, refuse, refuse_impossible, shown_by, table_rows

_OFFSET: Final = 1_000_000


class VlmEvalKit(Log):
    format: Literal["vlmevalkit"] = Field(description="A prediction table of VLMEvalKit.")

    def read(self, path: Path) -> list[Shown]:
        readers = {".tsv": table_rows, ".csv": table_rows, ".json": _json_rows, ".xlsx": _sheet_rows}
        if path.suffix not in readers:
            raise LogError(f"{path}: a prediction table ends in one of {', '.join(readers)}")
        return shown_by(path, readers[path.suffix](path), _shown)


FORMAT = VlmEvalKit


def _shown(where: str, row: dict[str, Any]) -> list[Shown]:
    if missing := [name for name in ("index", "A", "B") if name not in row]:
        refuse(f"has no {missing[0]}; a row has index, the options A, B ..., answer and prediction")
    letters = [letter for letter in ascii_uppercase if letter in row]
    if letters != list(ascii_uppercase[: len(letters)]):
        refuse(f"has the options {', '.join(letters)}; they are expected to follow each other from A")
    options = tuple(str(row[letter]).strip() for letter in letters)
    refuse_impossible(options)
    target = row.get("answer")
    target_position = None if target is None else place_among(target, (), letters)
    if target is not None and target_position is None:
        refuse(f"has answer {brief(target)}; expected is one of {', '.join(letters)}")
    index = _whole(row["index"], "index")
    group = _whole(row["g_index"], "g_index") if "g_index" in row else index % _OFFSET
    return [
        Shown(
            where=where,
            question_id=str(group),
            candidates=options,
            target_position=target_position,
            text=str(row.get("prediction", "")),
        )
    ]


def _whole(value: object, name: str) -> int:
    try:
        number = float(str(value))
        if number >= 0 and number == int(number):
            return int(number)
    except (ValueError, OverflowError):
        pass
    refuse(f"has {name} {brief(value)}, expected is a whole number")


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LogError(f"{path}: not a readable JSON file ({error})") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise LogError(f"{path}: expected is a list of rows, [{{...}}, ...]")
    for number, row in enumerate(rows, start=1):
        yield f"row {number}", {name: cell for name, cell in row.items() if cell not in (None, "")}


def _sheet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        from openpyxl import load_workbook
    except ModuleNotFoundError:
        raise LogError(
            f"{path}: XLSX files are read by openpyxl: pip install openpyxl, or save the sheet as TSV"
        ) from None
    try:
        rows = load_workbook(path, read_only=True, data_only=True).worksheets[0].iter_rows(values_only=True)
        header = [str(name) for name in next(rows, ())]
    except Exception as error:  # of a file that is no workbook, zipfile and openpyxl raise this and that
        raise LogError(f"{path}: not a readable XLSX file ({error})") from None
    for number, cells in enumerate(rows, start=2):
        if any(cell is not None for cell in cells):
            yield f"row {number}", {n: c for n, c in zip(header, cells, strict=False) if c not in (None, "")}
