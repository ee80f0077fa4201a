"""Signals from the logs of other tools: what a model answered there, and with which probabilities.

The twin of `lad.extraction` for models that somebody else has run. Nobody can read attention from a log; methods that
need none, and all metrics, serve as they do for signals of our own. A format is one module of this package. It exports
FORMAT, a section with the format's keys that reads files of it (see `base`); `signals` makes the table. Whatever lists
formats reads FORMATS, which is found here by walking the package.
"""

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from lad.logs.base import Log, LogError, Shown
from lad.logs.signals import Imported, deal_calibration, signals_of
from lad.section import find_formats, in_words
from lad.spelling import did_you_mean

__all__ = [
    "FORMATS",
    "Imported",
    "Log",
    "LogError",
    "Shown",
    "deal_calibration",
    "parse_log",
    "signals_of",
]


FORMATS: Final[Mapping[str, type[Log]]] = find_formats(__name__, __path__, Log)
"""All formats by name."""


def parse_log(format: str, keys: Mapping[str, str]) -> Log:
    """The reader of a format with these keys, whose values are texts.

    Raises:
        LogError: an unknown format, a key that it does not have, or a value that is not allowed.
    """
    if format not in FORMATS:
        raise LogError(f"unknown format '{format}'{did_you_mean(format, FORMATS)}; known: {', '.join(FORMATS)}")
    try:
        return FORMATS[format].model_validate({"format": format, **keys}, strict=False)
    except ValidationError as error:
        raise LogError(in_words(FORMATS[format], error.errors(include_url=False), f"format {format}")) from None
