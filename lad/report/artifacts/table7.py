"""Table 7: answers from logits, from attention, from both."""

from typing import Final

from lad.report.artifact import PAIRED, Artifact
from lad.report.places import READ_OUTS, PlacesOptions, PlacesTable

TABLE: Final = PlacesTable(
    rows=READ_OUTS,
    compared={
        "purifying": ("purified_attention", "attention_readout"),
        "against_purified": ("agd", "purified_attention"),
    },
)


ARTIFACT: Final = Artifact(
    name="table7",
    kind="table",
    order=160,
    title="Table 7. Answers from logits, from attention, from both",
    caption="Accuracy ± sample standard deviation over the orders. Vanilla answers from logits, raw and"
    " purified attention from where the model looks, AGD from both." + PAIRED,
    sentence="{purifying}. {against_purified}.",
    in_runs="`vanilla`, `attention_readout`, `purified_attention` and `agd`",
    options=PlacesOptions,
    needs=TABLE.needs,
    draw=TABLE.draw,
)
