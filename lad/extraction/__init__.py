"""Extraction: from presentations to signals. This file imports nothing heavy: the workflow reads the version below."""

from typing import Final

EXTRACTOR_VERSION: Final = 2
"""Raised whenever the numbers in the signals change: it re-runs the extraction and is stored with its results."""
