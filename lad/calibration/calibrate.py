"""Calibration, section 4.2: what positions do to the answer and to the attention, from a few questions.

The calibration questions are shown in their N cyclic shifts, so that the target visits every position. From these
signals come the position bias (eq. 1, 4, 5), the attention prior (eq. 7) and, for comparison, PriDe's static prior,
what each layer and head knows of the target, and the weights of fusion. The released code calibrates on the first five
evaluation questions; here any table of signals serves, and which questions were used is stored with the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lad import contracts, parquet, query
from lad.calibration.formulation import FORMULATIONS, PRINTED, RELEASED, Formulation, get_formulation
from lad.calibration.fusion import fit_fusion
from lad.calibration.observations import (
    has_logprobs,
    layers_told,
    mean_attention,
    number_of_candidates,
    number_of_layers,
    observed_scores,
    read_layers,
)
from lad.calibration.rows import Row, row_attention, rows_of
from lad.refusal import Refusal

_SQL: Final = files("lad.calibration")
_CONTRACTS: Final = (
    contracts.POSITION_BIAS,
    contracts.ATTENTION_PRIOR,
    contracts.POSITION_PRIOR,
    contracts.ATTENTION_SKILL,
    contracts.FUSION,
)

CONTRAST_TEMPERATURE: Final = 0.001
"""t of CoRe's contrast (arXiv 2510.02219), one of the two values of its authors; the attention that a head pays to all
candidates together is below 1."""


class CalibrationError(Refusal):
    """Signals that cannot be calibrated on, or a calibration that does not hold together."""


@dataclass(frozen=True)
class Calibration:
    """What scoring needs to know about positions.

    Attributes:
        position_bias, attention_prior, position_prior, attention_skill, fusion: tables of the contracts of those names.
            The attention of rows, of heads and of the null query is in them as far as the signals had it.
        n_candidates: N, of the questions calibrated on and of those to be scored.
        model_layers: number of the model's decoder layers, also where the attention prior holds but some.
        questions: ids of the calibration questions.
    """

    position_bias: pa.Table
    attention_prior: pa.Table
    position_prior: pa.Table
    attention_skill: pa.Table
    fusion: pa.Table
    n_candidates: int
    model_layers: int
    questions: tuple[str, ...]

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that the attention prior covers, ascending, from 0."""
        return tuple(sorted(pc.unique(self.attention_prior["layer"]).to_pylist()))

    @property
    def formulations(self) -> tuple[str, ...]:
        return tuple(pc.unique(self.position_bias["formulation"]).to_pylist())

    def write(self, folder: Path, metadata: dict[str, Any] | None = None) -> None:
        """Write one file per table, position_bias.parquet and so on, into `folder`.

        Args:
            folder: made where it does not exist.
            metadata: further facts for the files' metadata, such as the model and the dataset.
        """
        facts = {
            **(metadata or {}),
            "n_candidates": self.n_candidates,
            "model_layers": self.model_layers,
            "layers": list(self.layers),
            "formulations": list(self.formulations),
            "calibration_questions": list(self.questions),
        }
        for contract in _CONTRACTS:
            parquet.write(getattr(self, contract.name), folder / f"{contract.name}.parquet", contract, facts)


def read_calibration(folder: Path) -> Calibration:
    """The calibration that `Calibration.write` left in `folder`.

    Raises:
        TableError: a file is missing or breaks its contract.
        CalibrationError: the tables are not of the same N.
    """
    parts = {c.name: parquet.read(folder / f"{c.name}.parquet", c) for c in _CONTRACTS}
    sizes = {n for part in parts.values() for n in pc.unique(part["n_candidates"]).to_pylist()}
    if len(sizes) != 1:
        raise CalibrationError(f"{folder}: a calibration is for one N, these files hold {sorted(sizes) or 'none'}")
    facts = parquet.read_metadata(folder / f"{contracts.ATTENTION_PRIOR.name}.parquet")
    # Tables from elsewhere carry no metadata: then the prior is taken to cover all of the model's layers.
    layers = parts["attention_prior"]["layer"].to_pylist()
    return Calibration(
        **parts,
        n_candidates=sizes.pop(),
        model_layers=facts.get("model_layers", max(layers, default=-1) + 1),
        questions=tuple(facts.get("calibration_questions", ())),
    )


