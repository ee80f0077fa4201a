"""A bundle holds what the offline half needs, can be trusted, and leaves alone what nobody asked for."""

import hashlib
import io
import json
import shutil
import sys
import tarfile
from pathlib import Path

import pytest
from signals_factory import of_an_earlier_version, random_signals

from lad import cli, contracts, parquet
from lad.bundle import BundleError, check, read_manifest, summary, unpack, write_bundle
from lad.calibration.calibrate import calibrate
from lad.catalog import RELATIONS
from lad.contracts import SIGNALS
from lad.methods import score

BENCHMARK = {"dataset": "d", "setting": "random", "n": 4}
CELL = {"model": "m", **BENCHMARK, "probe": "vanilla"}
EXTRACTION = {
    "model": "some/checkpoint",
    "revision": "0123abcd",
    "dtype": "bfloat16",
    "extractor_version": 1,
    "versions": {"torch": "2.13.0"},
    "device": "a GPU",
    "seconds": 1.5,
    "presentations": 24,
    "peak_memory_bytes": 1000,
}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """Two splits of signals with their benchmark, and what a bundle leaves out: a calibration, an image, a note."""
    folder = tmp_path_factory.mktemp("results")
    images = [
        {"image_id": i, "file_name": f"{i}.png", "width": 8, "height": 8, "caption": "c", "category_ids": []}
        | ({"license": "CC BY 2.0"} if i else {})
        for i in range(5)
    ]
    question = {"role": "evaluation", "rank": 0, "caption": "c", "candidates": [1, 2, 3, 4], "target": 1}
    rows = [{**question, "question_id": "q", "n_candidates": 4}]
    put(folder, "images", parquet.from_rows(images, contracts.IMAGES), dataset="d")
    put(folder, "questions", parquet.from_rows(rows, contracts.QUESTIONS), **BENCHMARK)
    for split in ("calibration", "evaluation"):
        signals = random_signals(0, 4, split=split)
        put(folder, "presentations", signals.select(contracts.PRESENTATIONS.schema.names), **BENCHMARK, split=split)
        put(folder, "signals", signals, EXTRACTION, **CELL, split=split)
    bias = contracts.POSITION_BIAS.schema.empty_table()
    put(folder, "position_bias", bias, **CELL, split="calibration", calibration_set=1, calibration_questions=5)
    (folder / "datasets").mkdir()
    (folder / "datasets" / "1.png").write_bytes(b"pixels")
    (folder / "signals" / "notes.txt").write_text("not a table")
    return folder


@pytest.fixture
def bundle(results, tmp_path) -> Path:
    path = tmp_path / "signals.tar"
    write_bundle(results, path)
    return path


def put(folder: Path, name: str, table, metadata: dict | None = None, **keys) -> None:
    parquet.write(table, RELATIONS[name].path(folder, **keys), RELATIONS[name].contract, metadata)


def signals_path(split: str) -> str:
    return RELATIONS["signals"].path(Path(), **CELL, split=split).as_posix()


