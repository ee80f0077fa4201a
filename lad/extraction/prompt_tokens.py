"""From a presentation to the tokens of its prompt, and what each token belongs to.

Images stand in the prompt as the placeholders that the processor writes for each of them; a question's text is
tokenised once per sequence of image sizes. That gives exactly what the processor would give for the presentation as a
whole (tests compare them, for every architecture). Texts that are candidates stand in the prompt as they are, each
behind its identifier. A token belongs to a text, or to the query, if it holds any of its characters.
"""

import itertools
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lad.contracts import Keep
from lad.extraction.backbone import TEXT_INPUTS, TOKEN_TYPES, Backbone, BackboneError
from lad.extraction.control_tokens import ControlTokens
from lad.extraction.inputs import InputError, placeholder
from lad.extraction.prompts import Probe, Span

NULL_QUERY: Final = "N/A"
"""What the null query asks for, as in ICR (arXiv 2410.02642)."""


@dataclass(frozen=True)
class Prompt:
    """Tokens of one presentation.

    Attributes:
        token_ids: (T,) int64.
        segments: (T,) int64; k for the tokens of the candidate at position k (0-based), N + k for its delimiters, 2N
            else. Texts have no delimiters.
        candidate_tokens: (N,) tokens of each candidate.
        query: (T,) bool; the tokens that hold characters of the query. None where rows are not kept.
        null: the prompt that asks for `NULL_QUERY` instead, where that is kept.
        types: (T,) int32 each; what the processor says of every token, by the name of the model's argument
            (`mm_token_type_ids` ...). Models work out positions and masks from it.
    """

    token_ids: Tensor
    segments: Tensor
    candidate_tokens: tuple[int, ...]
    query: Tensor | None = None
    null: "Prompt | None" = None
    types: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def n(self) -> int:
        return len(self.candidate_tokens)

    @cached_property
    def behind(self) -> int:
        """The place of the first token behind all candidates and their delimiters: the suffix begins there."""
        return int((self.segments < 2 * self.n).nonzero().max()) + 1


class _Builder:
    """What the two kinds of prompts have in common; remembers those it has built."""

    def __init__(self, backbone: Backbone, probe: Probe, keep: Collection[Keep] = ()) -> None:
        self.backbone = backbone
        self.probe = probe
        self.keep = frozenset(keep)
        self._built: dict[Hashable, Prompt] = {}
        self._control = ControlTokens(backbone.tokenizer)

    def _prompt(self, caption: str, shown: tuple[str, ...], build: Callable[[str, tuple[str, ...]], Prompt]) -> Prompt:
        """The prompt, built once, with that of the null query where it is kept."""
        prompt = self._once(caption, shown, build)
        if "null_query" not in self.keep:
            return prompt
        return replace(prompt, null=self._once(NULL_QUERY, shown, build))

    def _once(self, caption: str, shown: tuple[str, ...], build: Callable[[str, tuple[str, ...]], Prompt]) -> Prompt:
        if (caption, shown) not in self._built:
            self._built[caption, shown] = build(caption, shown)
        return self._built[caption, shown]

    def _tokenize(
        self, text: str, *, offsets: bool, asked: str, users: Sequence[Span]
    ) -> tuple[Tensor, np.ndarray[Any, Any] | None]:
        """(T,) token ids of a rendered prompt and, if asked for, (T, 2) the characters that each holds.

        Args:
            asked: what was handed to the chat template.
            users: where that holds what users wrote, whose control tokens stay text.
        """
        tokenizer = self.backbone.tokenizer
        guarded = any(self._control.written_in(asked[slice(*span)]) for span in users)
        if (offsets or guarded) and not tokenizer.is_fast:
            raise BackboneError(
                f"checkpoint {self.backbone.checkpoint}: its tokenizer does not tell which characters a token holds, so"
                " that the tokens of texts and queries cannot be found; use one with a tokenizer.json"
            )
        # As processors do: a template that begins with the first special token writes all of them.
        bos = tokenizer.bos_token
        plain = bos is not None and text.startswith(bos)
        if guarded:
            at = self._place_of(asked, text)
            own = [(at + first, at + end) for first, end in users]
            try:
                ids, held = self._control.literal(text, users=own, special=not plain)
            except ValueError as error:
                raise InputError(f"the prompt {asked!r} {error}") from None
            return torch.tensor(ids), np.array(held) if offsets else None
        encoded = tokenizer(text, add_special_tokens=not plain, return_offsets_mapping=offsets)
        return torch.tensor(encoded["input_ids"]), np.array(encoded["offset_mapping"]) if offsets else None

    def _place_of(self, asked: str, rendered: str) -> int:
        """Where the text that was handed to the chat template begins in what it wrote (it may trim the text)."""
        if (at := rendered.rfind(asked.strip())) < 0:
            raise BackboneError(
                f"checkpoint {self.backbone.checkpoint}: its chat template changes the text that it is given, so that"
                " the tokens of texts and queries cannot be found"
            )
        return at


