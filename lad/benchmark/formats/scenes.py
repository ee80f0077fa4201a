"""The demo's rendered scenes (`lad.demo.scenes`): captioned images, written and read as a COCO-format folder."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from lad.benchmark.formats.base import CaptionedImages, Rendered
from lad.benchmark.formats.coco import Coco
from lad.section import Seed


class Scenes(CaptionedImages, Rendered):
    code: ClassVar[tuple[str, ...]] = ("demo/scenes.py",)

    format: Literal["scenes"] = Field(description="Scenes that are rendered, instead of files that are read.")
    count: int = Field(800, ge=2, description="How many scenes.")
    seed: Seed = Field(0, description="Seed of the scenes.")

    @property
    def most_images(self) -> int | None:
        return min(self.count, self.pool or self.count)

    def render(self, folder: Path) -> None:
        from lad.demo.scenes import write_dataset

        write_dataset(folder, images=self.count, seed=self.seed)

    def rendered(self, folder: Path) -> Coco:
        return Coco(
            captions=str(folder / "captions.json"),
            instances=str(folder / "instances.json"),
            images=str(folder / "images"),
            caption_policy=self.caption_policy,
            pool=self.pool,
            embeddings=self.embeddings,
        )


FORMAT = Scenes
