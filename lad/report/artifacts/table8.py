"""Table 8: permutation averaging, which needs N forward passes for each answer, beside AGD, which needs one.

Differs from the paper: it has the columns where permutation averaging was measured, and SoFA's row where that was.
"""

from typing import Final

from lad.report.artifact import PAIRED, Artifact
from lad.report.places import PlacesOptions, PlacesTable
from lad.report.tabulate import rows_of_methods

TABLE: Final = PlacesTable(
    rows=rows_of_methods("permutations"),
    where="permutation_average",
    compared={"against_permutation": ("agd", "permutation_average")},
)


ARTIFACT: Final = Artifact(
    name="table8",
    kind="table",
    order=170,
    title="Table 8. Against averaging over permutations, and SoFA",
    caption="Accuracy. Permutation averaging asks each question in all its N cyclic shifts, so it costs N"
    " forward passes where AGD costs one, and answers a question once where AGD answers in each order. SoFA"
    " lets images see later images by half in every second layer." + PAIRED,
    sentence="With one forward pass instead of N, {against_permutation}.",
    in_runs="`permutation_average` somewhere; there also `vanilla` and `agd`; the probe `sofa` where measured",
    options=PlacesOptions,
    needs=TABLE.needs,
    draw=TABLE.draw,
)
