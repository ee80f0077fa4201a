"""A ranker answers as the pipeline does, in one call, for whatever candidates it is given."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from scene_questions import questions_of
from signals_factory import random_signals

from lad import cli
from lad.benchmark.own import own_questions
from lad.benchmark.presentations import build_presentations
from lad.calibration.calibrate import CalibrationError, calibrate
from lad.extraction.extract import extract
from lad.methods import ScoringError, score
from lad.rank.candidates import RankError
from lad.rank.ranker import BY_KNOWN, WITHOUT_KNOWN, Ranker
from lad.refusal import Refusal

DEMO = Path(__file__).parents[2] / "resources" / "demo-model"


def passes_of_the_model(backbone, work):
    """What `work` returns, and how many rows went through the decoder meanwhile."""
    rows = []
    decoder = backbone.model.get_decoder()
    counting = decoder.register_forward_pre_hook(
        lambda _, args, given: rows.append(len(given.get("inputs_embeds", given.get("input_ids")))), with_kwargs=True
    )
    try:
        return work(), sum(rows)
    finally:
        counting.remove()


@pytest.mark.parametrize("method", [BY_KNOWN, "agd", "retrieval_heads"])
def test_two_hundred_presentations_get_the_pipeline_s_answers(demo, scenes, known, method):
    asked = questions_of(scenes, 20, 50)
    images, questions = own_questions(Path(), calibration=as_strings(known), evaluation=as_strings(asked))
    kept = {"keep": ["heads", "rows"], "images": images, "image_folder": Path(), "questions": questions}
    signals = {
        split: extract(demo, presentations=build_presentations(questions, split, rounds=4), **kept).signals
        for split in ("calibration", "evaluation")
    }
    expected = score(signals["evaluation"], calibrate(signals["calibration"]), method).to_pylist()
    assert len(expected) == 200

    ranker = Ranker(demo, method=method, cache=False).fit(known)
    orders = signals["evaluation"]["order"].to_pylist()
    shown = [[asked[at // 4][1][candidate - 1] for candidate in order] for at, order in enumerate(orders)]
    answers = ranker.rank_many((asked[at // 4][0], files) for at, files in enumerate(shown))
    for answer, row in zip(answers, expected, strict=True):
        assert answer.ranking[0].number == row["position"]
        by_position = sorted(answer.ranking, key=lambda one: one.number)
        assert [one.score for one in by_position] == pytest.approx(row["scores"], rel=1e-4, abs=1e-4)


def as_strings(asked):
    return [(caption, [str(file) for file in files], target) for caption, files, target in asked]


def test_known_questions_correct_what_the_model_says(demo, scenes, known):
    asked = questions_of(scenes, 20, 40)
    answers = Ranker(demo, cache=False).fit(known).rank_many((query, files) for query, files, _ in asked)
    right = sum(answer.best == files[target - 1] for answer, (_, files, target) in zip(answers, asked, strict=True))
    plain = sum(answer.plain.number == target for answer, (*_, target) in zip(answers, asked, strict=True))
    assert right > 35 > 25 > plain
    assert {answer.warning is None for answer in answers} == {True, False}
    for answer in answers:
        assert (answer.warning is None) == (answer.plain.number == answer.ranking[0].number)
        assert sum(one.probability for one in answer.ranking) == pytest.approx(1, abs=1e-5)
        assert answer.plain.probability == max(one.probability for one in answer.ranking)


def test_without_known_questions_the_method_is_one_that_needs_none(demo, scenes):
    query, files, target = questions_of(scenes, 20, 1)[0]
    answer = Ranker(demo).rank(query, files)
    assert (answer.method, answer.passes) == (WITHOUT_KNOWN, 1)
    assert answer.best == files[target - 1]


def test_a_picture_in_memory_counts_as_its_file_does(demo, scenes, known):
    ranker = Ranker(demo, cache=False).fit([(q, [Image.open(file) for file in files], t) for q, files, t in known])
    query, files, _ = questions_of(scenes, 20, 1)[0]
    in_memory = ranker.rank(query, [Image.open(file) for file in files])
    from_files = Ranker(demo, cache=False).fit(known).rank(query, files)
    assert [one.score for one in in_memory.ranking] == [one.score for one in from_files.ranking]
    assert in_memory.best.size == (112, 112)
    assert in_memory.ranking[0].name == f"candidate {in_memory.ranking[0].number}"


def test_texts_are_candidates_too(demo):
    answer = Ranker(demo).rank("a red circle", ["a blue star", "  a red\n circle ", "a green square"])
    assert {one.number for one in answer.ranking} == {1, 2, 3}
    assert "  a red\n circle " in [one.candidate for one in answer.ranking]


def test_another_n_is_fitted_when_it_is_asked_for(demo, scenes, known):
    ranker = Ranker(demo, cache=False).fit(known)
    assert sorted(ranker.fits_) == [4]
    three, eight = questions_of(scenes, 20, 1, n=3)[0], questions_of(scenes, 30, 1, n=8)[0]
    answers = ranker.rank_many([three[:2], eight[:2]])
    assert sorted(ranker.fits_) == [3, 4, 8]
    assert [answer.best for answer in answers] == [three[1][0], eight[1][0]]
    assert len(ranker.fits_[8].signals) == 5 * 8


def test_more_candidates_than_a_window_are_ranked_window_by_window(demo, scenes, known):
    query, files, target = questions_of(scenes, 20, 1, n=20)[0]
    answer, rows = passes_of_the_model(demo, lambda: Ranker(demo, window=4, cache=False).fit(known).rank(query, files))
    assert sorted(one.number for one in answer.ranking) == list(range(1, 21))
    assert answer.passes == 9
    assert rows == 9 + 5 * 4
    assert answer.best == files[target - 1]
    assert sum(one.score is not None for one in answer.ranking) == 4


def test_orders_average_over_shifts(demo, scenes, known):
    query, files, _ = questions_of(scenes, 20, 1)[0]
    ranker = Ranker(demo, orders=4, cache=False).fit(known)
    as_given, turned = ranker.rank(query, files), ranker.rank(query, [*files[1:], files[0]])
    assert as_given.passes == 4
    scores = {one.candidate: one.score for one in as_given.ranking}
    assert scores == pytest.approx({one.candidate: one.score for one in turned.ranking}, abs=1e-4)


def test_known_questions_are_asked_once_for_all_rankers(demo, scenes, known, tmp_path):
    query, files, _ = questions_of(scenes, 20, 1)[0]
    first, cold = passes_of_the_model(demo, lambda: Ranker(demo, cache=tmp_path).fit(known).rank(query, files))
    second, warm = passes_of_the_model(demo, lambda: Ranker(demo, cache=tmp_path).fit(known).rank(query, files))
    assert (cold, warm) == (5 * 4 + 1, 1)
    assert first == second
    _, other = passes_of_the_model(demo, lambda: Ranker(demo, probe="instruction", cache=tmp_path).fit(known))
    assert other == 5 * 4


def test_what_is_saved_answers_as_before(demo, scenes, known, tmp_path):
    query, files, _ = questions_of(scenes, 20, 1)[0]
    ranker = Ranker(DEMO, cache=False).fit(
        [known[0], (known[1][0], [Image.open(f) for f in known[1][1]], 2), *known[2:]]
    )
    before = ranker.rank(query, files)
    ranker.save(tmp_path / "kept")
    del ranker
    loaded = Ranker.load(tmp_path / "kept", cache=False)
    assert loaded.rank(query, files) == before
    assert loaded.rank(query, files[:3]).passes == 1, "another N is learnt from the known questions that were kept"


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda folder: (folder / "ranker.json").unlink(), "no ranker"),
        (lambda folder: (folder / "ranker.json").write_text("[]"), "no ranker"),
        (lambda folder: (folder / "ranker.json").write_text('{"version": 9}'), "another version"),
        (lambda folder: (folder / "signals-04.parquet").write_text("PAR1"), "signals-04.parquet"),
    ],
)
def test_a_folder_that_holds_no_ranker_is_refused(demo, known, tmp_path, break_it, says):
    Ranker(demo, cache=False).fit(known).save(tmp_path / "kept")
    break_it(tmp_path / "kept")
    with pytest.raises(Refusal, match=says):
        Ranker.load(tmp_path / "kept")


@pytest.mark.parametrize(
    ("candidates", "says"),
    [
        (["one"], "has 1 candidates; at least 2"),
        (["a.jpg", "b"], "'a.jpg' is no file; if it is meant as a text"),
        ([Path("a.jpg"), "b"], "'b' is no file, but other candidates are pictures"),
        ([Path("a.jpg"), Path("b.jpg")], "a.jpg: image missing"),
        (["", "b"], "candidate 1 is an empty text"),
    ],
)
def test_what_cannot_be_ranked_is_refused(demo, candidates, says):
    with pytest.raises(Refusal, match=says):
        Ranker(demo).rank("query", candidates)


@pytest.mark.parametrize(
    ("questions", "says"),
    [
        ([], "no known question"),
        ([("q", ["a", "b"], 3)], r"known question 1 \('q'\) has target 3; say which of its 2"),
        ([("q", ["a", "b"], None)], "has target None"),
        ([("q", ["a"], 1)], "has 1 candidates; at least 2"),
        ([("q", ["a", "b"], 1), ("r", [DEMO / "config.json", DEMO / "README.md"], 1)], "some .* images, others texts"),
    ],
)
def test_known_questions_that_say_nothing_are_refused(demo, questions, says):
    with pytest.raises(RankError, match=says):
        Ranker(demo, cache=False).fit(questions)


def test_a_method_that_needs_known_questions_says_so(demo):
    with pytest.raises(RankError, match=r"agd needs known questions for N = 2: give some to fit .*or rank by icr"):
        Ranker(demo, method="agd").rank("q", ["a", "b"])


def test_options_that_cannot_be_are_refused_at_once():
    with pytest.raises(RankError, match="orders = 0"):
        Ranker("nowhere", orders=0)
    with pytest.raises(RankError, match="window = 13: allowed are 2 to 12"):
        Ranker("nowhere", window=13)
    with pytest.raises(ScoringError, match="unknown method 'agdd'"):
        Ranker("nowhere", method="agdd")


def test_signals_of_a_pipeline_are_learnt_from(demo):
    made = random_signals(1, 4, layers=demo.layers, heads=4, rows=True)
    ranker = Ranker(demo, method="agd").fit_signals(made)
    assert ranker.rank("q", ["a", "b", "c", "d"]).method == "agd"
    with pytest.raises(RankError, match=r"needs known questions for N = 2 \(it was fitted for N = 4\)"):
        ranker.rank("q", ["a", "b"])
    with pytest.raises(ScoringError, match="no query_attention; extract with --keep heads --keep rows"):
        Ranker(demo, method=BY_KNOWN).fit_signals(random_signals(1, 4, heads=4))
    with pytest.raises(CalibrationError, match="cyclic shifts"):
        Ranker(demo, method="agd").fit_signals(random_signals(1, 4, rounds=3))
    other = Ranker(demo, method="agd").fit_signals(random_signals(1, 4, layers=demo.layers + 1))
    with pytest.raises(RankError, match=f"of a model of {demo.layers + 1} layers, this one has {demo.layers}"):
        other.rank("q", ["a", "b", "c", "d"])


def test_ranking_needs_nothing_of_the_pipeline(scenes, known, tmp_path):
    """Machines with a GPU are often bare: neither DuckDB nor what configurations and figures need."""
    query, files, _ = questions_of(scenes, 20, 1)[0]
    code = f"""
