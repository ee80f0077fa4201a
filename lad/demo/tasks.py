"""Tasks of choosing among rendered scenes, written in MMIU's own format: the demo's stand-in for MMIU.

The tasks are the demo's own and so are their names; they have nothing to do with MMIU's but the format, down to the
ways in which options name images. The demo model knows captions only, so a question is a caption and the tasks differ
in the candidates. As in MMIU, some questions are not about which image: a reader has to refuse them.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Final

import numpy as np

from lad import whole
from lad.demo.scenes import (
    CATEGORIES,
    HELD_OUT_PAIRS,
    SIZE,
    DatasetError,
    Pair,
    Scene,
    describe,
    draw_scene,
    neighbours,
    render,
)
from lad.seeded import number

_OTHER_EVERY: Final = 10
"""A task with questions of another kind has one after every so many of its own."""

_ORDINALS: Final = ("first", "second", "third", "fourth")


def _any(_target: Pair) -> Sequence[Pair]:
    return HELD_OUT_PAIRS


def _near(target: Pair) -> Sequence[Pair]:
    """The held-out pairs that differ from the target in one colour or one shape."""
    return sorted(set(neighbours(target)) & set(HELD_OUT_PAIRS))


@dataclass(frozen=True)
class Task:
    """One task: how many images a question has, which others stand beside the target and how options name them."""

    n: int
    others: Callable[[Pair], Sequence[Pair]]
    option: str
    other_kind: bool = False


TASKS: Final = {
    "scene_retrieval": Task(4, _any, "the {ordinal} image"),
    "scene_attributes": Task(4, _near, "Image {number}"),
    "scene_pairs": Task(2, _near, "The {ordinal} picture", other_kind=True),
}
"""Retrieval: other objects beside the target. Attributes: scenes that differ from it in one colour or shape. Pairs: one
such scene beside it, and questions about both images in between."""


def write_tasks(folder: Path, questions: int, seed: int, size: int = SIZE) -> None:
    """Render every task as an MMIU-format folder: `annotations.json` and `images/<task>/*.png`.

    The scenes are held-out ones, as in `scenes`. The folder appears whole or not at all.

    Args:
        folder: where to write; new or empty.
        questions: questions per task that choose among images.
        seed: everything random follows from it; question k is the same however many there are.
        size: side of the images in pixels.

    Raises:
        DatasetError: fewer than one question, or a folder that holds files.
    """
    if questions < 1:
        raise DatasetError(f"questions = {questions}: must be at least 1")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"{folder}: exists and is not empty; name a new or empty folder")
    with whole.folder(folder) as partial:
        entries = [entry for name in TASKS for entry in _write_task(name, partial / "images", questions, seed, size)]
        (partial / "annotations.json").write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def _write_task(name: str, images: Path, questions: int, seed: int, size: int) -> list[dict[str, Any]]:
    """The task's entries; their pictures are written below `images`."""
    (images / name).mkdir(parents=True)
    entries: list[dict[str, Any]] = []
    for index in range(questions):
        rng = np.random.default_rng([seed, number(name) % 2**32, index])
        entries.append(_choice(name, len(entries), images, size, rng))
        if TASKS[name].other_kind and index % _OTHER_EVERY == _OTHER_EVERY - 1:
            entries.append(_judgement(name, len(entries), images, size, rng))
    return entries


def _choice(name: str, number: int, images: Path, size: int, rng: np.random.Generator) -> dict[str, Any]:
    """Which image fits the caption: one of them has its objects."""
    task = TASKS[name]
    pairs = _candidates(task, rng)
    scenes = [draw_scene(pair, rng) for pair in pairs]
    caption = describe(scenes[0], rng)
    order = rng.permutation(task.n)
    paths = _write_scenes(name, number, [scenes[k] for k in order], images, size)
    options = [task.option.format(number=k + 1, ordinal=_ORDINALS[k]) for k in range(task.n)]
    return _entry(name, caption, options, int(np.argmin(order)), paths)


def _candidates(task: Task, rng: np.random.Generator) -> list[Pair]:
    """The target's pair and those beside it, all different."""
    while True:
        target = HELD_OUT_PAIRS[rng.integers(len(HELD_OUT_PAIRS))]
        others = [pair for pair in task.others(target) if pair != target]
        if len(others) >= task.n - 1:
            return [target, *(others[k] for k in rng.permutation(len(others))[: task.n - 1])]


def _judgement(name: str, number: int, images: Path, size: int, rng: np.random.Generator) -> dict[str, Any]:
    """Whether all images show a shape: a question that no image answers."""
    scenes = [draw_scene(HELD_OUT_PAIRS[k], rng) for k in rng.integers(len(HELD_OUT_PAIRS), size=TASKS[name].n)]
    shape = CATEGORIES[scenes[0].pair[0] - 1][1]
    shown = all(shape in {CATEGORIES[category - 1][1] for category in scene.pair} for scene in scenes)
    paths = _write_scenes(name, number, scenes, images, size)
    return _entry(name, f"Do all of these images show a {shape}?", ["yes", "no"], 0 if shown else 1, paths)


def _write_scenes(name: str, number: int, scenes: Sequence[Scene], images: Path, size: int) -> list[str]:
    """Render the scenes; returns their paths as MMIU writes them."""
    paths = [f"./{name}/{name}_{number}_{k}.png" for k in range(len(scenes))]
    for scene, path in zip(scenes, paths, strict=True):
        render(scene, size).save(images / path)
    return paths


def _entry(name: str, question: str, options: Sequence[str], answer: int, paths: list[str]) -> dict[str, Any]:
    """An entry of MMIU's annotation file."""
    choices = "\n".join(f"{letter}: {text}" for letter, text in zip(ascii_uppercase, options, strict=False))
    return {
        "task": name,
        "visual_input_component": "rendered scenes",
        "source": "rendered scenes",
        "options": choices,
        "question": question,
        "context": f"Select from the following choices.\n{choices}\n",
        "input_image_path": paths,
        "output": ascii_uppercase[answer],
    }
