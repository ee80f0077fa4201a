"""What a method may be told.

Every option has a type, a default, allowed values and a meaning, each said once: here, or in the module of the only
method that has it.

The options of a method are a frozen dataclass; the annotation of each field says what it may be and what it means.
Methods that share a step share its options by inheriting them: whatever chooses layers has those of `ChoosesLayers`.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, Literal, Self, get_args, get_type_hints

from lad.calibration.formulation import Formulation, FormulationError, get_formulation
from lad.calibration.rows import Row, keeps
from lad.contracts import Keep
from lad.refusal import Refusal


class ScoringError(Refusal):
    """A method that does not exist or does not fit what it was given; the message says what does."""


@dataclass(frozen=True)
class Kind:
    """The values that an option may have.

    Attributes:
        allowed: these values, in words.
        read: from text to value; raises ValueError for text that is none.
    """

    allowed: str
    read: Callable[[str], Any]

    @classmethod
    def one_of(cls, values: dict[str, Any]) -> Self:
        """The kind of option for which each of these words stands for a value."""

        def read(text: str) -> Any:
            if text not in values:
                raise ValueError(text)
            return values[text]

        return cls(", ".join(values), read)


@dataclass(frozen=True)
class Option:
    """One option of a method.

    Attributes:
        name: in Python and in YAML.
        short: the symbol that the paper has for it; '' where it has none.
    """

    name: str
    short: str
    kind: Kind
    default: Any
    meaning: str

    @property
    def label(self) -> str:
        """The name on the command line and in the column `variant`."""
        return self.short or self.name

    def read(self, value: object, given: str) -> Any:
        """The value, from text or as YAML has it, of the option that goes by the name `given`.

        Raises:
            ScoringError: an impossible value.
        """
        try:
            return self.kind.read(as_text(value))
        except FormulationError as error:
            raise ScoringError(str(error)) from None
        except ValueError:
            raise ScoringError(f"option {given} cannot be '{value}'; allowed: {self.kind.allowed}") from None


@dataclass(frozen=True)
class Means:
    """What the field of a dataclass of options means, in its annotation, and the paper's symbol for it."""

    meaning: str
    short: str = ""


def options_of(options: type["Options"]) -> dict[str, Option]:
    """The options of a dataclass of options by their full names, its own before those that it inherits."""
    hints = get_type_hints(options, include_extras=True)
    bases = [getattr(part, "__dataclass_fields__", {}) for part in options.__mro__]
    own_first = sorted(fields(options), key=lambda f: sum(f.name in inherited for inherited in bases))
    return {f.name: _option(f.name, f.default, hints[f.name]) for f in own_first}


def _option(name: str, default: Any, hint: Any) -> Option:
    values, *notes = get_args(hint)
    (means,) = (note for note in notes if isinstance(note, Means))
    kinds = [note for note in notes if isinstance(note, Kind)] or [_one_of(get_args(values))]
    return Option(name, means.short, kinds[0], default, means.meaning)


@cache
def _one_of(words: tuple[str, ...]) -> Kind:
    return Kind.one_of({word: word for word in words})


def as_text(value: object) -> str:
    """A value of an option as on the command line: yes for True, 3-5 for (3, 5)."""
    match value:
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return "-".join(map(str, value))
        case _:
            return str(value).strip()


# --- kinds of values -------------------------------------------------------------------------------------------


def parse_layers(text: str) -> tuple[int, int]:
    """Read a range of layers `A-B`: first and last, from 0, both included.

    Raises:
        ScoringError: if `text` is no such range.
    """
    bounds = re.fullmatch(r"(\d+)-(\d+)", text)
    if bounds is None or int(bounds[1]) > int(bounds[2]):
        raise ScoringError(f"layers cannot be '{text}'; allowed: first-last, from 0, such as 21-35")
    return int(bounds[1]), int(bounds[2])


def _read_count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError(text)
    return count


def _read_passes(text: str) -> int | Literal["all"]:
    return "all" if text == "all" else _read_count(text)


def _read_above_zero(text: str) -> float:
    number = float(text)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(text)
    return number


