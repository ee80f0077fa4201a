"""Read MuirBench (Wang et al., arXiv 2406.09411): its questions whose options are images.

A row has a question, three to five options and a list of images; `<image>` stands in question and options where the
images belong, in the order of the list. Kept are rows whose question is a text and whose options are images: those of
Image-Text Matching ask so. A question that shows an image of its own (Visual Retrieval, Attribute Similarity, Diagram
and Geographic Understanding ...) is refused, because a question here is a text, and so are options that are texts.

Every row has the option "None of the choices provided", and half of the rows are copies in which it is right. It is no
image and has no place among the candidates: it is left out where an image is right, and the row is refused where it
is the answer. This differs from MuirBench, where a model may always abstain; numbers are not those of its leaderboard.

Read: the authors' prompt (muirbench/MuirBench, `eval/utils/preprocess.py`: `question`, `options`), lmms-eval
(`lmms_eval/tasks/muirbench`: `image_list`, `answer` as a letter, `task`, `idx`, `image_relation`, `image_type`),
VLMEvalKit (`MUIRDataset`: the text is cut at each `<image>`, which takes the next image), the dataset's page
(`data/test-*`, 429 MB, licence CC-BY-4.0), and a reader's analysis of all 2,600 rows: as many `<image>` as images in
every row, the none-option in every row, 1,442 rows with images as options, 464 of Image-Text Matching. No row and no
picture was seen. Not verified: how many of these 464, half of which are answerable, have images as options.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from lad.benchmark.chosen_images import (
    Question,
    asked_text,
    field,
    lettered,
    pictures,
    refuse,
    refuse_number,
    refuse_unknown_answer,
)
from lad.benchmark.formats.stored import ChoosesStoredImages
from lad.benchmark.stored_pictures import Row
from lad.section import FilePath

NONE: Final = "None of the choices provided"
_IMAGE: Final = "<image>"


class MuirBench(ChoosesStoredImages):
    columns: ClassVar[tuple[str, ...]] = ("idx", "task", "question", "options", "answer", "image_list")
    id_column: ClassVar[str] = "idx"

    format: Literal["muir_bench"] = Field(
        description="MuirBench's questions whose options are images; its settings are its tasks, `image_text_matching`."
    )
    data: FilePath = Field(description="MuirBench's Parquet files: one of them, or the folder that all lie below.")

    def asks(self, row: Row) -> Iterable[tuple[str, Row]]:
        yield task_name(str(row["task"])), row

    def stored(self, row: Row) -> Sequence[Any]:
        stored = row["image_list"]
        return stored if isinstance(stored, list) else []

    def question_of(self, task: str, number: int, row: Row, paths: Sequence[str]) -> Question:
        text = asked_text(row)
        if _IMAGE in text:
            refuse("the question shows an image; what is asked has to be a text, and every image a candidate")
        options = lettered([str(option).strip() for option in field(row, "options", list)])
        shown = [letter for letter, option in options.items() if option == _IMAGE]
        for letter, option in options.items():
            if option not in (_IMAGE, NONE):
                refuse(f"option {letter}, '{option}', is no image")
        answer = field(row, "answer", str).strip()
        refuse_unknown_answer(answer, options)
        if answer not in shown:
            refuse(f"no image is right: the answer is '{options[answer]}'")
        if len(shown) != len(paths):
            refuse(f"{len(shown)} options are images, and the list has {len(paths)}")
        refuse_number(len(paths))
        return Question(task, number, text, pictures(paths, self._folder), shown.index(answer) + 1)


FORMAT = MuirBench


def task_name(task: str) -> str:
    """A task as a setting can name it: "Image-Text Matching" is image_text_matching."""
    return re.sub(r"[^a-z0-9]+", "_", task.lower()).strip("_")
