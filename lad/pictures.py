"""Image files as a viewer shows them: the one way in which models, embeddings and figures see a picture."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps, UnidentifiedImageError


class PictureError(ValueError):
    """Pictures that cannot be decoded; the message names them."""


def as_shown(file: Image.Image) -> Image.Image:
    """An opened file as 8-bit RGB: EXIF rotation applied, transparency on white, all of 16 bits of grey kept in view.

    Grey and CMYK files and palettes become RGB by Pillow's formulas. Colour profiles are ignored, as the paper's code
    and the models' own processors ignore them: a picture in a wider colour space than sRGB looks paler. Pixels of 32
    bits, which have no agreed white, are clipped at 255.

    Raises:
        OSError, SyntaxError: the file is damaged.
    """
    picture = ImageOps.exif_transpose(file)
    if picture.has_transparency_data:
        # Left alone, whatever colour a program stored where nothing is to be seen would show.
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    if picture.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255 and leaves nearly all of it white.
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    return picture.convert("RGB")


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
        with Image.open(path) as image:
            # A JPEG is read to its end at an eighth of its size all the same, in 60 % of the time.
            image.draft(None, (1, 1))
            image.load()
    except FileNotFoundError:
        return "no such file"
    except UnidentifiedImageError:
        return "not a picture that can be read"
    # Decoders of damaged files raise what they please: OSError, SyntaxError, ValueError, struct.error ...
    except Exception as error:
        return str(error) or type(error).__name__
    return None
