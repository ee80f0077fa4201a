"""What a format is: a section of the configuration that knows how its dataset is read and asked about.

Two things tell formats apart. Where a dataset comes from: it is read from files (`FromFiles`), with a folder of images
(`FromImageFiles`) where candidates are images and without where they are texts; or it is rendered first (`Rendered`).
And what is asked: candidates are asked for by their captions (`CaptionedImages`, `CaptionedTexts`), among others that
are drawn at random or hard to tell apart (`lad.benchmark.questions`); lists of ranked candidates are asked about in
windows (`Listed`); any other dataset has questions of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from lad.benchmark import SETTINGS, BenchmarkError, CaptionPolicy, ImageBackend, TextBackend
from lad.section import Count, Device, FilePath, Md5, Section, Sha256, Url

if TYPE_CHECKING:
    import pyarrow as pa

    from lad.benchmark.among_texts import Question
    from lad.benchmark.chosen_images import Annotated
    from lad.benchmark.entries import Read
    from lad.benchmark.lists import RankedList

_OF_OTHER_STAGES: Final = {"format", "images", "folder", "download", "pool", "embeddings", "at_most"}


class Download(Section):
    url: Url = Field(description="Address of the file.")
    sha256: Sha256 | None = Field(None, description="Checksum.")
    md5: Md5 | None = Field(None, description="Checksum.")
    bytes: Count | None = Field(None, description="Size of the file.")
    file: FilePath | None = Field(
        None, description="Where the file is put below the dataset's folder, if not under its name in the address."
    )
    unpack: Literal[False] | FilePath = Field(
        False,
        description="Folder below the dataset's that the zip archive is unpacked to; false keeps the file as it is.",
    )


class Embeddings(Section):
    backend: ImageBackend = Field(
        description="`clip`: any CLIP or SigLIP checkpoint. `vision_tower`: that of a multimodal LLM."
    )
    checkpoint: FilePath | None = Field(
        None, description="Folder or hub id; for `clip` the paper's openai/clip-vit-large-patch14 where it is left out."
    )
    revision: str | None = Field(None, description="Revision of a hub checkpoint.")
    device: Device | None = Field(None, description="In place of `extraction.device`.")

    @model_validator(mode="after")
    def _names_its_checkpoint(self) -> Self:
        if self.backend == "vision_tower" and self.checkpoint is None:
            raise PydanticCustomError("checkpoint", "backend vision_tower needs a checkpoint")
        return self


class TextEmbeddings(Section):
    backend: TextBackend = Field("tfidf", description="`tfidf`: the words of a text, rare ones weighted up; no model.")


@dataclass(frozen=True)
class ImagesRead:
    """What reading a dataset's files yields.

    Attributes:
        table: an `images` table.
        summary: one line about what was read, where there is something to say.
        refused: what was left out and why, one entry each; None for a format that refuses nothing.
    """

    table: pa.Table
    summary: str = ""
    refused: Sequence[Mapping[str, Any]] | None = None


class Dataset(Section):
    """A dataset of some format.

    Attributes:
        settings: the settings that it can be asked in; None where its files say which tasks there are.
        has_own_questions: whether it asks its own questions, instead of for images by their captions.
        code: files of the package, besides the format's module, that decide what is made of the dataset.
    """

    settings: ClassVar[tuple[str, ...] | None] = None
    has_own_questions: ClassVar[bool] = True
    code: ClassVar[tuple[str, ...]] = ()

    format: str

    @property
    def most_images(self) -> int | None:
        """How many images there are to draw from, at most; None where only the files say."""
        return None

    @property
    def most_questions(self) -> int | None:
        """How many questions a setting has, of both roles together, at most; None where only the files say."""
        return None

    @property
    def has_lists(self) -> bool:
        """Whether its questions are windows of lists, which are ranked as a whole."""
        return False

    def questions_each(self, n: int) -> int:
        """How many evaluation questions, at most, are made of each that a configuration asks for: windows of a list."""
        return 1

    def candidates_each(self, n: int) -> int:
        """How many candidates these have together."""
        return n

    def needs_embeddings(self, setting: str) -> bool:
        """Whether the questions of this setting are built by the dataset's embeddings."""
        return False

    def lacks_embeddings(self, setting: str) -> bool:
        """Whether it needs embeddings and has none."""
        return False


