"""Collections of BEIR's form: lists of documents that BM25 or a run found. The samples are made, of that form."""

import importlib
import json
import math
import shutil
from collections import Counter
from pathlib import Path

import pytest
from photographs import SHARED

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.bm25 import K1, B, rank_all
from lad.benchmark.formats.beir import Beir

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "resources" / "coco-collection"
COCO = SHARED / "data" / "coco" / "captions_val2017.json"

DOCUMENTS = {
    "d1": ("Dogs", "A dog runs on the beach.\nIt barks."),
    "d2": ("", "A cat sleeps on the beach"),
    "d3": ("", "A dog and a cat meet"),
    "d4": ("", "a cat sleeps on the beach"),
    "d5": ("", ""),
    "q2": ("", "a dog"),
}
QUERIES = {"q1": "dog on a beach", "q2": "a dog", "q3": "zebra", "q4": "cat"}
HEADER = "query-id\tcorpus-id\tscore"
JUDGED = ["q1\td1\t2", "q1\td3\t1", "q1\td2\t0", "q1\td5\t1", "q2\td1\t1", "q3\td3\t1", "q4\td1\t-1"]


@pytest.fixture
def collection(tmp_path):
    """Write a collection; lines that are given replace or follow those of a file."""

    def write(corpus: str = "", queries: str = "", qrels: list[str] | None = None, header: str = HEADER) -> str:
        folder = tmp_path / "collection"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "qrels").mkdir(parents=True)
        documents = [{"_id": id, "title": title, "text": text} for id, (title, text) in DOCUMENTS.items()]
        lines = "".join(json.dumps(document) + "\n" for document in documents)
        (folder / "corpus.jsonl").write_text(lines + corpus)
        asked = "".join(json.dumps({"_id": id, "text": text, "metadata": {}}) + "\n" for id, text in QUERIES.items())
        (folder / "queries.jsonl").write_text(asked + queries)
        (folder / "qrels" / "test.tsv").write_text("\n".join([header, *(JUDGED if qrels is None else qrels)]) + "\n")
        return str(folder)

    return write


def lists(folder: str, **keys: object) -> dict:
    return {one.id: one for one in Beir(format="beir", collection=folder, **keys).read_lists("test")}


def test_a_list_is_what_bm25_finds_with_the_grades_of_its_documents(collection):
    one = lists(collection())["q1"]
    assert one.query == "dog on a beach"
    assert one.candidates[0] == "Dogs A dog runs on the beach. It barks."
    assert dict(zip(one.candidates, one.relevance, strict=True)) == {
        "Dogs A dog runs on the beach. It barks.": 2,
        "A cat sleeps on the beach": 0,
        "a cat sleeps on the beach": 0,
        "A dog and a cat meet": 1,
        "a dog": 0,
    }


def test_ideal_counts_what_is_relevant_and_was_not_found(collection):
    assert lists(collection(), depth=2)["q1"].ideal == (2, 1, 1)


def test_a_document_with_the_querys_own_id_is_no_candidate(collection):
    assert "a dog" not in lists(collection())["q2"].candidates
    assert "a dog" in lists(collection())["q1"].candidates


def test_documents_of_the_same_words_are_one_candidate_with_the_higher_grade(collection):
    same = json.dumps({"_id": "d6", "title": "", "text": "A cat sleeps  on the beach"})
    one = lists(collection(corpus=same, qrels=["q4\td2\t1", "q4\td6\t3"]))["q4"]
    assert one.candidates.count("A cat sleeps on the beach") == 1
    assert (one.relevance[one.candidates.index("A cat sleeps on the beach")], one.ideal) == (3, (3,))


def test_queries_without_a_relevant_document_or_without_candidates_are_left_out_and_told(collection):
    read = Beir(format="beir", collection=collection()).read_images(["test"])
    assert [(left["query"], left["reason"]) for left in read.refused] == [
        ("q3", "finds no document"),
        ("q4", "has no relevant document"),
    ]
    assert read.summary.endswith("left out: query q3 finds no document; query q4 has no relevant document")


def test_depth_cuts_a_list_and_words_cut_its_documents(collection):
    """The first stage searches whole documents."""
    whole, cut = (lists(collection(), depth=2, words=words)["q1"] for words in (None, 3))
    assert cut.candidates == tuple(" ".join(candidate.split()[:3]) for candidate in whole.candidates)
    assert (len(cut.candidates), cut.relevance) == (2, whole.relevance)


def test_bm25_is_lucenes_formula_and_equal_scores_stand_in_the_corpus_order():
    documents = ["a dog runs", "dog dog beach", "cats sleep", "the dog runs"]
    idf = {word: _idf(documents, word) for word in ("dog", "beach")}
    lengths = [len(_terms(document)) for document in documents]

    def score(document: str) -> float:
        counts = Counter(_terms(document))
        norm = K1 * (1 - B + B * len(_terms(document)) / (sum(lengths) / len(lengths)))
        return sum(idf[word] * counts[word] / (counts[word] + norm) for word in ("dog", "beach"))

    expected = sorted((k for k in range(4) if score(documents[k])), key=lambda k: -score(documents[k]))
    assert list(rank_all(documents, ["dog on the beach", "dog", "the", "zebra"])) == [expected, [1, 0, 3], [], []]


def _terms(document: str) -> list[str]:
    return [word for word in document.split() if word not in ("a", "the", "on")]


def _idf(documents: list[str], word: str) -> float:
    df = sum(word in document.split() for document in documents)
    return math.log(1 + (len(documents) - df + 0.5) / (df + 0.5))