def calibrate(
    signals: pa.Table,
    *,
    questions: int | None = None,
    question_set: int = 1,
    layers: tuple[int, int] | None = None,
    formulations: Sequence[str] = tuple(FORMULATIONS),
) -> Calibration:
    """Fit position bias, attention prior and PriDe's static prior.

    Of signals without attention the tables about attention are empty. Where an answer alone is known of a presentation,
    only `position_bias` is fitted, by formulations that average probabilities: how often each position was answered. A
    prior that is divided out of answers would leave each of them as it is, or replace all alike by one position.

    Args:
        signals: presentations of one N, one model and one split, each question with its target equally often at every
            position, as its cyclic shifts have it.
        questions: use only so many question ids, in lexicographic order; None for all.
        question_set: which set of so many question ids, from 1; the second set follows the first.
        layers: first and last decoder layer (from 0, both included) that the attention prior covers and that
            scoring may therefore choose; what lies beyond the model's last layer is left out. None for all.
        formulations: names that `get_formulation` knows.

    Raises:
        TableError: signals that break their contract.
        CalibrationError: too few questions, an unknown target, several splits, a question that does not show its
            target equally often at all positions, no such layer, answers alone and formulations that need more.
        SignalsError: presentations of several N or of several models.
        FormulationError: unknown formulation.
    """
    chosen_formulations = [get_formulation(name) for name in formulations]
    if not chosen_formulations:
        raise CalibrationError("no formulation given")
    signals = parquet.conformed(signals, contracts.SIGNALS, "signals")
    n_candidates, model_layers = number_of_candidates(signals), number_of_layers(signals)
    refuse_several_splits(signals)
    signals = _question_set(signals, questions, question_set)
    refuse_uneven_targets(signals)
    if not has_logprobs(signals):
        chosen_formulations = _for_answers(chosen_formulations)
    covered_layers = _layer_range(layers, model_layers, read_layers(signals))
    return Calibration(
        position_bias=pa.concat_tables(_position_bias(signals, f, n_candidates) for f in chosen_formulations),
        attention_prior=pa.concat_tables(
            _attention_prior(signals, formulation, row, n_candidates, covered_layers)
            for formulation in chosen_formulations
            for row in rows_of(signals)
        ),
        position_prior=_position_prior(signals, n_candidates),
        attention_skill=_attention_skill(signals, n_candidates),
        fusion=_fusion(signals, n_candidates, covered_layers),
        n_candidates=n_candidates,
        model_layers=model_layers,
        questions=tuple(sorted(pc.unique(signals["question_id"]).to_pylist())),
    )


def _question_set(signals: pa.Table, questions: int | None, number: int) -> pa.Table:
    if questions is None and number == 1:
        return signals
    available = sorted(pc.unique(signals["question_id"]).to_pylist())
    if questions is None or not 1 <= questions <= number * questions <= len(available):
        raise CalibrationError(
            f"questions = {questions}{'' if number == 1 else f', set {number}'}: the signals hold {len(available)}"
            f" calibration questions, allowed are 1 to {len(available) // max(number, 1)}"
        )
    return signals.filter(
        pc.is_in(signals["question_id"], pa.array(available[(number - 1) * questions : number * questions]))
    )


def refuse_several_splits(signals: pa.Table) -> None:
    """Evaluation questions would give their labels away, and blank images have no target.

    Raises:
        CalibrationError: signals of several splits.
    """
    splits = sorted(pc.unique(signals["split"]).to_pylist())
    if len(splits) > 1:
        raise CalibrationError(f"the signals are of the splits {', '.join(splits)}; calibrate on those of one")


