"""The straightforward way, as an oracle: processor and eager model, one presentation at a time, nothing cached."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import torch
from torch import Tensor

from lad.extraction.backbone import Backbone
from lad.extraction.inputs import open_image
from lad.extraction.prompts import Probe


@dataclass
class Presentation:
    caption: str
    pictures: list
    n: int


def presentations(images: pa.Table, folder: Path, questions: pa.Table, table: pa.Table) -> list[Presentation]:
    files = dict(zip(images["image_id"].to_pylist(), images["file_name"].to_pylist(), strict=True))
    by_id = {row["question_id"]: row for row in questions.to_pylist()}
    found = []
    for row in table.to_pylist():
        question = by_id[row["question_id"]]
        shown = [question["candidates"][candidate - 1] for candidate in row["order"]]
        pictures = [open_image(folder / files[image_id], None) for image_id in shown]
        found.append(Presentation(question["caption"], pictures, row["n_candidates"]))
    return found


def model_inputs(backbone: Backbone, probe: Probe, shown: Presentation, answer: str = "") -> dict[str, Tensor]:
    content = [
        *({"type": "image"} for _ in shown.pictures),
        {"type": "text", "text": probe.text(shown.n, shown.caption)},
    ]
    text = backbone.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = backbone.processor(text=[text + answer], images=shown.pictures, return_tensors="pt")
    return dict(inputs.to(backbone.device))


@torch.inference_mode()
def logits_and_attention(eager, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """(vocabulary,) logits of the next token and (layers, T) head mean of the last row."""
    output = eager(**inputs, output_attentions=True)
    attention = torch.stack([layer[0, :, -1].mean(0) for layer in output.attentions])
    return output.logits[0, -1].cpu(), attention.cpu()


def image_spans(inputs: dict[str, Tensor], image_token: int, n: int) -> list[list[int]]:
    """Token places of each image: runs of the placeholder token."""
    ids = inputs["input_ids"][0].tolist()
    spans: list[list[int]] = []
    for place, token in enumerate(ids):
        if token == image_token:
            if place and ids[place - 1] == image_token:
                spans[-1].append(place)
            else:
                spans.append([place])
    assert len(spans) == n
    return spans


def joint_log_probability(backbone: Backbone, eager, probe: Probe, shown: Presentation) -> Tensor:
    """Appendix B, spelled out: one full forward pass per step of each identifier, no cache, no trie."""
    tokenizer = backbone.processor.tokenizer
    answers = [
        [*tokenizer(identifier, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        for identifier in probe.identifiers(shown.n)
    ]
    result = []
    for answer in answers:
        total = 0.0
        for step, token in enumerate(answer):
            before = answer[:step]
            valid = sorted({other[step] for other in answers if len(other) > step and other[:step] == before})
            if len(valid) > 1:
                inputs = model_inputs(backbone, probe, shown, tokenizer.decode(before))
                assert inputs["input_ids"][0, -step:].tolist() == before or step == 0
                logits, _ = logits_and_attention(eager, inputs)
                total += float(logits[valid].log_softmax(-1)[valid.index(token)])
        result.append(total)
    return torch.tensor(result)
