"""The read-out on its own: what it costs in memory, and what it refuses to read."""

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from benchmarks.counted import LiveBytes
from lad.extraction import readout

TOKENS, BATCH, IMAGES = 640, 2, 8
GEOMETRIES = {
    # Ratios of Qwen2.5-VL-3B: 8 query heads per key-value head, a wide MLP.
    "grouped heads": {
        "num_attention_heads": 8,
        "num_key_value_heads": 1,
        "hidden_size": 512,
        "intermediate_size": 2752,
    },
    # As many keys as queries and a narrow MLP, as of an expert: the attention, not the MLP, takes the most memory.
    "all heads": {"num_attention_heads": 4, "num_key_value_heads": 4, "hidden_size": 512, "intermediate_size": 256},
}


def language_model(geometry: str, dtype: torch.dtype, attention: str = "sdpa"):
    torch.manual_seed(0)
    config = Qwen2Config(vocab_size=100, num_hidden_layers=2, **GEOMETRIES[geometry])
    model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention)
    return model.eval().requires_grad_(False)


def forward(model, tokens, **options):
    return model(tokens, use_cache=True, logits_to_keep=1, **options)


def peak_bytes(model, tokens, **options) -> int:
    with LiveBytes(model) as memory:
        forward(model, tokens, **options)
    return memory.peak


