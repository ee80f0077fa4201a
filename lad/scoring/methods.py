"""The methods: what each answers on each presentation, from signals and, where it has one, a calibration.

A method turns signals into scores by position, mostly by one SQL file that reads like its equations; the
answer is the position with the largest score (the lowest of several). Where the paper and the released code
differ, the option `formulation` chooses (see `lad.calibration.formulation`). Unlike the released code, the
layers allowed in eq. 9 are all of the model's unless the option `layers` or the calibration says otherwise.

Not the paper's are batch_calibration and majority_vote, which see more than one presentation at a time but no label,
chosen_heads, which sees the calibration questions' labels, and contextual_calibration and attention_less_content_free,
which cost one forward pass without content: blank images, caption "N/A".

Two read texts that the model generated: cot and self_consistency. Unlike the released code, a self_consistency of which
no text names a position is no answer rather than position 1, and what is read as an index is stricter (options failed
and parse).
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lad import contracts, parquet, query
from lad.calibration.calibrate import Calibration
from lad.calibration.formulation import PRINTED, RELEASED, Formulation, FormulationError, get_formulation
from lad.calibration.observations import (
    layer_attention,
    mean_attention,
    number_of_candidates,
    number_of_layers,
    observed_scores,
)

_SQL: Final = files("lad.scoring")


class ScoringError(ValueError):
    """A method that does not exist or does not fit what it was given; the message says what does."""


@dataclass(frozen=True)
class Options:
    """What a method may be told.

    Attributes:
        formulation: a name that `get_formulation` knows.
        top_k: K, number of layers chosen (eq. 9).
        temperature: tau (eq. 12).
        prior: whether the attention prior is divided out (eq. 11).
        layers: layers allowed in eq. 9, as first and last (from 0, both included); "all" aggregates every layer
            that the calibration covers, whatever K; None allows every layer that the calibration covers.
        orders: what permutation_average averages over: the question's N cyclic shifts and nothing else, or the random
            orders of it that the signals hold.
        correction: how batch_calibration takes out the mean probability, by difference or by ratio.
        heads: how many attention heads chosen_heads listens to.
        parse: what counts as an index in generated text: integers that stand for themselves, behind the reasoning if
            there is one; or any digits, by the released code's rules.
        failed: what self_consistency answers where no text names a position: nothing, or position 1 as the released
            code does.
    """

    formulation: str = "printed"
    top_k: int = 2
    temperature: float = 5.0
    prior: bool = True
    layers: Literal["all"] | tuple[int, int] | None = None
    orders: Literal["cyclic", "random"] = "cyclic"
    correction: Literal["difference", "ratio"] = "difference"
    heads: int = 3
    parse: Literal["integers", "released"] = "integers"
    failed: Literal["none", "first"] = "none"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ScoringError(f"temperature (tau) = {self.temperature}: allowed is a number above 0")


@dataclass(frozen=True)
class Inputs:
    """What a method answers from; what it needs besides the signals is there for every method that needs it."""

    signals: pa.Table
    calibration: Calibration | None
    options: Options
    identifiers: Sequence[str] | None
    content_free: pa.Table | None = None
    generations: pa.Table | None = None

    @property
    def fitted(self) -> Calibration:
        assert self.calibration is not None, "score() has refused methods that lack their calibration"
        return self.calibration

    @property
    def blank(self) -> pa.Table:
        assert self.content_free is not None, "score() has refused methods that lack their content-free signals"
        return self.content_free

    @property
    def texts(self) -> pa.Table:
        assert self.generations is not None, "score() has refused methods that lack their generations"
        return self.generations


Split = Literal["evaluation", "symmetrized", "permuted"]


@dataclass(frozen=True)
class Method:
    """One entry of the registry.

    Attributes:
        answers: from inputs to presentation_id, position (nullable) and scores (nullable), one row per answer.
        description: one line with the equation.
        split: the split of the signals that the method is meant for, unless its options say otherwise.
        needs_calibration, needs_content_free, needs_heads: what it reads besides those signals: a calibration, the
            signals of the split content_free, the attention of every head.
        options: the option names that it understands, as `parse_method` reads them.
    """

    name: str
    answers: Callable[[Inputs], pa.Table]
    description: str
    split: Split = "evaluation"
    needs_calibration: bool = False
    needs_content_free: bool = False
    needs_heads: bool = False
    options: tuple[str, ...] = ()
    needs_generations: bool = False

    def split_for(self, options: Options) -> Split:
        """The split of the signals that the method with these options is meant for."""
        return "permuted" if "orders" in self.options and options.orders == "random" else self.split


def score(
    signals: pa.Table,
    calibration: Calibration | None,
    method_spec: str,
    defaults: Options | None = None,
    *,
    identifiers: Sequence[str] | None = None,
    content_free: pa.Table | None = None,
    generations: pa.Table | None = None,
) -> pa.Table:
    """What the method answers on every presentation (permutation_average: on every question).

    Args:
        signals: presentations of one N and one model; their targets may be unknown.
        calibration: for the same N and model; None for methods that need none.
        method_spec: a method and its options, as `parse_method` reads them.
        defaults: values of the options that the specification does not name.
        identifiers: identifier of each position, 1..N; only vanilla_parsed reads them.
        content_free: signals of the split content_free, for the same N and model; None for methods that need none.
        generations: GENERATIONS table with the texts of all presentations; only cot and self_consistency read it.

    Returns:
        A predictions table; target_position and correct are null where the target is unknown.

    Raises:
        TableError: signals, content-free signals or generations that break their contract.
        ScoringError: unknown method or option, missing calibration or content-free signals, or such for another N or
            another model, layers that are not there, orders that do not suffice, signals that lack what the method
            reads, missing texts.
        SignalsError: presentations of several N or of several models.
    """
    method, options, variant = parse_method(method_spec, defaults)
    signals = parquet.conformed(signals, contracts.SIGNALS, "signals")
    if content_free is not None:
        content_free = parquet.conformed(content_free, contracts.SIGNALS, "content-free signals")
    if generations is not None:
        generations = parquet.conformed(generations, contracts.GENERATIONS, "generations")
    if method.needs_calibration:
        _refuse_other_calibration(method, signals, calibration)
    if method.needs_content_free:
        _refuse_other_content_free(method, signals, content_free)
    if method.needs_generations:
        generations = _texts_of(method, signals, generations)
    answers = method.answers(Inputs(signals, calibration, options, identifiers, content_free, generations))
    predictions = query.run(
        _SQL / "predictions.sql",
        {"answers": answers, "signals": signals},
        {"method": method.name, "variant": variant},
    )
    return parquet.conform(predictions, contracts.PREDICTIONS, f"predictions of {method_spec}")


def _refuse_other_calibration(method: Method, signals: pa.Table, calibration: Calibration | None) -> None:
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


def _refuse_other_content_free(method: Method, signals: pa.Table, content_free: pa.Table | None) -> None:
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


def _texts_of(method: Method, signals: pa.Table, generations: pa.Table | None) -> pa.Table:
    """The texts of these signals' presentations.

    Raises:
        ScoringError: no texts, texts of other presentations, a text that is there twice.
    """
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
    return generations


# --- the methods -----------------------------------------------------------------------------------------------


def _vanilla(inputs: Inputs) -> pa.Table:
    return _best_positions(_observed_scores(inputs.signals, PRINTED))


def _vanilla_parsed(inputs: Inputs) -> pa.Table:
    n_candidates = number_of_candidates(inputs.signals)
    if inputs.identifiers is None or len(inputs.identifiers) != n_candidates:
        raise ScoringError(
            f"vanilla_parsed reads answers for N = {n_candidates} and needs that many identifiers,"
            f" not {len(inputs.identifiers or ())}"
        )
    if inputs.signals["generated_text"].null_count == len(inputs.signals):
        raise ScoringError("vanilla_parsed needs generated text and the signals hold none")
    return query.run(
        _SQL / "parsed_positions.sql",
        {"signals": inputs.signals},
        {"identifiers": list(inputs.identifiers)},
    )


def _attention_readout(inputs: Inputs) -> pa.Table:
    chosen = _chosen_layers(inputs.signals, inputs.options, range(number_of_layers(inputs.signals)))
    return _best_positions(query.run(_SQL / "attention_readout.sql", {"chosen_layers": chosen}))


def _purified_attention(inputs: Inputs) -> pa.Table:
    return _best_positions(_purify(inputs))


def _agd(inputs: Inputs) -> pa.Table:
    formulation = get_formulation(inputs.options.formulation)
    scores = query.run(
        _SQL / "agd.sql",
        {
            "observed_scores": _observed_scores(inputs.signals, formulation),
            "purified_attention": _purify(inputs),
            "position_bias": inputs.fitted.position_bias,
        },
        {"formulation": formulation.name, "mixture": formulation.mixture},
    )
    return _best_positions(scores)


def _pride(inputs: Inputs) -> pa.Table:
    return _less_static_prior(_observed_scores(inputs.signals, PRINTED), inputs.fitted.position_prior, "pride")


def _pride_released(inputs: Inputs) -> pa.Table:
    scores = _observed_scores(inputs.signals, RELEASED)
    return _less_static_prior(scores, inputs.fitted.position_prior, "pride_released")


def _permutation_average(inputs: Inputs) -> pa.Table:
    """Mean over the question's orders of P(candidate|order), one answer per question (paper, table 8).

    Printed, the orders are the N cyclic shifts, where each candidate stands once at each position and a static bias
    favours none; this is also called the cyclic probability ensemble. The released code averages over 16 random
    orders (`orders=random`, split permuted) and log-domain scores (`formulation=released`).
    """
    orders = _orders(inputs.signals)
    if inputs.options.orders == "cyclic":
        _refuse_incomplete_shifts(inputs.signals, orders)
    _refuse_missing_first_rounds(inputs.signals)
    formulation = get_formulation(inputs.options.formulation)
    scores = query.run(
        _SQL / "permutation_average.sql",
        {"observed_scores": _observed_scores(inputs.signals, formulation), "signals": inputs.signals},
        {"average": formulation.average},
    )
    return _best_positions(scores)


def _batch_calibration(inputs: Inputs) -> pa.Table:
    """Scores P(c_j|x) - mean over x' of P(c_j|x'), x' the presentations being scored, whatever their labels.

    Zhou et al., Batch Calibration, arXiv 2309.17249: the contextual prior is the mean over a batch of inputs, taken out
    by difference; `correction=ratio` divides by it instead, as others do and contextual calibration does. Here the
    class is a position and the batch is all that is scored. What is taken out is bias only as far as the batch has
    its targets evenly at all positions.
    """
    if len(inputs.signals) < 2:
        raise ScoringError(
            "batch_calibration compares each probability with its mean over the presentations being scored and needs at"
            f" least 2 of them, better hundreds; the signals hold {len(inputs.signals)}"
        )
    scores = _observed_scores(inputs.signals, PRINTED)
    prior = _mean_prior(scores, "batch_calibration")
    if inputs.options.correction == "ratio":
        return _less_static_prior(scores, prior, "batch_calibration")
    return _best_positions(
        query.run(_SQL / "batch_calibration.sql", {"observed_scores": scores, "position_prior": prior})
    )


def _contextual_calibration(inputs: Inputs) -> pa.Table:
    """Scores log P(c_j|x) - log P(c_j|content-free): N blank images, caption "N/A".

    Zhao et al., Calibrate Before Use, arXiv 2102.09690: probabilities are multiplied by W = diag(P(.|content-free))^-1.
    """
    prior = _mean_prior(_observed_scores(inputs.blank, PRINTED), "contextual_calibration")
    return _less_static_prior(_observed_scores(inputs.signals, PRINTED), prior, "contextual_calibration")


def _attention_less_content_free(inputs: Inputs) -> pa.Table:
    """Scores mean over L* of a_k^(l)(x) - a_k^(l)(content-free): the attention that content draws.

    What contextual calibration does to probabilities, done to the read-out of eq. 6; L* is chosen by eq. 8 and 9.
    """
    formulation = get_formulation(inputs.options.formulation)
    chosen = _chosen_layers(inputs.signals, inputs.options, range(number_of_layers(inputs.signals)))
    blank = mean_attention(inputs.blank, formulation)
    return _best_positions(
        query.run(_SQL / "attention_less_content_free.sql", {"chosen_layers": chosen, "content_free_attention": blank})
    )


def _chosen_heads(inputs: Inputs) -> pa.Table:
    """Scores mean over the chosen heads of a_k^(l,h) / sum_k a_k^(l,h).

    Chosen are the heads that look at the target most often on the calibration questions (`head_choice`), instead of
    layers by how much they look at images. That a few heads suffice: Kang et al., arXiv 2503.06287, who use three.
    """
    choice = inputs.fitted.head_choice
    for table, what in ((choice, "the calibration has"), (inputs.signals, "the signals have")):
        if not len(table) or (table is inputs.signals and "head_attention" not in table.column_names):
            raise ScoringError(f"chosen_heads: {what} no attention by head; extract with --head-attention")
    if inputs.options.heads > len(choice):
        raise ScoringError(f"heads = {inputs.options.heads} cannot be chosen from the model's {len(choice)}")
    return _best_positions(
        query.run(
            _SQL / "chosen_heads.sql",
            {"signals": inputs.signals, "head_choice": choice},
            {"heads": inputs.options.heads},
        )
    )


def _majority_vote(inputs: Inputs) -> pa.Table:
    """The candidate that vanilla names in most orders of the question, answered in each of them.

    Votes of a candidate: number of orders with argmax P(c_j|x) at its position. Of equal votes the larger mean of P
    over the orders wins, then the lower candidate number. Self-consistency's vote (Wang et al., arXiv 2203.11171),
    taken over orders rather than samples. Consistency is 100 % by construction.
    """
    _orders(inputs.signals)
    _refuse_single_orders(inputs.signals)
    scores = query.run(
        _SQL / "majority_vote.sql",
        {
            "vanilla_answers": _vanilla(inputs),
            "observed_scores": _observed_scores(inputs.signals, PRINTED),
            "signals": inputs.signals,
        },
    )
    return _best_positions(scores)


def _cot(inputs: Inputs) -> pa.Table:
    """The index behind the reasoning in each presentation's first text (Wei et al., arXiv 2201.11903).

    The last index behind the last </think>; where no number stands there, or there is no such tag, the last index in
    the whole text. A text that names none is no answer.
    """
    return query.run(_SQL / "text_answers.sql", {"text_positions": _text_positions(inputs, "reasoned_positions.sql")})


def _self_consistency(inputs: Inputs) -> pa.Table:
    """The position that most sampled texts name (Wang et al., Self-consistency, arXiv 2203.11171).

    A text names k where it says "The answer is k", else its last index. Of equal votes the position that an earlier
    sample names wins, as in the released code. Scores are shares of the votes.
    """
    return query.run(
        _SQL / "text_majority.sql",
        {"text_positions": _text_positions(inputs, "stated_positions.sql"), "signals": inputs.signals},
        {"failed": inputs.options.failed},
    )


# --- what they share -------------------------------------------------------------------------------------------


def _best_positions(scores: pa.Table) -> pa.Table:
    return query.run(_SQL / "best_positions.sql", {"scores": scores})


def _observed_scores(signals: pa.Table, formulation: Formulation) -> pa.Table:
    """The scores of every presentation; SQL would leave out one that has none without a word.

    Raises:
        ScoringError: a presentation without a value in the column that the formulation reads.
    """
    column = formulation.scores_column(number_of_candidates(signals))
    if signals[column].null_count:
        at = pc.index(pc.is_null(signals[column]), pa.scalar(True)).as_py()
        raise ScoringError(
            f"presentation {signals['presentation_id'][at].as_py()} has no {column}, from which this method answers;"
            " extract them by a probe that reads the probabilities of the identifiers"
        )
    return observed_scores(signals, formulation)


def _mean_prior(scores: pa.Table, method: str) -> pa.Table:
    """The log of the mean probability of each position over some presentations, as a position_prior."""
    return query.run(_SQL / "mean_prior.sql", {"observed_scores": scores}, {"method": method})


def _text_positions(inputs: Inputs, rule: str) -> pa.Table:
    """The position that each generated text names by that rule."""
    parse = {"parse": inputs.options.parse}
    readable = query.run(_SQL / "readable_texts.sql", {"generations": inputs.texts, "signals": inputs.signals}, parse)
    return query.run(_SQL / rule, {"readable_texts": readable}, parse)


def _less_static_prior(scores: pa.Table, prior: pa.Table, method: str) -> pa.Table:
    corrected = query.run(
        _SQL / "less_static_prior.sql", {"observed_scores": scores, "position_prior": prior}, {"method": method}
    )
    return _best_positions(corrected)


def _purify(inputs: Inputs) -> pa.Table:
    """The distribution pi over positions, eq. 8 to 12."""
    formulation, calibration = get_formulation(inputs.options.formulation), inputs.fitted
    if formulation.name not in calibration.formulations:
        raise ScoringError(
            f"the calibration holds the formulations {', '.join(calibration.formulations)}, not"
            f" '{formulation.name}'; calibrate with it"
        )
    return query.run_once(
        _SQL / "purified_attention.sql",
        {
            "chosen_layers": _chosen_layers(inputs.signals, inputs.options, calibration.layers),
            "attention_prior": calibration.attention_prior,
        },
        {
            "formulation": formulation.name,
            "prior": inputs.options.prior,
            "aggregation": formulation.aggregation,
            "temperature": inputs.options.temperature,
        },
    )


def _chosen_layers(signals: pa.Table, options: Options, covered: Sequence[int]) -> pa.Table:
    """The attention of the layers L*, chosen among those covered by the calibration and allowed by the options."""
    allowed = list(covered)
    if isinstance(options.layers, tuple):
        first, last = options.layers
        allowed = [layer for layer in covered if first <= layer <= last]
    top_k = len(allowed) if options.layers == "all" else options.top_k
    if not 1 <= top_k <= len(allowed):
        raise ScoringError(
            f"k = {top_k} layers cannot be chosen from {len(allowed)}: the signals (or the calibration) cover layers"
            f" {min(covered)} to {max(covered)}, the option layers is {_format_layers(options.layers)}"
        )
    return query.run_once(
        _SQL / "chosen_layers.sql",
        {"layer_attention": layer_attention(signals, get_formulation(options.formulation))},
        {"layers": allowed, "top_k": top_k},
    )


def _orders(signals: pa.Table) -> npt.NDArray[np.int32]:
    """The candidate at each position, presentations x N, from 1.

    Raises:
        ScoringError: an order that does not show every candidate once.
    """
    n_candidates = number_of_candidates(signals)
    orders: npt.NDArray[np.int32] = signals["order"].combine_chunks().flatten().to_numpy().reshape(-1, n_candidates)
    partial = (np.sort(orders, axis=1) != np.arange(1, n_candidates + 1)).any(axis=1)
    if partial.any():
        at = int(np.argmax(partial))
        raise ScoringError(
            f"the order of presentation {signals['presentation_id'][at].as_py()} is {orders[at].tolist()}; every order"
            f" shows each of the candidates 1 to {n_candidates} once"
        )
    return orders


def _refuse_single_orders(signals: pa.Table) -> None:
    """A vote over one order is vanilla's answer under another name."""
    shown = signals.group_by("question_id", use_threads=False).aggregate([([], "count_all")])
    single = shown.filter(pc.field("count_all") == 1)["question_id"]
    if len(single):
        raise ScoringError(
            f"majority_vote needs each question in at least 2 orders; question {single[0].as_py()} is shown in 1: give"
            " signals of all rounds of a split"
        )


