"""What a configuration costs before anything is submitted: forward passes, texts, images, bytes, device hours.

Nothing is run and no table is read: the counts follow from the configuration, the bytes from the contracts, and hours
from rates that somebody measured, whose source every figure names. What cannot be known beforehand is said to be an
upper bound or unknown. Not in the paper, whose Table 2 is one of the sources.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from lad import contracts
from lad.config import Configuration, Model
from lad.contracts import Keep
from lad.extraction.prompts import get_probe
from lad.grid import Cell, Grid, build_grid, presentations, shard_count
from lad.refusal import Refusal
from lad.shipped import PUBLISHED

if TYPE_CHECKING:
    import duckdb

SPLITS: Final = ("calibration", "evaluation", "symmetrized", "permuted", "content_free")

FLOAT_GROWTH: Final = 0.83
"""Bytes in the file for a byte of floats in single precision."""

HALF_GROWTH: Final = 0.92
"""The same for the attention of single heads, which is kept in half precision: 0.86 to 1.5."""

ROW_BYTES: Final = 8
"""Bytes of a row besides floats, compressed: ids, order, target, tokens. 4 to 11 in files of 300 rows and more."""

FILE_BYTES: Final = 7_000
"""Bytes of a file besides its rows, in files of the demo: schema, facts, and the start of every column."""

FINGERPRINT_BYTES: Final = 21
"""Bytes that a row of finished work has more: its fingerprint, and what it took. 21 in the demo's."""

PUBLISHED_MODEL: Final = "llava-onevision-1.5-8b"
PUBLISHED_PARAMETERS: Final = 8.0
"""Billions, as that model's name has it."""


class PlanError(Refusal):
    """Rates that cannot be read; the message says from where."""


@dataclass(frozen=True)
class Backbone:
    """What the plan has to know of a model; None where nobody says.

    Attributes:
        layers, heads: of the language model.
        parameters: billions.
        source: where these come from, for people.
    """

    layers: int | None
    heads: int | None
    parameters: float | None
    source: str


@dataclass(frozen=True)
class Row:
    """What one split of one model takes; of several together where `split` or `model` is `all`.

    Attributes:
        jobs: extractions, one per shard of a cell and split.
        passes: forward passes, one per presentation.
        texts, text_tokens: generated texts, and the tokens that they have at most.
        images: images to encode, at most: every job encodes each image that it shows once.
        signal_bytes: of the signals' files without generated texts; None where layers or heads are unknown.
        finished_bytes: of the copy that finished work keeps until it is deleted.
        hours: of the device, those that a rate is known for; None where there is none.
        hours_complete: whether a rate is known for all of it.
        at_most: whether the counts are an upper bound, because the number of questions is.
    """

    model: str
    split: str
    jobs: int
    passes: int
    texts: int
    text_tokens: int
    images: int
    signal_bytes: int | None
    finished_bytes: int | None
    hours: float | None
    hours_complete: bool
    at_most: bool


