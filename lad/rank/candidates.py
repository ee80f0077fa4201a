"""What may be ranked: pictures, as paths or in memory, or texts."""

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from PIL import Image

from lad import whole
from lad.benchmark.lines import on_one_line
from lad.refusal import Refusal

Candidate = str | Path | Image.Image
Kind = Literal["images", "texts"]

_PICTURES: Final = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
_LOSSLESS: Final = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
"""Modes that a PNG file holds as they are."""


class RankError(Refusal):
    """Something that cannot be ranked, or a ranker that cannot do it; the message says what to change."""


def kind_of(candidates: Sequence[Candidate], kind: Kind | None, folder: Path = Path()) -> Kind:
    """Whether these are images or texts.

    Args:
        kind: what they are said to be. Without it, strings are images where every one of them is the path of a file.
        folder: where relative paths begin.

    Raises:
        RankError: images and texts together; a string that may be meant as a path, and is none.
    """
    strings = [candidate for candidate in candidates if isinstance(candidate, str)]
    if kind:
        if kind == "texts" and len(strings) < len(candidates):
            raise RankError("candidates='texts', and some of them are pictures; give strings alone")
        return kind
    files = [string for string in strings if _is_file(folder, string)]
    if len(strings) < len(candidates):
        if len(files) < len(strings):
            missing = next(string for string in strings if string not in files)
            raise RankError(f"'{missing}' is no file, but other candidates are pictures; give one kind alone")
        return "images"
    if strings and len(files) == len(strings):
        return "images"
    if named := next(
        (string for string in strings if string.lower().endswith(_PICTURES) and string not in files), None
    ):
        raise RankError(f"'{named}' is no file; if it is meant as a text, say so (candidates='texts', --texts)")
    return "texts"


def _is_file(folder: Path, string: str) -> bool:
    try:
        return (folder / string).is_file()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False


class Shown:
    """Candidates as what the model is shown: the paths of image files, or texts on one line each.

    Pictures in memory become files of a folder that is there as long as this.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="lad-rank-", ignore_cleanup_errors=True)

    def names(self, candidates: Sequence[Candidate], kind: Kind, folder: Path = Path()) -> tuple[str, ...]:
        """The path or text of each candidate.

        Raises:
            RankError: an empty text.
        """
        if kind == "texts":
            texts = tuple(on_one_line(str(candidate)) for candidate in candidates)
            if "" in texts:
                raise RankError(f"candidate {texts.index('') + 1} is an empty text")
            return texts
        return tuple(
            str(self._file(one) if isinstance(one, Image.Image) else (folder / one).absolute()) for one in candidates
        )

    def moved(self, names: Sequence[str], kind: Kind | None, folder: Path) -> list[str]:
        """The same names, good for when this is gone: pictures from memory are copied into `folder`, relative to it."""
        return [self._moved(Path(name), folder) if kind == "images" else name for name in names]

    def _moved(self, file: Path, folder: Path) -> str:
        if file.parent != Path(self._folder.name):
            return str(file)
        kept = folder / "pictures" / file.name
        kept.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, kept)
        return str(kept.relative_to(folder))

    def _file(self, picture: Image.Image) -> Path:
        kept = picture if picture.mode in _LOSSLESS else picture.convert("RGB")
        facts = repr((kept.mode, kept.size, kept.getpalette())).encode()
        path = Path(self._folder.name) / f"{hashlib.blake2b(facts + kept.tobytes(), digest_size=16).hexdigest()}.png"
        if not path.exists():
            with whole.file(path) as partial:
                kept.save(partial, format="PNG")
        return path
