"""The directory of a backup: what lies where, and what may go.

    repository.json                     which cluster it belongs to
    base/<label>/manifest.json          what the base backup holds, authenticated; written last
    base/<label>/*.sealed               its files
    wal/<timeline>-<start>-<run>.wal    one segment of the log, as far as it was received in one run

A label is the time at which a base backup began: `20261120T093000123Z`, or just after the label before it where the
clock went back: their order is that of the backups. `<label>.new` is under way, `<label>.old` on its way out. A segment
that was received twice, because the receiver started again, has two files until one of them is complete. Names, sizes
and times are plain, all else sealed.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from chartwire.app.backup.keys import ServerKey
from chartwire.app.sandbox_file import write_private
from chartwire.core.errors import ConflictError, NotFoundError, ValidationError
from chartwire.store.replication import parse_lsn, show_lsn

FORMAT = 1
_WAL_NAME = re.compile(r"([0-9A-F]{8})-([0-9A-F]{16})-([0-9a-f]{16})\.wal")
_COPY_BYTES = 1 << 20
_LABEL_NAME = re.compile(r"\d{8}T\d{9}Z")
_NOT_OURS = ("lost+found",)


@dataclass(frozen=True, slots=True)
class SealedFile:
    """One file of a base backup: size and SHA-256 (hex) of its sealed bytes."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Base:
    """A base backup. Positions as PostgreSQL writes them, times ISO 8601 in UTC."""

    label: str
    key_id: str
    chartwire: str
    migrations: dict[str, str]
    system: str
    timeline: int
    start_lsn: str
    end_lsn: str
    segment_bytes: int
    started_at: str
    finished_at: str
    files: tuple[SealedFile, ...]

    @property
    def start(self) -> int:
        """Where the log must begin."""
        return parse_lsn(self.start_lsn)

    @property
    def end(self) -> int:
        """How far the log must reach at least."""
        return parse_lsn(self.end_lsn)

    @property
    def began(self) -> datetime:
        """When it began."""
        return datetime.fromisoformat(self.started_at)

    @property
    def size(self) -> int:
        """Sealed bytes of its files."""
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of the log, by where it begins, and the files that hold it or a part of it."""

    timeline: int
    start: int
    paths: tuple[Path, ...]


class Repository:
    """The backup in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.wal = directory / "wal"
        self._base = directory / "base"

    def adopt(self, system: str) -> None:
        """Make the directory where there is none. Raises ConflictError when it holds another cluster's backup.

        A directory may be the root of a file system.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.directory / "repository.json"
        if not self.is_there:
            if any(found.suffix != ".lock" and found.name not in _NOT_OURS for found in self.directory.iterdir()):
                raise ConflictError(f"{self.directory} holds other files: name an empty one", code="backup_dir_in_use")
            write_private(path, json.dumps({"format": FORMAT, "system": system}))
        if self.system != system:
            raise ConflictError(
                f"{self.directory} holds the backup of another installation: name an empty directory",
                code="backup_dir_in_use",
            )
        self.wal.mkdir(mode=0o700, exist_ok=True)
        self._base.mkdir(mode=0o700, exist_ok=True)

    @property
    def is_there(self) -> bool:
        """Whether the directory holds a backup."""
        return (self.directory / "repository.json").exists()

    @property
    def system(self) -> str:
        """The identifier of the cluster. Raises NotFoundError (`no_backup`)."""
        try:
            told = json.loads((self.directory / "repository.json").read_text(encoding="utf-8"))
            known = told["format"] == FORMAT
        except (OSError, ValueError, KeyError, TypeError):
            raise NotFoundError(f"no backup of Chartwire in {self.directory}", code="no_backup") from None
        if not known:
            raise ValidationError(f"{self.directory} was written by a newer release", code="backup_format")
        return str(told["system"])

    @contextlib.contextmanager
    def lock(self, what: Literal["base", "wal"]) -> Iterator[bool]:
        """Hold the right to write base backups or the log; gives False when another process has it."""
        handle = os.open(self.directory / f"{what}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
        finally:
            os.close(handle)

    def base_directory(self, label: str) -> Path:
        """Where the files of a base backup lie."""
        return self._base / label

    def labels(self) -> list[str]:
        """Base backups that were finished, oldest first."""
        names = (path.parent.name for path in self._base.glob("*/manifest.json"))
        return sorted(name for name in names if _LABEL_NAME.fullmatch(name))

    def next_label(self, began: datetime) -> str:
        """The label of a base backup that begins now, which is greater than all before it."""
        labels = self.labels()
        if labels:
            began = max(began, datetime.fromisoformat(labels[-1]) + timedelta(milliseconds=1))
        return f"{began:%Y%m%dT%H%M%S%f}"[:-3] + "Z"

    def bases(self, key: ServerKey) -> list[Base]:
        """Finished base backups that are sound by their manifests, oldest first."""
        return self.look(key)[0]

    def look(self, key: ServerKey) -> tuple[list[Base], list[ValidationError]]:
        """`bases`, and what is wrong with the others: one that was damaged or made for another key bars no other."""
        found: list[Base] = []
        faults: list[ValidationError] = []
        for label in self.labels():
            try:
                found.append(self.base(label, key))
            except ValidationError as fault:
                faults.append(fault)
        return found, faults

    def base(self, label: str, key: ServerKey) -> Base:
        """One base backup. Raises ValidationError (`backup_tampered`, `wrong_backup_key`)."""
        path = self.base_directory(label) / "manifest.json"
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            manifest, claimed = told["manifest"], told["hmac"]
            base = Base(**manifest | {"files": tuple(SealedFile(**file) for file in manifest["files"])})
        except (OSError, ValueError, KeyError, TypeError):
            raise ValidationError(f"{label}: the manifest is cut or damaged", code="backup_tampered") from None
        if base.key_id != key.key_id:
            raise ValidationError(
                f"{label} was made for the recovery key {base.key_id}, this one is {key.key_id}",
                code="wrong_backup_key",
            )
        if key.sign(_canonical(manifest)) != claimed or base.label != label:
            raise ValidationError(f"{label}: the manifest was altered", code="backup_tampered")
        return base

    def clear(self) -> None:
        """Remove what was given up: base backups that were not finished, and those not removed to the end."""
        for pattern in ("*.new", "*.old"):
            for left in self._base.glob(pattern):
                shutil.rmtree(left)

    def begin_base(self, label: str) -> Path:
        """An empty directory for a base backup that is under way."""
        self.clear()
        directory = self.base_directory(label + ".new")
        directory.mkdir(mode=0o700)
        return directory

    def finish_base(self, base: Base, key: ServerKey) -> None:
        """Write the manifest and give the directory its name: from now on the base backup is there."""
        directory = self.base_directory(base.label + ".new")
        manifest = json.loads(json.dumps(asdict(base)))
        told = {"manifest": manifest, "hmac": key.sign(_canonical(manifest))}
        write_private(directory / "manifest.json", json.dumps(told, indent=1) + "\n")
        sync_directory(directory)
        directory.rename(self.base_directory(base.label))
        sync_directory(self._base)

    def segments(self, timeline: int) -> list[Segment]:
        """The log of one timeline, in order."""
        found: dict[int, list[Path]] = {}
        for path in sorted(self.wal.glob("*.wal")):
            match = _WAL_NAME.fullmatch(path.name)
            if match and int(match[1], 16) == timeline:
                found.setdefault(int(match[2], 16), []).append(path)
        return [Segment(timeline, start, tuple(found[start])) for start in sorted(found)]

    def wal_path(self, timeline: int, start: int, run: str) -> Path:
        """The file of one segment, received in the run of this name (16 hex digits)."""
        return self.wal / f"{timeline:08X}-{start:016X}-{run}.wal"

    def wal_purpose(self, timeline: int, start: int) -> str:
        """What the stream of a segment is sealed for."""
        return f"wal {self.system} {timeline} {show_lsn(start)}"

    def base_purpose(self, label: str, name: str) -> str:
        """What a file of a base backup is sealed for."""
        return f"base {self.system} {label} {name}"

    def expire(self, keep: int, key: ServerKey) -> list[str]:
        """Remove what is older than the newest `keep` base backups, and the log that none of those needs; labels of
        what went. One whose manifest cannot be read counts for none: it never takes the place of one that can.

        Nothing while another process writes a base backup.
        """
        with self.lock("base") as ours:
            if not ours:
                return []
            self.clear()
            sound = self.bases(key)
            kept = sound[-keep:]
            gone = [label for label in self.labels() if label < kept[0].label] if len(sound) > keep else []
            for label in gone:
                directory = self.base_directory(label)
                removed = directory.rename(directory.with_suffix(".old"))
                sync_directory(self._base)
                shutil.rmtree(removed)
            if kept and self.labels()[0] == kept[0].label:
                self._expire_wal(kept)
        return gone

    def _expire_wal(self, kept: list[Base]) -> None:
        needed = {base.timeline: base.start // base.segment_bytes * base.segment_bytes for base in reversed(kept)}
        for path in self.wal.glob("*.wal"):
            match = _WAL_NAME.fullmatch(path.name)
            if match and int(match[2], 16) < needed.get(int(match[1], 16), min(needed.values())):
                path.unlink()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_COPY_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def sync_directory(directory: Path) -> None:
    """Make names in a directory durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _canonical(manifest: dict[str, Any]) -> bytes:
    return json.dumps(manifest, sort_keys=True).encode()
