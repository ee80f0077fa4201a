"""One cell by several methods: what `lad score` does between its files and the predictions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from lad import contracts, parquet
from lad.calibration.calibrate import Calibration
from lad.contracts import Keep
from lad.methods.options import ScoringError
from lad.methods.scoring import Session
from lad.methods.specification import Specification, parse_method


def score_cell(
    signals: Sequence[Path],
    calibration: Calibration | None,
    specifications: Sequence[Specification],
    defaults: Mapping[str, object] | None = None,
    *,
    generations: pa.Table | None = None,
) -> tuple[pa.Table, dict[str, float]]:
    """What each method answers on the presentations that it is meant for, and the seconds it took.

    Signals of one split are answered as they are; of several splits, each method gets the one it is meant for. Those of
    the split content_free go to the methods that need them. The attention of every head, most of the bytes by far, is
    read only where a method needs it.

    Args:
        signals: SIGNALS files of one cell, of one or several splits.
        specifications: methods with their options, as `parse_method` reads them.
        calibration, defaults, generations: as of `score`.

    Returns:
        A PREDICTIONS table, method after method, and the seconds by method as it was specified.

    Raises:
        ScoringError: as of `score`; no signals of the split that a method needs.
        TableError: as of `parquet.read`.
    """
    parsed = [parse_method(specification, defaults) for specification in specifications]
    kept = frozenset[Keep]().union(*(method.keeps_for(options) for method, options, _ in parsed))
    without = () if "heads" in kept else contracts.BY_HEAD
    by_split = parquet.read_by("split", signals, contracts.SIGNALS, without=without)
    content_free = by_split.pop("content_free", None)
    identifiers = parquet.read_metadata(signals[0]).get("identifiers")
    sessions = {
        split: Session(table, calibration, identifiers=identifiers, content_free=content_free, generations=generations)
        for split, table in by_split.items()
    }
    predictions, seconds = [], {}
    for specification, (method, options, _) in zip(specifications, parsed, strict=True):
        needed = method.split_for(options)
        session = next(iter(sessions.values())) if len(sessions) == 1 else sessions.get(needed)
        if session is None:
            files = ", ".join(map(str, signals))
            raise ScoringError(f"{files}: no presentations of split {needed}, which {specification} needs")
        answers, taken = session.timed(specification, defaults)
        predictions.append(answers)
        seconds[str(specification)] = round(taken, 6)
    return pa.concat_tables(predictions), seconds
