# What is made, and where it lies: the grid of the configuration and the path of every table.
import os
import re
import sys
from functools import cache
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

from lad.catalog import RELATIONS
from lad.extraction import EXTRACTOR_VERSION
from lad.extraction.shards import shard_files
from lad.figures.requirements import check_report, configured_options
from lad.grid import Benchmark, CalibrationSource, Cell, Scoring, build_grid, check_configuration, is_mmiu, shard_count

try:
    check_configuration(config, yaml.safe_load(Path("workflow/schemas/config.schema.yaml").read_text()))
    GRID = build_grid(config)
    check_report(config, GRID)
except ValueError as error:
    raise WorkflowError(str(error))

# Jobs find the `lad` of the environment that Snakemake runs in even where nobody has activated it. A container or an
# environment of Snakemake's own (--sdm) may have no such file: it brings its own PATH.
ENVIRONMENT = Path(sys.executable).parent
if (ENVIRONMENT / "lad").is_file() and str(ENVIRONMENT) not in os.get_exec_path():
    os.environ.update(PATH=os.pathsep.join([str(ENVIRONMENT), *os.get_exec_path()]))

RESULTS = Path(config["results"])
LOGS = RESULTS / "logs"
FINISHED = RESULTS / "finished"
SHARDED = "shard_size" in config["extraction"]
ARTIFACTS = RESULTS / "artifacts"
REPORT = str(RESULTS / "report.html")
RENDERED = {
    "captions": "captions.json",
    "instances": "instances.json",
    "annotations": "annotations.json",
    "images": "images",
}
ARTIFACT_FILES = [str(ARTIFACTS / f"{artifact}.json") for artifact in config["report"]["artifacts"]]


def table(relation: str, **keys) -> str:
    """Path of a relation's file; keys that are not given stay wildcards."""
    names = RELATIONS[relation].keys
    return str(RELATIONS[relation].path(RESULTS, **{name: keys.get(name, f"{{{name}}}") for name in names}))


def log(name: str, *keys: str) -> str:
    """Path of a log, one wildcard per key."""
    return str(LOGS / name / ("_".join(f"{{{key}}}" for key in keys) + ".log"))


def shards_folder(**keys) -> Path:
    """Where the shards of a cell and split lie until they are merged; keys that are not given stay wildcards."""
    return RESULTS / "shards" / Path(table("signals", **keys)).parent.relative_to(RESULTS / "signals")


def extracted(relation: str):
    """What an extraction job writes: the table, or a shard of it."""
    if not SHARDED:
        return table(relation)
    return temp(str(shards_folder() / "{shard}-of-{shards}" / f"{relation}.parquet"))


def extraction_log(name: str) -> str:
    return log(name, *RELATIONS["signals"].keys, *(("shard", "shards") if SHARDED else ()))


def shards_of(wildcards) -> list[str]:
    """The shards of a table, in their order."""
    folder = shards_folder(**vars(cell_of(wildcards)), split=wildcards.split)
    count = shard_count(GRID, cell_of(wildcards), wildcards.split, config)
    return [str(file) for file in shard_files(folder, wildcards.relation, count)]


def code(*stages: str) -> list[str]:
    """Modules and queries of these stages: a rule that lists them runs again when they change."""
    files = [file for stage in stages for file in sorted(Path("lad", stage).glob("*.*")) if file.suffix != ".pyc"]
    shared = [Path("lad/tables.py"), Path("lad/query.py"), Path("lad/catalog.py"), *sorted(Path("lad").glob("*.sql"))]
    return [str(file) for file in [*files, *shared]]


def cell_of(wildcards) -> Cell:
    w = wildcards
    return Cell(w.model, w.dataset, w.setting, int(w.n), w.probe)


def scoring_of(wildcards) -> Scoring:
    w = wildcards
    source = CalibrationSource(
        w.calibration_dataset, w.calibration_setting, w.calibration_split, int(w.calibration_set)
    )
    return Scoring(cell_of(w), source, int(w.calibration_questions))


def calibration_of(scoring: Scoring) -> str:
    """The calibration that a scoring uses, by one of its tables."""
    return table("position_bias", **scoring.calibration_keys)


