"""Downloads against a real HTTP server on the loopback: cut, refused, changed, full, hostile, and not needed at all."""

import dataclasses
import hashlib
import http.server
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from urllib3.exceptions import NewConnectionError

from lad.benchmark import download as module
from lad.benchmark.download import DownloadError, Source, download, unpack
from lad.config import parse_configuration

ROOT = Path(__file__).parents[2]
BODY = np.random.default_rng(0).bytes(1_500_000)
"""More than a few of the chunks that a response is read in."""


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; notes every request; misbehaves as told.

    Attributes:
        cuts: for each coming response, after how many bytes to drop the connection (None: not at all).
        ranges, conditions: whether it knows Range, and If-Range.
        validators: header that tells versions apart, per path.
        failures: for how many requests to answer 503 first.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.sent: list[int] = []
        self.cuts: list[int | None] = []
        self.ranges = self.conditions = True
        self.length = True
        self.validators = {"ETag": '"one"'}
        self.failures = 0

    def handle_error(self, request, client_address) -> None:
        """A connection that the client drops is no error here."""

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        server.requests.append((self.path.lstrip("/"), self.headers.get("Range")))
        if server.failures:
            server.failures -= 1
            return self.send_error(503)
        body = server.files.get(self.path.lstrip("/"))
        if body is None:
            return self.send_error(404)
        begin = self.begin()
        if begin is not None and begin >= len(body):
            return self.send_error(416)
        self.send_response(200 if begin is None else 206)
        for name, value in server.validators.items():
            self.send_header(name, value)
        if begin is not None:
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        rest = body[begin or 0 :]
        if server.length:
            self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else None
        server.sent.append(len(rest[:cut]))
        self.wfile.write(rest[:cut])
        self.close_connection = True

    def begin(self) -> int | None:
        wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if not wanted or not self.server.ranges:
            return None
        if self.server.conditions and condition not in (None, *self.server.validators.values()):
            return None
        return int(wanted.removeprefix("bytes=").removesuffix("-"))


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "_RETRIES", module._RETRIES.new(backoff_factor=0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def source(server) -> Source:
    server.files["pictures.bin"] = BODY
    digits = hashlib.sha256(BODY).hexdigest()
    return Source(server.url("pictures.bin"), sha256=digits, bytes=len(BODY))


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_file_is_downloaded_whole_and_nothing_else_is_left(server, source, tmp_path):
    receipt = download(tmp_path / "data", [source], [tmp_path / "data" / "pictures.bin"])
    assert (tmp_path / "data" / "pictures.bin").read_bytes() == BODY
    assert names(tmp_path / "data") == {"pictures.bin"}
    assert receipt["files"][0]["status"] == "downloaded"
    assert server.requests == [("pictures.bin", None)]


def test_a_cut_connection_is_taken_up_again_and_only_the_rest_is_asked_for(server, source, tmp_path):
    server.cuts = [600_000, 500_000]
    download(tmp_path, [source])
    assert (tmp_path / "pictures.bin").read_bytes() == BODY
    begins = [int(asked.removeprefix("bytes=").removesuffix("-")) for _, asked in server.requests[1:]]
    assert len(begins) == 2
    assert 0 < begins[0] <= 600_000
    assert begins[0] < begins[1] <= begins[0] + 500_000
    # What a cut loses is at most the chunk that was being read.
    assert sum(server.sent) <= len(BODY) + 2 * module._CHUNK


def test_a_later_run_goes_on_where_a_killed_one_stopped(server, source, tmp_path):
    server.cuts = [600_000, 0]
    with pytest.raises(DownloadError, match=r"pictures\.bin.* put the files to"):
        download(tmp_path, [source])
    held = (tmp_path / "pictures.bin.part").stat().st_size
    assert 0 < held <= 600_000
    server.cuts, server.requests = [], []
    download(tmp_path, [source])
    assert server.requests == [("pictures.bin", f"bytes={held}-")]
    assert (tmp_path / "pictures.bin").read_bytes() == BODY
    assert names(tmp_path) == {"pictures.bin"}


def test_a_server_without_ranges_is_asked_for_all_of_it_again(server, source, tmp_path):
    server.ranges = False
    server.cuts = [600_000]
    download(tmp_path, [source])
    assert (tmp_path / "pictures.bin").read_bytes() == BODY
    assert server.sent == [600_000, len(BODY)]


def interrupted(server: Server, source: Source, folder: Path, second: int = 0) -> None:
    """A run that the server ends: its second response brings no more than the first."""
    server.cuts = [600_000, second]
    with pytest.raises(DownloadError):
        download(folder, [source])
    assert (folder / "pictures.bin.part").stat().st_size > 0
    server.cuts = []


@pytest.mark.parametrize("conditions", [True, False], ids=["If-Range is known", "If-Range is not known"])
@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
def test_a_file_that_changed_between_two_tries_is_not_glued_to_its_old_half(
    server, source, tmp_path, conditions, header
):
    unchecked = Source(source.url)  # no checksum that would find it out in the end
    old, new = {"ETag": ('"one"', '"two"'), "Last-Modified": ("Sat, 01 Jan 2022", "Sun, 02 Jan 2022")}[header]
    server.validators = {header: old}
    interrupted(server, unchecked, tmp_path)
    server.validators, server.conditions = {header: new}, conditions
    server.files["pictures.bin"] = changed = BODY[::-1]
    download(tmp_path, [unchecked])
    assert (tmp_path / "pictures.bin").read_bytes() == changed


def test_nor_is_it_when_the_first_try_at_the_new_file_is_killed_at_once(server, source, tmp_path, monkeypatch):
    unchecked = Source(source.url)
    interrupted(server, unchecked, tmp_path)
    server.validators = {"ETag": '"two"'}
    server.files["pictures.bin"] = changed = BODY[::-1]

    def killed(*arguments) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_append", killed)
        with pytest.raises(KeyboardInterrupt):
            download(tmp_path, [unchecked])
    download(tmp_path, [unchecked])
    assert (tmp_path / "pictures.bin").read_bytes() == changed


@pytest.mark.parametrize("validators", [{}, {"ETag": 'W/"weak"'}], ids=["none", "weak"])
def test_without_a_strong_validator_nothing_is_continued(server, source, tmp_path, validators):
    server.validators = validators
    interrupted(server, source, tmp_path, second=600_000)
    server.requests = []
    download(tmp_path, [source])
    assert server.requests == [("pictures.bin", None)]
    assert (tmp_path / "pictures.bin").read_bytes() == BODY


def test_a_part_of_another_address_is_not_continued(server, source, tmp_path):
    interrupted(server, source, tmp_path)
    server.files["mirror/pictures.bin"] = BODY
    server.requests = []
    download(tmp_path, [dataclasses.replace(source, url=server.url("mirror/pictures.bin"))])
    assert server.requests == [("mirror/pictures.bin", None)]


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server, source, tmp_path):
    interrupted(server, source, tmp_path)
    (tmp_path / "pictures.bin.part").write_bytes(bytes(2 * len(BODY)))
    download(tmp_path, [source])
    assert (tmp_path / "pictures.bin").read_bytes() == BODY


