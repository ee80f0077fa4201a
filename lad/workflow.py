"""What the rules of the workflow ask: the path of every table, and the words of each command.

The rules say what depends on what. How a path is spelled and which options a command gets is plain Python here, typed
and tested; `workflow/rules/layout.smk` wires both together. Nothing here needs Snakemake: wildcards are any object with
the keys of the partition as attributes.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import lad
from lad.benchmark.formats import Captioned, FromFiles, Rendered
from lad.benchmark.formats.base import Embeddings, TextEmbeddings
from lad.catalog import RELATIONS
from lad.config import Configuration
from lad.extraction.shards import shard_files
from lad.grid import Benchmark, Cell, Grid, Scoring, build_grid, shard_count
from lad.packaged import PackagedError, checkpoint_path
from lad.report.artifacts import ARTIFACTS, sources
from lad.report.needs import Needs
from lad.report.planned import configured_options, explorer_needs, headline_needs, planned_needs

GGUF: Final = ".gguf"

SHARED_CODE: Final = ("contracts", "parquet.py", "query.py", "catalog.py", "runs.sql", "timings.sql")


class Wildcards(Protocol):
    """A rule's wildcards: the partition keys that its output has, as text."""

    model: str
    dataset: str
    setting: str
    n: str
    probe: str
    split: str
    calibration_dataset: str
    calibration_setting: str
    calibration_split: str
    calibration_set: str
    calibration_questions: str
    relation: str


def cell_of(w: Wildcards) -> Cell:
    return Cell(w.model, w.dataset, w.setting, int(w.n), w.probe)


def benchmark_of(w: Wildcards) -> Benchmark:
    return Benchmark(w.dataset, w.setting, int(w.n))


def scoring_of(w: Wildcards) -> Scoring:
    return Scoring.of({key: getattr(w, key) for key in RELATIONS["predictions"].keys})


def option(flag: str, value: object) -> str:
    """An option with its value as one word, which `:q` quotes as a whole; nothing where there is no value."""
    return "" if value is None else f"--{flag.replace('_', '-')}={value}"


def one_of(names: Iterable[object]) -> str:
    """A wildcard's constraint to these names; without names it matches nothing."""
    return "|".join(sorted({re.escape(str(name)) for name in names})) or "(?!)"


def code(*parts: str) -> list[str]:
    """Modules and queries of these parts of the package: a rule that lists them runs again when they change.

    A package below the folder of the run, as in a checkout, is named by its path from there: Snakemake takes other
    paths for other inputs, and a checkout that was moved or copied has to do nothing again.

    Args:
        parts: folders of the package, or single files such as `benchmark/questions.py`.
    """
    package = Path(lad.__file__).parent
    files = [file for part in parts for file in _code_of(package / part)]
    if any((package / part).is_dir() for part in parts):
        files += [file for part in SHARED_CODE for file in _code_of(package / part)]
    return [_from_here(file) for file in files]


def _code_of(part: Path) -> list[Path]:
    if part.is_file():
        return [part]
    return sorted(
        file for file in part.rglob("*.*") if file.suffix in (".py", ".sql", ".css", ".j2", ".js", ".mplstyle")
    )


def _from_here(file: Path) -> str:
    file, here = file.resolve(), Path.cwd().resolve()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def drawing_code(artifact: str) -> list[str]:
    """What drawing an artifact runs: the code that all share, names and colours of methods, its own module and SQL."""
    common = map(Path, code("report", "methods", "shipped/published.csv"))
    shared = (file for file in common if not {"artifacts", "explorer"} & {*file.parts})
    drawing = (str(file) for file in shared if file.stem not in ("page", "headline"))
    return [*drawing, *(_from_here(file) for file in sources(artifact))]


def names_of(kind: str) -> list[str]:
    """The artifacts that are figures, or tables."""
    return [name for name, artifact in ARTIFACTS.items() if artifact.kind == kind]


