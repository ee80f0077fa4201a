"""Read MMLU (Hendrycks et al., arXiv 2009.03300): which of four options answers the question?

Two published forms are read. A table, Parquet or JSONL, with the columns `question`, `subject`, `choices` (a list of
texts) and `answer` (0 for the first choice). And the authors' CSV files, one per subject and without a header: the
question, the choices, the answer's letter; the file's name is the subject's, `global_facts_val.csv`.

Read from the dataset cards of cais/mmlu and hails/mmlu_no_train (columns; `answer` is a class label, A to D, stored as
0 to 3; the splits `test` 14,042, `validation` 1,531, `dev` 285 rows; all/test-00000-of-00001.parquet), and from the
authors' repository (hendrycks/test: `data/val/global_facts_val.csv` as a whole, and the names of 43 other files).

Not verified: whether any question has an empty choice, or two of the same words (it is left out and counted).

Differs from the authors: they show five solved questions of the split `dev` first and letter the options A to D; here
the probe `option` asks without examples, by index numbers, and calibration questions come from the same split.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import Field

from lad.benchmark import BenchmarkError
from lad.benchmark.among_texts import Question, of_tasks, shown
from lad.benchmark.entries import Entry, LeftOutError, Raw, Read, fault, make_all, read_entries, read_text, text_of
from lad.benchmark.formats.base import ChoosesTexts
from lad.benchmark.lines import on_one_line
from lad.extraction.prompts import MAX_CANDIDATES
from lad.section import FilePath

_SPLIT: Final = re.compile(r"_(test|val|dev)$")
_SUBJECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class Mmlu(ChoosesTexts):
    paths: ClassVar[tuple[str, ...]] = ("questions",)
    code: ClassVar[tuple[str, ...]] = (*ChoosesTexts.code, "benchmark/lines.py")

    format: Literal["mmlu"] = Field(
        description="Multiple-choice questions of MMLU's form; its settings are its subjects, and all."
    )
    questions: FilePath = Field(
        description="A split: a table (Parquet or JSONL), a subject's CSV file, or a folder of such files."
    )

    def read_all(self) -> Read[Question]:
        return read_questions(Path(self.questions))

    def of_settings(self, questions: Sequence[Question], settings: Collection[str]) -> list[Question]:
        return _of_subjects(questions, settings, Path(self.questions))


FORMAT = Mmlu


def read_questions(path: Path) -> Read[Question]:
    """The questions of all subjects, each of which is a task. Choices are on one line.

    Raises:
        BenchmarkError: a file that cannot be read, a folder without a CSV file, or entries that are not of the format.
    """
    if not path.is_dir():
        return read_subject(path) if path.suffix == ".csv" else read_entries(path, _of_table)
    files = sorted(path.glob("*.csv"))
    if not files:
        raise BenchmarkError(f"{path}: has no CSV file; expected are files such as global_facts_test.csv")
    read = {file.name: read_subject(file) for file in files}
    made = [question for part in read.values() for question in part.made]
    left = [{**left, "entry": f"{name} {left['entry']}"} for name, part in read.items() for left in part.left]
    return Read([replace(question, number=number) for number, question in enumerate(made, start=1)], left)


def read_subject(path: Path) -> Read[Question]:
    """The questions of a subject's CSV file, whose name the subject is, without the split behind it."""
    subject = _SPLIT.sub("", path.stem)

    def question(entry: Entry) -> Question:
        cells = entry.values["cells"]
        if not 4 <= len(cells) <= MAX_CANDIDATES + 2:
            fault(f"has {len(cells)} cells; expected are the question, 2 to {MAX_CANDIDATES} choices and the answer")
        values = {"question": cells[0], "subject": subject, "choices": cells[1:-1], "answer": cells[-1].strip()}
        made = _of_table(Entry(entry.kind, entry.number, values))
        return Question(made.number, f"{subject}-{made.id}", subject, made.query, made.candidates, made.target)

    return make_all(path, _csv_rows(path), question)


def _csv_rows(path: Path) -> Iterator[Raw]:
    rows = csv.reader(StringIO(read_text(path), newline=""), strict=True)
    number = 0
    try:
        for number, cells in enumerate(rows, start=1):
            if cells:
                yield "row", number, {"cells": cells}
    except csv.Error as error:
        raise BenchmarkError(f"{path}: row {number + 1} is no CSV ({error})") from None


def _of_table(entry: Entry) -> Question:
    subject = entry.text("subject")
    if not _SUBJECT.fullmatch(subject):
        fault(f"has subject {shown(subject)}, expected are letters, digits, '.', '_', '+' and '-'")
    question = entry.text("question")
    given = entry.list_of("choices", "texts")
    if not 2 <= len(given) <= MAX_CANDIDATES:
        fault(f"has {len(given)} choices; allowed are 2 to {MAX_CANDIDATES}")
    choices = tuple(
        on_one_line(text_of(text, f"choice {at}", empty=LeftOutError)) for at, text in enumerate(given, start=1)
    )
    target = _target(entry.values.get("answer"), len(choices))
    if len({*choices}) < len(choices):
        raise LeftOutError("has two choices of the same words")
    return Question(entry.number, f"entry{entry.number}", subject, question, choices, target)


def _target(answer: object, n: int) -> int:
    """Which choice is right, from 1: an index from 0, or a letter."""
    last = chr(ord("A") + n - 1)
    if isinstance(answer, str) and len(answer) == 1 and "A" <= answer <= last:
        return ord(answer) - ord("A") + 1
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < n:
        return answer + 1
    fault(f"has answer {shown(answer)}; allowed are 0 to {n - 1}, or A to {last}")


def _of_subjects(questions: Sequence[Question], settings: Collection[str], path: Path) -> list[Question]:
    return of_tasks(questions, [] if "all" in settings else settings, path, "; and all")
