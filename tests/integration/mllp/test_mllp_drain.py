"""A listener that stops while its peers go on sending."""

import asyncio
import socket
from itertools import count

from tests.integration.mllp.hub import Hub, adt, framed


def push_until_closed(connection: socket.socket) -> None:
    try:
        for number in count(1):
            connection.sendall(framed(adt(f"P{number}", extra="OBX|1|TX|X||" + "A" * 4000)))
    except OSError:
        return


def read_to_the_end(connection: socket.socket) -> bytes:
    """Everything up to the other side's end. Raises ConnectionResetError where that was no orderly one."""
    received = b""
    while data := connection.recv(65_536):
        received += data
    return received


async def test_a_peer_that_is_still_sending_gets_every_answer_whole_and_no_reset(hub: Hub) -> None:
    connection = socket.create_connection(("127.0.0.1", hub.server.ports["main"]))
    pushing = asyncio.create_task(asyncio.to_thread(push_until_closed, connection))
    reading = asyncio.create_task(asyncio.to_thread(read_to_the_end, connection))
    while len(await hub.messages()) < 50:
        await asyncio.sleep(0.02)
    closing = asyncio.create_task(hub.server.close())
    received = await reading
    connection.shutdown(socket.SHUT_RDWR)
    await asyncio.gather(pushing, closing)
    connection.close()
    answers = received.split(b"\x1c\r")
    assert answers.pop() == b""
    assert all(b"MSA|AA|" in answer for answer in answers)
    assert len(await hub.messages()) == len(answers)
