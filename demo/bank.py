"""What the demo model is trained on: a bank of rendered scenes and the sets of images drawn from it."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from demo.processor import IMAGE_SIDE
from lad.demo.scenes import CATEGORIES, TRAINING_PAIRS, Scene, describe, draw_scene, neighbours, render

_BICUBIC: Final = 3
_PAIR_INDEX: Final = {pair: index for index, pair in enumerate(TRAINING_PAIRS)}
_NEAR: Final = tuple(
    np.array([_PAIR_INDEX[near] for near in neighbours(pair) if near in _PAIR_INDEX]) for pair in TRAINING_PAIRS
)
"""For every training pair, the training pairs that differ from it in one attribute."""


@dataclass(frozen=True)
class SceneBank:
    """Rendered scenes of the training pairs, `copies` of each.

    Attributes:
        scenes: scene p * copies + c is copy c of training pair p.
        pixels: [scenes, 56, 56, 3], 8-bit RGB, as the image processor would resize them.
        shown: [scenes, categories], 1 where the scene shows an object of that category.
        copies: scenes per pair.
    """

    scenes: list[Scene]
    pixels: np.ndarray
    shown: np.ndarray
    copies: int


def render_bank(copies: int, seed: int) -> SceneBank:
    """The bank that follows from the seed; no held-out pair is in it."""
    rng = np.random.default_rng([seed, 0])
    scenes = [draw_scene(pair, rng) for pair in TRAINING_PAIRS for _ in range(copies)]
    side = (IMAGE_SIDE, IMAGE_SIDE)
    pixels = np.stack([np.asarray(render(scene).resize(side, resample=_BICUBIC)) for scene in scenes])
    shown = np.zeros((len(scenes), len(CATEGORIES)), np.float32)
    for row, scene in enumerate(scenes):
        shown[row, np.array(scene.pair) - 1] = 1
    return SceneBank(scenes, pixels, shown, copies)


@dataclass(frozen=True)
class ImageSets:
    """S sets of n images, K of which are asked for in turn.

    Attributes:
        images: [S, n], scenes of the bank, all of different pairs within a set.
        targets: [S, K], positions (0-based) asked for.
        captions: S lists of K.
    """

    images: np.ndarray
    targets: np.ndarray
    captions: list[list[str]]


def draw_sets(bank: SceneBank, sets: int, n: int, asked: int, hard: float, rng: np.random.Generator) -> ImageSets:
    """Sets of images to be told apart.

    Args:
        bank: where the scenes come from.
        sets: S.
        n: images per set.
        asked: K, at most `n`.
        hard: share of sets with near neighbours: half of these hold only pairs one attribute from a central one,
            half mix such pairs with others. The remaining sets are random.
        rng: source of all choices.
    """
    images = np.stack([_draw_set(bank, n, hard, rng) for _ in range(sets)])
    targets = np.stack([rng.permutation(n)[:asked] for _ in range(sets)])
    captions = [
        [describe(bank.scenes[row[position]], rng) for position in wanted]
        for row, wanted in zip(images, targets, strict=True)
    ]
    return ImageSets(images, targets, captions)


def _draw_set(bank: SceneBank, n: int, hard: float, rng: np.random.Generator) -> np.ndarray:
    kind = rng.random()
    near_count = n if kind < hard / 2 else int(rng.integers(2, n + 1)) if kind < hard else 1
    centre = rng.integers(len(TRAINING_PAIRS))
    near = rng.permutation(_NEAR[centre])[: near_count - 1]
    others = rng.integers(len(TRAINING_PAIRS), size=4 * n)
    pairs = np.array(list(dict.fromkeys([centre, *near, *others]))[:n])
    images: np.ndarray = rng.permutation(pairs) * bank.copies + rng.integers(bank.copies, size=n)
    return images
