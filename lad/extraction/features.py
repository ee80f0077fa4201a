"""Image features: every image goes through the vision tower once, whatever the number of presentations that show it.

Files are decoded and preprocessed by threads ahead of their use, encoded in groups, and kept: on the device while they
fit there, then in main memory, the least recently used first. What fits nowhere is encoded again. Which images form a
group is settled by the plan, not by what is left of it after an interruption: in whose company an image is encoded
changes the last bits of its features.
"""

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import torch

from lad.extraction import memory
from lad.extraction.backbone import Backbone
from lad.extraction.inputs import EncodedImage, InputError, PreparedImage, encode, picture_size, placeholder, prepare

TOWER_BATCH: Final = 32
"""Images that go through the vision tower side by side."""
_SHARE_OF_FREE: Final = 0.25
_MOST_WORKERS: Final = 8


class ImageFeatures:
    """The features of images by file, encoded when first asked for; a context that owns its threads.

    Args:
        device_bytes, host_bytes: budgets of the two tiers; by default a quarter of the free memory each. A CPU has but
            the second.
        workers: threads that decode and preprocess; by default no more than torch may use.

    Attributes:
        encoded: how many times an image went through the vision tower.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        device_bytes: int | None = None,
        host_bytes: int | None = None,
        workers: int | None = None,
    ) -> None:
        self.backbone = backbone
        self.encoded = 0
        cpu = torch.device("cpu")
        budgets = {cpu: _SHARE_OF_FREE * memory.free_bytes(cpu) if host_bytes is None else host_bytes}
        if backbone.device != cpu:
            free = _SHARE_OF_FREE * memory.free_bytes(backbone.device)
            budgets = {backbone.device: free if device_bytes is None else device_bytes, **budgets}
        self._tiers = [_Tier(device, int(budget)) for device, budget in budgets.items()]
        most = min(_MOST_WORKERS, torch.get_num_threads(), len(os.sched_getaffinity(0)) - 1)
        workers = workers or max(1, most)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="prepare")
        self._ahead = TOWER_BATCH + 4 * workers
        self._prepared: dict[Path, Future[PreparedImage]] = {}
        self._expected: Iterator[Path] = iter(())
        self._groups: dict[Path, list[Path]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def expect(self, planned: Iterable[Path], needed: Iterable[Path] | None = None) -> None:
        """Announce the images of a plan, in its order, so that they are grouped and prepared ahead.

        Args:
            needed: those of them that will be asked for; all by default.
        """
        ordered = list(dict.fromkeys(planned))
        groups = [ordered[start : start + TOWER_BATCH] for start in range(0, len(ordered), TOWER_BATCH)]
        self._groups = {path: group for group in groups for path in group}
        wanted = set(ordered if needed is None else needed)
        self._expected = iter([path for group in groups if wanted.intersection(group) for path in group])
        self._prepare_ahead()

    def get(self, paths: Iterable[Path]) -> dict[Path, EncodedImage]:
        """The features of these images, on the backbone's device. Where memory runs out, what was had is still kept.

        Raises:
            InputError: a file that is missing or cannot be decoded.
        """
        found: dict[Path, EncodedImage] = {}
        missing = []
        try:
            for path in dict.fromkeys(paths):
                image = self._recall(path)
                if image is None:
                    missing.append(path)
                else:
                    found[path] = image
            for group in self._grouped(missing):
                for path, image in self._encode(group):
                    found[path] = image
        finally:
            for path, image in found.items():
                self._keep(path, image)
        return found

    def make_room(self) -> bool:
        """Keep nothing on the backbone's device from now on; whether anything was kept there.

        What was moves to main memory, as far as there is room; of a CPU's it is dropped.
        """
        moved = self._tiers[0].shrink(0)
        for path, image in moved:
            self._keep(path, image)
        return bool(moved)

    def _grouped(self, missing: Sequence[Path]) -> Iterator[list[Path]]:
        """The missing images, with their planned groups the first time and on their own when they come again."""
        again = []
        included: set[Path] = set()
        for path in missing:
            if path in included:
                continue
            if path not in self._groups:
                again.append(path)
                continue
            group = self._groups[path]
            yield [member for member in group if not self._keeps(member)]
            # Only now, when it is encoded: a group that memory had no room for comes as a group again.
            included.update(group)
            for member in group:
                del self._groups[member]
        yield from (again[start : start + TOWER_BATCH] for start in range(0, len(again), TOWER_BATCH))

    def _encode(self, paths: Sequence[Path]) -> Iterator[tuple[Path, EncodedImage]]:
        coming = [self._prepared.pop(path) if path in self._prepared else self._submit(path) for path in paths]
        self._prepare_ahead()
        prepared = [image.result() for image in coming]
        for part, encoded in memory.in_halves(
            lambda places: encode(self.backbone, [prepared[place] for place in places]), range(len(paths))
        ):
            self.encoded += len(part)
            yield from zip([paths[place] for place in part], encoded, strict=True)

    def _prepare_ahead(self) -> None:
        while len(self._prepared) < self._ahead:
            path = next(self._expected, None)
            if path is None:
                return
            if path not in self._prepared and not self._keeps(path):
                self._prepared[path] = self._submit(path)

    def _submit(self, path: Path) -> Future[PreparedImage]:
        return self._threads.submit(_prepare, self.backbone, path)

    def _keeps(self, path: Path) -> bool:
        return any(path in tier for tier in self._tiers)

    def _recall(self, path: Path) -> EncodedImage | None:
        for tier in self._tiers:
            if (image := tier.get(path)) is not None:
                return image.to(self.backbone.device)
        return None

    def _keep(self, path: Path, image: EncodedImage) -> None:
        for tier in self._tiers:
            tier.pop(path)
        pushed_out = [(path, image)]
        for tier in self._tiers:
            pushed_out = [older for pair in pushed_out for older in tier.push(*pair)]


def _prepare(backbone: Backbone, path: Path) -> PreparedImage:
    prepared = prepare(backbone, path)
    if prepared.placeholder != placeholder(backbone, picture_size(path, backbone.image_size)):
        raise InputError(f"{path}: the processor treats it otherwise than a blank picture of the same size", path)
    return prepared


class _Tier:
    """Images kept on one device, the most recently used last."""

    def __init__(self, device: torch.device, budget: int) -> None:
        self.device = device
        self.budget = budget
        self.used = 0
        self._images: OrderedDict[Path, EncodedImage] = OrderedDict()

    def __contains__(self, path: Path) -> bool:
        return path in self._images

    def get(self, path: Path) -> EncodedImage | None:
        return self._images.get(path)

    def pop(self, path: Path) -> EncodedImage | None:
        image = self._images.pop(path, None)
        if image is not None:
            self.used -= image.nbytes
        return image

    def push(self, path: Path, image: EncodedImage) -> list[tuple[Path, EncodedImage]]:
        """Keep an image; returns those that had to make room for it, perhaps itself."""
        if image.nbytes > self.budget:
            return [(path, image)]
        self._images[path] = image.to(self.device)
        self.used += image.nbytes
        return self.shrink(self.budget)

    def shrink(self, budget: int) -> list[tuple[Path, EncodedImage]]:
        """Make this the budget; returns the images that have no room in it, the longest unused first."""
        self.budget = budget
        pushed_out = []
        while self.used > self.budget:
            oldest = next(iter(self._images))
            older = self.pop(oldest)
            assert older is not None
            pushed_out.append((oldest, older))
        return pushed_out
