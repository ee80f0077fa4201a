# The wiring: the configuration, checked, and what the rules ask of it. Paths and words are Python: lad/workflow.py.
import os
from pathlib import Path

from snakemake.exceptions import WorkflowError

from lad.catalog import RELATIONS
from lad.config import parse_configuration
from lad.extraction import EXTRACTOR_VERSION
from lad.workflow import (
    Workflow,
    benchmark_of,
    cell_of,
    code,
    drawing_code,
    local_checkpoint,
    names_of,
    one_of,
    option,
    path_with_this_environment,
    refuse_missing_packages,
    refuse_paths_of_the_checkout,
    scoring_of,
)

try:
    CONFIG = parse_configuration(config)
    refuse_paths_of_the_checkout(CONFIG, Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1])
    refuse_missing_packages(CONFIG)
    W = Workflow(CONFIG)
except ValueError as error:
    raise WorkflowError(str(error))

os.environ.update(PATH=path_with_this_environment(os.environ.get("PATH", os.defpath)))


def dataset_files(dataset: str, *parts: str, made: str) -> list[str]:
    """The files of a dataset, or the receipt of their download, which is ancient: fetching files re-runs nothing."""
    files = W.dataset_files(dataset, *parts, made=made)
    return [ancient(file) if file == W.receipt(dataset) else file for file in files]


def image_files(dataset: str, made: str) -> list[str]:
    """The images of a dataset, as `dataset_files`; none where its candidates are texts."""
    return dataset_files(dataset, "images", made=made) if W.image_folder(dataset) else []


def shown_data(w) -> list[str]:
    """What extraction waits for to read the pictures of a split; nothing where it shows texts."""
    if w.split == "content_free":
        return [folder] if (folder := W.shown_folder(w)) else []
    return image_files(w.dataset, made=W.table("signals", **dict(w.items())))


def extracted(relation: str):
    """What an extraction job writes: the table, or a shard of it."""
    return temp(W.shard(relation)) if W.is_sharded else W.table(relation)


def photographs_in(artifact: str) -> list[str]:
    """What the drawing of an artifact waits for to show pictures."""
    made = str(W.artifacts / f"{artifact}.json")
    shown = [dataset for dataset in W.needs[artifact].photographs if W.photographs(dataset)]
    return [file for dataset in shown for file in image_files(dataset, made=made)]


def explored_photographs() -> list[str]:
    """What the explorer waits for to show pictures."""
    return [file for dataset in W.explored_folders for file in image_files(dataset, made=W.explorer)]


wildcard_constraints:
    **{key: one_of(W.values(key)) for key in ("model", "dataset", "setting", "n", "probe")},
    split="calibration|evaluation|symmetrized|permuted|content_free",
    calibration_dataset=one_of(scoring.source.dataset for scoring in W.grid.methods),
    calibration_setting=one_of(scoring.source.setting for scoring in W.grid.methods),
    calibration_split="calibration|symmetrized",
    calibration_set=r"\d+",
    calibration_questions=r"\d+",
    shard=r"\d+",
    shards=r"\d+",
