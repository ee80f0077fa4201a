"""Table 7 for a model that was never taught a bias, where it was measured."""

from dataclasses import replace
from typing import Final

from lad.report.artifact import PAIRED, Artifact, Table
from lad.report.places import READ_OUTS, PlacesOptions, PlacesTable
from lad.report.results import Results
from lad.report.wording import known, listed, percent

TABLE: Final = PlacesTable(
    rows=READ_OUTS,
    where="vanilla",
    compared={
        "reading_attention": ("purified_attention", "vanilla"),
        "against_purified": ("agd", "purified_attention"),
    },
)


def draw(results: Results, options: PlacesOptions) -> Table:
    """The accuracies, and vanilla's in the sentence."""
    table = TABLE.draw(results, options)
    vanilla = [
        (known(results.measures.get(options.condition(n=n, setting=setting, method="vanilla"))), n, setting)
        for n, setting in TABLE.places(results.available, options)
    ]
    accuracies = listed([f"{percent(accuracy)} (N = {n}, {setting})" for accuracy, n, setting in vanilla])
    return replace(table, facts={**table.facts, "accuracies": accuracies})


ARTIFACT: Final = Artifact(
    name="table_unplanted",
    kind="table",
    order=220,
    title="Without a planted bias",
    caption="The demo model's bias is planted in a last training stage. This is the same architecture without"
    " that stage, which learned from at most four candidates: the gap here is one that nobody put in." + PAIRED,
    sentence="Vanilla is right in {accuracies}. {reading_attention}; {against_purified}.",
    in_runs="`vanilla` somewhere; there also `attention_readout`, `purified_attention` and `agd`",
    options=PlacesOptions,
    needs=TABLE.needs,
    draw=draw,
)