def test_a_cut_is_taken_up_again_where_the_length_was_told_to_later_requests_only(server, source, tmp_path):
    interrupted(server, source, tmp_path)
    notes = tmp_path / "pictures.bin.part.json"
    notes.write_text(json.dumps({**json.loads(notes.read_text()), "total": None}))
    server.requests = []
    download(tmp_path, [source])
    assert [asked is None for _, asked in server.requests] == [False]
    assert (tmp_path / "pictures.bin").read_bytes() == BODY


def test_a_server_that_does_not_tell_the_length_is_read_to_the_end(server, source, tmp_path):
    server.length = False
    download(tmp_path, [source])
    assert (tmp_path / "pictures.bin").read_bytes() == BODY


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_a_wrong_checksum_is_refused_and_the_file_not_left_in_place(server, source, tmp_path, kind):
    wrong = Source(source.url, **{kind: "0" * module._DIGITS[kind]})
    with pytest.raises(DownloadError, match=rf"deleted, its {kind} is [0-9a-f]+, 0+ is declared"):
        download(tmp_path, [wrong])
    assert names(tmp_path) == set()


def test_another_size_is_refused_before_the_body_is_kept(server, source, tmp_path):
    other = dataclasses.replace(source, bytes=17)
    with pytest.raises(DownloadError, match="the server has 1500000 bytes, 17 are declared"):
        download(tmp_path, [other])
    assert names(tmp_path) == set()


def test_a_busy_server_is_asked_again(server, source, tmp_path):
    server.failures = 2
    download(tmp_path, [source])
    assert len(server.requests) == 3


