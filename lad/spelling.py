"""Hints for words that were mistyped."""

import difflib
from collections.abc import Iterable


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """A question that names the nearest of the known words, whatever their case; nothing where none is near."""
    by_lower = {word.lower(): word for word in known}
    near = difflib.get_close_matches(wrong.lower(), by_lower, 1)
    return f" (did you mean '{by_lower[near[0]]}'?)" if near else ""
