"""Logs of inspect_ai (`.eval` or `.json`): the samples of a multiple-choice task, read by inspect_ai itself.

A sample's choices are what stood at the positions A, B ..., its target is the letter of the right one, and its output
is the answer (https://inspect.aisi.org.uk/solvers.html, multiple_choice). The question is the sample's id; its orders
come from several files, or from epochs: where the metadata have `lad_order`, that is the order in which the choices
were shown, as the solver of adapters/inspect_lad writes it. Where the provider told log-probabilities (logprobs=True,
top_logprobs=20), those of the letters are read at the token that is the answer's letter.

The solver's old option `shuffle` shows another order than the log has; such logs are refused.
"""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from lad.logs.base import (
    Log,
    LogError,
    Shown,
    brief,
    identifiers,
    place_among,
    refuse,
    refuse_impossible,
    shown_by,
)

ORDER: Final = "lad_order"
"""The entry of a sample's metadata that says which of its choices stood at each position, from 1."""

_BEFORE_THE_LETTER: Final = re.compile(r"(?:^|answer\s*(?:is)?\s*:?)[\s(\[*]*$", re.IGNORECASE)


class InspectLog(Log):
    format: Literal["inspect"] = Field(description="A log of inspect_ai, of a multiple-choice task.")

    def read(self, path: Path) -> list[Shown]:
        return shown_by(path, _samples(path), shown_in)


FORMAT = InspectLog


def shown_in(where: str, sample: Any) -> list[Shown]:
    """What a sample (EvalSample) shows, and what came back.

    Raises:
        FaultError: no choices, several targets, or choices that the solver shuffled.
    """
    if not sample.choices:
        refuse("has no choices; only multiple-choice tasks can be read")
    refuse_impossible(sample.choices)
    order = (sample.metadata or {}).get(ORDER)
    if order is None and any(
        (score.explanation or "").startswith("Choices were shuffled") for score in (sample.scores or {}).values()
    ):
        refuse(
            "was shuffled by the option shuffle of multiple_choice, and its log does not tell the order that was shown;"
            " shuffle the dataset instead (shuffle_choices), or use the solver of inspect_lad"
        )
    letters = identifiers("uppercase", len(sample.choices))
    targets = [sample.target] if isinstance(sample.target, str) else list(sample.target)
    if len(targets) > 1:
        refuse(f"has several targets, {brief(targets)}")
    target_position = place_among(targets[0], (), letters) if targets and targets[0] else None
    if targets and targets[0] and target_position is None:
        refuse(f"has target {brief(targets[0])}; expected is one of {', '.join(letters)}")
    if order is not None:
        if sorted(order) != list(range(1, len(letters) + 1)):
            refuse(f"has {ORDER} {brief(order)}; it holds each of 1 to {len(letters)} once")
        target_position = None if target_position is None else order.index(target_position) + 1
    return [
        Shown(
            where=where,
            question_id=str(sample.id),
            candidates=tuple(sample.choices[at - 1] for at in order or range(1, len(letters) + 1)),
            target_position=target_position,
            text=sample.output.completion,
            logprobs=letter_logprobs(sample.output, letters),
        )
    ]


def letter_logprobs(output: Any, letters: Sequence[str]) -> tuple[float | None, ...] | None:
    """The log-probability of each letter at the token that is the answer's.

    That is the first token that is a letter and stands at the beginning or behind "ANSWER:". Tokens that differ in
    their white space add up: " B" is B.

    Args:
        output: a ModelOutput.

    Returns:
        None for each letter that is not among the most probable tokens; None where there are no log-probabilities or
        the text has no such token.
    """
    if not output.choices or output.choices[0].logprobs is None:
        return None
    before = ""
    for token in output.choices[0].logprobs.content:
        if token.token.strip() in letters and _BEFORE_THE_LETTER.search(before):
            entries = token.top_logprobs or [token]
            return tuple(_total(entry.logprob for entry in entries if entry.token.strip() == each) for each in letters)
        before += token.token
    return None


def _total(logprobs: Iterator[float]) -> float | None:
    values = list(logprobs)
    return math.log(sum(map(math.exp, values))) if values else None


def _samples(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        from inspect_ai.log import read_eval_log
    except ModuleNotFoundError:
        raise LogError(f"{path}: logs of inspect_ai are read by inspect_ai itself: pip install inspect_ai") from None
    try:
        samples = read_eval_log(str(path)).samples or []
    except Exception as error:  # whatever reading a zip archive, JSON and pydantic raise
        raise LogError(f"{path}: not a readable log of inspect_ai ({error or type(error).__name__})") from None
    for sample in sorted(samples, key=lambda sample: sample.epoch):  # so that rounds follow epochs
        yield f"sample {sample.id} epoch {sample.epoch}", sample
