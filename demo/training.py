"""The stages that train the demo model, each a function of weights, data and a seed.

1. vision: the vision tower learns to tell colour and shape in every cell; it is frozen afterwards.
2. retrieval: the decoder learns to answer with the identifier of the image that fits the caption. Auxiliary
   losses replace the pre-training that larger models have, without which the model stays at chance in this
   budget: the retrieval layers shall look at the target, and linear probes shall read off which objects an image
   shows, which image a token belongs to, which identifiers are wanted, and which image was found. It learns with
   digits first: what to look for must come before how to say it.
3. prior (planted): the retrieval layers' attention moves to the declared static prior times a gain on the target.
4. bias (planted): the late layer, the norm and the head learn to answer with the declared conditional bias.
   Nothing before the late layer changes, so the attention that finds the target stays as it was.

Every schedule counts steps; nothing depends on the clock.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import Qwen2_5_VLForConditionalGeneration

from demo.bank import SceneBank, draw_sets
from demo.forward import forward, image_features, patches
from demo.losses import (
    AskedBatch,
    Probes,
    answer_loss,
    attention_to_planted,
    attention_to_target,
    bias_loss,
    image_mass,
    probe_losses,
)
from demo.model import LATE_LAYER, LAYERS, RETRIEVAL_LAYERS
from demo.packing import PromptPacker
from demo.planting import bias_matrix
from demo.processor import STYLE_PROBES
from lad.demo.scenes import BACKGROUNDS, CATEGORIES, COLOURS, SHAPES
from lad.extraction.prompts import MAX_CANDIDATES, PROBES, Probe

Model: TypeAlias = Qwen2_5_VLForConditionalGeneration
Report: TypeAlias = Callable[[str], None]

_HARD: Final = 0.4
_MAX_ASKED: Final = 8


@dataclass(frozen=True)
class Phase:
    """Steps with questions of 2 to `max_n` images, asked in all identifier styles or with digits only."""

    steps: int
    max_n: int
    all_styles: bool = True


@dataclass(frozen=True)
class Recipe:
    """All numbers of the training that one may want to change; the defaults made the shipped checkpoint.

    Attributes:
        copies: scenes per training pair in the bank.
        retrieval: how the number of images grows while retrieval is learned.
        max_n: most images that the planted stages ask about.
        tokens: batch size of stages 2 and 3: with n images, tokens / (n + 4) sets, but at least 8.
        bias_tokens: the same for stage 4.
        prior_weight: weight of the planted attention among the losses of stage 3.
    """

    copies: int = 40
    vision_steps: int = 300
    vision_batch: int = 256
    retrieval: tuple[Phase, ...] = (Phase(400, 4, all_styles=False), Phase(300, 8), Phase(700, MAX_CANDIDATES))
    max_n: int = MAX_CANDIDATES
    prior_steps: int = 1000
    prior_weight: float = 1.0
    bias_steps: int = 1200
    tokens: int = 128
    bias_tokens: int = 192

    def scaled(self, factor: float) -> "Recipe":
        """The same recipe with `factor` times the steps, at least one per phase, and as many scenes."""

        def steps(full: int) -> int:
            return max(1, round(full * factor))

        return replace(
            self,
            copies=min(self.copies, steps(self.copies)),
            vision_steps=steps(self.vision_steps),
            retrieval=tuple(replace(phase, steps=steps(phase.steps)) for phase in self.retrieval),
            prior_steps=steps(self.prior_steps),
            bias_steps=steps(self.bias_steps),
        )


class Running(dict[str, float]):
    """Exponential means of what a stage reports."""

    def add(self, values: dict[str, torch.Tensor]) -> None:
        for name, value in values.items():
            now = float(value.detach())
            self[name] = 0.95 * self.get(name, now) + 0.05 * now

    def __str__(self) -> str:
        return " ".join(f"{name} {value:.3f}" for name, value in self.items())


def train_vision(model: Model, bank: SceneBank, recipe: Recipe, seed: int, report: Report) -> None:
    """Stage 1: every merged token tells colour, shape and their combination in its cell, and the background."""
    rng = np.random.default_rng([seed, 1])
    labels = _cell_labels(bank)
    sizes = [int(label.max()) + 1 for label in labels]
    head = nn.Linear(model.config.text_config.hidden_size, sum(sizes))
    optimiser, schedule = _optimiser(
        [*model.model.visual.parameters(), *head.parameters()], 3e-3, 1e-4, recipe.vision_steps
    )
    running = Running()
    for step in range(recipe.vision_steps):
        rows = rng.integers(len(bank.scenes), size=recipe.vision_batch)
        read = head(image_features(model, patches(bank.pixels[rows]))).split(sizes, dim=-1)
        told = [label[rows] for label in labels]
        losses = [
            functional.cross_entropy(part.flatten(0, 1), label.flatten())
            for part, label in zip(read, told, strict=True)
        ]
        loss = torch.stack(losses).sum()
        descend(loss, optimiser, schedule)
        right = [(part.argmax(-1) == label).float().mean() for part, label in zip(read, told, strict=True)]
        running.add({"loss": loss, "right": torch.stack(right).min()})
        _tell(report, "vision", step, recipe.vision_steps, running)


def _cell_labels(bank: SceneBank) -> tuple[torch.Tensor, ...]:
    """Colour, shape and category (0 where a cell is empty) and background, as [scenes, 4] each."""
    colours, shapes, categories = (torch.zeros(len(bank.scenes), 4, dtype=torch.long) for _ in range(3))
    for row, scene in enumerate(bank.scenes):
        for item in scene.items:
            colour, shape = CATEGORIES[item.category - 1]
            colours[row, item.cell] = 1 + list(COLOURS).index(colour)
            shapes[row, item.cell] = 1 + list(SHAPES).index(shape)
            categories[row, item.cell] = item.category
    backgrounds = torch.tensor([list(BACKGROUNDS).index(scene.background) for scene in bank.scenes])
    return colours, shapes, categories, backgrounds[:, None].expand(-1, 4)


@torch.no_grad()
def bank_features(model: Model, bank: SceneBank) -> torch.Tensor:
    """Features of every scene of the bank, [scenes, 4, H]; the vision tower is frozen once they are taken."""
    return torch.cat([image_features(model, patches(part)) for part in _chunks(bank.pixels, 512)])


def _chunks(array: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(array), size):
        yield array[start : start + size]


@dataclass(frozen=True)
class Material:
    """What the decoder's stages train on.

    Attributes:
        features: [scenes, 4, H], of the bank's scenes.
        shown: [scenes, categories], as in the bank.
    """

    bank: SceneBank
    features: torch.Tensor
    shown: torch.Tensor
    packer: PromptPacker


def train_retrieval(
    model: Model,
    probes: Probes,
    material: Material,
    phases: tuple[Phase, ...],
    recipe: Recipe,
    seed: int,
    report: Report,
) -> None:
    """Stage 2: answers, with the retrieval layers' attention on the target and the auxiliary losses."""
    _train_decoder(model, probes, material, phases, recipe, seed, report, plant_prior=False)


