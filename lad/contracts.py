"""The contracts: every table that passes between two stages, described once.

Each table is a list of columns with type, meaning and the rules that a reader may rely on. `lad.parquet` reads, checks
and writes such tables.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa

Keep = Literal["heads", "rows", "null_query"]
"""What extraction keeps beyond the signals that every method reads, where it is asked to.

heads: the attention of every head, of whatever rows are kept. rows: the attention of the query's tokens and of all
tokens behind the candidates, besides the last token's. null_query: what the model answers, and what the rows attend to,
where the query is N/A; it goes with rows.
"""


@dataclass(frozen=True)
class Column:
    """One column of a contract.

    Attributes:
        length: name of the integer column that gives the length of this column's (innermost) lists, or None.
        places: whether the values are positions or candidates, that is 1 to n_candidates; in a list each once.
        stored: type in the file where it is another: DuckDB reads half floats from Parquet, but not from memory.
        formerly: the column's name in files of earlier versions, which are still read. The numbers are the same.
        vectors: whether the lists all have one length; such a column may as well be of fixed-size lists in half or
            single precision, and is then left as it is.
        kept: what extraction has to be asked to keep for the column to be there.
        by_layer: whether the outer list is that of all the model's layers, in their order. Those without softmax
            attention (linear attention, convolutions) hold an empty list, so that places stay the model's own numbers.
            No list at all says that no attention was read: these signals come from the log of another tool.
        of_a_pass: whether a forward pass always leaves it behind. It is null only in signals from such a log.
    """

    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = False
    length: str | None = None
    required: bool = True
    places: bool = False
    stored: pa.DataType | None = None
    vectors: bool = False
    formerly: str | None = None
    kept: frozenset[Keep] = frozenset()
    by_layer: bool = False
    of_a_pass: bool = False


@dataclass(frozen=True)
class Contract:
    """A named table: its columns in order.

    Attributes:
        key: the column whose values must be unique, if any.
        one_target: whether order and target_position give one target to each question, in whatever order it is shown.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: str | None = None
    one_target: bool = False

    @property
    def renamed(self) -> dict[str, str]:
        """The columns that had another name in earlier versions: the present name by the former one."""
        return {c.formerly: c.name for c in self.columns if c.formerly}

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns if c.required])


def _ints(name: str, meaning: str, **rules: Any) -> Column:
    return Column(name, pa.list_(pa.int32()), meaning, **rules)


def _of_a_pass(name: str, kind: pa.DataType, meaning: str, **rules: Any) -> Column:
    return Column(name, kind, meaning, nullable=True, of_a_pass=True, **rules)


_floats: Final = pa.list_(pa.float32())
_target_position: Final = Column(
    "target_position",
    pa.int32(),
    "position of the target, 1-based; null where unknown",
    nullable=True,
    places=True,
)


def _relevance(place: str, target: str) -> Column:
    """The grades of a window's candidates."""
    meaning = f"grade of each {place}, 0: not relevant, of a window of a list, where several may be right: {target}"
    return _ints("relevance", f"{meaning} (optional)", length="n_candidates", nullable=True, required=False)


_row: Final = Column(
    "row", pa.string(), "whose attention: last (the prompt's last token), query or suffix, where the signals have them"
)
_per_layer: Final = pa.list_(pa.list_(pa.float32()))
_per_head: Final = pa.list_(_per_layer)
_per_head_stored: Final = pa.list_(pa.list_(pa.list_(pa.float16())))


def _optional(name: str, kind: pa.DataType, meaning: str, *kept: Keep, **rules: Any) -> Column:
    return Column(
        name, kind, f"{meaning} (optional)", length="n_candidates", required=False, kept=frozenset(kept), **rules
    )


def _by_layer_and_head(name: str, meaning: str, *kept: Keep) -> tuple[Column, Column]:
    """What rows of the attention other than the last attend to: by layer, and by head where heads are kept."""
    by_head = f"layer x head x position: {name} before the head mean, in half precision in the file"
    return (
        _optional(name, _per_layer, f"layer x position: {meaning}", *kept, by_layer=True),
        _optional(f"head_{name}", _per_head, by_head, "heads", *kept, stored=_per_head_stored, by_layer=True),
    )


