"""What methods answer, in numpy: the arithmetic of a few presentations, for which no database is needed.

Methods and their options are those of `lad.methods`, and so are the answers: a test holds each of these against the
SQL. What a method learns from known questions is learnt here from their signals, as `calibrate` does.

Arrays are presentations x positions (M x N); attention is presentations x layers x positions (M x L x N), in the layers
that have softmax attention.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lad.calibration.calibrate import CONTRAST_TEMPERATURE
from lad.calibration.evidence import SMALLEST, Floats, Integers, as_array
from lad.calibration.formulation import PRINTED, Formulation
from lad.calibration.fusion import fit_fusion, fused_scores, log_softmax
from lad.calibration.observations import read_layers
from lad.calibration.rows import Against, Row, attention_column
from lad.contracts import Keep
from lad.methods.attention import layers_to_choose
from lad.methods.base import Method
from lad.methods.fusion import Fuses
from lad.methods.icr import SumsGains
from lad.methods.options import ChoosesLayers, Options, Purifies, ScoringError
from lad.methods.retrieval_heads import ChoosesHeads
from lad.methods.specification import Specification, parse_method

_NO_ATTENTION: Final = 1e-30
_NO_PROBABILITY: Final = 1e-300
"""What counts as the smallest value, so that every logarithm exists: as in the SQL."""


@dataclass(frozen=True)
class Arithmetic:
    """A method with its options, ready to answer.

    Attributes:
        method, options, name: as `parse_method` reads them; the name has the options that were named.
        learn: what the method has to know, from the signals of known questions, each with its target equally often at
            every position.
        score: M x N, from the signals of any presentations and what was learnt; the largest score is the answer, the
            lowest position of several.
    """

    method: Method[Any]
    options: Options
    name: str
    learn: Callable[[pa.Table], Any]
    score: Callable[[pa.Table, Any], Floats]

    @property
    def needs_known(self) -> bool:
        return self.method.reads_calibration(self.options)

    @property
    def keeps(self) -> frozenset[Keep]:
        """What extraction must be asked to keep."""
        return self.method.keeps_for(self.options)

    @property
    def reads_attention_alone(self) -> bool:
        """Whether it answers without what the model says."""
        return self.method.name in _LAST_LAYER

    def last_layer(self, learnt: Any, known: pa.Table | None, layers: Sequence[int]) -> int:
        """The last decoder layer, from 0, whose attention it reads; only where it reads attention alone.

        Args:
            learnt, known: what was learnt, and the signals that it was learnt from; None where it learns nothing.
            layers: those of the model that have softmax attention.
        """
        place = _LAST_LAYER[self.method.name](self.options, learnt, known, layers)
        return layers[place]


def get_arithmetic(specification: Specification) -> Arithmetic:
    """The arithmetic of a method, as `parse_method` reads it.

    Raises:
        ScoringError: as `parse_method`; a method of which only the SQL is there.
    """
    method, options, variant = parse_method(specification)
    if method.name not in _ARITHMETIC:
        raise ScoringError(
            f"{method.name} does not rank; methods that do: {', '.join(_ARITHMETIC)} (`lad score` knows all others)"
        )
    learn, score = _ARITHMETIC[method.name]
    return Arithmetic(
        method,
        options,
        ";".join(filter(None, (method.name, variant))),
        lambda known: learn(known, options),
        lambda signals, learnt: score(signals, options, learnt),
    )


# --- what the model says ---------------------------------------------------------------------------------------


def log_probabilities(signals: pa.Table) -> Floats:
    """Log P(c_j|x), M x N (appendix B)."""
    return _observed(signals, PRINTED)[1]


def _observed(signals: pa.Table, equations: Formulation) -> tuple[Floats, Floats]:
    """The scores that the formulation reads, and their log-softmax."""
    scores = as_array(signals, equations.scores_column(signals["n_candidates"][0].as_py()), 1)
    return scores, log_softmax(scores)


def _targets(signals: pa.Table) -> Integers:
    targets: Integers = signals["target_position"].to_numpy().astype(np.int64) - 1
    return targets


def _vanilla(signals: pa.Table, options: Options, learnt: None) -> Floats:
    return _observed(signals, PRINTED)[0]


def position_bias(signals: pa.Table, equations: Formulation) -> Floats:
    """Log P_bias(j|i), N x N: row i for the target at i (eq. 1, 4, 5; what logs change: position_bias.sql)."""
    scores, logs = _observed(signals, equations)
    target, n = _targets(signals), scores.shape[1]
    in_logs = equations.average == "logs"
    values = scores if in_logs else np.exp(logs)
    observed = np.stack([values[target == i].mean(axis=0) for i in range(n)])
    if not in_logs:
        observed = np.log(np.maximum(observed, _NO_PROBABILITY))
    at_target = np.diag(observed)
    log_gamma = (at_target[:, None] - observed)[~np.eye(n, dtype=bool)].max()
    level = observed.mean() - log_gamma / n if in_logs else 0.0
    bias: Floats = observed - level - log_gamma * np.eye(n)
    return bias


def _static_prior(signals: pa.Table, options: Options) -> Floats:
    """PriDe's log prior over positions."""
    logs = np.log(np.exp(log_probabilities(signals)) + 1e-10)
    question = np.unique(signals["question_id"].to_pylist(), return_inverse=True)[1]
    means = np.exp(np.stack([logs[question == each].mean(axis=0) for each in range(question.max() + 1)]))
    prior: Floats = np.log((means / means.sum(axis=1, keepdims=True)).mean(axis=0))
    return prior


