"""Bad input ends in one clear line, a non-zero exit code, and no output where a later stage would read it."""

import json
import os
import signal
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from signals_factory import random_signals

from lad import catalog, cli, contracts, parquet
from lad.benchmark.presentations import build_presentations

DEMO = Path(__file__).parents[1] / "resources" / "demo-model"


@pytest.fixture
def lad(monkeypatch, capsys):
    """Run a command as the shell would: `lad("score", ...)` gives exit code and what went to stderr."""

    def run(*arguments) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["lad", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0, capsys.readouterr().err

    return run


@pytest.fixture
def signals(tmp_path):
    """Calibration and evaluation signals of N = 4 as files."""
    for split, rounds in (("calibration", None), ("evaluation", 2)):
        asked = random_signals(0, 4, split=split, rounds=rounds, questions=12)
        parquet.write(asked, tmp_path / f"{split}.parquet", contracts.SIGNALS)
    return tmp_path


def one_line(error: str) -> str:
    assert error.startswith("lad: error: ")
    assert error.count("\n") == 1
    return error


def test_a_table_from_anywhere_is_calibrated_scored_and_measured(lad, signals):
    calibration, predictions, metrics = signals / "calibration", signals / "p.parquet", signals / "m.parquet"
    assert lad("calibrate", "--signals", signals / "calibration.parquet", "--out", calibration)[0] == 0
    methods = ("--method", "agd", "--method", "agd;k=1;tau=3", "--method", "vanilla")
    files = ("--signals", signals / "evaluation.parquet", "--calibration", calibration)
    assert lad("score", *files, *methods, "--out", predictions)[0] == 0
    assert lad("evaluate", "--predictions", predictions, "--out", metrics)[0] == 0
    measured = parquet.read(metrics, contracts.METRICS)
    found = set(zip(measured["method"].to_pylist(), measured["variant"].to_pylist(), strict=True))
    assert found == {("agd", ""), ("agd", "k=1;tau=3"), ("vanilla", "")}


def test_what_fitting_and_each_method_took_is_recorded_with_their_tables(lad, signals):
    lad("calibrate", "--signals", signals / "calibration.parquet", "--out", signals / "calibration")
    files = ("--signals", signals / "evaluation.parquet", "--calibration", signals / "calibration")
    lad("score", *files, "--method", "vanilla", "--method", "agd;k=1", "--out", signals / "p.parquet")
    fitting = parquet.read_metadata(signals / "calibration" / "position_bias.parquet")["seconds"]
    scoring = parquet.read_metadata(signals / "p.parquet")["seconds"]
    assert set(scoring) == {"vanilla", "agd;k=1"}
    assert all(0 < seconds < 10 for seconds in (fitting, *scoring.values()))


def test_paired_differences_are_written_beside_the_metrics_where_they_are_asked_for(lad, signals):
    predictions, metrics, differences = (signals / name for name in ("p.parquet", "m.parquet", "d.parquet"))
    assert lad("calibrate", "--signals", signals / "calibration.parquet", "--out", signals / "calibration")[0] == 0
    methods = ("--method", "agd", "--method", "attention_readout", "--method", "vanilla")
    files = ("--signals", signals / "evaluation.parquet", "--calibration", signals / "calibration")
    assert lad("score", *files, *methods, "--out", predictions)[0] == 0
    assert lad("evaluate", "--predictions", predictions, "--out", metrics)[0] == 0
    assert not differences.exists()
    measure = ("evaluate", "--predictions", predictions, "--out", metrics, "--resamples", 100, "--seed", 3)
    assert lad(*measure, "--differences", differences)[0] == 0
    assert parquet.read_metadata(differences) == parquet.read_metadata(metrics)
    measured = parquet.read(metrics, contracts.METRICS).to_pylist()
    accuracy = {row["method"]: row["value"] for row in measured if row["metric"] == "accuracy"}
    compared = parquet.read(differences, contracts.DIFFERENCES).to_pylist()
    assert {(row["method"], row["against"]) for row in compared} == set(permutations(accuracy, 2))
    for row in compared:
        assert row["value"] == pytest.approx(accuracy[row["method"]] - accuracy[row["against"]])
        assert row["low"] <= row["value"] <= row["high"]


def test_an_unknown_method_is_refused_with_those_known(lad, signals):
    out = signals / "p.parquet"
    code, error = lad("score", "--signals", signals / "evaluation.parquet", "--method", "adg", "--out", out)
    assert code == 1
    assert "unknown method 'adg' (did you mean 'agd'?); known: vanilla, " in one_line(error)
    assert not out.exists()


def test_a_method_without_its_calibration_is_refused(lad, signals):
    code, error = lad("score", "--signals", signals / "evaluation.parquet", "--method", "agd", "--out", signals / "p")
    assert code == 1
    assert "agd needs a calibration" in one_line(error)


def test_a_calibration_for_another_n_is_refused(lad, signals):
    parquet.write(random_signals(1, 3), signals / "three.parquet", contracts.SIGNALS)
    lad("calibrate", "--signals", signals / "three.parquet", "--out", signals / "three")
    out = signals / "p.parquet"
    files = ("--signals", signals / "evaluation.parquet", "--calibration", signals / "three", "--out", out)
    code, error = lad("score", "--method", "agd", *files)
    assert code == 1
    assert "the calibration is for N = 3, the signals are of N = 4" in one_line(error)
    assert not out.exists()


def test_signals_with_a_missing_column_or_nan_name_file_column_and_row(lad, signals):
    file = signals / "evaluation.parquet"
    table = pa.parquet.read_table(file)
    pa.parquet.write_table(table.drop_columns(["order"]), signals / "short.parquet")
    code, error = lad("score", "--signals", signals / "short.parquet", "--method", "vanilla", "--out", signals / "p")
    assert code == 1
    assert "short.parquet: column order missing" in one_line(error)

    values = table["candidate_logprobs"].to_pylist()
    values[3][0] = float("nan")
    broken = table.set_column(table.column_names.index("candidate_logprobs"), "candidate_logprobs", pa.array(values))
    pa.parquet.write_table(broken, signals / "nan.parquet")
    code, error = lad("score", "--signals", signals / "nan.parquet", "--method", "vanilla", "--out", signals / "p")
    assert code == 1
    assert "nan.parquet: column candidate_logprobs holds nan in row 3 (presentation_id" in one_line(error)
    assert not (signals / "p").exists()


@pytest.fixture
def coco(tmp_path):
    """A COCO-format folder of three pictures."""
    (tmp_path / "images").mkdir()
    listed = []
    for image_id in (1, 2, 3):
        Image.new("RGB", (8, 8), (image_id * 60, 0, 0)).save(tmp_path / "images" / f"{image_id}.png")
        listed.append({"id": image_id, "file_name": f"{image_id}.png", "width": 8, "height": 8})
    captions = [{"id": i, "image_id": i, "caption": f"picture {i}"} for i in (1, 2, 3)]
    (tmp_path / "captions.json").write_text(json.dumps({"images": listed, "annotations": captions}))
    return tmp_path


def read_images(lad, coco) -> tuple[int, str]:
    files = ("--captions", coco / "captions.json", "--image-folder", coco / "images")
    return lad("images", *files, "--out", coco / "images.parquet")


def test_n_larger_than_the_dataset_is_refused(lad, coco):
    assert read_images(lad, coco)[0] == 0
    where = ("--images", coco / "images.parquet", "--out", coco / "questions.parquet")
    what = ("--dataset", "d", "--setting", "random", "--n", 4, "--evaluation", 1, "--calibration", 1)
    code, error = lad("questions", *where, *what)
    assert code == 1
    assert "n = 4: the dataset has only 3 images" in one_line(error)
    assert not (coco / "questions.parquet").exists()


def test_a_caption_file_without_its_images_is_refused_by_name(lad, coco):
    (coco / "images" / "2.png").unlink()
    code, error = read_images(lad, coco)
    assert code == 1
    assert "2.png" in one_line(error)
    assert not (coco / "images.parquet").exists()


def test_a_captions_file_that_is_no_json_is_named(lad, coco):
    (coco / "captions.json").write_text('{"images": [')
    code, error = read_images(lad, coco)
    assert code == 1
    assert "captions.json" in one_line(error)


@pytest.fixture
def asked(lad, coco) -> tuple:
    """What `lad extract` is asked: one question of two pictures, in both orders."""
    read_images(lad, coco)
    what = ("--dataset", "d", "--setting", "random", "--n", 2, "--evaluation", 1, "--calibration", 1)
    lad("questions", "--images", coco / "images.parquet", *what, "--out", coco / "q.parquet")
    lad("presentations", "--questions", coco / "q.parquet", "--split", "evaluation", "--out", coco / "p.parquet")
    table = ("--images", coco / "images.parquet", "--image-folder", coco / "images", "--questions", coco / "q.parquet")
    return (*table, "--presentations", coco / "p.parquet", "--out", coco / "s.parquet")


def test_a_missing_checkpoint_says_so(lad, coco, asked):
    code, error = lad("extract", "--checkpoint", coco / "no-model", *asked)
    assert code == 1
    assert "no-model is no folder" in one_line(error)
    assert not (coco / "s.parquet").exists()


def test_truncated_pictures_are_reported_together_before_a_model_is_loaded(lad, coco, asked):
    """There is no checkpoint: whoever looked for one first would say that instead."""
    noise = Image.fromarray(np.random.default_rng(0).integers(256, size=(60, 60, 3), dtype=np.uint8))
    shown = parquet.read(coco / "q.parquet", contracts.QUESTIONS)["candidates"].to_pylist()[0]
    for image_id in shown:
        path = coco / "images" / f"{image_id}.png"
        noise.save(path, format="jpeg")
        path.write_bytes(path.read_bytes()[:1500])
    code, error = lad("extract", "--checkpoint", coco / "no-model", *asked)
    assert code == 1
    assert "2 images cannot be decoded" in one_line(error)
    assert all(f"{image_id}.png: " in error for image_id in shown)
    assert error.count("is truncated") == 2
    assert not (coco / "s.parquet").exists()


def test_a_picture_that_no_question_shows_may_be_damaged(lad, coco, asked):
    shown = parquet.read(coco / "q.parquet", contracts.QUESTIONS)["candidates"].to_pylist()[0]
    (other,) = {1, 2, 3} - set(shown)
    (coco / "images" / f"{other}.png").write_bytes(b"no picture")
    code, error = lad("extract", "--checkpoint", coco / "no-model", *asked)
    assert code == 1
    assert "no-model is no folder" in one_line(error)


@pytest.mark.parametrize(
    ("probe", "more", "message"),
    [
        ("cot", (), "probe cot generates texts: say where to write them, --generations FILE"),
        ("vanilla", ("--generations", "g.parquet"), "probe vanilla generates no texts: leave --generations out"),
    ],
)
def test_a_file_for_texts_is_needed_by_generating_probes_and_refused_for_others(lad, coco, asked, probe, more, message):
    code, error = lad("extract", "--checkpoint", DEMO, "--probe", probe, *more, *asked)
    assert code == 1
    assert message in one_line(error)
    assert not (coco / "s.parquet").exists()


def test_texts_are_written_beside_the_signals_and_scored(lad, coco, asked):
    texts, predictions = coco / "g.parquet", coco / "predictions.parquet"
    probe = ("--probe", "self_consistency-samples3-tokens8", "--generations", texts)
    assert lad("extract", "--checkpoint", DEMO, *probe, *asked)[0] == 0
    written = parquet.read(texts, contracts.GENERATIONS)
    signals = parquet.read(coco / "s.parquet", contracts.SIGNALS)
    assert len(written) == 3 * len(signals)
    assert parquet.read_metadata(texts)["generation"]["samples"] == 3
    answer = ("score", "--signals", coco / "s.parquet", "--method", "self_consistency", "--out", predictions)
    code, error = lad(*answer)
    assert code == 1
    assert "self_consistency needs generated texts and none were given; extract with the probe" in one_line(error)
    assert lad(*answer, "--generations", texts)[0] == 0
    assert len(parquet.read(predictions, contracts.PREDICTIONS)) == len(signals)


@pytest.fixture
def three_questions(coco, asked) -> tuple:
    """As `asked`, of three questions in two orders each; `--out` is left to say."""
    (question,) = [
        row for row in parquet.read(coco / "q.parquet", contracts.QUESTIONS).to_pylist() if row["role"] == "evaluation"
    ]
    several = [{**question, "question_id": f"d-{rank}", "rank": rank, "caption": f"{rank}"} for rank in range(3)]
    parquet.write(parquet.from_rows(several, contracts.QUESTIONS), coco / "q.parquet", contracts.QUESTIONS)
    orders = build_presentations(parquet.read(coco / "q.parquet", contracts.QUESTIONS), "evaluation", rounds=2, seed=0)
    parquet.write(orders, coco / "p.parquet", contracts.PRESENTATIONS)
    return ("--checkpoint", DEMO, *asked[:-2])


def test_shards_of_texts_and_signals_are_merged_to_what_one_run_gives(lad, coco, three_questions):
    probe = ("--probe", "self_consistency-samples2-tokens4", "--finished", coco / "finished")
    whole = ("--out", coco / "s.parquet", "--generations", coco / "g.parquet")
    assert lad("extract", *three_questions, *probe, *whole)[0] == 0
    for number in (1, 2):
        folder = coco / "shards" / f"{number}-of-2"
        out = ("--out", folder / "signals.parquet", "--generations", folder / "generations.parquet")
        assert lad("extract", *three_questions, *probe, *out, "--shard", f"{number}/2")[0] == 0
    for relation, name in (("signals", "s"), ("generations", "g")):
        joined = ("--folder", coco / "shards", "--shards", 2, "--relation", relation, "--out", coco / "joined.parquet")
        assert lad("merge", *joined)[0] == 0
        contract = contracts.CONTRACTS[relation]
        assert parquet.read(coco / "joined.parquet", contract).equals(parquet.read(coco / f"{name}.parquet", contract))
        facts = parquet.read_metadata(coco / f"{name}.parquet")
        merged = parquet.read_metadata(coco / "joined.parquet")
        assert merged.pop("shards") == 2
        assert merged == {fact: value for fact, value in facts.items() if fact != "images"} | {
            "seconds": merged["seconds"]
        }


@pytest.mark.parametrize(
    ("shard", "message"),
    [("2", "shard '2' is not NUMBER/COUNT, such as 3/7"), ("1/4", "shard 1/4: only 3 questions are there to be cut")],
)
def test_a_shard_that_does_not_exist_is_refused(lad, coco, three_questions, shard, message):
    code, error = lad("extract", *three_questions, "--shard", shard, "--out", coco / "s.parquet")
    assert code == 1
    assert message in one_line(error)


def test_a_missing_shard_is_named(lad, coco):
    code, error = lad("merge", "--folder", coco, "--shards", 2, "--out", coco / "s.parquet")
    assert code == 1
    assert "1-of-2/signals.parquet: no such file" in one_line(error)


def test_signals_that_cannot_be_written_end_in_one_line_too(coco, asked):
    """No file may grow beyond 2 kB here: the kernel refuses the write, as it does on a full disk."""
    command = [sys.executable, "-c", "from lad.cli import main; main()", "extract", "--checkpoint", str(DEMO), *asked]
    limited = ["bash", "-c", 'ulimit -f 2; "$@"', "bash", *map(str, command)]
    run = subprocess.run(limited, capture_output=True, text=True, check=False, env={**os.environ, "TQDM_DISABLE": "1"})
    assert run.returncode == 1
    assert "the signals of presentation d-random-n02-e00000-" in one_line(run.stderr)
    assert not (coco / "s.parquet").exists()


def test_sql_answers_in_three_formats_and_lists_relations_when_it_cannot(monkeypatch, capsys, tmp_path):
    def sql(*arguments) -> str:
        monkeypatch.setattr(sys, "argv", ["lad", "sql", *map(str, arguments), "--results", str(tmp_path)])
        with pytest.raises(SystemExit):
            cli.main()
        streams = capsys.readouterr()
        return streams.out + streams.err

    assert "no table of a results folder lies in it" in one_line(sql("select 1"))
    file = catalog.RELATIONS["images"].path(tmp_path, dataset="d")
    parquet.write(contracts.IMAGES.schema.empty_table(), file, contracts.IMAGES)
    assert sql("select 1 as one, 'a,b' as two", "--format", "csv") == 'one,two\n1,"a,b"\n'
    assert json.loads(sql("select [1, 2] as list", "--format", "json")) == [{"list": [1, 2]}]
    odd = "select 'nan'::double as x, [1.5, 'infinity'::float] as list, {'a': '-infinity'::double, 'b': 'NaN'} as s"
    assert json.loads(sql(odd, "--format", "json"), parse_constant=pytest.fail) == [
        {"x": None, "list": [1.5, None], "s": {"a": None, "b": "NaN"}}
    ]
    assert "one" in sql("select 1 as one")
    assert "relations: images, embeddings, lists, questions" in sql("from nowhere")
    assert "column missing" not in sql("from signals")
    file.write_bytes(b"no Parquet")
    assert sql("from images").startswith("lad: error: ")


@pytest.fixture
def ask_sql(monkeypatch, capsys, tmp_path):
    """`lad sql` on a folder with an empty table of images; returns exit code and what it printed."""
    (tmp_path / "it's [here]").mkdir()
    folder = tmp_path / "it's [here]"
    file = catalog.RELATIONS["images"].path(folder, dataset="d")
    parquet.write(contracts.IMAGES.schema.empty_table(), file, contracts.IMAGES)

    def ask(query: str, *options: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["lad", "sql", query, *options, "--results", str(folder), "--format", "csv"])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        streams = capsys.readouterr()
        return stop.value.code or 0, streams.out + streams.err

    return ask


@pytest.mark.parametrize("query", ["select 1 as x", "from images", "describe images", "explain select 1", "values (1)"])
def test_sql_answers_whatever_only_reads(ask_sql, query):
    assert ask_sql(query)[0] == 0


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("from read_text('{other}')", "Permission Error"),
        ("from read_csv('{other}')", "Permission Error"),
        ("from '{other}'", "disabled"),
        ("copy (select 1) to '{new}'", "a statement that writes needs --other-files"),
        ("attach '{new}'", "a statement that writes needs --other-files"),
        ("install httpfs", "a statement that writes needs --other-files"),
        ("set enable_external_access = true", "a statement that writes needs --other-files"),
        ("select 1; select 2", "2 statements; --format csv takes the answer of one"),
        ("", "there is no statement in it"),
    ],
)
def test_sql_reaches_nothing_beside_the_results_folder(ask_sql, tmp_path, query, told):
    other, new = tmp_path / "other.csv", tmp_path / "new.csv"
    other.write_text("a\n1\n")
    code, said = ask_sql(query.format(other=other, new=new))
    assert (code, told in said) == (1, True), said
    assert not new.exists()