def local_checkpoint(checkpoint: str | None) -> list[str]:
    """The files of a checkpoint folder, or a checkpoint that is a file: what a job that loads it depends on.

    None for a model of the hub, nor for one in an installed package: its place says nothing, its version is pinned.
    """
    if checkpoint is None:
        return []
    path = Path(checkpoint)
    return [checkpoint] if path.is_file() else [str(file) for file in sorted(path.glob("*.[js][sa]*"))]


def refuse_paths_of_the_checkout(config: Configuration, checkout: Path) -> None:
    """`ValueError` for checkpoints, as the demo's, that lie in the checkout but are named from another folder.

    They look like names of the hub, for which they would be taken until a job asks for them.
    """
    named = {f"models.{name}.checkpoint": model.checkpoint for name, model in config.models.items()}
    for key, path in named.items():
        if not Path(path).exists() and (checkout / path).exists():
            raise ValueError(
                f"configuration, {key}: {path} lies in {checkout}, but paths count from the folder of the run,"
                f" {Path.cwd()}: run in {checkout}, or name a configuration with paths that hold from here"
                " (--configfile my.yaml)"
            )


def refuse_missing_packages(config: Configuration) -> None:
    """`ValueError` for checkpoints in packages that are not installed: else a job would tell after all the others."""
    for name, model in config.models.items() if config.bundle is None else ():
        try:
            checkpoint_path(model.checkpoint)
        except PackagedError as error:
            raise ValueError(f"configuration, models.{name}: {error}") from None


def path_with_this_environment(path: str) -> str:
    """The PATH on which jobs find the `lad` of this Python's environment, even where nobody has activated it.

    A container or an environment of Snakemake's own (--sdm) may have no such file: it brings its own PATH.
    """
    environment = Path(sys.executable).parent
    if not (environment / "lad").is_file() or str(environment) in path.split(os.pathsep):
        return path
    return os.pathsep.join([str(environment), path])


