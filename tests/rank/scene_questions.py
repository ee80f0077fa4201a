"""Questions about rendered scenes whose answers are known."""

from pathlib import Path


def questions_of(scenes, first: int, count: int, n: int = 4) -> list[tuple[str, list[Path], int]]:
    """`count` questions about `n` neighbours each, from the scene `first` on; the target moves from place to place."""
    asked = []
    for at in range(count):
        start, target = first + at * n, at % n
        members = [scenes[place % len(scenes)] for place in range(start, start + n)]
        asked.append((members[target][0], [file for _, file in members], target + 1))
    return asked