def test_a_server_that_refuses_is_named_with_its_answer(server, source, tmp_path):
    with pytest.raises(DownloadError, match=r"gone\.zip \(the server answered 404 Not Found\)"):
        download(tmp_path, [Source(server.url("gone.zip"))])


def test_too_small_a_disk_is_refused_before_anything_is_fetched(server, source, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2_000_000, 600_000, 1_400_000))
    with pytest.raises(DownloadError, match=r"1\.5 MB are needed for pictures\.bin, 1\.4 MB are free"):
        download(tmp_path, [source])
    assert names(tmp_path) == set()


def test_an_archive_needs_room_for_what_is_in_it_too(server, tmp_path, monkeypatch):
    server.files["a.zip"] = zipped({"a/1.txt": bytes(1000)})
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2000, 500, 1500))
    with pytest.raises(DownloadError, match=r"needed for a\.zip and unpacked"):
        download(tmp_path, [Source(server.url("a.zip"), unpack="a")])
    assert names(tmp_path) == set()


def test_the_sizes_in_an_archive_are_summed_before_it_is_unpacked(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(3):
            archive.writestr(f"a/{k}.txt", bytes(1_000_000))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(4_000_000, 1_100_000, 2_900_000))
    with pytest.raises(
        DownloadError, match=r"3\.0 MB are needed to unpack a\.zip, 2\.9 MB are free; the archive is kept"
    ):
        unpack(tmp_path / "a.zip", tmp_path / "a")
    assert names(tmp_path) == {"a.zip"}


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a disk of one megabyte cannot be mounted here (root's right)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_keeps_the_part_and_says_so_in_one_line(server, source, small_disk, tmp_path, monkeypatch):
    """The room is gone after it was looked at: another process was faster."""
    monkeypatch.setattr(module, "_refuse_full_disk", lambda *arguments: None)
    with pytest.raises(DownloadError, match=r"cannot be written \(No space left on device\); its \d+ bytes are kept"):
        download(small_disk, [source])
    held = (small_disk / "pictures.bin.part").stat().st_size
    assert 500_000 < held <= 1 << 20
    for name in ("pictures.bin.part", "pictures.bin.part.json"):
        shutil.copy(small_disk / name, tmp_path / name)
    server.requests = []
    download(tmp_path, [source])
    assert server.requests == [("pictures.bin", f"bytes={held}-")]
    assert (tmp_path / "pictures.bin").read_bytes() == BODY


def test_a_disk_that_fills_up_while_unpacking_leaves_the_archive_and_no_folder(small_disk, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_refuse_too_large", lambda *arguments: None)
    archive = tmp_path / "a.zip"
    archive.write_bytes(zipped({f"a/{k}.bin": BODY[k * 300_000 : (k + 1) * 300_000] for k in range(5)}))
    with pytest.raises(DownloadError, match=r"No space left on device.*the archive is kept"):
        unpack(archive, small_disk / "a")
    assert names(small_disk) == set()
    assert archive.exists()


def test_an_archive_of_one_folder_of_the_targets_name_gives_that_folder(server, tmp_path):
    server.files["val.zip"] = zipped({"val/1.jpg": b"one", "val/2.jpg": b"two", "__MACOSX/val/._1.jpg": b"noise"})
    download(tmp_path, [Source(server.url("val.zip"), unpack="val")])
    assert names(tmp_path) == {"val", "val/1.jpg", "val/2.jpg"}


def test_any_other_archive_is_unpacked_into_the_target(server, tmp_path):
    server.files["texts.zip"] = zipped({"one.txt": b"one", "deep/two.txt": b"two"})
    download(tmp_path, [Source(server.url("texts.zip"), unpack="texts/all")])
    assert names(tmp_path) == {"texts", "texts/all", "texts/all/one.txt", "texts/all/deep", "texts/all/deep/two.txt"}


def test_files_of_one_name_are_put_where_the_dataset_says(server, tmp_path):
    """As the Hub has them: a folder for each task, and in each a file of the same name."""
    server.files |= {"a/val.parquet": b"one", "b/val.parquet": b"two"}
    sources = [Source(server.url(f"{task}/val.parquet"), file=f"{task}/val.parquet") for task in "ab"]
    download(tmp_path, sources, [tmp_path])
    assert (tmp_path / "a/val.parquet").read_bytes() + (tmp_path / "b/val.parquet").read_bytes() == b"onetwo"


def link(target: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo("images/link")
    member.external_attr = 0o120777 << 16
    return member


@pytest.mark.parametrize(
    "member",
    ["../outside.txt", "images/../../outside.txt", "/tmp/outside.txt", "C:\\outside.txt", "..\\outside.txt", link("/")],
    ids=["above", "above by a detour", "absolute", "drive", "backslashes", "link"],
)
def test_an_archive_that_would_write_elsewhere_is_refused_as_a_whole(tmp_path, member):
    folder = tmp_path / "data"
    folder.mkdir()
    archive = folder / "evil.zip"
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("images/fine.txt", b"fine")
        if isinstance(member, str):
            member, name = zipfile.ZipInfo("x"), member
            member.filename = name
        written.writestr(member, b"/etc/passwd")
    with pytest.raises(DownloadError, match=r"evil\.zip: refused, its member '.*' (would lie elsewhere|is a link)"):
        unpack(archive, folder / "images")
    assert names(tmp_path) == {"data", "data/evil.zip"}


@pytest.mark.parametrize("content", [b"no archive", zipped({"a/1.txt": BODY[:5000]})[:-700]], ids=["text", "cut"])
def test_what_is_no_whole_archive_is_refused(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DownloadError, match=r"a\.zip: cannot be unpacked, only whole zip archives can"):
        unpack(tmp_path / "a.zip", tmp_path / "a")
    assert names(tmp_path) == {"a.zip"}


def test_a_damaged_member_leaves_no_folder(tmp_path):
    content = bytearray(zipped({"a/1.txt": BODY[:5000], "a/2.txt": BODY[:5000]}))
    content[7000] ^= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DownloadError, match="Bad CRC-32"):
        unpack(tmp_path / "a.zip", tmp_path / "a")
    assert names(tmp_path) == {"a.zip"}


def test_a_half_unpacked_folder_is_not_taken_for_a_whole_one(server, tmp_path):
    """A run that is killed amid unpacking: the archive is there, the hidden folder has some of its files."""
    content = {f"val/{k}.txt": str(k).encode() for k in range(3)}
    archive = zipped(content)
    source = Source(server.url("val.zip"), sha256=hashlib.sha256(archive).hexdigest(), unpack="val")
    (tmp_path / "val.zip").write_bytes(archive)
    (tmp_path / ".val.partial" / "val").mkdir(parents=True)
    (tmp_path / ".val.partial" / "val" / "0.txt").write_text("hal")
    download(tmp_path, [source])
    assert names(tmp_path) == {"val", *content}
    assert (tmp_path / "val" / "0.txt").read_text() == "0"
    assert server.requests == []


def test_an_archive_put_there_by_hand_is_verified_and_not_deleted_when_it_is_wrong(server, tmp_path):
    (tmp_path / "val.zip").write_bytes(b"something else")
    with pytest.raises(DownloadError, match=r"val\.zip: its md5 is .* Delete it to have it downloaded"):
        download(tmp_path, [Source(server.url("val.zip"), md5="0" * 32, unpack="val")])
    assert (tmp_path / "val.zip").read_bytes() == b"something else"


def test_what_is_there_already_is_neither_fetched_nor_touched(server, source, tmp_path):
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "own.txt").write_text("the user's")
    (tmp_path / "pictures.bin").write_bytes(b"the user's")
    receipt = download(tmp_path, [source, Source(server.url("val.zip"), unpack="val")], [tmp_path / "val"])
    assert server.requests == []
    assert (tmp_path / "val" / "own.txt").read_text() == "the user's"
    assert (tmp_path / "pictures.bin").read_bytes() == b"the user's"
    assert [file["status"] for file in receipt["files"]] == ["was there", "was there"]


def test_where_all_that_is_needed_lies_elsewhere_nothing_is_fetched(server, source, tmp_path):
    (tmp_path / "own.json").write_text("{}")
    receipt = download(tmp_path / "data", [source], [tmp_path / "own.json"])
    assert server.requests == []
    assert receipt["files"][0]["status"] == "not needed"


def test_a_folder_of_several_archives_is_not_there_before_all_of_them_are(server, tmp_path):
    """As MMIU's pictures: a run that was interrupted after the first archive goes on with the second."""
    sources = []
    for name in ("one", "two"):
        server.files[f"{name}.zip"] = zipped({f"{name}/1.txt": b"1"})
        sources.append(Source(server.url(f"{name}.zip"), unpack=name))
    download(tmp_path / "data", sources[:1], [tmp_path / "data"])
    download(tmp_path / "data", sources, [tmp_path / "data"])
    assert [name for name, _ in server.requests] == ["one.zip", "two.zip"]
    assert (tmp_path / "data" / "two" / "1.txt").exists()


def test_only_what_is_missing_is_fetched(server, source, tmp_path):
    server.files["val.zip"] = zipped({"val/1.txt": b"1"})
    (tmp_path / "pictures.bin").write_bytes(BODY)
    download(tmp_path, [source, Source(server.url("val.zip"), unpack="val")])
    assert server.requests == [("val.zip", None)]


def test_something_needed_that_no_source_holds_is_named(server, source, tmp_path):
    with pytest.raises(DownloadError, match=r"captions\.json: neither there nor in what was downloaded"):
        download(tmp_path, [source], [tmp_path / "captions.json"])


def lad_download(folder: Path, *sources: str) -> subprocess.CompletedProcess:
    code = (
        "import lad.benchmark.download as d; d._RETRIES = d._RETRIES.new(total=1, backoff_factor=0);"
        "from lad.cli import main; main()"
    )
    arguments = [f"--source={source}" for source in sources]
    command = [sys.executable, "-c", code, "download", "--folder", str(folder), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_without_a_network_one_line_says_what_is_missing_from_where_and_where_to_put_it(tmp_path):
    with socket.socket() as unused:  # bound and not listening: nobody answers there
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        (tmp_path / "there.txt").write_text("there")
        run = lad_download(tmp_path, f"{url}/val.zip;unpack=val", f"{url}/there.txt", f"{url}/captions.json")
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert f"{tmp_path}/val from {url}/val.zip; {tmp_path}/captions.json from {url}/captions.json" in run.stderr
    assert "Connection refused" in run.stderr
    assert f"put the files to {tmp_path}/val.zip or {tmp_path}/captions.json" in run.stderr
    assert "there.txt" not in run.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://host/a.zip", "not the http or https address of a file"),
        ("http://host/", "not the http or https address of a file"),
        ("http://host/a.zip;sha1=00", "'sha1=00' is not one of sha256=..., md5=..., bytes=..., file=..., unpack=..."),
        ("http://host/a.zip;md5=00", "md5 = 00, expected 32 digits"),
        ("http://host/a.zip;bytes=many", "bytes = many, expected a number"),
        ("http://host/a.zip;unpack=../up", "unpack = ../up, expected a folder below"),
        ("http://host/a.zip;unpack=/abs", "unpack = /abs, expected a folder below"),
        ("http://host/a.zip;unpack=.", "unpack = ., expected a folder below"),
        ("http://host/a.zip;file=../a.zip", "file = ../a.zip, expected a file below"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused(text, message):
    with pytest.raises(DownloadError) as error:
        Source.parse(text)
    assert message in str(error.value)


def test_a_source_is_described_by_one_text():
    text = f"http://host/sets/val%20one.zip?raw=1;sha256={'a' * 64};bytes=7;unpack=val"
    source = Source.parse(text)
    assert (source.name, source.bytes, source.unpack) == ("val one.zip", 7, "val")
    assert source.checksum == ("sha256", "a" * 64)


def test_the_declared_datasets_are_a_configuration_and_every_path_lies_where_its_archive_is_unpacked():
    declared = yaml.safe_load((ROOT / "config" / "datasets.yaml").read_text())
    demo = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    parse_configuration({**demo, "datasets": {**demo["datasets"], **declared["datasets"]}})
    for dataset in declared["datasets"].values():
        folder = Path(dataset["folder"])
        places = [Source(**source).place(folder) for source in dataset.get("download", [])]
        for part in ("captions", "instances", "images", "data") if places else ():
            # Images that lie inside Parquet files are written by whoever reads these.
            if part in dataset and not (part == "images" and "data" in dataset):
                path = Path(dataset[part])
                assert any(path.is_relative_to(place) or place.is_relative_to(path) for place in places), path


def test_retries_wait_longer_each_time():
    retry, waits = module._RETRIES, []
    for _ in range(4):
        retry = retry.increment("GET", "/", error=NewConnectionError(None, "refused"))
        waits.append(retry.get_backoff_time())
    assert waits == sorted(waits)
    assert sum(waits) > 5