def _refuse_incomplete_shifts(signals: pa.Table, orders: npt.NDArray[np.int32]) -> None:
    """Averaging cancels a bias of position only where each candidate stands once at each position."""
    n_candidates = number_of_candidates(signals)
    question = signals["question_id"].combine_chunks().dictionary_encode()
    codes, ids = question.indices.to_numpy(), question.dictionary
    places = (codes[:, None] * n_candidates + orders - 1) * n_candidates + np.arange(n_candidates)
    times = np.bincount(places.ravel(), minlength=len(ids) * n_candidates**2).reshape(len(ids), -1)
    incomplete = (times != 1).any(axis=1)
    if incomplete.any():
        raise ScoringError(
            f"permutation_average needs the {n_candidates} cyclic shifts of each question;"
            f" question {ids[int(np.argmax(incomplete))].as_py()} is shown otherwise: give signals of the split"
            f" symmetrized, or average over whatever orders there are with permutation_average;orders=random"
        )


def _refuse_missing_first_rounds(signals: pa.Table) -> None:
    """A question's answer stands in its first round; in a round of its own it would weigh as much as all the others."""
    rounds = signals["round"].to_numpy()
    first = signals["question_id"].filter(pa.array(rounds == rounds.min()))
    without = signals["question_id"].filter(
        pc.invert(pc.is_in(signals["question_id"], value_set=first.combine_chunks()))
    )
    if len(without):
        raise ScoringError(
            f"permutation_average answers each question in its first round, {rounds.min()}; question"
            f" {without[0].as_py()} lacks it: give signals of all rounds of a split"
        )