def _pride(signals: pa.Table, options: Options, prior: Floats) -> Floats:
    return _vanilla(signals, options, None) - prior


# --- where the model looks -------------------------------------------------------------------------------------


def _layer_attention(signals: pa.Table, equations: Formulation, row: Row) -> Floats:
    """Eq. 6. Of other rows than the last the candidates' own tokens count, whatever span the formulation has."""
    attention = as_array(signals, attention_column(row), 2)
    if row == "last" and equations.span == "delimited":
        attention = attention + as_array(signals, "delimiter_attention", 2)
    return attention


@dataclass(frozen=True)
class _Skill:
    """How well layers or heads (G parts) know where targets are: the table ATTENTION_SKILL of one kind of evidence."""

    found: Floats
    target_share: Floats
    mass: Floats
    contrast: Floats
    prior: Floats

    def best(self, measure: str) -> Integers:
        """The parts, best first; of equal ones the lower layer and head."""
        order: Integers = np.lexsort((-self.target_share, -getattr(self, measure)))
        return order


def _skill(attention: Floats, null: Floats | None, target: Integers, against: Against) -> _Skill:
    """Args: attention, null: M x G x N."""
    prior = attention.mean(axis=0)
    match against:
        case "none":
            x = attention
        case "prior":
            x = attention * prior.mean(axis=1, keepdims=True) / np.maximum(prior, _NO_ATTENTION)
        case "null":
            assert null is not None, "the ranker asks for the null query where a method reads it"
            x = attention - null
    at_target = np.take_along_axis(x, target[:, None, None], axis=2)
    positive = np.maximum(x, 0)
    softmax = np.exp((x - x.max(axis=2, keepdims=True)) / CONTRAST_TEMPERATURE)
    of_target = np.take_along_axis(softmax, target[:, None, None], axis=2)[..., 0] / softmax.sum(axis=2)
    share = np.maximum(at_target[..., 0], 0) / np.maximum(positive.sum(axis=2), _NO_ATTENTION)
    found = ((x >= at_target).sum(axis=2) == 1).mean(axis=0)
    return _Skill(found, share.mean(axis=0), at_target[..., 0].mean(axis=0), of_target.mean(axis=0), prior)


@dataclass(frozen=True)
class _Looks:
    """What is learnt of the attention of layers: its mean (L x N, eq. 7), and which found targets, best first."""

    prior: Floats
    best: Integers


