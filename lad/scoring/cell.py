"""One cell by several methods: what `lad score` does between its files and the predictions."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa

from lad import contracts, parquet, query
from lad.calibration.calibrate import Calibration
from lad.scoring.methods import Options, ScoringError, parse_method, score


def score_cell(
    signals: Sequence[Path],
    calibration: Calibration | None,
    methods: Sequence[str],
    defaults: Options,
    *,
    generations: pa.Table | None = None,
) -> tuple[pa.Table, dict[str, float]]:
    """What each method answers on the presentations that it is meant for, and the seconds it took.

    Signals of one split are answered as they are; of several splits, each method gets the one it is meant for. Those of
    the split content_free go to the methods that need them. The attention of every head, most of the bytes by far, is
    read only where a method needs it.

    Args:
        signals: SIGNALS files of one cell, of one or several splits.
        methods: each as `parse_method` reads it.
        calibration, defaults, generations: as of `score`.

    Returns:
        A PREDICTIONS table, method after method, and the seconds by method as it was written.

    Raises:
        ScoringError: as of `score`; no signals of the split that a method needs.
        TableError: as of `parquet.read`.
    """
    parsed = {text: parse_method(text, defaults)[:2] for text in methods}
    by_head = any(method.needs_heads for method, _ in parsed.values())
    by_split = parquet.read_by("split", signals, contracts.SIGNALS, without=() if by_head else ("head_attention",))
    content_free = by_split.pop("content_free", None)
    identifiers = parquet.read_metadata(signals[0]).get("identifiers")
    predictions, seconds = [], {}
    for text, (method, options) in parsed.items():
        needed = method.split_for(options)
        answered = next(iter(by_split.values())) if len(by_split) == 1 else by_split.get(needed)
        if answered is None:
            files = ", ".join(map(str, signals))
            raise ScoringError(f"{files}: no presentations of split {needed}, which {text} needs")
        ask = partial(
            score,
            answered,
            calibration,
            text,
            defaults,
            identifiers=identifiers,
            content_free=content_free,
            generations=generations,
        )
        answers, taken = query.timed(ask)
        predictions.append(answers)
        seconds[text] = round(taken, 6)
    return pa.concat_tables(predictions), seconds
