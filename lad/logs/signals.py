"""From the presentations of a log to the table SIGNALS.

Log-probabilities are normalised over the positions, as `candidate_logprobs` are. Answers in text are read by the rules
of `vanilla_parsed`; before, a text that is one of the candidates names it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lad import contracts, parquet
from lad.calibration.fusion import log_softmax
from lad.logs.base import LogError, Shown, Style, identifiers
from lad.methods import score
from lad.seeded import shuffled


@dataclass(frozen=True)
class Imported:
    """What a log says, as signals.

    Attributes:
        signals: a table SIGNALS without attention.
        metadata: facts for the file; the identifiers of the positions among them.
        summary: what there is, in a line.
    """

    signals: pa.Table
    metadata: dict[str, Any]
    summary: str


def signals_of(
    shown: Sequence[Shown], style: Style = "uppercase", *, n: int | None = None, floor: float | None = None
) -> Imported:
    """The signals of a log's presentations, of the split evaluation.

    Args:
        shown: presentations; those of a question are numbered as rounds, in this order.
        style: how positions were called.
        n: only questions with so many candidates; where None, all have as many.
        floor: what a log-probability counts as that the log does not tell, but never more than the least that it tells.
            Where None, such a presentation has no log-probabilities.

    Raises:
        LogError: presentations of a question that do not show the same candidates or have other targets, several N.
    """
    asked = _of_one_size(shown, n)
    size = len(asked[0].candidates)
    names = identifiers(style, size)
    numbers = _numbered(asked)
    rounds: Counter[str] = Counter()
    rows: list[dict[str, Any]] = []
    filled = 0
    for one, order in zip(asked, numbers, strict=True):
        round_ = rounds[one.question_id]
        rounds[one.question_id] += 1
        logprobs = _logprobs(one.logprobs, floor)
        filled += 0 if logprobs is None or one.logprobs is None else one.logprobs.count(None)
        rows.append(
            {
                "presentation_id": f"{one.question_id}-r{round_:03d}",
                "question_id": one.question_id,
                "split": "evaluation",
                "round": round_,
                "order": order,
                "target_position": one.target_position,
                "n_candidates": size,
                "candidate_logprobs": logprobs,
                "candidate_attention": [],
                "delimiter_attention": [],
                "generated_text": one.text,
            }
        )
    table = parquet.conform(parquet.from_rows(rows, contracts.SIGNALS), contracts.SIGNALS, "log")
    table = _with_answers(table, asked, names)
    facts = {"identifiers": list(names), "floor": floor, "values_at_floor": filled}
    return Imported(table, facts, _summary(table, floor, filled))


def deal_calibration(signals: pa.Table, questions: int, seed: int = 0) -> tuple[pa.Table, pa.Table]:
    """The presentations of so many questions, of the split calibration, and those of all others.

    Which questions, a hash of the seed and their ids says, among those that show their target equally often at every
    position.

    Raises:
        LogError: too few of these, or none left to evaluate.
    """
    n = signals["n_candidates"][0].as_py()
    places: dict[str, Counter[int | None]] = {}
    for question, place in zip(signals["question_id"].to_pylist(), signals["target_position"].to_pylist(), strict=True):
        places.setdefault(question, Counter())[place] += 1
    even = [q for q, times in places.items() if len({times[at] for at in range(1, n + 1)}) == 1 and None not in times]
    if not questions <= len(even) or questions >= len(places):
        raise LogError(
            f"{questions} calibration questions wanted, and at least one other: of {len(places)} questions, {len(even)}"
            f" show a known target equally often at each of the {n} positions, as {n} cyclic shifts do"
        )
    chosen = pc.is_in(signals["question_id"], pa.array(shuffled(even, seed, "calibration")[:questions]))
    calibration = signals.filter(chosen)
    at = calibration.column_names.index("split")
    split = pa.repeat(pa.scalar("calibration"), len(calibration))
    return calibration.set_column(at, calibration.schema.field(at), split), signals.filter(pc.invert(chosen))


def _of_one_size(shown: Sequence[Shown], n: int | None) -> list[Shown]:
    sizes = Counter(len(one.candidates) for one in shown)
    told = ", ".join(f"{count} with {size}" for size, count in sorted(sizes.items()))
    if n is None and len(sizes) > 1:
        raise LogError(f"the presentations differ in their number of candidates ({told}): choose by --n")
    asked = [one for one in shown if n is None or len(one.candidates) == n]
    if not asked:
        raise LogError(f"no presentation has {n} candidates; there are {told or 'none'}")
    return asked


def _numbered(asked: Sequence[Shown]) -> list[list[int]]:
    """The order of each presentation: candidates that are texts are numbered by a hash of the question and the text.

    Of equal votes the lower number wins. As first shown, the numbers would be positions, and the vote lean to one.
    """
    first: dict[str, Shown] = {}
    known: dict[str, list[Any]] = {}
    target: dict[str, tuple[int, Shown]] = {}
    orders = []
    for one in asked:
        base = first.setdefault(one.question_id, one)
        names = known.setdefault(one.question_id, _in_their_order(base))
        if sorted(map(str, base.candidates)) != sorted(map(str, one.candidates)):
            raise LogError(
                f"{one.where} shows other candidates of question {one.question_id} than {base.where} does; every order"
                " shows the same ones"
            )
        order = [names.index(candidate) + 1 for candidate in one.candidates]
        if one.target_position is not None:
            right = order[one.target_position - 1]
            before, where = target.setdefault(one.question_id, (right, one))
            if before != right:
                raise LogError(
                    f"{one.where} has another target of question {one.question_id} than {where.where} has; a question"
                    " has one target in whatever order it is shown"
                )
        orders.append(order)
    return orders


def _in_their_order(one: Shown) -> list[Any]:
    if isinstance(one.candidates[0], int):
        return sorted(one.candidates)
    return shuffled(one.candidates, "candidate", one.question_id)


def _logprobs(told: tuple[float | None, ...] | None, floor: float | None) -> list[float] | None:
    """Log-probabilities over the positions; None where they are not known."""
    known = [value for value in told or () if value is not None]
    if not known or told is None or (floor is None and len(known) < len(told)):
        return None
    least = min(known) if floor is None else min(floor, *known)
    values = np.array([least if value is None else value for value in told])
    normalised: list[float] = log_softmax(values).tolist()
    return normalised


def _with_answers(table: pa.Table, asked: Sequence[Shown], names: Sequence[str]) -> pa.Table:
    """The table with the column `answered_position`."""
    read: dict[str, int | None] = {}
    if table["generated_text"].null_count < len(table):
        parsed = score(table, None, "vanilla_parsed", identifiers=names)
        read = dict(zip(parsed["presentation_id"].to_pylist(), parsed["position"].to_pylist(), strict=True))
    positions = [
        one.position or _named_by_text(one, names) or read.get(presentation)
        for one, presentation in zip(asked, table["presentation_id"].to_pylist(), strict=True)
    ]
    at = table.column_names.index("generated_text") + 1
    return table.add_column(at, pa.field("answered_position", pa.int32()), pa.array(positions, pa.int32()))


def _named_by_text(one: Shown, names: Sequence[str]) -> int | None:
    """The position whose candidate is the text, but for case, white space and a full stop."""
    said = _plain(one.text or "")
    texts = [_plain(str(candidate)) for candidate in one.candidates]
    if said in map(_plain, names) or texts.count(said) != 1 or not isinstance(one.candidates[0], str):
        return None
    return texts.index(said) + 1


def _plain(text: str) -> str:
    return " ".join(text.split()).rstrip(".").casefold()


def _summary(table: pa.Table, floor: float | None, filled: int) -> str:
    without = pc.is_null(table["candidate_logprobs"])
    nothing = pc.sum(pc.and_(without, pc.is_null(table["answered_position"]))).as_py()
    answers = pc.sum(without).as_py() - nothing
    questions = pc.count_distinct(table["question_id"]).as_py()
    told = (
        f"{len(table)} presentations of {questions} questions with {table['n_candidates'][0].as_py()} candidates:"
        f" {len(table) - answers - nothing} with log-probabilities, {answers} with an answer alone,"
        f" {nothing} with neither"
    )
    return told + (
        f"; {filled} log-probabilities that the log does not tell count as {floor:g} or less" if filled else ""
    )


def of_split(imported: Imported, split: str) -> Imported:
    """The same as signals of another split."""
    at = imported.signals.column_names.index("split")
    values = pa.repeat(pa.scalar(split), len(imported.signals))
    return replace(imported, signals=imported.signals.set_column(at, imported.signals.schema.field(at), values))