# --- the registry ----------------------------------------------------------------------------------------------

METHODS: Final = {
    method.name: method
    for method in (
        Method("vanilla", _vanilla, "argmax P(c_j|x), appendix B"),
        Method("vanilla_parsed", _vanilla_parsed, "last identifier in the greedily generated text"),
        Method(
            "attention_readout",
            _attention_readout,
            "argmax mean over L* of a, eq. 6, 8, 9",
            options=("k", "layers", "formulation"),
        ),
        Method(
            "purified_attention",
            _purified_attention,
            "argmax pi, eq. 8-12",
            needs_calibration=True,
            options=("k", "tau", "prior", "layers", "formulation"),
        ),
        Method(
            "pride",
            _pride,
            "argmax log P - log of a static prior over positions (PriDe, its authors' estimate)",
            needs_calibration=True,
        ),
        Method(
            "pride_released",
            _pride_released,
            "argmax score - mean over i of bias_ij (PriDe, as in the paper's released code)",
            needs_calibration=True,
        ),
        Method(
            "agd",
            _agd,
            "argmax log P(c_j|x) - log sum_k pi_k P_bias(j|k), eq. 8-14",
            needs_calibration=True,
            options=("k", "tau", "prior", "layers", "formulation"),
        ),
        Method(
            "permutation_average",
            _permutation_average,
            "argmax over candidates of the mean of P over the question's N cyclic shifts, or over random orders",
            split="symmetrized",
            options=("orders", "formulation"),
        ),
        Method(
            "batch_calibration",
            _batch_calibration,
            "argmax P(c_j|x) - its mean over the presentations being scored (arXiv 2309.17249)",
            options=("correction",),
        ),
        Method(
            "contextual_calibration",
            _contextual_calibration,
            "argmax log P(c_j|x) - log P(c_j|blank images, caption N/A) (arXiv 2102.09690)",
            needs_content_free=True,
        ),
        Method(
            "attention_less_content_free",
            _attention_less_content_free,
            "argmax mean over L* of a - a(blank images, caption N/A)",
            needs_content_free=True,
            options=("k", "layers", "formulation"),
        ),
        Method(
            "chosen_heads",
            _chosen_heads,
            "argmax mean share of attention over the heads that found most calibration targets",
            needs_calibration=True,
            needs_heads=True,
            options=("heads",),
        ),
        Method(
            "majority_vote",
            _majority_vote,
            "the candidate that vanilla names in most orders of the question",
        ),
        Method(
            "cot",
            _cot,
            "the index behind the reasoning in the generated text",
            options=("parse",),
            needs_generations=True,
        ),
        Method(
            "self_consistency",
            _self_consistency,
            "the position that most of the sampled texts name",
            options=("parse", "failed"),
            needs_generations=True,
        ),
    )
}


