"""Measure the eyes of `demo.eyes` on held-out scenes: `python -m demo.measure_eyes CHECKPOINT`.

The model describes one picture at a time, greedily. An object counts as told where its colour and shape stand side by
side in the text ("a red circle"); colours and shapes are counted on their own as well.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from demo.train_eyes import ASKED
from lad.demo.scenes import COLOURS, SHAPES, Scene, captioned_scene, render

_BATCH: Final = 32


@dataclass(frozen=True)
class Told:
    """What a text says of a scene, as counts of what there is and what was told of it.

    Attributes:
        false: objects that the text names and the scene lacks.
    """

    objects: int
    colours: int
    shapes: int
    false: int


def told(text: str, scene: Scene) -> Told:
    names = [item.name for item in scene.items]
    named = set(re.findall(rf"({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})", text.lower()))
    words = set(re.findall(r"\w+", text.lower()))
    return Told(
        objects=sum(tuple(name.split()) in named for name in names),
        colours=sum(name.split()[0] in words for name in names),
        shapes=sum(name.split()[1] in words for name in names),
        false=sum(" ".join(pair) not in names for pair in named),
    )


@torch.inference_mode()
def describe(model: Any, processor: Any, scenes: Sequence[Scene]) -> Iterator[str]:
    """What the model says of each scene, greedily."""
    message = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": ASKED}]}]
    prompt = processor.apply_chat_template(message, add_generation_prompt=True)
    for start in range(0, len(scenes), _BATCH):
        part = scenes[start : start + _BATCH]
        pictures = [[render(scene)] for scene in part]
        inputs = processor(text=[prompt] * len(part), images=pictures, return_tensors="pt")
        written = model.generate(**inputs, max_new_tokens=30, do_sample=False)
        yield from processor.batch_decode(written[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def count(texts: Sequence[str], scenes: Sequence[Scene]) -> str:
    """Percent of objects, colours and shapes that the texts tell, in a line."""
    counts = [told(text, scene) for text, scene in zip(texts, scenes, strict=True)]
    objects, colours, shapes = (
        50 * sum(getattr(one, name) for one in counts) / len(scenes) for name in ("objects", "colours", "shapes")
    )
    return (
        f"{len(scenes)} held-out scenes: {objects:.1f} % of objects, {colours:.1f} % of colours, {shapes:.1f} % of"
        f" shapes told; {sum(one.false for one in counts) / len(scenes):.2f} objects a scene that are not there"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20_000)
    parser.add_argument("--show", type=int, default=5, help="texts to print")
    given = parser.parse_args()
    model = AutoModelForImageTextToText.from_pretrained(given.checkpoint, dtype=torch.float32).eval()
    shown = [captioned_scene(given.seed, index)[0] for index in range(given.scenes)]
    texts = list(describe(model, AutoProcessor.from_pretrained(given.checkpoint), shown))
    for scene, text in list(zip(shown, texts, strict=True))[: given.show]:
        print(f"{' + '.join(item.name for item in scene.items)}: {text}")
    print(count(texts, shown))
