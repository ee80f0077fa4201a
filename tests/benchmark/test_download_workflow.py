"""What Snakemake makes of a dataset with declared downloads: planned, fetched, found, and no longer needed."""

import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lad.catalog import RELATIONS
from lad.demo.scenes import write_dataset
from lad.grid import CalibrationSource

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
CELL = {"model": "demo", "dataset": "pictures", "setting": "random", "n": 2, "probe": "vanilla"}

pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> Iterator[tuple[str, list[str]]]:
    """The address of a server with a small dataset in two archives, and the paths it was asked for."""
    folder = tmp_path_factory.mktemp("archives")
    write_dataset(folder / "scenes", images=12, seed=1)
    shutil.make_archive(str(folder / "images"), "zip", folder / "scenes", "images")
    (folder / "scenes" / "annotations").mkdir()
    (folder / "scenes" / "captions.json").rename(folder / "scenes" / "annotations" / "captions.json")
    shutil.make_archive(str(folder / "annotations"), "zip", folder / "scenes", "annotations")
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, *arguments) -> None:
            asked.append(self.path)

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.fixture
def plan(archives, tmp_path) -> dict:
    address, _asked = archives
    data = tmp_path / "data"
    return {
        **CONFIG,
        "results": str(tmp_path / "results"),
        "models": {"demo": CONFIG["models"]["demo"]},
        "datasets": {
            "pictures": {
                "folder": str(data),
                "download": [{"url": f"{address}/{part}.zip", "unpack": part} for part in ("annotations", "images")],
                "captions": str(data / "annotations" / "captions.json"),
                "images": str(data / "images"),
            }
        },
        "benchmark": {**CONFIG["benchmark"], "questions": 2, "orders": 1},
        "runs": [
            {"models": ["demo"], "datasets": ["pictures"], "settings": ["random"], "n": [2], "probes": ["vanilla"]}
            | {"methods": ["vanilla"]}
        ],
        "report": {"model": "demo", "dataset": "pictures", "artifacts": {"fig2": {"n": 2}}},
    }


def snakemake(config: dict, folder: Path, *arguments: str) -> str:
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["snakemake", "--configfile", str(file), "--cores", "1", "--nolock", *arguments]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def rules_planned(output: str) -> set[str]:
    if "Nothing to be done" in output:
        return set()
    table = output.split("Job stats:", 1)[1].split("total", 1)[0]
    return {line.split()[0] for line in table.splitlines()[3:] if line.strip()}


def test_data_are_planned_before_they_are_there_fetched_once_and_never_again(plan, archives, tmp_path):
    _address, asked = archives
    planned = rules_planned(snakemake(plan, tmp_path, "--dry-run"))
    assert {"download_dataset", "read_images", "extract_signals"} <= planned
    assert asked == []

    snakemake(plan, tmp_path, "--until", "read_images")
    assert asked == ["/annotations.zip", "/images.zip"]
    assert RELATIONS["images"].path(tmp_path / "results", dataset="pictures").exists()
    receipt = json.loads((tmp_path / "results" / "datasets" / "pictures" / "downloaded.json").read_text())
    assert [file["status"] for file in receipt["files"]] == ["downloaded", "downloaded"]

    # Whoever deletes the data and fetches them anew, the images are not read again.
    shutil.rmtree(tmp_path / "data")
    assert rules_planned(snakemake(plan, tmp_path, "--until", "read_images", "--dry-run")) == set()
    again = ("--forcerun", "download_dataset", "--until", "read_images")
    assert rules_planned(snakemake(plan, tmp_path, *again, "--dry-run")) == {"download_dataset"}


def test_files_that_are_there_already_are_neither_fetched_nor_deleted(plan, archives, tmp_path):
    _address, asked = archives
    asked.clear()
    (tmp_path / "data" / "annotations").mkdir(parents=True)
    (tmp_path / "data" / "images").mkdir()
    (tmp_path / "data" / "annotations" / "captions.json").write_text("the user's own")
    snakemake(plan, tmp_path, "--until", "download_dataset")
    assert asked == []
    assert (tmp_path / "data" / "annotations" / "captions.json").read_text() == "the user's own"


def test_where_signals_are_present_their_data_are_not_wanted_until_something_new_is_asked(plan, tmp_path):
    keys = {**CELL, **CalibrationSource("pictures", "random").keys, "calibration_questions": 5, "split": "evaluation"}
    for relation in ("images", "questions", "presentations", "signals", "predictions", "metrics", "differences"):
        path = RELATIONS[relation].path(tmp_path / "results", **keys)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    planned = rules_planned(snakemake(plan, tmp_path, "--dry-run"))
    assert planned == {"draw_figure", "write_report", "write_explorer", "all"}

    more = {**plan, "runs": [{**plan["runs"][0], "n": [2, 3]}]}
    output = snakemake(more, tmp_path, "--dry-run")
    assert {"download_dataset", "extract_signals"} <= rules_planned(output)
    assert "read_images" not in rules_planned(output)
    # The signals of before stay as they are.
    assert "Asking demo: random, 3 candidates" in output
    assert "Asking demo: random, 2 candidates" not in output