def _learn_looks(signals: pa.Table, options: ChoosesLayers) -> _Looks:
    attention = as_array(signals, attention_column(options.row), 2)
    return _Looks(
        _layer_attention(signals, options.equations, options.row).mean(axis=0),
        _skill(attention, None, _targets(signals), "prior").best("found"),
    )


def _are_found(options: ChoosesLayers) -> bool:
    """Whether the known questions choose the layers, once for all presentations."""
    return options.layers_by == "found" and options.layers != "all"


def _eligible(options: ChoosesLayers, learnt: _Looks | None, layers: Sequence[int]) -> tuple[Integers, int]:
    """The layers that may be read, ascending, counted among those with attention; and how many of them are."""
    chosen_of, top_k = layers_to_choose(options, tuple(layers))
    allowed = np.searchsorted(layers, chosen_of)
    if not _are_found(options):
        return allowed, top_k
    assert learnt is not None, "the ranker refuses methods that lack known questions"
    return np.sort(learnt.best[np.isin(learnt.best, allowed)][:top_k]), top_k


def _chosen(signals: pa.Table, options: ChoosesLayers, learnt: _Looks | None) -> tuple[Floats, Integers]:
    """The attention of the layers L*, M x K x N (eq. 8, 9), and which of those with attention they are, M x K."""
    attention = _layer_attention(signals, options.equations, options.row)
    may, top_k = _eligible(options, learnt, read_layers(signals))
    if _are_found(options):
        places = np.broadcast_to(may, (len(attention), top_k))
    else:
        totals = attention[:, may].sum(axis=2)
        places = may[np.argsort(-totals, axis=1, kind="stable")[:, :top_k]]
    return np.take_along_axis(attention, places[..., None], axis=1), places


def _raw_attention(signals: pa.Table, options: ChoosesLayers, learnt: _Looks | None) -> Floats:
    means: Floats = _chosen(signals, options, learnt)[0].mean(axis=1)
    return means


def _learn_looks_if_asked(signals: pa.Table, options: ChoosesLayers) -> _Looks | None:
    return _learn_looks(signals, options) if options.are_calibrated else None


def _purified(signals: pa.Table, options: Purifies, learnt: _Looks) -> Floats:
    """pi, M x N: eq. 11 and 12."""
    attention, places = _chosen(signals, options, learnt)
    if options.equations.aggregation == "mean_of_logs":
        evidence = _log(attention, _NO_ATTENTION).mean(axis=1)
    else:
        evidence = _log(attention.mean(axis=1), _NO_ATTENTION)
    if options.prior:
        evidence = evidence - _log(learnt.prior, _NO_ATTENTION)[places].mean(axis=1)
    weights = np.exp(options.temperature * (evidence - evidence.max(axis=1, keepdims=True)))
    pi: Floats = weights / weights.sum(axis=1, keepdims=True)
    return pi


def _learn_agd(signals: pa.Table, options: Purifies) -> tuple[_Looks, Floats]:
    return _learn_looks(signals, options), position_bias(signals, options.equations)


def _agd(signals: pa.Table, options: Purifies, learnt: tuple[_Looks, Floats]) -> Floats:
    """Eq. 13 and 14."""
    looks, bias = learnt
    pi = _purified(signals, options, looks)
    in_logs = options.equations.mixture == "logs"
    expected = pi @ bias if in_logs else _log(pi @ np.exp(bias), _NO_PROBABILITY)
    return _observed(signals, options.equations)[0] - expected


def _by_head(signals: pa.Table, row: Row, *, null: bool = False) -> Floats:
    """The attention of every head, M x G x N, layer by layer."""
    attention = as_array(signals, attention_column(row, heads=True, null=null), 3)
    return attention.reshape(len(attention), -1, attention.shape[-1])


