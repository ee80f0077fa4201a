"""The signals bundle: one file with everything that the offline half of the pipeline needs.

From a bundle anyone rebuilds every figure and table without a GPU, the models or the images: it holds the tables of
images (captions and licences, no pixels), lists, questions, presentations and signals, and a manifest with the checksum
of each and with what they were made. The paper has nothing of the kind.

A bundle is an uncompressed tar archive (its Parquet files are compressed already) whose first member is
`manifest.json`; any tar program opens it. The same results give the same bytes. Files are streamed and hashed as they
are copied, so that size does not matter.
"""

import hashlib
import io
import json
import os
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

import lad
from lad import parquet, whole
from lad.catalog import RELATIONS
from lad.refusal import Refusal

FORMAT: Final = 1
"""Raised whenever an older `lad` could misread a bundle."""
MANIFEST: Final = "manifest.json"
STAGES: Final = ("images", "lists", "questions", "presentations", "signals")
"""The stages whose relations are in a bundle: all that calibration, scoring, evaluation and figures read."""
LICENCE_NOTE: Final = (
    "Captions, file names and ids are those of the datasets and keep their licences, counted here per image; the images"
    " themselves are not in this file."
)

_FACTS: Final = (
    *("model", "revision", "weights", "dtype", "attention", "image_size", "generation_config"),
    *("extractor_version", "versions", "device"),
)
"""Facts of the signals' metadata that say with what they were made."""
_NAMED: Final = 3
"""How many names an error lists before it counts the rest."""
_CHUNK: Final = 1 << 20
_UNKNOWN: Final = "0" * 64
"""Stands in the manifest until the file is copied; as long as what will replace it."""


class BundleError(Refusal):
    """A bundle that cannot be written or trusted; the message names the file, the member and what to do."""


@dataclass(frozen=True)
class Member:
    """One table of a bundle: its path in the bundle and below the results folder, its checksum, size and rows."""

    path: str
    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True)
class Manifest:
    """What a bundle holds and how it came to be.

    Attributes:
        source: the bundle's file, which errors name.
        members: in the order of the archive, by path.
        models: by name in the configuration, each different way in which its signals were made.
        licence: a note, and by dataset how many images have which licence.
        configuration: text of the configuration file, where one was given.
        written_by: version of this package.
    """

    source: Path
    members: tuple[Member, ...]
    models: Mapping[str, Any]
    licence: Mapping[str, Any]
    configuration: str | None
    written_by: str

    @cached_property
    def by_path(self) -> dict[str, Member]:
        return {member.path: member for member in self.members}

    def refuse_missing(self, wanted: Mapping[str, int]) -> None:
        """Refuse to go on with a bundle that has not all that is wanted.

        Args:
            wanted: by path, the least number of rows.

        Raises:
            BundleError: one line with the first tables that are missing or too short, and how many there are.
        """
        held = self.by_path
        lacking = [path for path in wanted if path not in held]
        short = [
            f"{path} ({held[path].rows} of {least} rows)"
            for path, least in wanted.items()
            if path in held and held[path].rows < least
        ]
        if lacking or short:
            raise BundleError(
                f"{self.source}: lacks {len(lacking) + len(short)} of the {len(wanted)} partitions that the"
                f" configuration asks for: {_first([*lacking, *short])}; take their runs out of the configuration, or"
                " extract them with a configuration without the key bundle"
            )

    def to_json(self) -> bytes:
        content = {
            "format": FORMAT,
            "written_by": self.written_by,
            "licence": self.licence,
            "models": self.models,
            "configuration": self.configuration,
            "files": [asdict(member) for member in self.members],
        }
        return (json.dumps(content, indent=1) + "\n").encode()


# --- writing ---------------------------------------------------------------------------------------------------


def write_bundle(results: Path, out: Path, configuration: Path | None = None) -> Manifest:
    """Pack what the offline half needs of the results folder into the file `out`, which appears whole or not at all.

    Args:
        configuration: the run's configuration file, kept as text in the manifest.

    Raises:
        BundleError: no signals there, a file that is no Parquet or changes while it is packed.
        NotWrittenError: it could not be written.
    """
    manifest = _describe(results, out, configuration)
    with whole.file(out) as partial, partial.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            text = manifest.to_json()
            tar.addfile(_entry(MANIFEST, len(text)), io.BytesIO(text))
            members = tuple(_add(tar, results, member) for member in manifest.members)
        # Only now are the checksums known. The manifest is as long as before, and its content follows one header.
        manifest = replace(manifest, members=members)
        file.seek(tarfile.BLOCKSIZE)
        file.write(manifest.to_json())
    return manifest


