"""Fetch what a dataset declares: resumed where it was cut, verified, unpacked safely, skipped where it lies already.

A declared file has one place below the dataset's folder: the file itself, or the folder that its archive is unpacked
to. What has its place is there and whole, because nothing gets its place before it is: a file grows as `<name>.part`
and is renamed once its size and checksum are right, an archive is unpacked into a hidden sibling that is renamed once
it is complete. So files that were put there by hand count as well, and nothing that is there is ever changed.
"""

import hashlib
import json
import re
import shutil
import stat
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.util.retry import Retry

from lad import whole
from lad.benchmark import BenchmarkError

_CHUNK: Final = 1 << 18
"""Bytes read at once: what a cut connection loses at most."""

_TIMEOUT: Final = (10, 60)
"""Seconds to wait for a connection, and for the next bytes."""

_RETRIES: Final = Retry(
    total=4,
    backoff_factor=1,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=("GET",),
    raise_on_status=False,
)
"""For whatever keeps a response from beginning; urllib3 waits 0, 2, 4 ... seconds, or as long as the server asks."""

_KEYS: Final = ("sha256", "md5", "bytes", "file", "unpack")
_DIGITS: Final = {"sha256": 64, "md5": 32}
_NOISE: Final = "__MACOSX"
"""Folder that macOS adds to archives; it holds no data."""


class DownloadError(BenchmarkError):
    """Something declared that is not there and cannot be had; the message says what, from where and where to put it."""


@dataclass(frozen=True)
class Source:
    """One declared file.

    Attributes:
        url: where it comes from.
        sha256, md5: checksum in hexadecimal digits, or None.
        bytes: its size, or None.
        file: where it is put, relative to the dataset's folder; None for its name in the address.
        unpack: the folder, relative to the dataset's, that it is unpacked to; None for a file that is kept as it is.
    """

    url: str
    sha256: str | None = None
    md5: str | None = None
    bytes: int | None = None
    file: str | None = None
    unpack: str | None = None

    def __post_init__(self) -> None:
        if not re.match(r"https?://", self.url) or self.name in ("", ".", ".."):
            raise DownloadError(f"source {self.url}: not the http or https address of a file")
        for kind, digits in _DIGITS.items():
            value = getattr(self, kind)
            if value is not None and not re.fullmatch(rf"[0-9a-f]{{{digits}}}", value):
                raise DownloadError(f"source {self.url}: {kind} = {value}, expected {digits} digits 0-9 a-f")
        for key, example in (("unpack", "a folder below the dataset's own, 'images' say"), ("file", "a file below it")):
            value = getattr(self, key)
            if value is not None and not _stays_below(value):
                raise DownloadError(f"source {self.url}: {key} = {value}, expected {example}")

    @classmethod
    def parse(cls, text: str) -> "Source":
        """The source that `URL;sha256=...;bytes=...;unpack=...` describes; all but the URL may be left out.

        Raises:
            DownloadError: an unknown key or a value that makes no sense.
        """
        url, *options = text.split(";")
        values: dict[str, Any] = {}
        for option in options:
            key, given, value = option.partition("=")
            if key not in _KEYS or not given:
                raise DownloadError(f"source {url}: '{option}' is not one of {', '.join(f'{k}=...' for k in _KEYS)}")
            if key == "bytes" and not value.isdecimal():
                raise DownloadError(f"source {url}: bytes = {value}, expected a number")
            values[key] = int(value) if key == "bytes" else value
        return cls(url, **values)

    @property
    def name(self) -> str:
        """Path of the file below the dataset's folder."""
        return self.file or PurePosixPath(unquote(urlsplit(self.url).path)).name

    @property
    def checksum(self) -> tuple[str, str] | None:
        """The kind and the digits of the stronger one of the checksums."""
        return next(((kind, value) for kind in _DIGITS if (value := getattr(self, kind))), None)

    def place(self, folder: Path) -> Path:
        """What is there once the source is: the folder it is unpacked to, or the file itself."""
        return folder / (self.unpack or self.name)


