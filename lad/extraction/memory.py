"""How much fits at once, and what happens when it does not."""

import contextlib
import ctypes
import resource
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import torch

from lad.extraction.backbone import Backbone
from lad.extraction.main_memory import available_bytes
from lad.extraction.prompts import Generation

Item = TypeVar("Item")
Result = TypeVar("Result")

TOKENS_AT_ONCE: Final = {"cpu": 2_048, "cuda": 32_768}
"""Tokens of a batch beyond which more do not make the device faster (a CPU's caches overflow)."""
_SHARE_OF_FREE: Final = 0.5
_OUT_OF_MEMORY: Final = ("DefaultCPUAllocator", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""Parts of the messages of a lack of memory that has no class of its own: of torch's allocator on a CPU, and of what
CUDA and cuBLAS allocate beside torch's."""


_MALLOC: Final = {"M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, 2**31 - 1), "M_TOP_PAD": (-2, 64 * 2**20)}
"""glibc's numbers of these parameters (malloc.h), and what they are set to."""


def keep_what_is_freed() -> None:
    """Have this process keep the main memory that it frees, for its next allocation.

    Each operation of a forward pass on a CPU allocates its result, some megabytes. By default glibc gives such memory
    back to the system and asks for it again, and each page of it is then cleared anew: a fifth of the time of the
    demo's extraction. The numbers do not change. Another C library is left as it is.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in _MALLOC.values():
            mallopt(parameter, value)


def free_bytes(device: torch.device) -> int:
    """Memory that nobody needs: the device's, or the main memory that this process may have."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return available_bytes()


def peak_bytes(device: torch.device) -> int:
    """The device's peak allocation so far, or this process's peak resident size on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def token_budget(backbone: Backbone, generation: Generation | None = None, prompt_tokens: int = 1) -> int:
    """How many prompt tokens a batch may have: as many as make the device fast and fit into half of its free memory.

    A power of two, so that a few bytes more or less of free memory make no other batches.

    Args:
        generation: texts that are written behind every prompt; each has a copy of the prompt's cache in the end.
        prompt_tokens: length of the shortest prompt, behind which texts weigh most.
    """
    most = TOKENS_AT_ONCE.get(backbone.device.type, TOKENS_AT_ONCE["cpu"])
    each = _bytes_per_token(backbone)
    if generation is not None:
        written = generation.samples * (prompt_tokens + generation.new_tokens)
        each += -(-written * _cached_bytes_per_token(backbone) // prompt_tokens)
    fitting = max(1, min(most, int(_SHARE_OF_FREE * free_bytes(backbone.device)) // each))
    return 1 << (fitting.bit_length() - 1)


def _bytes_per_token(backbone: Backbone) -> int:
    """What one more token costs: the widest layer's activations, and keys and values of all layers."""
    text = backbone.model.config.get_text_config()
    activations = 8 * text.hidden_size + 3 * getattr(text, "intermediate_size", 4 * text.hidden_size)
    return int(backbone.model.dtype.itemsize * activations) + _cached_bytes_per_token(backbone)


def _cached_bytes_per_token(backbone: Backbone) -> int:
    """Keys and values of all layers; of layers that keep a state instead, more than that takes behind long prompts."""
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
    work: Callable[[Sequence[Item]], Result],
    items: Sequence[Item],
    make_room: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Sequence[Item], Result]]:
    """`work` on all items at once; where memory runs out, on each half of them, and so on.

    Args:
        make_room: called before a single item is refused: frees what can be spared and says whether that was anything,
            in which case the item is tried again.

    Raises:
        OutOfMemoryError: there is not enough memory for one item.
    """
    try:
        result = work(items)
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
    else:
        yield items, result
        return
    # Here and not above: the exception holds what the failed attempt had allocated.
    if len(items) == 1 and not make_room():
        raise OutOfMemoryError(reason, items[0])
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    middle = len(items) // 2
    for part in (items[:middle], items[middle:]):
        if part:
            yield from in_halves(work, part, make_room)


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(told in str(error) for told in _OUT_OF_MEMORY)
