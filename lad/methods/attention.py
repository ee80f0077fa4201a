"""What attention says about positions: that of the chosen layers (eq. 8, 9), and purified of a prior (eq. 11, 12)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from lad import query
from lad.calibration.calibrate import Calibration
from lad.calibration.observations import layer_attention, layers_told, read_layers
from lad.calibration.rows import Against, Row, attention_column, keeps
from lad.contracts import Keep
from lad.methods.base import Inputs
from lad.methods.options import ChoosesLayers, Purifies, ScoringError, as_text

_SQL: Final = Path(__file__).parent
_OF: Final[dict[Row, str]] = {
    "last": "",
    "query": " of the query's tokens",
    "suffix": " of the tokens behind the candidates",
}


def chosen_layers(inputs: Inputs, options: ChoosesLayers, covered: Sequence[int] | None = None) -> pa.Table:
    """The attention of the layers L*: one row per presentation, chosen layer and position.

    Args:
        covered: the layers that the calibration covers; None for all that have attention. Unlike in the released code,
            all of these may be chosen unless the option `layers` says otherwise.

    Raises:
        ScoringError: more layers than there are to choose from, or signals without the row.
    """
    refuse_missing_attention(inputs.signals, options.row)
    covered = read_layers(inputs.signals) if covered is None else covered
    allowed, top_k = layers_to_choose(options, covered)
    if options.layers_by == "found" and options.layers != "all":
        allowed = _layers_that_found(inputs.fitted, options.row, allowed)[:top_k]
    span = options.equations.span

    def choose() -> pa.Table:
        attention = inputs.steps.once(
            ("layer_attention", options.row, span),
            lambda: layer_attention(inputs.signals, options.equations, options.row),
        )
        return query.run(
            _SQL / "chosen_layers.sql", {"layer_attention": attention}, {"layers": allowed, "top_k": top_k}
        )

    return inputs.steps.once(("chosen_layers", options.row, span, tuple(allowed), top_k), choose)


def layers_to_choose(options: ChoosesLayers, covered: Sequence[int]) -> tuple[list[int], int]:
    """The layers that may be chosen, of those covered, and how many are.

    Raises:
        ScoringError: more layers than there are to choose from.
    """
    allowed = list(covered)
    if isinstance(options.layers, tuple):
        first, last = options.layers
        allowed = [layer for layer in covered if first <= layer <= last]
    top_k = len(allowed) if options.layers == "all" else options.top_k
    if not 1 <= top_k <= len(allowed):
        raise ScoringError(
            f"k = {top_k} layers cannot be chosen from {len(allowed)}: the signals (or the calibration) cover layers"
            f" {layers_told(covered)}, the option layers is {as_text(options.layers or 'not set')}"
        )
    return allowed, top_k


def purify(inputs: Inputs, options: Purifies) -> pa.Table:
    """Purified attention, the distribution pi over positions: one row per presentation and position.

    Raises:
        ScoringError: more layers than there are to choose from, a formulation that was not calibrated, or signals or a
            calibration without the row.
    """
    equations, calibration = options.equations, inputs.fitted
    if equations.name not in calibration.formulations:
        raise ScoringError(
            f"the calibration holds the formulations {', '.join(calibration.formulations)}, not"
            f" '{equations.name}'; calibrate with it"
        )
    chosen = chosen_layers(inputs, options, calibration.layers)
    if not pc.any(pc.equal(calibration.attention_prior["row"], options.row)).as_py():
        raise _without(options.row, "the calibration has")
    parameters = {
        "formulation": equations.name,
        "row": options.row,
        "prior": options.prior,
        "aggregation": equations.aggregation,
        "temperature": options.temperature,
    }
    step = ("purified_attention", options.top_k, options.layers, options.layers_by, *parameters.values())
    return inputs.steps.once(
        step,
        lambda: query.run(
            _SQL / "purified_attention.sql",
            {"chosen_layers": chosen, "attention_prior": calibration.attention_prior},
            parameters,
        ),
    )


def skill(calibration: Calibration, row: Row, against: Against, *, heads: bool) -> pa.Table:
    """What the calibration knows of the skill of heads, or of layers, in that row.

    Raises:
        ScoringError: it was fitted on signals that lack what that takes.
    """
    of_heads = pc.is_valid(calibration.attention_skill["head"])
    known = calibration.attention_skill.filter(of_heads if heads else pc.invert(of_heads))
    known = known.filter((pc.field("row") == row) & (pc.field("against") == against))
    if not len(known):
        raise _without(row, "the calibration has", heads=heads, null=against == "null")
    return known


def best_first(known: pa.Table, measure: Literal["found", "mass", "contrast"]) -> pa.Table:
    """The rows of `skill`, best first: by the measure, then by target_share, then the lower layer and head."""
    descending = [(measure, "descending"), ("target_share", "descending")]
    return known.sort_by([*descending, ("layer", "ascending"), ("head", "ascending")])


def refuse_missing_attention(
    signals: pa.Table, row: Row, source: str = "the signals have", *, heads: bool = False, null: bool = False
) -> None:
    """Refuse signals that do not tell of the row what is to be read.

    Raises:
        ScoringError: such signals; the message says what extraction must keep.
    """
    wanted = {attention_column(row, heads=heads), attention_column(row, heads=heads, null=null)}
    if not wanted <= set(signals.column_names):
        raise _without(row, source, heads=heads, null=null)


def _layers_that_found(calibration: Calibration, row: Row, allowed: Sequence[int]) -> list[int]:
    known = skill(calibration, row, "prior", heads=False).filter(pc.is_in(pc.field("layer"), pa.array(allowed)))
    layers: list[int] = best_first(known, "found")["layer"].to_pylist()
    return layers


def _without(row: Row, source: str, *, heads: bool = False, null: bool = False) -> ScoringError:
    what = f"{source} no attention{_OF[row]}{' by head' if heads else ''}{' where the query is N/A' if null else ''}"
    return without_kept(what, keeps(row, heads=heads, null=null))


def without_kept(what: str, kept: frozenset[Keep]) -> ScoringError:
    """The error that says what is missing, and what extraction must keep for it to be there."""
    asked = " ".join(f"--keep {each}" for each in get_args(Keep) if each in kept)
    return ScoringError(f"{what}; extract with {asked}")