def _describe(results: Path, out: Path, configuration: Path | None) -> Manifest:
    """The manifest but for the checksums."""
    paths = {
        path.relative_to(results).as_posix(): path
        for relation in RELATIONS.values()
        if relation.stage in STAGES
        for path in results.glob(relation.pattern)
    }
    members, signals, images = [], [], {}
    for name, path in sorted(paths.items()):
        footer = _read_footer(path)
        members.append(Member(_checked(name, path), _UNKNOWN, path.stat().st_size, footer.num_rows))
        keys = dict(part.split("=", 1) for part in name.split("/")[1:-1])
        if path.name == "signals.parquet":
            signals.append((keys["model"], json.loads((footer.metadata or {}).get(parquet.METADATA_KEY, b"{}"))))
        elif path.name == "images.parquet":
            images[keys["dataset"]] = _count_licences(path)
    if not signals:
        raise BundleError(f"{results}: no signals in this results folder; the pipeline or `lad extract` makes them")
    return Manifest(
        source=out,
        members=tuple(members),
        models=_provenance(signals),
        licence={"note": LICENCE_NOTE, "images": images},
        configuration=configuration.read_text(encoding="utf-8") if configuration else None,
        written_by=f"lad {lad.__version__}",
    )


def _read_footer(path: Path) -> Any:
    try:
        return pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise BundleError(f"{path}: not a readable Parquet file ({error})") from None


def _count_licences(path: Path) -> dict[str, int]:
    licences = pq.ParquetFile(path).read(columns=["license"])["license"].to_pylist()
    return dict(sorted(Counter(licence or "not stated" for licence in licences).items()))