def _learn_heads(signals: pa.Table, options: ChoosesHeads) -> tuple[Integers, Floats]:
    """The chosen heads, and their mean attention (heads x N)."""
    null = _by_head(signals, options.row, null=True) if options.against == "null" else None
    skill = _skill(_by_head(signals, options.row), null, _targets(signals), options.against)
    if options.heads > len(skill.found):
        raise ScoringError(f"heads = {options.heads} cannot be chosen from the model's {len(skill.found)}")
    chosen = skill.best(options.choose)[: options.heads]
    return chosen, skill.prior[chosen]


def _retrieval_heads(signals: pa.Table, options: ChoosesHeads, learnt: tuple[Integers, Floats]) -> Floats:
    chosen, prior = learnt
    attention = _by_head(signals, options.row)[:, chosen]
    match options.against:
        case "none":
            evidence = attention / np.maximum(attention.sum(axis=2, keepdims=True), _NO_ATTENTION)
        case "prior":
            evidence = _log(attention, SMALLEST) - _log(prior, SMALLEST)
        case "null":
            evidence = attention - _by_head(signals, options.row, null=True)[:, chosen]
    means: Floats = evidence.mean(axis=1)
    return means


def _icr(signals: pa.Table, options: SumsGains, learnt: None) -> Floats:
    if options.filter:
        return as_array(signals, "filtered_attention", 1)
    gains = as_array(signals, attention_column(options.tokens), 2)
    sums: Floats = (gains - as_array(signals, attention_column(options.tokens, null=True), 2)).sum(axis=1)
    return sums


def _log(values: Floats, least: float) -> Floats:
    logs: Floats = np.log(np.maximum(values, least))
    return logs


# --- both ------------------------------------------------------------------------------------------------------


def _learn_fusion(signals: pa.Table, options: Fuses) -> pa.Table:
    fitted = fit_fusion(signals, _all_layers(signals))
    return fitted.filter(pc.field("evidence") == options.evidence)


def _fusion(signals: pa.Table, options: Fuses, learnt: pa.Table) -> Floats:
    return fused_scores(signals, learnt, options.evidence, _all_layers(signals))


def _all_layers(signals: pa.Table) -> tuple[int, int]:
    layers = read_layers(signals)
    return layers[0], layers[-1]


def _nothing(signals: pa.Table, options: Options) -> None:
    """What a method learns that needs no known question."""


_ARITHMETIC: Final[dict[str, tuple[Callable[..., Any], Callable[..., Floats]]]] = {
    "vanilla": (_nothing, _vanilla),
    "pride": (_static_prior, _pride),
    "attention_readout": (_learn_looks_if_asked, _raw_attention),
    "purified_attention": (_learn_looks, _purified),
    "agd": (_learn_agd, _agd),
    "icr": (_nothing, _icr),
    "retrieval_heads": (_learn_heads, _retrieval_heads),
    "fusion": (_learn_fusion, _fusion),
}
"""Of each method what it learns from signals and options, and its scores from signals, options and what it learnt."""


# --- how deep a pass has to go ---------------------------------------------------------------------------------


def _last_allowed(options: ChoosesLayers, learnt: _Looks | None, known: pa.Table | None, layers: Sequence[int]) -> int:
    return int(_eligible(options, learnt, layers)[0].max())


def _last_of_heads(
    options: ChoosesHeads, learnt: tuple[Integers, Floats], known: pa.Table, layers: Sequence[int]
) -> int:
    heads: int = as_array(known, attention_column(options.row, heads=True), 3).shape[2]
    return int(learnt[0].max()) // heads


def _last(options: Options, learnt: None, known: pa.Table | None, layers: Sequence[int]) -> int:
    return len(layers) - 1


_LAST_LAYER: Final[dict[str, Callable[..., int]]] = {
    "attention_readout": _last_allowed,
    "purified_attention": _last_allowed,
    "icr": _last,
    "retrieval_heads": _last_of_heads,
}
"""Of each method that reads attention alone the last layer that it reads, counted among those that have attention."""
