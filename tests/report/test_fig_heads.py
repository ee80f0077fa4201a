"""The heat maps of figure fig_heads are what a plain loop over presentations, layers and heads counts."""

import numpy as np
import pytest
from signals_factory import random_signals

from lad import query
from lad.report.artifacts.fig_heads import HEADS_SQL, _grid


def looks(table, column: str) -> np.ndarray:
    """Presentations x layers x heads x positions."""
    return np.array(table[column].to_pylist(), dtype=np.float64)


@pytest.mark.parametrize(("row", "column"), [("last", "head_attention"), ("query", "head_query_attention")])
def test_the_share_of_targets_that_each_head_finds_is_that_of_a_plain_loop(row, column):
    table = random_signals(3, 4, questions=7, heads=3, rows=True, split="evaluation")
    found = query.run(HEADS_SQL, {"signals": table}).to_pylist()
    grid = _grid([entry for entry in found if entry["row"] == row])
    attention, target = looks(table, column), table["target_position"].to_numpy() - 1
    assert grid.shape == attention.shape[1:3]
    for layer, head in np.ndindex(*grid.shape):
        hits = 0
        for shown, place in zip(attention[:, layer, head], target, strict=True):
            hits += all(shown[place] > other for k, other in enumerate(shown) if k != place)
        assert grid[layer, head] == pytest.approx(100 * hits / len(target))
    assert 0 < grid.mean() < 100
