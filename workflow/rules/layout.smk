# The wiring: the configuration, checked, and what the rules ask of it. Paths and words are Python: lad/workflow.py.
import os
from pathlib import Path

from snakemake.exceptions import WorkflowError

from lad.catalog import RELATIONS
from lad.config import parse_configuration
from lad.extraction import EXTRACTOR_VERSION
from lad.figures.requirements import check_report, configured_options
from lad.workflow import (
    Workflow,
    benchmark_of,
    cell_of,
    code,
    local_checkpoint,
    one_of,
    option,
    path_with_this_environment,
    scoring_of,
)

try:
    CONFIG = parse_configuration(config)
    W = Workflow(CONFIG)
    check_report(CONFIG, W.grid)
except ValueError as error:
    raise WorkflowError(str(error))

os.environ["PATH"] = path_with_this_environment(os.environ["PATH"])


def dataset_files(dataset: str, *parts: str, made: str) -> list[str]:
    """The files of a dataset, or the receipt of their download, which is ancient: fetching files re-runs nothing."""
    files = W.dataset_files(dataset, *parts, made=made)
    return [ancient(file) if file == W.receipt(dataset) else file for file in files]


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
