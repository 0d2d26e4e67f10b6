"""The log, received as PostgreSQL writes it: sealed, on disk, then confirmed.

What arrives together is sealed as frames, synced once and confirmed once. Where commits wait for the confirmation
(`backup_synchronous`), a message that was acknowledged is in the backup. Each run begins at the start of a segment, so
that no file is ever continued whose key is gone; the server keeps that segment until its end is confirmed.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from chartwire.app.backup.keys import ServerKey
from chartwire.app.backup.repository import Repository, sync_directory
from chartwire.app.backup.sealing import SealedWriter, plain_bytes_held
from chartwire.core.errors import ConflictError
from chartwire.store.replication import Session

_PIECES_WAITING_MAX = 64
_FRAME_BYTES = 1 << 19


class Log:
    """Writes the log of one timeline into a repository from `start` on, which is where a segment begins."""

    def __init__(self, repository: Repository, key: ServerKey, timeline: int, segment_bytes: int, start: int) -> None:
        self._repository, self._key = repository, key
        self._timeline, self._segment_bytes = timeline, segment_bytes
        self._run = os.urandom(8).hex()
        self._path = Path()
        self._file: BinaryIO | None = None
        self._writer: SealedWriter | None = None
        self._fresh = False
        self.end = start

    def append(self, data: bytes) -> None:
        """Seal what follows `end`; on disk only after `sync`."""
        while data:
            if self._writer is None:
                self._open()
            assert self._writer is not None
            room = self._segment_bytes - self.end % self._segment_bytes
            piece, data = data[:room], data[room:]
            self._writer.write(piece)
            self.end += len(piece)
            if len(piece) == room:
                self._writer.finish()
                self._close(complete=True)

    def sync(self) -> None:
        """Everything before `end` is on disk when this returns."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
        if self._fresh:
            sync_directory(self._repository.wal)
            self._fresh = False

    def close(self) -> None:
        """End in the middle of a segment."""
        if self._file is not None:
            self._close(complete=False)

    def _open(self) -> None:
        self._path = self._repository.wal_path(self._timeline, self.end, self._run)
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(handle, "wb")
        purpose = self._repository.wal_purpose(self._timeline, self.end)
        self._writer = SealedWriter(self._file, self._key, purpose)
        self._fresh = True

    def _close(self, *, complete: bool) -> None:
        assert self._file is not None
        try:
            with self._file:
                self.sync()
        finally:
            self._file = self._writer = None
            others = [path for path in self._path.parent.glob(f"{self._path.stem[:-16]}*.wal") if path != self._path]
            if not complete and any(held_in(other) >= held_in(self._path) for other in others):
                self._path.unlink()  # while a disk is full each try would leave a part
        if complete:
            for other in others:
                other.unlink()


class Progress:
    """How far the log is in the backup, and a way to wait for more of it."""

    def __init__(self) -> None:
        self.lsn = 0
        self._moved = asyncio.Event()

    def move(self, lsn: int) -> None:
        """It has come so far."""
        self.lsn = lsn
        self._moved.set()
        self._moved = asyncio.Event()

    async def reach(self, goal: int) -> None:
        """Return once it has come to `goal`."""
        while self.lsn < goal:
            await self._moved.wait()


def resume_at(repository: Repository, timeline: int, segment_bytes: int, flushed: int) -> int:
    """Where to go on receiving: the first segment that is not held whole, else the one that is being written."""
    segments = repository.segments(timeline)
    if not segments:
        return flushed // segment_bytes * segment_bytes
    last = segments[-1]
    return last.start + segment_bytes * any(held_in(path) == segment_bytes for path in last.paths)


def held_end(repository: Repository, timeline: int) -> int:
    """How far the log reaches in the repository, by sizes alone; 0 where there is none."""
    segments = repository.segments(timeline)
    return segments[-1].start + max(map(held_in, segments[-1].paths)) if segments else 0


def held_in(path: Path) -> int:
    """Bytes of the log that a file holds, by its frames' heads."""
    with path.open("rb") as file:
        return plain_bytes_held(file)


async def receive(session: Session, log: Log, confirmed: Callable[[int], None]) -> None:
    """Write what a started session sends, until it ends or the caller cancels. Raises TransientError, OSError.

    `confirmed` is told how far the log is on disk and confirmed.
    """
    pieces: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(_PIECES_WAITING_MAX)

    async def listen() -> None:
        while True:
            await pieces.put(await session.receive())

    listening = asyncio.create_task(listen())
    try:
        while True:
            taking = asyncio.create_task(pieces.get())
            await asyncio.wait({taking, listening}, return_when=asyncio.FIRST_COMPLETED)
            if not taking.done():
                taking.cancel()
                await listening
            data = _joined(log.end, await taking, pieces)
            log.append(data)
            await asyncio.to_thread(log.sync)
            await session.confirm(log.end)
            confirmed(log.end)
    finally:
        listening.cancel()
        with contextlib.suppress(BaseException):
            await listening
        log.close()


def _joined(at: int, first: tuple[int, bytes], pieces: "asyncio.Queue[tuple[int, bytes]]") -> bytes:
    """One piece and those that wait behind it, which must follow each other."""
    found = bytearray()
    piece: tuple[int, bytes] | None = first
    while piece is not None:
        lsn, data = piece
        if lsn != at + len(found):
            raise ConflictError("the server's log has a gap", code="wal_gap")
        found += data
        piece = pieces.get_nowait() if len(found) < _FRAME_BYTES and not pieces.empty() else None
    return bytes(found)
