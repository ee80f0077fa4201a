"""Hybrid models: layers without softmax attention hold empty lists, and all others keep the model's own numbers.

The oracle is a model of two layers. The hybrid one has the same attention in its layers 1 and 3 of five.
"""

import json

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from cases import BY_SCORE
from signals_factory import content_free_signals, random_signals

from lad import contracts, parquet, query
from lad.calibration.calibrate import Calibration, CalibrationError, calibrate
from lad.calibration.observations import SignalsError, read_layers
from lad.methods import METHODS, ScoringError, score
from lad.report.artifacts.fig_heads import HEADS_SQL, _grid
from lad.report.artifacts.fig_layers import LAYERS_SQL

READ = (1, 3)
LAYERS = 5


def hybrid(table: pa.Table, places=READ) -> pa.Table:
    """The signals of two layers as those of a model that has them at these places."""
    for name in contracts.BY_LAYER:
        if name in table.column_names:
            spread = parquet.with_empty_lists(table[name].combine_chunks(), places, LAYERS)
            table = table.set_column(table.column_names.index(name), table.schema.field(name), spread)
    return parquet.conform(table, contracts.SIGNALS, "hybrid")


def renumbered(table: pa.Table) -> list[dict]:
    """The rows, their layers as the hybrid model numbers them."""
    rows = table.to_pylist()
    for row in rows:
        row |= {"layer": READ[row["layer"]]} if "layer" in row else {}
        row |= {"layers": [READ[layer] for layer in row["layers"]]} if "layers" in row else {}
    return rows


def signals(split: str = "calibration", **options) -> pa.Table:
    return random_signals(3, layers=2, heads=5, rows=True, null=True, split=split, **options)


@pytest.fixture(scope="module")
def fitted() -> tuple[Calibration, Calibration]:
    return calibrate(signals()), calibrate(hybrid(signals()))


def test_the_signals_say_which_layers_were_read():
    assert read_layers(signals()) == (0, 1)
    assert read_layers(hybrid(signals())) == READ


def test_a_file_keeps_the_empty_lists(tmp_path):
    table = hybrid(signals())
    parquet.write(table, tmp_path / "signals.parquet", contracts.SIGNALS)
    assert parquet.read(tmp_path / "signals.parquet", contracts.SIGNALS).equals(table)
    lengths = f"select distinct len(head_attention[1]), len(head_attention[2]) from '{tmp_path}/signals.parquet'"
    assert duckdb.sql(lengths).fetchall() == [(0, 5)]


@pytest.mark.parametrize("name", ["position_bias", "attention_prior", "position_prior", "attention_skill", "fusion"])
def test_the_calibration_has_the_models_own_layers(fitted, name):
    dense, of_hybrid = (getattr(one, name) for one in fitted)
    assert json.dumps(of_hybrid.to_pylist()) == json.dumps(renumbered(dense))
    assert fitted[1].layers == READ
    assert fitted[1].model_layers == LAYERS


@pytest.mark.parametrize("method", [*BY_SCORE, "agd;layers=all", "agd;row=query;layers_by=found;k=1", "icr;filter=yes"])
def test_every_method_answers_as_for_a_model_of_the_read_layers_alone(fitted, method):
    symmetrized = METHODS[method.split(";")[0]].split == "symmetrized"
    table = signals("symmetrized") if symmetrized else signals("evaluation", rounds=3)
    blank = content_free_signals(4, layers=2)
    expected = score(table, fitted[0], method, content_free=blank)
    assert score(hybrid(table), fitted[1], method, content_free=hybrid(blank)).equals(expected)


@pytest.mark.parametrize(("layers", "of_two"), [("3-4", "1-1"), ("0-2", "0-0"), ("1-3", "0-1")])
@pytest.mark.parametrize("method", ["agd", "attention_readout"])
def test_the_option_layers_takes_the_models_own_numbers(fitted, method, layers, of_two):
    table = signals("evaluation", rounds=3)
    expected = score(table, fitted[0], f"{method};k=1;layers={of_two}")
    found = score(hybrid(table), fitted[1], f"{method};k=1;layers={layers}")
    assert found["scores"].equals(expected["scores"])
    with pytest.raises(ScoringError, match=r"k = 1 layers cannot be chosen from 0: .* cover layers 1, 3, the option"):
        score(hybrid(table), fitted[1], f"{method};k=1;layers=2-2")


def test_a_calibration_of_some_layers_covers_those_of_them_that_were_read():
    assert calibrate(hybrid(signals()), layers=(2, 9)).layers == (3,)
    with pytest.raises(CalibrationError, match="layers = 2-2: the signals have attention of the layers 1, 3"):
        calibrate(hybrid(signals()), layers=(2, 2))
    partly, of_two = calibrate(hybrid(signals()), layers=(2, 4)), calibrate(signals(), layers=(1, 1))
    table = signals("evaluation", rounds=3)
    expected = score(table, of_two, "fusion;evidence=heads")
    assert score(hybrid(table), partly, "fusion;evidence=heads").equals(expected)


def test_signals_whose_rows_differ_in_the_layers_that_were_read_are_refused():
    mixed = pa.concat_tables([hybrid(signals()), hybrid(signals("evaluation"), (0, 3))])
    with pytest.raises(SignalsError, match="the attention of layer 0 in some rows only; give one model at a time"):
        read_layers(mixed)


def test_a_calibration_of_other_layers_is_refused(fitted):
    with pytest.raises(ScoringError, match="covers the layers 1, of which the signals have no attention"):
        score(hybrid(signals("evaluation", rounds=3), (0, 3)), fitted[1], "agd")


def test_content_free_signals_of_other_layers_are_refused():
    blank = hybrid(content_free_signals(4, layers=2), (0, 3))
    with pytest.raises(ScoringError, match="content-free signals have attention of the layers 0, 3, the signals to be"):
        score(hybrid(signals("evaluation", rounds=3)), None, "attention_less_content_free", content_free=blank)


def test_the_figure_of_layers_has_the_models_own_numbers(fitted):
    def drawn(table: pa.Table, calibration: Calibration) -> pa.Table:
        tables = {"signals": table, "attention_prior": calibration.attention_prior}
        of_setting = {
            name: one.append_column("setting", pa.repeat(pa.scalar("random"), len(one))) for name, one in tables.items()
        }
        return query.run(LAYERS_SQL, of_setting, {"top_k": 1})

    table = signals("evaluation", rounds=3)
    found = drawn(hybrid(table), fitted[1])
    assert set(found["layer"].to_pylist()) == set(READ)
    assert found.to_pylist() == renumbered(drawn(table, fitted[0]))


def test_the_figure_of_heads_leaves_layers_without_attention_blank():
    table = signals("evaluation", rounds=3)
    found, expected = query.run(HEADS_SQL, {"signals": hybrid(table)}), query.run(HEADS_SQL, {"signals": table})
    assert found.to_pylist() == renumbered(expected)
    grid = _grid([entry for entry in found.to_pylist() if entry["row"] == "last"])
    assert np.isnan(grid).all(axis=1).tolist() == [True, False, True, False]


def test_a_list_that_is_neither_whole_nor_empty_is_refused():
    table = hybrid(signals())
    values = table["candidate_attention"].to_pylist()
    values[2][0] = [0.5]
    at = table.column_names.index("candidate_attention")
    broken = table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))
    with pytest.raises(parquet.TableError, match="candidate_attention has 1 values in row 2"):
        parquet.conform(broken, contracts.SIGNALS, "here")
