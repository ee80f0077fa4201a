"""Fusion: what the model says and where it looks, each weighted by how much it knew of the calibration's targets.

    answer = argmax_i sum over terms t of w_t s_t,i,    with the terms
        profile       (b / sigma^2) (z_i - c_i)
        conditional   - |z - mu_i|^2 / (2 sigma^2)
        mass          mean over L* of log a_i - log a_prior,i
        found         mean over the best layers, or heads, of log a_i - log a_prior,i, or of a_i - n_i

z are the log-probabilities of the identifiers less their mean. With the target at i they are Gaussian around
c + b (e_i - 1/N), a profile that positions share and a bump at the target, with variance sigma^2: profile is the
log-density of that, but for what all positions have in common. mu_i is the mean with the target at i, shrunken towards
it. mass is the evidence of purified attention (eq. 8, 9, 11); found that of the 2 layers and of the 8 heads that most
often found the calibration's targets; n is attention where the query is N/A.

The weights, none below 0, maximise the likelihood of the calibration's targets, each question left out of what its
terms are fitted on (`lad.calibration.fusion`). Ours; with the profile alone it is akin to PriDe, with mass alone it is
purified attention.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lad.calibration.evidence import terms_kept
from lad.calibration.fusion import TERMS, Evidence, fused_scores
from lad.contracts import Keep
from lad.methods.attention import refuse_missing_attention, without_kept
from lad.methods.base import Inputs, Method, TableRow
from lad.methods.options import Means, Options, Signal
from lad.methods.scores import best_positions, refuse_missing_logprobs


@dataclass(frozen=True)
class Fuses(Options):
    evidence: Annotated[
        Evidence,
        Means(
            "which attention is fused. layers: of the last token; heads: also its heads; rows: also the query's tokens,"
            " their layers and heads; null: these less the same where the query is N/A"
        ),
    ] = "layers"

    @property
    def reads(self) -> Signal:
        return "attention"

    @property
    def keeps(self) -> frozenset[Keep]:
        return terms_kept(TERMS[self.evidence])


def answers(inputs: Inputs, options: Fuses) -> pa.Table:
    signals, calibration = inputs.signals, inputs.fitted
    refuse_missing_logprobs(signals, "candidate_logprobs")
    for term in TERMS[options.evidence]:
        refuse_missing_attention(signals, term.row, heads=term.heads, null=term.against == "null")
    fitted = calibration.fusion.filter(pc.field("evidence") == options.evidence)
    if not len(fitted):
        raise without_kept(f"the calibration has no fusion of evidence={options.evidence}", options.keeps)
    layers = calibration.layers[0], calibration.layers[-1]
    scores = fused_scores(signals, fitted, options.evidence, layers)
    n_candidates = scores.shape[1]
    return best_positions(
        pa.table(
            {
                "presentation_id": np.repeat(signals["presentation_id"].to_numpy(), n_candidates),
                "position": np.tile(np.arange(1, n_candidates + 1, dtype=np.int32), len(scores)),
                "score": scores.ravel(),
            }
        )
    )


METHOD = Method(
    name="fusion",
    rank=124,
    display="Fusion",
    colour="#000000",
    marker="P",
    marker_size=7.0,
    description="argmax of the logits' profile plus attention's evidence, weighted on calibration questions (ours)",
    answers=answers,
    options_type=Fuses,
    needs_calibration=True,
    rows=(
        TableRow("baselines", 112, block=2),
        TableRow("baselines", 114, "Fusion, with heads", variant="evidence=heads", block=2),
        TableRow("baselines", 116, "Fusion, with the query", variant="evidence=rows", block=2),
        TableRow("baselines", 118, "Fusion, query less N/A", variant="evidence=null", block=2),
    ),
)