def download(folder: Path, sources: Sequence[Source], needed: Sequence[Path] = ()) -> dict[str, Any]:
    """Make everything declared lie below `folder`; what is there already is left alone, without asking any server.

    Args:
        folder: the dataset's own folder.
        sources: the declared files, in the order to fetch them.
        needed: paths that are to exist in the end. Where all of them do at once, nothing is fetched at all; a folder
            that several sources are unpacked into counts once they all are there.

    Returns:
        A receipt for people and for Snakemake: the folder, and per source its place and how it came there.

    Raises:
        DownloadError: no network, a server that refuses, a file of another size or checksum than declared, an archive
            that is damaged or would write elsewhere, too little disk, or something needed that no source holds. What
            was downloaded is kept, and a rerun goes on from there.
    """
    places = [source.place(folder) for source in sources]
    parts = [place for path in needed for place in places if path in place.parents]
    supplied = bool(needed) and all(path.exists() for path in (*needed, *parts))
    files = []
    for source in sources:
        place = source.place(folder)
        present = place.exists()
        if not present and not supplied:
            try:
                _obtain(source, folder)
            except requests.RequestException as error:
                raise DownloadError(_absent(sources, folder, _reason(error))) from None
        status = "was there" if present else "not needed" if supplied else "downloaded"
        files.append({"place": str(place), "status": status, **asdict(source)})
    if missing := [path for path in needed if not path.exists()]:
        raise DownloadError(
            f"{', '.join(map(str, missing))}: neither there nor in what was downloaded to {folder}"
            f" ({', '.join(file['place'] for file in files)}). Mend the paths of the dataset, or move aside what is"
            " incomplete and run again"
        )
    return {"folder": str(folder), "files": files}


def write_receipt(receipt: dict[str, Any], path: Path) -> None:
    """Write what `download` returned, at once."""
    with whole.file(path) as partial:
        partial.write_text(json.dumps(receipt, indent=1) + "\n", encoding="utf-8")


def _obtain(source: Source, folder: Path) -> None:
    """Fetch a source, unless its file lies there already, and unpack it."""
    file = folder / source.name
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists():
        # Put there by hand, or left by a run that was killed before it had unpacked it.
        if fault := _fault(file, source):
            raise DownloadError(f"{file}: {fault}. Delete it to have it downloaded from {source.url}")
    else:
        _fetch(source, file)
    if source.unpack:
        unpack(file, source.place(folder))
        file.unlink()


@dataclass(frozen=True)
class _Version:
    """What a server says about the version of a file; kept beside the part that came of it.

    Attributes:
        validator: strong ETag or time of the last change, by which the server recognises the version; None if it
            names neither: such a part cannot be told from one of another version and is never continued.
        total: bytes of the whole file, if known.
    """

    url: str
    validator: str | None
    total: int | None

    @classmethod
    def of(cls, url: str, response: requests.Response) -> "_Version":
        etag = response.headers.get("ETag")
        # A weak one promises the same meaning, not the same bytes.
        strong = etag if etag and not etag.startswith("W/") else None
        total = response.headers.get("Content-Length", "")
        if response.status_code == requests.codes.partial_content:
            total = response.headers.get("Content-Range", "").rpartition("/")[2]
        validator = strong or response.headers.get("Last-Modified")
        return cls(url, validator, int(total) if total.isdecimal() else None)

    @classmethod
    def read(cls, path: Path, url: str) -> "_Version | None":
        try:
            version = cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return version if version.url == url and version.validator else None


def _fetch(source: Source, file: Path) -> None:
    """Download to `file`; a connection that is cut is taken up again as long as every try brings something.

    Raises:
        requests.RequestException: the server cannot be reached, refuses, or keeps cutting the connection.
    """
    part = file.with_name(f"{file.name}.part")
    notes = file.with_name(f"{file.name}.part.json")
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=_RETRIES))
        whole, most = False, _size(part)
        while not whole:
            try:
                whole = _continue(session, source, part, notes)
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                if _size(part) <= most:
                    raise
                most = _size(part)
    if fault := _fault(part, source):
        part.unlink()
        notes.unlink(missing_ok=True)
        raise DownloadError(
            f"{source.url}: what came has been deleted, {fault}. Try again, or correct what is declared"
        )
    part.replace(file)
    notes.unlink(missing_ok=True)


