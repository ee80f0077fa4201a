"""What the code for CUDA decides, tried without a GPU: torch.cuda answers as a machine with GPUs would.

Nothing is computed here; that kernels give the same numbers is for `make gpu`. Tried elsewhere: messages of a lack of
memory (test_resume), features that move from the device to main memory (test_features), waiting for a GPU that others
have (test_devices).
"""

from types import SimpleNamespace

import pytest
import torch

from lad.extraction import devices, extract, memory, readout
from lad.extraction.backbone import forbid_tf32
from lad.extraction.devices import DeviceError, taken

CUDA = torch.device("cuda")


@pytest.fixture
def gpus(monkeypatch, tmp_path):
    """A machine of two GPUs; the list says which of them was chosen."""
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=f"uuid-{index}"))
    monkeypatch.setattr(devices, "lock_folder", lambda: tmp_path / "locks")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return chosen


def test_each_process_takes_a_gpu_of_its_own_and_torch_is_told_which(gpus):
    with taken("cuda") as first, taken("cuda") as second:
        assert (first, second) == ("cuda:0", "cuda:1")
        assert gpus == [0, 1]
        # Named ones are used all the same.
        with taken("cuda:0") as named:
            assert (named, gpus) == ("cuda:0", [0, 1, 0])


def test_a_named_gpu_is_left_alone_by_others(gpus):
    with taken("cuda:0"), taken("cuda") as other:
        assert other == "cuda:1"


def test_a_gpu_that_is_not_there_is_refused_with_those_that_are(gpus):
    with pytest.raises(DeviceError, match=r"'cuda:2': there is no such GPU; this process sees cuda:0, cuda:1"):
        taken("cuda:2").__enter__()


def test_parts_of_one_gpu_are_told_apart(gpus, monkeypatch, tmp_path):
    """Both have the identity of the whole; the scheduler's name for them has none of that."""
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid="uuid-of-the-whole"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-GPU-a/1/0, MIG-b")
    with taken("cuda") as first, taken("cuda") as second:
        assert (first, second) == ("cuda:0", "cuda:1")
    assert {file.name for file in (tmp_path / "locks").iterdir()} == {"MIG-GPU-a-1-0.lock", "MIG-b.lock"}


def backbone_of_8b(free: int, monkeypatch):
    """What the budget looks at: sizes of Qwen3-8B in bfloat16, on a card with so much free memory."""
    text = SimpleNamespace(
        hidden_size=4096, intermediate_size=12_288, num_attention_heads=32, num_key_value_heads=8, num_hidden_layers=36
    )
    model = SimpleNamespace(dtype=torch.bfloat16, config=SimpleNamespace(get_text_config=lambda: text))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80 * 10**9))
    return SimpleNamespace(device=CUDA, model=model)


@pytest.mark.parametrize(("free", "tokens"), [(60 * 10**9, 32_768), (6 * 10**9, 8_192), (10**5, 1)])
def test_batches_are_as_large_as_half_of_the_cards_free_memory_or_as_makes_it_fast(free, tokens, monkeypatch):
    assert memory.token_budget(backbone_of_8b(free, monkeypatch)) == tokens


def test_memory_is_the_cards_not_the_processs(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (123, 456))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 789)
    assert (memory.free_bytes(CUDA), memory.peak_bytes(CUDA)) == (123, 789)


def test_what_the_allocator_holds_is_given_back_before_halves_are_tried(monkeypatch):
    """Else its cache is in the way of what CUDA allocates beside it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    emptied: list[bool] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))

    def work(items):
        if len(items) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return len(emptied)

    assert [found for _, found in memory.in_halves(work, [1, 2])] == [1, 1]


def states(dtype=torch.bfloat16, *, heads=8, groups=2, fed=5):
    """(query, key) as the read-out sees them on a GPU."""
    query, key = (
        SimpleNamespace(shape=(1, n, fed, 4), is_cuda=True, dtype=dtype, device=CUDA) for n in (heads, groups)
    )
    return query, key


@pytest.mark.parametrize(
    ("query_and_key", "capability", "repeated"),
    [
        pytest.param(states(), (9, 0), False, id="flash takes shared heads"),
        pytest.param(states(torch.float32), (9, 0), True, id="not in float32"),
        pytest.param(states(), (7, 5), True, id="nor before Ampere"),
        pytest.param(states(torch.float32, groups=8), (9, 0), False, id="own heads need nothing"),
        pytest.param(states(torch.float32, fed=1), (9, 0), False, id="one row is no matrix"),
    ],
)
def test_keys_and_values_are_repeated_where_no_kernel_takes_shared_heads(
    query_and_key, capability, repeated, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert readout._no_kernel_takes_groups(*query_and_key) == repeated


def test_the_signals_name_the_card(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200")
    assert extract._device_name(CUDA) == "NVIDIA H200"


def test_float32_is_float32_there():
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    forbid_tf32()
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
