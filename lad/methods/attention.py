"""What attention says about positions: that of the chosen layers (eq. 8, 9), and purified of a prior (eq. 11, 12)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from lad import query
from lad.calibration.observations import layer_attention, number_of_layers
from lad.methods.base import Inputs
from lad.methods.options import ChoosesLayers, Purifies, ScoringError, as_text

_SQL: Final = Path(__file__).parent


def chosen_layers(inputs: Inputs, options: ChoosesLayers, covered: Sequence[int] | None = None) -> pa.Table:
    """The attention of the layers L*: one row per presentation, chosen layer and position.

    Args:
        covered: the layers that the calibration covers; None for all of the model's. Unlike in the released code, all
            of these may be chosen unless the option `layers` says otherwise.

    Raises:
        ScoringError: more layers than there are to choose from.
    """
    covered = range(number_of_layers(inputs.signals)) if covered is None else covered
    allowed = list(covered)
    if isinstance(options.layers, tuple):
        first, last = options.layers
        allowed = [layer for layer in covered if first <= layer <= last]
    top_k = len(allowed) if options.layers == "all" else options.top_k
    if not 1 <= top_k <= len(allowed):
        raise ScoringError(
            f"k = {top_k} layers cannot be chosen from {len(allowed)}: the signals (or the calibration) cover layers"
            f" {min(covered)} to {max(covered)}, the option layers is {as_text(options.layers or 'not set')}"
        )
    span = options.equations.span

    def choose() -> pa.Table:
        attention = inputs.steps.once(
            ("layer_attention", span), lambda: layer_attention(inputs.signals, options.equations)
        )
        return query.run(
            _SQL / "chosen_layers.sql", {"layer_attention": attention}, {"layers": allowed, "top_k": top_k}
        )

    return inputs.steps.once(("chosen_layers", span, tuple(allowed), top_k), choose)


def purify(inputs: Inputs, options: Purifies) -> pa.Table:
    """Purified attention, the distribution pi over positions: one row per presentation and position.

    Raises:
        ScoringError: more layers than there are to choose from, or a formulation that was not calibrated.
    """
    equations, calibration = options.equations, inputs.fitted
    if equations.name not in calibration.formulations:
        raise ScoringError(
            f"the calibration holds the formulations {', '.join(calibration.formulations)}, not"
            f" '{equations.name}'; calibrate with it"
        )
    parameters = {
        "formulation": equations.name,
        "prior": options.prior,
        "aggregation": equations.aggregation,
        "temperature": options.temperature,
    }
    step = ("purified_attention", options.top_k, options.layers, *parameters.values())
    return inputs.steps.once(
        step,
        lambda: query.run(
            _SQL / "purified_attention.sql",
            {
                "chosen_layers": chosen_layers(inputs, options, calibration.layers),
                "attention_prior": calibration.attention_prior,
            },
            parameters,
        ),
    )
