"""The formats of datasets: how each is configured, read, and asked about.

A format is one module of this package. It exports FORMAT, the section of the configuration that is a dataset of this
format: the keys with their defaults and meanings, and what is done with them (see `base`). Whatever lists formats -
the configuration, the workflow, the command line, the documentation - reads FORMATS, which is found here by walking
the package. Nothing heavy is imported before a dataset is read.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Union

from pydantic import Discriminator, Tag, ValidationError

from lad.benchmark.formats.base import (
    Captioned,
    CaptionedImages,
    CaptionedTexts,
    Dataset,
    FromFiles,
    FromImageFiles,
    ImagesRead,
    Listed,
    Rendered,
)
from lad.section import find_formats, in_words, tag_of
from lad.spelling import did_you_mean

__all__ = [
    "FORMATS",
    "AnyDataset",
    "Captioned",
    "CaptionedImages",
    "CaptionedTexts",
    "Dataset",
    "FromFiles",
    "FromImageFiles",
    "ImagesRead",
    "Listed",
    "Rendered",
    "parse_dataset",
]

DEFAULT: Final = "coco"
"""The format of a dataset that names none."""


FORMATS: Final[Mapping[str, type[Dataset]]] = find_formats(__name__, __path__, Dataset)
"""All formats by name."""


def _format_of(entry: Any) -> str:
    if isinstance(entry, dict):
        return tag_of(str(entry.get("format", DEFAULT)))
    return tag_of(entry.format if isinstance(entry, Dataset) else DEFAULT)


if TYPE_CHECKING:
    AnyDataset = Dataset
else:
    AnyDataset = Annotated[
        Union[tuple(Annotated[entry, Tag(tag_of(name))] for name, entry in FORMATS.items())],  # noqa: UP007
        Discriminator(_format_of),
    ]
"""A dataset of the configuration: the section of the format that its key `format` names."""


def parse_dataset(format: str, keys: Mapping[str, str]) -> Dataset:
    """The dataset of a format that these keys make, with values as texts.

    Raises:
        ValueError: an unknown format, a key that it does not have or that is missing, or a value that is not allowed.
    """
    if format not in FORMATS:
        raise ValueError(f"unknown format '{format}'{did_you_mean(format, list(FORMATS))}; known: {', '.join(FORMATS)}")
    try:
        return FORMATS[format].model_validate({"format": format, **keys}, strict=False)
    except ValidationError as error:
        raise ValueError(in_words(FORMATS[format], error.errors(include_url=False), f"format {format}")) from None
