"""Every type of transformers' image-text-to-text and causal language models: is it read out as eager attention has it?

`python -m benchmarks.families` builds a tiny random checkpoint of each type that `benchmarks.architectures` describes,
with its own processor class, and compares ours with the processor's prompts and with eager attention, on presentations
of twelve images; `benchmarks.text_families` does the same for models of texts. It writes the verdicts to
docs/families.md. Nothing is typed by hand but why a type is not described.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import torch
from PIL import Image
from torch import Tensor
from transformers import CONFIG_MAPPING, AutoModelForImageTextToText, ProcessorMixin
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES, processor_class_from_name
from transformers.utils import logging as transformers_logging

from benchmarks import architectures, text_families
from benchmarks.straightforward import last_row, processed
from benchmarks.verdicts import Differences, Verdict, largest, log_probabilities, reason_of
from lad.extraction.backbone import Backbone, BackboneError, load_backbone, load_processor
from lad.extraction.batch import Batch, collate
from lad.extraction.checkpoint import refuse_other_attention
from lad.extraction.forward import answer_trie, read_batch
from lad.extraction.inputs import encode, prepare
from lad.extraction.prompt_tokens import PromptBuilder
from lad.extraction.prompts import PROBES, Probe

PAGE: Final = Path(__file__).parents[1] / "docs" / "families.md"
OF_TEXTS: Final = "## Texts\n"
_HEAD: Final = "| type | verdict | attention | logits | reason |\n|---|---|---|---|---|\n"
CAPTION: Final = "a red circle"
SIZES: Final = ((120, 60), (50, 64), (56, 56))
"""Widths and heights: wide, high and square, so that one prompt shows images of several numbers of tokens."""
N: Final = 12
"""Candidates: some identifiers have two digits, hence two tokens."""
ORDERS: Final = (tuple(range(N)), (3, 4, 1, 0, 2, 11, 7, 5, 6, 10, 8, 9))

UNDESCRIBED: Final[dict[str, str]] = {
    "gemma3n": "its vision tower is timm's",
    "perception_lm": "its vision tower is timm's",
    "mistral3": "its processor needs torchvision, which these checks do without",
    "minicpm_ocr": "its processor asks for that of videos, which needs torchvision, and numbers the images of a prompt",
    "minicpmv4_6": "its processor asks for that of videos, which needs torchvision, and numbers the images of a prompt",
    "minicpmv4_7": "its processor asks for that of videos, which needs torchvision, and numbers the images of a prompt",
    "evolla": "shows proteins, not images",
    "pi0": "writes a robot's movements, not text",
    "diffusion_gemma": "writes by diffusion, not token by token",
}
"""Why a type has no tiny checkpoint here, where that cannot be told from transformers' tables."""


class OtherPromptError(Exception):
    """Ours is not the processor's prompt."""


def compare(checkpoint: Path) -> Differences:
    """Ours, both orders in one batch, against the processor and eager attention, one order at a time.

    Raises:
        BackboneError: the checkpoint is refused.
        OtherPromptError: the processor makes another prompt of the whole presentation.
    """
    backbone, probe = load_backbone(checkpoint), PROBES["vanilla"]
    eager = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32, attn_implementation="eager")
    eager.eval().requires_grad_(False)
    files = _write_pictures(checkpoint / "pictures")
    batch = _batch(backbone, probe, files)
    trie = answer_trie(backbone, probe.identifiers(N))
    signals = read_batch(backbone, batch, trie)
    attention = torch.cat([signals.candidate_attention, signals.delimiter_attention], 2)
    assert signals.identifier_logits is not None
    assert signals.candidate_logprobs is not None
    of_attention, of_logits = [], []
    for row, order in enumerate(ORDERS):
        inputs = _processed(backbone, probe, [files[k] for k in order])
        if not batch.token_ids[row].equal(inputs["input_ids"][0]):
            raise OtherPromptError(f"{checkpoint.name}: the processor's prompt is another one")
        logits, rows = last_row(eager, inputs)
        sums = torch.stack([rows[:, batch.segments[row] == k].sum(-1) for k in range(2 * N)], -1)
        of_attention.append(attention[row] - sums)
        of_logits.append(signals.identifier_logits[row] - logits[0, trie.first_tokens])
        of_logits.append(signals.candidate_logprobs[row] - log_probabilities(eager, inputs, logits, trie))
    own = signals.candidate_attention
    spread = float((own[0] - own[1][..., list(ORDERS[1]).index(0)][..., None]).abs().max())
    return Differences(largest(of_attention), largest(of_logits), spread)


