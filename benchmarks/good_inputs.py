"""Small good inputs of every reader, which `benchmarks.fuzz` changes: each is written into a folder, and the file that
is changed is returned. Beside them, how the bytes of a kind of file become values that can be changed, and bytes again.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from lad import contracts, parquet
from lad.bundle import write_bundle
from lad.report.artifacts.table_ranking import COLUMNS as PUBLISHED

_DEMO: Final = Path(__file__).parents[1] / "config" / "config.yaml"


# --- between bytes and values ----------------------------------------------------------------------------------


def as_json(values: Any) -> bytes:
    return json.dumps(values).encode()


def as_yaml(values: Any) -> bytes:
    return yaml.safe_dump(values, allow_unicode=True).encode(errors="surrogatepass")


def as_lines(values: Any) -> bytes:
    return b"\n".join(map(as_json, values if isinstance(values, list) else [values]))


def of_lines(text: bytes) -> Any:
    return [json.loads(line) for line in text.splitlines()]


def as_csv(values: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(values)
    return text.getvalue().encode(errors="surrogatepass")


def of_csv(text: bytes) -> Any:
    return list(csv.reader(io.StringIO(text.decode(), newline="")))


def with_tabs(values: Any) -> bytes:
    return "\n".join("\t".join(map(str, row)) for row in values).encode(errors="surrogatepass")


def of_tabs(text: bytes) -> Any:
    return [line.split("\t") for line in text.decode().split("\n")]


def with_spaces(values: Any) -> bytes:
    return with_tabs(values).replace(b"\t", b" ")


def of_spaces(text: bytes) -> Any:
    return [line.split() for line in text.decode().split("\n")]


def as_parquet(rows: Any) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    file = io.BytesIO()
    pq.write_table(pa.table({name: _column([row.get(name) for row in rows]) for name in names}), file)
    return file.getvalue()


def of_parquet(content: bytes) -> Any:
    return pq.read_table(io.BytesIO(content)).to_pylist()


def _column(values: list[Any]) -> pa.Array:
    """Of the type that pyarrow infers. A column has one: where a value was changed to another, all are that value."""
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError):
        kinds = Counter(map(type, values))
        odd = next(value for value in values if kinds[type(value)] == min(kinds.values()))
        return pa.array([odd] * len(values))


# --- images and their captions -----------------------------------------------------------------------------------


def _bytes(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _picture(path: Path, shade: int = 0, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 8), (shade, 90, 30)).save(path, **options)


def coco(folder: Path) -> Path:
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
    (folder / "captions.json").write_bytes(as_json({**header, "annotations": captions}))
    (folder / "instances.json").write_bytes(as_json({**header, "annotations": objects}))
    return folder / "captions.json"


def coco_instances(folder: Path) -> Path:
    return coco(folder).with_name("instances.json")


def flickr8k(folder: Path) -> Path:
    names = ("1000268201_693b08cb0e.jpg", "997722733_0cb5439472.jpg")
    for name in names:
        _picture(folder / "images" / name)
    lines = [f"{name}#{number}\tA caption . {number}\n" for name in names for number in range(3)]
    (folder / "captions.txt").write_text("".join(lines))
    return folder / "captions.txt"


def mmiu(folder: Path) -> Path:
    entries: list[dict[str, Any]] = []
    for number in range(3):
        paths = [f"odd/{number}_{k}.png" for k in range(4)]
        for k, path in enumerate(paths):
            _picture(folder / "images" / path, 10 * number + k)
        options = "\n".join(f"{letter}: the {word} image" for letter, word in zip("ABCD", _WORDS, strict=True))
        entries.append(
            {"task": "odd", "question": "Which is odd?", "options": options, "output": "B", "input_image_path": paths}
        )
    (folder / "all.json").write_bytes(as_json(entries))
    return folder / "all.json"


_WORDS: Final = ("first", "second", "third", "fourth")


def texts(folder: Path) -> Path:
    lines = [{"query": f"query {k}", "candidates": ["a", f"b {k}", "c"], "target": 2, "id": k} for k in range(4)]
    (folder / "questions.jsonl").write_bytes(as_lines(lines))
    return folder / "questions.jsonl"


# --- datasets with questions of their own, and lists -------------------------------------------------------------


def _stored(shade: int) -> dict[str, Any]:
    """A picture as the Hub's Parquet files have it."""
    file = io.BytesIO()
    Image.new("RGB", (12, 8), (shade, 90, 30)).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": "picture.png"}


