"""What is to be done: the presentations with what they show, their prompts and fingerprints, and the batches.

Presentations of equal prompt length share a batch, so that nothing is padded and no mask is needed. The plan depends
on the presentations and the token budget alone: with the same budget on the same device, a rerun makes the same batches
and gets the same numbers. What follows free memory can move their last bits: a budget that nobody has set (by powers
of two, up to the device's cap), batches that had to be halved, and features that found no room and were encoded again.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lad.contracts import Keep
from lad.extraction.backbone import Backbone
from lad.extraction.finished import fingerprint
from lad.extraction.inputs import InputError, placeholder_of
from lad.extraction.prompt_tokens import Prompt, PromptBuilder, TextPromptBuilder
from lad.extraction.prompts import Probe


@dataclass(frozen=True)
class Asked:
    """A presentation with what it shows: the caption, and what stands at each position.

    Attributes:
        order: the candidate at each position, 1-based.
        files: the image file at each position; none where candidates are texts.
        texts: the text at each position; none where candidates are images.
    """

    presentation_id: str
    question_id: str
    order: tuple[int, ...]
    caption: str
    files: tuple[Path, ...] = ()
    texts: tuple[str, ...] = ()

    def asked_by(self, probe: Probe) -> str:
        """All the text that the presentation shows."""
        if self.texts:
            return probe.text_of_texts(self.texts, self.caption)[0]
        return probe.text(len(self.order), self.caption)


def folder_of(images: pa.Table, image_folder: Path | None) -> Path | None:
    """Where the files of the candidates lie; None where they are texts.

    Raises:
        ValueError: the candidates are images, and no folder is given.
    """
    if "text" in images.column_names:
        return None
    if image_folder is None:
        raise ValueError("the candidates are images: say where their files lie (image_folder, --image-folder FOLDER)")
    return image_folder


def join(images: pa.Table, image_folder: Path | None, questions: pa.Table, presentations: pa.Table) -> list[Asked]:
    """The presentations in their order, with what they show.

    Raises:
        ValueError: no presentation, presentations of several N, an unknown question or image, images without a folder.
    """
    folder = folder_of(images, image_folder)
    names = images["file_name" if folder else "text"].to_pylist()
    known_candidates = dict(zip(images["image_id"].to_pylist(), names, strict=True))
    known = {row["question_id"]: row for row in questions.to_pylist()}
    asked = []
    for row in presentations.to_pylist():
        question = known.get(row["question_id"])
        if question is None:
            raise ValueError(
                f"presentation {row['presentation_id']}: question {row['question_id']} is not in the table"
            )
        shown = [question["candidates"][candidate - 1] for candidate in row["order"]]
        if missing := [image_id for image_id in shown if image_id not in known_candidates]:
            raise ValueError(f"presentation {row['presentation_id']}: image {missing[0]} is not in the images table")
        asked.append(
            Asked(
                presentation_id=row["presentation_id"],
                question_id=row["question_id"],
                order=tuple(row["order"]),
                caption=question["caption"],
                files=tuple(folder / known_candidates[image_id] for image_id in shown) if folder else (),
                texts=() if folder else tuple(known_candidates[image_id] for image_id in shown),
            )
        )
    if not asked:
        raise ValueError("no presentations to extract")
    if len(sizes := {len(one.order) for one in asked}) > 1:
        raise ValueError(f"presentations with different N in one table: {sorted(sizes)}")
    return asked


def cannot_be_shown(asked: Sequence[Asked], fault: InputError) -> InputError:
    """The fault of an image, told with the first presentation that shows it."""
    showing = next((one.presentation_id for one in asked if fault.path in one.files), "?")
    return InputError(f"presentation {showing} cannot be shown: {fault}", fault.path)


def fingerprint_presentations(asked: Sequence[Asked], probe: Probe, recipe: Mapping[str, Any]) -> list[str]:
    """One fingerprint per presentation: of the recipe, the text, and the content of its images in order.

    Of a probe that draws texts at random also of the question and the order, which say what is drawn.

    Raises:
        InputError: an image is missing or cannot be read.
    """
    files = list(dict.fromkeys(file for one in asked for file in one.files))
    try:
        with ThreadPoolExecutor() as threads:  # reading and hashing release the interpreter
            content = dict(zip(files, threads.map(_digest, files), strict=True))
    except InputError as fault:
        raise cannot_be_shown(asked, fault) from None
    common = fingerprint(recipe)
    drawn = probe.generation is not None and probe.generation.drawn
    return [
        fingerprint(
            *(common, one.asked_by(probe), [content[file] for file in one.files]),
            *((one.question_id, one.order) if drawn else ()),
        )
        for one in asked
    ]


def _digest(file: Path) -> str:
    try:
        return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
    except FileNotFoundError:
        raise InputError(f"{file}: image missing", file) from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})", file) from None


def write_prompts(
    backbone: Backbone, probe: Probe, asked: Sequence[Asked], keep: Collection[Keep] = ()
) -> list[Prompt]:
    """The prompt of every presentation; of the images only their sizes are looked at.

    Raises:
        InputError: an image is missing, cannot be decoded or has proportions that the processor refuses.
    """
    if asked[0].texts:
        build_of_texts = TextPromptBuilder(backbone, probe, keep)
        return [_of_texts(build_of_texts, one) for one in asked]
    if not backbone.takes_images:
        raise InputError(f"checkpoint {backbone.checkpoint} takes no images; its candidates can only be texts")
    build = PromptBuilder(backbone, probe, keep)
    try:
        stand_in = {
            file: placeholder_of(backbone, file) for file in dict.fromkeys(file for one in asked for file in one.files)
        }
    except InputError as fault:
        raise cannot_be_shown(asked, fault) from None
    return [build(one.caption, [stand_in[file] for file in one.files]) for one in asked]


def count_beyond_context(
    backbone: Backbone, probe: Probe, asked: Sequence[Asked], prompts: Sequence[Prompt], *, allowed: bool
) -> int:
    """How many presentations are longer than the model's context window.

    Models answer beyond it as well, but what they do there is no habit of theirs. A generating probe's texts count with
    their greatest length.

    Raises:
        InputError: there are some, and they are not allowed; the longest is named.
    """
    most, written = backbone.context_window, probe.generation.new_tokens if probe.generation else 0
    lengths = [len(prompt.token_ids) + written for prompt in prompts]
    longest = max(range(len(lengths)), key=lengths.__getitem__)
    if most is None or lengths[longest] <= most:
        return 0
    beyond = sum(length > most for length in lengths)
    if allowed:
        return beyond
    prompt, text = lengths[longest] - written, f" and its text up to {written}" if written else ""
    files, tokens = asked[longest].files, prompts[longest].candidate_tokens
    largest = max(range(len(files)), key=tokens.__getitem__, default=None)
    of_it = "" if largest is None else f", {tokens[largest]} of them of {files[largest]}"
    others = f" ({beyond - 1} more are too long as well)" if beyond > 1 else ""
    raise InputError(
        f"presentation {asked[longest].presentation_id}{others}: the prompt has {prompt} tokens{of_it}{text}, the"
        f" model's context window {most}; show fewer candidates, smaller images (image_size, or max_pixels under"
        " processor) or shorter texts, or ask all the same (--beyond-context, in a configuration"
        " extraction.beyond_context: true)"
    )


def _of_texts(build: TextPromptBuilder, one: Asked) -> Prompt:
    try:
        return build(one.caption, one.texts)
    except InputError as fault:
        raise InputError(f"presentation {one.presentation_id} cannot be shown: {fault}") from None


def plan(lengths: Sequence[int], token_budget: int) -> Iterator[list[int]]:
    """Indices of presentations by batch: one length each, at most `token_budget` tokens unless alone, longest first."""
    by_length: dict[int, list[int]] = {}
    for index, length in enumerate(lengths):
        by_length.setdefault(length, []).append(index)
    for length in sorted(by_length, reverse=True):
        members, at_once = by_length[length], max(1, token_budget // length)
        for start in range(0, len(members), at_once):
            yield members[start : start + at_once]