def _continue(session: requests.Session, source: Source, part: Path, notes: Path) -> bool:
    """One request for what `part` lacks; whether it is whole now."""
    known = _Version.read(notes, source.url)
    held = _size(part) if known else 0
    if known and held == known.total:
        return True
    # Compressed on the way, a range would count bytes of another stream.
    headers = {"Accept-Encoding": "identity"}
    if known and held:
        # Without If-Range a file that has changed meanwhile would be glued to an old half.
        headers |= {"Range": f"bytes={held}-", "If-Range": str(known.validator)}
    with session.get(source.url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        offset = _offset(response, known, held, source)
        if offset is None:
            part.unlink(missing_ok=True)
            return False
        response.raise_for_status()
        version = _Version.of(source.url, response)
        if source.bytes is not None and version.total not in (None, source.bytes):
            raise DownloadError(
                f"{source.url}: the server has {version.total} bytes, {source.bytes} are declared; it is another file"
            )
        _refuse_full_disk(source, part, version.total, offset)
        if not offset:
            # In this order: the notes of a new version must never stand beside the bytes of an old one.
            part.unlink(missing_ok=True)
            notes.write_text(json.dumps(asdict(version)), encoding="utf-8")
        _append(response, part, offset, version.total)
    return version.total is None or _size(part) == version.total


def _offset(response: requests.Response, known: _Version | None, held: int, source: Source) -> int | None:
    """Where in the file the response begins; None if it cannot be joined to the `held` bytes: ask for all of it."""
    if not held:
        return 0
    if response.status_code == requests.codes.requested_range_not_satisfiable:
        return None
    if response.status_code != requests.codes.partial_content:
        return 0
    begin = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    version = _Version.of(source.url, response)
    # Some servers know ranges and not If-Range. A header that is left out contradicts nothing.
    same = known is not None and all(
        None in (now, then) or now == then
        for now, then in ((version.validator, known.validator), (version.total, known.total))
    )
    return held if same and begin and int(begin[1]) == held else None


def _append(response: requests.Response, part: Path, offset: int, total: int | None) -> None:
    """The response's bytes to the end of `part`, which has `offset` of them.

    Raises:
        DownloadError: the disk is full or broken.
    """
    try:
        with (
            part.open("ab" if offset else "wb") as file,
            _progress(part.name.removesuffix(".part"), total, offset) as progress,
        ):
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                progress.update(len(chunk))
    except requests.RequestException:  # these are OSErrors too
        raise
    except OSError as error:
        raise DownloadError(
            f"{part}: cannot be written ({error.strerror}); its {_size(part)} bytes are kept, and a rerun goes on there"
        ) from None


def _fault(file: Path, source: Source) -> str | None:
    """How a file differs from what is declared, if it does."""
    if source.bytes not in (None, size := _size(file)):
        return f"it has {size} bytes, {source.bytes} are declared"
    if source.checksum is None:
        return None
    kind, declared = source.checksum
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
    return None if found == declared else f"its {kind} is {found}, {declared} is declared"


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip archive so that `folder` appears whole or not at all.

    An archive of a single folder of the same name gives that folder's content: `val2014.zip`, which holds
    `val2014/...`, becomes `val2014/...` and not `val2014/val2014/...`.

    Raises:
        DownloadError: no zip archive, damaged, with members that would lie elsewhere or are links, or larger than the
            disk has room for.
    """
    hidden = folder.with_name(f".{folder.name}.partial")
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [member for member in zipped.infolist() if not member.filename.startswith(f"{_NOISE}/")]
            _refuse_unsafe(members, archive)
            _refuse_too_large(members, archive)
            if hidden.exists():
                shutil.rmtree(hidden)
            hidden.mkdir(parents=True)
            with _progress(folder.name, sum(member.file_size for member in members), 0) as progress:
                for member in members:
                    zipped.extract(member, hidden)
                    progress.update(member.file_size)
    # An encrypted member is a RuntimeError, an unknown compression a NotImplementedError.
    except (zipfile.BadZipFile, EOFError, RuntimeError) as error:
        shutil.rmtree(hidden, ignore_errors=True)
        raise DownloadError(f"{archive}: cannot be unpacked, only whole zip archives can ({error})") from None
    except OSError as error:
        shutil.rmtree(hidden, ignore_errors=True)
        raise DownloadError(
            f"{archive}: cannot be unpacked to {folder} ({error.strerror or error}); the archive is kept"
        ) from None
    inside = list(hidden.iterdir())
    lone = len(inside) == 1 and inside[0].is_dir() and inside[0].name == folder.name
    (inside[0] if lone else hidden).rename(folder)
    if lone:
        hidden.rmdir()


def _refuse_unsafe(members: Sequence[zipfile.ZipInfo], archive: Path) -> None:
    for member in members:
        if not _stays_below(member.filename) or not _stays_below(member.orig_filename):
            raise DownloadError(f"{archive}: refused, its member '{member.orig_filename}' would lie elsewhere")
        # Archives from systems without file types have 0 here.
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DownloadError(f"{archive}: refused, its member '{member.filename}' is a link or no ordinary file")


def _stays_below(path: str) -> bool:
    """Whether a path names something below the folder it is relative to, on any system."""
    windows = "\\" in path or re.match(r"[A-Za-z]:", path)
    parts = PurePosixPath(path).parts
    return bool(parts) and not windows and "\0" not in path and parts[0] != "/" and ".." not in parts


def _refuse_full_disk(source: Source, part: Path, total: int | None, offset: int) -> None:
    if total is None:
        return
    # How large an archive's content is will be known later; it is at least about as large as the archive.
    wanted = total - offset + (total if source.unpack else 0)
    free = shutil.disk_usage(part.parent).free
    if free < wanted:
        rest = " and unpacked" if source.unpack else ""
        raise DownloadError(
            f"{part.parent}: {_amount(wanted)} are needed for {source.name}{rest}, {_amount(free)} are free"
        )


def _refuse_too_large(members: Sequence[zipfile.ZipInfo], archive: Path) -> None:
    wanted, free = sum(member.file_size for member in members), shutil.disk_usage(archive.parent).free
    if free < wanted:
        raise DownloadError(
            f"{archive.parent}: {_amount(wanted)} are needed to unpack {archive.name}, {_amount(free)} are free;"
            " the archive is kept"
        )


def _absent(sources: Sequence[Source], folder: Path, reason: str) -> str:
    """One line for people: all that is missing, and what they can do about it."""
    missing = [source for source in sources if not source.place(folder).exists()]
    each = "; ".join(f"{source.place(folder)} from {source.url}" for source in missing)
    by_hand = " or ".join(dict.fromkeys(str(folder / source.name) for source in missing))
    return (
        f"missing and not to be had: {each} ({reason}). Run again where that can be reached, or put the files to"
        f" {by_hand}"
    )


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    # The library wraps the cause several times; the innermost one is what people understand.
    cause: BaseException = error
    while isinstance(inner := getattr(cause, "reason", None) or (cause.args or (None,))[0], BaseException):
        cause = inner
    return next(iter(str(cause).splitlines()), type(cause).__name__)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _amount(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"


def _progress(name: str, total: int | None, done: int) -> "tqdm[Any]":
    """A bar for people, a line every half minute for a log."""
    watched = sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=done,
        desc=name,
        unit="B",
        unit_scale=True,
        mininterval=0.5 if watched else 30,
        maxinterval=10 if watched else 60,
        ascii=not watched,
    )