def plant_prior(model: Model, probes: Probes, material: Material, recipe: Recipe, seed: int, report: Report) -> None:
    """Stage 3: as stage 2 on all N, but the attention is drawn to `planting.planted_attention`."""
    phases = (Phase(recipe.prior_steps, recipe.max_n),)
    _train_decoder(model, probes, material, phases, recipe, seed, report, plant_prior=True)


def _train_decoder(
    model: Model,
    probes: Probes,
    material: Material,
    phases: tuple[Phase, ...],
    recipe: Recipe,
    seed: int,
    report: Report,
    plant_prior: bool,
) -> None:
    name, stage = ("prior", 3) if plant_prior else ("retrieval", 2)
    rng = np.random.default_rng([seed, stage])
    model.requires_grad_(True)
    model.model.visual.requires_grad_(False)
    trained = [weight for weight in (*model.parameters(), *probes.parameters()) if weight.requires_grad]
    course = [phase for phase in phases for _ in range(phase.steps)]
    optimiser, schedule = _optimiser(trained, 2e-3, 1e-4, len(course))
    running = Running()
    for step, phase in enumerate(course):
        asked = ask(model, material, phase, recipe.tokens, rng, range(LAYERS))
        answers, right = answer_loss(model, asked)
        seen = recipe.prior_weight * attention_to_planted(asked) if plant_prior else 0.5 * attention_to_target(asked)
        probed = probe_losses(probes, material.shown, asked)
        loss = answers + seen + 0.3 * torch.stack(list(probed.values())).sum()
        if plant_prior:
            elsewhere = [layer for layer in range(LAYERS) if layer not in RETRIEVAL_LAYERS]
            loss = loss + 0.3 * image_mass(asked, elsewhere)
        descend(loss, optimiser, schedule)
        attention = torch.stack([asked.states.image_attention[layer] for layer in RETRIEVAL_LAYERS]).sum(0)
        running.add(
            {
                "answers": answers,
                "attention": seen,
                **probed,
                "right": right,
                "looked": (attention.argmax(-1) == asked.targets).float().mean(),
            }
        )
        _tell(report, name, step, len(course), running)


