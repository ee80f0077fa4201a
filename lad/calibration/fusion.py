"""Fusion: how much each term of evidence counts, fitted on the calibration questions.

    score_i = sum over terms t of w_t s_t,i        w = argmax over w >= 0 of
        sum over presentations m of log softmax(score(m))_target(m)  -  sum over t of (w_t - w0_t)^2 / (2 sd_t^2)

The terms of m are fitted on the other questions: profiles, priors and the choice of layers and heads are all refitted
without the question of m. Of more than 20 questions, 20 groups are left out one after another; of a single question its
presentations. The weights found so go with the terms fitted on all questions.
"""

from typing import Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from lad.calibration.evidence import Fitted, Floats, Integers, Presentations, Term, evaluate, fit

Evidence = Literal["layers", "heads", "rows", "null"]
"""What is fused: the last token's layers; also its heads; also the query's; these against the null query."""

_MOST_GROUPS: Final = 20


class Expected(NamedTuple):
    """What a weight is expected to be before anything is fitted: w0 and sd."""

    weight: float
    spread: float


_LOGPROBS: Final = {Term("profile"): Expected(0.1, 1.0), Term("conditional"): Expected(0.0, 0.5)}
_LAST_LAYERS: Final = (Term("mass", parts=2), Term("found", against="prior", parts=2))
_LAST_HEADS: Final = Term("found", against="prior", heads=True, parts=8)
_QUERY_LAYERS: Final = Term("found", "query", "prior", parts=2)
_QUERY_HEADS: Final = Term("found", "query", "prior", heads=True, parts=8)
_NULL_LAYERS: Final = Term("found", "query", "null", parts=2)
_NULL_HEADS: Final = Term("found", "query", "null", heads=True, parts=8)

_LAYERS_ALONE: Final = Expected(0.1, 5.0)
_LAYERS: Final = Expected(0.1, 1.0)
_HEADS: Final = Expected(0.1, 3.0)
_WITH_HEADS: Final = {**_LOGPROBS, **dict.fromkeys(_LAST_LAYERS, _LAYERS), _LAST_HEADS: _HEADS}

TERMS: Final[dict[Evidence, dict[Term, Expected]]] = {
    "layers": {**_LOGPROBS, **dict.fromkeys(_LAST_LAYERS, _LAYERS_ALONE)},
    "heads": _WITH_HEADS,
    "rows": {**_WITH_HEADS, _QUERY_LAYERS: _LAYERS, _QUERY_HEADS: _HEADS},
    "null": {**_WITH_HEADS, _NULL_LAYERS: Expected(1.0, 2.0), _NULL_HEADS: Expected(3.0, 3.0)},
}
"""The terms, and their weights before anything is fitted: near 0, so that a term has to earn its weight; layers, whose
evidence is that of their heads blurred, have less room where heads are kept. The null query counts from the start:
ICR and QRHead need no fit for it."""


def fit_fusion(signals: pa.Table, layers: tuple[int, int]) -> pa.Table:
    """A table FUSION without n_candidates, for each kind of evidence that the signals have.

    Args:
        signals: presentations whose targets are known.
        layers: the first and last layer that may be read.
    """
    shown = Presentations(signals, layers)
    target = signals["target_position"].to_numpy().astype(np.int64) - 1
    question = np.unique(signals["question_id"].to_pylist(), return_inverse=True)[1]
    groups = question % _MOST_GROUPS if question.max() else np.arange(len(question))
    everything = np.arange(len(target))
    said: dict[Term, Floats] = {}
    fitted: dict[Term, Fitted] = {}
    rows = []
    for evidence, terms in TERMS.items():
        if not all(map(shown.has, terms)):
            continue
        for term in terms:
            if term not in said:
                said[term] = _without_its_own(term, shown, groups, target)
                fitted[term] = fit(term, shown, everything, target)
        expected, spread = np.array(list(terms.values())).T
        weights = fit_weights(np.stack([said[term] for term in terms], axis=1), target, expected, spread)
        rows += [
            {
                "evidence": evidence,
                "term": term.kind,
                "row": term.row if term.parts else None,
                "against": term.against if term.parts else None,
                "weight": weight,
                "layers": fitted[term].layers,
                "heads": fitted[term].heads,
                "values": fitted[term].values.tolist(),
                "scale": fitted[term].scale,
            }
            for term, weight in zip(terms, weights.tolist(), strict=True)
        ]
    return pa.Table.from_pylist(rows)


def fused_scores(signals: pa.Table, fusion: pa.Table, evidence: Evidence, layers: tuple[int, int]) -> Floats:
    """The scores of each presentation, M x N.

    Args:
        fusion: the rows of a table FUSION for that evidence, as `fit_fusion` has ordered them.
        layers: as when it was fitted.
    """
    shown = Presentations(signals, layers)
    everything = np.arange(shown.length)
    scores = np.zeros((shown.length, shown.n_candidates))
    for term, row in zip(TERMS[evidence], fusion.to_pylist(), strict=True):
        fitted = Fitted(tuple(row["layers"]), tuple(row["heads"]), np.array(row["values"]), row["scale"])
        scores += row["weight"] * evaluate(term, fitted, shown, everything)
    return scores


def _without_its_own(term: Term, shown: Presentations, groups: Integers, target: Integers) -> Floats:
    """What the term says of each presentation once it is fitted on those of all other groups."""
    said = np.zeros((shown.length, shown.n_candidates))
    for group in np.unique(groups):
        (inside,), (outside,) = np.nonzero(groups == group), np.nonzero(groups != group)
        if len(outside):
            said[inside] = evaluate(term, fit(term, shown, outside, target[outside]), shown, inside)
    return said


def fit_weights(said: Floats, target: Integers, expected: Floats, spread: Floats) -> Floats:
    """The weights, none below 0: of the maximum above, found weight by weight.

    The objective is concave, so that Newton's steps along one weight after another, halved where they lead down, end
    at its maximum.

    Args:
        said: presentations x terms x positions.
        target: position of the target, from 0.
        expected, spread: w0 and sd.
    """
    at = np.arange(len(target))
    weights = expected.astype(np.float64)
    scores = np.einsum("t,mtn->mn", weights, said)
    best = _objective(scores, target, weights, expected, spread)
    for _ in range(200):
        before = weights
        for term in range(len(weights)):
            one = said[:, term]
            probability = np.exp(log_softmax(scores))
            mean = (probability * one).sum(axis=1)
            slope = (one[at, target] - mean).sum() - (weights[term] - expected[term]) / spread[term] ** 2
            curvature = ((probability * one**2).sum(axis=1) - mean**2).sum() + 1 / spread[term] ** 2
            step = max(weights[term] + slope / curvature, 0.0) - weights[term]
            while abs(step) > 1e-9:
                moved = weights + step * (np.arange(len(weights)) == term)
                reached = _objective(scores + step * one, target, moved, expected, spread)
                if reached >= best:
                    weights, scores, best = moved, scores + step * one, reached
                    break
                step /= 2
        if np.abs(weights - before).max() < 1e-7:
            break
    return weights


def _objective(scores: Floats, target: Integers, weights: Floats, expected: Floats, spread: Floats) -> float:
    likelihood = log_softmax(scores)[np.arange(len(target)), target].sum()
    return float(likelihood - 0.5 * np.square((weights - expected) / spread).sum())


def log_softmax(scores: Floats) -> Floats:
    """The logarithm of the softmax over the last axis."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    logs: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logs