def _provenance(signals: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """By model, each way in which its signals were made, with the work that went into them."""
    models: dict[str, dict[str, dict[str, Any]]] = {}
    for model, metadata in signals:
        facts: dict[str, Any] = {fact: metadata[fact] for fact in _FACTS if fact in metadata}
        way = models.setdefault(model, {}).setdefault(
            json.dumps(facts, sort_keys=True),
            {**facts, "files": 0, "presentations": 0, "seconds": 0.0, "peak_memory_bytes": 0},
        )
        way["files"] += 1
        way["presentations"] += metadata.get("presentations", 0)
        way["seconds"] = round(way["seconds"] + metadata.get("seconds", 0.0), 3)
        way["peak_memory_bytes"] = max(way["peak_memory_bytes"], metadata.get("peak_memory_bytes", 0))
    return {model: list(ways.values()) for model, ways in sorted(models.items())}


def _add(tar: tarfile.TarFile, results: Path, member: Member) -> Member:
    """Copy the file into the archive; the member with its checksum."""
    with (results / member.path).open("rb") as file:
        if os.fstat(file.fileno()).st_size != member.bytes:
            raise BundleError(f"{results / member.path}: changed while it was packed; let the pipeline finish first")
        source = _HashingReader(file)
        tar.addfile(_entry(member.path, member.bytes), source)  # type: ignore[arg-type]
    return replace(member, sha256=source.sha256.hexdigest())


class _HashingReader:
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        chunk = self.file.read(size)
        self.sha256.update(chunk)
        return chunk


def _entry(name: str, size: int) -> tarfile.TarInfo:
    """A header without time, user or group, so that the same results give the same bytes."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry


# --- reading ---------------------------------------------------------------------------------------------------


def read_manifest(bundle: Path) -> Manifest:
    """The manifest; nothing else of the bundle is read, however large it is.

    Raises:
        BundleError: no bundle, of a format that this version does not know, shorter than its files, or with a path
            that is none of a table.
    """
    with _opened(bundle) as tar:
        first = tar.next()
        if first is None or first.name != MANIFEST or not first.isreg():
            raise BundleError(
                f"{bundle}: no signals bundle, its first member is not {MANIFEST}; `lad bundle` writes them"
            )
        manifest = _parse(bundle, _content(tar, first).read())
    size, least = bundle.stat().st_size, sum(member.bytes for member in manifest.members)
    if size < least:
        raise BundleError(f"{bundle}: truncated, {size:,} bytes of at least {least:,}; fetch or write it again")
    return manifest


def check(bundle: Path) -> Manifest:
    """Read all of a bundle and compare it with its manifest.

    Raises:
        BundleError: as `read_manifest`, or a member that is missing, unknown or not what the manifest says.
    """
    manifest = read_manifest(bundle)
    with _opened(bundle) as tar:
        for member, source in _members(tar, manifest, manifest.by_path, to_the_end=True):
            _refuse_other(manifest, member, _copy(source, None))
    return manifest


def unpack(bundle: Path, results: Path, only: Sequence[str] = ()) -> list[Path]:
    """Unpack a bundle's tables into a results folder; each appears whole and verified, or not at all.

    A file that is there already is kept if it is the same.

    Args:
        only: patterns of member paths, `signals/model=demo/*`; all by default. What no pattern matches is left alone.

    Returns:
        The files of the results folder, new or kept.

    Raises:
        BundleError: as `check`, for the tables asked for; a pattern that matches nothing; a file that is there
            already and differs.
    """
    manifest = read_manifest(bundle)
    wanted = {member.path: member for member in manifest.members if not only or _matches(member.path, only)}
    if unmatched := [pattern for pattern in only if not any(_matches(path, [pattern]) for path in wanted)]:
        raise BundleError(f"{bundle}: no table matches {_first(unmatched)}; `lad bundle --check {bundle}` lists them")
    with _opened(bundle) as tar:
        for member, source in _members(tar, manifest, wanted):
            _write_verified(manifest, member, source, results / member.path)
    return [results / path for path in wanted]


def summary(manifest: Manifest) -> str:
    """What a bundle holds, one line per relation and one per model."""
    lines = [f"{manifest.source}: {len(manifest.members)} tables, {sum(m.bytes for m in manifest.members):,} bytes"]
    for stage in STAGES:
        of_stage = [member for member in manifest.members if member.path.startswith(f"{stage}/")]
        for name in sorted({Path(member.path).stem for member in of_stage}):
            members = [member for member in of_stage if Path(member.path).stem == name]
            lines.append(f"  {name}: {len(members)} tables, {sum(member.rows for member in members):,} rows")
    lines += [
        f"  {model}: {way.get('model', 'unknown checkpoint')}, {way.get('dtype', 'unknown dtype')}, extracted on"
        f" {way.get('device', 'unknown device')} in {way['seconds']:,.0f} s"
        for model, ways in manifest.models.items()
        for way in ways
    ]
    return "\n".join(lines)


def _parse(bundle: Path, text: bytes) -> Manifest:
    try:
        content = json.loads(text)
        version = content["format"]
        if version != FORMAT:
            raise BundleError(
                f"{bundle}: a bundle of format {version}, this lad reads format {FORMAT}; update the older"
            )
        members = tuple(
            Member(_checked(entry["path"], bundle), entry["sha256"], int(entry["bytes"]), int(entry["rows"]))
            for entry in content["files"]
        )
        facts = (content[fact] for fact in ("models", "licence", "configuration", "written_by"))
        manifest = Manifest(bundle, members, *facts)
    except BundleError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{bundle}: {MANIFEST} cannot be read ({error!r}); fetch or write the bundle again") from None
    if len(manifest.by_path) < len(members):
        raise BundleError(f"{bundle}: its manifest names a file twice; write it again with `lad bundle`")
    return manifest


_KEY_VALUE: Final = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_MEMBER_PATHS: Final = re.compile(
    "|".join(
        "/".join((relation.stage, *(f"{key}={_KEY_VALUE}" for key in relation.keys), rf"{relation.name}\.parquet"))
        for relation in RELATIONS.values()
        if relation.stage in STAGES
    )
)


def _checked(path: str, where: Path) -> str:
    """The path, if it is that of a table: nothing else can then be written, least of all outside the folder."""
    if not _MEMBER_PATHS.fullmatch(path):
        known = ", ".join(relation.name for relation in RELATIONS.values() if relation.stage in STAGES)
        raise BundleError(f"{where}: '{path}' is not the path of a table that bundles hold ({known})")
    return path


def _members(
    tar: tarfile.TarFile, manifest: Manifest, wanted: Mapping[str, Member], *, to_the_end: bool = False
) -> Iterator[tuple[Member, IO[bytes]]]:
    """The wanted tables with their contents, in the archive's order; the contents of the others are not read.

    Args:
        to_the_end: look also at what comes after the last of them.
    """
    remaining = dict(wanted)
    known = {MANIFEST, *manifest.by_path}
    while (remaining or to_the_end) and (entry := tar.next()):
        if entry.name not in known or not entry.isreg():
            raise BundleError(f"{manifest.source}: holds '{entry.name}', which is no file of its manifest")
        if member := remaining.pop(entry.name, None):
            yield member, _content(tar, entry)
    if remaining:
        raise BundleError(f"{manifest.source}: truncated, without {_first(sorted(remaining))}; fetch or write it again")


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(entry)
    assert content is not None, "a regular file has a content"
    return content


def _copy(source: IO[bytes], target: IO[bytes] | None) -> str:
    """The sha256 of all that was read, and written if there is a target."""
    sha256 = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        sha256.update(chunk)
        if target:
            target.write(chunk)
    return sha256.hexdigest()


def _write_verified(manifest: Manifest, member: Member, source: IO[bytes], target: Path) -> None:
    if target.exists():
        _refuse_overwriting(target, member)
        return
    with whole.file(target) as partial, partial.open("wb") as file:
        _refuse_other(manifest, member, _copy(source, file))


def _refuse_other(manifest: Manifest, member: Member, sha256: str) -> None:
    if sha256 != member.sha256:
        raise BundleError(
            f"{manifest.source}: {member.path} has sha256 {sha256[:12]}..., its manifest says {member.sha256[:12]}...;"
            " fetch or write it again"
        )


def _refuse_overwriting(target: Path, member: Member) -> None:
    with target.open("rb") as file:
        if _copy(file, None) != member.sha256:
            raise BundleError(
                f"{target}: is there already and differs from the bundle's; unpack into another results folder"
            )


@contextmanager
def _opened(bundle: Path) -> Iterator[tarfile.TarFile]:
    """The archive; whatever turns out to be wrong with it while it is open is told as an error of the bundle."""
    try:
        with tarfile.open(bundle, "r:") as tar:
            yield tar
    except FileNotFoundError:
        raise BundleError(f"{bundle}: no such bundle; `lad bundle` writes one") from None
    except (tarfile.TarError, EOFError) as error:
        raise BundleError(f"{bundle}: not a whole signals bundle ({error}); fetch or write it again") from None


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _first(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
