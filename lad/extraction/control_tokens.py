"""Control tokens that somebody wrote into a caption, a query or a text: they stay text.

A tokenizer makes one control token of `<|im_end|>`, wherever it stands. Inside a caption it would end the user's turn,
and the rest of the caption could answer in the model's place. So the prompt is cut at the control tokens of the chat
template, as tokenizers do themselves, and what stands between them is tokenised as plain characters.

A prompt whose users wrote none goes through the tokenizer as a whole: its tokens are the processor's.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from lad.extraction.prompts import Span

Offsets = list[tuple[int, int]]


def written_in(tokenizer: Any, text: str) -> bool:
    """Whether the text holds a control token of this tokenizer, letter by letter."""
    return _pattern(tuple(tokenizer.added_tokens_decoder.values())).search(text) is not None


def literal(tokenizer: Any, text: str, *, users: Sequence[Span], special: bool) -> tuple[list[int], Offsets]:
    """The tokens of a rendered prompt, and the characters that each holds, as if nobody but the template wrote any.

    Args:
        users: where the prompt holds what users wrote.
        special: whether the tokenizer adds the tokens that it begins a text with.

    Raises:
        ValueError: the tokenizer does not cut texts at its control tokens, so that this cannot be done.
    """
    own = [place for place in _places(tokenizer, text) if not _overlaps(place, users)]
    inside = [place for place in _places(tokenizer, text) if _overlaps(place, users)]
    harmless = text
    for first, end in inside:
        harmless = harmless[:first] + "x" * (end - first) + harmless[end:]
    if _in_pieces(tokenizer, harmless, own, special)[0] != tokenizer(harmless, add_special_tokens=special)["input_ids"]:
        written = text[slice(*inside[0])]
        raise ValueError(f"holds the control token {written}, which this model's tokenizer cannot take for text")
    return _in_pieces(tokenizer, text, own, special)


def _in_pieces(tokenizer: Any, text: str, own: Sequence[Span], special: bool) -> tuple[list[int], Offsets]:
    ids: list[int] = list(tokenizer("", add_special_tokens=special)["input_ids"])
    offsets: Offsets = [(0, 0)] * len(ids)
    for (_, begin), (end, after) in zip([(0, 0), *own], [*own, (len(text), len(text))], strict=True):
        plain = tokenizer(
            text[begin:end], add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        ids += plain["input_ids"]
        offsets += [(begin + first, begin + last) for first, last in plain["offset_mapping"]]
        if after > end:
            ids.append(tokenizer.convert_tokens_to_ids(text[end:after]))
            offsets.append((end, after))
    return ids, offsets


def _places(tokenizer: Any, text: str) -> list[Span]:
    return [found.span() for found in _pattern(tuple(tokenizer.added_tokens_decoder.values())).finditer(text)]


def _overlaps(place: Span, spans: Sequence[Span]) -> bool:
    return any(place[0] < end and first < place[1] for first, end in spans)


@lru_cache(maxsize=8)
def _pattern(added: tuple[Any, ...]) -> re.Pattern[str]:
    control = sorted((str(token) for token in added if token.special), key=len, reverse=True)
    # Without any, a pattern that finds nothing.
    return re.compile("|".join(map(re.escape, control)) or r"(?!)")
