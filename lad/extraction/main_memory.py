"""How much main memory this process can have: of the machine, and of the control groups that hold it.

Schedulers (Slurm's `mem_mb`) and containers limit memory by control groups, of which the machine's own figures know
nothing: a process that takes more than its group may is killed.
"""

from collections.abc import Iterator
from pathlib import Path


def available_bytes(root: Path = Path("/")) -> int:
    """Main memory that can be had without swapping: what is free, and what only caches files.

    Args:
        root: of the file system.
    """
    machine = 1024 * _figures(root / "proc/meminfo")["MemAvailable"]
    return max(0, min([machine, *_left_to_groups(root)]))


def _left_to_groups(root: Path) -> Iterator[int]:
    """What the memory limit of each control group around this process leaves, for those that have one."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            base, limit, used, prefix = root / "sys/fs/cgroup", "memory.max", "memory.current", ""
        elif "memory" in controllers.split(","):  # version 1
            base, limit, used = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            prefix = "total_"
        else:
            continue
        names = path.strip("/").split("/")
        # A limit may lie at any height. In a container the path can be that outside, and only the root is there.
        for folder in (base.joinpath(*names[:depth]) for depth in range(len(names) + 1)):
            most, taken = _text(folder / limit).strip(), _text(folder / used).strip()
            if most.isdecimal() and taken.isdecimal():
                figures = _figures(folder / "memory.stat")
                cached = sum(figures.get(f"{prefix}{name}", 0) for name in ("active_file", "inactive_file"))
                yield int(most) - int(taken) + cached


def _figures(file: Path) -> dict[str, int]:
    """The first number of each line by the line's first word."""
    lines = (line.replace(":", " ").split() for line in _text(file).splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdecimal()}


def _text(file: Path) -> str:
    """What the file says; nothing if it cannot be read."""
    try:
        return file.read_text()
    except OSError:
        return ""
