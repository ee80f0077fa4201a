"""What a presentation says of where its target is, term by term: the evidence that `fusion` adds up.

A term gives every position of a presentation a score, on the scale of log-odds. It is fitted on calibration
presentations and kept as a row of the table FUSION. Arrays are presentations x positions (M x N) where nothing else is
said; layers and heads stand in one axis of parts (G).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lad.calibration.observations import read_layers
from lad.calibration.rows import Against, Row, attention_column, keeps
from lad.contracts import Keep

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Kind = Literal["profile", "conditional", "mass", "found"]

SMALLEST: Final = 1e-7
"""Attention below it counts as it, so that every logarithm exists: half precision, in files, ends near it."""

_SHRINKAGE: Final = 5.0
"""As many presentations' worth the common mean counts in each target position's own."""


@dataclass(frozen=True)
class Term:
    """One term, before it is fitted.

    Attributes:
        kind: profile, conditional: the log-probabilities. mass: the layers that attend to candidates most, of each
            presentation those of eq. 9. found: the layers or heads that most often found the calibration's targets.
        row, against, heads: of mass and found, which attention.
        parts: how many layers or heads.
    """

    kind: Kind
    row: Row = "last"
    against: Against = "none"
    heads: bool = False
    parts: int = 0

    @property
    def keeps(self) -> frozenset[Keep]:
        return keeps(self.row, heads=self.heads, null=self.against == "null")


@dataclass(frozen=True)
class Fitted:
    """A term, fitted.

    Attributes:
        layers, heads: the chosen parts; heads is empty where these are layers, both where all layers are meant.
        values: profile: the mean profile, 1 x N; conditional: that of each target position, N x N; otherwise the prior
            of the chosen parts, or of all layers.
        scale: what the term is multiplied by.
    """

    layers: tuple[int, ...]
    heads: tuple[int, ...]
    values: Floats
    scale: float


class Presentations:
    """Signals as arrays, as far as terms read them."""

    def __init__(self, signals: pa.Table, layers: tuple[int, int] | None = None) -> None:
        """Args: layers: the first and last layer that terms may read; None for all."""
        self._signals = signals
        having = np.array(read_layers(signals))
        first, last = layers or (0, having[-1])
        self._covered = slice(*np.searchsorted(having, [first, last + 1]))
        self._layers = having[self._covered]
        self._read: dict[str, Floats] = {}
        self.length = len(signals)
        logprobs = as_array(signals, "candidate_logprobs", 1)
        self.logprobs = logprobs - logprobs.mean(axis=1, keepdims=True)
        self.n_candidates = logprobs.shape[1]

    def has(self, term: Term) -> bool:
        wanted = {attention_column(term.row, heads=term.heads, null=null) for null in (False, term.against == "null")}
        return term.kind in ("profile", "conditional") or wanted <= set(self._signals.column_names)

    def parts(self, term: Term) -> Integers:
        """Layer and head (-1 for the head mean) of each part, G x 2."""
        shape = self._by_part(term, null=False).shape
        place, head = np.indices(shape[1:3]).reshape(2, -1)
        return np.column_stack([self._layers[place], head if term.heads else np.full_like(head, -1)])

    def attention(self, term: Term, null: bool = False) -> Floats:
        """The attention that the term reads, M x G x N."""
        return self._by_part(term, null).reshape(self.length, -1, self.n_candidates)

    def _by_part(self, term: Term, null: bool) -> Floats:
        column = attention_column(term.row, heads=term.heads, null=null)
        if column not in self._read:
            values = as_array(self._signals, column, 3 if term.heads else 2)
            values = values if term.heads else values[:, :, None]
            self._read[column] = values[:, self._covered]
        return self._read[column]


def fit(term: Term, shown: Presentations, chosen: Integers, target: Integers) -> Fitted:
    """The term, fitted on the presentations `chosen`, whose targets (from 0) are `target`."""
    if term.kind in ("profile", "conditional"):
        return _fit_profile(term, shown.logprobs[chosen], target)
    attention = shown.attention(term)[chosen]
    prior = attention.mean(axis=0)
    if term.kind == "mass":
        return Fitted((), (), prior, 1.0)
    if term.against == "null":
        evidence = attention - shown.attention(term, null=True)[chosen]
    else:
        evidence = attention / np.maximum(prior, SMALLEST)
    best = _that_found(evidence, target)[: term.parts]
    layers, heads = shown.parts(term)[best].T.tolist()
    scale = 1.0
    if term.against == "null":
        scale = 1 / max(float(np.sqrt(np.square(_centred(evidence[:, best].mean(axis=1))).mean())), SMALLEST)
    return Fitted(tuple(layers), tuple(heads) if term.heads else (), prior[best], scale)


def evaluate(term: Term, fitted: Fitted, shown: Presentations, chosen: Integers) -> Floats:
    """What the fitted term says of the presentations `chosen`."""
    said: Floats
    if term.kind == "profile":
        said = fitted.scale * (shown.logprobs[chosen] - fitted.values)
        return said
    if term.kind == "conditional":
        difference = shown.logprobs[chosen][:, None] - fitted.values
        said = -0.5 * fitted.scale * np.square(difference).sum(axis=2)
        return said
    attention = shown.attention(term)[chosen]
    if term.kind == "mass":
        best = np.argsort(-attention.sum(axis=2), axis=1, kind="stable")[:, : term.parts, None]
        said = np.take_along_axis(_log(attention) - _log(fitted.values), best, axis=1).mean(axis=1)
        return said
    places = {tuple(place): at for at, place in enumerate(shown.parts(term).tolist())}
    heads = fitted.heads or (-1,) * len(fitted.layers)
    best = np.array([places[place] for place in zip(fitted.layers, heads, strict=True)])
    if term.against == "null":
        gain = attention[:, best] - shown.attention(term, null=True)[chosen][:, best]
        return fitted.scale * _centred(gain.mean(axis=1))
    said = (_log(attention[:, best]) - _log(fitted.values)).mean(axis=1)
    return said


def _fit_profile(term: Term, logprobs: Floats, target: Integers) -> Fitted:
    """Least squares: the profile with the target at i is c + b (e_i - 1/N), of noise with one variance.

    The log-density of the profile z is then, but for what positions share, (b / variance) (z_i - c_i). The conditional
    term lets each target position have a mean of its own, shrunken towards that one. The variance is that of the
    residuals, and of one presentation with unit variance: a few presentations may happen to have hardly any.
    """
    count, n = logprobs.shape
    at_target = np.eye(n)[target] - 1 / n
    common, bump = logprobs.mean(axis=0), 0.0
    for _ in range(20):  # exact at once where every position is the target's equally often
        bump = float(((logprobs - common) * at_target).sum() / np.square(at_target).sum())
        common = (logprobs - bump * at_target).mean(axis=0)
    residuals = logprobs - common - bump * at_target
    freedom = max((count - 1) * (n - 1) - 1, 1)
    variance = float((np.square(residuals).sum() + n - 1) / (freedom + n - 1))
    if term.kind == "profile":
        return Fitted((), (), common[None], max(bump, 0.0) / variance)
    times = np.bincount(target, minlength=n)
    own = np.array([residuals[target == i].sum(axis=0) for i in range(n)]) / (times + _SHRINKAGE)[:, None]
    return Fitted((), (), common + bump * (np.eye(n) - 1 / n) + own, 1 / variance)


def _that_found(evidence: Floats, target: Integers) -> Integers:
    """The parts, best first: by how often the target has the most of it, then by its mean share; M x G x N."""
    at_target = np.take_along_axis(evidence, target[:, None, None], axis=2)
    found = ((evidence >= at_target).sum(axis=2) == 1).mean(axis=0)
    positive = np.maximum(evidence, 0)
    share = np.maximum(at_target[..., 0], 0) / np.maximum(positive.sum(axis=2), 1e-30)
    order: Integers = np.lexsort((-share.mean(axis=0), -found))
    return order


def _log(attention: Floats) -> Floats:
    logs: Floats = np.log(np.maximum(attention, SMALLEST))
    return logs


def _centred(scores: Floats) -> Floats:
    centred: Floats = scores - scores.mean(axis=1, keepdims=True)
    return centred


def as_array(signals: pa.Table, column: str, depth: int) -> Floats:
    """A column of lists as an array of `depth` dimensions besides that of the presentations.

    Layers without attention are left out.
    """
    values = signals[column].combine_chunks()
    sizes: list[int] = []
    for _ in range(depth):
        inner = values.flatten()
        if pa.types.is_list(inner.type) and pc.min(lengths := pc.list_value_length(inner)).as_py() == 0:
            inner = inner.filter(pc.greater(lengths, 0))
        sizes.append(len(inner) // max(len(values), 1))
        values = inner
    array: Floats = values.to_numpy(zero_copy_only=False).astype(np.float64).reshape(len(signals), *sizes)
    return array


def terms_kept(terms: Iterable[Term]) -> frozenset[Keep]:
    """What extraction must keep for these terms."""
    return frozenset[Keep]().union(*(term.keeps for term in terms))
