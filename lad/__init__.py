"""Logit-Attention Divergence: measure, explain and correct the position bias of multimodal LLMs.

The package mirrors the pipeline: benchmark -> extraction -> calibration -> scoring -> evaluation -> figures.
`lad.contracts` describes every table that passes between two stages; `lad.cli` is the command line.
"""

__version__ = "0.1.0"