@dataclass(frozen=True)
class Workflow:
    """The paths and words of one configuration.

    Attributes:
        grid: what it measures.
        needs: by artifact of its report, what the drawing reads.

    Paths with keys left out have wildcards in their place, as the outputs of rules do.
    """

    config: Configuration
    grid: Grid = field(init=False)
    needs: dict[str, Needs] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", build_grid(self.config))
        object.__setattr__(self, "needs", planned_needs(self.config, self.grid))

    # --- paths -------------------------------------------------------------------------------------------------

    @cached_property
    def results(self) -> Path:
        return Path(self.config.results)

    @property
    def finished(self) -> Path:
        """Where extraction and embedding keep finished batches."""
        return self.results / "finished"

    @property
    def artifacts(self) -> Path:
        return self.results / "artifacts"

    @property
    def report(self) -> str:
        return str(self.results / "report.html")

    @property
    def opening(self) -> list[str]:
        """What the report opens with: its first figure and its first table."""
        first = (
            next((name for name in self.config.report.artifacts if name in names_of(kind)), None)
            for kind in ("figure", "table")
        )
        return [str(self.artifacts / f"{name}.json") for name in first if name]

    @property
    def explorer(self) -> str:
        return str(self.results / "explorer.html")

    @property
    def is_sharded(self) -> bool:
        return self.config.extraction.shard_size is not None

    def table(self, relation: str, **keys: str | int) -> str:
        """Path of a relation's file."""
        names = RELATIONS[relation].keys
        return str(RELATIONS[relation].path(self.results, **{name: keys.get(name, f"{{{name}}}") for name in names}))

    def log(self, rule: str, *keys: str) -> str:
        """Path of a rule's log, one wildcard per key."""
        name = Path(rule, "_".join(f"{{{key}}}" for key in keys)) if keys else Path(rule)
        return f"{self.results / 'logs' / name}.log"

    def shards_folder(self, **keys: str | int) -> Path:
        """Where the shards of a cell and split lie until they are merged."""
        signals = Path(self.table("signals", **keys)).parent
        return self.results / "shards" / signals.relative_to(self.results / "signals")

    def shard(self, relation: str) -> str:
        """A shard's part of a relation."""
        return str(self.shards_folder() / "{shard}-of-{shards}" / f"{relation}.parquet")

    def extraction_log(self, rule: str) -> str:
        return self.log(rule, *RELATIONS["signals"].keys, *(("shard", "shards") if self.is_sharded else ()))

    def shards_of(self, w: Wildcards) -> list[str]:
        """The shards of a table, in their order."""
        folder = self.shards_folder(**vars(cell_of(w)), split=w.split)
        count = shard_count(self.grid, cell_of(w), w.split, self.config)
        return [str(file) for file in shard_files(folder, w.relation, count)]

    def content_free(self, dataset: str = "{dataset}", n: str = "{n}") -> str:
        """The folder of the question without content."""
        return str(self.results / "content_free" / f"dataset={dataset}" / f"n={n}")

    # --- datasets ----------------------------------------------------------------------------------------------

    def rendered(self, dataset: str = "{dataset}") -> str:
        """The folder that a dataset is rendered to."""
        return str(self.results / "datasets" / dataset)

    def receipt(self, dataset: str = "{dataset}") -> str:
        """Path of the receipt of a dataset's download."""
        return str(self.results / "datasets" / dataset / "downloaded.json")

    def all_rendered(self) -> str:
        """Constraint to the datasets that are rendered."""
        return one_of(name for name, entry in self.config.datasets.items() if isinstance(entry, Rendered))

    def dataset(self, name: str) -> FromFiles:
        """A dataset as it is read: a rendered one from the files that rendering makes."""
        entry = self.config.datasets[name]
        if isinstance(entry, Rendered):
            return entry.rendered(Path(self.rendered(name)))
        assert isinstance(entry, FromFiles), f"{name} is neither read nor rendered"
        return entry

    def image_folder(self, dataset: str) -> str | None:
        """The folder of a dataset's images; None where its candidates are texts."""
        return self.dataset(dataset).image_folder

    def of_texts(self) -> str:
        """Constraint to the datasets whose candidates are texts."""
        return one_of(name for name in self.config.datasets if self.image_folder(name) is None)

    def of_images(self) -> str:
        """Constraint to the datasets whose candidates are images."""
        return one_of(name for name in self.config.datasets if self.image_folder(name) is not None)

    def dataset_files(self, dataset: str, *keys: str, made: str) -> list[str]:
        """What the job that makes the file `made` waits for to read what these keys of a dataset name; all by default.

        The files; or the folder that they are rendered to; or the receipt of their download: a rule that declared
        downloaded files as its output would have Snakemake delete them whenever it fails or runs again. A file that is
        made already asks for no receipt: finished signals need no photographs.
        """
        entry = self.config.datasets[dataset]
        if isinstance(entry, Rendered):
            return [self.rendered(dataset)]
        files = self.dataset(dataset)
        if not files.download:
            # A folder of images that is not among its paths is written when the dataset is read.
            named = [key for key in keys or files.paths if key in files.paths]
            return [path for key in named if (path := getattr(files, key))]
        receipt = self.receipt(dataset)
        return [] if Path(made).exists() and not Path(receipt).exists() else [receipt]

    def of_lists(self) -> str:
        """Constraint to the datasets whose questions are windows of lists."""
        return one_of(name for name, entry in self.config.datasets.items() if entry.has_lists)

    def rendering_words(self, dataset: str) -> list[str]:
        """How `lad render` renders a dataset."""
        keys = self.config.datasets[dataset].model_dump(exclude={"pool", "embeddings", "caption_policy"})
        return [option(key, value) for key, value in keys.items()]

    def reading_words(self, dataset: str) -> list[str]:
        """How `lad images` and, where a dataset has questions of its own, `lad questions` read its files."""
        files = self.dataset(dataset)
        keys = {"format": files.format, **files.reading, "image_folder": files.image_folder}
        return [option(key, value) for key, value in keys.items() if value is not None]

    def tasks(self, dataset: str) -> list[str]:
        """The `--setting` arguments of `lad images` for a dataset with questions of its own: what is asked."""
        own = self.config.datasets[dataset].has_own_questions
        return [option("setting", setting) for setting in self.grid.settings(dataset) if own]

    def code_of(self, dataset: str) -> list[str]:
        """The code that decides what a dataset of its format holds."""
        return code(f"benchmark/formats/{self.dataset(dataset).format}.py", *self.dataset(dataset).code)

    def question_code(self, dataset: str) -> list[str]:
        """The code that builds a dataset's questions."""
        if self.config.datasets[dataset].has_own_questions:
            return self.code_of(dataset)
        return code("benchmark/questions.py", "benchmark/negatives.py", "benchmark/draws.py")

    def download_words(self, dataset: str) -> list[str]:
        """The `--source` and `--needed` arguments of `lad download`."""
        entry = self.dataset(dataset)
        words = []
        for source in entry.download:
            facts = source.model_dump(exclude={"url"}, exclude_none=True)
            named = [f"{key}={value}" for key, value in facts.items() if value is not False]
            words.append(f"--source={';'.join([source.url, *named])}")
        needed = (getattr(entry, key) for key in entry.paths)
        return [*words, *(f"--needed={path}" for path in needed if path)]

    def _embeddings(self, dataset: str) -> Embeddings | TextEmbeddings:
        entry = self.config.datasets[dataset]
        assert isinstance(entry, Captioned), f"no rule embeds {dataset}, which has no embeddings"
        assert entry.embeddings is not None, f"no rule embeds {dataset}, which has no embeddings"
        return entry.embeddings

    def embedding_words(self, dataset: str) -> list[str]:
        """What `lad embed` makes embeddings of, and how; a model runs on extraction's device, or one of its own."""
        embeddings = self._embeddings(dataset)
        settings = embeddings.model_dump(exclude_none=True)
        if isinstance(embeddings, Embeddings):
            settings = {"device": self.config.extraction.device, **settings, "image_folder": self.image_folder(dataset)}
        flags = ("image_folder", "backend", "checkpoint", "revision", "device")
        return [option(flag, settings[flag]) for flag in flags if flag in settings]

    def embedding_checkpoint(self, dataset: str) -> list[str]:
        """The files of the model that embeds a dataset, where one does and lies in a folder here."""
        embeddings = self._embeddings(dataset)
        return local_checkpoint(embeddings.checkpoint) if isinstance(embeddings, Embeddings) else []

    def embedding_code(self, dataset: str) -> list[str]:
        """The code that makes a dataset's embeddings."""
        reads_images = isinstance(self._embeddings(dataset), Embeddings)
        return code("benchmark/embeddings.py", "pictures.py") if reads_images else code("benchmark/tfidf.py")

    def question_embeddings(self, w: Wildcards) -> list[str]:
        """The embeddings that hard negatives are chosen by, where questions have any."""
        needed = self.config.datasets[w.dataset].needs_embeddings(w.setting)
        return [self.table("embeddings", dataset=w.dataset)] if needed else []

    def question_words(self, w: Wildcards) -> list[str]:
        """Where `lad questions` finds a dataset's own questions, or how it chooses candidates for captions."""
        entry = self.config.datasets[w.dataset]
        if not isinstance(entry, Captioned):
            return self.reading_words(w.dataset)
        benchmark = self.config.benchmark
        chosen: Mapping[str, object] = {"pool": entry.pool}
        for embeddings in self.question_embeddings(w):
            chosen = {
                **chosen,
                "embeddings": embeddings,
                "category_filter": benchmark.category_filter,
                "caption_threshold": benchmark.caption_threshold,
            }
        return [option(flag, value) for flag, value in chosen.items() if value is not None]

    # --- extraction --------------------------------------------------------------------------------------------

    def shown(self, relation: str, w: Wildcards) -> str:
        """The images, questions or presentations that a split of signals shows; content_free has its own."""
        if w.split == "content_free":
            return f"{self.content_free(w.dataset, w.n)}/{relation}.parquet"
        return self.table(relation, **{key: getattr(w, key) for key in RELATIONS[relation].keys})

    def shown_folder(self, w: Wildcards) -> str | None:
        """The folder of the pictures that a split of signals shows; None where it shows texts."""
        folder = self.image_folder(w.dataset)
        return f"{self.content_free(w.dataset, w.n)}/images" if folder and w.split == "content_free" else folder

    def folder_words(self, w: Wildcards) -> list[str]:
        """The `--image-folder` argument of `lad extract`, where a split shows images."""
        folder = self.shown_folder(w)
        return [option("image_folder", folder)] if folder else []

    def converted(self, model: str = "{model}") -> str:
        """The folder that a model in a GGUF file is written to, as transformers reads it quickly."""
        return str(self.results / "models" / model)

    def of_gguf(self) -> str:
        """Constraint to the models that are GGUF files."""
        return one_of(name for name, model in self.config.models.items() if model.checkpoint.endswith(GGUF))

    def checkpoint(self, model: str) -> str:
        """What `lad extract` loads a model from."""
        given = self.config.models[model].checkpoint
        return self.converted(model) if given.endswith(GGUF) else given

    def checkpoint_files(self, model: str) -> list[str]:
        """What a job that loads a model waits for."""
        loaded = self.checkpoint(model)
        return [loaded] if loaded == self.converted(model) else local_checkpoint(loaded)

    def model_words(self, model: str) -> list[str]:
        """How `lad extract` loads and runs a model: its own settings over those of all."""
        entry = self.config.models[model]
        settings = {**self.config.extraction.model_dump(), **entry.model_dump(exclude_none=True)}
        flags = ("revision", "dtype", "device", "image_size", "token_budget")
        processor = (f"--processor-option={name}={value}" for name, value in entry.processor.items())
        beyond = ["--beyond-context"] if settings["beyond_context"] else []
        return [*filter(None, (option(flag, settings.get(flag)) for flag in flags)), *beyond, *processor]

    # --- what there is to be -----------------------------------------------------------------------------------

    def values(self, key: str) -> Iterator[object]:
        """The values that a key of a cell has in the grid."""
        return (getattr(cell, key) for cell, _ in self.grid.signals)

    def benchmark_tables(self) -> list[str]:
        """Images, lists, questions and presentations of all that is measured."""
        return sorted(
            {
                self.table(relation, **vars(cell.benchmark), split=split)
                for cell, split in self.grid.signals
                for relation in self._tables_of(cell.dataset)
                if split != "content_free"
            }
        )

    def _tables_of(self, dataset: str) -> tuple[str, ...]:
        """The tables of a benchmark."""
        lists = ("lists",) if self.config.datasets[dataset].has_lists else ()
        return ("images", *lists, "questions", "presentations")

    def bundled_partitions(self) -> dict[str, int]:
        """What a bundle has to hold, by path below the results folder, with the least number of rows."""
        partitions = dict.fromkeys(self.benchmark_tables(), 1)
        for cell, split in self.grid.signals:
            least = self.grid.calibrations.get((cell, split), 0) * cell.n or 1
            partitions[self.table("signals", **vars(cell), split=split)] = least
            if cell.probe in self.grid.generating_probes:
                partitions[self.table("generations", **vars(cell), split=split)] = least
        return {Path(path).relative_to(self.results).as_posix(): rows for path, rows in partitions.items()}

    def evaluations(self) -> list[str]:
        """Metrics, differences and rankings of the whole grid; comparisons are made where an artifact needs them."""
        return [self.table(name, **s.keys) for s in self.grid.methods for name in self._evaluated(s)]

    def _evaluated(self, scoring: Scoring) -> tuple[str, ...]:
        ranked = ("rankings",) if self.config.datasets[scoring.cell.dataset].has_lists else ()
        return ("metrics", "differences", *ranked)

    def ranked(self, w: Wildcards) -> list[str]:
        """The presentations that the methods of a scoring answer."""
        cell = cell_of(w)
        splits = sorted(self.grid.splits[cell] - {"content_free"})
        return [self.table("presentations", **vars(cell.benchmark), split=split) for split in splits]

    # --- report ------------------------------------------------------------------------------------------------

    @cached_property
    def headline(self) -> Needs:
        """What the report's first lines read."""
        return headline_needs(self.config, self.grid)

    @cached_property
    def explored(self) -> Needs:
        """What the explorer reads."""
        return explorer_needs(self.config, self.grid)

    def explorer_words(self) -> list[str]:
        """What `lad explorer` shows of what it reads."""
        words = [option(key, value) for key, value in self.config.report.explorer.model_dump().items()]
        return [*words, *(f"--images={dataset}={folder}" for dataset, folder in self.explored_folders.items())]

    @cached_property
    def explored_folders(self) -> dict[str, str]:
        """By dataset, the folders of the pictures that the explorer shows.

        It fetches none: of a dataset that is downloaded, it shows them where they are there, or extraction wants them.
        """
        folders = {dataset: self.photographs(dataset) for dataset in self.explored.photographs}
        return {dataset: folder for dataset, folder in folders.items() if folder and self._is_fetched(dataset)}

    def _is_fetched(self, dataset: str) -> bool:
        if not self.dataset(dataset).download or Path(self.receipt(dataset)).exists():
            return True
        signals = [
            self.table("signals", **vars(cell), split=split)
            for cell, split in self.grid.signals
            if cell.dataset == dataset and split != "content_free"
        ]
        return self.config.bundle is None and not all(Path(table).exists() for table in signals)

    @property
    def chosen_for(self) -> list[str]:
        """The methods that choices of calibration questions are measured by, where the report says which."""
        options = self.config.report.artifacts.get("table_calibration_choice", {})
        return list(options.get("methods", []))

    def needed(self, needs: Needs) -> list[str]:
        """The tables that hold what is needed."""
        return [str(path) for paths in needs.files(self.results).values() for path in paths]

    def photographs(self, dataset: str) -> str | None:
        """The folder of a dataset's pictures; None of texts, and where a bundle is the start and it is not there."""
        folder = self.image_folder(dataset)
        return None if folder and self.config.bundle and not Path(folder).is_dir() else folder

    def drawing_words(self, artifact: str) -> list[str]:
        """The `--option name=value` arguments of `lad draw`: the artifact's own over those of all."""
        chosen = configured_options(self.config, artifact)
        for dataset in self.needs[artifact].photographs:
            if folder := self.photographs(dataset):
                chosen["images"] = folder
        words = {n: ",".join(map(str, value)) if isinstance(value, list) else value for n, value in chosen.items()}
        return [f"--option={name}={value}" for name, value in words.items()]

    def published(self, artifact: str) -> list[str]:
        """The file of others' numbers that an artifact shows, where it names one."""
        path = self.config.report.artifacts[artifact].get("published")
        return [path] if path else []

    def provenance_words(self) -> list[str]:
        """What the end of the report says about how its numbers came to be."""
        benchmark, scoring = self.config.benchmark, self.config.scoring
        facts: Mapping[str, Any] = {
            "Models": "; ".join(f"{name}: {model.checkpoint}" for name, model in self.config.models.items()),
            "Evaluation": f"{benchmark.questions} questions per benchmark, or all a task has, each in"
            f" {benchmark.orders} random orders",
            "Calibration": f"{self.config.calibration.questions} other questions, each in its N cyclic shifts",
            "Formulation": f"{scoring.formulation}, K = {scoring.top_k}, tau = {scoring.temperature:g}",
            "Hard negatives": f"category filter as {benchmark.category_filter},"
            f" caption similarity below {benchmark.caption_threshold}",
            "Intervals": f"95 % bootstrap over questions, {self.config.evaluation.resamples} resamples",
            "Seed": self.config.seed,
        }
        return [f"--provenance={name}={value}" for name, value in facts.items()]
