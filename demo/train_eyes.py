"""Train the eyes of `demo.eyes`: `python -m demo.train_eyes LANGUAGE_MODEL --out eyes.safetensors`.

Two stages, on scenes of the training pairs alone (`lad.demo.scenes`), one picture at a time:

1. words: every patch says one word of its cell, the colour on the left and the shape on the right (where the cell is
   empty, the background), as the language model's own embedding of that word. No language model runs.
2. captions: the frozen language model describes the picture, and the eyes learn from its loss (LLaVA's first stage,
   Liu et al., arXiv 2304.08485, with the tower trained as well). Nothing of the language model changes.
"""

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import AutoTokenizer, DynamicCache, LlamaForCausalLM, PreTrainedTokenizerBase

from demo.bank import SceneBank, render_bank
from demo.eyes import ANSWER_TURN, BEHIND_IMAGE, END_OF_TURN, GRID, SYSTEM_TURN, USER_TURN, Eyes, llava_config
from demo.packing import IGNORED
from demo.training import descend
from lad.demo.scenes import BACKGROUNDS, CATEGORIES, COLOURS, SHAPES, Scene, with_article

ASKED: Final = "Describe the picture."
EMPTY: Final = "background"
WORDS: Final = (*COLOURS, *BACKGROUNDS, *SHAPES, EMPTY)


@dataclass(frozen=True)
class Recipe:
    """All numbers of the training; the defaults made the shipped weights.

    Attributes:
        copies: scenes per training pair.
        caption_words: weight of the first stage's loss in the second.
    """

    copies: int = 40
    word_steps: int = 600
    word_batch: int = 128
    word_rate: float = 1e-3
    caption_steps: int = 100
    caption_batch: int = 24
    caption_rate: float = 3e-4
    caption_words: float = 0.3


