"""Hostile inputs for every reader: `python -m benchmarks.fuzz --inputs 10000`.

A small good input of each kind (`benchmarks.good_inputs`) is changed in one to three places, in its bytes or in its
values, and read. Allowed are a result and a refusal: an error of one line that a command prints (`lad.cli`). Everything
else is a fault: another exception, a message of several lines, a reader that dies or takes half a minute. It is listed
with the number that makes the same input again. Readers run in a process of their own: a library in C may take it down.
"""

import argparse
import copy
import io
import json
import multiprocessing
import random
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import yaml

from benchmarks import good_inputs
from lad import bundle, contracts, parquet, pictures
from lad.benchmark.formats import FromFiles, Listed, caption_pairs, coco, flickr8k, parse_dataset
from lad.config import read_configuration
from lad.report.artifacts.table_ranking import read_published

REFUSALS: Final = (ValueError, OSError)
"""What the command line prints as one line."""

_SECONDS: Final = 30
_MEMORY: Final = 8 << 30
_ODD: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1.5, 2**31, 2**40, 2**63, 2**64, -(2**63) - 1, 10**30, float("nan"), float("inf")),
    *("", " ", "\0", "\ud800", "\u202e", "../x", "/etc/passwd", "a" * 5000, "{n}", "null", "1", "é\n\r\u2028"),
    *([], {}, [[]], [None], {"id": None}, [[[[[]]]]], {"": ""}),
)
"""Values in place of others."""


@dataclass(frozen=True)
class Reader:
    """One kind of input.

    Attributes:
        write: write a good input into a folder and return the file that is changed.
        read: read it as a command does.
        load, dump: between its bytes and values that can be changed one by one; None where only bytes can be.
        named: what a refusal may begin with in place of naming the file.
    """

    write: Callable[[Path], Path]
    read: Callable[[Path], object]
    load: Callable[[bytes], Any] | None = None
    dump: Callable[[Any], bytes] | None = None
    named: tuple[str, ...] = ()


# --- readers ---------------------------------------------------------------------------------------------------


def _read_coco(path: Path) -> pa.Table:
    folder = path.parent
    return coco.read_images(folder / "captions.json", folder / "images", folder / "instances.json")


def _show(path: Path) -> object:
    pictures.shown_size(path)
    return pictures.read_picture(path)


def _dataset(format: str, setting: str, n: int, **keys: str) -> Callable[[Path], object]:
    """Images table, questions and lists of a dataset with questions of its own, as commands make them.

    Args:
        keys: those of the format; files are relative to the folder of the input, which "." is.
    """

    def read(folder: Path) -> None:
        here = {key: value if value.isdecimal() else str(folder / value) for key, value in keys.items()}
        dataset = parse_dataset(format, here)
        assert isinstance(dataset, FromFiles)
        images = dataset.read_images([setting]).table
        parquet.write(images, folder / "made" / "images.parquet", contracts.IMAGES)
        asked: dict[str, Any] = {"dataset": "d", "setting": setting, "n": n, "seed": 0}
        questions = dataset.build_questions(images, **asked, evaluation=9, calibration=1)
        parquet.write(questions, folder / "made" / "questions.parquet", contracts.QUESTIONS)
        if isinstance(dataset, Listed) and dataset.has_lists:
            lists = dataset.build_lists(images, setting=setting)
            parquet.write(lists, folder / "made" / "lists.parquet", contracts.LISTS)

    return lambda path: read(path.parent if path.parent.name != "qrels" else path.parents[1])


_LINES: Final = (good_inputs.of_lines, good_inputs.as_lines)
_PARQUET: Final = (good_inputs.of_parquet, good_inputs.as_parquet)
_ASKED: Final = ("task ", "setting ")
"""What a refusal to build questions names: the file was read before."""

_WITH_RUN: Final = {"collection": ".", "run": "run.trec"}
_PAGES: Final = {"annotations": "annotations.jsonl", "data": "pages.parquet", "images": "images"}