def _write_pictures(folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    files = [folder / f"{k}.png" for k in range(N)]
    for k, file in enumerate(files):
        width, height = SIZES[k % len(SIZES)]
        pixels = torch.randint(0, 256, (height // 4, width // 4, 3), generator=generator, dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).resize((width, height)).save(file)
    return files


def _batch(backbone: Backbone, probe: Probe, files: Sequence[Path]) -> Batch:
    prepared = [prepare(backbone, file) for file in files]
    encoded, build = encode(backbone, prepared), PromptBuilder(backbone, probe)
    prompts = [build(CAPTION, [prepared[k].placeholder for k in order]) for order in ORDERS]
    return collate(prompts, [[encoded[k] for k in order] for order in ORDERS])


def _processed(backbone: Backbone, probe: Probe, files: Sequence[Path]) -> dict[str, Tensor]:
    inputs = processed(backbone, probe, CAPTION, [Image.open(file) for file in files])
    return {name: value for name, value in inputs.items() if name != "labels"}


def described() -> dict[str, list[str]]:
    """The names of the families of each type."""
    names: dict[str, list[str]] = {}
    for name, family in {**architectures.FAMILIES, **architectures.REFUSED}.items():
        names.setdefault(family.type or name, []).append(name)
    return names


def verdicts() -> Iterator[Verdict]:
    """One for each type of transformers' mapping, in alphabetical order."""
    names = described()
    for kind in sorted(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES):
        with tempfile.TemporaryDirectory() as folder:
            yield measured(kind, names[kind], Path(folder)) if kind in names else undescribed(kind, Path(folder))


def measured(kind: str, names: Sequence[str], folder: Path) -> Verdict:
    """The verdict on a type that has tiny checkpoints: the largest differences of all of them."""
    try:
        found = [compare(architectures.build(name, folder)) for name in names]
    except BackboneError as error:
        return Verdict(kind, "refused", reason=reason_of(error))
    except OtherPromptError as error:
        return Verdict(kind, "differs", reason=str(error))
    worst = Differences(
        max(own.attention for own in found), max(own.logits for own in found), min(own.spread for own in found)
    )
    return Verdict(kind, "equal" if all(own.equal for own in found) else "differs", worst)


def undescribed(kind: str, folder: Path) -> Verdict:
    """The verdict on a type that has none: refused where loading would refuse its configuration, else not built."""
    config = CONFIG_MAPPING[kind]()
    try:
        refuse_other_attention(kind, config)
        if kind not in PROCESSOR_MAPPING_NAMES:
            config.save_pretrained(folder)
            load_processor(folder)
    except BackboneError as error:
        return Verdict(kind, "refused", reason=reason_of(error))
    if kind in UNDESCRIBED:
        reason = UNDESCRIBED[kind]
    elif kind in PROCESSOR_MAPPING_NAMES and not _tells_what_it_writes(PROCESSOR_MAPPING_NAMES[kind]):
        reason = "not yet described; its processor does not tell what it writes for an image, which loading needs"
    elif "pil" not in IMAGE_PROCESSOR_MAPPING_NAMES.get(kind, {"pil": ""}):
        reason = "its image processor needs torchvision, which these checks do without"
    else:
        reason = "not yet described"
    return Verdict(kind, "not built", reason=reason)


def _tells_what_it_writes(processor: str) -> bool:
    method = getattr(processor_class_from_name(processor), "replace_image_token", None)
    return method is not None and method is not ProcessorMixin.replace_image_token


def page(found: Sequence[Verdict], found_of_texts: Sequence[Verdict]) -> str:
    """docs/families.md: its words as they are, and both tables."""
    above, _, below_it = PAGE.read_text(encoding="utf-8").partition(_HEAD)
    between = OF_TEXTS + below_it.partition(OF_TEXTS)[2].partition(_HEAD)[0]
    return above + _table(found) + "\n" + between + _table(found_of_texts)


def _table(found: Sequence[Verdict]) -> str:
    return _HEAD + "".join(f"{verdict.row}\n" for verdict in found)


def _told(verdicts: Iterable[Verdict]) -> list[Verdict]:
    told = []
    for verdict in verdicts:
        print(verdict.row, flush=True)
        told.append(verdict)
    return told


def main() -> None:
    """Measure all and write the page."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(1)
    PAGE.write_text(page(_told(verdicts()), _told(text_families.verdicts())), encoding="utf-8")


if __name__ == "__main__":
    main()
