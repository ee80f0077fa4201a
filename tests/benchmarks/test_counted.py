"""What the read-out adds, without a GPU: no wait for the device in any layer, few kernels, hardly any memory."""

import pytest
import torch

from benchmarks import counted, geometries
from benchmarks.counted import Operations
from lad.extraction import readout


@pytest.mark.parametrize(("heads", "groups"), [(8, 2), (4, 4)])
def test_reading_adds_five_operations_per_key_value_head_and_layer_and_no_wait(heads, groups):
    found = counted.added_operations((2, 4), heads, groups)
    assert found["read"]["waits per layer"] == found["plain"]["waits per layer"] == 0
    assert 0 < found["read"]["per layer"] - found["plain"]["per layer"] <= 5 * groups + 1


@pytest.mark.parametrize("mask", [None, torch.ones(2, 1, 6, 6, dtype=torch.bool).tril()], ids=["causal", "masked"])
def test_other_rows_and_masks_do_not_wait_either(mask):
    query, key = torch.randn(2, 4, 6, 8), torch.randn(2, 2, 6, 8)
    rows = readout.Rows(torch.tensor([[3, 4], [4, 5]]), torch.ones(2, 3, 2))
    found = readout.Readout(torch.arange(6).expand(2, -1), 6, heads=True, rows=rows)
    with Operations() as operations:
        found.record(0, query, key, mask, 1.0)
    assert operations.computing
    assert not operations.waiting


def test_the_count_sees_what_the_host_waits_for():
    """A test of the tests above."""
    numbers = torch.arange(4.0)
    waits = {
        "item": lambda: numbers.sum().item(),
        "nonzero": lambda: numbers.nonzero(),
        "mask": lambda: numbers[numbers > 1],
        "truth": lambda: bool((numbers > 1).all()),
    }
    for name, work in waits.items():
        with Operations() as operations:
            work()
        assert operations.waiting, name
    with Operations() as operations:
        numbers[torch.tensor([0, 1])].view(2, 1).transpose(0, 1)
    assert not operations.waiting


@pytest.mark.parametrize("name", geometries.REAL)
def test_in_the_published_geometries_reading_takes_two_percent_of_memory_at_most(name):
    """On the meta device, of one prompt of 12 images; shares of memory do not depend on the number of prompts."""
    plain, read = counted.added_bytes(name, 12, tokens=1)
    assert plain < read <= 1.02 * plain
