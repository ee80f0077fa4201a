"""Read MT-Bench's human judgments (Zheng et al., arXiv 2306.05685): which of two models' responses is better?

An entry is one judge's vote on two models' answers to one question: `question_id`, `model_a`, `model_b`, `winner`
(`model_a`, `model_b`, or a tie), `judge`, `conversation_a` and `conversation_b` (messages with `role` and `content`:
user, assistant, user, assistant) and `turn` (1 or 2: which answer is judged).

Several judges of one pair are one question here: the model that more than half of them prefer is right. A pair without
one, because judges call it a tie or are divided, is left out and counted. So is a pair of answers of the same words,
and a vote on an empty answer.
Its settings are `turn1`, the first answers, and `turn2`, both answers to both messages.

Read from the dataset card of lmsys/mt_bench_human_judgments (columns and their types; the splits `human`, 3,355 rows,
and `gpt4_pair`, 2,400) and from the authors' repository (lm-sys/FastChat, `fastchat/llm_judge/compute_agreement.py`:
votes of one pair may name its models in either order; any winner with "tie" in it is one, such as "tie (inconsistent)"
of GPT-4, whose two orders disagreed; README: the same rows as one JSON list). No row was seen.

Not verified: that the conversations of both turns hold all four messages (only what a turn needs is asked for), and
that a model's answer is the same in all rows of a question (the first row's is taken).

Differs from the authors, who count agreement vote by vote and ask their judge for an explanation or a tie; here one of
the two responses is chosen. Pairs of one question share its message and their models' answers, so that intervals over
pairs are too narrow. No message that calibrates is evaluated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from lad.benchmark import BenchmarkError
from lad.benchmark.among_texts import Question, of_tasks, shown
from lad.benchmark.entries import Entry, LeftOutError, Read, fault, read_entries, text_of
from lad.benchmark.formats.base import ChoosesTexts
from lad.section import FilePath

_ROLES: Final = ("user", "assistant", "user", "assistant")
_SECOND_MESSAGE: Final = "\n\n[Second message]\n"
_SECOND_ANSWER: Final = "\n\n[Answer to the second message]\n"


class MtBench(ChoosesTexts):
    paths: ClassVar[tuple[str, ...]] = ("judgments",)

    format: Literal["mt_bench"] = Field(
        description="Votes on pairs of responses, of the form of MT-Bench's human judgments; its settings are turn1 and"
        " turn2."
    )
    judgments: FilePath = Field(description="The votes, Parquet, JSONL or a JSON list.")

    def read_all(self) -> Read[Question]:
        return read_judgments(Path(self.judgments))

    def of_settings(self, questions: Sequence[Question], settings: Collection[str]) -> list[Question]:
        return of_tasks(questions, settings, Path(self.judgments))


FORMAT = MtBench


@dataclass(frozen=True)
class _Vote:
    """A vote, with the models in the order of their names.

    Attributes:
        winner: the model, or `tie`.
        texts: the two responses.
    """

    question: int
    turn: int
    models: tuple[str, str]
    winner: str
    query: str
    texts: tuple[str, str]


def read_judgments(path: Path) -> Read[Question]:
    """A question of each pair that has a winner, in the order of the pairs' first votes.

    Raises:
        BenchmarkError: a file that cannot be read, entries that are not of the format, or no pair with a winner.
    """
    read = read_entries(path, _vote)
    votes: dict[tuple[int, int, tuple[str, str]], list[_Vote]] = {}
    for vote in read.made:
        votes.setdefault((vote.question, vote.turn, vote.models), []).append(vote)
    made: list[Question] = []
    left: list[dict[str, Any]] = [*read.left]
    for number, ((question, turn, models), cast) in enumerate(votes.items(), start=1):
        counts = Counter(vote.winner for vote in cast)
        winner, most = counts.most_common(1)[0]
        texts = cast[0].texts
        pair = f"question {question}, turn {turn}, {models[0]} and {models[1]}"
        if winner == "tie" or 2 * most <= len(cast):
            told = ", ".join(f"{count} for {name}" for name, count in sorted(counts.items()))
            left.append({"entry": pair, "reason": f"has no winner ({told})"})
        elif texts[0] == texts[1]:
            left.append({"entry": pair, "reason": "has two responses of the same words"})
        else:
            id = f"question{question}-turn{turn}-{models[0]}-{models[1]}"
            made.append(Question(number, id, f"turn{turn}", cast[0].query, texts, models.index(winner) + 1))
    if not made:
        raise BenchmarkError(f"{path}: no pair has a winner; the first: {left[0]['entry']} {left[0]['reason']}")
    return Read(made, left)


def _vote(entry: Entry) -> _Vote:
    question, turn = entry.number_of("question_id"), entry.number_of("turn")
    if turn not in (1, 2):
        fault(f"has turn {turn}; allowed are 1 and 2")
    models = entry.text("model_a"), entry.text("model_b")
    if models[0] == models[1]:
        fault(f"has one model twice, {shown(models[0])}; expected are two")
    said = entry.text("winner")
    if said not in ("model_a", "model_b") and "tie" not in said:
        fault(f"has winner {shown(said)}; allowed are model_a, model_b and tie")
    winner = "tie" if "tie" in said else models[said == "model_b"]
    (query, first), (_, second) = (_conversation(entry, key, turn) for key in ("conversation_a", "conversation_b"))
    ordered = sorted(zip(models, (first, second), strict=True))
    (one, its), (other, others) = ordered
    return _Vote(question, turn, (one, other), winner, query, (its, others))


def _conversation(entry: Entry, key: str, turn: int) -> tuple[str, str]:
    """What the user asks up to this turn, and what the model answers."""
    messages = entry.list_of(key, "messages")
    if len(messages) < 2 * turn:
        fault(f"has {len(messages)} messages in {key}; turn {turn} needs {2 * turn}")
    texts = []
    for at, (message, role) in enumerate(zip(messages, _ROLES[: 2 * turn], strict=False), start=1):
        if not isinstance(message, dict) or message.get("role") != role:
            fault(f"has message {at} of {key} {shown(message)}, expected is one with role {role}")
        texts.append(text_of(message.get("content"), f"message {at} of {key}", empty=LeftOutError))
    return _SECOND_MESSAGE.join(texts[0::2]), _SECOND_ANSWER.join(texts[1::2])