@pytest.mark.parametrize("heads", [False, True], ids=["head mean", "every head"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@torch.inference_mode()
def test_the_read_out_takes_less_than_two_percent_of_a_forward_passs_memory(geometry, dtype, heads):
    model = language_model(geometry, dtype)
    tokens = torch.randint(0, 100, (BATCH, TOKENS))
    segments = torch.randint(0, 2 * IMAGES + 1, (BATCH, TOKENS))
    without = peak_bytes(model, tokens)
    readout.install(model)
    with LiveBytes(model) as memory, readout.reading(segments, 2 * IMAGES, heads=heads) as read:
        forward(model, tokens)
    assert read.attention().shape == (BATCH, 2, 2 * IMAGES)
    assert without > BATCH * TOKENS * GEOMETRIES[geometry]["intermediate_size"] * dtype.itemsize
    assert memory.peak <= 1.02 * without


@pytest.mark.parametrize("heads", [False, True], ids=["head mean", "every head"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@torch.inference_mode()
def test_other_rows_take_less_than_five_percent_of_a_forward_passs_memory(geometry, heads):
    model = language_model(geometry, torch.float32)
    tokens = torch.randint(0, 100, (BATCH, TOKENS))
    segments = torch.randint(0, 2 * IMAGES + 1, (BATCH, TOKENS))
    places = torch.arange(TOKENS - 50, TOKENS).expand(BATCH, -1)
    rows = readout.Rows(places, torch.rand(BATCH, 3, 50))
    without = peak_bytes(model, tokens)
    readout.install(model)
    with LiveBytes(model) as memory, readout.reading(segments, 2 * IMAGES, heads=heads, rows=rows) as read:
        forward(model, tokens)
    assert read.rows_attention().shape[-2:] == (3, 2 * IMAGES)
    assert read.token_sums.shape == (BATCH, 3, TOKENS)
    assert memory.peak <= 1.05 * without, memory.peak / without


@torch.inference_mode()
def test_the_measure_sees_the_matrices_of_eager_attention():
    """A test of the test above: T x T matrices of all heads and layers show."""
    tokens = torch.randint(0, 100, (BATCH, TOKENS))
    sdpa = language_model("grouped heads", torch.float32)
    eager = language_model("grouped heads", torch.float32, attention="eager")
    matrices = 2 * BATCH * 8 * TOKENS * TOKENS * 4
    assert peak_bytes(eager, tokens, output_attentions=True) > peak_bytes(sdpa, tokens) + 0.8 * matrices


@torch.inference_mode()
def test_repeated_keys_and_values_give_the_same_logits_and_attention(monkeypatch):
    """As where no kernel takes shared key-value heads; with a mask too, of which transformers repeats them itself."""
    model = language_model("grouped heads", torch.float32)
    readout.install(model)
    tokens, segments = torch.randint(0, 100, (BATCH, 40)), torch.arange(40).expand(BATCH, -1) % 3
    for mask in (None, torch.ones(BATCH, 1, 40, 40, dtype=torch.bool).tril()):
        read = {}
        for repeated in (False, True):
            monkeypatch.setattr(readout, "_no_kernel_takes_groups", lambda *_, repeated=repeated: repeated)
            with readout.reading(segments, 3) as attention:
                read[repeated] = forward(model, tokens, attention_mask=mask).logits, attention.attention()
        torch.testing.assert_close(read[True], read[False])


def test_on_a_cpu_shared_heads_are_left_shared():
    shared, own = torch.empty(1, 2, 3, 4), torch.empty(1, 4, 3, 4)
    assert not readout._no_kernel_takes_groups(own, shared)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@torch.inference_mode()
def test_on_a_gpu_shared_heads_take_no_matrices_in_float32():
    model, length = language_model("grouped heads", torch.float32).cuda(), 4096
    readout.install(model)
    tokens = torch.randint(0, 100, (1, length), device="cuda")
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    forward(model, tokens)
    assert torch.cuda.max_memory_allocated() - before < 8 * length * length * 4


@torch.inference_mode()
def test_heads_average_to_the_mean_and_all_segments_sum_to_one():
    model = language_model("grouped heads", torch.float32)
    readout.install(model)
    tokens, segments = torch.randint(0, 100, (BATCH, 40)), torch.arange(40).expand(BATCH, -1) % 3
    with readout.reading(segments, 3) as mean:
        model(tokens)
    with readout.reading(segments, 3, heads=True) as every:
        model(tokens)
    assert mean.attention().shape == (BATCH, 2, 3)
    assert every.head_attention().shape == (BATCH, 2, 8, 3)
    assert torch.allclose(every.attention(), mean.attention(), atol=1e-6)
    assert torch.allclose(every.head_attention().sum(-1), torch.ones(BATCH, 2, 8), atol=1e-5)
    with pytest.raises(RuntimeError, match="heads were not kept"):
        mean.head_attention()


@torch.inference_mode()
def test_in_bfloat16_the_row_is_as_exact_as_its_queries_and_keys():
    """The one row is computed in float32 from bfloat16 queries and keys: no score is rounded."""
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, heads, 50, 64, generator=generator).bfloat16() for heads in (4, 2))
    found = readout.Readout(torch.arange(50)[None], 50)
    found.record(0, query, key, None, 0.125)
    scores = query[:, :, -1:].double() @ key.double().repeat_interleave(2, 1).transpose(2, 3) * 0.125
    assert torch.allclose(found.attention()[:, 0], scores.softmax(-1).mean(1)[:, 0].float(), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32])
def test_masked_tokens_get_no_attention(dtype):
    query, key = torch.randn(2, 4, 6, 8), torch.randn(2, 2, 6, 8)
    visible = torch.tensor([1, 0, 1, 1, 0, 1], dtype=torch.bool).expand(2, 1, 6, 6)
    mask = visible if dtype == torch.bool else torch.zeros(2, 1, 6, 6).masked_fill(~visible, -torch.inf)
    found = readout.Readout(torch.arange(6).expand(2, -1), 6)
    found.record(0, query, key, mask, 1.0)
    assert found.attention()[:, 0, [1, 4]].eq(0).all()
    assert torch.allclose(found.attention().sum(-1), torch.ones(2, 1))


@pytest.mark.parametrize("name", ["sinks", "position_bias", "indices", "block_indices"])
def test_attention_that_adds_to_its_scores_is_refused(name):
    states = torch.randn(1, 2, 3, 4)
    with pytest.raises(ValueError, match="does not reproduce"):
        readout.attention_with_readout(torch.nn.Module(), states, states, states, None, **{name: 1.0})


def test_a_forward_pass_that_was_not_read_says_so():
    with (
        readout.reading(torch.zeros(1, 2, dtype=torch.int64), 1) as read,
        pytest.raises(RuntimeError, match="no layer"),
    ):
        read.attention()
