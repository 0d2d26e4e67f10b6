"""PostgreSQL's streaming replication protocol, as far as a backup needs it (manual, chapter 54.4).

The driver of this room does not speak it. Only over the unix socket of a server on this machine, with SCRAM-SHA-256
(RFC 5802, RFC 7677), the one way in that the embedded server offers.

    async with await replicate(sockets, user, password) as session:
        identity = await session.identify()
        await session.start("chartwire_backup", lsn, identity.timeline)
        lsn, data = await session.receive()
        await session.confirm(lsn + len(data))
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
import struct
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from chartwire.core.errors import AuthError, ConflictError, TransientError

APPLICATION = "chartwire_backup"
_MESSAGE_BYTES_MAX = 64 * 1024 * 1024
_EPOCH_2000_S = 946_684_800
_PROTOCOL_3 = 196_608
_IN_USE = ("55006", "55P03")
_RATE_KB_S = 65_536
_ENDED = "the server ended the replication session"


@dataclass(frozen=True, slots=True)
class Identity:
    """Which cluster this is, the timeline it writes and how far its log is on disk."""

    system: str
    timeline: int
    flushed: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a base backup: `name` of the file that it continues, as the server calls it, and bytes."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a base backup began or ended in the log."""

    lsn: int
    timeline: int


def parse_lsn(text: str) -> int:
    """`0/3000060` as a number. Raises ValueError for anything else."""
    high, _, low = text.partition("/")
    return int(high, 16) << 32 | int(low, 16)


def show_lsn(lsn: int) -> str:
    """A position in the log as PostgreSQL writes it: `0/3000060`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFF_FFFF:X}"


async def replicate(socket: Path, user: str, password: str) -> "Session":
    """Connect and log in for replication. Raises TransientError (not there, starting, full) or AuthError."""
    try:
        reader, writer = await asyncio.open_unix_connection(socket, limit=1 << 20)
    except OSError as error:
        raise TransientError(f"the database is not reachable ({error.strerror})", code="database_unreachable") from None
    session = Session(reader, writer)
    try:
        await session.log_in(user, password)
    except BaseException:
        writer.close()
        raise
    return session


class Session:
    """One replication connection. Raises TransientError (`replication_ended`) when the server goes away."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._confirmed = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    async def log_in(self, user: str, password: str) -> None:
        """Start-up and SCRAM-SHA-256. Raises AuthError."""
        words = ("user", user, "replication", "true", "application_name", APPLICATION)
        body = struct.pack("!I", _PROTOCOL_3) + b"".join(word.encode() + b"\0" for word in words) + b"\0"
        self._writer.write(struct.pack("!I", len(body) + 4) + body)
        scram = _Scram(password)
        while True:
            kind, body = await self._read()
            if kind == b"Z":
                return
            if kind == b"R":
                answer = scram.answer(struct.unpack_from("!I", body)[0], body[4:])
                if answer is not None:
                    await self._send(b"p", answer)

    async def identify(self) -> Identity:
        """IDENTIFY_SYSTEM."""
        [[system, timeline, flushed, *_]] = await self._ask("IDENTIFY_SYSTEM")
        return Identity(system, int(timeline), parse_lsn(flushed))

    async def segment_bytes(self) -> int:
        """The size of one file of the log, in bytes."""
        [[shown]] = await self._ask("SHOW wal_segment_size")
        factor = {"MB": 1 << 20, "GB": 1 << 30}[shown[-2:]]
        return int(shown[:-2]) * factor

    async def has_slot(self, name: str) -> bool:
        """Whether there is a slot of this name."""
        rows = await self._ask(f"READ_REPLICATION_SLOT {name}")
        return bool(rows and rows[0][0])

    async def make_slot(self, name: str, *, temporary: bool = False) -> None:
        """Have the server keep its log from now on, until this receiver confirms it; `temporary` ends with the session.

        Raises ConflictError where there is one of this name.
        """
        await self._ask(f"CREATE_REPLICATION_SLOT {name} {'TEMPORARY ' * temporary}PHYSICAL RESERVE_WAL")

    async def drop_slot(self, name: str) -> None:
        """Let the server forget a slot, and the log that it keeps for it. Raises ConflictError where there is none."""
        await self._ask(f"DROP_REPLICATION_SLOT {name}")

    async def start(self, slot: str, lsn: int, timeline: int) -> None:
        """Have the log sent from `lsn` on. `receive` raises ConflictError when the server no longer has it."""
        command = f"START_REPLICATION SLOT {slot} PHYSICAL {show_lsn(lsn)} TIMELINE {timeline}"
        await self._send(b"Q", command.encode() + b"\0")
        while (await self._read())[0] != b"W":
            pass

    async def receive(self) -> tuple[int, bytes]:
        """The next bytes of the log and where they stand; keep-alives are answered here."""
        while True:
            kind, body = await self._read()
            if kind != b"d":
                raise TransientError(_ENDED, code="replication_ended")
            if body[:1] == b"w":
                return struct.unpack_from("!Q", body, 1)[0], body[25:]
            if body[:1] == b"k" and body[17]:
                await self._report()

    async def confirm(self, lsn: int) -> None:
        """Tell the server that everything before `lsn` is on disk here: commits that wait for it go on."""
        self._confirmed = lsn
        await self._report()

    async def _report(self) -> None:
        at_us = int((time.time() - _EPOCH_2000_S) * 1_000_000)
        lsn = self._confirmed
        await self._send(b"d", b"r" + struct.pack("!QQQqB", lsn, lsn, lsn, at_us, 0))

    async def base_backup(self, label: str) -> AsyncIterator[Extent | Piece]:
        """BASE_BACKUP: where it begins, its files piece by piece, where it ends.

        The files are `base.tar.gz` (the cluster) and `backup_manifest` (its files with SHA-256). Raises ConflictError
        for a cluster with tablespaces of its own.
        """
        options = (
            f"LABEL '{label}', CHECKPOINT 'fast', WAIT 0, MANIFEST 'yes', MANIFEST_CHECKSUMS 'SHA256', "
            f"COMPRESSION 'gzip', COMPRESSION_DETAIL '1', MAX_RATE {_RATE_KB_S}"
        )
        await self._send(b"Q", f"BASE_BACKUP ({options})".encode() + b"\0")
        name, columns = "", 0
        while True:
            kind, body = await self._read()
            if kind == b"Z":
                return
            if kind == b"T":
                columns = struct.unpack_from("!H", body)[0]
            elif kind == b"D" and columns == 2:
                lsn, timeline = _row(body)
                yield Extent(parse_lsn(lsn), int(timeline))
            elif kind == b"D" and _row(body)[0]:
                raise ConflictError("the cluster has tablespaces outside its directory", code="tablespaces")
            elif kind == b"d" and body[:1] == b"n":
                name = body[1:].partition(b"\0")[0].decode()
            elif kind == b"d" and body[:1] == b"m":
                name = "backup_manifest"
            elif kind == b"d" and body[:1] == b"d":
                yield Piece(name, body[1:])

    async def _ask(self, command: str) -> list[list[str]]:
        """Rows of a replication command; a NULL reads as the empty text."""
        await self._send(b"Q", command.encode() + b"\0")
        rows: list[list[str]] = []
        failure: ConflictError | None = None
        while True:
            try:
                kind, body = await self._read()
            except ConflictError as error:
                failure = error
                continue
            if kind == b"D":
                rows.append(_row(body))
            elif kind == b"Z":
                if failure is not None:
                    raise failure
                return rows

    async def _send(self, kind: bytes, body: bytes) -> None:
        self._writer.write(kind + struct.pack("!I", len(body) + 4) + body)
        try:
            await self._writer.drain()
        except OSError:
            raise TransientError(_ENDED, code="replication_ended") from None

    async def _read(self) -> tuple[bytes, bytes]:
        try:
            kind, length = struct.unpack("!cI", await self._reader.readexactly(5))
            if length > _MESSAGE_BYTES_MAX:
                raise TransientError("the server sent what is no message", code="replication_ended")
            body = await self._reader.readexactly(length - 4)
        except (asyncio.IncompleteReadError, OSError):
            raise TransientError(_ENDED, code="replication_ended") from None
        if kind == b"E":
            raise _failure(body)
        return kind, body


