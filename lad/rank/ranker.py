"""The ranker: which of some candidates fits a query, by a model whose habit of positions is known and corrected.

In the manner of scikit-learn: options in the constructor, `fit` learns from known questions, what was learnt ends in an
underscore. One presentation per query, in the order given, unless more orders are asked for. The numbers are those of
the pipeline: the same prompts, the same read-out, the same methods.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa

from lad import contracts, parquet, whole
from lad.benchmark.lines import on_one_line
from lad.benchmark.own import OwnQuestion, own_questions
from lad.benchmark.presentations import build_presentations, presentation
from lad.calibration.calibrate import refuse_several_splits, refuse_uneven_targets
from lad.calibration.observations import number_of_candidates, number_of_layers
from lad.extraction.prompts import MAX_CANDIDATES
from lad.methods.attention import without_kept
from lad.rank.answer import Answer, Ranked
from lad.rank.arithmetic import Arithmetic, get_arithmetic, log_probabilities
from lad.rank.candidates import Candidate, Kind, RankError, Shown, kind_of
from lad.rank.known import Known, at_size, refuse_impossible
from lad.rank.looks import Order, Ranking, Told, rank

if TYPE_CHECKING:
    from lad.extraction.backbone import Backbone

BY_KNOWN: Final = "fusion;evidence=rows"
"""The method where known questions are there: on all models measured here it is among the best, and never far below
what it is fused of."""

WITHOUT_KNOWN: Final = "icr"
"""The method where there are none: it compares with the query N/A, and learns nothing."""

_SETTINGS: Final = "ranker.json"
Query = tuple[str, Sequence[Candidate]]


@dataclass(frozen=True)
class Fit:
    """What was learnt of known questions of one N.

    Attributes:
        signals: of the known questions, each with its target equally often at every position.
        learnt: what the method made of them.
    """

    signals: pa.Table
    learnt: Any


class Ranker:
    """Ranks candidates by a model whose position bias is corrected.

    Args:
        model: checkpoint folder, hub id, or a backbone that is loaded already.
        method: with its options, as `lad methods` lists them; by default `fusion;evidence=rows` where known questions
            were given, otherwise `icr`, which needs none.
        probe: how to ask.
        candidates: images or texts; by default what they look like: strings are images where all of them are files.
        orders: in how many orders the candidates of a query are shown; the scores are averaged.
        window: how many candidates are shown at once, 2 to 12. Longer lists are ranked window by window.
        cache: where presentations of known questions are kept, so that they are asked once: a folder, False for
            nowhere, by default the user's cache folder. They are found again by model, weights, probe, image size and
            content.
        plain: whether to say what the model itself answers. Without that, a forward pass ends behind the last layer
            that the method reads; only methods that read attention alone can do without.
        device, dtype, revision, image_size, processor_options: as of `load_backbone`.
        progress: say on stderr how far the known questions are.

    Attributes:
        known_: the known questions.
        fits_: what was learnt, by N.

    Raises:
        RankError: fewer than one order, a window that is none.
        ScoringError: an unknown method or option, or a method that does not rank.
    """

    def __init__(
        self,
        model: "str | Path | Backbone",
        *,
        method: str | None = None,
        probe: str = "vanilla",
        candidates: Kind | None = None,
        orders: int = 1,
        window: int = MAX_CANDIDATES,
        cache: Path | str | bool = True,
        plain: bool = True,
        device: str = "cpu",
        dtype: str = "float32",
        revision: str | None = None,
        image_size: int | None = None,
        processor_options: dict[str, Any] | None = None,
        progress: bool = False,
    ) -> None:
        if orders < 1:
            raise RankError(f"orders = {orders}: candidates are shown in at least 1 order")
        if not 2 <= window <= MAX_CANDIDATES:
            raise RankError(f"window = {window}: allowed are 2 to {MAX_CANDIDATES} candidates at once")
        self.model = model
        self.method = method
        self.probe = probe
        self.candidates = candidates
        self.orders = orders
        self.window = window
        self.cache = cache
        self.plain = plain
        self.device = device
        self.dtype = dtype
        self.revision = revision
        self.image_size = image_size
        self.processor_options = processor_options
        self.progress = progress
        self.known_: tuple[OwnQuestion, ...] = ()
        self.fits_: dict[int, Fit] = {}
        self._shown = Shown()
        self._kind_of_known: Kind | None = None
        self._backbone: Backbone | None = None
        if not isinstance(model, str | Path):
            self._backbone, self.dtype = model, str(model.model.dtype).removeprefix("torch.")
            self.revision, self.image_size = model.revision, model.image_size
            self.processor_options = model.processor_options
        self.arithmetic  # noqa: B018 - refuses what it does not know

    def __repr__(self) -> str:
        learnt = f", fitted for N = {', '.join(map(str, sorted(self.fits_)))}" if self.fits_ else ""
        return f"Ranker({self._checkpoint!r}, method={self.arithmetic.name!r}{learnt})"

    @property
    def arithmetic(self) -> Arithmetic:
        """The method that answers."""
        chosen = get_arithmetic(self.method or (BY_KNOWN if self.known_ or self.fits_ else WITHOUT_KNOWN))
        if not self.plain and not chosen.reads_attention_alone:
            raise RankError(
                f"{chosen.name} reads what the model itself answers, which plain=False leaves out; name a method that"
                " reads attention alone, 'retrieval_heads;row=query' say"
            )
        return chosen

    @property
    def backbone_(self) -> "Backbone":
        """The model, loaded when it is first needed."""
        if self._backbone is None:
            from lad.extraction.backbone import load_backbone

            self._backbone = load_backbone(
                self._checkpoint,
                revision=self.revision,
                dtype=self.dtype,
                device=self.device,
                image_size=self.image_size,
                processor_options=self.processor_options,
            )
        return self._backbone

    @property
    def _checkpoint(self) -> str:
        return str(self.model) if isinstance(self.model, str | Path) else self.model.checkpoint

    # --- learning ----------------------------------------------------------------------------------------------

    def fit(self, known: Iterable[Known]) -> Self:
        """Learn from questions whose right candidate is known, from 1.

        For each size that the questions have the model is asked at once; for other sizes when such a query comes, with
        candidates left out or borrowed from other known questions (`lad.rank.known`).

        Raises:
            RankError: no question, one with an impossible target, candidates of several kinds.
            BenchmarkError: too few candidates, a picture that cannot be read.
        """
        questions = list(known)
        refuse_impossible(questions)
        kinds = {kind_of(candidates, self.candidates) for _, candidates, _ in questions}
        if len(kinds) > 1:
            raise RankError("some known questions have images, others texts; give one kind")
        (kind,) = kinds
        self.known_ = tuple(
            OwnQuestion(on_one_line(query), self._shown.names(candidates, kind), target)
            for query, candidates, target in questions
        )
        self._kind_of_known = kind
        self.fits_ = {}
        if self.arithmetic.needs_known:
            for n in sorted({min(len(question.candidates), self.window) for question in self.known_}):
                self._fit_for(n)
        return self

    def fit_signals(self, signals: pa.Table) -> Self:
        """Learn from signals that are there: those of a pipeline's calibration questions, for their N.

        Raises:
            TableError, CalibrationError, SignalsError: as `calibrate`.
        """
        signals = parquet.conformed(signals, contracts.SIGNALS, "signals")
        n = number_of_candidates(signals)
        refuse_several_splits(signals)
        refuse_uneven_targets(signals)
        kept = self.arithmetic.keeps
        lacking = [
            c.name
            for c in contracts.SIGNALS.columns
            if c.kept and c.kept <= kept and c.name not in signals.column_names
        ]
        if lacking:
            raise without_kept(f"the signals have no {lacking[0]}", kept)
        self.fits_[n] = Fit(signals, self.arithmetic.learn(signals))
        return self

    def _fit_for(self, n: int) -> Fit:
        """What is known of that N, asked now where it is not there yet."""
        if n not in self.fits_:
            if not self.known_:
                had = f" (it was fitted for N = {', '.join(map(str, sorted(self.fits_)))})" if self.fits_ else ""
                raise RankError(
                    f"{self.arithmetic.name} needs known questions for N = {n}{had}: give some to"
                    f" fit (--known FILE), or rank by {WITHOUT_KNOWN}, which needs none"
                )
            images, questions = own_questions(self._folder(self._kind_of_known), calibration=at_size(self.known_, n))
            shown = build_presentations(questions, "calibration")
            signals = self._signals(images, questions, shown, finished=self._cache_folder(), progress=self.progress)
            self.fits_[n] = Fit(signals, self.arithmetic.learn(signals))
        return self.fits_[n]

    # --- ranking -----------------------------------------------------------------------------------------------

    def rank(self, query: str, candidates: Sequence[Candidate]) -> Answer[Candidate]:
        """The candidates of one query, best first; see `rank_many`."""
        return self.rank_many([(query, candidates)])[0]

    def rank_many(self, queries: Iterable[Query]) -> list[Answer[Candidate]]:
        """The answers to several queries, which the model is asked side by side.

        Raises:
            RankError: an empty query, fewer than two candidates, candidates of several kinds, no known questions for a
                method that needs them.
            InputError, BenchmarkError: a picture that cannot be read, a prompt beyond the model's context window.
        """
        asked = [(on_one_line(query), list(candidates)) for query, candidates in queries]
        named = [self._names(query, candidates) for query, candidates in asked]
        looking = [rank(len(candidates), self.window, self.orders) for _, candidates in asked]
        wanted = {at: next(look) for at, look in enumerate(looking)}
        done: dict[int, Ranking] = {}
        while wanted:
            told = self._tell({at: (asked[at][0], *named[at], orders) for at, orders in wanted.items()})
            for at in list(wanted):
                try:
                    wanted[at] = looking[at].send(told[at])
                except StopIteration as end:
                    done[at] = end.value
                    del wanted[at]
        return [self._answer(query, candidates, done[at]) for at, (query, candidates) in enumerate(asked)]

    def _names(self, query: str, candidates: Sequence[Candidate]) -> tuple[Kind, tuple[str, ...]]:
        if not query:
            raise RankError("the query is empty")
        if len(candidates) < 2:
            raise RankError(f"query {query!r} has {len(candidates)} candidates; at least 2 can be ranked")
        kind = kind_of(candidates, self.candidates)
        if self._kind_of_known not in (None, kind):
            raise RankError(f"the candidates are {kind}, those of the known questions are {self._kind_of_known}")
        return kind, self._shown.names(candidates, kind)

    def _tell(self, asked: dict[int, tuple[str, Kind, tuple[str, ...], list[Order]]]) -> dict[int, list[Told]]:
        """What the presentations of each query told; those of one kind and N are asked together."""
        together: dict[tuple[Kind, int], list[tuple[int, OwnQuestion]]] = {}
        for at, (query, kind, names, orders) in asked.items():
            for order in orders:
                shown = OwnQuestion(query, [names[candidate] for candidate in order])
                together.setdefault((kind, len(order)), []).append((at, shown))
        told: dict[int, list[Told]] = {at: [] for at in asked}
        for (kind, n), members in together.items():
            fit = self._fit_for(n) if self.arithmetic.needs_known else None
            images, questions = own_questions(self._folder(kind), evaluation=[shown for _, shown in members])
            as_given = tuple(range(1, n + 1))
            rows = [presentation(question, "evaluation", 0, as_given) for question in questions.to_pylist()]
            signals = self._signals(
                images, questions, parquet.from_rows(rows, contracts.PRESENTATIONS), deepest=self._last_layer(fit)
            )
            if fit and number_of_layers(fit.signals) != number_of_layers(signals):
                raise RankError(
                    f"what is known for N = {n} is of a model of {number_of_layers(fit.signals)} layers, this one has"
                    f" {number_of_layers(signals)}; fit this model"
                )
            scores = self.arithmetic.score(signals, fit.learnt if fit else None)
            probabilities = np.exp(log_probabilities(signals)) if self.plain else [None] * len(signals)
            for (at, _), *numbers in zip(members, scores, probabilities, strict=True):
                told[at].append(Told(*numbers))
        return told

    def _answer(self, query: str, candidates: Sequence[Candidate], ranking: Ranking) -> Answer[Candidate]:
        ranked = {
            at: Ranked(candidates[at], at + 1, ranking.scores.get(at), ranking.probabilities.get(at))
            for at in ranking.candidates
        }
        plain = None if ranking.plain is None else ranked[ranking.plain]
        return Answer(query, tuple(ranked.values()), plain, self.arithmetic.name, ranking.passes, self.plain)

    def _last_layer(self, fit: Fit | None) -> int | None:
        """Where forward passes may end; None where they run to their end."""
        if self.plain:
            return None
        learnt, known = (fit.learnt, fit.signals) if fit else (None, None)
        return self.arithmetic.last_layer(learnt, known, self.backbone_.read_layers)

    def _signals(
        self,
        images: pa.Table,
        questions: pa.Table,
        presentations: pa.Table,
        *,
        finished: Path | None = None,
        progress: bool = False,
        deepest: int | None = None,
    ) -> pa.Table:
        from lad.extraction.extract import extract

        return extract(
            self.backbone_,
            self.probe,
            images=images,
            image_folder=None if "text" in images.column_names else Path(),
            questions=questions,
            presentations=presentations,
            finished=finished,
            keep=self.arithmetic.keeps,
            progress=progress,
            deepest=deepest,
        ).signals

    @staticmethod
    def _folder(kind: Kind | None) -> Path | None:
        """Where paths begin, which are whole here; None for texts."""
        return None if kind == "texts" else Path()

    def _cache_folder(self) -> Path | None:
        if self.cache is False:
            return None
        if self.cache is True:
            import platformdirs

            return platformdirs.user_cache_path("lad") / "ranker"
        return Path(self.cache)

    # --- keeping -----------------------------------------------------------------------------------------------

    def save(self, folder: Path | str) -> None:
        """Keep what was learnt in a folder of its own, which appears whole; an older one is replaced.

        The model's weights are not in it, only its name. Pictures of known questions are named by their paths.

        Raises:
            RankError: nothing was learnt.
        """
        if not self.fits_:
            raise RankError("nothing to save: nothing was learnt; fit known questions first")
        settings = {name: getattr(self, name) for name in _KEPT}
        with whole.folder(Path(folder)) as made:
            known = [
                (q.caption, self._shown.moved(q.candidates, self._kind_of_known, made), q.target) for q in self.known_
            ]
            facts = {"version": _VERSION, "model": self._checkpoint, **settings}
            facts |= {"kind_of_known": self._kind_of_known, "known": known}
            (made / _SETTINGS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
            for n, fit in self.fits_.items():
                parquet.write(fit.signals, made / f"signals-{n:02d}.parquet", contracts.SIGNALS)

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "cpu", cache: Path | str | bool = True) -> Self:
        """The ranker that `save` left in a folder.

        Raises:
            RankError: the folder holds no ranker, or one of another version.
            TableError: signals that break their contract.
        """
        folder = Path(folder)
        try:
            facts = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
            if facts["version"] != _VERSION:
                raise RankError(f"{folder}: kept by another version ({facts['version']}, here {_VERSION}); fit it anew")
            ranker = cls(
                facts["model"], device=device, cache=cache, **{name: facts[name] for name in _KEPT if name in facts}
            )
            known = [OwnQuestion(*question) for question in facts["known"]]
            kind = facts["kind_of_known"]
        except (OSError, KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RankError(f"{folder}: no ranker that `Ranker.save` has written ({error})") from None
        ranker._kind_of_known = kind
        ranker.known_ = tuple(
            OwnQuestion(q.caption, ranker._shown.names(q.candidates, kind, folder), q.target) for q in known
        )
        for file in sorted(folder.glob("signals-*.parquet")):
            ranker.fit_signals(parquet.read(file, contracts.SIGNALS))
        return ranker


_VERSION: Final = 1
_KEPT: Final = (
    *("method", "probe", "candidates", "orders", "window", "plain", "dtype", "revision", "image_size"),
    "processor_options",
)
