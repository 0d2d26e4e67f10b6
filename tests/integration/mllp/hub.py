"""A whole listener on real sockets and a real PostgreSQL, and a sender that speaks MLLP and nothing else."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from chartwire.core.source import Source
from chartwire.mllp.server import MllpServer
from chartwire.store.pool import Pool

MAPPED = frozenset({"ADT^A01", "ADT^A08", "ADT^A40", "ORU^R01"})
ANSWER_TIMEOUT_S = 10.0


def adt(
    control_id: str = "C1", *, mrn: str = "4711", name: str = "MUSTER^ERIKA", msh: str = "", extra: str = ""
) -> bytes:
    """A plain ADT^A01; `msh` replaces the header, `extra` are further segments."""
    header = msh or f"MSH|^~\\&|LAB|NORTH|HUB|CLINIC|20261120081500||ADT^A01^ADT_A01|{control_id}|P|2.5.1"
    segments = [
        header,
        "EVN|A01|20261120081500",
        f"PID|1||{mrn}^^^NORTH^MR||{name}||19700101|F",
        *filter(None, [extra]),
    ]
    return ("\r".join(segments) + "\r").encode()


def framed(body: bytes) -> bytes:
    return b"\x0b" + body + b"\x1c\r"


def segments(answer: bytes) -> dict[str, list[str]]:
    """The first segment of each name, split at its field separator; MSH counted so that MSH-10 is [9]."""
    found: dict[str, list[str]] = {}
    for line in answer.decode().split("\r"):
        if line:
            found.setdefault(line[:3], line.split("|"))
    return found


def code(answer: bytes) -> str:
    return segments(answer)["MSA"][1]


class Sender:
    """One connection. `ask` sends bytes as they are and reads one frame."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Raises ConnectionError once the peer has closed."""
        if self.writer.transport.is_closing():
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, timeout_s: float = ANSWER_TIMEOUT_S) -> bytes:
        """The next frame without its framing; b'' when the peer has closed."""
        async with asyncio.timeout(timeout_s):
            try:
                data = await self.reader.readuntil(b"\x1c\r")
            except asyncio.IncompleteReadError as error:
                if error.partial:
                    raise
                return b""
            except ConnectionError:
                return b""
        assert data[:1] == b"\x0b"
        return data[1:-2]

    async def ask(self, body: bytes) -> bytes:
        await self.send(framed(body))
        return await self.answer()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@dataclass
class Hub:
    """A running listener role, its organisation and source, and what the tests ask of the store."""

    server: MllpServer
    pool: Pool
    org: UUID
    source: Source
    senders: list[Sender]

    async def sender(self, listener: str = "main", **options: Any) -> Sender:
        options.setdefault("limit", 64 * 1024 * 1024)
        sender = Sender(*await asyncio.open_connection("127.0.0.1", self.server.ports[listener], **options))
        self.senders.append(sender)
        return sender

    async def rows(self, sql: str, *args: object, org: UUID | None = None) -> list[dict[str, Any]]:
        async with self.pool.transaction(org or self.org) as tx:
            return [dict(row) for row in await tx.fetch(sql, *args)]

    async def messages(self) -> list[dict[str, Any]]:
        return await self.rows("select * from message order by id")


MakeHub = Callable[..., Any]
