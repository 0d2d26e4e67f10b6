"""One base backup: the cluster as the server streams it, sealed on its way to the disk, and the installation's keys."""

import asyncio
import contextlib
import hashlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

from chartwire.app.backup.keys import ServerKey
from chartwire.app.backup.repository import Base, Repository, SealedFile
from chartwire.app.backup.sealing import FRAME_BYTES_MAX, SealedWriter
from chartwire.core.clock import instant, now
from chartwire.core.errors import TransientError, ValidationError
from chartwire.store.replication import Extent, Piece, Session, replicate, show_lsn

CLUSTER, MANIFEST, INSTALLATION = "base.tar.gz", "backup_manifest", "installation.json"
_SOCKET_NAME = ".s.PGSQL.5432"


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """How to reach the embedded server for replication."""

    socket: Path
    user: str
    password: str

    async def connect(self) -> Session:
        """A replication session. Raises TransientError, AuthError."""
        return await replicate(self.socket, self.user, self.password)


def cluster_address(admin_dsn: str) -> ClusterAddress:
    """The embedded server behind a DSN. Raises ValidationError (`external_database`) for a server of the operator's."""
    parts = urlsplit(admin_dsn)
    host = parse_qs(parts.query).get("host", [""])[0]
    if not host.startswith("/") or not parts.username:
        raise ValidationError(
            "this database is a server of your own: its backup is in its operator's charge (pg_basebackup and a WAL "
            "archive, or your provider's); name the file that it touches in `backup_evidence`",
            code="external_database",
        )
    return ClusterAddress(Path(host) / _SOCKET_NAME, unquote(parts.username), unquote(parts.password or ""))


async def take_base(
    session: Session, repository: Repository, key: ServerKey, migrations: dict[str, str], files: Mapping[str, str]
) -> Base:
    """Write a base backup with the installation's `files` (name -> text). Usable once the log reaches its end.

    Raises TransientError (`backup_running` when another process takes one), ConflictError, OSError; what it wrote is
    removed then, so that a full disk has room for the log.
    """
    with repository.lock("base") as ours:
        if not ours:
            raise TransientError(f"a base backup into {repository.directory} is under way", code="backup_running")
        began = now()
        identity, segment_bytes = await session.identify(), await session.segment_bytes()
        label = repository.next_label(began)
        writing = _Writing(repository, key, label)
        try:
            await writing.put(INSTALLATION, json.dumps(dict(files)).encode())
            start, end = await _stream(session.base_backup(f"chartwire {label}"), writing)
            written = tuple(await writing.finish())
        except BaseException:
            await writing.give_up()
            raise
        base = Base(
            label,
            key.key_id,
            version("chartwire"),
            migrations,
            identity.system,
            start.timeline,
            show_lsn(start.lsn),
            show_lsn(end.lsn),
            segment_bytes,
            instant(began),
            instant(now()),
            written,
        )
        repository.finish_base(base, key)
        return base


async def _stream(parts: AsyncIterator[Extent | Piece], writing: "_Writing") -> tuple[Extent, Extent]:
    extents: list[Extent] = []
    async for part in parts:
        if isinstance(part, Extent):
            extents.append(part)
        else:
            await writing.put(part.name, part.data)
    if len(extents) != 2:
        raise TransientError("the server ended the base backup early", code="replication_ended")
    return extents[0], extents[1]


class _Writing:
    """The sealed files of a base backup under way, one after the other. The loop, which receives the log, waits for no
    disk here."""

    def __init__(self, repository: Repository, key: ServerKey, label: str) -> None:
        self._directory = repository.begin_base(label)
        self._repository, self._key, self._label = repository, key, label
        self._name = ""
        self._file: _Hashed | None = None
        self._writer: SealedWriter | None = None
        self._held = bytearray()
        self._done: list[SealedFile] = []

    async def put(self, name: str, data: bytes) -> None:
        """Add to the file `name`, which ends those before it."""
        if name != self._name:
            await asyncio.to_thread(self._end)
            path = self._directory / f"{name}.sealed"
            self._name = name
            self._file = _Hashed(os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"))
            self._writer = SealedWriter(self._file, self._key, self._repository.base_purpose(self._label, name))
        self._held += data
        if len(self._held) >= FRAME_BYTES_MAX:
            await asyncio.to_thread(self._seal)

    async def finish(self) -> list[SealedFile]:
        """End the last file; all of them, on disk."""
        await asyncio.to_thread(self._end)
        return self._done

    async def give_up(self) -> None:
        """Remove what was written."""
        if self._file is not None:
            self._file.abandon()
        await asyncio.to_thread(self._repository.clear)

    def _seal(self) -> None:
        assert self._writer is not None
        self._writer.write(bytes(self._held))
        self._held.clear()

    def _end(self) -> None:
        if self._file is None or self._writer is None:
            return
        self._seal()
        self._writer.finish()
        self._file.close()
        self._done.append(SealedFile(f"{self._name}.sealed", self._writer.written, self._file.digest.hexdigest()))
        self._file = self._writer = None


class _Hashed:
    """A file that hashes what it writes, and is on disk when it is closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.digest.update(data)
        self._file.write(data)

    def abandon(self) -> None:
        with contextlib.suppress(OSError):  # what it still holds has no room either
            self._file.close()

    def close(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