def blink(folder: Path) -> Path:
    rows = [
        {
            "idx": f"val_{number}",
            "question": "Which image is most likely to be a real photograph?",
            "sub_task": "Forensic_Detection",
            **{f"image_{k}": _stored(10 * number + k) for k in range(1, 5)},
            "choices": [f"the {word} image" for word in _WORDS],
            "answer": "(B)",
        }
        for number in range(3)
    ]
    return _bytes(folder / "blink.parquet", as_parquet(rows))


def muir_bench(folder: Path) -> Path:
    rows = [
        {
            "idx": str(number),
            "task": "Image-Text Matching",
            "question": f"Which picture shows a cow with {number} legs?",
            "options": ["<image>", "<image>", "None of the choices provided"],
            "answer": "A",
            "image_list": [_stored(10 * number + k) for k in range(2)],
        }
        for number in range(3)
    ]
    return _bytes(folder / "muir_bench.parquet", as_parquet(rows))


def _examples() -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            **{f"image_{k}": f"ex_{number}_img_{k}" for k in (0, 1)},
            "caption_0": f"an old person kisses {number} young ones",
            "caption_1": f"{number} young ones kiss an old person",
            "collapsed_tag": "Object",
        }
        for number in range(3)
    ]


def winoground(folder: Path) -> Path:
    rows = [
        {**example, **{f"image_{k}": _stored(2 * number + k) for k in (0, 1)}}
        for number, example in enumerate(_examples())
    ]
    return _bytes(folder / "winoground.parquet", as_parquet(rows))


def winoground_lines(folder: Path) -> Path:
    for number, example in enumerate(_examples()):
        for k in (0, 1):
            _picture(folder / "images" / f"{example[f'image_{k}']}.png", 2 * number + k)
    return _bytes(folder / "examples.jsonl", as_lines(_examples()))


def reward_bench(folder: Path) -> Path:
    rows = [
        {"id": k, "prompt": f"Do {k}.", "chosen": f"\n    return {k}\n", "rejected": f"no {k}", "subset": "hep-go"}
        for k in range(4)
    ]
    return _bytes(folder / "filtered.parquet", as_parquet(rows))


def reward_bench_2(folder: Path) -> Path:
    rows = [
        {"prompt": f"Name {k} fruits.", "chosen": ["A pear."], "rejected": ["A car.", "A pen."], "subset": "Precise IF"}
        for k in range(4)
    ]
    return _bytes(folder / "version2.parquet", as_parquet(rows))


def _votes() -> list[dict[str, Any]]:
    return [
        {
            **{"question_id": question, "model_a": "a", "model_b": "b", "winner": "model_b", "judge": judge, "turn": 1},
            **{f"conversation_{model}": _conversation(question, model) for model in "ab"},
        }
        for question in (81, 82, 83)
        for judge in ("one", "two")
    ]


def _conversation(question: int, model: str) -> list[dict[str, str]]:
    said = (f"Write {question}.", f"{model} wrote {question}.", "Now shorter.", f"{model} cut {question}.")
    return [{"content": text, "role": ("user", "assistant")[at % 2]} for at, text in enumerate(said)]


def mt_bench(folder: Path) -> Path:
    return _bytes(folder / "human.parquet", as_parquet(_votes()))


def mt_bench_list(folder: Path) -> Path:
    return _bytes(folder / "human.json", as_json(_votes()))


def mmlu(folder: Path) -> Path:
    rows = [
        {"question": f"Which is {k}?", "subject": "logic", "choices": ["1", "3", "4", "6"], "answer": k}
        for k in range(4)
    ]
    return _bytes(folder / "mmlu.parquet", as_parquet(rows))


