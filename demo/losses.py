"""What the stages of the training minimise, each a function of one batch and the decoder's answer to it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn
from torch.nn import functional
from transformers import Qwen2_5_VLForConditionalGeneration

from demo.bank import ImageSets
from demo.forward import PackedStates
from demo.model import PROBED_LAYER, RETRIEVAL_LAYERS
from demo.packing import IGNORED, PackedBatch, PromptPacker
from demo.planting import bias_matrix, planted_attention
from lad.demo.scenes import CATEGORIES
from lad.extraction.prompts import IDENTIFIERS, MAX_CANDIDATES, Probe

_TINY: Final = 1e-6


@dataclass(frozen=True)
class AskedBatch:
    """Questions of one probe and one number of images, and what the decoder made of them."""

    probe: Probe
    n: int
    sets: ImageSets
    batch: PackedBatch
    states: PackedStates

    @property
    def targets(self) -> torch.Tensor:
        return torch.from_numpy(self.sets.targets)


class Probes(nn.Module):
    """Linear read-outs used in training only.

    After the probed layer: what an image or a caption shows, which image a token belongs to, and the identifier
    style asked for. After the retrieval layers: which image was found.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.objects = nn.Linear(width, len(CATEGORIES))
        self.index = nn.Linear(width, MAX_CANDIDATES)
        self.style = nn.Linear(width, len(IDENTIFIERS))
        self.target = nn.Linear(width, MAX_CANDIDATES)


def answer_loss(model: Qwen2_5_VLForConditionalGeneration, asked: AskedBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of the answers' tokens, and the share of first tokens that come out on top."""
    labelled = asked.batch.labels != IGNORED
    logits, labels = model.lm_head(asked.states.hidden[labelled]), asked.batch.labels[labelled]
    first = labelled & ~labelled.roll(1, dims=-1)
    right = (logits.argmax(-1) == labels)[first[labelled]].float().mean()
    return functional.cross_entropy(logits, labels), right


def attention_to_target(asked: AskedBatch) -> torch.Tensor:
    """-log of the retrieval layers' attention on the target's image."""
    losses = [
        -(asked.states.image_attention[layer].gather(2, asked.targets[..., None]) + _TINY).log().mean()
        for layer in RETRIEVAL_LAYERS
    ]
    return torch.stack(losses).mean()


def attention_to_planted(asked: AskedBatch) -> torch.Tensor:
    """Kullback-Leibler divergence from the planted attention, what is not on images taken as one more place."""
    losses = []
    for layer in RETRIEVAL_LAYERS:
        seen = asked.states.image_attention[layer]
        wanted = torch.from_numpy(planted_attention(asked.n, layer)).float()[asked.targets]
        losses.append(_divergence(_with_rest(wanted), _with_rest(seen)))
    return torch.stack(losses).mean()


def _with_rest(mass: torch.Tensor) -> torch.Tensor:
    return torch.cat([mass, (1 - mass.sum(-1, keepdim=True)).clamp_min(0)], dim=-1)


def _divergence(wanted: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    places: torch.Tensor = wanted * ((wanted + _TINY).log() - (seen + _TINY).log())
    return places.sum(-1).mean()


def image_mass(asked: AskedBatch, layers: Collection[int]) -> torch.Tensor:
    """Attention on images in layers that should have little, so that the retrieval layers have the most."""
    return torch.stack([asked.states.image_attention[layer].sum(-1).mean() for layer in layers]).mean()


def probe_losses(probes: Probes, shown: torch.Tensor, asked: AskedBatch) -> dict[str, torch.Tensor]:
    """How badly the probes read what they should, by the name of what they read.

    Args:
        probes: the read-outs.
        shown: [scenes, categories], 1 where a scene of the bank shows such an object.
        asked: the batch.
    """
    images, last = asked.states.of_images[PROBED_LAYER], asked.states.of_last[PROBED_LAYER]
    shown = shown[asked.sets.images]  # [S, n, categories]
    wanted = shown.gather(1, asked.targets[..., None].expand(-1, -1, shown.shape[-1]))
    tells = functional.binary_cross_entropy_with_logits
    objects = tells(probes.objects(images.mean(2)), shown) + tells(probes.objects(last), wanted)
    number = torch.arange(asked.n)[:, None].expand(images.shape[:3])
    style = torch.full_like(asked.targets, list(IDENTIFIERS).index(asked.probe.style))
    found = asked.states.of_last[RETRIEVAL_LAYERS[-1]]
    return {
        "objects": objects * len(CATEGORIES) / 2,
        "index": _classify(probes.index(images), number),
        "style": _classify(probes.style(last), style),
        "target": _classify(probes.target(found), asked.targets),
    }


def _classify(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits.flatten(0, -2), classes.flatten())


def bias_loss(model: Qwen2_5_VLForConditionalGeneration, packer: PromptPacker, asked: AskedBatch) -> torch.Tensor:
    """Divergence of the answers' tokens from the planted bias, at each step of the drawn answer.

    An identifier of several tokens is taught along its path: at each token, the bias of all identifiers that share
    the path so far, summed by the token with which they go on.
    """
    labelled = asked.batch.labels != IGNORED
    logits = model.lm_head(asked.states.hidden[labelled])
    paths = [packer.answer(asked.probe, asked.n, position) for position in range(asked.n)]
    wanted = torch.zeros_like(logits)
    bias = torch.from_numpy(bias_matrix(asked.n)).float()[asked.targets]  # [S, K, n]
    places = labelled.nonzero()
    step = places[:, 2] - asked.batch.last[places[:, 0], places[:, 1]]
    taught = asked.batch.labels.tolist()
    for row, ((s, k, token), depth) in enumerate(zip(places.tolist(), step.tolist(), strict=True)):
        so_far = taught[s][k][token - depth : token]
        for position, path in enumerate(paths):
            if path[:depth] == so_far:
                wanted[row, path[depth]] += bias[s, k, position]
    wanted = wanted / wanted.sum(-1, keepdim=True)
    entropy: torch.Tensor = -torch.special.xlogy(wanted, wanted).sum(-1).mean()
    return functional.cross_entropy(logits, wanted) - entropy
