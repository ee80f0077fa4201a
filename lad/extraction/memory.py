"""How much fits at once, and what happens when it does not."""

import os
import resource
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import torch

from lad.extraction.backbone import Backbone
from lad.extraction.prompts import Generation

Item = TypeVar("Item")
Result = TypeVar("Result")

TOKENS_AT_ONCE: Final = {"cpu": 2_048, "cuda": 32_768}
"""Tokens of a batch beyond which more do not make the device faster (a CPU's caches overflow)."""
_SHARE_OF_FREE: Final = 0.5


def free_bytes(device: torch.device) -> int:
    """Memory that nobody uses: the device's, or the machine's."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def peak_bytes(device: torch.device) -> int:
    """The device's peak allocation so far, or this process's peak resident size on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def token_budget(backbone: Backbone, generation: Generation | None = None, prompt_tokens: int = 1) -> int:
    """How many prompt tokens a batch may have: as many as make the device fast and fit into half of its free memory.

    Args:
        generation: texts that are written behind every prompt; each has a copy of the prompt's cache in the end.
        prompt_tokens: length of the shortest prompt, behind which texts weigh most.
    """
    most = TOKENS_AT_ONCE.get(backbone.device.type, TOKENS_AT_ONCE["cpu"])
    each = _bytes_per_token(backbone)
    if generation is not None:
        written = generation.samples * (prompt_tokens + generation.new_tokens)
        each += -(-written * _cached_bytes_per_token(backbone) // prompt_tokens)
    return max(1, min(most, int(_SHARE_OF_FREE * free_bytes(backbone.device)) // each))


def _bytes_per_token(backbone: Backbone) -> int:
    """What one more token costs: the widest layer's activations, and keys and values of all layers."""
    text = backbone.model.config.get_text_config()
    activations = 8 * text.hidden_size + 3 * getattr(text, "intermediate_size", 4 * text.hidden_size)
    return int(backbone.model.dtype.itemsize * activations) + _cached_bytes_per_token(backbone)


def _cached_bytes_per_token(backbone: Backbone) -> int:
    """Keys and values of all layers."""
    text = backbone.model.config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    head_width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return int(backbone.model.dtype.itemsize * 2 * heads * head_width * text.num_hidden_layers)


class OutOfMemoryError(MemoryError):
    """Memory does not suffice for a single item."""

    def __init__(self, reason: str, item: Any) -> None:
        super().__init__(reason)
        self.item = item


def in_halves(
    work: Callable[[Sequence[Item]], Result], items: Sequence[Item]
) -> Iterator[tuple[Sequence[Item], Result]]:
    """`work` on all items at once; where memory runs out, on each half of them, and so on.

    Raises:
        OutOfMemoryError: there is not enough memory for one item.
    """
    try:
        result = work(items)
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        if len(items) == 1:
            raise OutOfMemoryError(str(error).splitlines()[0], items[0]) from None
    else:
        yield items, result
        return
    # Here and not above: the exception holds what the failed attempt had allocated.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    middle = len(items) // 2
    yield from in_halves(work, items[:middle])
    yield from in_halves(work, items[middle:])


def _is_out_of_memory(error: BaseException) -> bool:
    # torch.OutOfMemoryError is a RuntimeError; the CPU's allocator raises a plain one.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in str(error)
