"""The demo's rendered tasks (`lad.demo.tasks`): questions of their own, written and read as an MMIU-format folder."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from lad.benchmark.formats.base import Rendered
from lad.benchmark.formats.mmiu import Mmiu
from lad.section import Count, Seed


class Tasks(Rendered):
    code: ClassVar[tuple[str, ...]] = ("demo/tasks.py", "demo/scenes.py")

    format: Literal["tasks"] = Field(description="Tasks that are rendered, instead of files that are read.")
    questions: Count = Field(100, description="Questions per task.")
    seed: Seed = Field(0, description="Seed of the tasks.")

    @property
    def most_questions(self) -> int | None:
        return self.questions

    def render(self, folder: Path) -> None:
        from lad.demo.tasks import write_tasks

        write_tasks(folder, questions=self.questions, seed=self.seed)

    def rendered(self, folder: Path) -> Mmiu:
        return Mmiu(format="mmiu", annotations=str(folder / "annotations.json"), images=str(folder / "images"))


FORMAT = Tasks