def parse_method(text: str, defaults: Options | None = None) -> tuple[Method, Options, str]:
    """Read `method;option=value;...`, such as `agd;k=4;prior=no;layers=all;tau=3;formulation=released`.

    Options are k (K >= 1), tau (> 0), prior (yes or no), layers (all, or A-B), orders (cyclic or random), correction
    (difference or ratio), heads (>= 1), parse (integers or released), failed (none or first) and formulation.

    Returns:
        The method, its options (those not named as in `defaults`), and the variant: the options that follow the name
        in the order of their names, so that `prior=no;k=4` and `k=4;prior=no` are one; '' for none.

    Raises:
        ScoringError: unknown method, an option that it does not have, a repeated option or an impossible
        value.
    """
    name, *settings = (part.strip() for part in text.split(";"))
    if name not in METHODS:
        raise ScoringError(f"unknown method '{name}'; known: {', '.join(METHODS)}")
    method = METHODS[name]
    chosen: dict[str, Any] = {}
    for setting in settings:
        option, _, value = setting.partition("=")
        if option not in method.options:
            has = f"it has {', '.join(method.options)}" if method.options else "it has none"
            raise ScoringError(f"{text}: {name} has no option '{option}'; {has}")
        field, read, allowed = _OPTIONS[option]
        if field in chosen:
            raise ScoringError(f"{text}: option {option} is given twice")
        try:
            chosen[field] = read(value)
        except FormulationError as error:
            raise ScoringError(f"{text}: {error}") from None
        except (ValueError, KeyError):
            raise ScoringError(f"{text}: option {option} cannot be '{value}'; allowed: {allowed}") from None
    return method, replace(defaults or Options(), **chosen), ";".join(sorted(settings))