def plant_bias(model: Model, material: Material, recipe: Recipe, seed: int, report: Report) -> None:
    """Stage 4: the late layer, the norm and the head answer with `planting.bias_matrix`; all else is frozen."""
    rng = np.random.default_rng([seed, 4])
    decoder = model.model.language_model
    model.requires_grad_(False)
    late = [*decoder.layers[LATE_LAYER:].parameters(), *decoder.norm.parameters(), *model.lm_head.parameters()]
    for weight in late:
        weight.requires_grad_(True)
    phase = Phase(recipe.bias_steps, recipe.max_n)
    optimiser, schedule = _optimiser(late, 2e-3, 2e-5, phase.steps, decay=0.0)
    running = Running()
    for step in range(phase.steps):
        asked = ask(model, material, phase, recipe.bias_tokens, rng, range(LATE_LAYER, LAYERS), biased=True)
        divergence = bias_loss(model, material.packer, asked)
        loss = divergence + 0.3 * image_mass(asked, range(LATE_LAYER, LAYERS))
        descend(loss, optimiser, schedule)
        running.add({"divergence": divergence})
        _tell(report, "bias", step, phase.steps, running)
    model.requires_grad_(True)


def ask(
    model: Model,
    material: Material,
    phase: Phase,
    tokens: int,
    rng: np.random.Generator,
    attention_layers: range,
    biased: bool = False,
) -> AskedBatch:
    """Draw a batch and run the decoder on it.

    Args:
        model: the demo model.
        material: where the images come from.
        phase: how many images per set, and in which styles to ask.
        tokens: batch size, as in `Recipe`.
        rng: source of all choices.
        attention_layers: layers whose attention is wanted.
        biased: whether the answers to be taught are drawn from the planted bias, not the targets' own.
    """
    n = int(rng.integers(2, phase.max_n + 1))
    probe = _draw_probe(phase, rng)
    sets = draw_sets(material.bank, max(8, tokens // (n + 4)), n, min(n, _MAX_ASKED), _HARD, rng)
    answers = _draw_biased(sets.targets, n, rng) if biased else sets.targets
    batch = material.packer.pack(probe, n, sets.captions, answers)
    states = forward(model, batch, material.features[sets.images], attention_layers)
    return AskedBatch(probe, n, sets, batch, states)


def _draw_probe(phase: Phase, rng: np.random.Generator) -> Probe:
    """The instruction prompt for one batch in ten; of the others, every second in a style of its own."""
    if rng.random() < 0.1:
        return PROBES["instruction"]
    if phase.all_styles and rng.random() < 0.55:
        return PROBES[STYLE_PROBES[rng.integers(len(STYLE_PROBES))]]
    return PROBES["vanilla"]


def _draw_biased(targets: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """An answer per target from the planted bias, [S, K]: which continuation the second token is taught on."""
    cumulative = bias_matrix(n).cumsum(axis=1)[targets]
    drawn: np.ndarray = (rng.random(targets.shape)[..., None] > cumulative).sum(axis=-1)
    return drawn.clip(max=n - 1)


def _optimiser(
    weights: list[nn.Parameter], peak: float, final: float, steps: int, decay: float = 0.01
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW, warmed up and then lowered along a cosine from `peak` to `final`."""
    warm = min(80, steps // 10 + 1)

    def rate(step: int) -> float:
        fall = 0.5 * (1 + math.cos(math.pi * step / steps))
        return min(1.0, (step + 1) / warm) * (final / peak + (1 - final / peak) * fall)

    optimiser = torch.optim.AdamW(weights, peak, betas=(0.9, 0.98), weight_decay=decay)
    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, rate)


def descend(
    loss: torch.Tensor, optimiser: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler
) -> None:
    """One step: gradients of the loss, clipped to a norm of one."""
    optimiser.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_([w for group in optimiser.param_groups for w in group["params"]], 1.0)
    optimiser.step()
    schedule.step()


def _tell(report: Report, stage: str, step: int, steps: int, running: Running) -> None:
    if step == 0 or (step + 1) % 50 == 0 or step + 1 == steps:
        report(f"{stage} {step + 1}/{steps}: {running}")