Count = Annotated[int, Kind("a whole number from 1", _read_count)]
AboveZero = Annotated[float, Kind("a number above 0", _read_above_zero)]
YesOrNo = Annotated[bool, Kind.one_of({"yes": True, "no": False})]
Passes = Annotated[
    int | Literal["all"],
    Kind("all, or a whole number from 1", _read_passes),
    Means(
        "how many orders of the question an answer rests on, the presentation's own first. all: every order that the"
        " signals hold"
    ),
]
OfOrders = Literal["evaluated", "cyclic", "random"]
Orders = Annotated[
    OfOrders | None,
    Kind.one_of({kind: kind for kind in get_args(OfOrders)}),
    Means(
        "from which orders of the question it answers. evaluated: those that all methods are evaluated on; cyclic: its"
        " N cyclic shifts, split symmetrized; random: more random orders, split permuted. If it is not set,"
        " permutation_average answers from cyclic, others from evaluated"
    ),
]
Layers = Annotated[
    Literal["all"] | tuple[int, int] | None,
    Kind("all, or first-last such as 21-35", lambda text: "all" if text == "all" else parse_layers(text)),
]
FormulationName = Annotated[
    str,
    Kind(
        "printed, released, or one of them with fields changed such as printed+mixture=logs",
        lambda text: get_formulation(text).name,
    ),
]


# --- options that several methods share ------------------------------------------------------------------------


Signal = Literal["answers", "logprobs", "attention", "texts"]
"""What of its signals a method answers from. answers: which position was answered, be it by log-probabilities."""


@dataclass(frozen=True)
class Options:
    """The options of a method that has none."""

    @property
    def reads(self) -> Signal:
        """What of the signals they ask for; who reads attention may read log-probabilities as well."""
        return "logprobs"

    @property
    def keeps(self) -> frozenset[Keep]:
        """What extraction keeps for them only where it is asked to."""
        return frozenset()

    @property
    def are_calibrated(self) -> bool:
        """Whether they ask for what is chosen on calibration questions."""
        return False


@dataclass(frozen=True)
class ReadsEquations(Options):
    """The option of what the paper prints in one way and its authors' code does in another."""

    formulation: Annotated[FormulationName, Means("the paper's equations, or those of its authors' code")] = "printed"

    @property
    def equations(self) -> Formulation:
        return get_formulation(self.formulation)


@dataclass(frozen=True)
class ReadsRow(Options):
    """The option of what reads attention."""

    row: Annotated[
        Row,
        Means(
            "whose attention is read. last: the prompt's last token, as in the paper; query: the query's tokens, their"
            " mean; suffix: all tokens behind the candidates, their mean"
        ),
    ] = "last"

    @property
    def reads(self) -> Signal:
        return "attention"


@dataclass(frozen=True)
class ChoosesLayers(ReadsEquations, ReadsRow):
    """Options of what reads the attention of chosen layers, L* of eq. 9."""

    layers_by: Annotated[
        Literal["mass", "found"],
        Means(
            "how layers are chosen. mass: of each presentation those that look at candidates most, eq. 9; found: those"
            " that most often look at the target most on the calibration questions, the prior divided out"
        ),
    ] = "mass"

    top_k: Annotated[Count, Means("how many layers are chosen: K of eq. 9", short="k")] = 2
    layers: Annotated[
        Layers,
        Means(
            "which layers eq. 9 may choose, from 0; all: every one of them is taken, whatever K; by default it chooses"
            " among all that the calibration covers, or that the model has where no calibration is read"
        ),
    ] = None

    @property
    def keeps(self) -> frozenset[Keep]:
        return keeps(self.row)

    @property
    def are_calibrated(self) -> bool:
        return self.layers_by == "found"


@dataclass(frozen=True)
class Purifies(ChoosesLayers):
    """Options of what reads purified attention, eq. 8 to 12."""

    temperature: Annotated[AboveZero, Means("sharpness of the attention posterior: tau of eq. 12", short="tau")] = 5.0
    prior: Annotated[YesOrNo, Means("whether the attention prior is divided out, eq. 11")] = True


@dataclass(frozen=True)
class ReadsTexts(Options):
    """The option of what looks for an index in generated text."""

    parse: Annotated[
        Literal["integers", "released"],
        Means(
            "what counts as an index. integers: whole numbers that stand for themselves, not those of 3.5, -3, 4 % or"
            " 3D; released: any digits, by the released code's rules"
        ),
    ] = "integers"

    @property
    def reads(self) -> Signal:
        return "texts"
