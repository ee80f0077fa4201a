"""The options of artifacts: each artifact has a dataclass of its own, with types, defaults and meanings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Final, Self, get_args, get_origin, get_type_hints

from lad.grid import CalibrationSource
from lad.report.artifact import ArtifactError
from lad.report.needs import Condition, Key

CONFIGURED: Final = "configured"
"""Marks an option that follows from the rest of a configuration: `report.artifacts` does not set it."""

Setting = Annotated[str, "random or adversarial; or a task of the dataset"]
Size = Annotated[int, "number of candidates"]
Settings = Annotated[tuple[str, ...], "settings side by side"]
Sizes = Annotated[tuple[int, ...], "numbers of candidates side by side"]
TopK = Annotated[int, "the configured number K of layers in L*, eq. 9", CONFIGURED]
Temperature = Annotated[float, "the configured tau, eq. 12", CONFIGURED]


@dataclass(frozen=True, kw_only=True)
class ArtifactOptions:
    """What every artifact is told. A subclass adds what its artifact shows.

    An option is a field `name: Annotated[type, meaning]`, with a default unless it has to be given.
    """

    model: Annotated[str, "model, by its name in the configuration"]
    dataset: Annotated[str, "dataset, by its name in the configuration"]
    probe: Annotated[str, "how it was asked"] = "vanilla"
    label: Annotated[str, "what the numbers were measured on, written on every artifact", CONFIGURED]
    calibration_questions: Annotated[int, "the configured number of calibration questions, |D_cal|", CONFIGURED] = 5

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """Options from names and values. Values may be text, lists separated by commas.

        Raises:
            ArtifactError: an unknown or missing name, or a value of the wrong kind.
        """
        options = {option.name: option for option in options_of(cls)}
        if unknown := sorted(set(given) - set(options)):
            raise ArtifactError(f"unknown option {', '.join(unknown)}; known: {', '.join(options)}")
        if missing := [name for name, option in options.items() if option.default is MISSING and name not in given]:
            raise ArtifactError(f"option {', '.join(missing)} not given")
        return cls(**{name: options[name].convert(value) for name, value in given.items()})

    def condition(self, **keys: Key) -> Condition:
        """The condition with these keys.

        What is not said is the options' model, dataset and probe, no variant, and calibration on the configured number
        of the condition's own questions.
        """
        filled: dict[str, Any] = {
            **{"model": self.model, "dataset": self.dataset, "probe": self.probe},
            **{"calibration_questions": self.calibration_questions, **keys},
        }
        filled.setdefault("source", CalibrationSource(filled["dataset"], filled["setting"]))
        return Condition(**filled)


@dataclass(frozen=True)
class Option:
    """One option of an artifact.

    Attributes:
        kind: its type.
        default: MISSING where it has to be given.
        configured: whether it follows from the rest of a configuration.
    """

    name: str
    kind: Any
    default: Any
    meaning: str
    configured: bool

    def convert(self, value: Any) -> Any:
        """The value in the option's type.

        Raises:
            ArtifactError: it cannot be read so.
        """
        if value is None and type(None) in get_args(self.kind):
            return None
        if get_origin(self.kind) is tuple:
            items = value.split(",") if isinstance(value, str) else value
            if isinstance(items, list | tuple):
                return tuple(self._convert(get_args(self.kind)[0], item, value) for item in items)
        return self._convert(self.kind, value, value)

    def _convert(self, kind: Any, value: Any, given: Any) -> Any:
        several = " separated by commas" if get_origin(self.kind) is tuple else ""
        if kind in (int, float):
            try:
                return kind(str(value))
            except ValueError:
                what = f"numbers{several}" if several else "a number"
                raise ArtifactError(f"option {self.name} = {given!r}: expected {what}") from None
        if not isinstance(value, str | Path):
            raise ArtifactError(f"option {self.name} = {given!r}: expected {f'names{several}' if several else 'text'}")
        return Path(value) if Path in get_args(kind) else str(value)


def options_of(options: type[ArtifactOptions]) -> list[Option]:
    """The options of such a class, in their order."""
    hints = get_type_hints(options, include_extras=True)
    described = []
    for field in fields(options):
        kind, meaning, *marks = get_args(hints[field.name])
        described.append(Option(field.name, kind, field.default, meaning, CONFIGURED in marks))
    return described


def selectable(options: type[ArtifactOptions]) -> list[Option]:
    """The options that `report.artifacts` of a configuration may set."""
    return [option for option in options_of(options) if not option.configured]


def in_words(value: Any) -> str:
    """A value of an option, "[4, 8]"; "" for none."""
    if value is MISSING or value is None or value == ():
        return ""
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)
