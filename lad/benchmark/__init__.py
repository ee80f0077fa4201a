"""From captioned pictures or texts to questions and the orders they are shown in (the paper's benchmarks).

    download       declared sources               -> annotation files and pictures
    formats        annotation files and pictures  -> images, in some formats questions of their own
    embeddings     images                         -> embeddings (adversarial setting only)
    tfidf          images that are texts          -> embeddings (likewise)
    negatives      embeddings, images             -> the hardest distractors of each target
    questions      images                         -> questions, random or adversarial
    own            captions and pictures of one's own -> images, questions
    presentations  questions                      -> presentations of one split

Every random choice comes from a hash of the seed and of what is chosen for (`lad.seeded`), never from the state of a
random generator: adding a question changes no other, and no version of a library changes a benchmark.

This file imports nothing heavy: the command line offers the choices below.
"""

from typing import Final, Literal, get_args

from lad.refusal import Refusal

CaptionPolicy = Literal["first", "last", "longest", "all"]
Setting = Literal["random", "adversarial"]
SETTINGS: Final = get_args(Setting)
"""The settings of a dataset whose candidates are asked for by captions."""

CategoryFilter = Literal["printed", "released"]
ImageBackend = Literal["vision_tower", "clip"]
TextBackend = Literal["tfidf"]
EmbeddingBackend = Literal[ImageBackend, TextBackend]
Split = Literal["calibration", "evaluation", "symmetrized", "permuted"]


class BenchmarkError(Refusal):
    """Input that no benchmark can be built from; the message names the culprit and what is allowed."""
