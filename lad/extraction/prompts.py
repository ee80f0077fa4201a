"""What the model is asked: prompt texts, identifier styles and the probes that combine them.

The texts are those of the paper's Table 9, but for `question`: the paper does not print how it asks MMIU's questions,
which are no captions, so that prompt is ours; so is what candidates and queries are called where they are texts, and
so are the prompts that ask for a page, a passage, a response or an option. All candidates come first, then the text,
then the generation prompt of the model's own chat template. The released code asks with digits; for the other
identifier styles (figure 8) only the identifiers and the noun that names them change.
Two prompts ask for reasoning: of their probes the model writes whole texts (`lad.extraction.texts`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

MAX_CANDIDATES: Final = 12

IDENTIFIERS: Final[dict[str, tuple[str, ...]]] = {
    "digits": tuple(str(k) for k in range(1, MAX_CANDIDATES + 1)),
    "uppercase": tuple("ABCDEFGHIJKL"),
    "lowercase": tuple("abcdefghijkl"),
    "roman": ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"),
    "ordinal": (
        *("first", "second", "third", "fourth", "fifth", "sixth"),
        *("seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"),
    ),
}
"""Identifier of each position, by style; position p (1-based) is `IDENTIFIERS[style][p - 1]`."""

_IDENTIFIER_NOUN: Final = {
    "digits": "index number",
    "uppercase": "index letter",
    "lowercase": "index letter",
    "roman": "index numeral",
    "ordinal": "index word",
}

Span = tuple[int, int]
"""First character of a piece of text, and the one behind its last."""


@dataclass(frozen=True)
class _Words:
    """What candidates are called, what asks for one of them, and how one is written down where it is a text.

    Attributes:
        written: a candidate on its line behind its identifier; or on lines of its own, where texts are long.
        between: what stands between two of them.
    """

    item: str
    items: str
    asks: str
    content: str
    written: str = "{identifier}. {text}\n"
    between: str = ""


_OF_IMAGES: Final = _Words("image", "images", "caption", "visual content")
_OF_TEXTS: Final = _Words("text", "texts", "query", "content")
_OF_PROMPT: Final = {
    "page": _Words("page image", "page images", "question", "visual content"),
    "passage": _Words("passage", "passages", "query", "content"),
    "judge": _Words(
        *("response", "responses", "instruction", "content"), written="Response {identifier}:\n{text}\n", between="\n"
    ),
    "option": _Words("option", "options", "question", "content"),
}
"""Of the prompts that say themselves what candidates are."""

_TASK: Final = (
    "Given {n} {of.items} indexed from {first} to {last}, identify the {of.item} that best matches the provided"
    " {of.asks}."
)
_QUERY: Final = "{caption}"
_PROMPTS: Final = {
    "vanilla": _TASK + " Respond with the {noun} only and nothing else.\n{heading}: {caption}\nAnswer: ",
    "instruction": _TASK
    + " Please note that the provided {of.items} have been randomly shuffled, so it is essential to consider them"
    " fairly and without bias. Analyze the {of.content} objectively and do not be influenced by the order of"
    " the {of.items}. Respond with the {noun} only and nothing else.\n{heading}: {caption}\nAnswer: ",
    "question": "Given {n} {of.items} indexed from {first} to {last}, answer the question by choosing one {of.item}."
    " Respond with the {noun} only and nothing else.\n{heading}: {caption}\nAnswer: ",
    "page": "Given {n} {of.items} indexed from {first} to {last}, identify the {of.item} that holds the answer to the"
    " {of.asks}. Respond with the {noun} only and nothing else.\n{heading}: {caption}\nAnswer: ",
    "passage": "Given {n} {of.items} indexed from {first} to {last}, identify the {of.item} most relevant to the"
    " {of.asks}. Respond with the {noun} only and nothing else.\n{heading}: {caption}\nAnswer: ",
    "judge": "Given {n} {of.items} to one {of.asks}, indexed from {first} to {last}, identify the better {of.item}: the"
    " one that does what the {of.asks} asks, is right and harms nobody. Respond with the {noun} only and nothing"
    " else.\n{heading}: {caption}\nAnswer: ",
    "option": "Given {n} {of.items} indexed from {first} to {last}, identify the {of.item} that answers the {of.asks}"
    " correctly. Respond with the {noun} only and nothing else.\n{heading}: {caption}\nAnswer: ",
    "cot": _TASK
    + "\nPlease think step by step. First, write your reasoning inside <think> and </think> tags. Then, after the"
    " closing </think> tag, output only the final answer index (a single integer from {first} to {last})."
    "\n{heading}: {caption}\nAnswer: <think>",
    "self_consistency": _TASK
    + "\nPlease think step by step to analyze the content of the {of.items}. After your reasoning, provide the final"
    ' answer in the exact format: "The answer is <index>".\n{heading}: {caption}\nAnswer: ',
}


@dataclass(frozen=True)
class Softening:
    """SoFA (Tian et al., arXiv 2503.13792): in some layers, image tokens see later images as well, but less.

    The mask (1 - sigma) causal + sigma bidirectional weighs what causality hides by sigma: log sigma is added to the
    scores. Text stays causal. The authors choose sigma on 32 held-out questions.

    Attributes:
        sigma: 0 (causal) to 1 (bidirectional); the paper fixes 0.5.
        every: softened are layers 0, every, 2 every ... (which of them is not said: our reading).
        scope: what is softened: pairs of tokens of different images (printed), or, as the released code has it, all
            pairs of image tokens and delimiters, within one image as well.
    """

    sigma: float = 0.5
    every: int = 2
    scope: Literal["between", "all"] = "between"

    def __post_init__(self) -> None:
        if not 0 <= self.sigma <= 1 or self.every < 1:
            raise ValueError("sigma lies between 0 and 1, every is at least 1")


@dataclass(frozen=True)
class Generation:
    """How the model writes a presentation's texts, from which the answer is then read.

    Attributes:
        new_tokens: tokens that a text has at most.
        samples: texts of each presentation.
        temperature: divides the logits before a token is drawn; None takes the likeliest token instead (greedy).
        top_k: only so many of the likeliest tokens can be drawn; None for all.
    """

    new_tokens: int
    samples: int = 1
    temperature: float | None = None
    top_k: int | None = None

    def __post_init__(self) -> None:
        counts = (self.samples, self.new_tokens, 1 if self.top_k is None else self.top_k)
        if min(counts) < 1 or (self.temperature is not None and not self.temperature > 0):
            raise ValueError("samples, tokens and topk are at least 1, temperature is above 0")

    @property
    def drawn(self) -> bool:
        """Whether chance has a part in the texts."""
        return self.temperature is not None


@dataclass(frozen=True)
class Probe:
    """How a presentation is asked: a prompt and an identifier style, a softened mask or texts where they are wanted.

    Attributes:
        softening: read the prompt with SoFA's mask.
        generation: let the model write texts behind the prompt, and keep them.
    """

    name: str
    prompt: str = "vanilla"
    style: str = "digits"
    softening: Softening | None = None
    generation: Generation | None = None

    def identifiers(self, n: int) -> tuple[str, ...]:
        """The identifiers of positions 1..n.

        Raises:
            ValueError: if `n` is outside 2..12.
        """
        if not 2 <= n <= MAX_CANDIDATES:
            raise ValueError(f"n = {n}: a question has 2 to {MAX_CANDIDATES} candidates")
        return IDENTIFIERS[self.style][:n]

    def text(self, n: int, caption: str) -> str:
        """The text shown after the `n` images."""
        return caption.join(self._around_query(n, _OF_IMAGES))

    def query_span(self, n: int, caption: str) -> Span:
        """Where the caption stands in that text."""
        before, _ = self._around_query(n, _OF_IMAGES)
        return len(before), len(before) + len(caption)

    def text_of_texts(self, candidates: Sequence[str], query: str) -> tuple[str, list[Span], Span]:
        """The whole text where candidates are texts: each behind its identifier, then what is asked of them.

        Returns:
            The text, where each candidate stands in it, and where the query does.
        """
        of = _OF_PROMPT.get(self.prompt, _OF_TEXTS)
        text = ""
        spans: list[Span] = []
        for identifier, candidate in zip(self.identifiers(len(candidates)), candidates, strict=True):
            begins, ends = of.written.split("{text}")
            text += (of.between if spans else "") + begins.format(identifier=identifier)
            spans.append((len(text), len(text) + len(candidate)))
            text += f"{candidate}{ends}"
        before, after = self._around_query(len(candidates), _OF_TEXTS)
        text += f"\n{before}"
        return f"{text}{query}{after}", spans, (len(text), len(text) + len(query))

    def _around_query(self, n: int, of: _Words) -> tuple[str, str]:
        """What is asked of `n` candidates, before and behind the query."""
        of = _OF_PROMPT.get(self.prompt, of)
        identifiers = self.identifiers(n)
        said = {
            "n": n,
            "first": identifiers[0],
            "last": identifiers[-1],
            "noun": _IDENTIFIER_NOUN[self.style],
            "of": of,
            "heading": "Question" if self.prompt == "question" else of.asks.capitalize(),
        }
        before, after = _PROMPTS[self.prompt].split(_QUERY)
        return before.format(**said), after.format(**said)


PROBES: Final[dict[str, Probe]] = {
    probe.name: probe
    for probe in (
        Probe("vanilla"),
        Probe("instruction", prompt="instruction"),
        Probe("question", prompt="question"),
        *(Probe(prompt, prompt=prompt) for prompt in _OF_PROMPT),
        *(Probe(style, style=style) for style in IDENTIFIERS if style != "digits"),
        Probe("sofa", softening=Softening()),
        Probe("sofa_released", softening=Softening(scope="all")),
        Probe("cot", prompt="cot", generation=Generation(new_tokens=1024)),
        Probe(
            "self_consistency",
            prompt="self_consistency",
            generation=Generation(new_tokens=512, samples=10, temperature=0.7, top_k=40),
        ),
    )
}

_SOFTENING: Final = {"sigma": ("sigma", float), "every": ("every", int)}
_SAMPLING: Final = {
    "samples": ("samples", int),
    "tokens": ("new_tokens", int),
    "temperature": ("temperature", float),
    "topk": ("top_k", int),
}
_SETTINGS: Final[dict[str, tuple[str, dict[str, tuple[str, type]]]]] = {
    "sofa": ("softening", _SOFTENING),
    "sofa_released": ("softening", _SOFTENING),
    "cot": ("generation", {"tokens": _SAMPLING["tokens"]}),
    "self_consistency": ("generation", _SAMPLING),
}
"""Which part of a probe its name may set, and the settings in their order: field and type, by the word in the name."""

_NUMBER: Final = {int: r"\d+", float: r"\d+(?:\.\d+)?"}


def get_probe(name: str) -> Probe:
    """The probe of that name. Some take settings there: `sofa-sigma0.3-every1`, `self_consistency-samples3-tokens64`.

    Raises:
        ValueError: if there is none, or a setting is impossible; the message lists what there is.
    """
    if name in PROBES:
        return PROBES[name]
    base, _, settings = name.partition("-")
    part, words = _SETTINGS.get(base, ("", {}))
    grammar = "".join(rf"(?:-{word}(?P<{word}>{_NUMBER[kind]}))?" for word, (_, kind) in words.items())
    given = re.fullmatch(grammar, f"-{settings}")
    if not words or given is None:
        raise ValueError(
            f"unknown probe '{name}'; known: {', '.join(PROBES)}, and for settings sofa-sigma0.3-every1, cot-tokens64,"
            " self_consistency-samples3-tokens64-temperature0.5-topk20, each in part or in whole"
        )
    try:
        changes = {words[word][0]: words[word][1](value) for word, value in given.groupdict().items() if value}
        return replace(PROBES[base], name=name, **{part: replace(getattr(PROBES[base], part), **changes)})
    except ValueError as error:
        raise ValueError(f"probe '{name}': {error}") from None