def _tokens_in(offsets: np.ndarray[Any, Any], span: Span, shift: int) -> Tensor:
    """(T,) bool: the tokens that hold a character of the span, which is counted from character `shift`."""
    first, end = span[0] + shift, span[1] + shift
    begins, ends = offsets[:, 0], offsets[:, 1]
    return torch.from_numpy((begins < end) & (ends > first) & (ends > begins))


class PromptBuilder(_Builder):
    """Builds the prompts of one probe that show images.

    Raises:
        BackboneError: the processor itself would make another prompt of a whole presentation.
    """

    def __init__(self, backbone: Backbone, probe: Probe, keep: Collection[Keep] = ()) -> None:
        super().__init__(backbone, probe, keep)
        self._layouts: dict[str, _Layout] = {}
        self._types: dict[str, dict[int, int]] = {}
        self._refuse_other_prompts()

    def __call__(self, caption: str, placeholders: Sequence[str]) -> Prompt:
        """The prompt that shows images with these placeholders in this order and then asks for `caption`.

        Raises:
            InputError: the caption holds the processor's image token.
        """
        return self._prompt(caption, tuple(placeholders), self._build)

    def _build(self, caption: str, placeholders: tuple[str, ...]) -> Prompt:
        processor, mark, n = self.backbone.processor, self.backbone.placeholder_token, len(placeholders)
        asked = self.probe.text(n, caption)
        content = [*({"type": "image"} for _ in range(n)), {"type": "text", "text": asked}]
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        between = text.split(mark)
        if len(between) != n + 1:
            raise InputError(
                f"the prompt for caption {caption!r} has {len(between) - 1} image tokens {mark}, it"
                f" shows {n} images; neither caption nor chat template may write others"
            )
        text = between[0] + "".join(image + after for image, after in zip(placeholders, between[1:], strict=True))
        span = self.probe.query_span(n, caption)
        token_ids, offsets = self._tokenize(text, offsets="rows" in self.keep, asked=asked, users=[span])
        layouts = [self._layout(image) for image in placeholders]
        segments = _segments(self.backbone, token_ids, layouts)
        query = None
        if offsets is not None:
            query = _tokens_in(offsets, span, self._place_of(asked, text))
        counts = tuple(layout.image_tokens for layout in layouts)
        return Prompt(token_ids, segments, counts, query, types=self._types_of(token_ids))

    def _types_of(self, token_ids: Tensor) -> dict[str, Tensor]:
        """(T,) int32 each, as of `Prompt`."""
        return {
            name: torch.tensor([types.get(token, 0) for token in token_ids.tolist()], dtype=torch.int32)
            for name, types in self._types.items()
        }

    def _refuse_other_prompts(self) -> None:
        """Try one prompt that shows two blank pictures: it must be the processor's own, token by token."""
        caption, square = "a picture", self.backbone.image_size
        pictures = [Image.new("RGB", (square, square) if square else size) for size in ((96, 64), (64, 96))]
        content = [{"type": "image", "image": picture} for picture in pictures]
        question = {"type": "text", "text": self.probe.text(len(pictures), caption)}
        whole = self.backbone.processor.apply_chat_template(
            [{"role": "user", "content": [*content, question]}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        self._types = _types_by_token(self.backbone, whole)
        prompt = self(caption, [placeholder(self.backbone, picture.size) for picture in pictures])
        if not prompt.token_ids.equal(whole["input_ids"][0]):
            raise BackboneError(
                f"checkpoint {self.backbone.checkpoint}: {type(self.backbone.processor).__name__} writes another prompt"
                " for two pictures together than for each on its own; its images cannot be prepared one by one"
            )

    def _layout(self, placeholder: str) -> "_Layout":
        if placeholder not in self._layouts:
            self._layouts[placeholder] = _layout(self.backbone, placeholder)
        return self._layouts[placeholder]


class TextPromptBuilder(_Builder):
    """Builds the prompts of one probe whose candidates are texts."""

    def __call__(self, query: str, texts: Sequence[str]) -> Prompt:
        """The prompt that lists these texts in this order and then asks for `query`.

        Raises:
            InputError: a text or the query without a token.
        """
        return self._prompt(query, tuple(texts), self._build)

    def _build(self, query: str, texts: tuple[str, ...]) -> Prompt:
        asked, spans, asked_for = self.probe.text_of_texts(texts, query)
        rendered = self._render(asked)
        token_ids, offsets = self._tokenize(rendered, offsets=True, asked=asked, users=[*spans, asked_for])
        assert offsets is not None
        at, n = self._place_of(asked, rendered), len(texts)
        segments = torch.full((len(token_ids),), 2 * n, dtype=torch.int64)
        for k, span in enumerate(spans):
            segments[_tokens_in(offsets, span, at)] = k
        counts = tuple(int((segments == k).sum()) for k in range(n))
        if 0 in counts:
            raise InputError(f"the text {texts[counts.index(0)]!r} has no token of its own in the prompt")
        in_query = _tokens_in(offsets, asked_for, at)
        if "rows" in self.keep and not in_query.any():
            raise InputError(f"the query {query!r} has no token in the prompt")
        return Prompt(token_ids, segments, counts, in_query if "rows" in self.keep else None)

    def _render(self, asked: str) -> str:
        content: Any = [{"type": "text", "text": asked}] if self.backbone.takes_images else asked
        messages = [{"role": "user", "content": content}]
        writes = self.backbone.processor.apply_chat_template
        return str(writes(messages, add_generation_prompt=True, tokenize=False))


@dataclass(frozen=True)
class _Layout:
    """Tokens of what the processor writes for one image.

    Attributes:
        image_tokens: how many there are.
        before, after: how many special tokens stand directly before the first and after the last of them.
    """

    image_tokens: int
    before: int
    after: int


def _types_by_token(backbone: Backbone, whole: Mapping[str, Any]) -> dict[str, dict[int, int]]:
    """What a processor says of the tokens of a prompt, as far as the model takes it: name, token id, type.

    Raises:
        BackboneError: tokens of one id have several types, or the processor says more of tokens than types.
    """
    ids = whole["input_ids"][0].tolist()
    types: dict[str, dict[int, int]] = {}
    for name, value in whole.items():
        if name not in backbone.forward_arguments or name in TEXT_INPUTS:
            continue
        of_every_token = isinstance(value, Tensor) and value.shape == whole["input_ids"].shape
        if not of_every_token:
            continue
        pairs = set(zip(ids, value[0].tolist(), strict=True))
        if not name.endswith(TOKEN_TYPES) or len(pairs) > len(set(ids)):
            raise BackboneError(
                f"checkpoint {backbone.checkpoint}: {type(backbone.processor).__name__} hands its model '{name}', which"
                " does not follow from the tokens of a prompt; its images cannot be prepared one by one"
            )
        types[name] = dict(pairs)
    return types


def _layout(backbone: Backbone, placeholder: str) -> _Layout:
    ids = backbone.processor.tokenizer(placeholder, add_special_tokens=False)["input_ids"]
    places = [place for place, token in enumerate(ids) if token == backbone.image_token_id]
    special = [token in backbone.delimiter_token_ids for token in ids]
    return _Layout(
        image_tokens=len(places),
        before=len(list(itertools.takewhile(bool, reversed(special[: places[0]])))),
        after=len(list(itertools.takewhile(bool, special[places[-1] + 1 :]))),
    )


def _segments(backbone: Backbone, token_ids: Tensor, layouts: Sequence[_Layout]) -> Tensor:
    """(T,) int64, as of `Prompt`: image tokens belong to the images in order, special tokens around them delimit them.

    Special tokens within an image (rows of tiles, say) count as its delimiters as well.
    """
    n, counts = len(layouts), [layout.image_tokens for layout in layouts]
    ids = token_ids.numpy()
    (places,) = np.nonzero(ids == backbone.image_token_id)
    if len(places) != sum(counts):
        raise InputError(f"the prompt has {len(places)} image tokens, its {n} images have {sum(counts)}")
    images = np.split(places, np.cumsum(counts)[:-1])
    special = np.isin(ids, list(backbone.delimiter_token_ids))
    margins = [(layout.before, layout.after) for layout in layouts]
    if not any(map(any, margins)):
        # The processor writes none. The chat template may: then all images have the same one on that side.
        beside = [own[0] - 1 for own in images], [own[-1] + 1 for own in images]
        template = tuple(int(special[side].all() and len(set(ids[side])) == 1) for side in beside)
        margins = [(template[0], template[1])] * n
    segments = np.full(len(ids), 2 * n, dtype=np.int64)
    for k, (own, (before, after)) in enumerate(zip(images, margins, strict=True)):
        extent = slice(own[0] - before, own[-1] + after + 1)
        segments[extent][special[extent]] = n + k
        segments[own] = k
    return torch.from_numpy(segments)
