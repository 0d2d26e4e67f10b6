"""Senders of simulated hospital messages over MLLP, and a webhook receiver that notes when each message was told.

One process plays both, so that both ends of the way are read on one clock.
"""

import asyncio
import itertools
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast
from zlib import crc32
from zoneinfo import ZoneInfo

from chartwire.formats import hl7v2
from simulators.hospital import Hospital, Mix
from simulators.segments import Profile

_OK = b"HTTP/1.1 204 No Content\r\n\r\n"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_CORRELATION = re.compile(rb"(?i)\r\nchartwire-correlation-id: *msg_([0-9A-Z]{20})")


def clinic_messages(count: int, *, seed: int, step_s: float, results: int = 5) -> list[tuple[str, bytes]]:
    """(order key, framed message): 60% ADT, 25% SIU, 15% ORU; `step_s` simulated seconds lie between two."""
    start = datetime(2026, 3, 2, 7, tzinfo=ZoneInfo("America/Los_Angeles"))
    hospital = Hospital(Profile(), seed=seed, start=start, step_s=step_s, mix=Mix(results=results))
    return [(one.order_key, hl7v2.frame(one.data)) for one in itertools.islice(hospital.messages(), count)]


@dataclass(slots=True)
class Acks:
    """Answers to a load: latencies in ms in order of arrival, and when each message id (MSH-10 of its ACK) came."""

    latencies_ms: list[float] = field(default_factory=list)
    at: dict[bytes, float] = field(default_factory=dict)
    seconds: float = 0.0


async def send(
    port: int,
    messages: Sequence[tuple[str, bytes]],
    *,
    connections: int,
    per_s: float = 0.0,
    hold: Callable[[], bool] = lambda: False,
    acks: Acks | None = None,
) -> Acks:
    """Send all, each person's messages in order on one connection, and wait for the answers; every one must be AA.

    With `per_s` each message has a due time and its latency counts from there, so that waiting for a slow answer
    before it counts too. Without, each connection sends as soon as it is answered, unless `hold` says to wait.
    `acks` lets a caller see the answers as they come, and gather those of several loads.
    """
    acks, began = acks or Acks(), time.perf_counter()
    queues: list[list[tuple[float, bytes]]] = [[] for _ in range(connections)]
    for number, (key, data) in enumerate(messages):
        due = began + number / per_s if per_s else 0.0
        queues[crc32(key.encode()) % connections].append((due, data))
    await asyncio.gather(*(_send(port, iter(queue), acks, hold) for queue in queues))
    acks.seconds += time.perf_counter() - began
    return acks


async def _send(port: int, queue: Iterator[tuple[float, bytes]], acks: Acks, hold: Callable[[], bool]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for planned, data in queue:
        due = planned
        if planned and (wait_s := planned - time.perf_counter()) > 0:
            await asyncio.sleep(wait_s)
            due = time.perf_counter()  # a timer that comes late is this process's own fault
        while hold():
            await asyncio.sleep(0.02)
        due = due or time.perf_counter()
        writer.write(data)
        answer = await reader.readuntil(b"\x1c\r")
        at = time.perf_counter()
        assert b"\rMSA|AA|" in answer, "an answer that is no AA"
        acks.latencies_ms.append((at - due) * 1e3)
        acks.at[answer.split(b"|", 10)[9]] = at
    writer.close()
    await writer.wait_closed()


class Receiver:
    """Takes every webhook. `arrivals` are (message id as in MSH-10 of its ACK, when it came)."""

    def __init__(self) -> None:
        self.arrivals: list[tuple[bytes, float]] = []
        self.count = 0
        self._servers: list[asyncio.Server] = []

    async def serve(self) -> str:
        """Listen on one more free port; answers its URL."""
        server = await asyncio.get_running_loop().create_server(lambda: _Arrivals(self), "127.0.0.1", 0)
        self._servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    def close(self) -> None:
        """Take no more."""
        for server in self._servers:
            server.close()

    def took(self, head: bytes) -> None:
        """One request came whole."""
        self.count += 1
        named = _CORRELATION.search(head)
        if named:
            self.arrivals.append((named[1], time.perf_counter()))


class _Arrivals(asyncio.Protocol):
    """One keep-alive connection of a webhook sender."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver, self._buffer = receiver, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            self._receiver.took(head)
            self._transport.write(_OK)