@dataclass(frozen=True)
class Words:
    """The words that patches say: [words, width], the language model's embeddings of them."""

    embeddings: torch.Tensor

    @classmethod
    def of(cls, language: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase) -> "Words":
        ids = [tokenizer.encode(f" {word}", add_special_tokens=False) for word in WORDS]
        return cls(language.get_input_embeddings().weight[torch.tensor([one for (one,) in ids])].detach())

    def loss(self, features: torch.Tensor, said: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """How far patches are from their words, and the share that is nearest to the right one.

        Args:
            features: [images, patches, width].
            said: [images, patches], indices into `WORDS`.
        """
        scale = self.embeddings.pow(2).sum(-1).mean()
        distances = torch.cdist(features, self.embeddings[None]).pow(2) / scale
        told = functional.cross_entropy(-8 * distances.flatten(0, 1), said.flatten())
        near = distances.gather(-1, said[..., None]).mean()
        return told + near, (distances.argmin(-1) == said).float().mean()


def words_of_patches(bank: SceneBank) -> torch.Tensor:
    """The word of each patch, [scenes, patches]."""
    place = {word: index for index, word in enumerate(WORDS)}
    said = np.empty((len(bank.scenes), GRID, GRID), np.int64)
    half = GRID // 2
    for row, scene in enumerate(bank.scenes):
        said[row, :, 0::2], said[row, :, 1::2] = place[scene.background], place[EMPTY]
        for item in scene.items:
            top, left = (half * part for part in divmod(item.cell, 2))
            colour, shape = CATEGORIES[item.category - 1]
            cell = said[row, top : top + half, left : left + half]
            cell[:, 0::2], cell[:, 1::2] = place[colour], place[shape]
    return torch.from_numpy(said.reshape(len(bank.scenes), -1))


def pixels_of(bank: SceneBank, rows: np.ndarray) -> torch.Tensor:
    """[images, 3, 56, 56], as the image processor makes them (a test compares)."""
    return torch.from_numpy(bank.pixels[rows]).permute(0, 3, 1, 2).float() / 127.5 - 1


def train_words(eyes: Eyes, bank: SceneBank, words: Words, recipe: Recipe, seed: int) -> None:
    """Stage 1."""
    rng, said = np.random.default_rng([seed, 1]), words_of_patches(bank)
    optimiser, schedule = _optimiser(eyes, recipe.word_rate, recipe.word_steps)
    for step in range(recipe.word_steps):
        rows = rng.integers(len(bank.scenes), size=recipe.word_batch)
        loss, right = words.loss(eyes(pixels_of(bank, rows)), said[rows])
        descend(loss, optimiser, schedule)
        if step % 100 == 99:
            print(f"words {step + 1}: loss {loss.item():.3f}, right {right.item():.4f}", flush=True)


def caption(scene: Scene) -> str:
    """What the picture is to be described by: both objects in the order in which the patches show them."""
    first, second = (with_article(item.name) for item in sorted(scene.items, key=lambda item: item.cell))
    return f"{first} and {second}"


class Reader:
    """The frozen language model behind a prompt that is always the same up to the picture."""

    def __init__(self, language: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase) -> None:
        self.language, self.tokenizer = language.requires_grad_(False).eval(), tokenizer
        self._question = self._ids(f"{BEHIND_IMAGE}{ASKED}{END_OF_TURN}\n{ANSWER_TURN}")
        with torch.no_grad():
            read = language.model(input_ids=torch.tensor([self._ids(SYSTEM_TURN + USER_TURN)]), use_cache=True)
        self._before = [(layer.keys, layer.values) for layer in read.past_key_values.layers]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def loss(self, features: torch.Tensor, captions: Sequence[str]) -> torch.Tensor:
        """Cross-entropy of the captions' tokens, [images, patches, width] being what the model sees."""
        answers = [self._ids(caption + END_OF_TURN) for caption in captions]
        longest = max(map(len, answers))
        ids = torch.tensor([self._question + answer + answer[-1:] * (longest - len(answer)) for answer in answers])
        labels = torch.tensor([answer + [IGNORED] * (longest - len(answer)) for answer in answers])
        embedded = torch.cat([features, self.language.get_input_embeddings()(ids)], dim=1)
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(self._before):
            cache.update(keys.expand(len(ids), -1, -1, -1), values.expand(len(ids), -1, -1, -1), layer)
        # Padding stands on the right, where nothing looks.
        hidden = self.language.model(inputs_embeds=embedded, past_key_values=cache).last_hidden_state
        logits = self.language.lm_head(hidden[:, -longest - 1 : -1][labels != IGNORED])
        return functional.cross_entropy(logits, labels[labels != IGNORED])


def train_captions(eyes: Eyes, bank: SceneBank, words: Words, reader: Reader, recipe: Recipe, seed: int) -> None:
    """Stage 2."""
    rng, said = np.random.default_rng([seed, 2]), words_of_patches(bank)
    optimiser, schedule = _optimiser(eyes, recipe.caption_rate, recipe.caption_steps)
    start = time.perf_counter()
    for step in range(recipe.caption_steps):
        rows = rng.integers(len(bank.scenes), size=recipe.caption_batch)
        features = eyes(pixels_of(bank, rows))
        loss = reader.loss(features, [caption(bank.scenes[row]) for row in rows])
        kept, right = words.loss(features, said[rows])
        descend(loss + recipe.caption_words * kept, optimiser, schedule)
        if step % 10 == 0:
            spent = time.perf_counter() - start
            print(f"captions {step}: loss {loss.item():.3f}, words {right.item():.4f}, {spent:.0f} s", flush=True)


def _optimiser(eyes: Eyes, rate: float, steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    optimiser = torch.optim.AdamW(eyes.parameters(), lr=rate, weight_decay=0.01, betas=(0.9, 0.98))
    warm = max(1, steps // 20)

    def share(step: int) -> float:
        return min(1.0, (step + 1) / warm) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, step / steps)))

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, share)


def train(language_folder: Path, out: Path, seed: int, threads: int, begin: Path | None, recipe: Recipe) -> None:
    """Train both stages, or the second alone from the weights of the first, and write the eyes' weights (float16)."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    language = LlamaForCausalLM.from_pretrained(language_folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(language_folder)
    eyes, words = Eyes(llava_config(language.config)), Words.of(language, tokenizer)
    bank = render_bank(recipe.copies, seed)
    if begin is None:
        train_words(eyes, bank, words, recipe, seed)
        save_file({name: part.contiguous() for name, part in eyes.state_dict().items()}, out.with_suffix(".words"))
    else:
        eyes.load_state_dict(load_file(begin))
    train_captions(eyes, bank, words, Reader(language, tokenizer), recipe, seed)
    save_file({name: part.half().contiguous() for name, part in eyes.state_dict().items()}, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language", type=Path, help="folder of SmolLM2-135M-Instruct")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--begin", type=Path, help="weights of the first stage, which is left out then")
    given = parser.parse_args()
    train(given.language, given.out, given.seed, given.threads, given.begin, Recipe())