IMAGES: Final = Contract(
    "images",
    "one row per candidate of a dataset: an image, or a text",
    (
        Column("image_id", pa.int64(), "id in the annotation file; counted from 1 where that has none"),
        Column("file_name", pa.string(), "path below the dataset's image folder; empty for a text"),
        Column("width", pa.int32(), "pixels; 0 for a text"),
        Column("height", pa.int32(), "pixels; 0 for a text"),
        Column("caption", pa.string(), "what asks for this candidate; empty where questions have own texts"),
        _ints("category_ids", "object categories in the image, ascending, distinct; empty where none are known"),
        Column("license", pa.string(), "licence name or URL, where the dataset declares one", nullable=True),
        Column(
            "attribution",
            pa.string(),
            "URL that leads to the photograph and its author, where the dataset has one (optional)",
            nullable=True,
            required=False,
        ),
        Column(
            "text",
            pa.string(),
            "the text that is the candidate, where candidates are texts and not images (optional)",
            required=False,
        ),
    ),
    key="image_id",
)

EMBEDDINGS: Final = Contract(
    "embeddings",
    "one row per candidate: what hard negatives are chosen by",
    (
        Column("image_id", pa.int64(), "foreign key to images"),
        Column("image_embedding", _floats, "l2-normalised embedding of the image, or of the text", vectors=True),
        Column("caption_embedding", _floats, "l2-normalised embedding of the caption", vectors=True),
    ),
    key="image_id",
)

LISTS: Final = Contract(
    "lists",
    "one row per list: a query with its candidates as a first stage ranks them, of which several may be right."
    " Windows of a list are questions",
    (
        Column("list_id", pa.string(), "id of the query in the dataset's files"),
        Column("query", pa.string(), "what is asked"),
        Column("candidates", pa.list_(pa.int64()), "image ids, in first-stage order", length="listed"),
        _ints("relevance", "grade of each candidate, 0: not relevant", length="listed"),
        _ints("ideal", "grades above 0 of all that is relevant to the query, listed or not, the largest first"),
        Column("group", pa.string(), "what macro averages are taken over, such as a domain; empty where there is none"),
        Column("listed", pa.int32(), "number of candidates"),
    ),
    key="list_id",
)

QUESTIONS: Final = Contract(
    "questions",
    "one row per question: a caption (or other text) and its N candidates, one of which is the target; of a window of a"
    " list none or several may be right",
    (
        Column("question_id", pa.string(), "key"),
        Column("role", pa.string(), "calibration or evaluation; no target serves both"),
        Column("rank", pa.int32(), "place within the role, from 0; a longer benchmark keeps all earlier ranks"),
        Column("caption", pa.string(), "the target's caption, or the question's own text"),
        Column("candidates", pa.list_(pa.int64()), "image ids, in question order", length="n_candidates"),
        Column(
            "target",
            pa.int32(),
            "which candidate is the target, 1-based; null where unknown",
            nullable=True,
            places=True,
        ),
        Column("n_candidates", pa.int32(), "N"),
        Column("list_id", pa.string(), "foreign key to lists, of a window of a list (optional)", True, required=False),
        _relevance("candidate, in question order", "target is the best of them, null where all are 0"),
    ),
    key="question_id",
)

PRESENTATIONS: Final = Contract(
    "presentations",
    "one row per presentation: a question shown in one order",
    (
        Column("presentation_id", pa.string(), "key"),
        Column("question_id", pa.string(), "foreign key to questions"),
        Column(
            "split",
            pa.string(),
            "calibration (cyclic shifts of calibration questions), evaluation (random orders), symmetrized (cyclic"
            " shifts of evaluation questions), permuted (more random orders, those of evaluation first) or content_free"
            " (blank images, caption N/A; any position may pass for the target's)",
        ),
        Column("round", pa.int32(), "which order or shift, from 0"),
        _ints("order", "candidate at each position, 1-based", length="n_candidates", places=True),
        _target_position,
        Column("n_candidates", pa.int32(), "N"),
        _relevance("position", "target_position is the best's, null where all are 0"),
    ),
    key="presentation_id",
    one_target=True,
)

