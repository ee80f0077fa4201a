"""Vanilla, text parsed: the identifier that the model's own text names, generated greedily.

It checks `vanilla`: a model may put most probability on one identifier and write another. An identifier is looked for
as a word of its own, in any case where none stands there as written, as a careful reader would: "b is a cat" says b,
"2/12" says 2, "-3" and "1 or 2" say nothing. A text without one is no answer.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import pyarrow as pa

from lad import query
from lad.calibration.observations import number_of_candidates
from lad.methods.base import Inputs, Method, TableRow
from lad.methods.options import Means, Options, ScoringError, Signal

_QUERY: Final = Path(__file__).with_suffix(".sql")


@dataclass(frozen=True)
class ReadsAnswer(Options):
    read: Annotated[
        Literal["careful", "last"],
        Means(
            "how the model's text is read. careful: as a reader would, who takes an article for no A and -3 for no 3;"
            " last: the last word that is an identifier"
        ),
    ] = "careful"

    @property
    def reads(self) -> Signal:
        return "texts"


def answers(inputs: Inputs, options: ReadsAnswer) -> pa.Table:
    n_candidates = number_of_candidates(inputs.signals)
    if inputs.identifiers is None or len(inputs.identifiers) != n_candidates:
        raise ScoringError(
            f"vanilla_parsed reads answers for N = {n_candidates} and needs that many identifiers,"
            f" not {len(inputs.identifiers or ())}"
        )
    if inputs.signals["generated_text"].null_count == len(inputs.signals):
        raise ScoringError("vanilla_parsed needs generated text and the signals hold none")
    parameters = {"identifiers": list(inputs.identifiers), "read": options.read}
    return query.run(_QUERY, {"signals": inputs.signals}, parameters)


METHOD = Method(
    name="vanilla_parsed",
    rank=20,
    display="Vanilla, text parsed",
    colour="#a04000",
    marker="h",
    description="the identifier that the greedily generated text names",
    answers=answers,
    options_type=ReadsAnswer,
    rows=(TableRow("main", 20),),
)
