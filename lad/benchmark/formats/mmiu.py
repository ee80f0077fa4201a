"""Read MMIU (Meng et al., arXiv 2408.02718): multiple-choice questions whose options are images (the paper's table 5).

An MMIU question lists images and lettered options. Only questions whose options name the images, each exactly once,
ask what this project measures: which of N images. All others are refused, by number and with the reason, never
guessed. What an option names is read from its whole text: "the first image" is an image, "the wall in the first
image" is not.

Read from the authors' repository (OpenGVLab/MMIU, `results/*/metadata_info.json` and `VLMEvalKit/all.json`): the fields
(`task`, `visual_input_component`, `source`, `options`, `question`, `context`, `input_image_path`, `output`); options as
one text, one per line, "A: the first image", at times with a line break at the end; the answer as an option's letter;
the names of the tasks. Of the paper's six, `forensic_detection_forgerynet`, `emotion_recognition_expw`,
`emotion_recognition_findingemo` and `text2image_retrieval` have 200 questions with 4 images,
`forensic_detection_blink` 132 with 4. "Visual quality" is two tasks of MMIU: `visual_quality_assessment_ve_lol_l`, 200
questions with 2 images, whose options are the images, and `visual_quality_assessment_q_bench+`, 200 with 2, of which
few are (most answer yes or no). Only the beginning and the end of those files were read, and no picture was seen.

Not verified: that `all.parquet` of the Hugging Face dataset holds the same rows (its card lists the same fields); which
of the two tasks, or both, the paper calls visual quality (here: what is kept of both); and how the paper asks. Differs
from MMIU: `context` is left out, because it repeats the question together with the options, which here are positions.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from lad.benchmark import BenchmarkError
from lad.benchmark.chosen_images import (
    Annotated,
    Question,
    asked_text,
    field,
    pictures,
    refuse,
    sort_out,
    target_named,
)
from lad.benchmark.entries import json_of
from lad.benchmark.formats.base import ChoosesImages
from lad.section import FilePath

PAPER_TASKS: Final = {
    "forensic_forgerynet": ("forensic_detection_forgerynet",),
    "forensic_blink": ("forensic_detection_blink",),
    "emotion_expw": ("emotion_recognition_expw",),
    "emotion_findingemo": ("emotion_recognition_findingemo",),
    "text2image_retrieval": ("text2image_retrieval",),
    "visual_quality": ("visual_quality_assessment_ve_lol_l", "visual_quality_assessment_q_bench+"),
}
"""The paper's names of its six tasks, and the annotation file's. Other tasks go by the annotation file's name."""

_OPTION: Final = re.compile(r"\(?(?P<letter>[A-Z])\)?[:.)]\s*(?P<text>.*\S)")


class Mmiu(ChoosesImages):
    paths: ClassVar[tuple[str, ...]] = ("annotations", "images")
    code: ClassVar[tuple[str, ...]] = (*ChoosesImages.code, "benchmark/entries.py")

    format: Literal["mmiu"] = Field(description="Questions of MMIU's form; its settings are its tasks.")
    annotations: FilePath = Field(description="MMIU's annotation file, JSON or Parquet.")

    @property
    def source(self) -> str:
        return self.annotations

    def asked(self, tasks: Collection[str]) -> Annotated:
        return read_annotations(Path(self.annotations), Path(self.images), tasks)


FORMAT = Mmiu


def read_annotations(path: Path, image_folder: Path, tasks: Collection[str]) -> Annotated:
    """The questions of some tasks that choose one of their images.

    Args:
        path: MMIU's annotation file, a JSON list of entries or the same as Parquet.
        image_folder: what the image paths in it are relative to.
        tasks: by the paper's names or the annotation file's.

    Raises:
        BenchmarkError: a file that cannot be read or holds no entries, a task that it does not have, or a task of
            which no question is left.
    """
    entries = _load(path)
    names = {name: task for task in tasks for name in PAPER_TASKS.get(task, (task,))}
    _refuse_unknown(tasks, entries, path)
    # Other tasks hold what they please.
    named = ((entry.get("task"), number, entry) for number, entry in enumerate(entries))
    asked = ((names[task], number, entry) for task, number, entry in named if isinstance(task, str) and task in names)

    def question_of(task: str, number: int, entry: Mapping[str, Any]) -> Question:
        return _question(task, number, entry, image_folder)

    return sort_out(path, tasks, asked, question_of)


def _load(path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            entries = pq.ParquetFile(path).read().to_pylist()
        else:
            entries = json_of(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, pa.ArrowException) as error:
        raise BenchmarkError(f"{path}: neither JSON nor Parquet ({error})") from None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise BenchmarkError(
            f"{path}: not an MMIU annotation file (a list of entries with task, question, options ...)"
        )
    return entries


def _refuse_unknown(tasks: Collection[str], entries: list[dict[str, Any]], path: Path) -> None:
    present = {str(entry.get("task")) for entry in entries}
    for task in tasks:
        if present.isdisjoint(PAPER_TASKS.get(task, (task,))):
            known = [name for name, parts in PAPER_TASKS.items() if not present.isdisjoint(parts)]
            raise BenchmarkError(f"{path}: has no task '{task}'; it has: {', '.join(sorted({*known, *present}))}")


def _question(task: str, number: int, entry: Mapping[str, Any], image_folder: Path) -> Question:
    text = asked_text(entry)
    options = _options(field(entry, "options", str))
    paths = field(entry, "input_image_path", list)
    target = target_named(options, len(paths), field(entry, "output", str).strip())
    return Question(task, number, text, pictures(paths, image_folder), target)


def _options(text: str) -> dict[str, str]:
    """The options by letter, in their order."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    matches = [_OPTION.fullmatch(line) for line in lines]
    options = {match["letter"]: match["text"] for match in matches if match}
    if not lines or list(options) != [chr(ord("A") + k) for k in range(len(lines))]:
        refuse(f"options {text!r} are not lines that begin with A:, B:, C: ...")
    return options