class _Scram:
    """The client's side of SCRAM-SHA-256."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._first = f"n=,r={base64.b64encode(secrets.token_bytes(18)).decode()}"
        self._server_signature = b""

    def answer(self, step: int, data: bytes) -> bytes | None:
        """What to say to an authentication request; None for nothing. Raises AuthError."""
        if step == 10:
            first = f"n,,{self._first}".encode()
            return b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first
        if step == 11:
            return self._proof(data.decode())
        if step == 12 and not hmac.compare_digest(data, b"v=" + base64.b64encode(self._server_signature)):
            raise AuthError("the database server does not know its own password", code="database_login")
        if step not in (0, 12):
            raise AuthError("the database server asks for a login that is not SCRAM-SHA-256", code="database_login")
        return None

    def _proof(self, challenge: str) -> bytes:
        told = dict(part.split("=", 1) for part in challenge.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode(told["s"]), int(told["i"]))
        final = f"c=biws,r={told['r']}"
        signed = f"{self._first},{challenge},{final}".encode()
        client_key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(client_key).digest(), signed)
        proof = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
        self._server_signature = _hmac(_hmac(salted, b"Server Key"), signed)
        return f"{final},p={base64.b64encode(proof).decode()}".encode()


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def _row(body: bytes) -> list[str]:
    count, at = struct.unpack_from("!H", body)[0], 2
    values: list[str] = []
    for _ in range(count):
        length = struct.unpack_from("!i", body, at)[0]
        at += 4
        values.append(body[at : at + max(length, 0)].decode())
        at += max(length, 0)
    return values


def _failure(body: bytes) -> AuthError | ConflictError | TransientError:
    """An ErrorResponse as ours. Replication commands name slots and positions, never data."""
    fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    state, text = fields.get(b"C", "XX000"), fields.get(b"M", "")
    if state.startswith("28"):
        return AuthError(f"the database refused the login ({state})", code="database_login")
    if state[:2] in ("53", "57") or state in _IN_USE:
        return TransientError(f"the database cannot do this now: {text}", code=f"sql_{state.lower()}")
    return ConflictError(f"replication failed: {text}", code=f"sql_{state.lower()}")