def parse_layers(text: str) -> tuple[int, int]:
    """Read a range of layers `A-B`: first and last, from 0, both included.

    Raises:
        ScoringError: if `text` is no such range.
    """
    bounds = re.fullmatch(r"(\d+)-(\d+)", text)
    if bounds is None or int(bounds[1]) > int(bounds[2]):
        raise ScoringError(f"layers cannot be '{text}'; allowed: first-last, from 0, such as 21-35")
    return int(bounds[1]), int(bounds[2])


def _read_count(value: str) -> int:
    count = int(value)
    if count < 1:
        raise ValueError(value)
    return count


def _read_temperature(value: str) -> float:
    return Options(temperature=float(value)).temperature


def _read_layers(value: str) -> Literal["all"] | tuple[int, int]:
    return "all" if value == "all" else parse_layers(value)


def _format_layers(layers: Literal["all"] | tuple[int, int] | None) -> str:
    return "-".join(map(str, layers)) if isinstance(layers, tuple) else layers or "not set"


_OPTIONS: Final[dict[str, tuple[str, Callable[[str], Any], str]]] = {
    "k": ("top_k", _read_count, "a whole number from 1"),
    "tau": ("temperature", _read_temperature, "a number above 0"),
    "prior": ("prior", {"yes": True, "no": False}.__getitem__, "yes, no"),
    "layers": ("layers", _read_layers, "all, or first-last such as 21-35"),
    "orders": ("orders", {word: word for word in ("cyclic", "random")}.__getitem__, "cyclic, random"),
    "correction": ("correction", {word: word for word in ("difference", "ratio")}.__getitem__, "difference, ratio"),
    "heads": ("heads", _read_count, "a whole number from 1"),
    "formulation": ("formulation", lambda value: get_formulation(value).name, "printed, released"),
    "parse": ("parse", {"integers": "integers", "released": "released"}.__getitem__, "integers, released"),
    "failed": ("failed", {"none": "none", "first": "first"}.__getitem__, "none, first"),
}
"""Each option's field in Options, how its value is read, and what it may be."""
