"""The contracts of benchmarks: candidates, lists of them, questions and presentations."""

from typing import Final

import pyarrow as pa

from lad.contracts.contract import FLOATS, TARGET_POSITION, Column, Contract, ints


def relevance(place: str, target: str) -> Column:
    """The grades of a window's candidates."""
    meaning = f"grade of each {place}, 0: not relevant, of a window of a list, where several may be right: {target}"
    return ints("relevance", f"{meaning} (optional)", length="n_candidates", nullable=True, required=False)


IMAGES: Final = Contract(
    "images",
    "one row per candidate of a dataset: an image, or a text",
    (
        Column("image_id", pa.int64(), "id in the annotation file; counted from 1 where that has none"),
        Column("file_name", pa.string(), "path below the dataset's image folder; empty for a text"),
        Column("width", pa.int32(), "pixels; 0 for a text"),
        Column("height", pa.int32(), "pixels; 0 for a text"),
        Column("caption", pa.string(), "what asks for this candidate; empty where questions have own texts"),
        ints("category_ids", "object categories in the image, ascending, distinct; empty where none are known"),
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
        Column("image_embedding", FLOATS, "l2-normalised embedding of the image, or of the text", vectors=True),
        Column("caption_embedding", FLOATS, "l2-normalised embedding of the caption", vectors=True),
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
        ints("relevance", "grade of each candidate, 0: not relevant", length="listed"),
        ints("ideal", "grades above 0 of all that is relevant to the query, listed or not, the largest first"),
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
        relevance("candidate, in question order", "target is the best of them, null where all are 0"),
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
        ints("order", "candidate at each position, 1-based", length="n_candidates", places=True),
        TARGET_POSITION,
        Column("n_candidates", pa.int32(), "N"),
        relevance("position", "target_position is the best's, null where all are 0"),
    ),
    key="presentation_id",
    one_target=True,
)
