"""Vanilla, text parsed: the last identifier in the text that the model generates greedily.

It checks `vanilla`: a model may put most probability on one identifier and write another. An identifier is looked for
as a word of its own, in any case where none stands there as written. A text without one is no answer.
"""

from pathlib import Path
from typing import Final

import pyarrow as pa

from lad import query
from lad.calibration.observations import number_of_candidates
from lad.methods.base import Inputs, Method, TableRow
from lad.methods.options import Options, ScoringError

_QUERY: Final = Path(__file__).with_suffix(".sql")


def answers(inputs: Inputs, options: Options) -> pa.Table:
    n_candidates = number_of_candidates(inputs.signals)
    if inputs.identifiers is None or len(inputs.identifiers) != n_candidates:
        raise ScoringError(
            f"vanilla_parsed reads answers for N = {n_candidates} and needs that many identifiers,"
            f" not {len(inputs.identifiers or ())}"
        )
    if inputs.signals["generated_text"].null_count == len(inputs.signals):
        raise ScoringError("vanilla_parsed needs generated text and the signals hold none")
    return query.run(_QUERY, {"signals": inputs.signals}, {"identifiers": list(inputs.identifiers)})


METHOD = Method(
    name="vanilla_parsed",
    rank=20,
    display="Vanilla, text parsed",
    colour="#a04000",
    marker="h",
    description="last identifier in the greedily generated text",
    answers=answers,
    options_type=Options,
    rows=(TableRow("main", 20),),
)
