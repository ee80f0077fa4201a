"""What a method answers on every presentation, beside the truth; and what is refused because something is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from lad import contracts, parquet, query
from lad.calibration.calibrate import Calibration
from lad.calibration.observations import (
    has_logprobs,
    layers_told,
    number_of_candidates,
    number_of_layers,
    read_layers,
)
from lad.methods.base import Inputs, Method, OfCell
from lad.methods.options import Options, ScoringError, Signal
from lad.methods.scores import refuse_missing_logprobs
from lad.methods.specification import Specification, Specified, parse_method

_PREDICTIONS: Final = Path(__file__).with_name("predictions.sql")


class Session:
    """Signals that several methods are to answer: the steps that these share are taken once."""

    def __init__(
        self,
        signals: pa.Table,
        calibration: Calibration | None = None,
        *,
        identifiers: Sequence[str] | None = None,
        content_free: pa.Table | None = None,
        generations: pa.Table | None = None,
        of_cell: OfCell | None = None,
    ) -> None:
        """As `score`.

        Args:
            of_cell: what is known of all presentations of a cell, where the signals are a part of it.

        Raises:
            TableError: signals, content-free signals or generations that break their contract.
        """
        signals = parquet.conformed(signals, contracts.SIGNALS, "signals")
        if content_free is not None:
            content_free = parquet.conformed(content_free, contracts.SIGNALS, "content-free signals")
        if generations is not None:
            generations = parquet.conformed(generations, contracts.GENERATIONS, "generations")
        self._inputs = Inputs(signals, calibration, identifiers, content_free, generations, of_cell)

    def score(self, specification: Specification, defaults: Mapping[str, object] | None = None) -> pa.Table:
        """The predictions of one method; see `score`.

        Raises:
            ScoringError, SignalsError: as `score`.
        """
        specified = parse_method(specification, defaults)
        self._refuse_unfit(specified)
        inputs = self._inputs
        if specified.method.gathers:
            inputs = replace(inputs, gathered=specified.method.gathers(inputs, specified.options))
        return answered(specified, inputs)

    def timed(
        self, specification: Specification, defaults: Mapping[str, object] | None = None
    ) -> tuple[pa.Table, float]:
        """The predictions, and the seconds that the method takes alone: with all steps that it shares with others."""
        return self._inputs.steps.timed(lambda: self.score(specification, defaults))

    def gather(
        self,
        specification: Specification,
        defaults: Mapping[str, object] | None = None,
        so_far: pa.Table | None = None,
    ) -> tuple[pa.Table, float]:
        """What a method that gathers needs to know of these presentations and of those before; and the seconds.

        Args:
            so_far: what it has gathered of those before; None if there are none.

        Raises:
            ScoringError, SignalsError: as `score`.
        """
        specified = parse_method(specification, defaults)
        self._refuse_unfit(specified)
        gathers, inputs = specified.method.gathers, replace(self._inputs, gathered=so_far)
        assert gathers, f"{specified.method.name} gathers nothing"
        return inputs.steps.timed(lambda: gathers(inputs, specified.options))

    def _refuse_unfit(self, specified: Specified) -> None:
        _refuse_unread(specified, self._inputs.signals)
        _refuse_missing(specified.method, specified.options, self._inputs)


def answered(specified: Specified, inputs: Inputs) -> pa.Table:
    """The answers of a method as predictions. That it has all it needs has been seen to."""
    method, options, variant = specified
    columns = [column.name for column in contracts.PRESENTATIONS.columns if column.name in inputs.signals.column_names]
    shown = inputs.signals.select(columns)
    predictions = query.run(
        _PREDICTIONS,
        {"answers": method.answers(inputs, options), "signals": _with_relevance(shown)},
        {"method": method.name, "variant": variant},
    )
    return parquet.conform(predictions, contracts.PREDICTIONS, f"predictions of {method.name};{variant}".rstrip(";"))


def score(
    signals: pa.Table,
    calibration: Calibration | None,
    specification: Specification,
    defaults: Mapping[str, object] | None = None,
    *,
    identifiers: Sequence[str] | None = None,
    content_free: pa.Table | None = None,
    generations: pa.Table | None = None,
) -> pa.Table:
    """What the method answers on every presentation (permutation_average: on every question).

    Args:
        signals: presentations of one N and one model; their targets may be unknown.
        calibration: for the same N and model; None for methods that need none.
        specification: a method and its options, as `parse_method` reads them.
        defaults: values of the options that the specification does not name, by full names.
        identifiers: identifier of each position, 1..N; only vanilla_parsed reads them.
        content_free: signals of the split content_free, for the same N and model; None for methods that need none.
        generations: GENERATIONS table with the texts of all presentations; only methods that read texts need it.

    Returns:
        A predictions table; target_position and correct are null where the target is unknown. In a window of a list
        without anything relevant no answer is correct, and there is no target_position.

    Raises:
        TableError: signals, content-free signals or generations that break their contract.
        ScoringError: unknown method or option, missing calibration or content-free signals, or such for another N or
            another model, layers that are not there, orders that do not suffice, signals that lack what the method
            reads, missing texts.
        SignalsError: presentations of several N or of several models.
    """
    session = Session(signals, calibration, identifiers=identifiers, content_free=content_free, generations=generations)
    return session.score(specification, defaults)


def _with_relevance(presentations: pa.Table) -> pa.Table:
    """With the column relevance, null where the questions are no windows of lists."""
    if "relevance" in presentations.column_names:
        return presentations
    return presentations.append_column("relevance", pa.nulls(len(presentations), pa.list_(pa.int32())))


def _refuse_missing(method: Method[Any], options: Options, inputs: Inputs) -> None:
    if method.reads_calibration(options):
        _refuse_other_calibration(method, inputs.signals, inputs.calibration)
    if method.needs_content_free:
        _refuse_other_content_free(method, inputs.signals, inputs.content_free)
    if method.needs_generations:
        _refuse_other_texts(method, inputs.signals, inputs.generations)


def _refuse_unread(specified: Specified, signals: pa.Table) -> None:
    """The log of another tool tells of no attention, and it may tell of answers alone."""
    number_of_candidates(signals)
    read, of_a_pass = specified.method.reads_for(specified.options), bool(read_layers(signals))
    if of_a_pass:
        if read in ("answers", "logprobs"):
            refuse_missing_logprobs(signals, "candidate_logprobs")
        return
    lacking: dict[Signal, str] = {"attention": "the signals have no attention: they come from the log of another tool"}
    if not has_logprobs(signals):
        without = pc.index(pc.is_null(signals["candidate_logprobs"]), pa.scalar(True)).as_py()
        lacking["logprobs"] = (
            f"presentation {signals['presentation_id'][without].as_py()} has no candidate_logprobs, an answer at most"
        )
    if read in lacking:
        serving = _that_read_other_than({*lacking, "texts"})
        raise ScoringError(f"{specified.text} cannot answer: {lacking[read]}; methods that serve: {', '.join(serving)}")


def _that_read_other_than(lacking: set[Signal]) -> list[str]:
    # The registry imports every module of this package, this one among them.
    from lad.methods import METHODS

    return [name for name, each in METHODS.items() if each.reads_for(each.options_type()) not in lacking]


def _refuse_other_calibration(method: Method[Any], signals: pa.Table, calibration: Calibration | None) -> None:
    if calibration is None:
        raise ScoringError(
            f"{method.name} needs a calibration and none was given: `lad calibrate` on signals of the split calibration"
            " makes one, --calibration names its folder"
        )
    n_candidates, model_layers = number_of_candidates(signals), number_of_layers(signals)
    if calibration.n_candidates != n_candidates:
        raise ScoringError(
            f"the calibration is for N = {calibration.n_candidates}, the signals are of N = {n_candidates};"
            f" calibrate on questions of {n_candidates} candidates"
        )
    if calibration.model_layers != model_layers:
        raise ScoringError(
            f"the calibration is for a model of {calibration.model_layers} layers, the signals are of one of"
            f" {model_layers}; calibrate on signals of the same model"
        )
    if missing := sorted(set(calibration.layers).difference(read_layers(signals))):
        raise ScoringError(
            f"the calibration covers the layers {layers_told(missing)}, of which the signals have no attention;"
            " calibrate on signals of the same model"
        )


def _refuse_other_content_free(method: Method[Any], signals: pa.Table, content_free: pa.Table | None) -> None:
    if content_free is None or not len(content_free):
        raise ScoringError(
            f"{method.name} needs signals of the split content_free and none were given: `lad content-free` makes its"
            " question, `lad extract` asks it; hand the signals to --signals as well"
        )
    here, there = ((number_of_candidates(table), number_of_layers(table)) for table in (signals, content_free))
    if here != there:
        raise ScoringError(
            f"the content-free signals are of N = {there[0]} and {there[1]} layers, the signals to be scored of"
            f" N = {here[0]} and {here[1]} layers; ask the same model about as many blank images"
        )
    if (here_read := read_layers(signals)) != (there_read := read_layers(content_free)):
        raise ScoringError(
            f"the content-free signals have attention of the layers {layers_told(there_read)}, the signals to be scored"
            f" of the layers {layers_told(here_read)}; ask the same model about blank images"
        )


def _refuse_other_texts(method: Method[Any], signals: pa.Table, generations: pa.Table | None) -> None:
    """No texts, texts of other presentations, or a text that is there twice."""
    if generations is None:
        raise ScoringError(
            f"{method.name} needs generated texts and none were given; extract with the probe {method.name} and hand"
            " its generations.parquet to --generations"
        )
    without = pc.invert(pc.is_in(signals["presentation_id"], value_set=generations["presentation_id"].combine_chunks()))
    if pc.any(without).as_py():
        missing = signals["presentation_id"].filter(without)
        raise ScoringError(
            f"{method.name}: the generations hold no text of presentation {missing[0].as_py()} and of"
            f" {len(missing) - 1} others; give those of the same cell and split as the signals"
        )
    counts = generations.group_by(["presentation_id", "sample"]).aggregate([([], "count_all")])
    repeated = counts.filter(pc.field("count_all") > 1)
    if len(repeated):
        raise ScoringError(
            f"{method.name}: the generations hold sample {repeated['sample'][0].as_py()} of presentation"
            f" {repeated['presentation_id'][0].as_py()} more than once; give those of one probe"
        )