import sys

for name in ("duckdb", "pydantic", "matplotlib", "snakemake", "sklearn", "pycocotools", "requests"):
    sys.modules[name] = None
from lad import Ranker
ranker = Ranker({str(DEMO)!r}, cache={str(tmp_path)!r}).fit({as_strings(known)!r})
print(ranker.rank({query!r}, {[str(file) for file in files]!r}).best)
"""
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == str(files[0])


@pytest.fixture
def lad(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lad", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0, *capsys.readouterr()

    return run


def test_the_command_prints_a_line_per_candidate_and_warns(lad, scenes, known, tmp_path):
    file = tmp_path / "known.jsonl"
    lines = ({"query": q, "candidates": [str(f) for f in files], "target": t} for q, files, t in known)
    file.write_text("\n".join(map(json.dumps, lines)))
    asked = questions_of(scenes, 20, 8)
    disagreed = 0
    for query, files, _ in asked:
        code, out, err = lad("rank", query, *files, "--model", DEMO, "--known", file)
        assert code == 0
        rows = [line.split() for line in out.splitlines()]
        assert [row[0] for row in rows] == ["1", "2", "3", "4"]
        assert {row[3] for row in rows} == set(map(str, files))
        assert "method fusion;evidence=rows, from 5 known questions" in err
        disagreed += "note: the model itself says" in err
    assert disagreed > 0
    code, out, _ = lad("rank", *asked[0][:1], *asked[0][1], "--model", DEMO, "--known", file, "--json")
    told = json.loads(out)
    assert told["ranking"][0]["candidate"] == str(asked[0][1][0])
    assert told["plain"]["number"] in (1, 2, 3, 4)
    assert (tmp_path / "cache" / "lad" / "ranker").is_dir()


def test_the_command_refuses_in_one_line(lad, tmp_path):
    file = tmp_path / "known.jsonl"
    file.write_text('{"query": "q", "candidates": ["a"], "target": 1}\n')
    for arguments, says in (
        (("q", "a", "b"), "no model given"),
        (("q", "a", "--model", DEMO), "1 candidates given; at least 2"),
        (("q", "a", "b", "--model", DEMO, "--known", file), "line 1 has 1 candidates"),
        (("q", "a", "b", "--model", tmp_path / "none"), "none"),
        (("q", "a", "b", "--model", DEMO, "--method", "majority_vote"), "majority_vote does not rank"),
    ):
        code, _, err = lad("rank", *arguments)
        assert (code, err.count("\n")) == (1, 1)
        assert says in err


def test_candidates_come_from_a_file_as_well(lad, tmp_path):
    texts = tmp_path / "texts"
    texts.write_text("".join(f"text number {number}\n" for number in range(20)))
    code, out, err = lad("rank", "number 7", "--candidates-from", texts, "--model", DEMO, "--window", 8)
    assert code == 0
    assert len(out.splitlines()) == 20
    assert "20 candidates, at most 8 at once: 4 presentations, window by window" in err


@pytest.mark.parametrize(
    "method",
    [
        "retrieval_heads",
        "retrieval_heads;row=query;against=null;heads=2",
        "purified_attention;layers=1-3",
        "purified_attention;row=query;layers_by=found",
        "icr",
    ],
)
def test_without_the_model_s_own_answer_the_pass_ends_early_and_the_ranking_stays(demo, scenes, known, method):
    queries = [question[:2] for question in questions_of(scenes, 20, 5)]
    whole, short = (Ranker(demo, method=method, plain=plain, cache=False).fit(known) for plain in (True, False))
    expected = whole.rank_many(queries)
    last = demo.model.get_decoder().layers[-1]
    ran = []
    watching = last.register_forward_hook(lambda *_: ran.append(1))
    try:
        found = short.rank_many(queries)
    finally:
        watching.remove()
    assert [answer.to_dict()["ranking"] for answer in found] == [
        [{**ranked, "probability": None} for ranked in answer.to_dict()["ranking"]] for answer in expected
    ]
    # ICR sums over all layers: there is nothing to leave out but the answer.
    assert bool(ran) == (method == "icr")
    assert {(answer.plain, answer.warning) for answer in found} == {(None, None)}


def test_a_method_that_reads_the_model_s_own_answer_cannot_do_without_it(known):
    with pytest.raises(RankError, match="agd reads what the model itself answers"):
        Ranker(DEMO, method="agd", plain=False)
    with pytest.raises(RankError, match="fusion;evidence=rows reads what the model itself answers"):
        Ranker(DEMO, plain=False, cache=False).fit(known)
