"""How numbers and texts are packed into the page: few bytes, which the browser unpacks when they are looked at.

A block is JSON and arrays of small whole numbers, deflated and written in base64. `script/blocks.js` reads it.
"""

import json
import zlib
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

ATTENTION_DECADES: Final = 6.0
"""Attention from 1e-6 to 1 is told apart."""
_STEPS: Final = 254


def packed_attention(attention: np.ndarray) -> np.ndarray:
    """Attention in one byte each, on a logarithmic scale, any shape: what is read back is within 3 % of what was given.

    0 stands for a value that is missing (NaN); 1 for 1e-6 and all below.
    """
    with np.errstate(divide="ignore"):
        scaled = 1 + _STEPS * (1 + np.log10(attention) / ATTENTION_DECADES)
    known = np.clip(np.rint(scaled), 1, 1 + _STEPS)
    packed: np.ndarray = np.where(np.isnan(attention), 0, known).astype(np.uint8)
    return packed


def packed_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities in two bytes each, in steps of 1 / 65535."""
    packed: np.ndarray = np.rint(np.nan_to_num(probabilities) * 65535).astype("<u2")
    return packed


def block(content: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> str:
    """A block: its JSON, and the arrays by name.

    The arrays' types have one or two bytes without sign; their shapes are known to whoever reads them.
    """
    arrays = arrays or {}
    header = {**content, "arrays": {name: [array.dtype.itemsize, array.size] for name, array in arrays.items()}}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    parts = [
        len(text).to_bytes(4, "little"),
        text,
        *(np.ascontiguousarray(array).tobytes() for array in arrays.values()),
    ]
    return b64encode(zlib.compress(b"".join(parts), 9)).decode("ascii")
