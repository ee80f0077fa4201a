"""Sample files of lmms-eval, `{date}_samples_{task}.jsonl` (--log_samples): one object per document.

As its documentation has it (docs/getting-started/commands.md, and lmms_eval/loggers/evaluation_tracker.py at commit
75571cf): doc_id, input (the prompt), target, resps (left out where it equals the next), filtered_resps (what was
scored) and others. Files of before version 0.7 have the prompt in arguments. Since nothing says how options were
ordered, the options are read from the prompt: lines such as "A. red", "(B) blue", one below the other, from A.

A question's orders come from several runs, whose files are given together: doc_id is the question. Of a task that
compares likelihoods, filtered_resps holds a number for each option. lmms-eval itself says that many of its models put
down the loss there (lmms_eval/api/task.py), and the file does not say which; so the key `likelihoods` has to.
"""

import re
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from lad.logs.base import (
    Log,
    Shown,
    brief,
    identifiers,
    json_lines,
    place_among,
    refuse,
    refuse_impossible,
    shown_by,
)

_OPTION: Final = re.compile(r"^[ \t]*\(?([A-Z])[.):][ \t]*(\S.*?)[ \t]*$", re.MULTILINE)


class LmmsEval(Log):
    format: Literal["lmms_eval"] = Field(description="A sample file of lmms-eval.")
    likelihoods: Literal["loss", "logprobs"] | None = Field(
        None,
        description="What the numbers of a task that compares likelihoods are: losses, the less the better, or"
        " log-probabilities.",
    )

    def read(self, path: Path) -> list[Shown]:
        return shown_by(path, json_lines(path), self._shown)

    def _shown(self, where: str, sample: Any) -> list[Shown]:
        if not isinstance(sample, dict):
            refuse("is not an object")
        if missing := [name for name in ("doc_id", "filtered_resps") if name not in sample]:
            refuse(f"has no {missing[0]}; a sample has doc_id, input, target and filtered_resps")
        options = _options(sample)
        responses = sample["filtered_resps"]
        likelihoods = _likelihoods(responses, len(options))
        if likelihoods and not self.likelihoods:
            refuse(
                "holds likelihoods, which are losses with some of lmms-eval's models: say --likelihoods loss, or"
                " --likelihoods logprobs"
            )
        sign = -1 if self.likelihoods == "loss" else 1
        facts: dict[str, Any] = {
            "where": where,
            "question_id": str(sample["doc_id"]),
            "candidates": options,
            "target_position": _target(sample.get("target"), options, counted=bool(likelihoods)),
        }
        if likelihoods:
            return [Shown(**facts, logprobs=tuple(sign * value for value in likelihoods))]
        return [Shown(**facts, text=text) for text in _texts(responses)]


FORMAT = LmmsEval


def _options(sample: dict[str, Any]) -> tuple[str, ...]:
    """The options as the prompt shows them: the last run of lines A, B, C ... (examples may come before)."""
    prompt = _first_text(sample.get("input", sample.get("arguments")))
    runs: list[list[str]] = []
    for letter, text in _OPTION.findall(prompt or ""):
        if letter == "A":
            runs.append([])
        if runs and letter == chr(ord("A") + len(runs[-1])):
            runs[-1].append(text)
    if not runs or len(runs[-1]) < 2:
        refuse(
            "shows no options A, B ... in its prompt, so that nobody can say what stood where; write a table of format"
            " answers with the orders"
        )
    refuse_impossible(runs[-1])
    return tuple(runs[-1])


def _first_text(value: object) -> str | None:
    """The first text in lists of lists."""
    if isinstance(value, list):
        return next((text for part in value if (text := _first_text(part)) is not None), None)
    return value if isinstance(value, str) else None


def _texts(value: object) -> list[str]:
    """All responses: a task may ask the same several times."""
    return [text for part in value for text in _texts(part)] if isinstance(value, list) else [str(value)]


def _likelihoods(responses: object, n: int) -> tuple[float, ...] | None:
    """The number of each option, of pairs (number, whether the option is what greedy decoding gives)."""
    if not isinstance(responses, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in responses):
        return None
    try:
        values = tuple(float(pair[0]) for pair in responses)
    except (TypeError, ValueError):
        return None
    if len(values) != n:
        refuse(f"holds {len(values)} likelihoods, but its prompt shows {n} options")
    return values


def _target(target: object, options: tuple[str, ...], *, counted: bool) -> int | None:
    """Where the target is. Of a task that compares likelihoods it is the option's number, from 0."""
    if target in (None, "", "None"):
        return None
    place = place_among(target, options, identifiers("uppercase", len(options)))
    if place is None and counted and str(target).isdecimal() and int(str(target)) < len(options):
        place = int(str(target)) + 1
    if place is None:
        refuse(f"has target {brief(target)}; expected is a letter or one of the options, {brief(options)}")
    return place
