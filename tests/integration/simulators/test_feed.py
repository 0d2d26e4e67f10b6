"""The feed against receivers on real sockets: order, answers checked, and what is lost is sent again."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

from chartwire.core.clock import monotonic
from chartwire.formats.hl7v2 import Deframer, Frame, frame, parse
from simulators.feed import Feed
from simulators.hospital import Hospital, Outgoing
from simulators.segments import Profile

START = datetime(2026, 11, 20, 7, tzinfo=ZoneInfo("America/Los_Angeles"))
Answer = Callable[[bytes, str], Awaitable[bytes | None]]


def hospital() -> Hospital:
    return Hospital(Profile(), seed=3, start=START)


def ack(code: str, control_id: str) -> bytes:
    return f"MSH|^~\\&|X|Y|A|B|20261120||ACK|1|P|2.5.1\rMSA|{code}|{control_id}\r".encode()


@asynccontextmanager
async def receiver(answer: Answer) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A listener that gives `answer(message, control id)`, or closes the connection for None."""
    taken: list[bytes] = []

    handlers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.current_task()
        assert handler is not None
        handlers.add(handler)
        with contextlib.suppress(ConnectionError):
            await converse(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        deframer = Deframer(1 << 20)
        while data := await reader.read(65_536):
            for event in deframer.feed(data):
                assert isinstance(event, Frame)
                taken.append(event.body)
                given = await answer(event.body, parse(event.body).get("MSH-10") or "")
                if given is None:
                    return
                writer.write(frame(given))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], taken
    finally:
        server.close()
        await asyncio.wait_for(asyncio.gather(*handlers), 10)


async def accept(_: bytes, control_id: str) -> bytes:
    return ack("AA", control_id)


async def test_every_message_arrives_once_and_in_order_for_each_person() -> None:
    made: list[Outgoing] = []

    def kept() -> Iterator[Outgoing]:
        for outgoing in hospital().messages():
            made.append(outgoing)
            yield outgoing

    async with receiver(accept) as (port, taken):
        tally = await Feed("127.0.0.1", port, rate=0, connections=4).run(kept(), count=300)
    assert (tally.answered, tally.refused, tally.resent) == (300, 0, 0)
    position = {data: number for number, data in enumerate(taken)}
    by_person: dict[str, list[int]] = defaultdict(list)
    for outgoing in made[:300]:
        by_person[outgoing.order_key].append(position[outgoing.data])
    assert all(places == sorted(places) for places in by_person.values())


async def test_a_message_whose_answer_is_lost_is_sent_again_with_the_same_bytes() -> None:
    seen: set[str] = set()

    async def forgetful(_: bytes, control_id: str) -> bytes | None:
        if control_id in seen:
            return ack("AA", control_id)
        seen.add(control_id)
        return None

    async with receiver(forgetful) as (port, taken):
        tally = await Feed("127.0.0.1", port, rate=0, connections=2).run(hospital().messages(), count=6)
    assert (tally.answered, tally.resent) == (6, 6)
    assert len(taken) == 12
    assert len(set(taken)) == 6


async def test_an_answer_that_names_another_message_does_not_count() -> None:
    first = True

    async def confused(_: bytes, control_id: str) -> bytes:
        nonlocal first
        named, first = ("somebody-else" if first else control_id), False
        return ack("AA", named)

    async with receiver(confused) as (port, taken):
        tally = await Feed("127.0.0.1", port, rate=0, connections=1).run(hospital().messages(), count=2)
    assert (tally.answered, tally.resent, len(taken)) == (2, 1, 3)


async def test_a_silent_receiver_is_given_up_after_the_timeout_and_tried_again() -> None:
    silent = True

    async def slow(_: bytes, control_id: str) -> bytes:
        nonlocal silent
        if silent:
            silent = False
            await asyncio.sleep(1)
        return ack("AA", control_id)

    async with receiver(slow) as (port, _taken):
        feed = Feed("127.0.0.1", port, rate=0, connections=1, ack_timeout_s=0.2)
        tally = await asyncio.wait_for(feed.run(hospital().messages(), count=1), 4)
    assert (tally.answered, tally.resent) == (1, 1)


async def test_refusals_are_counted_by_code_and_not_repeated() -> None:
    async def strict(_: bytes, control_id: str) -> bytes:
        return ack("AE" if control_id.endswith("1") else "AA", control_id)

    async with receiver(strict) as (port, taken):
        tally = await Feed("127.0.0.1", port, rate=0, connections=2).run(hospital().messages(), count=40)
    assert tally.refused == tally.codes["AE"] == sum((parse(one).get("MSH-10") or "").endswith("1") for one in taken)
    assert len(taken) == 40


async def test_the_rate_is_kept() -> None:
    async with receiver(accept) as (port, _taken):
        began = monotonic()
        await Feed("127.0.0.1", port, rate=100, connections=4).run(hospital().messages(), count=51)
    assert 0.45 <= monotonic() - began < 3


async def test_stop_ends_an_endless_feed_also_while_the_receiver_is_away() -> None:
    stop = asyncio.Event()
    feed = Feed("127.0.0.1", 1, rate=0, connections=2)
    running = asyncio.create_task(feed.run(hospital().messages(), stop=stop))
    await asyncio.sleep(0.3)
    stop.set()
    tally = await asyncio.wait_for(running, 5)
    assert tally.answered == 0
    assert tally.resent > 0