@dataclass(frozen=True)
class Plan:
    """The rows, by model and split with the sums behind them, and what their figures rest on."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...]


# --- what is counted from the configuration --------------------------------------------------------------------


def is_bound(config: Configuration, cell: Cell, split: str) -> bool:
    """Whether the number of questions is only bounded: how many of its own a dataset has, its files say."""
    return config.datasets[cell.dataset].has_own_questions and split != "content_free"


def images(config: Configuration, grid: Grid, cell: Cell, split: str) -> int:
    """Images that a split of a cell encodes, at most: all candidates, or all images that there are to draw from."""
    if split == "content_free":
        return 1
    questions, _ = presentations(grid, cell, split, config)
    dataset = config.datasets[cell.dataset]
    candidates = questions * cell.n
    if split != "calibration":
        candidates = -(-questions // dataset.questions_each(cell.n)) * dataset.candidates_each(cell.n)
    return min(candidates, dataset.most_images or candidates)


# --- bytes -----------------------------------------------------------------------------------------------------


def float_bytes(
    contract: contracts.Contract, rows: int, sizes: Mapping[str, int], kept: frozenset[Keep] = frozenset()
) -> float:
    """Bytes that the floats of so many rows take in one file of the contract's.

    Args:
        sizes: length of each kind of list: `position`, `layer` and, where the attention of heads is kept, `head`.
        kept: what is kept beyond the usual.
    """
    total = 0.0
    for column in contract.columns:
        kind, depth = column.stored or column.type, 0
        while pa.types.is_list(kind):
            kind, depth = kind.value_type, depth + 1
        if not pa.types.is_floating(kind) or not column.kept <= kept:
            continue
        growth = HALF_GROWTH if kind.bit_width == 16 else FLOAT_GROWTH
        total += growth * (kind.bit_width // 8) * rows * math.prod(sizes[name] for name in _LISTS[depth])
    return total


_LISTS: Final = ((), ("position",), ("layer", "position"), ("layer", "head", "position"))
"""What the nested lists of a column run over, by their depth."""


def signal_bytes(passes: int, n: int, backbone: Backbone, kept: frozenset[Keep] = frozenset()) -> int | None:
    """Bytes of one file of signals, generated texts aside; None where the model's layers or heads are unknown."""
    if backbone.layers is None or ("heads" in kept and backbone.heads is None):
        return None
    sizes = {"position": n, "layer": backbone.layers, "head": backbone.heads or 0}
    return round(float_bytes(contracts.SIGNALS, passes, sizes, kept)) + passes * ROW_BYTES + FILE_BYTES


# --- what is known of the models -------------------------------------------------------------------------------


def describe_backbone(model: Model) -> Backbone:
    """Layers, heads and parameters of a model of the configuration: of its folder, else of its own entry."""
    folder = Path(model.checkpoint)
    declared = Backbone(model.layers, model.heads, model.parameters, "the configuration")
    if not (folder / "config.json").is_file():
        return declared
    told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = next((told[key] for key in ("text_config", "llm_config") if key in told), told)
    weights = sum(map(_weights, folder.glob("*.safetensors")))
    return Backbone(
        text.get("num_hidden_layers", declared.layers),
        text.get("num_attention_heads", declared.heads),
        weights / 1e9 if weights else declared.parameters,
        str(folder / "config.json"),
    )


def _weights(file: Path) -> int:
    """Numbers in a safetensors file, from its header."""
    with file.open("rb") as data:
        header = json.loads(data.read(int.from_bytes(data.read(8), "little")))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


