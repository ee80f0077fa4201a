"""The benchmark of extraction measures what it says: slower ways to the same numbers."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from benchmarks import extraction, geometries
from lad.demo.scenes import write_dataset

SLOWER = (
    "straightforward",
    "ours, one presentation per batch",
    "ours, features not kept",
    "ours, nothing overlaps",
)


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    torch.set_num_threads(1)
    scenes = tmp_path_factory.mktemp("benchmark") / "scenes"
    write_dataset(scenes, images=30, seed=1)
    return extraction.Setup("demo", "cpu", "float32", threads=1, questions=3, slow=4, scenes=scenes)


@pytest.fixture(scope="module")
def backbone(setup):
    return setup.backbone()


@pytest.fixture(scope="module")
def signals(setup, backbone, tmp_path_factory):
    """Signals of N = 10 as a variant writes them, as arrays by column."""
    folder = tmp_path_factory.mktemp("signals")

    def written(variant: str) -> dict[str, np.ndarray]:
        questions, presentations = extraction.work_of(setup, 10)[1]
        out = folder / f"{variant}.parquet"
        extraction.VARIANTS[variant](
            backbone,
            out,
            images=extraction.scenes_table(setup.scenes),
            image_folder=setup.scenes / "images",
            questions=questions,
            presentations=presentations.slice(0, setup.slow),
        )
        table = pq.ParquetFile(out).read()
        columns = ("identifier_logits", "candidate_logprobs", "candidate_attention")
        return {name: np.array(table[name].to_pylist()) for name in columns}

    return written


@pytest.mark.parametrize("variant", SLOWER)
def test_what_is_slower_gives_the_same_numbers(signals, variant):
    ours, slower = signals("ours"), signals(variant)
    for name, values in ours.items():
        np.testing.assert_allclose(slower[name], values, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("variant", ["ours, eager attention", "ours, full pass per prefix"])
def test_variants_that_read_otherwise_see_the_same_attention(signals, variant):
    np.testing.assert_allclose(
        signals(variant)["candidate_attention"], signals("ours")["candidate_attention"], atol=1e-5
    )


def test_every_variant_is_measured(setup, backbone):
    measured = [extraction.measure(setup, variant, 4, backbone) for variant in extraction.VARIANTS]
    assert all(one.rate > 0 and one.peak_memory > 0 for one in measured)
    assert [one.presentations for one in measured if one.variant == "ours"] == [3 * 5 + 5 * 4]
    table = extraction._table({"model": "demo", "dtype": "float32", "device": "d", "torch": "t"}, measured)
    assert table.count("\n| ") == len(extraction.VARIANTS) + 1


@pytest.mark.parametrize("name", geometries.REAL)
def test_a_real_geometry_has_the_parameters_it_is_named_for(name):
    """Without weights: what the published model cards say, in billions, language and vision."""
    published = {"llava-onevision-1.5-8b": 8.53, "qwen2.5-vl-3b": 3.75, "internvl3-8b": 7.94}
    model = geometries.load(name, device="meta", dtype="bfloat16").model
    assert sum(weights.numel() for weights in model.parameters()) / 1e9 == pytest.approx(published[name], rel=0.02)
