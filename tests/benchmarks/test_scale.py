"""The benchmark of scale: its grid is as large as asked for, its results folder is like the pipeline's."""

from pathlib import Path

import pytest
import yaml

from benchmarks.scale import QUERIES, ask, grid_configuration, offline_half, write_results
from lad import catalog
from lad.config import parse_configuration
from lad.grid import build_grid

DEMO = yaml.safe_load(Path("config/config.yaml").read_text())


@pytest.mark.parametrize("jobs", [1, 2_000, 10_000])
def test_a_grid_has_at_least_as_many_extractions_as_asked_for_and_less_than_a_model_more(tmp_path, jobs):
    config = grid_configuration(jobs, DEMO, tmp_path)
    assert jobs <= len(build_grid(parse_configuration(config)).signals) < jobs + 1_056


def test_every_query_is_answered_from_a_small_folder_and_one_cell_is_worked_on(tmp_path):
    write_results(tmp_path, 1, 2, questions=4, probes=("vanilla",))
    connection = catalog.connect(tmp_path)
    # 5 datasets x 2 settings x 10 N x 4 questions x 5 orders, and the one cell: 5 x 5 shifts and 4 x 5 orders.
    assert connection.sql("select count(*) from signals").fetchall()[0] == (5 * 2 * 10 * 4 * 5 + 25 + 20,)
    answers = {name: ask(tmp_path, query) for name, query in QUERIES.items()}
    assert answers["accuracy of vanilla by cell"] == 5 * 2 * 10 + 1
    assert all(answers.values())
    (metrics,) = tmp_path.glob("metrics/model=synthetic-1/**/metrics.parquet")
    before = metrics.read_bytes()
    metrics.unlink()
    offline_half(tmp_path)
    assert metrics.read_bytes() == before
