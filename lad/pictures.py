"""Image files as a viewer shows them: the one way in which models, embeddings and figures see a picture."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base

from lad.refusal import Refusal

_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What EXIF's orientations other than 1 ask for."""
_EXCHANGING_SIDES: Final = (5, 6, 7, 8)


class PictureError(Refusal):
    """Pictures that cannot be read; the message names them and says why."""


def read_picture(path: Path) -> Image.Image:
    """The picture in a file `as_shown`.

    Raises:
        PictureError: the file is missing, damaged, too large to be harmless, or no picture.
    """
    with _opened(path) as file:
        return as_shown(file)


def shown_size(path: Path) -> tuple[int, int]:
    """(width, height) of `read_picture`, from the file's header where its format allows that.

    Raises:
        PictureError: as of `read_picture`, but of a file damaged further on.
    """
    with _opened(path) as file:
        width, height = file.size
        # A square turned is a square. (Of a PNG, Pillow decodes the whole file to look for its EXIF data.)
        turned = width != height and _orientation(file) in _EXCHANGING_SIDES
    return (height, width) if turned else (width, height)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The file as Pillow opens it; what goes wrong, here or while it is used, names the file.

    Raises:
        PictureError: as of `read_picture`.
    """
    try:
        with Image.open(path) as file:
            yield file
    except MemoryError:
        raise
    except FileNotFoundError as error:
        raise PictureError(f"{path}: image missing") from error
    # Readers of damaged files raise what they please: OSError, SyntaxError, ValueError, struct.error ...
    except Exception as error:
        raise PictureError(f"{path}: cannot be decoded ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, UnidentifiedImageError):
        return "not a picture that can be read"
    return " ".join(str(error).split()) or type(error).__name__


def as_shown(file: Image.Image) -> Image.Image:
    """An opened file as 8-bit RGB: EXIF rotation applied, transparency on white, all of 16 bits of grey kept in view.

    Of the EXIF data the orientation alone counts, whatever the rest of them says. Grey and CMYK files and palettes
    become RGB by Pillow's formulas. Colour profiles are ignored, as the paper's code and the models' own processors
    ignore them: a picture in a wider colour space than sRGB looks paler. Pixels of 32 bits, which have no agreed white,
    are clipped at 255.

    Raises:
        OSError, SyntaxError: the file is damaged.
    """
    turn = _TURNS.get(_orientation(file))
    picture = file if turn is None else file.transpose(turn)
    if picture.has_transparency_data:
        # Left alone, whatever colour a program stored where nothing is to be seen would show.
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    if picture.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255 and leaves nearly all of it white.
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    return picture.convert("RGB")


def _orientation(file: Image.Image) -> int:
    """The orientation that the EXIF data name; 1, upright, where they are absent or broken.

    Not `ImageOps.exif_transpose`, which writes the data anew after turning: some that can be read cannot be written
    (a resolution of -1/0), and their pictures are sound.
    """
    try:
        named = file.getexif().get(Base.Orientation, 1)
    except MemoryError:
        raise
    except Exception:
        return 1
    return named if isinstance(named, int) else 1


def refuse_undecodable(images: pa.Table, image_folder: Path) -> None:
    """Stop before anything costly where pictures cannot be decoded.

    Raises:
        PictureError: names them together (the first ten), each with the reason.
    """
    if faults := undecodable(images, image_folder):
        named = "; ".join(f"{name}: {reason}" for name, reason in faults[:10])
        raise PictureError(f"{image_folder}: {len(faults)} images cannot be decoded: {named}")


def undecodable(images: pa.Table, image_folder: Path) -> list[tuple[str, str]]:
    """The pictures that cannot be decoded to their last pixel, as (file name, reason).

    Run before anything costly, so that a truncated download is reported with all the others and not after an
    hour.
    """
    file_names = images["file_name"].to_pylist()
    with ThreadPoolExecutor() as threads:  # decoders release the interpreter
        faults = threads.map(lambda file_name: _fault(image_folder / file_name), file_names)
        return [(file_name, fault) for file_name, fault in zip(file_names, faults, strict=True) if fault]


def _fault(path: Path) -> str | None:
    try:
        with _opened(path) as file:
            # A JPEG is read to its end at an eighth of its size all the same, in 60 % of the time.
            file.draft(None, (1, 1))
            as_shown(file)
    except PictureError as error:
        return _reason(error.__cause__ or error)
    return None
