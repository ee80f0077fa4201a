"""Train the demo model from scratch: `python -m demo.train --out DIR --seed 0`.

With `--unplanted` the model sees at most four images and neither prior nor bias is planted; asked about eight images
it then shows a divergence of logits and attention that nobody put there.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import torch
import typer

from demo.bank import render_bank
from demo.losses import Probes
from demo.model import RETRIEVAL_LAYERS, build_model, save_checkpoint
from demo.packing import PromptPacker
from demo.planting import bias_matrix, planted_attention
from demo.processor import build_tokenizer
from demo.training import (
    Material,
    Model,
    Phase,
    Recipe,
    bank_features,
    plant_bias,
    plant_prior,
    train_retrieval,
    train_vision,
)

UNPLANTED_RETRIEVAL: Final = (Phase(700, 4, all_styles=False),)


def train(
    out: Path,
    seed: int,
    planted: bool = True,
    steps_scale: float = 1.0,
    threads: int = 1,
    stages: Path | None = None,
    recipe: Recipe | None = None,
    report: Callable[[str], None] = print,
) -> None:
    """Train a demo model and write its checkpoint to `out`.

    Args:
        out: folder of the checkpoint.
        seed: everything random follows from it; with the same number of threads on the same machine, the same
            weights come out.
        planted: whether the attention prior and the conditional bias are planted (see `demo.planting`).
        steps_scale: share of the full number of steps, for trials.
        threads: threads of torch.
        stages: folder that keeps the state after every stage, so that a later stage can be repeated alone.
        recipe: the numbers of the training; by default those of the shipped checkpoints.
        report: takes the lines that tell the progress.

    Raises:
        ValueError: a negative seed, or a scale or thread count that is not positive.
    """
    if seed < 0 or steps_scale <= 0 or threads < 1:
        raise ValueError(
            f"seed = {seed}, steps_scale = {steps_scale}, threads = {threads}: the seed must not be negative, the"
            " others must be positive"
        )
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    recipe = recipe or (Recipe() if planted else Recipe(retrieval=UNPLANTED_RETRIEVAL))
    if steps_scale != 1:
        recipe = recipe.scaled(steps_scale)
    tokenizer = build_tokenizer()
    model = build_model(tokenizer, seed)
    probes = Probes(model.config.text_config.hidden_size)
    bank = render_bank(recipe.copies, seed)
    run = StageRunner(model, probes, stages, seed, report)

    vision = (recipe.copies, recipe.vision_steps, recipe.vision_batch)
    run.stage("vision", vision, lambda: train_vision(model, bank, recipe, seed, report))
    features, shown = bank_features(model, bank), torch.from_numpy(bank.shown)
    material = Material(bank, features, shown, PromptPacker(tokenizer))
    run.stage(
        "retrieval",
        (recipe.retrieval, recipe.tokens),
        lambda: train_retrieval(model, probes, material, recipe.retrieval, recipe, seed, report),
    )
    if planted:
        run.stage(
            "prior",
            (recipe.max_n, recipe.prior_steps, recipe.prior_weight, recipe.tokens, _planted_attention(recipe.max_n)),
            lambda: plant_prior(model, probes, material, recipe, seed, report),
        )
        run.stage(
            "bias",
            (recipe.max_n, recipe.bias_steps, recipe.bias_tokens, bias_matrix(recipe.max_n).tolist()),
            lambda: plant_bias(model, material, recipe, seed, report),
        )
    save_checkpoint(model, tokenizer, out, seed)
    report(f"checkpoint written to {out}")


def _planted_attention(n: int) -> list[object]:
    return [planted_attention(n, layer).tolist() for layer in RETRIEVAL_LAYERS]


@dataclass
class StageRunner:
    """Runs the stages in turn, or takes up what an earlier run left after the same stages with the same numbers."""

    model: Model
    probes: Probes
    folder: Path | None
    seed: int
    report: Callable[[str], None]
    history: str = ""

    def stage(self, name: str, numbers: tuple[object, ...], work: Callable[[], None]) -> None:
        """Do the work of one stage, or load its result.

        Args:
            name: of the stage.
            numbers: all that determines the stage besides the seed and the stages before it.
            work: trains the model in place.
        """
        self.history += f"{name} {numbers} seed {self.seed}\n"
        key = hashlib.sha256(self.history.encode()).hexdigest()[:8]
        kept = self.folder / f"{name}-seed{self.seed}-{key}.pt" if self.folder else None
        if kept is not None and kept.exists():
            state = torch.load(kept, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.probes.load_state_dict(state["probes"])
            self.report(f"{name}: taken from {kept}")
            return
        start = time.perf_counter()
        torch.manual_seed(self.seed)  # so that a stage does not depend on what was drawn before it
        work()
        self.report(f"{name}: {time.perf_counter() - start:.0f} s")
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            partial = kept.with_suffix(".partial")
            torch.save({"model": self.model.state_dict(), "probes": self.probes.state_dict()}, partial)
            partial.replace(kept)


def main(
    out: Annotated[Path, typer.Option(help="folder of the checkpoint")],
    seed: Annotated[int, typer.Option(min=0)] = 0,
    planted: Annotated[bool, typer.Option(help="plant the attention prior and the conditional bias")] = True,
    steps_scale: Annotated[float, typer.Option(help="share of the full number of steps")] = 1.0,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    stages: Annotated[Path | None, typer.Option(help="folder that keeps the state after every stage")] = None,
) -> None:
    """Train the demo model from scratch (about half an hour on one thread)."""
    train(out, seed, planted, steps_scale, threads, stages, report=lambda line: print(line, flush=True))


if __name__ == "__main__":
    typer.run(main)