_DATASETS: Final = {
    "mmiu": Reader(
        good_inputs.mmiu,
        _dataset("mmiu", "odd", 4, annotations="all.json", images="images"),
        json.loads,
        good_inputs.as_json,
        _ASKED,
    ),
    "texts": Reader(good_inputs.texts, _dataset("jsonl", "questions", 3, questions="questions.jsonl"), *_LINES, _ASKED),
    "blink": Reader(
        good_inputs.blink,
        _dataset("blink", "Forensic_Detection", 4, data="blink.parquet", images="images"),
        *_PARQUET,
        _ASKED,
    ),
    "muir_bench": Reader(
        good_inputs.muir_bench,
        _dataset("muir_bench", "image_text_matching", 2, data="muir_bench.parquet", images="images"),
        *_PARQUET,
        _ASKED,
    ),
    "winoground": Reader(
        good_inputs.winoground,
        _dataset("winoground", "all", 2, data="winoground.parquet", images="images"),
        *_PARQUET,
        _ASKED,
    ),
    "winoground lines": Reader(
        good_inputs.winoground_lines,
        _dataset("winoground", "Object", 2, data="examples.jsonl", images="images"),
        *_LINES,
        _ASKED,
    ),
    "reward_bench": Reader(
        good_inputs.reward_bench,
        _dataset("reward_bench", "Reasoning", 2, preferences="filtered.parquet"),
        *_PARQUET,
        _ASKED,
    ),
    "reward_bench version 2": Reader(
        good_inputs.reward_bench_2,
        _dataset("reward_bench", "all", 3, preferences="version2.parquet"),
        *_PARQUET,
        _ASKED,
    ),
    "mt_bench": Reader(
        good_inputs.mt_bench, _dataset("mt_bench", "turn1", 2, judgments="human.parquet"), *_PARQUET, _ASKED
    ),
    "mt_bench list": Reader(
        good_inputs.mt_bench_list,
        _dataset("mt_bench", "turn1", 2, judgments="human.json"),
        json.loads,
        good_inputs.as_json,
        _ASKED,
    ),
    "mmlu": Reader(good_inputs.mmlu, _dataset("mmlu", "logic", 4, questions="mmlu.parquet"), *_PARQUET, _ASKED),
    "mmlu subject": Reader(
        good_inputs.mmlu_subject,
        _dataset("mmlu", "all", 3, questions="logic_val.csv"),
        good_inputs.of_csv,
        good_inputs.as_csv,
        _ASKED,
    ),
    "lists": Reader(
        good_inputs.lists, _dataset("jsonl", "questions", 3, questions="lists.jsonl", depth="20"), *_LINES, _ASKED
    ),
    **{
        f"beir {name}": Reader(good_inputs.beir(file), _dataset("beir", "test", 2, collection="."), *_LINES, _ASKED)
        for name, file in (("corpus", "corpus.jsonl"), ("queries", "queries.jsonl"))
    },
    "beir judgments": Reader(
        good_inputs.beir_judgments,
        _dataset("beir", "test", 2, **_WITH_RUN),
        good_inputs.of_tabs,
        good_inputs.with_tabs,
        _ASKED,
    ),
    "trec run": Reader(
        good_inputs.beir("run.trec"),
        _dataset("beir", "test", 2, **_WITH_RUN),
        good_inputs.of_spaces,
        good_inputs.with_spaces,
        _ASKED,
    ),
    "mmdocir annotations": Reader(good_inputs.mmdocir, _dataset("mmdocir", "pages", 2, **_PAGES), *_LINES, _ASKED),
    "mmdocir pages": Reader(good_inputs.mmdocir_pages, _dataset("mmdocir", "pages", 2, **_PAGES), *_PARQUET, _ASKED),
}

READERS: Final = {
    "coco captions": Reader(good_inputs.coco, _read_coco, json.loads, good_inputs.as_json),
    "coco instances": Reader(good_inputs.coco_instances, _read_coco, json.loads, good_inputs.as_json),
    "caption pairs": Reader(good_inputs.coco, caption_pairs.read_pairs, json.loads, good_inputs.as_json),
    "flickr8k": Reader(good_inputs.flickr8k, lambda path: flickr8k.read_images(path, path.parent / "images")),
    **_DATASETS,
    "published numbers": Reader(
        good_inputs.published,
        lambda path: read_published(path, {"ranked"}),
        good_inputs.of_csv,
        good_inputs.as_csv,
    ),
    "signals": Reader(good_inputs.signals, lambda path: parquet.read(path, contracts.SIGNALS)),
    "bundle": Reader(good_inputs.bundled, lambda path: bundle.unpack(path, path.parent / "unpacked")),
    "configuration": Reader(
        good_inputs.configuration, read_configuration, yaml.safe_load, good_inputs.as_yaml, ("configuration",)
    ),
    **{
        f"picture ({suffix})": Reader(good_inputs.turned(suffix), _show)
        for suffix in ("jpg", "png", "webp", "tiff", "gif", "bmp")
    },
}


# --- changes ---------------------------------------------------------------------------------------------------


def changed(reader: Reader, good: bytes, chance: random.Random) -> bytes:
    """The good input, changed in one to three places."""
    data = good
    for _ in range(chance.randint(1, 3)):
        if reader.load is not None and reader.dump is not None and chance.random() < 0.7:
            try:
                data = reader.dump(_with_odd_value(reader.load(data), chance))
                continue
            # What was changed before may be past loading or dumping.
            except Exception:
                pass
        data = _with_odd_bytes(data, chance)
    return data


