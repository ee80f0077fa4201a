"""A small results folder in which everything but the model is real.

Images, questions, presentations, calibration, scoring and evaluation are the project's own; only the signals are
made up: a model whose attention finds the target within a static preference for positions, and whose logits follow a
bias that depends on where the target is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import made_lists
import numpy as np
import pyarrow as pa
from PIL import Image
from signals_factory import content_free_signals

from lad import contracts, parquet, query
from lad.benchmark.presentations import build_presentations
from lad.benchmark.questions import build_questions
from lad.calibration.calibrate import calibrate
from lad.catalog import RELATIONS
from lad.choosing import measure_choices
from lad.evaluation.differences import comparisons, differences
from lad.evaluation.metrics import evaluate
from lad.evaluation.rankings import rank_lists
from lad.grid import CalibrationSource, Scoring
from lad.methods import Session, parse_method, score
from lad.methods.options import ReadsEquations

LAYERS = 5
SETTINGS = ("random", "adversarial")
SPLITS = ("calibration", "evaluation", "symmetrized", "permuted")
STYLES = ("uppercase", "lowercase", "roman", "ordinal")
BASIC = ("vanilla", "attention_readout", "purified_attention", "pride", "agd")
ABLATION = ("agd;formulation=released", "agd;prior=no", "agd;layers=all", "agd;k=1", "agd;k=4", "agd;layers=2-4")
DIVERGENCES = (
    "agd;formulation=printed+average=logs",
    "agd;formulation=printed+span=delimited",
    "agd;formulation=released;layers=2-4",
)
FURTHER = (
    *("batch_calibration", "batch_calibration;correction=ratio", "majority_vote"),
    *(f"{method};passes={passes}" for method in ("majority_vote", "gold_panning") for passes in (1, 2, 5)),
    *(f"permutation_average;orders=evaluated;passes={passes}" for passes in (1, 2, 5)),
    *("contextual_calibration", "attention_less_content_free"),
    *("retrieval_heads", "retrieval_heads;against=none;heads=3", "retrieval_heads;row=query"),
)
RANDOM_ORDERS = ("permutation_average;orders=random", "permutation_average;orders=random;formulation=released")
SOFTENED = ("sofa", "sofa-sigma0.1", "sofa_released")
TEMPERATURES = ("agd;tau=1", "agd;tau=9")
BUDGETS = (1, 5, 10)
FURTHER_SETS = (2,)


def build_results(folder: Path, *, ns: Sequence[int] = (2, 4, 8), questions: int = 16) -> Path:
    """Fill `folder` with the results of two made-up models on one made-up dataset."""
    images = _images(folder)
    embeddings = _embeddings(images)
    _write(folder, "images", images, dataset="scenes")
    for setting in SETTINGS:
        for n in ns:
            build = {"setting": setting, "n": n, "evaluation": questions, "calibration": max(BUDGETS), "seed": 0}
            asked = build_questions(images, dataset="scenes", embeddings=embeddings, **build)
            keys = {"dataset": "scenes", "setting": setting, "n": n}
            _write(folder, "questions", asked, **keys)
            for split in SPLITS:
                shown = build_presentations(asked, split, rounds=8 if split == "permuted" else 5, seed=0)
                _write(folder, "presentations", shown, **keys, split=split)
    cells = list(_cells(ns))
    for cell in cells:
        for split in SPLITS:
            benchmark = {key: cell[key] for key in ("dataset", "setting", "n")}
            shown = _read(folder, "presentations", **benchmark, split=split)
            _write(folder, "signals", _signals(shown, cell), _extraction(shown, cell), **cell, split=split)
    for cell in cells:
        _score(folder, cell)
        if (cell["setting"], cell["probe"]) == ("adversarial", "vanilla") and cell["n"] in (4, 8):
            _choose(folder, cell)
    _compare(folder)
    _rank(folder)
    return folder


def build_few(folder: Path, *, ns: Sequence[int] = (4, 8), questions: int = 16) -> Path:
    """The same of one model in one setting, answered by the basic methods alone: it takes a second or two."""
    images = _images(folder)
    _write(folder, "images", images, dataset="scenes")
    for n in ns:
        keys = {"dataset": "scenes", "setting": "random", "n": n}
        asked = build_questions(images, **keys, evaluation=questions, calibration=5, seed=0)
        _write(folder, "questions", asked, **keys)
        cell = {"model": "demo", **keys, "probe": "vanilla"}
        for split in ("calibration", "evaluation"):
            shown = build_presentations(asked, split, rounds=5, seed=0)
            _write(folder, "presentations", shown, **keys, split=split)
            _write(folder, "signals", _signals(shown, cell), _extraction(shown, cell), **cell, split=split)
        _answer(folder, cell, CalibrationSource("scenes", "random"), 5)
    return folder


def _cells(ns: Sequence[int]) -> Iterator[dict[str, str | int]]:
    """The demo in both settings, its identifier styles at N = 4, SoFA; the unplanted model in the random setting."""
    for n in ns:
        for setting in SETTINGS:
            styles = STYLES if (setting, n) == ("random", 4) else ()
            softened = SOFTENED if n in (4, 8) else ()
            for probe in ("vanilla", *styles, *softened):
                yield {"model": "demo", "dataset": "scenes", "setting": setting, "n": n, "probe": probe}
        if n in (4, 8):
            yield {"model": "demo-unplanted", "dataset": "scenes", "setting": "random", "n": n, "probe": "vanilla"}


def _score(folder: Path, cell: dict[str, str | int]) -> None:
    """Every calibration that some artifact shows for this cell, and every method on it."""
    main = cell["probe"] == "vanilla" and cell["model"] == "demo" and cell["n"] in (4, 8)
    own = CalibrationSource("scenes", str(cell["setting"]))
    for budget in BUDGETS if main else (5,):
        for source in (CalibrationSource("scenes", setting) for setting in SETTINGS):
            if source == own or (main and budget == 5):
                everything = main and budget == 5 and source == own
                _answer(folder, cell, source, budget, everything=everything)
    if main:
        reused = ("agd", "pride", "pride_released", "agd;formulation=released;layers=2-4")
        _answer(folder, cell, replace(own, split="symmetrized"), 5, methods=reused)
        for number in FURTHER_SETS:
            _answer(folder, cell, replace(own, set=number), 5)


def _answer(
    folder: Path,
    cell: dict[str, str | int],
    source: CalibrationSource,
    budget: int,
    *,
    methods: Sequence[str] = BASIC,
    everything: bool = False,
) -> None:
    """Calibrate, score and evaluate one cell."""
    calibration_cell = {**cell, "setting": source.setting, "split": source.split}
    if everything:
        methods = (*methods, *ABLATION, *TEMPERATURES, *DIVERGENCES, *FURTHER)
    formulations = dict.fromkeys(["printed", "released"])
    told = [parse_method(method).options for method in methods]
    formulations |= dict.fromkeys(options.formulation for options in told if isinstance(options, ReadsEquations))
    shifts = _read(folder, "signals", **calibration_cell)
    fit = partial(calibrate, shifts, questions=budget, question_set=source.set, formulations=list(formulations))
    fitted, taken = query.timed(fit)
    for contract in (
        contracts.POSITION_BIAS,
        contracts.ATTENTION_PRIOR,
        contracts.POSITION_PRIOR,
        contracts.ATTENTION_SKILL,
        contracts.FUSION,
    ):
        table = getattr(fitted, contract.name)
        keys = {**calibration_cell, "calibration_set": source.set, "calibration_questions": budget}
        _write(folder, contract.name, table, {"seconds": taken}, **keys)
    signals = _read(folder, "signals", **cell, split="evaluation")
    blank = content_free_signals(int(cell["n"]), layers=LAYERS)
    session = Session(signals, fitted, content_free=blank)
    timed = {method: session.timed(method) for method in methods}
    predictions = [answers for answers, _ in timed.values()]
    if everything:
        shifts, orders = (_read(folder, "signals", **cell, split=other) for other in ("symmetrized", "permuted"))
        predictions.append(score(shifts, None, "permutation_average"))
        predictions += [score(orders, None, method) for method in RANDOM_ORDERS]
    keys = {**cell, **source.keys, "calibration_questions": budget}
    answers = pa.concat_tables(predictions)
    seconds = {method: taken for method, (_, taken) in timed.items()}
    _write(folder, "predictions", answers, {"seconds": seconds}, **keys)
    _write(folder, "metrics", evaluate(answers, resamples=50), **keys)
    _write(folder, "differences", differences(answers, resamples=50), **keys)


def _choose(folder: Path, cell: dict[str, str | int]) -> None:
    """What chosen calibration questions are worth, by few draws of few questions."""
    pool, asked = (_read(folder, "signals", **cell, split=split) for split in ("calibration", "evaluation"))
    few = {"methods": ("pride", "agd"), "questions": (1, 5), "draws": 2, "resamples": 50}
    _write(folder, "choices", measure_choices(pool, asked, **few), **cell)


def _compare(folder: Path) -> None:
    """Every scoring with the plain one of its questions, after calibration on five of them."""
    for keys in list(RELATIONS["predictions"].partitions(folder)):
        scoring = Scoring.of(keys)
        if scoring != (reference := scoring.plain(5)):
            answers = _read(folder, "predictions", **keys)
            theirs = _read(folder, "predictions", **reference.keys)
            table = comparisons(answers, theirs, reference_calibration_questions=5, resamples=50)
            _write(folder, "comparisons", table, **keys)


def _rank(folder: Path) -> None:
    """How lists of texts are ranked: by vanilla, which sees nothing, and by AGD, which sees the grades in noise."""
    lists = made_lists.made_lists(24, 9, groups=2)
    tables = made_lists.asked(lists, 4, rounds=3)
    rng = np.random.default_rng(6)
    seen = {one.id: (np.array(one.relevance) + 0.5 * rng.normal(size=9)).tolist() for one in lists}
    noise = {one.id: rng.normal(size=9).tolist() for one in lists}
    said = [made_lists.answers(tables, strengths, method=m) for m, strengths in (("vanilla", noise), ("agd", seen))]
    cell = {"model": "demo", "dataset": "passages", "setting": "ranked", "n": 4, "probe": "vanilla"}
    keys = {**cell, **CalibrationSource("passages", "ranked").keys, "calibration_questions": 5}
    _write(folder, "rankings", rank_lists(pa.concat_tables(said), **tables, resamples=50), **keys)


def _images(folder: Path) -> pa.Table:
    """Sixty small pictures of one plain colour each."""
    rng = np.random.default_rng(1)
    (folder / "datasets" / "scenes" / "images").mkdir(parents=True)
    rows = []
    for image_id in range(60):
        name = f"{image_id:03d}.png"
        colour = rng.integers(0, 255, 3, dtype=np.uint8)
        Image.fromarray(np.tile(colour, (16, 16, 1))).save(folder / "datasets" / "scenes" / "images" / name)
        caption = f"a plain picture, number {image_id}, of one colour"
        rows.append(
            {
                "image_id": image_id,
                "file_name": name,
                "width": 16,
                "height": 16,
                "caption": caption,
                "category_ids": [image_id],
            }
        )
    return parquet.from_rows(rows, contracts.IMAGES)


def _embeddings(images: pa.Table) -> pa.Table:
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(2, len(images), 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    columns = {
        "image_id": images["image_id"],
        "image_embedding": list(vectors[0]),
        "caption_embedding": list(vectors[1]),
    }
    return parquet.conform(pa.table(columns), contracts.EMBEDDINGS, "made-up embeddings")


def _signals(shown: pa.Table, cell: dict[str, str | int]) -> pa.Table:
    setting, n, probe = cell["setting"], cell["n"], cell["probe"]
    # The model's preferences are its own: they do not depend on which questions it is asked.
    model = np.random.default_rng([3, n, len(probe)])
    bias = model.normal(size=(n, n)) + np.linspace(1.5, 0, n)
    preference = np.exp(0.8 * model.normal(size=(LAYERS, n)))
    rng = np.random.default_rng([4, n, len(shown), len(probe), SETTINGS.index(setting)])
    target = shown["target_position"].to_numpy() - 1
    is_target = np.eye(n)[target]
    hardness = {"random": 1.0, "adversarial": 0.55}[setting]
    logits = 10 + 2.5 * hardness * is_target + 1.6 * bias[target] + 0.8 * rng.normal(size=(len(shown), n))
    looks = 2.2 * hardness * is_target[:, None] + 0.6 * rng.normal(size=(len(shown), LAYERS, n))
    candidate_attention = 0.02 * np.linspace(0.5, 1.5, LAYERS)[:, None] * preference * np.exp(looks)
    shifted = logits - logits.max(axis=1, keepdims=True)
    columns = {
        "identifier_logits": list(logits),
        "processed_logits": list(logits - 0.05 * np.abs(logits)),
        "candidate_logprobs": list(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))),
        "candidate_attention": candidate_attention.tolist(),
        "delimiter_attention": (0.3 * candidate_attention).tolist(),
        "candidate_tokens": [[4] * n] * len(shown),
        "prompt_tokens": [80] * len(shown),
        "generated_text": pa.nulls(len(shown), pa.string()),
    }
    table = shown
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    by_head = candidate_attention[:, :, None] * np.exp(0.4 * rng.normal(size=(len(shown), LAYERS, 2, n)))
    table = table.append_column("head_attention", parquet.nested_lists(by_head))
    of_query = by_head * np.exp(0.5 * is_target[:, None, None] + 0.2 * rng.normal(size=by_head.shape))
    table = table.append_column("query_attention", parquet.nested_lists(of_query.mean(2)))
    table = table.append_column("head_query_attention", parquet.nested_lists(of_query))
    return parquet.conform(table, contracts.SIGNALS, "made-up signals")


def _extraction(shown: pa.Table, cell: dict[str, str | int]) -> dict[str, Any]:
    """What extraction records: here, 0.01 seconds a candidate and 100 MiB and 10 more for each candidate."""
    return {
        "model": f"made-up/{cell['model']}",
        "revision": "0123abcd",
        "dtype": "float32",
        "extractor_version": 1,
        "versions": {"torch": "2.13.0", "transformers": "5.23.0", "pyarrow": "26.0.1"},
        "device": "Made-up GPU",
        "presentations": len(shown),
        "seconds": 0.01 * int(cell["n"]) * len(shown),
        "peak_memory_bytes": (100 + 10 * int(cell["n"])) * 2**20,
    }


def _read(folder: Path, name: str, **keys: str | int) -> pa.Table:
    relation = RELATIONS[name]
    return parquet.read(relation.path(folder, **keys), relation.contract)


def _write(folder: Path, name: str, table: pa.Table, metadata: dict[str, Any] | None = None, **keys: str | int) -> None:
    relation = RELATIONS[name]
    parquet.write(table, relation.path(folder, **keys), relation.contract, metadata)
