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

import json
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NoReturn

from pydantic import Field

from lad.benchmark import BenchmarkError
from lad.benchmark.captions import size_of
from lad.benchmark.formats.base import FromImageFiles, ImagesRead
from lad.benchmark.roles import deal_roles, refuse_too_few
from lad.extraction.prompts import IDENTIFIERS, MAX_CANDIDATES
from lad.section import FilePath

if TYPE_CHECKING:
    import pyarrow as pa

PAPER_TASKS: Final = {
    "forensic_forgerynet": ("forensic_detection_forgerynet",),
    "forensic_blink": ("forensic_detection_blink",),
    "emotion_expw": ("emotion_recognition_expw",),
    "emotion_findingemo": ("emotion_recognition_findingemo",),
    "text2image_retrieval": ("text2image_retrieval",),
    "visual_quality": ("visual_quality_assessment_ve_lol_l", "visual_quality_assessment_q_bench+"),
}
"""The paper's names of its six tasks, and the annotation file's. Other tasks go by the annotation file's name."""

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
_OPTION: Final = re.compile(r"\(?(?P<letter>[A-Z])\)?[:.)]\s*(?P<text>.*\S)")


class Mmiu(FromImageFiles):
    paths: ClassVar[tuple[str, ...]] = ("annotations", "images")
    code: ClassVar[tuple[str, ...]] = ("benchmark/roles.py", "seeded.py")

    format: Literal["mmiu"] = Field(description="Questions of MMIU's form; its settings are its tasks.")
    annotations: FilePath = Field(description="MMIU's annotation file, JSON or Parquet.")

    def read_images(self, settings: Sequence[str]) -> ImagesRead:
        if not settings:
            raise BenchmarkError(f"{self.annotations}: which tasks are read? Name them as settings")
        read = self._asked(settings)
        return ImagesRead(images_of(read, Path(self.images)), read.summary, [asdict(left) for left in read.refused])

    def build_questions(self, images: pa.Table, *, setting: str, **asked: Any) -> pa.Table:
        return build_questions(self._asked([setting]), images, task=setting, **asked)

    def _asked(self, tasks: Collection[str]) -> Annotated:
        return read_annotations(Path(self.annotations), Path(self.images), tasks)


FORMAT = Mmiu


class _RefusedError(Exception):
    """Why a question is not one of choosing among its images."""


@dataclass(frozen=True)
class Question:
    """A question of the annotation file that chooses one of its images.

    Attributes:
        task: the paper's name where it has one, else the annotation file's.
        number: of its entry in the annotation file, from 0.
        text: what is asked.
        files: the images in the annotation file's order, as paths below the image folder.
        target: which of them is the answer, from 1.
    """

    task: str
    number: int
    text: str
    files: tuple[str, ...]
    target: int


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
    """What an annotation file asks, in its order, and what was refused."""

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
    questions, refused = [], []
    for number, entry in enumerate(entries):
        # Other tasks hold what they please.
        named = entry.get("task")
        task = names.get(named) if isinstance(named, str) else None
        if task is None:
            continue
        try:
            questions.append(_question(task, number, entry, image_folder))
        except _RefusedError as reason:
            refused.append(Refusal(task, number, str(reason)))
    read = Annotated(tuple(questions), tuple(refused))
    empty = set(tasks) - {question.task for question in questions}
    if empty:
        raise BenchmarkError(f"{path}: no question of {', '.join(sorted(empty))} chooses among images: {read.summary}")
    return read


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

    Which are which, `deal_roles` says. The candidates stand as in the annotation file: presentations shuffle them.

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
    from lad import contracts, parquet

    of_task = [q for q in annotated.questions if q.task == task]
    asked, fitted = deal_roles(
        [q for q in of_task if len(q.files) == n],
        number=lambda q: q.number,
        target=lambda q: q.files[q.target - 1],
        evaluation=evaluation,
        calibration=calibration,
        seed=seed,
    )
    sizes = (len(q.files) for q in of_task)
    refuse_too_few(task, sizes, n=n, asked=len(asked), fitted=len(fitted), calibration=calibration)
    ids = dict(zip(images["file_name"].to_pylist(), images["image_id"].to_pylist(), strict=True))
    rows = [
        {
            "question_id": f"{dataset}-{task}-n{n:02d}-{role[0]}{rank:05d}-entry{question.number}",
            "role": role,
            "rank": rank,
            "caption": question.text,
            "candidates": [_image_id(file, ids) for file in question.files],
            "target": question.target,
            "n_candidates": n,
        }
        for role, questions in (("evaluation", asked), ("calibration", fitted))
        for rank, question in enumerate(questions)
    ]
    return parquet.from_rows(rows, contracts.QUESTIONS)


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