def test_sql_joins_other_files_where_it_is_let(ask_sql, tmp_path):
    other, new = tmp_path / "other.csv", tmp_path / "new.csv"
    other.write_text("a\n1\n")
    assert ask_sql(f"from '{other}'", "--other-files") == (0, "a\n1\n")
    assert ask_sql(f"copy (select 2 as b) to '{new}'", "--other-files")[0] == 0
    assert new.read_text() == "b\n2\n"


def test_a_query_without_end_stops_at_an_interrupt(tmp_path):
    file = catalog.RELATIONS["images"].path(tmp_path, dataset="d")
    parquet.write(contracts.IMAGES.schema.empty_table(), file, contracts.IMAGES)
    endless = "select count(*) from range(100000000000) as a, range(1000) as b"
    command = subprocess.Popen(
        [sys.executable, "-m", "lad", "sql", endless, "--results", str(tmp_path)],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with pytest.raises(subprocess.TimeoutExpired):
        command.wait(4)
    command.send_signal(signal.SIGINT)
    assert command.wait(60) in (130, -signal.SIGINT)


def test_the_help_of_sql_documents_every_relation(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lad", "sql", "--help"])
    with pytest.raises(SystemExit):
        cli.main()
    shown = capsys.readouterr().out
    for name, contract in contracts.CONTRACTS.items():
        assert name in shown
        assert all(column.name in shown for column in contract.columns)


def test_the_help_groups_the_commands_by_what_they_are_for(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lad", "--help"])
    with pytest.raises(SystemExit):
        cli.main()
    shown = capsys.readouterr().out
    places = [shown.index(word) for word in ("Stages", "extract", "Results", " sql ", "Helpers", "content-free")]
    assert places == sorted(places)


def test_a_command_whose_libraries_are_missing_says_what_brings_them(lad, monkeypatch, tmp_path):
    """As where only what extraction needs is installed."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    code, error = lad("sql", "select 1", "--results", tmp_path)
    assert code == 1
    assert "duckdb" in one_line(error)
    assert "pip install 'logit-attention-divergence[pipeline]'" in error
