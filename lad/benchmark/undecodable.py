"""Pictures that cannot be decoded, found before anything costly is run on the others."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
from PIL import Image, UnidentifiedImageError

from lad.benchmark import BenchmarkError


def refuse_undecodable(images: pa.Table, image_folder: Path) -> None:
    """Stop before anything costly where pictures cannot be decoded.

    Raises:
        BenchmarkError: names them together (the first ten), each with the reason.
    """
    if faults := undecodable(images, image_folder):
        named = "; ".join(f"{name}: {reason}" for name, reason in faults[:10])
        raise BenchmarkError(f"{image_folder}: {len(faults)} images cannot be decoded: {named}")


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
