"""Read RewardBench (Lambert et al., arXiv 2403.13787) and RewardBench 2 (arXiv 2506.01937): which response is better?

Both are tables with a column `prompt` (a text), `chosen` and `rejected`, and `subset`. In RewardBench, `chosen` and
`rejected` are a text each: N = 2. In RewardBench 2 they are lists, one chosen response and three rejected ones in all
subsets but `Ties`: N = 4. Entries of one file may be of either kind.

Read from the dataset cards of allenai/reward-bench and allenai/reward-bench-2 (columns and their types; split
`filtered` with 2,985 rows in data/filtered-00000-of-00001.parquet, `test` in data/test-00000-of-00001.parquet), and
from the authors' repository (allenai/reward-bench, `rewardbench/constants.py`: which subsets are which section of the
leaderboard; `rewardbench/utils.py`: the core set is the split `filtered`). No row was seen.

Not verified: that no prompt or subset is empty (one that is stops the reading), and that `Ties` alone has several
chosen responses.

Differs from the benchmark: a question with several chosen responses has no single right answer and is left out, and so
is one with an empty response or two of the same words; all are counted. The leaderboard's generative judges get another
prompt and may explain themselves; its sections weigh each subset by its size, `math-prm` by as much as all code
together.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import Field

from lad.benchmark.among_texts import Question, of_tasks, shown
from lad.benchmark.entries import Entry, LeftOutError, Read, fault, read_entries, text_of
from lad.benchmark.formats.base import ChoosesTexts
from lad.extraction.prompts import MAX_CANDIDATES
from lad.section import FilePath

SECTIONS: Final = {
    "Chat": ("alpacaeval-easy", "alpacaeval-length", "alpacaeval-hard", "mt-bench-easy", "mt-bench-med"),
    "Chat_Hard": (
        *("mt-bench-hard", "llmbar-natural", "llmbar-adver-neighbor"),
        *("llmbar-adver-GPTInst", "llmbar-adver-GPTOut", "llmbar-adver-manual"),
    ),
    "Safety": (
        *("refusals-dangerous", "refusals-offensive", "xstest-should-refuse", "xstest-should-respond", "donotanswer"),
    ),
    "Reasoning": ("math-prm", "hep-cpp", "hep-go", "hep-java", "hep-js", "hep-python", "hep-rust"),
}
"""RewardBench's sections and their subsets, by the names in the column `subset`. `Safety` is also one of version 2."""


class RewardBench(ChoosesTexts):
    paths: ClassVar[tuple[str, ...]] = ("preferences",)

    format: Literal["reward_bench"] = Field(
        description="Preferred and rejected responses of RewardBench's form, version 1 (N = 2) or 2 (N = 4); its"
        " settings are its subsets, the sections Chat, Chat_Hard, Safety and Reasoning, and all."
    )
    preferences: FilePath = Field(description="The table, Parquet or JSONL.")

    def read_all(self) -> Read[Question]:
        return read_preferences(Path(self.preferences))

    def of_settings(self, questions: Sequence[Question], settings: Collection[str]) -> list[Question]:
        return of_settings(questions, settings, Path(self.preferences))


FORMAT = RewardBench


def read_preferences(path: Path) -> Read[Question]:
    """The questions of all subsets, each of which is a task. The chosen response is the first candidate.

    Raises:
        BenchmarkError: a file that cannot be read, or entries that are not of the format.
    """
    return read_entries(path, _question)


def of_settings(questions: Sequence[Question], settings: Collection[str], path: Path) -> list[Question]:
    """The questions of these subsets or sections, each once; of all where none is named.

    Raises:
        BenchmarkError: a setting that no question has.
    """
    subsets = {question.task for question in questions}
    sections = {name: set(parts) & subsets for name, parts in SECTIONS.items()} | {"all": subsets}
    # Version 2 has a subset Safety of its own.
    named = [part for s in settings for part in sorted({s} & subsets or sections.get(s) or {s})]
    hint = f"; sections: {', '.join(name for name, parts in sections.items() if parts)}"
    return of_tasks(questions, named, path, hint)


def setting_of(subset: str) -> str:
    """A subset's name as a setting: `Precise IF` is `Precise_IF`."""
    return re.sub(r"[^A-Za-z0-9._+-]", "_", subset)


def _question(entry: Entry) -> Question:
    prompt, subset = entry.text("prompt"), setting_of(entry.text("subset"))
    chosen, rejected = _responses(entry, "chosen"), _responses(entry, "rejected")
    if len(chosen) > 1:
        raise LeftOutError(f"has {len(chosen)} chosen responses: no single one is right")
    responses = (*chosen, *rejected)
    if len(responses) > MAX_CANDIDATES:
        raise LeftOutError(f"has {len(responses)} responses; at most {MAX_CANDIDATES} are shown")
    if len({*responses}) < len(responses):
        raise LeftOutError("has two responses of the same words")
    return Question(entry.number, f"entry{entry.number}", subset, prompt, responses, target=1)


def _responses(entry: Entry, key: str) -> tuple[str, ...]:
    """The texts of a column that holds one text (version 1) or a list of them (version 2)."""
    given = entry.values.get(key)
    if isinstance(given, list) and not given:
        fault(f"has {key} {shown(given)}, expected is at least one text")
    responses = given if isinstance(given, list) else [given]
    return tuple(text_of(response, f"{key} response", empty=LeftOutError) for response in responses)
