"""The contracts of what methods answer, and of what is measured of that."""

from typing import Final

import pyarrow as pa

from lad.contracts.contract import TARGET_POSITION, Column, Contract

PREDICTIONS: Final = Contract(
    "predictions",
    "one row per method, variant and presentation: what the method answers",
    (
        Column("presentation_id", pa.string(), "foreign key to presentations"),
        Column("question_id", pa.string(), "foreign key to questions"),
        Column("round", pa.int32(), "which order, from 0"),
        Column("method", pa.string(), "name of the method"),
        Column("variant", pa.string(), "options that follow the method's name, by name: 'k=4;prior=no'; '' for none"),
        Column("n_candidates", pa.int32(), "N"),
        Column("position", pa.int32(), "the answer; null where no answer could be parsed", nullable=True, places=True),
        TARGET_POSITION,
        Column("candidate", pa.int32(), "the answer in question order; null as above", nullable=True, places=True),
        Column(
            "correct",
            pa.bool_(),
            "whether the answer is the target (in a window of a list: has a grade above 0); null where that is unknown",
            nullable=True,
        ),
        Column(
            "scores",
            pa.list_(pa.float64()),
            "the score of each position, the answer has the largest; null where the answer alone is known",
            nullable=True,
            length="n_candidates",
        ),
        Column(
            "parsed",
            pa.float64(),
            "share of the presentation's generated texts from which a position could be read; null where the answer is"
            " not from texts",
            nullable=True,
        ),
    ),
)

METRICS: Final = Contract(
    "metrics",
    "one row per method, variant and metric (and per position where the metric has them)",
    (
        Column("method", pa.string(), "name of the method"),
        Column("variant", pa.string(), "as in predictions"),
        Column("n_candidates", pa.int32(), "N"),
        Column(
            "metric",
            pa.string(),
            "accuracy, rstd, consistency, success_rate (share of the texts, or of the presentations, from which an"
            " answer could be read), ties (share of the answers whose score another position has as well), cramers_v"
            " and chi_squared (of the answers' positions against chance), flip_rate (share of the pairs of orders that"
            " lead to two candidates), preference_fairness (N = 2), recall (by target_position), selection_rate (by"
            " position), confusion (by both); docs/metrics.md says more",
        ),
        Column("target_position", pa.int32(), "for recall and confusion", nullable=True),
        Column("position", pa.int32(), "for selection_rate and confusion", nullable=True),
        Column(
            "value",
            pa.float64(),
            "percent, but for cramers_v (0 to 1) and chi_squared; null where undefined (consistency of one order)",
            nullable=True,
        ),
        Column("std", pa.float64(), "sample standard deviation over the orders (accuracy only)", nullable=True),
        Column(
            "low",
            pa.float64(),
            "lower end of the 95 % bootstrap interval over questions, the calibration taken as it is; null with fewer"
            " than 10 questions",
            nullable=True,
        ),
        Column("high", pa.float64(), "upper end", nullable=True),
        Column("questions", pa.int32(), "number of questions"),
        Column("presentations", pa.int32(), "number of presentations"),
    ),
)

RANKINGS: Final = Contract(
    "rankings",
    "one row per method, variant, metric and group: how well lists are ordered, by the scores in all their windows",
    (
        Column("method", pa.string(), "name of the method; first_stage: the order in which the lists came"),
        Column("variant", pa.string(), "as in predictions"),
        Column("n_candidates", pa.int32(), "N, the size of a window"),
        Column(
            "metric",
            pa.string(),
            "recall_at_1, recall_at_5, recall_at_10 (share of all that is relevant), hit_at_1, mrr_at_10 or ndcg_at_10"
            " (gain: the grade itself); docs/ranking.md says more",
        ),
        Column(
            "group",
            pa.string(),
            "empty: the mean over all lists (micro); macro: the mean over groups; else the group whose lists these are",
        ),
        Column("value", pa.float64(), "percent, the mean over the orders in which windows are shown"),
        Column(
            "low",
            pa.float64(),
            "lower end of the 95 % bootstrap interval over lists; null with fewer than 10 lists",
            nullable=True,
        ),
        Column("high", pa.float64(), "upper end", nullable=True),
        Column(
            "lead",
            pa.float64(),
            "points: value less that of the first stage on the same lists; null for it",
            nullable=True,
        ),
        Column("lead_low", pa.float64(), "lower end of its 95 % bootstrap interval over lists", nullable=True),
        Column("lead_high", pa.float64(), "upper end", nullable=True),
        Column("lists", pa.int32(), "number of lists"),
    ),
)

DIFFERENCES: Final = Contract(
    "differences",
    "one row per ordered pair of methods and variants that answer the same questions: the paired difference",
    (
        Column("method", pa.string(), "name of the method"),
        Column("variant", pa.string(), "as in predictions"),
        Column("against", pa.string(), "name of the method it is compared with"),
        Column("against_variant", pa.string(), "its variant"),
        Column("n_candidates", pa.int32(), "N"),
        Column("metric", pa.string(), "accuracy"),
        Column("value", pa.float64(), "points: the metric of method minus that of against"),
        Column(
            "low",
            pa.float64(),
            "lower end of its 95 % bootstrap interval; each resample draws questions for both; null as in metrics",
            nullable=True,
        ),
        Column("high", pa.float64(), "upper end of the interval", nullable=True),
        Column("questions", pa.int32(), "number of questions"),
        Column("presentations", pa.int32(), "number of presentations that method answers"),
    ),
)

COMPARISONS: Final = Contract(
    "comparisons",
    "one row per ordered pair of a method of this scoring and one of its benchmark's reference scoring, asked by probe"
    " vanilla and calibrated on the configured number of its own questions: the paired difference",
    (
        *DIFFERENCES.columns,
        Column(
            "is_reference",
            pa.bool_(),
            "true: method is the reference scoring's, against this one's; false: the other way round",
        ),
        Column("reference_calibration_questions", pa.int32(), "how many questions the reference was calibrated on"),
    ),
)

CHOICES: Final = Contract(
    "choices",
    "one row per method, chooser and number of calibration questions: accuracy after calibration on those questions",
    (
        Column("method", pa.string(), "name of the method"),
        Column("variant", pa.string(), "as in predictions"),
        Column("n_candidates", pa.int32(), "N"),
        Column(
            "chooser",
            pa.string(),
            "random (the mean of several draws), first, disagreement, uncertainty or null; none of them sees a target",
        ),
        Column("stopped", pa.bool_(), "whether the stopping rule said how many questions"),
        Column("pool", pa.int32(), "questions to choose from"),
        Column("questions", pa.int32(), "questions that were chosen, labelled and calibrated on"),
        Column("passes", pa.int32(), "forward passes of choosing and calibrating"),
        Column("accuracy", pa.float64(), "percent"),
        Column(
            "low",
            pa.float64(),
            "random: the 2.5th percentile of the draws; else the lower end of the 95 % bootstrap interval over"
            " evaluation questions, null as in metrics",
            nullable=True,
        ),
        Column("high", pa.float64(), "random: the 97.5th percentile; else the upper end", nullable=True),
        Column(
            "lead",
            pa.float64(),
            "points: accuracy less the mean of the draws of as many questions, or of the next smaller number drawn;"
            " null for random",
            nullable=True,
        ),
        Column("lead_low", pa.float64(), "lower end of its 95 % bootstrap interval over questions", nullable=True),
        Column("lead_high", pa.float64(), "upper end", nullable=True),
    ),
)
