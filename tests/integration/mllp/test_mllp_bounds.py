"""Every bound holds: size, idleness, slowness, readers that do not read, connections, bytes in flight, the stop."""

import asyncio
import socket
import time

import pytest
from tests.integration.mllp.hub import Hub, MakeHub, Sender, adt, code, framed, segments

from chartwire.mllp.settings import Bounds


async def test_an_oversize_message_gets_ae_with_the_reason_and_is_then_closed(make_hub: MakeHub) -> None:
    hub = await make_hub(bounds=Bounds(message_bytes=100_000))
    sender = await hub.sender()
    big = adt("BIG", extra="OBX|1|ED|X||" + "A" * 3_000_000)
    await sender.send(framed(adt("BEFORE")) + framed(big))
    assert segments(await sender.answer())["MSA"][1:3] == ["AA", "BEFORE"]
    answer = segments(await sender.answer())
    assert answer["MSA"][1:3] == ["AE", "BIG"]
    assert "100000 bytes" in answer["ERR"][8]
    assert await sender.answer() == b""
    assert [(m["control_id"], m["state"]) for m in await hub.messages()] == [("BEFORE", "received"), ("BIG", "dead")]
    assert code(await (await hub.sender()).ask(adt("AFTER"))) == "AA"


async def test_a_message_just_within_the_limit_is_taken(make_hub: MakeHub) -> None:
    body = adt(extra="OBX|1|ED|X||" + "A" * 50_000)
    hub = await make_hub(bounds=Bounds(message_bytes=len(body)))
    assert code(await (await hub.sender()).ask(body)) == "AA"


async def test_an_endless_message_is_cut_off(make_hub: MakeHub) -> None:
    hub = await make_hub(bounds=Bounds(message_bytes=10_000))
    sender = await hub.sender()
    await sender.send(b"\x0b" + adt("ENDLESS"))
    with pytest.raises(ConnectionError):
        for _ in range(2_000):
            await sender.send(b"A" * 4096)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("sent", [b"", b"junk", framed(adt())])
async def test_an_idle_connection_is_closed(make_hub: MakeHub, sent: bytes) -> None:
    hub = await make_hub(bounds=Bounds(idle_timeout_s=0.2))
    sender = await hub.sender()
    await sender.send(sent)
    if sent.startswith(b"\x0b"):
        assert code(await sender.answer()) == "AA"
    assert await sender.answer(timeout_s=5) == b""


async def test_a_trickling_message_is_closed_after_the_frame_timeout(make_hub: MakeHub) -> None:
    hub = await make_hub(bounds=Bounds(frame_timeout_s=0.3))
    sender = await hub.sender()
    begun = time.monotonic()
    with pytest.raises(ConnectionError):
        for byte in framed(adt() * 100):
            await sender.send(bytes([byte]))
            await asyncio.sleep(0.01)
    assert time.monotonic() - begun < 5
    assert await hub.messages() == []


async def test_a_peer_that_reads_no_answers_is_paused_then_closed(make_hub: MakeHub) -> None:
    hub = await make_hub(bounds=Bounds(write_timeout_s=0.5))
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", hub.server.ports["main"]))
    # MSH-3 is echoed: each answer is as large as its message.
    sent = framed(adt(msh=f"MSH|^~\\&|{'A' * 60_000}|NORTH|||20261120||ADT^A01|1|P|2.5"))
    count = 0
    with raw, pytest.raises((ConnectionError, TimeoutError)):
        while count < 2_000:
            await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(raw, sent), 10)
            count += 1
    assert count < 2_000
    assert code(await (await hub.sender()).ask(adt())) == "AA"


async def test_connections_above_the_limit_are_closed_at_once(make_hub: MakeHub) -> None:
    hub = await make_hub(bounds=Bounds(connections=2))
    first, second = await hub.sender(), await hub.sender()
    assert code(await first.ask(adt("1"))) == code(await second.ask(adt("2"))) == "AA"
    assert await (await hub.sender()).answer() == b""
    await first.close()
    await asyncio.sleep(0.1)
    assert code(await (await hub.sender()).ask(adt("3"))) == "AA"


async def test_no_more_than_the_allowed_messages_are_in_flight_on_a_connection(make_hub: MakeHub) -> None:
    hub = await make_hub(bounds=Bounds(in_flight_per_connection=4), ack_mode="after-processing")
    sender = await hub.sender()
    await sender.send(b"".join(framed(adt(f"F{number}")) for number in range(12)))
    for done in range(3):
        for _ in range(100):
            messages = await hub.messages()
            if len(messages) == 4 * (done + 1):
                break
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        assert len(await hub.messages()) == 4 * (done + 1)
        async with hub.pool.transaction(hub.org) as tx:
            await tx.execute("update message set state = 'processed', processed_at = now()")
        for number in range(4):
            assert segments(await sender.answer())["MSA"][2] == f"F{4 * done + number}"


async def test_bytes_in_flight_are_bounded_over_all_connections_and_everyone_is_served(make_hub: MakeHub) -> None:
    hub = await make_hub(bounds=Bounds(in_flight_bytes=300_000))
    body = "OBX|1|ED|X||" + "A" * 200_000

    async def one(number: int) -> str:
        sender = await hub.sender()
        data = framed(adt(f"B{number}", extra=body))
        for start in range(0, len(data), 20_000):
            await sender.send(data[start : start + 20_000])
            await asyncio.sleep(0)
        return code(await sender.answer(timeout_s=30))

    assert await asyncio.gather(*map(one, range(12))) == ["AA"] * 12


async def test_a_stop_answers_what_was_taken_and_takes_no_more(make_hub: MakeHub) -> None:
    hub: Hub = await make_hub()
    senders: list[Sender] = [await hub.sender() for _ in range(5)]
    for number, sender in enumerate(senders):
        await sender.send(b"".join(framed(adt(f"S{number}.{part}")) for part in range(10)))
    first = [await sender.answer() for sender in senders]
    await hub.server.close()
    answered = 0
    for sender, answer in zip(senders, first, strict=True):
        found = answer
        while found:
            assert code(found) == "AA"
            answered += 1
            found = await sender.answer()
    stored = await hub.messages()
    assert len(stored) == answered
    with pytest.raises(ConnectionError):
        await hub.sender()


async def test_a_connection_that_resets_leaves_the_others_alone(hub: Hub) -> None:
    for _ in range(20):
        raw = socket.create_connection(("127.0.0.1", hub.server.ports["main"]))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        raw.sendall(framed(adt()) + b"\x0bMSH|")
        raw.close()
    assert code(await (await hub.sender()).ask(adt("AFTER"))) == "AA"


async def test_nothing_is_taken_after_an_oversize_message(make_hub: MakeHub) -> None:
    hub = await make_hub(bounds=Bounds(message_bytes=1_000))
    sender = await hub.sender()
    await sender.send(framed(adt("BIG", extra="NTE|1||" + "A" * 5_000)))
    await sender.send(framed(adt("LATE")))
    assert segments(await sender.answer())["MSA"][1:3] == ["AE", "BIG"]
    assert await sender.answer() == b""
    assert [message["control_id"] for message in await hub.messages()] == ["BIG"]