def benchmark_of(wildcards) -> Benchmark:
    return Benchmark(wildcards.dataset, wildcards.setting, int(wildcards.n))


@cache
def dataset_part(dataset: str, part: str) -> str | None:
    """Path of a dataset's annotation file or images: among the results if rendered, else as configured."""
    entry = config["datasets"][dataset]
    if "render" in entry or "render_tasks" in entry:
        return str(RESULTS / "datasets" / dataset / RENDERED[part])
    return entry.get(part)


def shown(relation: str):
    """The images, questions or presentations that a split of signals shows; content_free has its own."""

    def path(wildcards) -> str:
        keys = {key: getattr(wildcards, key) for key in RELATIONS[relation].keys}
        if wildcards.split == "content_free":
            return f"{content_free(wildcards.dataset, wildcards.n)}/{relation}.parquet"
        return table(relation, **keys)

    return path


def content_free(dataset: str = "{dataset}", n: str = "{n}") -> str:
    """The folder of the question without content."""
    return str(RESULTS / "content_free" / f"dataset={dataset}" / f"n={n}")


def shown_folder(wildcards) -> str:
    """The folder of the pictures that a split of signals shows."""
    if wildcards.split == "content_free":
        return f"{content_free(wildcards.dataset, wildcards.n)}/images"
    return dataset_part(wildcards.dataset, "images")


def shown_data(wildcards) -> list[str]:
    """What extraction waits for to read these pictures."""
    if wildcards.split == "content_free":
        return [shown_folder(wildcards)]
    return dataset_files(wildcards.dataset, "images", made=table("signals", **dict(wildcards.items())))


def dataset_files(dataset: str, *parts: str, made: str) -> list[str]:
    """What the job that makes the file `made` waits for to read these parts of a dataset.

    The parts, or the receipt of their download: a rule that declared downloaded files as its output would have
    Snakemake delete them whenever it fails or runs again. The receipt is ancient, so that fetching the files or finding
    them re-runs nothing. What is made already asks for no receipt: finished signals need no photographs.
    """
    if "download" not in config["datasets"][dataset]:
        return [path for part in parts if (path := dataset_part(dataset, part))]
    receipt = RESULTS / "datasets" / dataset / "downloaded.json"
    return [] if Path(made).exists() and not receipt.exists() else [ancient(str(receipt))]


def source_options(dataset: str) -> list[str]:
    """The `--source` and `--needed` arguments of `lad download`."""
    entry = config["datasets"][dataset]
    options = []
    for source in entry["download"]:
        facts = [f"{key}={value}" for key, value in source.items() if key != "url" and value is not False]
        options.append(f"--source={';'.join([source['url'], *facts])}")
    needed = [entry[part] for part in ("captions", "instances", "annotations", "images") if part in entry]
    return [*options, *(f"--needed={path}" for path in needed)]


def embedding_options(dataset: str) -> list[str]:
    """How `lad embed` loads and runs its model, on the device of extraction unless it has one of its own."""
    settings = {"device": config["extraction"]["device"], **config["datasets"][dataset]["embeddings"]}
    flags = ("backend", "checkpoint", "revision", "device")
    return [optional(f"--{flag}", settings[flag]) for flag in flags if flag in settings]


@cache
def local_checkpoint(checkpoint: str | None) -> list[str]:
    """The files of a checkpoint folder, none for a model of the hub: what a job that loads it depends on."""
    return [str(file) for file in sorted(Path(checkpoint).glob("*.[js][sa]*"))] if checkpoint else []


def model_options(model: str) -> list[str]:
    """How `lad extract` loads and runs a model: its own settings over those of all."""
    settings = {**config["extraction"], **config["models"][model]}
    flags = ("revision", "dtype", "device", "image_size", "token_budget")
    given = [optional(f"--{flag.replace('_', '-')}", settings[flag]) for flag in flags if flag in settings]
    return [*given, *(f"--processor-option={name}={value}" for name, value in settings.get("processor", {}).items())]


def optional(flag: str, value) -> str:
    """An option with its value as one word, which `:q` quotes as a whole; nothing where there is no value."""
    return "" if value is None else f"{flag}={value}"


