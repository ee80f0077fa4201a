"""Methods beyond the paper's, that cost no forward pass more than AGD does, beside those they are like."""

from typing import Final

from lad.report.artifact import PAIRED, Artifact
from lad.report.places import PlacesOptions, PlacesTable
from lad.report.style import METHODS
from lad.report.tabulate import Row

BASELINES: Final = (
    ("vanilla", "", 0),
    ("batch_calibration", "", 0),
    ("batch_calibration", "correction=ratio", 0),
    ("contextual_calibration", "", 0),
    ("pride", "", 0),
    ("majority_vote", "", 0),
    ("attention_readout", "", 1),
    ("attention_less_content_free", "", 1),
    ("chosen_heads", "", 1),
    ("purified_attention", "", 1),
    ("agd", "", 2),
)
"""Method, variant and block: answers from logits, from attention, from both."""

TABLE: Final = PlacesTable(
    rows=tuple(
        Row(
            (METHODS[method].name + (", by ratio" if variant else ""),),
            {"method": method, "variant": variant},
            optional=True,
            block=block,
        )
        for method, variant, block in BASELINES
    ),
    where="batch_calibration",
    compared={
        "purified": ("purified_attention", "attention_less_content_free"),
        "agd": ("agd", "chosen_heads"),
    },
)


ARTIFACT: Final = Artifact(
    name="table_baselines",
    kind="table",
    order=180,
    title="Further baselines",
    caption="Accuracy. Above, answers from logits: less their mean over all presentations (batch calibration),"
    " or less what the model answers about blank images (contextual calibration). In the middle, answers from"
    " attention: in the layers that look at images most, or in the heads that found most targets of the"
    " calibration questions. Majority vote sees all orders of a question." + PAIRED,
    sentence="{purified}; {agd}.",
    options=PlacesOptions,
    needs=TABLE.needs,
    draw=TABLE.draw,
)
