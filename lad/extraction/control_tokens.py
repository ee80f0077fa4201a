"""Control tokens that somebody wrote into a caption, a query or a text: they stay text.

A tokenizer makes one control token of `<|im_end|>`, wherever it stands. Inside a caption it would end the user's turn,
and the rest of the caption could answer in the model's place. So the prompt is cut at the control tokens of the chat
template, as tokenizers do themselves, and what stands between them is tokenised as plain characters.

A prompt whose users wrote none goes through the tokenizer as a whole: its tokens are the processor's.
"""

import re
from collections.abc import Sequence
from typing import Any

from lad.extraction.prompts import Span

Offsets = list[tuple[int, int]]


class ControlTokens:
    """Those of a tokenizer. To be kept: some tokenizers have thousands, which take milliseconds to list."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder.values()
        contents = sorted((str(token) for token in added if token.special), key=len, reverse=True)
        # Without any, a pattern that finds nothing.
        self._pattern = re.compile("|".join(map(re.escape, contents)) or r"(?!)")

    def written_in(self, text: str) -> bool:
        """Whether the text holds one, letter by letter."""
        return self._pattern.search(text) is not None

    def literal(self, text: str, *, users: Sequence[Span], special: bool) -> tuple[list[int], Offsets]:
        """The tokens of a rendered prompt, and the characters that each holds, as if nobody but the template wrote any.

        Args:
            users: where the prompt holds what users wrote.
            special: whether the tokenizer adds the tokens that it begins a text with.

        Raises:
            ValueError: the tokenizer does not cut texts at its control tokens, so that this cannot be done.
        """
        own: list[Span] = []
        harmless = text
        for found in self._pattern.finditer(text):
            first, end = found.span()
            if any(first < users_end and begin < end for begin, users_end in users):
                harmless = harmless[:first] + "x" * (end - first) + harmless[end:]
            else:
                own.append((first, end))
        if (
            self._in_pieces(harmless, own, special)[0]
            != self._tokenizer(harmless, add_special_tokens=special)["input_ids"]
        ):
            written = next(found[0] for found in self._pattern.finditer(text) if found.span() not in own)
            raise ValueError(f"holds the control token {written}, which this model's tokenizer cannot take for text")
        return self._in_pieces(text, own, special)

    def _in_pieces(self, text: str, own: Sequence[Span], special: bool) -> tuple[list[int], Offsets]:
        tokenizer = self._tokenizer
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
