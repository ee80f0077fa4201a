"""Measure a demo checkpoint on held-out scenes, in a minute and without the pipeline.

`python -m lad.demo.measure CHECKPOINT` prints the accuracies that the model card lists for several seeds. It is the
yardstick for training: the method is retold in numpy in its printed formulation (equations 1-14; PriDe with the
geometric mean), on questions of its own. The project's results come from the pipeline, not from here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import torch
import typer
from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration

from lad.demo.forward import forward, image_features, patches
from lad.demo.model import LAYERS
from lad.demo.packing import PackedBatch, PromptPacker
from lad.demo.processor import IMAGE_SIDE
from lad.demo.scenes import CATEGORIES, Scene, captioned_scene, render
from lad.extraction.prompts import Probe, get_probe

SETTINGS: Final = ("random", "adversarial", "attributes")
"""Distractors: uniform; nearest by the vision tower's mean feature; those that share most attributes."""

METHODS: Final = ("vanilla", "pride", "attention_readout", "purified_attention", "agd")
_CALIBRATION_QUESTIONS: Final = 5
_TAU: Final = 5.0
_K: Final = 2


@dataclass(frozen=True)
class Dataset:
    """Held-out scenes with what a question needs: captions and image features, [scenes, 4, H]."""

    scenes: list[Scene]
    captions: list[str]
    features: torch.Tensor


@dataclass(frozen=True)
class Readings:
    """What forward passes leave behind.

    Attributes:
        logprobs: [presentations, N], of the identifiers, restricted to them.
        attention: [presentations, layers, N], equation 6.
        target: [presentations], position of the target, 0-based.
    """

    logprobs: np.ndarray
    attention: np.ndarray
    target: np.ndarray


def load(checkpoint: Path) -> tuple[Qwen2_5_VLForConditionalGeneration, PromptPacker]:
    """Model (in float32) and packer of a checkpoint."""
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32).eval()
    return model, PromptPacker(AutoTokenizer.from_pretrained(checkpoint))


@torch.no_grad()
def render_dataset(model: Qwen2_5_VLForConditionalGeneration, images: int, seed: int) -> Dataset:
    """The first scenes of the dataset with that seed."""
    scenes, captions = zip(*(captioned_scene(seed, index) for index in range(images)), strict=True)
    side = (IMAGE_SIDE, IMAGE_SIDE)
    pixels = np.stack([np.asarray(render(scene).resize(side, resample=3)) for scene in scenes])
    return Dataset(list(scenes), list(captions), image_features(model, patches(pixels)))


def draw_candidates(dataset: Dataset, setting: str, n: int, questions: int, rng: np.random.Generator) -> np.ndarray:
    """Scenes of every question, [questions, n], the target first.

    Raises:
        ValueError: an unknown setting.
    """
    if setting not in SETTINGS:
        raise ValueError(f"unknown setting '{setting}'; known: {', '.join(SETTINGS)}")
    pooled = dataset.features.mean(1).numpy()
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
    pairs = np.array([scene.pair for scene in dataset.scenes])
    attributes = np.array([_attributes(scene) for scene in dataset.scenes])
    rows = []
    for target in rng.permutation(len(dataset.scenes))[:questions]:
        if setting == "random":
            others = np.delete(np.arange(len(pairs)), target)
            rows.append([target, *rng.choice(others, n - 1, replace=False)])
            continue
        likeness = pooled @ pooled[target] if setting == "adversarial" else attributes @ attributes[target]
        likeness = likeness + 1e-6 * rng.random(len(pairs))  # ties fall at random
        likeness[(pairs == pairs[target]).all(axis=1)] = -np.inf
        rows.append([target, *np.argsort(-likeness)[: n - 1]])
    return np.array(rows)


def _attributes(scene: Scene) -> np.ndarray:
    """How often each colour, each shape and each combination occurs in the scene; a combination counts most."""
    words = [word for item in scene.items for word in (*CATEGORIES[item.category - 1], item.name)]
    known = sorted({word for colour, shape in CATEGORIES for word in (colour, shape, f"{colour} {shape}")})
    return np.array([words.count(word) for word in known], float)


@torch.no_grad()
def read_out(
    model: Qwen2_5_VLForConditionalGeneration,
    packer: PromptPacker,
    dataset: Dataset,
    candidates: np.ndarray,
    orders: np.ndarray,
    probe: Probe,
) -> Readings:
    """Ask every presentation.

    Args:
        model: the demo model.
        packer: its packer.
        dataset: where the candidates come from.
        candidates: [presentations, n], the target first.
        orders: [presentations, n], which candidate stands at each position.
        probe: how to ask.
    """
    n = candidates.shape[1]
    logprobs, attention = [], []
    for start in range(0, len(candidates), 32):
        part = slice(start, start + 32)
        shown = np.take_along_axis(candidates[part], orders[part], axis=1)
        captions = [[dataset.captions[target]] for target in candidates[part, 0]]
        # The last identifier is the longest: its tokens lead through every step that is needed.
        batch = packer.pack(probe, n, captions, np.full((len(shown), 1), n - 1))
        states = forward(model, batch, dataset.features[shown], range(LAYERS))
        logprobs.append(_identifier_logprobs(model.lm_head(states.hidden[:, 0]), batch, packer, probe, n))
        attention.append(torch.stack([states.image_attention[layer][:, 0] for layer in range(LAYERS)], 1))
    return Readings(torch.cat(logprobs).numpy(), torch.cat(attention).double().numpy(), np.argmin(orders, axis=1))