def _load(path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            entries = pq.ParquetFile(path).read().to_pylist()
        else:
            entries = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise BenchmarkError(f"{path}: neither JSON nor Parquet ({error})") from None
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror or error})") from None
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


def _question(task: str, number: int, entry: dict[str, Any], image_folder: Path) -> Question:
    text = _field(entry, "question", str).strip()
    if not text:
        _refuse("the question is empty")
    if match := _POSITION_IN_TEXT.search(text):
        _refuse(f"the question speaks of '{match[0]}', which is another image in another order")
    options = _options(_field(entry, "options", str))
    named = _named_images(options)
    paths = _field(entry, "input_image_path", list)
    if len(options) != len(paths):
        _refuse(f"{len(options)} options for {len(paths)} images")
    if not 2 <= len(paths) <= MAX_CANDIDATES:
        _refuse(f"{len(paths)} images; a question has 2 to {MAX_CANDIDATES} candidates")
    if sorted(named.values()) != list(range(1, len(paths) + 1)):
        _refuse(f"the options name the images {', '.join(map(str, named.values()))} of {len(paths)}")
    answer = _field(entry, "output", str).strip()
    if answer not in named:
        _refuse(f"the answer '{answer}' is none of the options {', '.join(named)}")
    files = [_file(path, image_folder) for path in paths]
    _refuse_equal(files, image_folder)
    return Question(task, number, text, tuple(files), named[answer])


def _field(entry: dict[str, Any], key: str, kind: type) -> Any:
    value = entry.get(key)
    if not isinstance(value, kind):
        _refuse(f"has {key} {value!r}, expected {kind.__name__}" if key in entry else f"has no {key}")
    return value


def _options(text: str) -> dict[str, str]:
    """The options by letter, in their order."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    matches = [_OPTION.fullmatch(line) for line in lines]
    options = {match["letter"]: match["text"] for match in matches if match}
    if not lines or list(options) != [chr(ord("A") + k) for k in range(len(lines))]:
        _refuse(f"options {text!r} are not lines that begin with A:, B:, C: ...")
    return options


def _named_images(options: dict[str, str]) -> dict[str, int]:
    """The image that each option names, by letter."""
    named = {}
    for letter, text in options.items():
        image = named_image(text)
        if image is None:
            _refuse(f"option {letter}, '{text}', names no image")
        named[letter] = image
    return named


def _file(path: object, image_folder: Path) -> str:
    """The path below the image folder of a picture that is there and can be opened."""
    from lad.pictures import PictureError, shown_size

    relative = PurePosixPath(str(path))
    if relative.is_absolute() or ".." in relative.parts:
        _refuse(f"image {path} lies outside the image folder")
    if not (image_folder / relative).exists():
        _refuse(f"image {relative} is missing")
    try:
        shown_size(image_folder / relative)
    except PictureError:
        _refuse(f"image {relative} cannot be read as a picture")
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
                _refuse(f"images {by_content[content]} and {file} are the same picture")
            by_content[content] = file


def _image_id(file: str, ids: dict[str, int]) -> int:
    if file not in ids:
        raise BenchmarkError(f"image {file} is not in the images table; read the annotations of this task into it")
    return ids[file]


def _refuse(reason: str) -> NoReturn:
    raise _RefusedError(reason)