def photographs(dataset: str) -> str | None:
    """The folder of a dataset's pictures; None where a bundle is the start and the folder is not there."""
    folder = dataset_part(dataset, "images")
    return None if "bundle" in config and not Path(folder).is_dir() else folder


def benchmark_tables() -> list[str]:
    """Images, questions and presentations of all that is measured."""
    tables = {
        table(relation, dataset=cell.dataset, setting=cell.setting, n=cell.n, split=split)
        for cell, split in GRID.signals
        for relation in ("images", "questions", "presentations")
        if split != "content_free"
    }
    return sorted(tables)


def bundled_partitions() -> dict[str, int]:
    """What a bundle has to hold, by path below the results folder, with the least number of rows."""
    partitions = dict.fromkeys(benchmark_tables(), 1)
    for cell, split in GRID.signals:
        shown = GRID.calibrations.get((cell, split), 0) * cell.n or 1
        partitions[table("signals", **vars(cell), split=split)] = shown
        if cell.probe in GRID.generating_probes:
            partitions[table("generations", **vars(cell), split=split)] = shown
    return {Path(path).relative_to(RESULTS).as_posix(): rows for path, rows in partitions.items()}


def evaluations() -> list[str]:
    """Metrics and differences of the whole grid: what figures and tables are drawn from, directly or further up."""
    return [table(relation, **scoring.keys) for scoring in GRID.methods for relation in ("metrics", "differences")]


def artifact_options(artifact: str) -> list[str]:
    """The `--option name=value` arguments of `lad draw`: the artifact's own over those of all."""
    chosen = configured_options(config, artifact)
    if artifact == "fig7" and (folder := photographs(chosen["dataset"])):
        chosen["images"] = folder
    values = {name: ",".join(map(str, value)) if isinstance(value, list) else value for name, value in chosen.items()}
    return [f"--option={name}={value}" for name, value in values.items()]


def provenance() -> list[str]:
    """What the end of the report says about how its numbers came to be."""
    benchmark = config["benchmark"]
    facts = {
        "Models": "; ".join(f"{name}: {model['checkpoint']}" for name, model in config["models"].items()),
        "Evaluation": f"{benchmark['questions']} questions per benchmark, or all a task has, each in {benchmark['orders']} random orders",
        "Calibration": f"{config['calibration']['questions']} other questions, each in its N cyclic shifts",
        "Formulation": f"{config['scoring']['formulation']}, K = {config['scoring']['top_k']},"
        f" tau = {config['scoring']['temperature']}",
        "Hard negatives": f"category filter as {benchmark['category_filter']},"
        f" caption similarity below {benchmark['caption_threshold']}",
        "Intervals": f"95 % bootstrap over questions, {config['evaluation']['resamples']} resamples",
        "Seed": config["seed"],
    }
    return [f"--provenance={name}={value}" for name, value in facts.items()]


def datasets(mmiu: bool) -> str:
    """Pattern of the datasets that have MMIU's format, or of those that do not; of no name where there are none."""
    names = [re.escape(name) for name, entry in config["datasets"].items() if is_mmiu(entry) == mmiu]
    return "|".join(names) or "(?!)"


def one_of(names) -> str:
    """A wildcard's constraint to these names; none match nothing."""
    return "|".join(sorted(names)) or "(?!)"


def per_run(key: str) -> str:
    return "|".join(sorted({re.escape(str(getattr(cell, key))) for cell, _ in GRID.signals}))


wildcard_constraints:
    model=per_run("model"),
    dataset=per_run("dataset"),
    setting=per_run("setting"),
    n=per_run("n"),
    probe=per_run("probe"),
    split="calibration|evaluation|symmetrized|permuted|content_free",
    calibration_dataset=one_of({re.escape(scoring.source.dataset) for scoring in GRID.methods}),
    calibration_setting=one_of({re.escape(scoring.source.setting) for scoring in GRID.methods}),
    calibration_split="calibration|symmetrized",
    calibration_set=r"\d+",
    calibration_questions=r"\d+",
    shard=r"\d+",
    shards=r"\d+",
    figure=r"fig\w+",
    table=r"table\w+|published",