SIGNALS: Final = Contract(
    "signals",
    "one row per presentation: what one forward pass leaves behind, or the log of another tool tells. There no"
    " attention was read (lists without a layer), and what a pass always leaves is null where it is unknown",
    (
        *PRESENTATIONS.columns,
        _of_a_pass(
            "identifier_logits",
            _floats,
            "raw logit of each identifier's first token at the last prompt token, before any logits processor",
            length="n_candidates",
        ),
        _of_a_pass(
            "processed_logits",
            _floats,
            "the same after the model's own generation-config processors (a repetition penalty, say)",
            length="n_candidates",
        ),
        _of_a_pass(
            "candidate_logprobs",
            _floats,
            "log-probability of each identifier, each token's softmax restricted to valid tokens; exp sums to 1; null"
            " where an answer alone is known",
            length="n_candidates",
        ),
        Column(
            "candidate_attention",
            _per_layer,
            "layer x position: head mean of the last prompt token's attention, summed over the candidate's own tokens;"
            " here and below a layer without softmax attention holds an empty list, and where no attention was read"
            " there is no layer",
            length="n_candidates",
            formerly="image_attention",
            by_layer=True,
        ),
        Column(
            "delimiter_attention",
            _per_layer,
            "layer x position: the same over that candidate's start and end delimiter tokens",
            length="n_candidates",
            by_layer=True,
        ),
        _of_a_pass(
            "candidate_tokens",
            pa.list_(pa.int32()),
            "tokens per candidate",
            length="n_candidates",
            formerly="image_tokens",
        ),
        _of_a_pass("prompt_tokens", pa.int32(), "prompt length in tokens"),
        Column(
            "generated_text",
            pa.string(),
            "greedy answer text, where it was asked for; of a generating probe the text of sample 0",
            nullable=True,
        ),
        Column(
            "answered_position",
            pa.int32(),
            "the answer as the log of another tool has it; null where none could be read (optional)",
            nullable=True,
            required=False,
            places=True,
        ),
        _optional(
            "head_attention",
            _per_head,
            "layer x head x position: candidate_attention before the head mean, in half precision in the file",
            "heads",
            stored=_per_head_stored,
            by_layer=True,
        ),
        *_by_layer_and_head(
            "query_attention",
            "head mean of the attention of the query's tokens (those that hold characters of the caption, their mean),"
            " summed over the candidate's own tokens",
            "rows",
        ),
        *_by_layer_and_head(
            "suffix_attention", "the same of all prompt tokens behind the last candidate and its delimiters", "rows"
        ),
        *_by_layer_and_head("null_query_attention", "query_attention where the query is N/A", "rows", "null_query"),
        *_by_layer_and_head("null_suffix_attention", "suffix_attention where the query is N/A", "rows", "null_query"),
        _optional("null_logprobs", _floats, "candidate_logprobs where the query is N/A", "null_query"),
        _optional(
            "filtered_attention",
            _floats,
            "position: attention of the suffix's tokens less the same where the query is N/A, summed over layers and"
            " heads, of those of the candidate's tokens that ICR's filter keeps",
            "rows",
            "null_query",
        ),
    ),
    key="presentation_id",
    one_target=True,
)

BY_HEAD: Final = tuple(column.name for column in SIGNALS.columns if "heads" in column.kept)
"""The columns of signals with the attention of every head, most of the bytes by far."""

BY_LAYER: Final = tuple(column.name for column in SIGNALS.columns if column.by_layer)
"""The columns of signals with the attention of every layer."""

GENERATIONS: Final = Contract(
    "generations",
    "one row per text that the model wrote for a presentation (generating probes only)",
    (
        Column("presentation_id", pa.string(), "foreign key to signals"),
        Column("sample", pa.int32(), "which of the presentation's texts, from 0"),
        Column("text", pa.string(), "what stands behind the prompt, without special tokens"),
        Column("tokens", pa.int32(), "number of generated tokens, the end token not counted"),
        Column("finished", pa.bool_(), "whether the model ended the text, rather than the limit on its length"),
    ),
)

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
        _row,
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
        _row,
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
        _ints("layers", "decoder layers that are read, from 0; empty where the presentation chooses them, or none are"),
        _ints("heads", "attention head in each of these layers, from 0; empty for head means"),
        Column(
            "values",
            pa.list_(pa.list_(pa.float64())),
            "profile: c; conditional: mean profile by target position; otherwise the prior of each layer or head",
            length="n_candidates",
        ),
        Column("scale", pa.float64(), "b / variance, 1 / variance, or what makes attention's root mean square 1"),
    ),
)

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
        _target_position,
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

CONTRACTS: Final = {
    contract.name: contract
    for contract in (
        *(IMAGES, EMBEDDINGS, LISTS, QUESTIONS, PRESENTATIONS, SIGNALS, GENERATIONS),
        *(POSITION_BIAS, ATTENTION_PRIOR, POSITION_PRIOR, ATTENTION_SKILL, FUSION, PREDICTIONS, METRICS, DIFFERENCES),
        *(COMPARISONS, CHOICES, RANKINGS),
    )
}
