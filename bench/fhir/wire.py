"""Kept HTTP/1.1 connections that ask as fast as they are answered, and what that took."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit


class Ask(NamedTuple):
    """One request. `path` stands below the FHIR base."""

    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    media: str = "application/fhir+json"


@dataclass(frozen=True, slots=True)
class Server:
    """A FHIR server by its base URL, and the header that lets in."""

    url: str
    authorization: str

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "127.0.0.1", parts.port or 80

    def written(self, ask: Ask) -> bytes:
        """The bytes of a request."""
        parts = urlsplit(self.url)
        lines = [
            f"{ask.method} {parts.path}{ask.path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Accept: application/fhir+json",
        ]
        lines += [f"Authorization: {self.authorization}", *(f"{name}: {value}" for name, value in ask.headers)]
        if ask.body:
            lines += [f"Content-Type: {ask.media}", f"Content-Length: {len(ask.body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + ask.body


@dataclass(slots=True)
class Measured:
    """What a round of requests took: milliseconds each, and seconds in all. `failed` had a status from 400 on."""

    seconds: float = 0.0
    taken_ms: list[float] = field(default_factory=list)
    failed: int = 0
    answers: list[bytes] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        """Requests a second."""
        return len(self.taken_ms) / self.seconds

    def quantile(self, share: float) -> float:
        """Milliseconds that this share of the requests took at most."""
        ordered = sorted(self.taken_ms)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


async def ask_for(
    server: Server, asks: Iterator[Ask], connections: int, seconds: float, *, keep: bool = False
) -> Measured:
    """Ask on several connections until time or requests are over. `keep` collects the answers' bodies."""
    measured, started = Measured(), time.perf_counter()
    callers = (_caller(server, asks, started + seconds, measured, keep=keep) for _ in range(connections))
    await asyncio.gather(*callers)
    measured.seconds = time.perf_counter() - started
    return measured


async def ask_once(server: Server, asks: Sequence[Ask]) -> list[bytes]:
    """The bodies of the answers to some requests, one after the other. Raises RuntimeError where one is refused."""
    measured = await ask_for(server, iter(asks), 1, 3600.0, keep=True)
    if measured.failed:
        raise RuntimeError(f"refused: {measured.answers[-1][:1000]!r}")
    return measured.answers


async def _caller(server: Server, asks: Iterator[Ask], until: float, measured: Measured, *, keep: bool) -> None:
    reader, writer = await asyncio.open_connection(*server.address)
    try:
        while time.perf_counter() < until and (ask := next(asks, None)) is not None:
            began = time.perf_counter()
            writer.write(server.written(ask))
            status, body = await _answer(reader)
            measured.taken_ms.append((time.perf_counter() - began) * 1000)
            measured.failed += status >= 400
            if keep:
                measured.answers.append(body)
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head[9:12])
    if b"transfer-encoding: chunked" in head:
        return status, await _chunks(reader)
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return status, await reader.readexactly(int(length)) if length else b""


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return bytes(body)