class FromFiles(Dataset):
    """A dataset that is read from files. Its candidates are texts, unless it has a folder of images.

    Attributes:
        paths: the keys that name what is read.
    """

    paths: ClassVar[tuple[str, ...]] = ()

    folder: FilePath | None = Field(None, description="The dataset's own folder, which downloads are put below.")
    download: list[Download] = Field([], description="Files to fetch where they are not there yet.")

    @model_validator(mode="after")
    def _knows_where_downloads_go(self) -> Self:
        if self.download and self.folder is None:
            raise PydanticCustomError("download", "download needs the key folder")
        return self

    @property
    def image_folder(self) -> str | None:
        """The folder of the images; None where candidates are texts."""
        return None

    @property
    def reading(self) -> dict[str, Any]:
        """The keys that decide what is read, with their values, besides the folder of the images."""
        return self.model_dump(exclude=_OF_OTHER_STAGES, exclude_none=True)

    def read_images(self, settings: Sequence[str]) -> ImagesRead:
        """Read the dataset's images.

        Args:
            settings: those that are asked in; a dataset with questions of its own reads what they need.

        Raises:
            BenchmarkError: a file that is missing or not of the format; the message names it.
        """
        raise NotImplementedError

    def build_questions(
        self, images: pa.Table, *, dataset: str, setting: str, n: int, evaluation: int, calibration: int, seed: int
    ) -> pa.Table:
        """Build one benchmark from the dataset's own questions.

        Args:
            images: what `read_images` read, of this setting at least.
            dataset: name that the question ids begin with.
            setting: which of its tasks.
            n: candidates per question.
            evaluation: evaluation questions, at most.
            calibration: calibration questions; no target serves both.
            seed: all random choices follow from it.

        Returns:
            A `questions` table.

        Raises:
            BenchmarkError: too few questions, or a dataset that has none of its own.
        """
        raise BenchmarkError(f"format {self.format} has no questions of its own: they are built from the images table")


class Listed(FromFiles):
    """A dataset of lists: queries with candidates that a first stage has ranked, of which several may be right.

    A format says what the lists are (`read_lists`), and may add code. All else follows: the candidates are those of the
    lists, the questions are windows of them (`lad.benchmark.windows`). With a folder of images a format is `Listed` and
    `FromImageFiles`.
    """

    code: ClassVar[tuple[str, ...]] = (
        "benchmark/captions.py",
        "benchmark/lists.py",
        "benchmark/windows.py",
        "seeded.py",
    )

    depth: int | None = Field(20, ge=2, description="How many candidates of each ranking are taken, from its top.")
    appearances: int = Field(
        2, ge=2, description="In how many windows each candidate stands at least, where a list is longer than N."
    )

    @property
    def has_lists(self) -> bool:
        return self.depth is not None

    @property
    def reading(self) -> dict[str, Any]:
        # Of windows alone: what is read of questions must not hang on how lists are cut.
        return {key: value for key, value in super().reading.items() if key != "appearances" or self.has_lists}

    def questions_each(self, n: int) -> int:
        from lad.benchmark.windows import number_of_windows

        return number_of_windows(self.depth, n, self.appearances) if self.depth else 1

    def candidates_each(self, n: int) -> int:
        return self.depth or n

    def read_lists(self, setting: str) -> list[RankedList]:
        """All lists of a setting, no longer than `depth`, each query once.

        Raises:
            BenchmarkError: a file that is missing or not of the format; the message names it.
        """
        raise NotImplementedError

    def read_images(self, settings: Sequence[str]) -> ImagesRead:
        """The candidates of these settings' lists, each once, numbered from 1 in the order of the lists."""
        from lad.benchmark.lists import candidates_of, summary

        if not settings:
            raise BenchmarkError(f"format {self.format} reads lists of settings: say of which, --setting NAME")
        lists = {setting: self.read_lists(setting) for setting in settings}
        folder = Path(self.image_folder) if self.image_folder else None
        return ImagesRead(candidates_of([one for ours in lists.values() for one in ours], folder), summary(lists))

    def build_questions(self, images: pa.Table, *, setting: str, **asked: Any) -> pa.Table:
        from lad.benchmark.windows import build_questions

        return build_questions(self.read_lists(setting), images, setting=setting, appearances=self.appearances, **asked)

    def build_lists(self, images: pa.Table, *, setting: str) -> pa.Table:
        """The lists of a setting as a `lists` table.

        Raises:
            BenchmarkError: as `read_lists`; a candidate that the images table lacks.
        """
        from lad.benchmark.lists import lists_table

        return lists_table(self.read_lists(setting), images)


class FromImageFiles(FromFiles):
    """A dataset whose candidates are images in a folder."""

    paths: ClassVar[tuple[str, ...]] = ("images",)

    images: FilePath = Field(description="Folder of the image files.")

    @property
    def image_folder(self) -> str:
        return self.images


