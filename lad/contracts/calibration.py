"""The contracts of what calibration learns."""

from typing import Final

import pyarrow as pa

from lad.contracts.contract import ROW, Column, Contract, ints

POSITION_BIAS: Final = Contract(
    "position_bias",
    "calibration: one row per formulation, target position and position",
    (
        Column("formulation", pa.string(), "printed or released"),
        Column("n_candidates", pa.int32(), "N"),
        Column("target_position", pa.int32(), "i, where the target was", places=True),
        Column("position", pa.int32(), "j, the answer", places=True),
        Column("observed", pa.float64(), "printed: P_obs(j|i), eq. 1; released: mean log-domain score O_ij"),
        Column("bias", pa.float64(), "printed: log P_bias(j|i), eq. 5; released: O_ij - ideal_ij"),
    ),
)

ATTENTION_PRIOR: Final = Contract(
    "attention_prior",
    "calibration: one row per formulation, row of attention, layer and position",
    (
        Column("formulation", pa.string(), "printed (image tokens) or released (delimiters included, of row last)"),
        Column("n_candidates", pa.int32(), "N"),
        ROW,
        Column("layer", pa.int32(), "decoder layer, from 0"),
        Column("position", pa.int32(), "k", places=True),
        Column("prior", pa.float64(), "mean attention on the image at k over all calibration presentations, eq. 7"),
    ),
)

POSITION_PRIOR: Final = Contract(
    "position_prior",
    "calibration: PriDe's static prior, one row per variant and position",
    (
        Column("method", pa.string(), "pride or pride_released"),
        Column("n_candidates", pa.int32(), "N"),
        Column("position", pa.int32(), "j", places=True),
        Column("log_prior", pa.float64(), "what is subtracted from the log-probability of the answer j"),
    ),
)

ATTENTION_SKILL: Final = Contract(
    "attention_skill",
    "calibration: how well layers and heads know where the target is; one row per row of attention, what it is held"
    " against, layer and head, as far as the signals have them",
    (
        Column("n_candidates", pa.int32(), "N"),
        ROW,
        Column(
            "against",
            pa.string(),
            "what x is: attention itself (none), divided by its mean over the calibration and on that mean's level"
            " (prior), or less the same where the query is N/A (null)",
        ),
        Column("layer", pa.int32(), "decoder layer, from 0"),
        Column("head", pa.int32(), "attention head, from 0; null for the head mean of the layer", nullable=True),
        Column("found", pa.float64(), "share of calibration presentations in which the target has the largest x"),
        Column("target_share", pa.float64(), "mean share of the target in the sum of x, negative x counted as 0"),
        Column("mass", pa.float64(), "mean x of the target (QRHead)"),
        Column("contrast", pa.float64(), "mean share of the target in the softmax of x / 0.001 (CoRe)"),
        Column(
            "prior",
            pa.list_(pa.float64()),
            "where held against the prior: mean attention on each position over all calibration presentations",
            nullable=True,
            length="n_candidates",
        ),
    ),
)

FUSION: Final = Contract(
    "fusion",
    "calibration: the fused terms and their weights; one row per kind of evidence and term, in the order of the sum",
    (
        Column("n_candidates", pa.int32(), "N"),
        Column("evidence", pa.string(), "what is fused: layers, heads, rows or null, as far as the signals have it"),
        Column("term", pa.string(), "profile, conditional (both of the log-probabilities), mass or found (attention)"),
        Column("row", pa.string(), "whose attention; null for log-probabilities", nullable=True),
        Column("against", pa.string(), "what it is held against; null for log-probabilities", nullable=True),
        Column("weight", pa.float64(), "what the term is multiplied by, 0 or more"),
        ints("layers", "decoder layers that are read, from 0; empty where the presentation chooses them, or none are"),
        ints("heads", "attention head in each of these layers, from 0; empty for head means"),
        Column(
            "values",
            pa.list_(pa.list_(pa.float64())),
            "profile: c; conditional: mean profile by target position; otherwise the prior of each layer or head",
            length="n_candidates",
        ),
        Column("scale", pa.float64(), "b / variance, 1 / variance, or what makes attention's root mean square 1"),
    ),
)
