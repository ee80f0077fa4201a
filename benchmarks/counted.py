"""What the read-out adds to a forward pass, counted without a GPU: bytes, kernels, waits.

    python -m benchmarks.counted

- Bytes: the published geometries run on torch's meta device, which has shapes and no numbers. Counted are the tensors
  alive at once, as a GPU's allocator would hold them. SDPA is replaced by what its flash kernel allocates, its output
  and a float32 per query and head; on the meta device torch would form T x T matrices, which no GPU does.
- Kernels: the operations that torch's own layer calls, of a small model on the CPU. Each is one launch on a GPU, or
  none where it only makes a view; views are left out.
- Waits: operations that a GPU's host has to wait for, such as `.item()` and `nonzero`.
"""

# mypy: disallow-subclassing-any=False, disallow-untyped-calls=False

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Final
from unittest import mock

import torch
import typer
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks import geometries
from lad.extraction import readout

WAITS: Final = frozenset(
    {
        *("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::is_nonzero", "aten::equal"),
        *("aten::_unique2", "aten::unique_dim", "aten::unique_consecutive", "aten::repeat_interleave.Tensor"),
    }
)
"""Operations whose result the host needs. A copy from the device to the host is one as well."""
TOKENS: Final = 32_768


class LiveBytes(TorchDispatchMode):
    """Counts, after every operation, the bytes of all tensors that the operations so far made and nobody freed."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.weights = {weight.untyped_storage()._cdata for weight in model.parameters()}
        self.live: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves(output):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.weights:
                    self.live[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        self.live = {key: (made, size) for key, (made, size) in self.live.items() if not made.expired()}
        self.peak = max(self.peak, sum(size for _, size in self.live.values()))
        return output


class Operations(TorchDispatchMode):
    """Counts operations by name: those that compute, and those that make the host wait."""

    def __init__(self) -> None:
        super().__init__()
        self.computing: Counter[str] = Counter()
        self.waiting: Counter[str] = Counter()

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = operation.name()
        if name in WAITS or name.partition(".")[0] in WAITS or _takes_a_mask(operation, args):
            self.waiting[name] += 1
        elif not operation.is_view:
            self.computing[name] += 1
        return operation(*args, **(kwargs or {}))


def _takes_a_mask(operation: Any, args: Any) -> bool:
    """Whether tensors are indexed by a boolean mask, for which the host has to know how many it chooses."""
    if operation.name().partition(".")[0] not in ("aten::index", "aten::index_put", "aten::index_put_"):
        return False
    return any(isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) for index in args[1])


def added_operations(layers: tuple[int, int], heads: int, groups: int) -> dict[str, dict[str, Any]]:
    """By kind of pass (plain, read) the operations per layer and the waits, from models of two depths.

    Args:
        layers: the two depths; what does not grow with depth falls out of the difference.
        heads, groups: query heads and key-value heads.
    """
    counted: dict[str, dict[str, Any]] = {}
    for name, reads in (("plain", False), ("read", True)):
        found = []
        for depth in layers:
            model = _small_model(depth, heads, groups)
            with torch.inference_mode(), Operations() as operations:
                _forward(model, torch.zeros(2, 40, dtype=torch.int64), reads)
            found.append(operations)
        depths = layers[1] - layers[0]
        counted[name] = {
            "per layer": (found[1].computing.total() - found[0].computing.total()) / depths,
            "waits per layer": (found[1].waiting.total() - found[0].waiting.total()) / depths,
            "besides": found[0].computing.total()
            - layers[0] * (found[1].computing.total() - found[0].computing.total()) / depths,
        }
    return counted


def _small_model(layers: int, heads: int, groups: int) -> Any:
    from transformers import AutoModelForCausalLM, Qwen2Config

    config = Qwen2Config(
        vocab_size=100,
        hidden_size=8 * heads,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
    )
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval().requires_grad_(False)
    readout.install(model)
    return model


def _forward(model: Any, tokens: Tensor, reads: bool, segments: int = 16) -> None:
    with _as_asked(tokens, reads, segments) as reading:
        model(tokens, use_cache=False, logits_to_keep=1)
    if reading is not None:
        reading.attention()


@contextlib.contextmanager
def _as_asked(tokens: Tensor, reads: bool, segments: int) -> Iterator[readout.Readout | None]:
    if not reads:
        yield None
        return
    with readout.reading(torch.zeros_like(tokens), segments) as reading:
        yield reading


def added_bytes(name: str, n: int, tokens: int = TOKENS) -> tuple[int, int]:
    """The peak of live bytes of a plain prefill and of one that is read, besides weights.

    Args:
        name: one of `geometries.REAL`.
        n: candidates of each prompt; 144 tokens each and 60 more, as with the paper's images.
        tokens: of the batch, about.
    """
    backbone = geometries.load(name, device="meta", dtype="bfloat16")
    length = 144 * n + 60
    ids = torch.zeros(max(1, tokens // length), length, dtype=torch.int64, device="meta")
    # The language half alone: features of images take the places of embeddings, of the same size.
    half = _language_half(backbone.model)
    embedded = torch.empty(*ids.shape, half.config.hidden_size, dtype=torch.bfloat16, device="meta")
    peaks = []
    for reads in (False, True):
        with (
            torch.inference_mode(),
            mock.patch.object(torch.nn.functional, "scaled_dot_product_attention", _flash),
            LiveBytes(backbone.model) as live,
            _as_asked(ids, reads, 2 * n) as reading,
        ):
            # A mask that says none: to find out that none is needed, transformers looks at numbers.
            half(inputs_embeds=embedded, attention_mask={"full_attention": None}, use_cache=False)
            if reading is not None:
                reading.attention()
        peaks.append(live.peak)
    return peaks[0], peaks[1]


def _language_half(model: Any) -> Any:
    return getattr(model.base_model, "language_model", model.base_model)


def _flash(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
    """As much as the flash kernel allocates."""
    _logsumexp = query.new_empty(query.shape[:3], dtype=torch.float32)
    return torch.empty_like(query)


def main(
    n: Annotated[list[int], typer.Option(help="Candidates per question.")] = [4, 8, 12],  # noqa: B006
) -> None:
    """Print what is counted, as two Markdown tables."""
    print("| heads, key-value heads | operations per layer | read | waits per layer | read |\n|---|---|---|---|---|")
    for heads, groups in ((16, 2), (28, 4), (32, 8)):
        counted = added_operations((2, 4), heads, groups)
        cells = [f"{counted[way][what]:.0f}" for what in ("per layer", "waits per layer") for way in ("plain", "read")]
        print(f"| {heads}, {groups} | " + " | ".join(cells) + " |", flush=True)
    print(
        "\n| | " + " | ".join(f"N = {size}: GB | read | ratio" for size in n) + " |\n|---" + "|---" * 3 * len(n) + "|"
    )
    for name in geometries.REAL:
        cells = []
        for size in n:
            plain, read = added_bytes(name, size)
            cells += [f"{plain / 1e9:.3f}", f"{read / 1e9:.3f}", f"{read / plain:.4f}"]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    typer.run(main)