def _with_odd_value(values: Any, chance: random.Random) -> Any:
    values = copy.deepcopy(values)
    places = list(_places(values))
    if not places:
        return chance.choice(_ODD)
    holder, key = chance.choice(places)
    match chance.choice(("odd", "odd", "odd", "delete", "copy", "swap", "add")):
        case "odd":
            holder[key] = chance.choice(_ODD)
        case "delete":
            del holder[key]
        case "copy":
            other, place = chance.choice(places)
            holder[key] = copy.deepcopy(other[place])
        case "swap":
            holder[key] = str(holder[key]) if not isinstance(holder[key], str) else [holder[key]]
        case "add" if isinstance(holder, dict):
            holder[chance.choice(("more", "", "id", "n"))] = chance.choice(_ODD)
        case _:
            holder.append(chance.choice(_ODD)) if isinstance(holder, list) else None
    return values


def _places(values: Any) -> Iterator[tuple[Any, Any]]:
    """Every holder and key below a value."""
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        yield values, key
        yield from _places(value)


def _with_odd_bytes(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    match chance.choice(("flip", "flip", "cut", "insert", "delete", "repeat", "zeros")):
        case "flip" if at < len(data):
            return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
        case "cut":
            return data[:at]
        case "insert":
            return data[:at] + chance.randbytes(chance.randint(1, 8)) + data[at:]
        case "delete":
            return data[:at] + data[at + chance.randint(1, 16) :]
        case "repeat":
            return data[:at] + data[max(0, at - 20) :]
        case _:
            return data[:at] + b"\0" * 4 + data[at + 4 :]


# --- reading ---------------------------------------------------------------------------------------------------


def outcome(reader: Reader, path: Path) -> str:
    """`read`, `refused`, or what went wrong."""
    try:
        reader.read(path)
    except REFUSALS as error:
        message = str(error)
        if len(message.splitlines()) == 1 and (str(path.parent) in message or message.startswith(reader.named)):
            return "refused"
        return f"a refusal of {len(message.splitlines())} lines, or without the file: {message[:300]!r}"
    # Whatever else comes is what we look for.
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {str(error)[:200]!r}"
    return "read"


def run(name: str, numbers: range, folder: Path) -> Iterator[tuple[int, str]]:
    """The outcome of each of these inputs of a reader."""
    reader = READERS[name]
    template = reader.write(good_inputs.made(folder / "good"))
    good = template.read_bytes()
    for number in numbers:
        case = folder / str(number)
        shutil.copytree(folder / "good", case)
        path = case / template.relative_to(folder / "good")
        path.write_bytes(changed(reader, good, random.Random(f"{name} {number}")))
        yield number, outcome(reader, path)
        shutil.rmtree(case)


def _in_process(name: str, numbers: range, folder: Path, said: Any) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    warnings.simplefilter("ignore")
    sys.stderr = io.StringIO()
    for result in run(name, numbers, folder):
        said.send(result)


def fuzz(name: str, inputs: int) -> dict[int, str]:
    """The outcomes of so many inputs of a reader, by number; a process that dies is begun again behind the input."""
    found: dict[int, str] = {}
    while len(found) < inputs:
        first = len(found)
        with tempfile.TemporaryDirectory() as folder:
            hear, say = multiprocessing.Pipe(duplex=False)
            work = (name, range(first, inputs), Path(folder), say)
            process = multiprocessing.get_context("fork").Process(target=_in_process, args=work)
            process.start()
            say.close()
            try:
                while len(found) < inputs and hear.poll(_SECONDS):
                    number, told = hear.recv()
                    found[number] = told
                if len(found) < inputs:
                    found[len(found)] = f"no answer within {_SECONDS} s"
            except EOFError:
                process.join()
                found[len(found)] = f"the process died ({process.exitcode})"
            finally:
                process.kill()
                process.join()
    return found


def main(inputs: int, only: str | None) -> int:
    """Print a table of outcomes and each fault once; the number of faults."""
    faults: dict[str, list[str]] = {}
    for name in READERS:
        if only and only not in name:
            continue
        found = fuzz(name, -(-inputs // len(READERS)))
        kinds = Counter(told if told in ("read", "refused") else "fault" for told in found.values())
        print(f"{name}: {len(found)} inputs, {kinds['read']} read, {kinds['refused']} refused, {kinds['fault']} faults")
        for number, told in found.items():
            if told not in ("read", "refused"):
                faults.setdefault(told, []).append(f"{name} {number}")
    for told, cases in faults.items():
        print(f"{len(cases)} x {told}\n    {', '.join(cases[:5])}")
    return sum(map(len, faults.values()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--only", help="readers with this in their name")
    given = parser.parse_args()
    sys.exit(main(given.inputs, given.only) > 0)
