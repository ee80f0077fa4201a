"""A cell that is answered part after part: the answers are those to the whole, to the last bit."""

import pyarrow as pa
import pytest
from cases import calibrated, evaluation_signals
from hypothesis import given, settings
from hypothesis import strategies as st
from signals_factory import content_free_signals, random_signals

from lad import contracts, parquet
from lad.calibration.observations import SignalsError
from lad.methods import METHODS, score
from lad.methods.cell import score_cell

N = 4
IDENTIFIERS = ["1", "2", "3", "4"]
TEXTS = [f"The answer is {1 + at % 5}" for at in range(24)]


@pytest.fixture(scope="module")
def given_to_all(tmp_path_factory):
    """What every method needs, as tables and as files: signals of two splits, blank ones and generated texts."""
    folder = tmp_path_factory.mktemp("cell")
    tables = {
        "evaluation": evaluation_signals(0, N, questions=8, texts=TEXTS),
        "symmetrized": random_signals(2000, N, questions=4, split="symmetrized"),
        "content_free": content_free_signals(N),
    }
    ids = tables["evaluation"]["presentation_id"].to_pylist()
    rows = [
        {"presentation_id": id_, "sample": sample, "text": f"Index {1 + (at * 7 + sample) % 4}", "tokens": 3}
        for at, id_ in enumerate(ids)
        for sample in range(3)
    ]
    generations = parquet.from_rows(({**row, "finished": True} for row in rows), contracts.GENERATIONS)
    files = {}
    for name, table in tables.items():
        files[name] = folder / name
        parquet.write(table, files[name], contracts.SIGNALS, {"identifiers": IDENTIFIERS})
    parquet.write(generations, folder / "generations", contracts.GENERATIONS)
    return tables, files, generations, folder / "generations"


SPECIFICATIONS = [
    *METHODS,
    *("batch_calibration;correction=ratio", "permutation_average;orders=evaluated", "majority_vote;passes=2"),
    *("agd;layers=all;row=query", "agd;formulation=released;k=3", "attention_readout;layers=all"),
    *("retrieval_heads;against=null;row=query", "icr;filter=yes", "fusion;evidence=null"),
    *("gold_panning;passes=2", "permutation_average;orders=evaluated;passes=2", "self_consistency;failed=first"),
]


@settings(max_examples=2, deadline=None)
@given(rows=st.integers(7, 20))
def test_every_method_answers_a_cell_in_parts_as_it_answers_the_whole(given_to_all, tmp_path_factory, rows):
    tables, files, generations, texts = given_to_all
    out = tmp_path_factory.mktemp("out") / "predictions.parquet"
    fitted = calibrated(0, N)
    score_cell(list(files.values()), fitted, SPECIFICATIONS, out=out, generations=[texts], rows=rows)
    answers = parquet.read(out, contracts.PREDICTIONS)
    start = 0
    for specification in SPECIFICATIONS:
        split = "symmetrized" if specification == "permutation_average" else "evaluation"
        alone = score(
            parquet.read(files[split], contracts.SIGNALS),
            fitted,
            specification,
            identifiers=IDENTIFIERS,
            content_free=tables["content_free"],
            generations=generations,
        )
        assert answers.slice(start, len(alone)).equals(alone), specification
        start += len(alone)
    assert start == len(answers)
    assert set(parquet.read_metadata(out)["seconds"]) == set(SPECIFICATIONS)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_questions_in_any_order_are_answered_in_that_of_their_ids(tmp_path):
    table = evaluation_signals(0, N, questions=20)
    shuffled = table.take(pa.array([(at * 37) % len(table) for at in range(len(table))]))
    parquet.write(shuffled, tmp_path / "signals", contracts.SIGNALS)
    score_cell([tmp_path / "signals"], calibrated(0, N), ["agd", "majority_vote"], out=tmp_path / "out", rows=7)
    in_file = parquet.read(tmp_path / "signals", contracts.SIGNALS)
    whole = pa.concat_tables([score(in_file, calibrated(0, N), method) for method in ("agd", "majority_vote")])
    assert parquet.read(tmp_path / "out", contracts.PREDICTIONS).equals(whole)


def test_parts_of_several_models_or_of_several_n_are_refused(tmp_path):
    signals = [random_signals(0, 2, layers=5), random_signals(0, 2, layers=4, split="evaluation")]
    mixed = pa.concat_tables([*signals]).drop_columns("split")
    mixed = mixed.append_column("split", pa.repeat("evaluation", len(mixed)))
    parquet.write(mixed, tmp_path / "models", contracts.SIGNALS)
    with pytest.raises(SignalsError, match="the signals mix 4 and 5 layers; give one model at a time"):
        score_cell([tmp_path / "models"], None, ["vanilla"], out=tmp_path / "out", rows=4)
    sizes = pa.concat_tables([random_signals(0, n, split=f"n{n}").drop_columns("split") for n in (2, 3)])
    sizes = sizes.append_column("split", pa.repeat("evaluation", len(sizes)))
    parquet.write(sizes, tmp_path / "sizes", contracts.SIGNALS)
    with pytest.raises(SignalsError, match="the signals mix N = 2 and 3 candidates; give one N at a time"):
        score_cell([tmp_path / "sizes"], None, ["vanilla"], out=tmp_path / "out", rows=4)
    assert not (tmp_path / "out").exists()
