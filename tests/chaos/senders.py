"""MLLP senders of the tests' own: in order, resending until the answer is there, and a log of every answer."""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter

from tests.chaos.population import Message

ANSWER_TIMEOUT_S = 20.0
_PAUSE_AFTER_BREAK_S = 0.05
_BREAKS = (OSError, asyncio.IncompleteReadError, TimeoutError)


@dataclass(slots=True)
class Sent:
    """One message and what was answered. `acks` holds the distinct answers: more than one breaks the promise."""

    message: Message
    first_sent_s: float
    acks: list[bytes] = field(default_factory=list)
    acked_s: float = 0.0
    sends: int = 0
    resends: int = 0

    def take(self, ack: bytes) -> None:
        """Log an answer to this message."""
        if not self.acks:
            self.acked_s = perf_counter()
        if ack not in self.acks:
            self.acks.append(ack)


class SenderError(AssertionError):
    """The hub answered something that no sender may ever get."""


class Sender:
    """One sending system with one connection: at most `window` messages unanswered (1 is stop-and-wait).

    Whatever is unanswered when a connection ends is sent again, in order, on the next one. After an answer, one time in
    twenty, a message that was answered before is sent once more on purpose.
    """

    def __init__(
        self, port: int, script: Iterator[Message], seed: int, *, window: int = 1, pause_s: float = 0.02
    ) -> None:
        self.log: list[Sent] = []
        self.breaks = 0
        self.longest_wait_s = 0.0
        self._port = port
        self._script = script
        self._exhausted = False
        self._random = random.Random(seed)
        self._window = window
        self._pause_s = pause_s
        self._open: deque[Sent] = deque()
        self._answered_s = perf_counter()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` or the end of the script, then until everything that was sent is answered."""
        self._answered_s = perf_counter()
        while self._open or not self._ended(stop):
            try:
                await self._converse(stop)
            except _BREAKS:
                self.breaks += 1
                await asyncio.sleep(_PAUSE_AFTER_BREAK_S)

    async def _converse(self, stop: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            for sent in self._open:
                self._write(writer, sent)
            while self._open or not self._ended(stop):
                while len(self._open) < self._window and not self._ended(stop):
                    sent = self._next()
                    if sent:
                        self._write(writer, sent)
                if self._open:
                    await self._answer(reader)
                await asyncio.sleep(self._pause_s)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _ended(self, stop: asyncio.Event) -> bool:
        return stop.is_set() or self._exhausted

    def _next(self) -> Sent | None:
        if self.log and self._random.random() < 0.05:
            sent = self._random.choice(self.log)
            if sent.acks and sent not in self._open:
                sent.resends += 1
                self._open.append(sent)
                return sent
        message = next(self._script, None)
        if message is None:
            self._exhausted = True
            return None
        sent = Sent(message, perf_counter())
        self.log.append(sent)
        self._open.append(sent)
        return sent

    def _write(self, writer: asyncio.StreamWriter, sent: Sent) -> None:
        sent.sends += 1
        writer.write(b"\x0b" + sent.message.data + b"\x1c\r")

    async def _answer(self, reader: asyncio.StreamReader) -> None:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            frame = await reader.readuntil(b"\x1c\r")
        ack = frame[1:-2]
        sent = self._open[0]
        msa = next((line for line in ack.decode().split("\r") if line.startswith("MSA")), "MSA||").split("|")
        if msa[1] != "AA" or msa[2] != sent.message.control_id:
            raise SenderError(f"{sent.message.event} {sent.message.control_id} was answered {msa[1]} for {msa[2]}")
        self._open.popleft()
        sent.take(ack)
        now = perf_counter()
        self.longest_wait_s = max(self.longest_wait_s, now - self._answered_s)
        self._answered_s = now