def refuse_uneven_targets(signals: pa.Table) -> None:
    """Without the target at i there is no row i of the bias; where it is shown more often, a prior leans that way.

    Raises:
        CalibrationError: an unknown target, or a question that does not show its target equally often at all positions.
    """
    n_candidates = number_of_candidates(signals)
    unknown = signals.filter(pc.is_null(signals["target_position"]))
    if len(unknown):
        raise CalibrationError(
            f"presentation {unknown['presentation_id'][0].as_py()} does not say where its target is; calibrate on"
            " questions whose target is known"
        )
    question = signals["question_id"].combine_chunks().dictionary_encode()
    cells = question.indices.to_numpy() * n_candidates + signals["target_position"].to_numpy() - 1
    times = np.bincount(cells, minlength=len(question.dictionary) * n_candidates).reshape(-1, n_candidates)
    uneven = (times != times[:, :1]).any(axis=1)
    if uneven.any():
        at = int(np.argmax(uneven))
        raise CalibrationError(
            f"calibration question {question.dictionary[at].as_py()} shows its target {times[at].tolist()} times at the"
            f" positions 1 to {n_candidates}; show each calibration question in its {n_candidates} cyclic shifts"
        )


def _for_answers(formulations: Sequence[Formulation]) -> list[Formulation]:
    fitting = [formulation for formulation in formulations if formulation.average == "probabilities"]
    if not fitting:
        raise CalibrationError(
            f"the signals hold presentations without log-probabilities, and {formulations[0].name} averages logs; fit a"
            " formulation that averages probabilities, such as printed"
        )
    return fitting


def _layer_range(layers: tuple[int, int] | None, model_layers: int, with_attention: Sequence[int]) -> tuple[int, int]:
    if not model_layers and layers is None:
        return 0, 0
    first, last = layers or (0, model_layers - 1)
    if not 0 <= first <= last or first >= model_layers:
        raise CalibrationError(f"layers = {first}-{last}: the model has layers 0 to {model_layers - 1}")
    if not any(first <= layer <= last for layer in with_attention):
        raise CalibrationError(
            f"layers = {first}-{last}: the signals have attention of the layers {layers_told(with_attention)}"
        )
    return first, min(last, model_layers - 1)


def _position_bias(signals: pa.Table, formulation: Formulation, n_candidates: int) -> pa.Table:
    bias = query.run(
        _SQL / "position_bias.sql",
        {"observed_scores": observed_scores(signals, formulation)},
        {"formulation": formulation.name, "average": formulation.average, "n_candidates": n_candidates},
    )
    return parquet.conform(bias, contracts.POSITION_BIAS, "calibration")


def _attention_prior(
    signals: pa.Table, formulation: Formulation, row: Row, n_candidates: int, covered_layers: tuple[int, int]
) -> pa.Table:
    first_layer, last_layer = covered_layers
    prior = mean_attention(signals, formulation, row)
    covered = (pc.field("layer") >= first_layer) & (pc.field("layer") <= last_layer)
    facts = {
        "formulation": pa.scalar(formulation.name),
        "n_candidates": pa.scalar(n_candidates, pa.int32()),
        "row": pa.scalar(row),
    }
    prior = prior.filter(covered).rename_columns({"attention": "prior"})
    for name, value in facts.items():
        prior = prior.append_column(name, pa.repeat(value, len(prior)))
    return parquet.conform(prior, contracts.ATTENTION_PRIOR, "calibration")


def _position_prior(signals: pa.Table, n_candidates: int) -> pa.Table:
    if not has_logprobs(signals):
        return contracts.POSITION_PRIOR.schema.empty_table()
    prior = query.run(
        _SQL / "position_prior.sql",
        {
            "observed_scores": observed_scores(signals, PRINTED),
            "released_bias": _position_bias(signals, RELEASED, n_candidates),
        },
        {"n_candidates": n_candidates},
    )
    return parquet.conform(prior, contracts.POSITION_PRIOR, "calibration")


def _attention_skill(signals: pa.Table, n_candidates: int) -> pa.Table:
    skill = query.run(
        _SQL / "attention_skill.sql",
        {"row_attention": row_attention(signals, rows_of(signals))},
        {"n_candidates": n_candidates, "temperature": CONTRAST_TEMPERATURE},
    )
    return parquet.conform(skill, contracts.ATTENTION_SKILL, "calibration")


def _fusion(signals: pa.Table, n_candidates: int, covered_layers: tuple[int, int]) -> pa.Table:
    if not read_layers(signals):
        return contracts.FUSION.schema.empty_table()
    fitted = fit_fusion(signals, covered_layers)
    size = pa.repeat(pa.scalar(n_candidates, pa.int32()), len(fitted))
    return parquet.conform(fitted.append_column("n_candidates", size), contracts.FUSION, "calibration")
