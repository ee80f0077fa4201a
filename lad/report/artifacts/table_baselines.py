"""Methods beyond the paper's, that cost no forward pass more than AGD does, beside those they are like."""

from typing import Final

from lad.report.artifact import PAIRED, Artifact
from lad.report.places import PlacesOptions, PlacesTable
from lad.report.tabulate import rows_of_methods

TABLE: Final = PlacesTable(
    rows=rows_of_methods("baselines"),
    where="batch_calibration",
    compared={
        "purified": ("purified_attention", "attention_less_content_free"),
        "agd": ("agd", "retrieval_heads"),
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
    " calibration questions. Below, answers from both: AGD and fusion. Majority vote sees all orders of a question."
    + PAIRED,
    sentence="{purified}; {agd}.",
    in_runs="`batch_calibration` somewhere; there also `purified_attention`, `attention_less_content_free`,"
    " `retrieval_heads` and `agd`; other baselines where measured",
    options=PlacesOptions,
    needs=TABLE.needs,
    draw=TABLE.draw,
)