def rewrite(bundle: Path, change) -> None:
    """Write the bundle again, its members (name to content, manifest first) changed in place by `change`."""
    with tarfile.open(bundle) as tar:
        members = {entry.name: tar.extractfile(entry).read() for entry in tar}
    change(members)
    with tarfile.open(bundle, "w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def rewrite_manifest(bundle: Path, change) -> None:
    def edit(members: dict[str, bytes]) -> None:
        content = json.loads(members["manifest.json"])
        change(content)
        members["manifest.json"] = json.dumps(content).encode()

    rewrite(bundle, edit)


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def one_line(error: pytest.ExceptionInfo) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_bundle_unpacks_to_the_very_files_that_the_offline_half_needs_and_no_others(results, bundle, tmp_path):
    unpack(bundle, tmp_path / "new")
    needed = ("images/", "questions/", "presentations/", "signals/model")
    assert files_of(tmp_path / "new") == {k: v for k, v in files_of(results).items() if k.startswith(needed)}


def test_a_bundle_of_an_earlier_version_gives_the_same_answers(results, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(results, old, copy_function=shutil.copyfile)
    for split in ("calibration", "evaluation"):
        of_an_earlier_version(old / signals_path(split))
    write_bundle(old, tmp_path / "old.tar")
    unpack(tmp_path / "old.tar", tmp_path / "new")
    answers = []
    for folder in (results, tmp_path / "new"):
        fitted, asked = (parquet.read(folder / signals_path(split), SIGNALS) for split in ("calibration", "evaluation"))
        answers.append(score(asked, calibrate(fitted), "agd"))
    assert answers[0].equals(answers[1])


def test_the_same_results_give_the_same_bytes(results, bundle, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(results, copy, copy_function=shutil.copyfile)
    write_bundle(copy, tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == bundle.read_bytes()


def test_the_manifest_has_checksum_size_and_rows_of_every_table(results, bundle):
    for member in read_manifest(bundle).members:
        content = (results / member.path).read_bytes()
        assert (member.bytes, member.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert read_manifest(bundle).by_path[signals_path("evaluation")].rows == 24


def test_the_manifest_says_with_what_the_signals_were_made_and_whose_the_captions_are(results, tmp_path):
    configuration = tmp_path / "config.yaml"
    configuration.write_text("seed: 0 # é\n", encoding="utf-8")
    manifest = write_bundle(results, tmp_path / "b.tar", configuration)
    assert read_manifest(tmp_path / "b.tar") == manifest
    ((way,),) = manifest.models.values()
    assert way["revision"] == "0123abcd"
    assert (way["files"], way["seconds"], way["presentations"]) == (2, 3.0, 48)
    assert manifest.configuration == "seed: 0 # é\n"
    assert manifest.licence["images"] == {"d": {"CC BY 2.0": 4, "not stated": 1}}
    assert "  signals: 2 tables, 48 rows" in summary(manifest)


def test_signals_made_in_two_ways_are_told_apart(results, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(results, copy)
    put(copy, "signals", random_signals(0, 4), EXTRACTION | {"dtype": "float32"}, **CELL, split="calibration")
    manifest = write_bundle(copy, tmp_path / "b.tar")
    assert sorted(way["dtype"] for way in manifest.models["m"]) == ["bfloat16", "float32"]


def test_only_what_is_asked_for_is_unpacked(bundle, tmp_path):
    assert unpack(bundle, tmp_path / "new", ["signals/*/split=evaluation/*"]) == [
        tmp_path / "new" / signals_path("evaluation")
    ]
    assert list(files_of(tmp_path / "new")) == [signals_path("evaluation")]


def test_a_pattern_that_matches_nothing_is_refused(bundle, tmp_path):
    with pytest.raises(BundleError, match=r"no table matches signals/model=x/\*"):
        unpack(bundle, tmp_path / "new", ["signals/*", "signals/model=x/*"])


def test_a_file_that_is_there_is_kept_if_it_is_the_same_and_never_overwritten(bundle, tmp_path):
    file = tmp_path / "new" / signals_path("evaluation")
    unpack(bundle, tmp_path / "new")
    before = file.stat().st_mtime_ns
    unpack(bundle, tmp_path / "new")
    assert file.stat().st_mtime_ns == before
    file.write_bytes(b"my own")
    with pytest.raises(BundleError, match="is there already and differs"):
        unpack(bundle, tmp_path / "new")
    assert file.read_bytes() == b"my own"


def test_any_changed_byte_of_a_table_is_found_and_the_table_is_not_written(bundle, tmp_path):
    name = signals_path("evaluation")

    def flip(members: dict[str, bytes]) -> None:
        members[name] = members[name][:-9] + bytes([members[name][-9] ^ 1]) + members[name][-8:]

    rewrite(bundle, flip)
    with pytest.raises(BundleError, match=r"split=evaluation.* has sha256 .*, its manifest says") as error:
        check(bundle)
    one_line(error)
    with pytest.raises(BundleError, match="has sha256"):
        unpack(bundle, tmp_path / "new")
    left = files_of(tmp_path / "new")
    assert name not in left
    assert not any("partial" in path for path in left)


def test_a_bundle_cut_off_anywhere_is_refused_and_what_it_leaves_is_whole(results, bundle, tmp_path):
    whole, content = files_of(results), bundle.read_bytes()
    with tarfile.open(bundle) as tar:
        end = max(entry.offset_data + entry.size for entry in tar)
    for number, length in enumerate({0, 100, 512, 700, *range(1000, end, end // 10), end - 1}):
        bundle.write_bytes(content[:length])
        with pytest.raises(BundleError) as error:
            unpack(bundle, tmp_path / str(number))
        one_line(error)
        with pytest.raises(BundleError):
            check(bundle)
        for name, written in files_of(tmp_path / str(number)).items():
            assert written == whole[name]


def test_a_bundle_shorter_than_its_tables_is_told_from_the_manifest_alone(bundle):
    content = bundle.read_bytes()
    bundle.write_bytes(content[: len(content) // 2])
    with pytest.raises(BundleError, match="truncated") as error:
        read_manifest(bundle)
    one_line(error)


def test_another_format_is_refused_by_its_number(bundle):
    rewrite_manifest(bundle, lambda content: content.update(format=2))
    with pytest.raises(BundleError, match="a bundle of format 2, this lad reads format 1") as error:
        read_manifest(bundle)
    one_line(error)


@pytest.mark.parametrize(
    "path",
    [
        "../signals.parquet",
        "/tmp/signals.parquet",
        "signals/../../signals.parquet",
        "signals/model=../dataset=d/setting=random/n=4/probe=vanilla/split=evaluation/signals.parquet",
        "calibration/model=m/position_bias.parquet",
        "signals/model=m/evil.sh",
    ],
)
def test_a_path_that_is_none_of_a_bundles_tables_is_refused(bundle, tmp_path, path):
    rewrite_manifest(bundle, lambda content: content["files"][0].update(path=path))
    with pytest.raises(BundleError, match="is not the path of a table that bundles hold") as error:
        unpack(bundle, tmp_path / "new")
    one_line(error)
    assert not (tmp_path / "new").exists()


def test_a_member_that_the_manifest_does_not_name_is_refused(bundle, tmp_path):
    rewrite(bundle, lambda members: members.update({"../evil": b"x"}))
    with pytest.raises(BundleError, match=r"holds '\.\./evil', which is no file of its manifest"):
        check(bundle)
    assert not (tmp_path.parent / "evil").exists()


def test_a_link_in_place_of_a_table_is_refused(bundle, tmp_path):
    with tarfile.open(bundle) as tar:
        members = [(entry, tar.extractfile(entry).read()) for entry in tar]
    with tarfile.open(bundle, "w") as tar:
        for entry, content in members:
            if entry.name == signals_path("evaluation"):
                entry.type, entry.linkname, entry.size = tarfile.SYMTYPE, "/etc/passwd", 0
            tar.addfile(entry, io.BytesIO(content))
        tar.addfile(tarfile.TarInfo("padding"), io.BytesIO())
    with bundle.open("ab") as file:
        file.write(b"\0" * 100_000)
    with pytest.raises(BundleError, match="which is no file of its manifest"):
        unpack(bundle, tmp_path / "new")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such bundle"),
        (b"no archive", "not a whole signals bundle"),
        (b"", "not a whole signals bundle"),
    ],
)
def test_what_is_no_bundle_is_refused(tmp_path, content, message):
    path = tmp_path / "b.tar"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BundleError, match=message) as error:
        read_manifest(path)
    one_line(error)


def test_a_manifest_that_names_a_table_twice_is_refused(bundle):
    rewrite_manifest(bundle, lambda content: content["files"].append(content["files"][0]))
    with pytest.raises(BundleError, match="names a file twice"):
        read_manifest(bundle)


def test_an_archive_that_does_not_begin_with_a_manifest_or_has_a_broken_one_is_refused(bundle):
    for broken in (b"", b"[]", b"{", b"\xff", b'{"format": 1}', b'{"format": 1, "files": [{"path": 3}]}'):
        rewrite(bundle, lambda members, broken=broken: members.update({"manifest.json": broken}))
        with pytest.raises(BundleError, match=r"manifest\.json cannot be read") as error:
            read_manifest(bundle)
        one_line(error)
    rewrite(bundle, lambda members: members.pop("manifest.json"))
    with pytest.raises(BundleError, match=r"its first member is not manifest\.json"):
        read_manifest(bundle)


def test_results_without_signals_are_refused_and_nothing_is_left(tmp_path):
    put(tmp_path / "r", "questions", contracts.QUESTIONS.schema.empty_table(), **BENCHMARK)
    with pytest.raises(BundleError, match="no signals in this results folder"):
        write_bundle(tmp_path / "r", tmp_path / "out" / "b.tar")
    assert not (tmp_path / "out").exists()


def test_what_a_configuration_asks_for_and_a_bundle_lacks_is_one_line_with_names_and_a_count(bundle):
    manifest = read_manifest(bundle)
    manifest.refuse_missing({signals_path("evaluation"): 24, signals_path("calibration"): 24})
    with pytest.raises(
        BundleError, match=r"lacks 2 of the 3 partitions .*: a, .*split=calibration.* \(24 of 25 rows\);"
    ):
        manifest.refuse_missing({"a": 1, signals_path("evaluation"): 1, signals_path("calibration"): 25})
    with pytest.raises(BundleError, match=r"lacks 9 of the 9 partitions .*: a, b, c and 6 more;") as error:
        manifest.refuse_missing(dict.fromkeys("abcdefghi", 1))
    one_line(error)


@pytest.fixture
def lad(monkeypatch, capsys):
    def run(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lad", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, error = capsys.readouterr()
        return stop.value.code or 0, out, error

    return run


def test_the_commands_write_check_and_unpack(lad, results, tmp_path):
    bundle = tmp_path / "b.tar"
    assert lad("bundle", "--results", results, "--out", bundle)[0] == 0
    code, out, _ = lad("bundle", "--check", bundle)
    assert code == 0
    assert "signals: 2 tables, 48 rows" in out
    assert lad("unbundle", "--bundle", bundle, "--results", tmp_path / "new")[0] == 0
    assert len(files_of(tmp_path / "new")) == 6


def test_what_cannot_be_meant_is_refused_in_one_line(lad, results, tmp_path):
    for arguments in ([], ["--results", results], ["--results", results, "--out", "x", "--check", "y"]):
        code, _, error = lad("bundle", *arguments)
        assert (code, error.count("\n")) == (1, 1)
        assert "give either --results and --out" in error
