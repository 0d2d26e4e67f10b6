"""Sends a simulated hospital's messages through real MLLP sockets, and checks every answer.

Each connection sends one message, waits for its ACK (MSA-2 must name the message), and sends again what got no answer:
the receiver's ledger makes that safe. All messages of one person go through one connection, in order.
"""

import asyncio
import contextlib
import random
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from zlib import crc32

from chartwire.core.clock import monotonic
from chartwire.core.errors import ParseError
from chartwire.formats.hl7v2 import Deframer, Frame, frame, parse
from simulators.hospital import Outgoing

ACK_TIMEOUT_S = 30.0
QUEUE_MAX = 200
LATENCIES_MAX = 100_000
_ANSWER_BYTES_MAX = 1024 * 1024
_READ_BYTES = 65_536
_BACKOFF_FIRST_S, _BACKOFF_MAX_S = 0.2, 5.0
_ACCEPTED = frozenset({"AA", "CA"})


@dataclass(slots=True)
class Tally:
    """What became of a feed: counts by event and by ACK code, sends repeated after a loss, ACK latencies in seconds."""

    events: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    resent: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """Messages that got an answer, whatever it said."""
        return sum(self.codes.values())

    @property
    def refused(self) -> int:
        """Messages answered with anything but AA or CA."""
        return sum(count for code, count in self.codes.items() if code not in _ACCEPTED)

    def latency_ms(self, share: float) -> float:
        """The latency below which `share` (0 to 1) of the answers lie, in milliseconds; 0 without answers."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000 if ordered else 0.0


class Feed:
    """A sender of several connections to `host`:`port`. `rate` is messages a second; 0: as fast as answers come."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        rate: float,
        connections: int = 4,
        tls: ssl.SSLContext | None = None,
        ack_timeout_s: float = ACK_TIMEOUT_S,
    ) -> None:
        self.tally = Tally()
        self._host, self._port, self._tls = host, port, tls
        self._rate = rate
        self._ack_timeout_s = ack_timeout_s
        self._queues: list[asyncio.Queue[Outgoing | None]] = [asyncio.Queue(QUEUE_MAX) for _ in range(connections)]

    async def run(
        self,
        messages: Iterator[Outgoing],
        *,
        count: int | None = None,
        stop: asyncio.Event | None = None,
        progress: Callable[[Tally], None] | None = None,
    ) -> Tally:
        """Send `count` messages (None: until `stop` is set or `messages` ends) and wait for their answers.

        A receiver that is away is tried again until it is back or `stop` is set.
        """
        ended = stop or asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for queue in self._queues:
                group.create_task(self._drain(queue, ended))
            await self._deal(messages, count, ended, progress)
        return self.tally

    async def _deal(
        self,
        messages: Iterator[Outgoing],
        count: int | None,
        stop: asyncio.Event,
        progress: Callable[[Tally], None] | None,
    ) -> None:
        began = told = monotonic()
        for dealt, outgoing in enumerate(islice(messages, count)):
            if stop.is_set():
                break
            if self._rate:
                await _until(began + dealt / self._rate, stop)
            queue = self._queues[crc32(outgoing.order_key.encode()) % len(self._queues)]
            if not await _put(queue, outgoing, stop):
                break
            if progress and monotonic() - told >= 1:
                told = monotonic()
                progress(self.tally)
        for queue in self._queues:
            await _put(queue, None, stop)

    async def _drain(self, queue: "asyncio.Queue[Outgoing | None]", stop: asyncio.Event) -> None:
        link = _Link(self._host, self._port, self._tls, self._ack_timeout_s)
        try:
            while not stop.is_set() and (outgoing := await _get(queue, stop)) is not None:
                await self._deliver(link, outgoing, stop)
        finally:
            await link.close()

    async def _deliver(self, link: "_Link", outgoing: Outgoing, stop: asyncio.Event) -> None:
        backoff_s = _BACKOFF_FIRST_S
        while True:
            began = monotonic()
            try:
                code = await link.exchange(outgoing)
            except (OSError, TimeoutError, ParseError):
                await link.close()
                self.tally.resent += 1
                await _until(monotonic() + backoff_s * random.uniform(0.5, 1), stop)
                backoff_s = min(backoff_s * 2, _BACKOFF_MAX_S)
                if stop.is_set():
                    return
                continue
            self.tally.events[outgoing.event] += 1
            self.tally.codes[code] += 1
            if len(self.tally.latencies) < LATENCIES_MAX:
                self.tally.latencies.append(monotonic() - began)
            return


class _Link:
    """One connection, opened when first needed and after every loss."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, timeout_s: float) -> None:
        self._where, self._tls, self._timeout_s = (host, port), tls, timeout_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._deframer = Deframer(_ANSWER_BYTES_MAX)

    async def exchange(self, outgoing: Outgoing) -> str:
        """Send one message; the code of its ACK. Raises OSError, TimeoutError or ParseError when there is none."""
        async with asyncio.timeout(self._timeout_s):
            if self._streams is None:
                self._streams = await asyncio.open_connection(*self._where, ssl=self._tls)
                self._deframer = Deframer(_ANSWER_BYTES_MAX)
            reader, writer = self._streams
            writer.write(frame(outgoing.data))
            await writer.drain()
            return _code(await self._answer(reader), outgoing.control_id)

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        while data := await reader.read(_READ_BYTES):
            for event in self._deframer.feed(data):
                if isinstance(event, Frame):
                    return event.body
        raise ConnectionResetError("closed without an answer")

    async def close(self) -> None:
        """Drop the connection; the next exchange opens a new one."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with contextlib.suppress(OSError):
                await streams[1].wait_closed()


def _code(answer: bytes, control_id: str) -> str:
    document = parse(answer)
    if document.get("MSA-2") != control_id:
        raise ConnectionResetError("the answer names another message")
    return document.get("MSA-1") or ""


async def _until(moment_s: float, stop: asyncio.Event) -> None:
    wait_s = moment_s - monotonic()
    if wait_s > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait_s)


async def _put(queue: "asyncio.Queue[Outgoing | None]", outgoing: Outgoing | None, stop: asyncio.Event) -> bool:
    """Put with back-pressure; False when `stop` came first."""
    while not stop.is_set():
        try:
            queue.put_nowait(outgoing)
        except asyncio.QueueFull:
            await _until(monotonic() + 0.05, stop)
        else:
            return True
    return False


async def _get(queue: "asyncio.Queue[Outgoing | None]", stop: asyncio.Event) -> Outgoing | None:
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(queue.get(), 0.5)
    return None
