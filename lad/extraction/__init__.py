"""Extraction: from presentations to signals. This file imports nothing heavy: the workflow reads it."""

from typing import Final, Literal

Dtype = Literal["float32", "bfloat16", "float16"]

EXTRACTOR_VERSION: Final = 3
"""Raised whenever the numbers in the signals change: it re-runs the extraction and is stored with its results.

2: pictures are shown as a viewer shows them. 3: attention is summed by image in another order, the same every time,
which moves its last bits; on a GPU no TF32 in float32, and batches from a budget that is a power of two.

New names of columns are no new version: image_attention and image_tokens became candidate_attention and
candidate_tokens with the same numbers, so that the signals and the finished work of version 3 stay good.
"""
