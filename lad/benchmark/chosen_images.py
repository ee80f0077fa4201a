"""Questions that choose one of their own images: what MMIU, BLINK, MuirBench and Winoground have in common.

Such a question lists images, and its options are these images, each exactly once. Whatever else a file holds is
refused, by number and with the reason, never guessed: options that are texts, images that are shown and cannot be
chosen (a question here is a text), questions that speak of an image by its place in an order that changes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from lad.benchmark import BenchmarkError
from lad.benchmark.captions import size_of
from lad.benchmark.roles import questions_table
from lad.extraction.prompts import IDENTIFIERS, MAX_CANDIDATES
from lad.spelling import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

Entry = TypeVar("Entry")

_NAMED: Final = 3
"""How many refusals a summary names before it only counts them."""

_ORDINALS: Final = {
    **{word: k for k, word in enumerate(IDENTIFIERS["ordinal"], start=1)},
    **{f"{k}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(k, 'th') }": k for k in range(1, MAX_CANDIDATES + 1)},
}
_CARDINALS: Final = (
    *("one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
_NUMBERS: Final = {
    **{digits: k for k, digits in enumerate(IDENTIFIERS["digits"], start=1)},
    **{letter: k for k, letter in enumerate(IDENTIFIERS["lowercase"], start=1)},
    **{word: k for k, word in enumerate(_CARDINALS, start=1)},
}
_ORDINAL: Final = rf"(?P<ordinal>{'|'.join(_ORDINALS)})"
_NUMBER: Final = rf"(?P<number>{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})"
_IMAGE: Final = r"(?:image|picture|photo(?:graph)?)"
_BY_ORDINAL: Final = re.compile(rf"(?:the )?{_ORDINAL}(?: {_IMAGE}| one)?")
_BY_NUMBER: Final = re.compile(rf"(?:the )?<?{_IMAGE}[ _#-]?(?:no\. ?|number )?[#(]?{_NUMBER}[)>]?")
_POSITION_IN_TEXT: Final = re.compile(
    rf"\b{_ORDINAL} {_IMAGE}\b|\b{_IMAGE}[ _#-]?(?:\d+|(?-i:[A-HJ-L]))\b|\blast {_IMAGE}\b", re.IGNORECASE
)


class NotAChoiceError(Exception):
    """Why a question is not one of choosing among its images."""


@dataclass(frozen=True)
class Question:
    """A question that chooses one of its images.

    Attributes:
        task: as a setting names it.
        number: of its entry, from 0: among all of an annotation file, or those of its task; unique within a task.
        text: what is asked.
        files: the images in the dataset's order, as paths below the image folder.
        target: which of them is the answer, from 1.
        kin: what it shares with other questions, so that none of them calibrates while another is evaluated; its
            target alone where it is empty.
    """

    task: str
    number: int
    text: str
    files: tuple[str, ...]
    target: int
    kin: str = ""


@dataclass(frozen=True)
class Refusal:
    """A question that is left out; `number` as in a question."""

    task: str
    number: int
    reason: str

    def __str__(self) -> str:
        return f"{self.task} entry {self.number}: {self.reason}"


@dataclass(frozen=True)
class Annotated:
    """What a dataset asks, in its order, and what was refused."""

    questions: tuple[Question, ...]
    refused: tuple[Refusal, ...]

    @property
    def summary(self) -> str:
        """One line: how many questions of each task were kept, and the first reasons for refusing others."""
        kept, left = Counter(q.task for q in self.questions), Counter(r.task for r in self.refused)
        counts = ", ".join(f"{task} {kept[task]} of {kept[task] + left[task]}" for task in {**kept, **left})
        if not self.refused:
            return f"questions kept: {counts}"
        rest = len(self.refused) - _NAMED
        more = f" and {rest} more" if rest > 0 else ""
        return f"questions kept: {counts}; refused: {'; '.join(map(str, self.refused[:_NAMED]))}{more}"


def sort_out(
    path: Path,
    tasks: Collection[str],
    entries: Iterable[tuple[str, int, Entry]],
    question_of: Callable[[str, int, Entry], Question],
) -> Annotated:
    """The entries of some tasks as questions, where they are such, and what is refused of them.

    Args:
        path: where they come from, for errors.
        entries: task and number of each, and what the format has of it.
        question_of: makes a question of these, or raises `NotAChoiceError`.

    Raises:
        BenchmarkError: a task of which no question is left.
    """
    questions, refused = [], []
    for task, number, entry in entries:
        try:
            questions.append(question_of(task, number, entry))
        except NotAChoiceError as reason:
            refused.append(Refusal(task, number, str(reason)))
    read = Annotated(tuple(questions), tuple(refused))
    if empty := set(tasks) - {question.task for question in questions}:
        raise BenchmarkError(f"{path}: no question of {', '.join(sorted(empty))} chooses among images: {read.summary}")
    return read


def refuse_unknown_tasks(tasks: Collection[str], known: Collection[str], path: Path) -> None:
    """`BenchmarkError` for a task that a dataset does not have."""
    for task in tasks:
        if task not in known:
            hint = did_you_mean(task, list(known))
            raise BenchmarkError(f"{path}: has no task '{task}'{hint}; it has: {', '.join(sorted(known))}")


def images_of(annotated: Annotated, image_folder: Path) -> pa.Table:
    """The images of all questions as an `images` table, numbered from 1 in the order of their file names.

    An image has no caption of its own here: the questions ask with their own texts, so the column is empty.
    """
    from lad import contracts, parquet

    files = sorted({file for question in annotated.questions for file in question.files})
    rows = []
    for image_id, file in enumerate(files, start=1):
        width, height = size_of(image_folder / file)
        size = {"width": width, "height": height}
        rows.append({"image_id": image_id, "file_name": file, **size, "caption": "", "category_ids": []})
    return parquet.from_rows(rows, contracts.IMAGES)


def build_questions(
    annotated: Annotated,
    images: pa.Table,
    *,
    dataset: str,
    task: str,
    n: int,
    evaluation: int,
    calibration: int,
    seed: int,
) -> pa.Table:
    """A benchmark of a task's questions with `n` candidates: at most `evaluation` of them, and `calibration` others.

    Which are which, `deal_roles` says. The candidates stand as in the dataset: presentations shuffle them.

    Args:
        annotated: what was read of the task, perhaps with other tasks.
        images: an `images` table of at least its images.
        dataset: name that the question ids begin with.
        task: as in `annotated`; the benchmark's setting.
        n: candidates per question.
        evaluation: evaluation questions at most; the benchmark has all there are where there are fewer.
        calibration: number of calibration questions.
        seed: all random choices follow from it.

    Returns:
        A `questions` table, evaluation questions first, each role by rank.

    Raises:
        BenchmarkError: too few questions with `n` candidates, or an image that the table lacks.
    """
    ids = dict(zip(images["file_name"].to_pylist(), images["image_id"].to_pylist(), strict=True))
    return questions_table(
        [question for question in annotated.questions if question.task == task],
        columns=lambda q: {
            "caption": q.text,
            "candidates": [_image_id(file, ids) for file in q.files],
            "target": q.target,
        },
        name=lambda q: f"entry{q.number}",
        size=lambda q: len(q.files),
        number=lambda q: q.number,
        target=lambda q: q.kin or q.files[q.target - 1],
        dataset=dataset,
        task=task,
        n=n,
        evaluation=evaluation,
        calibration=calibration,
        seed=seed,
    )


def named_image(option: str) -> int | None:
    """Which image the text of an option names, from 1; None where it is not, as a whole, the name of an image.

    Names are "the first image", "First picture", "the 2nd photo", "the third one", "second", "Image 3", "image_3",
    "<image 3>", "picture three", "Image C". A number or letter alone may count or name anything: it is no name.
    """
    text = " ".join(option.lower().split()).rstrip(".")
    if match := _BY_ORDINAL.fullmatch(text):
        return _ORDINALS[match["ordinal"]]
    if match := _BY_NUMBER.fullmatch(text):
        return _NUMBERS[match["number"]]
    return None


# --- what makes a question one of choosing; each raises NotAChoiceError with the reason -------------------------


def field(fields: Mapping[str, Any], key: str, kind: type) -> Any:
    """A field of an entry that has to be there and of this kind."""
    value = fields.get(key)
    if not isinstance(value, kind):
        refuse(f"has {key} {value!r}, expected {kind.__name__}" if key in fields else f"has no {key}")
    return value


def asked_text(fields: Mapping[str, Any], key: str = "question") -> str:
    """What is asked, which may not speak of an image by its place."""
    text: str = field(fields, key, str).strip()
    if not text:
        refuse(f"the {key} is empty")
    if match := _POSITION_IN_TEXT.search(text):
        refuse(f"the {key} speaks of '{match[0]}', which is another image in another order")
    return text


def lettered(texts: Sequence[object]) -> dict[str, str]:
    """Options by letter: A, B, C ..."""
    options: dict[str, str] = {}
    for number, text in enumerate(texts):
        letter = chr(ord("A") + number)
        if not isinstance(text, str):
            refuse(f"option {letter}, {text!r}, is no text")
        options[letter] = text
    return options


def target_named(options: Mapping[str, str], n_images: int, answer: str) -> int:
    """Which image is the answer, from 1, where options name the images, each exactly once.

    Args:
        options: texts by letter.
        answer: the letter.
    """
    named: dict[str, int] = {}
    for letter, text in options.items():
        image = named_image(text)
        if image is None:
            refuse(f"option {letter}, '{text}', names no image")
        named[letter] = image
    if len(options) != n_images:
        refuse(f"{len(options)} options for {n_images} images; every image has to be a candidate, and nothing else")
    refuse_number(n_images)
    if sorted(named.values()) != list(range(1, n_images + 1)):
        refuse(f"the options name the images {', '.join(map(str, named.values()))} of {n_images}")
    refuse_unknown_answer(answer, options)
    return named[answer]


def refuse_number(n_images: int) -> None:
    if not 2 <= n_images <= MAX_CANDIDATES:
        refuse(f"{n_images} images; a question has 2 to {MAX_CANDIDATES} candidates")


def refuse_unknown_answer(answer: str, options: Collection[str]) -> None:
    if answer not in options:
        refuse(f"the answer '{answer}' is none of the options {', '.join(options)}")


def pictures(paths: Iterable[object], image_folder: Path) -> tuple[str, ...]:
    """The paths below the image folder of different pictures that are there and can be opened."""
    files = [_file(path, image_folder) for path in paths]
    _refuse_equal(files, image_folder)
    return tuple(files)


def _file(path: object, image_folder: Path) -> str:
    from lad.pictures import PictureError, shown_size

    relative = PurePosixPath(str(path))
    if relative.is_absolute() or ".." in relative.parts:
        refuse(f"image {path} lies outside the image folder")
    if not (image_folder / relative).exists():
        refuse(f"image {relative} is missing")
    try:
        shown_size(image_folder / relative)
    except PictureError:
        refuse(f"image {relative} cannot be read as a picture")
    return str(relative)


def _refuse_equal(files: Sequence[str], image_folder: Path) -> None:
    """Two candidates with the same content would leave two right answers, or a distractor twice."""
    by_content: dict[tuple[int, bytes], str] = {}
    sizes = {file: (image_folder / file).stat().st_size for file in files}
    shared = {size for size, times in Counter(sizes[file] for file in files).items() if times > 1}
    for file in files:
        if sizes[file] in shared:
            content = (sizes[file], (image_folder / file).read_bytes())
            if content in by_content:
                refuse(f"images {by_content[content]} and {file} are the same picture")
            by_content[content] = file


def refuse(reason: str) -> NoReturn:
    raise NotAChoiceError(reason)


def _image_id(file: str, ids: dict[str, int]) -> int:
    if file not in ids:
        raise BenchmarkError(f"image {file} is not in the images table; read the annotations of this task into it")
    return ids[file]
