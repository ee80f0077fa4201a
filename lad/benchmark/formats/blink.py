"""Read BLINK (Fu et al., arXiv 2404.12390): of its 14 tasks the one whose candidates are images, and all of them.

A row has one to four images and lettered choices. Only a row whose choices name its images, each exactly once, asks
what this project measures: which of N images. That holds for Forensic_Detection ("Which image is most likely to be a
real photograph?", four images). Art_Style, Jigsaw and Visual_Similarity show a reference beside two candidates; a
question here is a text, so that they are refused, as are the tasks that ask about points, boxes, counts or directions.

Read: lmms-eval (`lmms_eval/tasks/blink`: the fields `idx`, `sub_task`, `prompt`, `choices`, `answer` and `image_1` to
`image_4`, null where there is none; the split `val`, because answers of `test` are held out; an answer is a letter in
parentheses), HELM's scenario (the same; questions "Given three similar but different images, take the first image as
reference ... (A) the second image (B) the third image"), prompts that users print ("(A) the first image ... (D) the
fourth image"), the dataset's page (one folder per task with `val-00000-of-00001.parquet`, licence Apache-2.0) and
EvalScope's counts (Forensic_Detection 132 rows in `val`). No row and no picture was seen. Not verified: that the
column `question` holds what is asked without the choices, as a reader's page describes it; a question that repeats
them would speak of "the first image" and be refused.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from lad.benchmark.chosen_images import Question, asked_text, field, lettered, pictures, target_named
from lad.benchmark.formats.stored import ChoosesStoredImages
from lad.benchmark.stored_pictures import Row
from lad.section import FilePath

_IMAGES = tuple(f"image_{k}" for k in range(1, 5))


class Blink(ChoosesStoredImages):
    columns: ClassVar[tuple[str, ...]] = ("idx", "sub_task", "question", "choices", "answer", *_IMAGES)
    id_column: ClassVar[str] = "idx"

    format: Literal["blink"] = Field(description="BLINK's tasks whose choices are the images; its settings.")
    data: FilePath = Field(description="BLINK's Parquet files: one of them, or the folder that all lie below.")

    def asks(self, row: Row) -> Iterable[tuple[str, Row]]:
        yield str(row["sub_task"]), row

    def stored(self, row: Row) -> Sequence[Any]:
        return [row[name] for name in _IMAGES if row[name] is not None]

    def question_of(self, task: str, number: int, row: Row, paths: Sequence[str]) -> Question:
        text = asked_text(row)
        options = lettered(field(row, "choices", list))
        target = target_named(options, len(paths), field(row, "answer", str).strip(" ()"))
        return Question(task, number, text, pictures(paths, self._folder), target)


FORMAT = Blink