def test_a_run_takes_the_place_of_bm25_and_is_sorted_by_score_then_rank(collection, tmp_path):
    run = tmp_path / "run.trec"
    run.write_text("q1 Q0 d2 1 0.5 x\nq1 Q0 d1 2 7.5e1 x\nq1 Q0 d3 2 0.5 x\nq1 Q0 d5 4 0.1 x\nother Q0 d9 1 1 x\n")
    folder = collection()
    one = lists(folder, run=str(run))
    assert list(one) == ["q1"]
    assert [candidate.split()[1] for candidate in one["q1"].candidates] == ["A", "cat", "dog"]


@pytest.mark.parametrize(
    ("run", "fault"),
    [
        ("q1 Q0 d1 1 0.5\n", 'line 1 is "q1 Q0 d1 1 0.5", expected are query Q0 document rank score name'),
        ("q1 Q0 d1 first 0.5 x\n", 'line 1 is "q1 Q0 d1 first 0.5 x", expected are'),
        ("q1 Q0 d1 1 much x\n", 'line 1 is "q1 Q0 d1 1 much x", expected are'),
        ("q1 Q0 d9 1 1 x\n", "line 1 names document d9, which corpus.jsonl lacks"),
        ("q1 Q0 d1 1 1 x\nq1 Q0 d1 2 0 x\n", "line 2 names document d1 for query q1 a second time"),
        ("q9 Q0 d1 1 1 x\n", "has none of the 4 queries, such as q1"),
    ],
)
def test_a_run_that_is_not_of_the_form_is_refused_in_one_line(collection, tmp_path, run, fault):
    (tmp_path / "run.trec").write_text(run)
    with pytest.raises(BenchmarkError, match=rf"run\.trec: {fault}") as refused:
        lists(collection(), run=str(tmp_path / "run.trec"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ({"corpus": "{"}, r"corpus\.jsonl: line 7 is not JSON"),
        ({"corpus": '{"title": "", "text": "x"}'}, r"corpus\.jsonl: line 7 has no _id"),
        ({"corpus": '{"_id": "d1", "text": "x"}'}, r'corpus\.jsonl: line 7 has _id "d1", as line 1 has'),
        ({"corpus": '{"_id": "d9"}'}, r"corpus\.jsonl: line 7 has neither title nor text; its keys are: _id"),
        ({"corpus": '{"_id": "d9", "text": 3}'}, r"corpus\.jsonl: line 7 has text 3, expected is a text"),
        ({"queries": '{"_id": "q9"}'}, r"queries\.jsonl: line 5 has no text; its keys are: _id"),
        ({"queries": '{"_id": "q9", "text": " "}'}, r"queries\.jsonl: line 5 has an empty text"),
        ({"header": "q1\td1\t1"}, r"test\.tsv: line 1 is a judgment, expected is the header"),
        (
            {"qrels": ["q1 d1 1"]},
            r'test\.tsv: line 2 is "q1 d1 1", expected are query-id, corpus-id and a whole number',
        ),
        ({"qrels": ["q1\td1\tmuch"]}, r"test\.tsv: line 2 is .*, expected are query-id, corpus-id and a whole number"),
        ({"qrels": ["q9\td1\t1"]}, r"test\.tsv: line 2 names query q9, which queries\.jsonl lacks"),
        ({"qrels": ["q1\td9\t1"]}, r"test\.tsv: line 2 names document d9, which corpus\.jsonl lacks"),
        ({"qrels": []}, r"test\.tsv: has no judgment; a line is query-id, corpus-id and a whole number"),
    ],
)
def test_a_collection_that_is_not_of_the_form_is_refused_in_one_line(collection, written, fault):
    with pytest.raises(BenchmarkError, match=fault) as refused:
        lists(collection(**written))
    assert "\n" not in str(refused.value)


def test_a_split_that_is_not_there_lists_those_that_are(collection):
    with pytest.raises(BenchmarkError, match=r"qrels: has no split 'dev'; it has: test"):
        Beir(format="beir", collection=collection()).read_lists("dev")


def test_windows_of_the_shipped_collection_are_questions_with_grades():
    dataset = Beir(format="beir", collection=str(SHIPPED), depth=16)
    read = dataset.read_images(["test"])
    assert read.refused == []
    asked = {"n": 8, "evaluation": 10, "calibration": 5, "seed": 0}
    table = dataset.build_questions(read.table, dataset="d", setting="test", **asked)
    rows = parquet.conform(table, contracts.QUESTIONS, "questions").to_pylist()
    assert Counter(row["role"] for row in rows) == {"evaluation": 10 * 2 * 2, "calibration": 5}
    assert all(sum(row["relevance"]) == 1 for row in rows if row["role"] == "calibration")
    assert max(sum(row["relevance"]) for row in rows) > 1


def test_every_document_of_the_shipped_collection_is_relevant_to_one_query_or_more():
    (documents, queries) = (
        [json.loads(line)["_id"] for line in (SHIPPED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        for name in ("corpus", "queries")
    )
    judged = [line.split("\t") for line in (SHIPPED / "qrels" / "test.tsv").read_text().splitlines()[1:]]
    assert {document for _, document, _ in judged} == set(documents)
    assert {query for query, _, _ in judged} == set(queries)
    assert len(queries) == 1000


@pytest.mark.skipif(not COCO.is_file(), reason="COCO's captions are not here")
def test_the_shipped_collection_is_made_again_from_cocos_captions():
    made = importlib.import_module("demo.coco_collection").collection(COCO, 1000)
    assert {name: (SHIPPED / name).read_text(encoding="utf-8") for name in made} == made
