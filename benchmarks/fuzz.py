"""Hostile inputs for every reader: `python -m benchmarks.fuzz --inputs 10000`.

A small good input of each kind is changed in one to three places, in its bytes or in its values, and read. Allowed are
a result and a refusal: an error of one line that a command prints (`lad.cli.main`). Everything else is a fault: another
exception, a message of several lines, a reader that dies or takes half a minute. It is listed with the number that
makes the same input again. Readers run in a process of their own: a library in C may take it down.
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

import numpy as np
import pyarrow as pa
import yaml
from PIL import Image

from lad import bundle, contracts, parquet, pictures
from lad.benchmark import chosen_images, lines
from lad.benchmark.formats import caption_pairs, coco, flickr8k, mmiu
from lad.config import read_configuration

REFUSALS: Final = (ValueError, OSError)
"""What the command line prints as one line."""

_DEMO: Final = Path(__file__).parents[1] / "config" / "config.yaml"
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
    """

    write: Callable[[Path], Path]
    read: Callable[[Path], object]
    load: Callable[[bytes], Any] | None = None
    dump: Callable[[Any], bytes] | None = None


# --- good inputs -----------------------------------------------------------------------------------------------


def _json(values: Any) -> bytes:
    return json.dumps(values).encode()


def _yaml(values: Any) -> bytes:
    return yaml.safe_dump(values, allow_unicode=True).encode(errors="surrogatepass")


def _lines(values: Any) -> bytes:
    return b"\n".join(map(_json, values if isinstance(values, list) else [values]))


def _of_lines(text: bytes) -> Any:
    return [json.loads(line) for line in text.splitlines()]


def _picture(path: Path, shade: int = 0, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 8), (shade, 90, 30)).save(path, **options)


def _coco(folder: Path) -> Path:
    for image_id in (1, 2, 3):
        _picture(folder / "images" / f"{image_id}.png", image_id)
    header = {
        "info": {"version": "1.0"},
        "licenses": [{"id": 7, "name": "CC BY 2.0", "url": "by"}],
        "images": [
            {"id": k, "file_name": f"{k}.png", "width": 12, "height": 8, "license": 7, "flickr_url": "f"}
            for k in (1, 2, 3)
        ],
    }
    captions = [{"id": k, "image_id": 1 + k % 3, "caption": f"caption {k} of words"} for k in range(6)]
    objects = [{"id": k, "image_id": 1 + k % 3, "category_id": 5 + k} for k in range(4)]
    (folder / "captions.json").write_bytes(_json({**header, "annotations": captions}))
    (folder / "instances.json").write_bytes(_json({**header, "annotations": objects}))
    return folder / "captions.json"


def _instances(folder: Path) -> Path:
    return _coco(folder).with_name("instances.json")


def _read_coco(path: Path) -> pa.Table:
    folder = path.parent
    return coco.read_images(folder / "captions.json", folder / "images", folder / "instances.json")


def _flickr8k(folder: Path) -> Path:
    names = ("1000268201_693b08cb0e.jpg", "997722733_0cb5439472.jpg")
    for name in names:
        _picture(folder / "images" / name)
    lines = [f"{name}#{number}\tA caption . {number}\n" for name in names for number in range(3)]
    (folder / "captions.txt").write_text("".join(lines))
    return folder / "captions.txt"


def _mmiu(folder: Path) -> Path:
    entries: list[dict[str, Any]] = []
    for number in range(3):
        paths = [f"odd/{number}_{k}.png" for k in range(4)]
        for k, path in enumerate(paths):
            _picture(folder / "images" / path, 10 * number + k)
        options = "\n".join(f"{letter}: the {word} image" for letter, word in zip("ABCD", _WORDS, strict=True))
        entries.append(
            {"task": "odd", "question": "Which is odd?", "options": options, "output": "B", "input_image_path": paths}
        )
    (folder / "all.json").write_bytes(_json(entries))
    return folder / "all.json"


_WORDS: Final = ("first", "second", "third", "fourth")


def _texts(folder: Path) -> Path:
    lines = [{"query": f"query {k}", "candidates": ["a", f"b {k}", "c"], "target": 2, "id": k} for k in range(4)]
    (folder / "questions.jsonl").write_bytes(_lines(lines))
    return folder / "questions.jsonl"


def _signals(folder: Path) -> Path:
    path = folder / "signals.parquet"
    parquet.write(_signals_table(), path, contracts.SIGNALS, {"model": "m", "versions": {"torch": "2"}})
    return path


def _signals_table() -> pa.Table:
    rng, n = np.random.default_rng(0), 3
    orders = [[int(c) + 1 for c in rng.permutation(n)] for _ in range(4)]
    rows = [
        {
            "presentation_id": f"evaluation-{k}",
            "question_id": f"q-{k // 2}",
            "split": "evaluation",
            "round": k % 2,
            "order": order,
            "target_position": 1 + order.index(2),
            "n_candidates": n,
            **{
                name: rng.normal(size=n).tolist()
                for name in ("identifier_logits", "processed_logits", "candidate_logprobs")
            },
            **{name: rng.random((2, n)).tolist() for name in ("candidate_attention", "delimiter_attention")},
            "candidate_tokens": [4] * n,
            "prompt_tokens": 40,
            "generated_text": "2",
        }
        for k, order in enumerate(orders)
    ]
    return parquet.from_rows(rows, contracts.SIGNALS)


def _bundle(folder: Path) -> Path:
    cell = "model=m/dataset=d/setting=random/n=3/probe=vanilla/split=evaluation"
    _signals(folder).rename(_made(folder / "results" / "signals" / cell) / "signals.parquet")
    bundle.write_bundle(folder / "results", folder / "signals.tar")
    return folder / "signals.tar"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _configuration(folder: Path) -> Path:
    path = folder / "config.yaml"
    path.write_bytes(_DEMO.read_bytes())
    return path


def _turned(suffix: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        exif = Image.Exif()
        exif[0x0112], exif[0x011A] = 6, 72.0
        _picture(folder / f"picture.{suffix}", exif=exif)
        return folder / f"picture.{suffix}"

    return write


def _show(path: Path) -> object:
    pictures.shown_size(path)
    return pictures.read_picture(path)


READERS: Final = {
    "coco captions": Reader(_coco, _read_coco, json.loads, _json),
    "coco instances": Reader(_instances, _read_coco, json.loads, _json),
    "caption pairs": Reader(_coco, caption_pairs.read_pairs, json.loads, _json),
    "flickr8k": Reader(_flickr8k, lambda path: flickr8k.read_images(path, path.parent / "images")),
    "mmiu": Reader(
        _mmiu,
        lambda p: chosen_images.images_of(mmiu.read_annotations(p, p.parent / "images", ["odd"]), p.parent / "images"),
        json.loads,
        _json,
    ),
    "texts": Reader(_texts, lines.read_lines, _of_lines, _lines),
    "signals": Reader(_signals, lambda path: parquet.read(path, contracts.SIGNALS)),
    "bundle": Reader(_bundle, lambda path: bundle.unpack(path, path.parent / "unpacked")),
    "configuration": Reader(_configuration, read_configuration, yaml.safe_load, _yaml),
    **{
        f"picture ({suffix})": Reader(_turned(suffix), _show) for suffix in ("jpg", "png", "webp", "tiff", "gif", "bmp")
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
        if len(message.splitlines()) == 1 and (
            str(path) in message or "configuration" in message or path.parent.name in message
        ):
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
    template = reader.write(_made(folder / "good"))
    good = template.read_bytes()
    for number in numbers:
        case = folder / str(number)
        shutil.copytree(folder / "good", case)
        path = case / template.name
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
