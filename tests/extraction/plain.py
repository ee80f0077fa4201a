"""The straightforward way, as an oracle: processor and eager model, one presentation at a time, nothing cached."""

from collections.abc import Sequence
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


def conversation(probe: Probe, shown: Presentation) -> list[dict]:
    content = [
        *({"type": "image", "image": picture} for picture in shown.pictures),
        {"type": "text", "text": probe.text(shown.n, shown.caption)},
    ]
    return [{"role": "user", "content": content}]


def model_inputs(backbone: Backbone, probe: Probe, shown: Presentation) -> dict[str, Tensor]:
    """What the whole processor makes of the whole presentation."""
    inputs = backbone.processor.apply_chat_template(
        conversation(probe, shown), add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    return dict(inputs.to(backbone.device))


def answered(inputs: dict[str, Tensor], answer: Sequence[int]) -> dict[str, Tensor]:
    """The same presentation with the first tokens of an answer behind the prompt."""
    prompt = inputs["input_ids"]
    more = torch.tensor([list(answer)], dtype=prompt.dtype, device=prompt.device)
    behind = {"input_ids": more, "attention_mask": torch.ones_like(more)}
    behind |= {name: torch.zeros_like(more) for name in ("token_type_ids", "mm_token_type_ids")}
    return inputs | {name: torch.cat([inputs[name], behind[name]], 1) for name in behind if name in inputs}


@torch.inference_mode()
def logits_and_head_attention(eager, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """(vocabulary,) logits of the next token and (layers, heads, T) attention of the last row."""
    output = eager(**inputs, output_attentions=True)
    attention = torch.stack([layer[0, :, -1] for layer in output.attentions])
    return output.logits[0, -1].cpu(), attention.cpu()


@torch.inference_mode()
def whole_attention(eager, inputs: dict[str, Tensor]) -> Tensor:
    """(layers, heads, T, T) attention of all tokens to all tokens."""
    return torch.stack([layer[0] for layer in eager(**inputs, output_attentions=True).attentions]).cpu()


@dataclass
class RowsRead:
    """What rows of the attention say of the candidates, by layer, head and candidate; scores of ICR by token."""

    query: Tensor
    suffix: Tensor
    token_sums: Tensor


def rows_read(attention: Tensor, segments: Tensor, query_places: Sequence[int], n: int) -> RowsRead:
    """From (layers, heads, T, T): the mean over the query's tokens, and over all behind the candidates."""
    behind = max(place for place, segment in enumerate(segments.tolist()) if segment < 2 * n) + 1
    query, suffix = attention[:, :, list(query_places)].mean(2), attention[:, :, behind:].mean(2)
    own = [segments == k for k in range(n)]
    of_candidates = (torch.stack([rows[..., places].sum(-1) for places in own], -1) for rows in (query, suffix))
    return RowsRead(*of_candidates, suffix.sum((0, 1)))


def filtered_sums(scores: Tensor, segments: Tensor, n: int) -> Tensor:
    """ICR's score of each candidate, token by token: what is two standard deviations below the mean is left out."""
    sums = []
    for k in range(n):
        own = scores[segments == k].double()
        spread = own.std(correction=1) if len(own) > 1 else torch.tensor(0.0)
        sums.append(sum(float(score) for score in own if score >= own.mean() - 2 * spread))
    return torch.tensor(sums)


def places_of(tokenizer, token_ids: Tensor, text: str) -> list[int]:
    """The last run of tokens that together write `text`, and nothing else but a space before it."""
    for end in range(len(token_ids), 0, -1):
        if not tokenizer.decode(token_ids[end - 1]).strip():
            continue
        for start in range(end - 1, -1, -1):
            written = tokenizer.decode(token_ids[start:end])
            if written.strip() == text:
                return list(range(start, end))
            if len(written.strip()) > len(text) + 8:
                break
    raise AssertionError(f"no tokens write {text!r}")


def logits_and_attention(eager, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """(vocabulary,) logits of the next token and (layers, T) head mean of the last row."""
    logits, attention = logits_and_head_attention(eager, inputs)
    return logits, attention.mean(1)


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


def expansions(backbone: Backbone, probe: Probe, shown: Presentation) -> list[list[int]]:
    """Token places of all that the processor wrote for each image, found by characters."""
    processor = backbone.processor
    text = processor.apply_chat_template(conversation(probe, shown), add_generation_prompt=True)
    output = processor(text=[text], images=[shown.pictures], return_text_replacement_offsets=True)
    replaced = output["text_replacement_offsets"][0]
    for expansion in reversed(replaced):
        start, end = expansion["span"]
        text = text[:start] + expansion["replacement"] + text[end:]
    tokens = processor.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    assert tokens["input_ids"] == model_inputs(backbone, probe, shown)["input_ids"][0].tolist()
    return [
        [
            place
            for place, (start, end) in enumerate(tokens["offset_mapping"])
            if expansion["new_span"][0] <= start and end <= expansion["new_span"][1]
        ]
        for expansion in replaced
    ]


def joint_log_probability(backbone: Backbone, eager, probe: Probe, shown: Presentation) -> Tensor:
    """Appendix B, spelled out, for the probe's own identifiers."""
    tokenizer = backbone.processor.tokenizer
    identifiers = [
        tokenizer(identifier, add_special_tokens=False)["input_ids"] for identifier in probe.identifiers(shown.n)
    ]
    return joint_log_probability_of(identifiers, tokenizer.eos_token_id, eager, model_inputs(backbone, probe, shown))


def joint_log_probability_of(
    identifiers: Sequence[Sequence[int]], eos: int, eager, inputs: dict[str, Tensor]
) -> Tensor:
    """Appendix B, spelled out: one full forward pass per step of each identifier, no cache, no trie."""
    answers = [[*identifier, eos] for identifier in identifiers]
    result = []
    for answer in answers:
        total = 0.0
        for step, token in enumerate(answer):
            before = answer[:step]
            valid = sorted({other[step] for other in answers if len(other) > step and other[:step] == before})
            if len(valid) > 1:
                logits, _ = logits_and_attention(eager, answered(inputs, before))
                total += float(logits[valid].log_softmax(-1)[valid.index(token)])
        result.append(total)
    return torch.tensor(result)
