"""Generated texts, in which every number that is left may be an index."""

from pathlib import Path
from typing import Final

import pyarrow as pa

from lad import query
from lad.methods.base import Inputs
from lad.methods.options import ReadsTexts

_QUERY: Final = Path(__file__).with_name("readable_texts.sql")


def readable_texts(inputs: Inputs, options: ReadsTexts) -> pa.Table:
    """One row per text: presentation_id, sample, n_candidates and text.

    What is read as an index is stricter than in the released code, unless the option `parse` says otherwise.
    """
    return query.run(_QUERY, {"generations": inputs.texts, "signals": inputs.signals}, {"parse": options.parse})
