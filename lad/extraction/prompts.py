"""What the model is asked: prompt texts, identifier styles and the probes that combine them.

The texts are those of the paper's Table 9. All images come first, then the text, then the generation prompt of the
model's own chat template. The released code asks with digits; for the other identifier styles (figure 8) only the
identifiers and the noun that names them change.
"""

from dataclasses import dataclass
from typing import Final

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
}


@dataclass(frozen=True)
class Probe:
    """How a presentation is asked: a prompt and an identifier style."""

    name: str
    prompt: str = "vanilla"
    style: str = "digits"

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
        *(Probe(style, style=style) for style in IDENTIFIERS if style != "digits"),
    )
}


def get_probe(name: str) -> Probe:
    """The probe of that name.

    Raises:
        ValueError: if there is none; the message lists those there are.
    """
    if name not in PROBES:
        raise ValueError(f"unknown probe '{name}'; known: {', '.join(PROBES)}")
    return PROBES[name]