class ChoosesTexts(FromFiles):
    """A published dataset whose questions choose one of their own texts. No query that calibrates is evaluated."""

    code: ClassVar[tuple[str, ...]] = (
        *("benchmark/among_texts.py", "benchmark/captions.py", "benchmark/entries.py", "benchmark/roles.py"),
        "seeded.py",
    )

    def read_all(self) -> Read[Question]:
        """All questions, and what was left out.

        Raises:
            BenchmarkError: files that cannot be read, or are not of the format.
        """
        raise NotImplementedError

    def of_settings(self, questions: Sequence[Question], settings: Collection[str]) -> list[Question]:
        """The questions of these settings, of all where none is named.

        Raises:
            BenchmarkError: a setting that no question has.
        """
        raise NotImplementedError

    def read_images(self, settings: Sequence[str]) -> ImagesRead:
        from lad.benchmark.among_texts import summary_of, texts_of

        read = self.read_all()
        asked = self.of_settings(read.made, settings)
        return ImagesRead(texts_of(asked), summary_of(asked, read.reasons), read.left)

    def build_questions(self, images: pa.Table, *, setting: str, **asked: Any) -> pa.Table:
        from lad.benchmark.among_texts import build_questions

        chosen = self.of_settings(self.read_all().made, [setting])
        return build_questions(chosen, images, task=setting, spent=lambda question: question.query, **asked)


class ChoosesImages(FromImageFiles):
    """A dataset whose questions choose one of their own images; its settings are its tasks.

    Attributes:
        source: what names the dataset's file or folder in errors.
    """

    code: ClassVar[tuple[str, ...]] = ("benchmark/chosen_images.py", "benchmark/roles.py", "seeded.py")

    at_most: Count | None = Field(
        None, description="How many questions a task has, at most, if you know: `lad plan` counts by it."
    )

    @property
    def most_questions(self) -> int | None:
        return self.at_most

    @property
    def source(self) -> str:
        raise NotImplementedError

    def asked(self, tasks: Collection[str]) -> Annotated:
        """The questions of some tasks, and what was refused of them.

        Raises:
            BenchmarkError: files that cannot be read, or a task that they do not have.
        """
        raise NotImplementedError

    def read_images(self, settings: Sequence[str]) -> ImagesRead:
        from lad.benchmark.chosen_images import images_of

        if not settings:
            raise BenchmarkError(f"{self.source}: which tasks are read? Name them as settings")
        read = self.asked(settings)
        return ImagesRead(images_of(read, Path(self.images)), read.summary, [asdict(left) for left in read.refused])

    def build_questions(self, images: pa.Table, *, setting: str, **asked: Any) -> pa.Table:
        from lad.benchmark.chosen_images import build_questions

        return build_questions(self.asked([setting]), images, task=setting, **asked)


class Rendered(Dataset):
    """A dataset that is rendered, not read."""

    def render(self, folder: Path) -> None:
        """Write the dataset to a folder that is new or empty; it appears whole or not at all."""
        raise NotImplementedError

    def rendered(self, folder: Path) -> FromFiles:
        """The dataset that `render` wrote to this folder, in the format that it is read in."""
        raise NotImplementedError


class Captioned(Dataset):
    """Candidates that are asked for by their captions, among others that are drawn.

    Attributes:
        embeddings: what hard negatives are chosen by; None for nothing.
    """

    settings: ClassVar[tuple[str, ...] | None] = SETTINGS
    has_own_questions: ClassVar[bool] = False

    pool: int | None = Field(None, ge=2, description="Draw candidates from this many only; 20000 in the paper.")
    embeddings: Embeddings | TextEmbeddings | None

    @property
    def most_images(self) -> int | None:
        return self.pool

    def needs_embeddings(self, setting: str) -> bool:
        return setting == "adversarial"

    def lacks_embeddings(self, setting: str) -> bool:
        return self.needs_embeddings(setting) and self.embeddings is None


class CaptionedImages(Captioned):
    """Images that are asked for by their captions."""

    caption_policy: CaptionPolicy = Field(
        "first", description="Which of an image's captions asks for it; `all` joins them by spaces to one text."
    )
    embeddings: Embeddings | None = Field(
        None, description="What hard negatives are chosen by. The adversarial setting needs it."
    )


class CaptionedTexts(Captioned):
    """Texts that are asked for by other texts, their captions."""

    embeddings: TextEmbeddings = Field(TextEmbeddings(), description="What hard negatives are chosen by.")