# --- rates -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """Seconds of one presentation by N, as somebody measured them.

    Attributes:
        seconds: at each N that was measured.
        source: what was measured, by whom, on what; stands beside every figure that comes of it.
    """

    seconds: Mapping[int, float]
    source: str

    def at(self, n: int) -> float:
        """Seconds at N: between two measured N on their line; below all as the lowest, above all in proportion to N."""
        measured = sorted(self.seconds)
        if n <= measured[0]:
            return self.seconds[measured[0]]
        if n > measured[-1]:
            return self.seconds[measured[-1]] * n / measured[-1]
        above = next(m for m in measured if m >= n)
        below = max((m for m in measured if m < n), default=above)
        share = (n - below) / (above - below)
        return (1 - share) * self.seconds[below] + share * self.seconds[above]

    def scaled(self, parameters: float) -> Rate:
        """The rate of a model of so many billion parameters, if time were in proportion to them."""
        factor = parameters / PUBLISHED_PARAMETERS
        return Rate(
            {n: seconds * factor for n, seconds in self.seconds.items()},
            f"estimate: {self.source}, times {parameters:.2g}/{PUBLISHED_PARAMETERS:g} for its parameters",
        )


def published_rate(results: Path = PUBLISHED) -> Rate:
    """The paper's Table 2: AGD's latency, that is a forward pass whose attention is read, and what follows.

    Args:
        results: the published results, as `lad/shipped/published.csv` has them.

    Raises:
        PlanError: there is no such file, or it has no latencies.
    """
    if not results.is_file():
        raise PlanError(f"{results}: no such file")
    with results.open(encoding="utf-8", newline="") as file:
        found = {
            int(row["n_candidates"]): float(row["value"]) / 1000
            for row in csv.DictReader(file)
            if (row["metric"], row["method"], row["model"]) == ("latency_s", "agd", PUBLISHED_MODEL)
        }
    if not found:
        raise PlanError(f"{results}: has no latency_s of agd and {PUBLISHED_MODEL}")
    return Rate(found, f"the paper's Table 2 ({PUBLISHED_MODEL}, AGD, 1000 samples, the authors' GPU)")


def recorded_rates(connection: duckdb.DuckDBPyConnection, where: str) -> dict[tuple[str, str], Rate]:
    """The rates of extractions that were run, by (model, probe) of a generating probe, else by (model, '').

    Args:
        connection: to a results folder (`lad.catalog.connect`).
        where: the folder, as the sources name it.
    """
    rows = connection.sql(
        "select model, probe, n, sum(seconds), sum(presentations), coalesce(device, 'a device not named')"
        " from runs where seconds > 0 and split <> 'content_free' group by all order by all"
    ).fetchall()
    spent: dict[tuple[str, str], dict[int, list[float]]] = {}
    devices: dict[tuple[str, str], dict[str, None]] = {}
    for model, probe, n, seconds, passes, device in rows:
        key = model, probe if get_probe(probe).generation else ""
        so_far = spent.setdefault(key, {}).setdefault(n, [0, 0])
        spent[key][n] = [so_far[0] + seconds, so_far[1] + passes]
        devices.setdefault(key, {})[device] = None
    return {
        key: Rate(
            {n: seconds / passes for n, (seconds, passes) in by_n.items()},
            f"runs of {where} at N = {', '.join(map(str, sorted(by_n)))} on {', '.join(devices[key])}",
        )
        for key, by_n in spent.items()
    }


def _rate(
    config: Configuration,
    cell: Cell,
    backbone: Backbone,
    recorded: Mapping[tuple[str, str], Rate],
    published: Rate,
) -> tuple[Rate | None, str]:
    """The rate of a cell, and its source; or none, and the reason."""
    writes = get_probe(cell.probe).generation is not None
    if rate := recorded.get((cell.model, cell.probe if writes else "")):
        return rate, rate.source
    if writes:
        return None, "unknown: no run recorded how long its texts take"
    if config.device(cell.model) == "cpu":
        return None, "unknown: the device is a CPU, the published rates are a GPU's; give recorded ones with --results"
    if backbone.parameters is None:
        return None, "unknown: no run recorded, and `parameters` of the model is not given to scale published rates by"
    return (rate := published.scaled(backbone.parameters)), rate.source


# --- the plan --------------------------------------------------------------------------------------------------


def make_plan(config: Configuration, published: Rate, recorded: Mapping[tuple[str, str], Rate] | None = None) -> Plan:
    """What extracting all signals of a configuration takes.

    Args:
        published: `published_rate`, for models of which nothing is recorded.
        recorded: `recorded_rates` of earlier runs.

    Raises:
        ValueError: the configuration asks for what does not exist.
    """
    grid = build_grid(config)
    models = sorted({cell.model for cell, _ in grid.signals})
    backbones = {model: describe_backbone(config.models[model]) for model in models}
    rows: dict[tuple[str, str], Row] = {}
    notes: dict[str, None] = {}
    for cell, split in grid.signals:
        backbone = backbones[cell.model]
        rate, source = _rate(config, cell, backbone, recorded or {}, published)
        asked = f", {cell.probe}" if get_probe(cell.probe).generation else ""
        notes[f"hours of {cell.model}{asked}: {source}"] = None
        row = _job(config, grid, cell, split, backbone, rate)
        key = cell.model, split
        rows[key] = _sum([rows[key], row], *key) if key in rows else row
    notes |= dict.fromkeys(f"layers of {model}: {_told(backbone)}" for model, backbone in backbones.items())
    return Plan(tuple(_with_sums(rows)), tuple(sorted(notes)) + _GENERAL_NOTES)


_GENERAL_NOTES: Final = (
    "images: at most; a job encodes each image that it shows once",
    f"signals: per byte of floats {FLOAT_GROWTH} in the file, {HALF_GROWTH} in half precision; {ROW_BYTES} per row,"
    f" {FILE_BYTES} per file; without texts",
    "finished: the copy that <results>/finished keeps for reruns; it may be deleted when nothing runs",
)


def _told(backbone: Backbone) -> str:
    if backbone.layers is None:
        return "unknown: the checkpoint is no folder here and the model has no `layers` in the configuration"
    return f"{backbone.layers} ({backbone.source})"


def _job(config: Configuration, grid: Grid, cell: Cell, split: str, backbone: Backbone, rate: Rate | None) -> Row:
    passes = math.prod(presentations(grid, cell, split, config))
    generation = get_probe(cell.probe).generation
    texts = passes * generation.samples if generation else 0
    size = signal_bytes(passes, cell.n, backbone, grid.kept.get((cell, split), frozenset()))
    return Row(
        model=cell.model,
        split=split,
        jobs=shard_count(grid, cell, split, config),
        passes=passes,
        texts=texts,
        text_tokens=texts * generation.new_tokens if generation else 0,
        images=images(config, grid, cell, split),
        signal_bytes=size,
        finished_bytes=None if size is None else size + passes * FINGERPRINT_BYTES,
        hours=None if rate is None else passes * rate.at(cell.n) / 3600,
        hours_complete=rate is not None,
        at_most=is_bound(config, cell, split),
    )


def _with_sums(rows: Mapping[tuple[str, str], Row]) -> Iterable[Row]:
    """The rows of each model in the order of the splits and their sum; at the end the sum of each split and of all."""
    models = sorted({model for model, _ in rows})
    for model in models:
        own = [rows[model, split] for split in SPLITS if (model, split) in rows]
        yield from own
        yield _sum(own, model, "all")
    if len(models) > 1:
        for split in SPLITS:
            if own := [rows[model, split] for model in models if (model, split) in rows]:
                yield _sum(own, "all", split)
        yield _sum(list(rows.values()), "all", "all")


def _sum(rows: Sequence[Row], model: str, split: str) -> Row:
    """The sum of rows: of bytes where all are known, of hours those that are."""
    totals: dict[str, Any] = {}
    for name in ("jobs", "passes", "texts", "text_tokens", "images", "signal_bytes", "finished_bytes"):
        values = [getattr(row, name) for row in rows]
        totals[name] = None if None in values else sum(values)
    hours = [row.hours for row in rows if row.hours is not None]
    return Row(
        model=model,
        split=split,
        hours=sum(hours) if hours else None,
        hours_complete=all(row.hours_complete for row in rows),
        at_most=any(row.at_most for row in rows),
        **totals,
    )


# --- for people ------------------------------------------------------------------------------------------------


def as_text(plan: Plan) -> str:
    """The plan as a table for a terminal, and its notes."""
    head = ("model", "split", "jobs", "passes", "texts", "tokens", "images", "signals", "finished", "hours")
    lines = [head, *(_line(row) for row in plan.rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    shown = []
    for line in lines:
        names = (cell.ljust(width) for cell, width in zip(line[:2], widths[:2], strict=True))
        numbers = (cell.rjust(width) for cell, width in zip(line[2:], widths[2:], strict=True))
        shown.append("  ".join((*names, *numbers)))
    notes = list(plan.notes)
    if any(row.at_most for row in plan.rows):
        notes.insert(0, "<=: at most; how many questions a task has is known once its annotation file is read")
    return "\n".join([*shown, "", *notes])


def _line(row: Row) -> tuple[str, ...]:
    most = "<=" if row.at_most else ""
    sizes = (row.signal_bytes, row.finished_bytes)
    return (
        *(row.model, row.split, f"{row.jobs:,}", f"{most}{row.passes:,}"),
        *(f"{most}{row.texts:,}" if row.texts else "-", f"<={row.text_tokens:,}" if row.texts else "-"),
        f"<={row.images:,}",
        *("unknown" if size is None else f"{most}{_bytes(size)}" for size in sizes),
        "unknown" if row.hours is None else f"{most}{_hours(row.hours)}{'' if row.hours_complete else ' + unknown'}",
    )


def _bytes(size: int) -> str:
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size / 1e3:.0f} kB"


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours >= 1 else f"{hours:.2g}"