def mmlu_subject(folder: Path) -> Path:
    return _bytes(folder / "logic_val.csv", as_csv([[f"Which, say, is {k}?", "1", "3", "4", "B"] for k in range(4)]))


def lists(folder: Path) -> Path:
    lines = [
        {
            **{"query": f"query {k}", "candidates": [f"a {k}", "b", "c", "d"], "relevance": [0, 2, 0, 1]},
            **{"ideal": [2, 1, 1], "group": "g", "id": k},
        }
        for k in range(3)
    ]
    return _bytes(folder / "lists.jsonl", as_lines(lines))


def beir_judgments(folder: Path) -> Path:
    """A collection, with a run beside it."""
    words = ("dog runs", "cat sleeps", "dog and cat", "bird sings")
    documents = [{"_id": f"d{k}", "title": "Animals" * (k % 2), "text": f"a {text}"} for k, text in enumerate(words)]
    queries = [{"_id": f"q{k}", "text": text, "metadata": {}} for k, text in enumerate(("a dog", "the cat", "birds"))]
    judged = [["query-id", "corpus-id", "score"], *(["q0", "d0", 2], ["q0", "d2", 1], ["q1", "d1", 1], ["q2", "d3", 0])]
    ranked = [[f"q{q}", "Q0", f"d{(q + k) % 4}", k + 1, 9.5 - k, "made"] for q in range(3) for k in range(4)]
    _bytes(folder / "corpus.jsonl", as_lines(documents))
    _bytes(folder / "queries.jsonl", as_lines(queries))
    _bytes(folder / "run.trec", with_spaces(ranked))
    return _bytes(folder / "qrels" / "test.tsv", with_tabs(judged))


def beir(name: str) -> Callable[[Path], Path]:
    """A file of the collection: corpus.jsonl, queries.jsonl or run.trec."""
    return lambda folder: beir_judgments(folder).parents[1] / name


def mmdocir_pages(folder: Path) -> Path:
    pages = [
        {
            **{"doc_name": document, "passage_id": str(k), "image_binary": _stored(20 * first + k)["bytes"]},
            **{"ocr_text": f"page {k}", "vlm_text": f"A page about {_WORDS[k]} things."},
        }
        for first, document in enumerate(("energy", "guide"))
        for k in range(3)
    ]
    asked = {"A": "none", "type": "['Chart']", "layout_mapping": []}
    lines = [
        {
            **{"doc_name": f"{document}.pdf", "domain": "Laws", "page_indices": [3 * at, 3 * at + 2]},
            "questions": [{"Q": f"What of {_WORDS[k]} things?", "page_id": [k], **asked} for k in (0, 2)],
        }
        for at, document in enumerate(("energy", "guide"))
    ]
    _bytes(folder / "annotations.jsonl", as_lines(lines))
    return _bytes(folder / "pages.parquet", as_parquet(pages))


def mmdocir(folder: Path) -> Path:
    return mmdocir_pages(folder).with_name("annotations.jsonl")


# --- what is measured, told and configured -------------------------------------------------------------------------


def published(folder: Path) -> Path:
    """Numbers of others for the table of ranked lists."""
    rows = [["Reader", "ranked", "", metric, "41.25", "Table 2"] for metric in ("ndcg_at_10", "recall_at_5")]
    return _bytes(folder / "published.csv", as_csv([PUBLISHED, *rows]))


def signals(folder: Path) -> Path:
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


def bundled(folder: Path) -> Path:
    cell = "model=m/dataset=d/setting=random/n=3/probe=vanilla/split=evaluation"
    signals(folder).rename(made(folder / "results" / "signals" / cell) / "signals.parquet")
    write_bundle(folder / "results", folder / "signals.tar")
    return folder / "signals.tar"


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def configuration(folder: Path) -> Path:
    path = folder / "config.yaml"
    path.write_bytes(_DEMO.read_bytes())
    return path


def turned(suffix: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        exif = Image.Exif()
        exif[0x0112], exif[0x011A] = 6, 72.0
        _picture(folder / f"picture.{suffix}", exif=exif)
        return folder / f"picture.{suffix}"

    return write