def _identifier_logprobs(
    logits: torch.Tensor, batch: PackedBatch, packer: PromptPacker, probe: Probe, n: int
) -> torch.Tensor:
    """Restricted log-probabilities, [presentations, n] (appendix B), for identifiers of one or two tokens."""
    rows, last = torch.arange(len(logits)), batch.last[:, 0]
    paths = [packer.answer(probe, n, position) for position in range(n)]
    first = sorted({path[0] for path in paths})
    total = torch.zeros(len(logits), n, dtype=torch.float64)
    at_first = logits[rows, last].double()[:, first].log_softmax(-1)
    for position, path in enumerate(paths):
        total[:, position] += at_first[:, first.index(path[0])]
    shared = paths[-1][0]
    follow = sorted({path[1] for path in paths if path[0] == shared})
    if len(follow) > 1:
        at_second = logits[rows, last + 1].double()[:, follow].log_softmax(-1)
        for position, path in enumerate(paths):
            if path[0] == shared:
                total[:, position] += at_second[:, follow.index(path[1])]
    return total


def scores(readings: Readings, calibration: Readings) -> dict[str, np.ndarray]:
    """The score of every position by every method, [presentations, N] each."""
    n = readings.logprobs.shape[1]
    by_target = [calibration.target == i for i in range(n)]
    observed = np.stack([np.exp(calibration.logprobs[rows]).mean(0) for rows in by_target])  # (1)
    diagonal = np.eye(n, dtype=bool)
    gamma = (np.diag(observed)[:, None] / observed)[~diagonal].max()  # (4)
    bias = np.where(diagonal, observed / gamma, observed)  # (5)
    prior = calibration.attention.mean(0)  # (7)
    layers = np.argsort(-readings.attention.sum(-1), axis=1)[:, :_K]  # (8, 9)
    attention = np.take_along_axis(readings.attention, layers[..., None], axis=1)
    purified = np.log(attention / prior[layers]).mean(1)  # (11)
    weight = np.exp(_TAU * (purified - purified.max(axis=1, keepdims=True)))
    weight /= weight.sum(axis=1, keepdims=True)  # (12)
    return {
        "vanilla": readings.logprobs,
        "pride": readings.logprobs - calibration.logprobs.mean(0),
        "attention_readout": attention.mean(1),
        "purified_attention": purified,
        "agd": readings.logprobs - np.log(weight @ bias),  # (13, 14)
    }


def measure(
    model: Qwen2_5_VLForConditionalGeneration,
    packer: PromptPacker,
    dataset: Dataset,
    setting: str,
    n: int,
    probe: Probe,
    questions: int,
    seed: int = 0,
) -> dict[str, Any]:
    """Accuracy in percent by method, and the confusion matrix of vanilla answers.

    Every evaluation question is asked in two random orders; five other questions, in all cyclic shifts, calibrate.
    """
    rng = np.random.default_rng([seed, n, SETTINGS.index(setting)])
    candidates = draw_candidates(dataset, setting, n, _CALIBRATION_QUESTIONS + questions, rng)
    shifts = np.stack([np.roll(np.arange(n), k) for k in range(n)])
    held_back, asked = candidates[:_CALIBRATION_QUESTIONS], candidates[_CALIBRATION_QUESTIONS:].repeat(2, axis=0)
    calibration = read_out(
        model, packer, dataset, held_back.repeat(n, axis=0), np.tile(shifts, (len(held_back), 1)), probe
    )
    orders = rng.permuted(np.tile(np.arange(n), (len(asked), 1)), axis=1)
    readings = read_out(model, packer, dataset, asked, orders, probe)
    answers = {method: score.argmax(1) for method, score in scores(readings, calibration).items()}
    accuracy: dict[str, Any] = {
        method: 100 * float((answer == readings.target).mean()) for method, answer in answers.items()
    }
    confusion = np.zeros((n, n))
    np.add.at(confusion, (readings.target, answers["vanilla"]), 1)
    accuracy["confusion"] = confusion / confusion.sum(axis=1, keepdims=True)
    accuracy["mass"] = readings.attention.sum(-1).mean(0)
    return accuracy


def main(
    checkpoint: Annotated[Path, typer.Argument(help="folder of the checkpoint")],
    questions: Annotated[int, typer.Option(min=1, help="evaluation questions per row")] = 200,
    images: Annotated[int, typer.Option(help="scenes to draw questions from")] = 400,
    n: Annotated[list[int] | None, typer.Option(help="numbers of images")] = None,
    setting: Annotated[list[str] | None, typer.Option(help=" / ".join(SETTINGS))] = None,
    probe: Annotated[list[str] | None, typer.Option(help="probes, by name")] = None,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    confusion: Annotated[bool, typer.Option(help="print vanilla's confusion matrices")] = False,
) -> None:
    """Print the accuracy of every method on held-out scenes, as a Markdown table."""
    torch.set_num_threads(threads)
    model, packer = load(checkpoint)
    dataset = render_dataset(model, images, seed=20_000)
    print(f"| N | setting | probe | {' | '.join(METHODS)} |\n|{'---|' * (3 + len(METHODS))}")
    for name in probe or ["vanilla"]:
        for size in n or [4, 8, 12]:
            for kind in setting or SETTINGS:
                found = measure(model, packer, dataset, kind, size, get_probe(name), questions)
                cells = [f"{found[method]:.1f}" for method in METHODS]
                print(f"| {size} | {kind} | {name} | {' | '.join(cells)} |", flush=True)
                if confusion:
                    print(_rows(found["confusion"]), np.round(found["mass"], 3))


def _rows(matrix: np.ndarray) -> str:
    lines: Iterable[str] = (" ".join(f"{100 * value:5.0f}" for value in row) for row in matrix)
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
