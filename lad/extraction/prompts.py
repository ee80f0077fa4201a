"""What the model is asked: prompt texts, identifier styles and the probes that combine them.

The texts are those of the paper's Table 9, but for `question`: the paper does not print how it asks MMIU's questions,
which are no captions, so that prompt is ours. All images come first, then the text, then the generation prompt of the
model's own chat template. The released code asks with digits; for the other identifier styles (figure 8) only the
identifiers and the noun that names them change.
"""

import re
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

_TASK: Final = (
    "Given {n} images indexed from {first} to {last}, identify the image that best matches the provided caption."
)
_PROMPTS: Final = {
    "vanilla": _TASK + " Respond with the {noun} only and nothing else.\nCaption: {caption}\nAnswer: ",
    "instruction": _TASK
    + " Please note that the provided images have been randomly shuffled, so it is essential to consider them"
    " fairly and without bias. Analyze the visual content objectively and do not be influenced by the order of"
    " the images. Respond with the {noun} only and nothing else.\nCaption: {caption}\nAnswer: ",
    "question": "Given {n} images indexed from {first} to {last}, answer the question by choosing one image."
    " Respond with the {noun} only and nothing else.\nQuestion: {caption}\nAnswer: ",
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


@dataclass(frozen=True)
class Probe:
    """How a presentation is asked: a prompt, an identifier style, and a softened mask where one is wanted."""

    name: str
    prompt: str = "vanilla"
    style: str = "digits"
    softening: Softening | None = None

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
        identifiers = self.identifiers(n)
        return _PROMPTS[self.prompt].format(
            n=n, first=identifiers[0], last=identifiers[-1], noun=_IDENTIFIER_NOUN[self.style], caption=caption
        )


PROBES: Final[dict[str, Probe]] = {
    probe.name: probe
    for probe in (
        Probe("vanilla"),
        Probe("instruction", prompt="instruction"),
        Probe("question", prompt="question"),
        *(Probe(style, style=style) for style in IDENTIFIERS if style != "digits"),
        Probe("sofa", softening=Softening()),
        Probe("sofa_released", softening=Softening(scope="all")),
    )
}

_SOFTENED: Final = re.compile(r"(?P<base>sofa|sofa_released)(-sigma(?P<sigma>[0-9.]+))?(-every(?P<every>[0-9]+))?")


def get_probe(name: str) -> Probe:
    """The probe of that name; those of SoFA take settings, `sofa-sigma0.3-every1`.

    Raises:
        ValueError: if there is none; the message lists those there are.
    """
    if name in PROBES:
        return PROBES[name]
    settings = _SOFTENED.fullmatch(name)
    if settings is None:
        raise ValueError(
            f"unknown probe '{name}'; known: {', '.join(PROBES)}, and sofa-sigma0.3-every1 for its settings"
        )
    softening = PROBES[settings["base"]].softening
    assert softening is not None
    sigma, every = float(settings["sigma"] or softening.sigma), int(settings["every"] or softening.every)
    if not 0 <= sigma <= 1 or every < 1:
        raise ValueError(f"probe '{name}': sigma lies between 0 and 1, every is at least 1")
    return Probe(name, softening=replace(softening, sigma=sigma, every=every))
